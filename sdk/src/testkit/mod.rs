//! A host for tests: the connector's own code, natively, against an HTTP answerer, a journal, a cache and a clock in memory.
//!
//! ```
//! use vimhost_sdk::http::{Answer, Client, Method};
//! use vimhost_sdk::testkit::TestKit;
//!
//! let kit = TestKit::new();
//! kit.answer(Method::Get, "/v1/networks?name=mgmt", Answer::new(200).json(&serde_json::json!({"items": []})));
//! let answer = Client::new("http://vim.example").unwrap().get(["v1", "networks"]).query("name", "mgmt").send();
//! assert_eq!(answer.unwrap().status, 200);
//! assert_eq!(kit.exchanges().len(), 1);
//! ```
//!
//! A kit belongs to its thread and ends when it is dropped, so tests run side by side.
//!
//! [`TestKit::crash_at`] lets the instance die at any of its journal and HTTP calls, before or after it took effect. A loop
//! over all of them, each followed by repetitions, is the test that a creating function is safe:
//! [`TestKit::survives_crashes`].

pub(crate) mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::time::Duration;

use serde::Serialize;

use crate::http::{Answer, Exchange, Fault, Method};
use crate::log::Level;
use crate::types::{Call, JournalEntry, json};
use world::{Crash, World};

/// How many crash points a call is searched for. A server with twenty ports passes about a hundred and thirty.
const MOST_CRASH_POINTS: usize = 2000;

/// A line a connector logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Level.
    pub level: Level,
    /// Message.
    pub message: String,
    /// Fields.
    pub fields: Vec<(String, String)>,
}

/// The host of this thread, until it is dropped.
#[derive(Debug)]
pub struct TestKit {
    world: Rc<World>,
}

impl Default for TestKit {
    fn default() -> Self {
        Self::new()
    }
}

impl TestKit {
    /// A host with an empty journal, an empty cache, a clock at one billion seconds, and a VIM that answers nothing.
    #[must_use]
    pub fn new() -> Self {
        let world = Rc::new(World::default());
        world::install(Some(Rc::clone(&world)));
        Self { world }
    }

    /// Lets a function answer all requests for which no answer is scripted.
    pub fn vim(&self, answer: impl Fn(&Exchange) -> Result<Answer, Fault> + 'static) {
        self.world.set_vim(Rc::new(answer));
    }

    /// Scripts the answer of the next request, or of the next after those scripted already. The request must be this one,
    /// path and query to the letter.
    pub fn answer(&self, method: Method, path_and_query: &str, answer: Answer) {
        self.world.script(method, path_and_query, Ok(answer));
    }

    /// Scripts that the next request gets no answer.
    pub fn fault(&self, method: Method, path_and_query: &str, fault: Fault) {
        self.world.script(method, path_and_query, Err(fault));
    }

    /// Everything that was sent, scripted or not.
    #[must_use]
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.world.exchanges()
    }

    /// Everything that was sent, as `GET /v1/networks?name=mgmt`.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.exchanges()
            .iter()
            .map(|sent| format!("{} {}", sent.method, sent.target.path_and_query()))
            .collect()
    }

    /// Forgets what was sent so far.
    pub fn clear_exchanges(&self) {
        self.world.clear_exchanges();
    }

    /// A call as the host would make it now: with the journal as it stands.
    #[must_use]
    pub fn call(&self, token: &str) -> Call {
        Call {
            token: token.to_owned(),
            journal: self.journal(),
            ..Call::default()
        }
    }

    /// A call of an operation on an element that exists; `letters` name the operation.
    #[must_use]
    pub fn operation(&self, token: &str, letters: &str) -> Call {
        let mut call = self.call(token);
        let (operation, any) = (format!("{token}.op-{letters}"), format!("{token}.op-"));
        call.journal
            .retain(|entry| !entry.token.starts_with(&any) || entry.token.starts_with(&operation));
        call.operation = Some(operation);
        call
    }

    /// Ends an operation, as the host does when it is done or has failed.
    pub fn end_operation(&self, token: &str, letters: &str) {
        let operation = format!("{token}.op-{letters}");
        let mut journal = self.journal();
        journal.retain(|entry| !entry.token.starts_with(&operation));
        self.world.set_journal(journal);
    }

    /// The journal as it stands.
    #[must_use]
    pub fn journal(&self) -> Vec<JournalEntry> {
        self.world.journal()
    }

    /// The journal in short: `port a.p0 = 17`, `server a ?`.
    #[must_use]
    pub fn journal_lines(&self) -> Vec<String> {
        let line = |entry: &JournalEntry| match &entry.element {
            Some(id) => format!("{} {} = {id}", entry.kind, entry.token),
            None => format!("{} {} ?", entry.kind, entry.token),
        };
        self.journal().iter().map(line).collect()
    }

    /// Sets the journal, for a test that begins in the middle.
    pub fn set_journal(&self, entries: Vec<JournalEntry>) {
        self.world.set_journal(entries);
    }

    /// What was logged.
    #[must_use]
    pub fn log(&self) -> Vec<Line> {
        self.world.lines()
    }

    /// Moves the clock; what is cached may end.
    pub fn advance(&self, by: Duration) {
        self.world.advance(by);
    }

    /// Empties the cache, as a restart of the host does.
    pub fn clear_cache(&self) {
        self.world.clear_cache();
    }

    /// Lets the instance die at its `point`th journal or HTTP call: even ones before it takes effect, odd ones after.
    pub fn crash_at(&self, point: usize) {
        self.world.crash_at(Some(point));
    }

    /// Runs a call that may crash by [`TestKit::crash_at`]; `None` when it did.
    pub fn run<T>(&self, call: impl FnOnce() -> T) -> Option<T> {
        let result = catch_unwind(AssertUnwindSafe(call));
        self.world.crash_at(None);
        match result {
            Ok(value) => Some(value),
            Err(panic) if panic.is::<Crash>() => None,
            Err(panic) => resume_unwind(panic),
        }
    }

    /// Tries every crash point of a piece of work. For each: `prepare` makes a fresh start, `work` runs and dies there, an hour
    /// passes (so that what was begun has settled), `work` runs again to its end, and `check` looks at what is left. Answers how
    /// many points there were.
    ///
    /// `work` is one task from start to end: it makes its calls with [`TestKit::call`] until it is done.
    pub fn survives_crashes(
        &self,
        mut prepare: impl FnMut(&Self),
        mut work: impl FnMut(&Self),
        mut check: impl FnMut(&Self, usize),
    ) -> usize {
        for point in 0..MOST_CRASH_POINTS {
            self.world.restart();
            prepare(self);
            self.crash_at(point);
            if self.run(|| work(self)).is_some() {
                check(self, point);
                return point;
            }
            self.advance(Duration::from_hours(1));
            work(self);
            check(self, point);
        }
        MOST_CRASH_POINTS
    }
}

impl Drop for TestKit {
    fn drop(&mut self) {
        world::install(None);
    }
}

impl Answer {
    /// An answer with nothing but a status.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    /// The same, with a JSON body.
    #[must_use]
    pub fn json<T: Serialize + ?Sized>(mut self, body: &T) -> Self {
        self.body = json(body).into_bytes();
        self.header("content-type", "application/json")
    }

    /// The same, with a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}
