//! One connection: shake hands, log in, run the command.
//!
//! The library runs its half of a connection in a task of its own, which a peer that keeps talking could keep alive after its client is
//! gone. So it gets a pipe, and the bytes are carried between pipe and socket by the call itself: when the call ends, or is
//! dropped, the pipe breaks, and the library's task ends with it.

use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;

use russh::client::{self, AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{ChannelMsg, MethodKind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::net::TcpStream;
use vimhost_connector::InjectionError;
use vimhost_model::Secret;

use crate::command::ADD_KEY;
use crate::text::shown;

/// Bytes in the pipe, each way: one SSH packet and a little.
const PIPE: usize = 64 * 1024;

/// Bytes that are taken from a VM in one connection. Hand-shake, login and output need a quarter of it at most; the library answers
/// and logs some of what a peer can send without end.
const MOST_BYTES: u64 = 128 * 1024;

/// What the VM may send before its window is opened again. The command answers nothing unless it fails.
const WINDOW: u32 = 32 * 1024;

/// Messages of a channel that wait to be read.
const MESSAGES: usize = 16;

/// More than any shell's start files say; a VM that says more is not listened to.
const MOST_OUTPUT: usize = 16 * 1024;

/// Bytes of it that are kept for the message, before it is cut for show.
const KEPT_OUTPUT: usize = 2048;

/// Rounds of questions in one login. PAM asks once, twice where a password has expired.
const MOST_ROUNDS: usize = 4;

/// How to get in.
pub(crate) struct Login<'a> {
    pub(crate) user: &'a str,
    pub(crate) key: Option<Arc<PrivateKey>>,
    pub(crate) password: Option<&'a Secret>,
}

/// Adds the line to what may log in. Has no limit of time of its own.
pub(crate) async fn add_key(
    stream: TcpStream,
    address: IpAddr,
    login: &Login<'_>,
    line: &str,
) -> Result<(), InjectionError> {
    let (near, far) = tokio::io::duplex(PIPE);
    let mut carrying = pin!(carry(far, stream));
    // Boxed, since the library's hand-shake has a large state.
    let mut working = Box::pin(work(near, address, login, line));
    let mut carried = None;
    loop {
        tokio::select! {
            biased;
            worked = &mut working => return match (worked, carried) {
                (Err(InjectionError::Passing(why)), Some(Err(error))) => {
                    Err(InjectionError::Passing(format!("{why} ({error})")))
                }
                (worked, _) => worked,
            },
            // The work has still to read what came before the end.
            end = &mut carrying, if carried.is_none() => carried = Some(end),
        }
    }
}

/// Carries bytes both ways until both have ended or one has failed; both ends are closed then. A VM that has sent too much has ended.
async fn carry(pipe: DuplexStream, mut stream: TcpStream) -> io::Result<()> {
    let (from_vm, mut to_vm) = stream.split();
    let (mut from_pipe, mut to_pipe) = tokio::io::split(pipe);
    let mut from_vm = from_vm.take(MOST_BYTES);
    let inward = async {
        tokio::io::copy(&mut from_vm, &mut to_pipe).await?;
        to_pipe.shutdown().await
    };
    let outward = async {
        tokio::io::copy(&mut from_pipe, &mut to_vm).await?;
        to_vm.shutdown().await
    };
    tokio::try_join!(inward, outward).map(|_| ())
}

async fn work(pipe: DuplexStream, address: IpAddr, login: &Login<'_>, line: &str) -> Result<(), InjectionError> {
    let config = client::Config {
        window_size: WINDOW,
        channel_buffer_size: MESSAGES,
        ..client::Config::default()
    };
    let shaking_hands = client::connect_stream(Arc::new(config), pipe, Peer { address });
    let mut session = Box::pin(shaking_hands)
        .await
        .map_err(|error| failed("shaking hands", &error))?;
    log_in(&mut session, login).await?;
    run(&session, line).await
}

/// The VM's side of the connection.
struct Peer {
    address: IpAddr,
}

impl client::Handler for Peer {
    type Error = russh::Error;

    /// Any key will do (see the crate's documentation); which one it was can be read in the log.
    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let fingerprint = key.public_key().fingerprint(HashAlg::Sha256);
        tracing::debug!(address = %self.address, %fingerprint, "host key of a VM accepted unseen");
        Ok(true)
    }
}

async fn log_in(session: &mut Handle<Peer>, login: &Login<'_>) -> Result<(), InjectionError> {
    let doing = "logging in";
    let mut refused = Vec::new();
    if let Some(key) = &login.key {
        let key = PrivateKeyWithHashAlg::new(key.clone(), None);
        let answer = session.authenticate_publickey(login.user, key).await;
        match answer.map_err(|error| failed(doing, &error))? {
            AuthResult::Success => return Ok(()),
            AuthResult::Failure { .. } => refused.push("the service's key"),
        }
    }
    if let Some(password) = login.password {
        let answer = session.authenticate_password(login.user, password.expose()).await;
        match answer.map_err(|error| failed(doing, &error))? {
            AuthResult::Success => return Ok(()),
            AuthResult::Failure { remaining_methods, .. } => {
                // A server that asks by PAM may offer only questions; NG-RO's library falls back to them too.
                let asks = remaining_methods.contains(&MethodKind::KeyboardInteractive);
                let takes = remaining_methods.contains(&MethodKind::Password);
                if asks && !takes && answer_questions(session, login.user, password).await? {
                    return Ok(());
                }
                refused.push("the password");
            }
        }
    }
    if session.is_closed() {
        return Err(InjectionError::Passing("the VM hung up during the login".to_owned()));
    }
    let why = format!(
        "user '{}' may not log in: {} refused",
        login.user,
        refused.join(" and ")
    );
    Err(InjectionError::Passing(why))
}

/// Answers what is asked for without being shown with the password. True when that lets in.
async fn answer_questions(session: &mut Handle<Peer>, user: &str, password: &Secret) -> Result<bool, InjectionError> {
    let doing = "answering the login's questions";
    let mut answer = session
        .authenticate_keyboard_interactive_start(user, None::<String>)
        .await
        .map_err(|error| failed(doing, &error))?;
    for _ in 0..MOST_ROUNDS {
        let prompts = match answer {
            KeyboardInteractiveAuthResponse::Success => return Ok(true),
            KeyboardInteractiveAuthResponse::Failure { .. } => return Ok(false),
            KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => prompts,
        };
        let responses = prompts
            .iter()
            .map(|prompt| {
                if prompt.echo {
                    String::new()
                } else {
                    password.expose().to_owned()
                }
            })
            .collect();
        answer = session
            .authenticate_keyboard_interactive_respond(responses)
            .await
            .map_err(|error| failed(doing, &error))?;
    }
    Ok(matches!(answer, KeyboardInteractiveAuthResponse::Success))
}

/// Runs the command with the line on its input.
async fn run(session: &Handle<Peer>, line: &str) -> Result<(), InjectionError> {
    let doing = "running the command that adds the key";
    let failed = |error| failed(doing, &error);
    let mut channel = session.channel_open_session().await.map_err(failed)?;
    channel.exec(true, ADD_KEY).await.map_err(failed)?;
    channel
        .data_bytes(format!("{line}\n").into_bytes())
        .await
        .map_err(failed)?;
    channel.eof().await.map_err(failed)?;
    let (mut status, mut said, mut length) = (None, Vec::new(), 0usize);
    while let Some(message) = channel.wait().await {
        if let ChannelMsg::ExitStatus { exit_status } = message {
            status = Some(exit_status);
        } else if let ChannelMsg::ExitSignal { .. } = message {
            return Err(InjectionError::Passing(format!("{doing}: it was killed")));
        } else if let ChannelMsg::Failure = message {
            return Err(InjectionError::Passing(format!("{doing}: the VM runs no commands")));
        } else if let ChannelMsg::Data { data } | ChannelMsg::ExtendedData { data, .. } = message {
            length = length.saturating_add(data.len());
            if length > MOST_OUTPUT {
                return Err(InjectionError::Passing(format!("{doing}: the VM answers without end")));
            }
            let room = KEPT_OUTPUT.saturating_sub(said.len());
            said.extend(data.iter().copied().take(room));
        }
    }
    let said = shown(&String::from_utf8_lossy(&said));
    match status {
        Some(0) => Ok(()),
        Some(status) => Err(InjectionError::Passing(format!(
            "{doing}: it ended with {status}: {said}"
        ))),
        None => Err(InjectionError::Passing(format!("{doing}: the VM hung up"))),
    }
}

/// Whatever the protocol fails of is tried again, as in NG-RO: a VM that boots is in many states.
fn failed(doing: &str, error: &russh::Error) -> InjectionError {
    InjectionError::Passing(format!("{doing}: {}", shown(&error.to_string())))
}
