//! Renders templates of user data in processes of bounded memory.
//!
//! A template comes from whoever wrote a VNF package, and the template engine cannot bound what memory it takes (see
//! [`vimhost_engine::derive::templates`]); a process that gets no memory ends. So templates are rendered by children of the host
//! (`vimhost render-templates`, [`child`]), and what a hostile one ends is a child, which is replaced. Children are started when there is a
//! template to render and kept, as many as are busy at a time and at most [`MOST`]; more templates wait.
//!
//! What is told of a template does not depend on what was rendered before: when a child that had rendered others dies, one that has rendered
//! nothing decides.

mod child;
mod frame;
mod process;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use vimhost_engine::derive::templates::{Failure, Limit, Templates};

pub use child::run;
use process::{NoAnswer, Process};

/// This very program, also when its file was replaced or removed since the host was started: both sides speak the same.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// The hidden command of the child.
const ARGUMENT: &str = "render-templates";

/// What a child says when it can be asked.
const READY: &[u8] = b"ready";

/// Memory for the values of a template. Real ones need a few MiB, of which the largest part are the variables.
const MEMORY: u64 = 256 << 20;

/// How long is waited for an answer. The bound on instructions ends a template after three seconds; a machine may be busy.
const PATIENCE: Duration = Duration::from_secs(20);

/// Children at most, and no more than there are processors: rendering is nothing but computing.
const MOST: usize = 4;

/// Bytes of a request: as many of variables as a body of 16 MiB can hold, and what escapes add.
const MAX_REQUEST: usize = 64 << 20;

/// Bytes of an answer: 128 KiB of text, each byte of which may be written as six.
const MAX_ANSWER: usize = 1 << 20;

/// Renders in children.
#[derive(Debug)]
pub struct Worker {
    program: &'static str,
    arguments: Vec<&'static str>,
    patience: Duration,
    most: usize,
    pool: Mutex<Pool>,
    given_back: Condvar,
}

#[derive(Debug, Default)]
struct Pool {
    idle: Vec<Process>,
    busy: usize,
}

impl Worker {
    /// Starts nothing yet.
    pub fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            program: OWN_PROGRAM,
            arguments: vec![ARGUMENT],
            patience: PATIENCE,
            most: processors.min(MOST),
            pool: Mutex::default(),
            given_back: Condvar::new(),
        }
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn.
    fn turn(&self) -> Turn<'_> {
        let pool = self.pool();
        let mut pool = self
            .given_back
            .wait_while(pool, |pool| pool.busy >= self.most)
            .unwrap_or_else(PoisonError::into_inner);
        pool.busy += 1;
        Turn(self)
    }

    /// A child that waits for a request, if there is one.
    fn idle(&self) -> Option<Process> {
        loop {
            let mut process = self.pool().idle.pop()?;
            if !process.has_ended() {
                return Some(process);
            }
        }
    }

    fn start(&self) -> Result<Process, Failure> {
        let started = Process::start(self.program, &self.arguments, self.patience);
        started.map_err(|reason| Failure::Unavailable {
            reason: format!("the process that renders templates cannot be started: {reason}"),
        })
    }

    /// Asks a child, which is kept when it answers.
    fn ask(&self, mut process: Process, request: &Arc<[u8]>) -> Result<Vec<u8>, NoAnswer> {
        let answer = process.ask(request, self.patience);
        match answer {
            Ok(_) => self.pool().idle.push(process),
            Err(why) => {
                let ended = process.end();
                tracing::debug!(?why, ended, "a process that renders templates gave no answer");
            }
        }
        answer
    }
}

impl Templates for Worker {
    fn render(&self, template: &str, variables: &Value) -> Result<String, Failure> {
        let no_memory = || Failure::Exhausted {
            limit: Limit::Memory {
                mebibytes: MEMORY >> 20,
            },
        };
        let request = request(template, variables).map_err(|error| Failure::Unavailable {
            reason: format!("its variables cannot be written: {error}"),
        })?;
        if request.len() > MAX_REQUEST {
            return Err(no_memory());
        }
        let _turn = self.turn();
        let mut answer = Err(NoAnswer::Ended);
        if let Some(process) = self.idle() {
            answer = self.ask(process, &request);
        }
        if answer == Err(NoAnswer::Ended) {
            answer = self.ask(self.start()?, &request);
        }
        match answer {
            Ok(answer) => serde_json::from_slice(&answer).unwrap_or_else(|error| {
                Err(Failure::Unavailable {
                    reason: format!("the answer of the process that renders templates cannot be read: {error}"),
                })
            }),
            Err(NoAnswer::Ended) => Err(no_memory()),
            Err(NoAnswer::Late) => Err(Failure::Exhausted {
                limit: Limit::Time {
                    seconds: self.patience.as_secs(),
                },
            }),
        }
    }
}

/// One of those that may render at a time.
struct Turn<'w>(&'w Worker);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.pool().busy -= 1;
        self.0.given_back.notify_one();
    }
}

/// What a child is asked.
fn request(template: &str, variables: &Value) -> serde_json::Result<Arc<[u8]>> {
    #[derive(Serialize)]
    struct Request<'a> {
        template: &'a str,
        variables: &'a Value,
    }
    serde_json::to_vec(&Request { template, variables }).map(Arc::from)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A worker whose child is a shell that does this.
    fn shell(script: &'static str) -> Worker {
        Worker {
            program: "/bin/sh",
            arguments: vec!["-c", script],
            // Longer than a shell takes on a machine that does other things besides.
            patience: Duration::from_secs(60),
            most: 2,
            pool: Mutex::default(),
            given_back: Condvar::new(),
        }
    }

    fn rendered(worker: &Worker) -> Result<String, Failure> {
        worker.render("{{ a }}", &json!({"a": 1}))
    }

    #[test]
    fn a_child_that_answers_is_kept_and_one_that_has_ended_is_replaced() {
        // Says what it is, and answers one request with its process id.
        let once = shell(
            "printf '\\005\\000\\000\\000ready'; head -c 4 >/dev/null; \
             answer=\"{\\\"Ok\\\":\\\"$$\\\"}\"; printf \"\\\\$(printf %03o ${#answer})\\\\000\\\\000\\\\000%s\" \"$answer\"",
        );
        let first = rendered(&once).unwrap();
        let second = rendered(&once).unwrap();
        assert!(first.parse::<u32>().is_ok() && second.parse::<u32>().is_ok());
        assert_ne!(first, second);
        let pool = once.pool();
        assert_eq!((pool.idle.len(), pool.busy), (1, 0));
    }

    #[test]
    fn a_child_that_dies_of_a_request_is_told_as_its_memory() {
        let worker = shell("printf '\\005\\000\\000\\000ready'; head -c 4 >/dev/null; kill -ABRT $$");
        let failure = rendered(&worker).unwrap_err();
        let limit = Limit::Memory { mebibytes: 256 };
        assert_eq!(failure, Failure::Exhausted { limit });
        assert_eq!(limit.to_string(), "256 MiB of memory");
        assert_eq!(worker.pool().busy, 0);
    }

    #[test]
    fn a_child_that_does_not_answer_is_killed_and_told_as_its_time() {
        let mut worker = shell("printf '\\005\\000\\000\\000ready'; exec sleep 600");
        let ready = worker.start().unwrap();
        worker.pool().idle.push(ready);
        // For its answer only: to become ready it had as long as any.
        worker.patience = Duration::from_secs(1);
        let failure = rendered(&worker).unwrap_err();
        let limit = Limit::Time { seconds: 1 };
        assert_eq!(failure, Failure::Exhausted { limit });
        assert!(worker.pool().idle.is_empty());
    }

    #[test]
    fn a_child_that_cannot_be_started_is_told_as_such() {
        let nowhere = Worker {
            program: "/nowhere/vimhost",
            ..shell("")
        };
        for (worker, why) in [
            (
                shell("echo too little of everything >&2; exit 3"),
                "too little of everything",
            ),
            (shell("printf '\\002\\000\\000\\000no'; exec cat"), "another program"),
            (nowhere, "No such file"),
        ] {
            match rendered(&worker) {
                Err(Failure::Unavailable { reason }) => {
                    let begin = "the process that renders templates cannot be started: ";
                    assert!(reason.starts_with(begin) && reason.contains(why), "{reason}");
                }
                other => panic!("{why}: {other:?}"),
            }
        }
    }
}
