//! One process that renders, seen from the host.

use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{MAX_ANSWER, READY, frame};

/// Bytes of its talk that are kept: an abort says a line.
const MAX_WORDS: u64 = 1024;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// It has ended.
    Ended,
    /// It took too long.
    Late,
}

/// A process that is ready for a request. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    requests: Sender<Arc<[u8]>>,
    answers: Receiver<Vec<u8>>,
    words: Option<JoinHandle<String>>,
}

impl Process {
    /// Starts one and waits until it can be asked.
    pub(super) fn start(program: &str, arguments: &[&str], patience: Duration) -> Result<Self, String> {
        let mut child = Command::new(program)
            .arg0("vimhost")
            .args(arguments)
            // It holds no secret of the host, and nothing in it depends on where the host was started. The allocator is to take memory only
            // as it is used, since all that it takes counts.
            .env_clear()
            .env("MIMALLOC_ARENA_EAGER_COMMIT", "0")
            .current_dir("/")
            // A signal from the terminal is for the host, which says itself when it needs no more.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (to_carrier, requests) = mpsc::channel();
        let (from_carrier, answers) = mpsc::channel();
        let mut process = Self {
            child,
            requests: to_carrier,
            answers,
            words: None,
        };
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err("it has no pipes".to_owned());
        };
        let no_thread = |error: std::io::Error| format!("no thread for it: {error}");
        let listen = std::thread::Builder::new().name("templates-talk".to_owned());
        process.words = Some(listen.spawn(move || heard(stderr)).map_err(no_thread)?);
        let carry = std::thread::Builder::new().name("templates".to_owned());
        carry
            .spawn(move || carried(stdin, stdout, &requests, &from_carrier))
            .map_err(no_thread)?;
        match process.answer(patience) {
            Ok(ready) if ready == READY => Ok(process),
            Ok(_) => Err("it is another program".to_owned()),
            Err(NoAnswer::Ended) => Err(process.end()),
            Err(NoAnswer::Late) => Err(format!("it was not ready after {} seconds", patience.as_secs())),
        }
    }

    /// Whether it has ended by itself.
    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks and waits for the answer.
    pub(super) fn ask(&mut self, request: &Arc<[u8]>, patience: Duration) -> Result<Vec<u8>, NoAnswer> {
        // Where nobody carries it, nobody answers either.
        let _ = self.requests.send(Arc::clone(request));
        self.answer(patience)
    }

    fn answer(&self, patience: Duration) -> Result<Vec<u8>, NoAnswer> {
        self.answers.recv_timeout(patience).map_err(|error| match error {
            RecvTimeoutError::Timeout => NoAnswer::Late,
            RecvTimeoutError::Disconnected => NoAnswer::Ended,
        })
    }

    /// Ends it and says how it ended and what it said.
    pub(super) fn end(&mut self) -> String {
        // Already gone is what is wanted.
        let _ = self.child.kill();
        let status = match self.child.wait() {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        match self.words.take().map(JoinHandle::join) {
            Some(Ok(words)) if !words.is_empty() => format!("{status}: {words}"),
            Some(_) | None => status,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// Carries requests there and answers back until either side ends: a thread, because neither pipe has a deadline.
fn carried(mut stdin: ChildStdin, mut stdout: ChildStdout, requests: &Receiver<Arc<[u8]>>, answers: &Sender<Vec<u8>>) {
    loop {
        let Ok(Some(answer)) = frame::read(&mut stdout, MAX_ANSWER) else {
            return;
        };
        if answers.send(answer).is_err() {
            return;
        }
        let Ok(request) = requests.recv() else { return };
        // One that has ended reads nothing; what it said before that is read still.
        let _ = frame::write(&mut stdin, &request);
    }
}

/// What it said in the beginning; the rest is read too, so that it never waits for a reader.
fn heard(mut stderr: ChildStderr) -> String {
    let mut words = Vec::new();
    // What cannot be read was not said.
    let _ = stderr.by_ref().take(MAX_WORDS).read_to_end(&mut words);
    let _ = std::io::copy(&mut stderr, &mut std::io::sink());
    String::from_utf8_lossy(&words).trim().to_owned()
}
