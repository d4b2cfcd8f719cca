//! The ways in, against a server in the test's process: those that a test cannot have of a real one, which would have to know a
//! password of the machine. The key's way is tested against OpenSSH, end to end.

#![expect(clippy::unwrap_used, reason = "what fails in a test's helper fails the test")]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use russh::keys::PrivateKey;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::server::{self, Auth, Msg, Session};
use russh::{Channel, ChannelId, MethodKind, MethodSet};
use vimhost_connector::{InjectionError, KeyInjection, KeyInjector as _};
use vimhost_model::Secret;
use vimhost_ssh::{Config, Reach, SshInjector};

const PASSWORD: &str = "swordfish";
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB me@there";

fn private_key(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

/// What a server does, and what it has seen.
#[derive(Clone, Default)]
struct Vm {
    /// Its passwords are asked for by questions only.
    asks: bool,
    /// It answers a command with this much, and this status.
    output: usize,
    status: u32,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    users: Vec<String>,
    command: Vec<u8>,
    input: Vec<u8>,
}

impl Vm {
    fn way_in(&self) -> Auth {
        let method = if self.asks {
            MethodKind::KeyboardInteractive
        } else {
            MethodKind::Password
        };
        Auth::Reject {
            proceed_with_methods: Some(MethodSet::from(&[method][..])),
            partial_success: false,
        }
    }

    /// One connection; answers the port.
    async fn serve(&self) -> u16 {
        let mut config = server::Config {
            auth_rejection_time: Duration::from_millis(1),
            auth_rejection_time_initial: Some(Duration::from_millis(1)),
            ..server::Config::default()
        };
        config.keys.push(private_key(1));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let vm = self.clone();
        tokio::spawn(async move {
            let (socket, _) = listener.accept().await.unwrap();
            let session = server::run_stream(Arc::new(config), socket, vm).await.unwrap();
            // A client that hangs up is an error to a server.
            let _ = session.await;
        });
        port
    }

    async fn let_in(&self, password: Option<&str>) -> Result<(), InjectionError> {
        let reach = Reach::new(vec!["127.0.0.0/8".parse().unwrap()]);
        let injector = SshInjector::new(Config {
            port: self.serve().await,
            reach,
        });
        let injection = KeyInjection {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            user: "ubuntu".to_owned(),
            public_key: KEY.to_owned(),
            private_key: Some(Secret::new(private_key(2).to_openssh(LineEnding::LF).unwrap().as_str())),
            password: password.map(Secret::new),
        };
        injector.inject(&injection).await
    }
}

impl server::Handler for Vm {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        _user: &str,
        _offer: server::PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(self.way_in())
    }

    async fn auth_publickey(&mut self, _user: &str, _key: server::VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        Ok(self.way_in())
    }

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        self.seen.lock().unwrap().users.push(user.to_owned());
        if !self.asks && password == PASSWORD {
            return Ok(Auth::Accept);
        }
        Ok(self.way_in())
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _user: &str,
        _submethods: &str,
        response: Option<server::Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        let Some(mut answers) = response else {
            return Ok(Auth::Partial {
                name: "".into(),
                instructions: "".into(),
                prompts: vec![("Name of your cat: ".into(), true), ("Password: ".into(), false)].into(),
            });
        };
        let (cat, password) = (answers.next(), answers.next());
        if self.asks && cat.is_some_and(|cat| cat.is_empty()) && password.is_some_and(|given| given == PASSWORD) {
            return Ok(Auth::Accept);
        }
        Ok(self.way_in())
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: server::ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.seen.lock().unwrap().command = data.to_vec();
        session.channel_success(channel)
    }

    async fn data(&mut self, _channel: ChannelId, data: &[u8], _session: &mut Session) -> Result<(), Self::Error> {
        self.seen.lock().unwrap().input.extend_from_slice(data);
        Ok(())
    }

    async fn channel_eof(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        session.extended_data(channel, 1, vec![b'x'; self.output])?;
        session.exit_status_request(channel, self.status)?;
        session.close(channel)
    }
}

fn passing(result: Result<(), InjectionError>) -> String {
    match result.unwrap_err() {
        InjectionError::Passing(why) => why,
        InjectionError::Lasting(why) => format!("not to pass: {why}"),
    }
}

#[tokio::test]
async fn a_password_lets_in_where_the_key_does_not_and_the_line_goes_in_by_the_input() {
    let vm = Vm::default();
    vm.let_in(Some(PASSWORD)).await.unwrap();
    let seen = vm.seen.lock().unwrap();
    assert_eq!(seen.users, ["ubuntu"]);
    assert_eq!(seen.input, format!("{KEY}\n").into_bytes());
    let command = String::from_utf8(seen.command.clone()).unwrap();
    assert!(
        command.starts_with("exec sh -c '") && !command.contains("AAAA"),
        "{command}"
    );
}

#[tokio::test]
async fn questions_are_answered_where_passwords_are_not_taken() {
    let vm = Vm {
        asks: true,
        ..Vm::default()
    };
    vm.let_in(Some(PASSWORD)).await.unwrap();
    let why = passing(vm.let_in(Some("wrong")).await);
    assert!(why.contains("the service's key and the password refused"), "{why}");
}

#[tokio::test]
async fn a_refusal_is_told_without_the_password_and_can_pass() {
    let why = passing(Vm::default().let_in(Some("wrong-canary")).await);
    assert!(
        why.contains("user 'ubuntu' may not log in") && !why.contains("canary"),
        "{why}"
    );
    let why = passing(Vm::default().let_in(None).await);
    assert!(why.ends_with("the service's key refused"), "{why}");
}

#[tokio::test]
async fn a_command_that_fails_or_talks_without_end_is_an_error() {
    let vm = Vm {
        status: 3,
        output: 5,
        ..Vm::default()
    };
    let why = passing(vm.let_in(Some(PASSWORD)).await);
    assert!(why.ends_with("it ended with 3: xxxxx"), "{why}");
    let vm = Vm {
        output: 1_000_000,
        ..Vm::default()
    };
    let why = passing(vm.let_in(Some(PASSWORD)).await);
    assert!(why.contains("answers without end"), "{why}");
}

#[tokio::test]
async fn nothing_that_is_no_vm_is_dialled_and_a_key_that_is_none_is_told_before() {
    let injector = SshInjector::new(Config {
        port: 1,
        reach: Reach::default(),
    });
    let mut injection = KeyInjection {
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        user: "u".to_owned(),
        public_key: KEY.to_owned(),
        private_key: None,
        password: Some(Secret::new(PASSWORD)),
    };
    let refused = injector.inject(&injection).await;
    assert!(
        matches!(&refused, Err(InjectionError::Lasting(why)) if why.contains("--ssh-address")),
        "{refused:?}"
    );
    injection.address = "198.51.100.1".parse().unwrap();
    injection.private_key = Some(Secret::new("-----BEGIN RSA PRIVATE KEY-----\nx\n"));
    let refused = injector.inject(&injection).await;
    assert!(
        matches!(&refused, Err(InjectionError::Lasting(why)) if why.contains("private key")),
        "{refused:?}"
    );
}
