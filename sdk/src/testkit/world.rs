//! What the host of a test knows.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::time::Duration;

use super::Line;
use crate::http::{Answer, Exchange, Fault, Method};
use crate::log::Level;
use crate::types::{Error, JournalEntry, JournalStatus};

thread_local! {
    static WORLD: RefCell<Option<Rc<World>>> = const { RefCell::new(None) };
}

/// When the clock of a test starts: 2001-09-09, a time nobody takes for the present or for zero.
const START: Duration = Duration::from_secs(1_000_000_000);

/// What a crash on purpose unwinds with.
pub(super) struct Crash;

/// Where in a call to the host an instance may die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    Before,
    After,
}

type Vim = dyn Fn(&Exchange) -> Result<Answer, Fault>;

struct Scripted {
    method: Method,
    path_and_query: String,
    result: Result<Answer, Fault>,
}

pub(crate) struct World {
    vim: RefCell<Option<Rc<Vim>>>,
    scripted: RefCell<VecDeque<Scripted>>,
    exchanges: RefCell<Vec<Exchange>>,
    journal: RefCell<Vec<JournalEntry>>,
    entries: Cell<u64>,
    /// When each entry was announced last.
    begun: RefCell<HashMap<u64, Duration>>,
    cache: RefCell<HashMap<String, (Vec<u8>, Duration)>>,
    lines: RefCell<Vec<Line>>,
    now: Cell<Duration>,
    random: Cell<u64>,
    /// How many points may still be passed.
    crash_in: Cell<Option<usize>>,
}

impl Default for World {
    fn default() -> Self {
        Self {
            vim: RefCell::default(),
            scripted: RefCell::default(),
            exchanges: RefCell::default(),
            journal: RefCell::default(),
            entries: Cell::new(0),
            begun: RefCell::default(),
            cache: RefCell::default(),
            lines: RefCell::default(),
            now: Cell::new(START),
            random: Cell::new(0),
            crash_in: Cell::new(None),
        }
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("journal", &self.journal)
            .finish_non_exhaustive()
    }
}

pub(super) fn install(world: Option<Rc<World>>) {
    WORLD.set(world);
}

/// Runs something with the world of this thread, if it has one.
pub(crate) fn with<T>(run: impl FnOnce(&World) -> T) -> Option<T> {
    let world = WORLD.with_borrow(Option::clone)?;
    Some(run(&world))
}

impl World {
    /// A fresh start with the same VIM: a new host.
    pub(super) fn restart(&self) {
        self.scripted.borrow_mut().clear();
        self.exchanges.borrow_mut().clear();
        self.journal.borrow_mut().clear();
        self.cache.borrow_mut().clear();
        self.lines.borrow_mut().clear();
        self.crash_in.set(None);
    }

    pub(crate) fn pass(&self, _at: Point) {
        match self.crash_in.get() {
            None => {}
            // Not a panic: the harness would report it.
            Some(0) => resume_unwind(Box::new(Crash)),
            Some(left) => self.crash_in.set(Some(left - 1)),
        }
    }

    pub(super) fn crash_at(&self, point: Option<usize>) {
        self.crash_in.set(point);
    }

    pub(crate) fn log(&self, level: Level, message: &str, fields: &[(String, String)]) {
        self.lines.borrow_mut().push(Line {
            level,
            message: message.to_owned(),
            fields: fields.to_vec(),
        });
    }

    pub(super) fn lines(&self) -> Vec<Line> {
        self.lines.borrow().clone()
    }

    pub(crate) fn begin(&self, kind: &str, token: &str) -> Result<u64, Error> {
        let mut journal = self.journal.borrow_mut();
        if let Some(entry) = journal.iter().find(|entry| entry.kind == kind && entry.token == token) {
            // Begun anew, unless it is committed: another request of it follows.
            if entry.status == JournalStatus::Begun {
                self.begun.borrow_mut().insert(entry.id, self.now.get());
            }
            return Ok(entry.id);
        }
        let id = self.entries.get() + 1;
        self.entries.set(id);
        journal.push(JournalEntry {
            id,
            kind: kind.to_owned(),
            token: token.to_owned(),
            status: JournalStatus::Begun,
            element: None,
            age_ms: 0,
        });
        self.begun.borrow_mut().insert(id, self.now.get());
        Ok(id)
    }

    pub(crate) fn commit(&self, id: u64, element: &str) -> Result<(), Error> {
        let mut journal = self.journal.borrow_mut();
        let entry = journal.iter_mut().find(|entry| entry.id == id);
        let entry = entry.ok_or_else(|| Error::not_found(format!("the journal has no entry {id}")))?;
        if let Some(other) = entry.element.as_ref().filter(|other| *other != element) {
            return Err(Error::conflict(format!(
                "entry {id} was committed with {other}, not with {element}"
            )));
        }
        entry.status = JournalStatus::Committed;
        entry.element = Some(element.to_owned());
        Ok(())
    }

    pub(crate) fn forget(&self, id: u64) -> Result<(), Error> {
        self.journal.borrow_mut().retain(|entry| entry.id != id);
        Ok(())
    }

    pub(super) fn journal(&self) -> Vec<JournalEntry> {
        let begun = self.begun.borrow();
        let mut entries = self.journal.borrow().clone();
        for entry in &mut entries {
            if let Some(at) = begun.get(&entry.id) {
                entry.age_ms = u64::try_from(self.now.get().saturating_sub(*at).as_millis()).unwrap_or(u64::MAX);
            }
        }
        entries
    }

    pub(super) fn set_journal(&self, entries: Vec<JournalEntry>) {
        self.entries.set(
            self.entries
                .get()
                .max(entries.iter().map(|entry| entry.id).max().unwrap_or_default()),
        );
        *self.journal.borrow_mut() = entries;
    }

    pub(crate) fn cached(&self, key: &str) -> Option<Vec<u8>> {
        let cache = self.cache.borrow();
        cache
            .get(key)
            .filter(|(_, end)| *end > self.now.get())
            .map(|(value, _)| value.clone())
    }

    pub(crate) fn keep(&self, key: &str, value: &[u8], lifetime: Duration) {
        self.cache.borrow_mut().insert(
            key.to_owned(),
            (value.to_vec(), self.now.get().saturating_add(lifetime)),
        );
    }

    pub(crate) fn drop_cached(&self, key: &str) {
        self.cache.borrow_mut().remove(key);
    }

    pub(super) fn clear_cache(&self) {
        self.cache.borrow_mut().clear();
    }

    pub(crate) fn now(&self) -> Duration {
        self.now.get()
    }

    pub(super) fn advance(&self, by: Duration) {
        self.now.set(self.now.get().saturating_add(by));
    }

    /// A counter, spread: the same in each run, and no two values alike.
    pub(crate) fn random(&self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count + 8);
        while bytes.len() < count {
            let next = self.random.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
            self.random.set(next);
            bytes.extend_from_slice(&(next ^ (next >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9).to_le_bytes());
        }
        bytes.truncate(count);
        bytes
    }

    pub(super) fn set_vim(&self, vim: Rc<Vim>) {
        *self.vim.borrow_mut() = Some(vim);
    }

    pub(super) fn script(&self, method: Method, path_and_query: &str, result: Result<Answer, Fault>) {
        let path_and_query = path_and_query.to_owned();
        self.scripted.borrow_mut().push_back(Scripted {
            method,
            path_and_query,
            result,
        });
    }

    pub(super) fn exchanges(&self) -> Vec<Exchange> {
        self.exchanges.borrow().clone()
    }

    pub(super) fn clear_exchanges(&self) {
        self.exchanges.borrow_mut().clear();
    }

    pub(crate) fn send(&self, exchange: &Exchange) -> Result<Answer, Fault> {
        self.exchanges.borrow_mut().push(exchange.clone());
        let next = self.scripted.borrow_mut().pop_front();
        if let Some(next) = next {
            let got = format!("{} {}", exchange.method, exchange.target.path_and_query());
            let wanted = format!("{} {}", next.method, next.path_and_query);
            return if got == wanted {
                next.result
            } else {
                Err(Fault::Invalid(format!("the test scripted {wanted}, and this is {got}")))
            };
        }
        let vim = self.vim.borrow().clone();
        let answer = match vim {
            Some(vim) => vim(exchange)?,
            None => return Err(Fault::Invalid("the test scripted no further answer".to_owned())),
        };
        if answer.body.len() > exchange.largest_answer {
            Err(Fault::TooLarge)
        } else {
            Ok(answer)
        }
    }
}
