//! What a takeover would do, or has done, for people and programs.

use std::collections::BTreeMap;

use serde::Serialize;
use vimhost_model::NsrId;

/// What stands in the way. Nothing is written while there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Obstacle {
    /// What it is.
    pub what: String,
    /// What mends it.
    pub remedy: String,
    /// The services it is about; none: it is about all.
    pub services: Vec<NsrId>,
}

/// How many elements of a kind there are, and what becomes of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Elements {
    /// NG-RO made them: the last service that gives one up has it deleted.
    pub made: usize,
    /// They were found: they are never deleted.
    pub found: usize,
    /// Their making goes on.
    pub to_make: usize,
    /// Their deletion goes on.
    pub to_delete: usize,
    /// They are not there, because their making failed or they were deleted; what NG-RO did is kept for who asks.
    pub absent: usize,
    /// Commands in documents of their own, kept for who asks.
    pub commands: usize,
}

/// What becomes of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is to be taken over.
    ToTakeOver,
    /// It is taken over.
    TakenOver,
    /// It was taken over before; nothing is done.
    Before,
    /// Somebody has said that it is to be left.
    LeftOut,
    /// It has no record any more; nothing of it is taken over.
    WithoutRecord,
}

impl State {
    /// Its words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ToTakeOver => "to be taken over",
            Self::TakenOver => "taken over",
            Self::Before => "taken over before",
            Self::LeftOut => "left out",
            Self::WithoutRecord => "has no record",
        }
    }
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServiceReport {
    /// Its id.
    pub id: NsrId,
    /// Its name; empty where it has no record.
    pub name: String,
    /// What becomes of it.
    pub state: State,
    /// Actions that clients may still ask about.
    pub actions: usize,
    /// Resource documents that hold a task of it.
    pub resources: usize,
    /// Tasks of it that go on.
    pub going_on: usize,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Nothing was written.
    pub dry_run: bool,
    /// Documents that NG-RO left.
    pub documents: usize,
    /// Resources by kind.
    pub elements: BTreeMap<&'static str, Elements>,
    /// The services by id.
    pub services: Vec<ServiceReport>,
    /// What a person should know about no service in particular.
    pub warnings: Vec<String>,
    /// What stands in the way.
    pub obstacles: Vec<Obstacle>,
}
