//! The task machine: one resource, one event → the resource afterwards, what its records show, and what is to be done.
//!
//! [`apply`] is pure. It has no clock, does nothing, draws no random numbers; whoever calls it hands in the time and what other
//! elements are like, writes the result down, and only then does what it asks for. So each decision can be tested with data,
//! and a decision taken twice is the same decision.
//!
//! ```text
//!           Look                    Call
//!  ┌────► (what next?) ────────────────────────► connector
//!  │        │   │  │                               │
//!  │   Wait │   │  └ WakeAt                        │ Answered
//!  │        ▼   ▼                                  ▼
//!  └──── another element moved,  ◄───────── new state, written down
//!        time has come                             │ Observe
//!  ┌───────────────────────────────────────────────▼
//!  └──── Observed ◄──────────────────────────── shared poller
//! ```
//!
//! `Inject` is a call too, to the VM itself: its answer comes back in the same way.
//!
//! Order within a resource, which is NG-RO's: deletions, then creations, then commands. States: [`vimhost_model::TaskStatus`].
//!
//! What must always hold:
//! * A creating call is asked for only while its task is open, and always with the same token and the journal so far.
//! * An element is deleted only when nobody holds it any more, and given up as existing only when its journal is empty.
//! * A task that waits says on what; nothing waits for something that is over.

mod answer;
mod command;
mod inject;
mod look;
mod observe;
mod ports;
mod record;
pub mod request;
mod service;
mod standing;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use serde_json::{Map, Value};
use vimhost_connector::{
    CreateRequest, Created, DeleteRequest, DeleteStep, Error as CallError, FindRequest, Found, InjectionError,
    Observation, OperateRequest, Operated, Step,
};
use vimhost_model::{IllegalMove, RecordChange, Resource, ResourceId, TargetId, TaskId, Timestamp, VimId};

pub use command::CONSOLE;
pub use inject::InjectRequest;
pub(crate) use inject::is_injection;
pub(crate) use look::CANCELLED;
pub(crate) use observe::FAILED_PAUSE as LONGEST_UNSEEN;
pub(crate) use ports::{DataPlane, data_plane, location};
pub use ports::{Location, Port};
pub(crate) use service::{FEWEST_ENDS, given_ports};
pub use standing::{Creation, Standing};

/// What happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// Something may be to be done: a task was added, a wait is over.
    Look,
    /// The connector answered the call of a task.
    Answered(TaskId, Answer),
    /// The poller saw the element.
    Observed(Sight),
}

/// What was answered.
#[derive(Debug, Clone)]
pub enum Answer {
    /// To a search.
    Found(Result<Vec<Found>, CallError>),
    /// To a creating call.
    Created(Result<Step<Created>, CallError>),
    /// To a deleting call.
    Deleted(Result<DeleteStep, CallError>),
    /// To a command.
    Operated(Result<Step<Operated>, CallError>),
    /// To a key injection; not the connector's.
    Injected(Result<(), InjectionError>),
}

impl Answer {
    /// Whether the call failed.
    #[must_use]
    pub fn is_error(&self) -> bool {
        match self {
            Self::Found(found) => found.is_err(),
            Self::Created(made) => made.is_err(),
            Self::Deleted(gone) => gone.is_err(),
            Self::Operated(operated) => operated.is_err(),
            Self::Injected(injected) => injected.is_err(),
        }
    }
}

/// What the poller saw of an element.
#[derive(Debug, Clone)]
pub enum Sight {
    /// It is there, like this.
    Present(Box<Observation>),
    /// The VIM says that it does not exist.
    Gone(VimId),
}

/// What is around the resource.
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// Now.
    pub now: Timestamp,
    /// How the elements it waits for stand; one that is missing here does not exist.
    pub others: &'a HashMap<ResourceId, Standing>,
    /// Configuration of its account.
    pub config: &'a Map<String, Value>,
    /// Of a connectivity service: settings of the accounts that its VMs are on.
    pub vim_configs: &'a HashMap<TargetId, Map<String, Value>>,
    /// Large texts its parameters refer to, by digest; needed when a creating call may be due.
    pub texts: &'a HashMap<String, String>,
}

/// A call to be made.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Look for an existing element.
    Find(FindRequest),
    /// Make one.
    Create(CreateRequest),
    /// Delete it.
    Delete(DeleteRequest),
    /// Do something with it.
    Operate(OperateRequest),
}

/// What is to be done next, once the state is written down.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Make a call for a task and feed the answer back.
    Call(TaskId, Box<Request>),
    /// Let a key into the VM for a task and feed the answer back.
    Inject(TaskId, Box<InjectRequest>),
    /// Look again when one of these moves.
    Wait(Vec<ResourceId>),
    /// Look again then.
    WakeAt(Timestamp),
    /// Observe the element at `observe_at`.
    Observe,
    /// Look again at once: the state has changed and something else may be due.
    LookAgain,
}

/// What an event made of a resource.
#[derive(Debug)]
pub struct Outcome {
    /// The resource afterwards. Journal entries that it had and has no more end with it: they are dropped in the same write.
    pub resource: Resource,
    /// Whether it differs and has to be written down.
    pub changed: bool,
    /// Fields of records that show the new state; to be written with it.
    pub records: Vec<RecordChange>,
    /// What is to be done then.
    pub effects: Vec<Effect>,
}

/// Applies an event.
///
/// # Errors
/// When the rules would make a task move illegally: a fault of the machine itself, never of data.
pub fn apply(before: &Resource, event: Event, around: &Surroundings<'_>) -> Result<Outcome, IllegalMove> {
    let mut step = Machine {
        resource: before.clone(),
        around,
        effects: Vec::new(),
        records: Vec::new(),
    };
    match event {
        Event::Look => step.look()?,
        Event::Answered(task, answer) => step.answered(&task, answer)?,
        Event::Observed(sight) => step.observed(sight)?,
    }
    let Machine {
        mut resource,
        effects,
        mut records,
        ..
    } = step;
    let changed = resource != *before;
    if changed {
        resource.modified_at = around.now;
        records.splice(0..0, record::shown(before, &resource));
    }
    Ok(Outcome {
        resource,
        changed,
        records,
        effects,
    })
}

/// The machine at work on one resource.
struct Machine<'a> {
    resource: Resource,
    around: &'a Surroundings<'a>,
    effects: Vec<Effect>,
    records: Vec<RecordChange>,
}
