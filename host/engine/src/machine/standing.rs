//! How an element stands, seen by those who wait for it.

use vimhost_model::{Item, Resource, TaskAction, TaskStatus, Until, VimId};

use super::ports::{self, Location};

/// How an element stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What it is.
    pub item: Item,
    /// As something to be used.
    pub creation: Creation,
    /// As something to be got rid of.
    pub deletion: Deletion,
    /// As a VM whose interfaces are to be joined with others.
    pub location: Location,
}

/// How far an element is that others want to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Creation {
    /// Not made yet.
    Awaited,
    /// It has an id.
    Usable(VimId),
    /// It failed, and why.
    Failed(String),
    /// Nobody wants it any more.
    Over,
}

/// How far an element is that has to be gone first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deletion {
    /// A deletion is outstanding.
    Awaited,
    /// The deletion was given up, and why.
    Failed(String),
    /// Nothing stands in the way: it is gone, or somebody else keeps it.
    Clear,
}

impl Standing {
    /// How a resource stands.
    #[must_use]
    pub fn of(resource: &Resource) -> Self {
        Self {
            item: resource.item,
            creation: creation(resource),
            deletion: deletion(resource),
            location: ports::location(resource),
        }
    }

    /// Whether others can be made from it.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        matches!(self.creation, Creation::Usable(_))
    }

    /// Whether whoever waits for this has what it waits for.
    #[must_use]
    pub fn is_there(&self, until: Until) -> bool {
        match until {
            Until::Created => self.is_usable(),
            Until::Located => matches!(self.location, Location::Known(_)),
            Until::Deleted => self.deletion == Deletion::Clear,
        }
    }

    /// Whether whoever waits for this has to wait on.
    #[must_use]
    pub fn is_awaited(&self, until: Until) -> bool {
        match until {
            Until::Created => self.creation == Creation::Awaited,
            Until::Deleted => self.deletion == Deletion::Awaited,
            Until::Located => self.location == Location::Awaited,
        }
    }
}

fn creation(resource: &Resource) -> Creation {
    let mut failed = None;
    let mut open = false;
    for task in resource.live_creates() {
        match task.status {
            TaskStatus::Failed => failed = Some(task.message.clone().unwrap_or_else(|| "unknown".to_owned())),
            TaskStatus::Done | TaskStatus::Build => {
                if let Some(id) = &resource.vim.vim_id {
                    return Creation::Usable(id.clone());
                }
                open = true;
            }
            TaskStatus::Scheduled => open = true,
            TaskStatus::Finished | TaskStatus::Superseded => {}
        }
    }
    match (open, failed) {
        (true, _) => Creation::Awaited,
        (false, Some(message)) => Creation::Failed(message),
        (false, None) => Creation::Over,
    }
}

fn deletion(resource: &Resource) -> Deletion {
    let deletes = || resource.tasks.iter().filter(|task| task.action == TaskAction::Delete);
    if deletes().any(|task| task.status.is_open()) {
        return Deletion::Awaited;
    }
    let given_up = deletes().next_back().filter(|task| task.status == TaskStatus::Failed);
    match given_up {
        Some(task) if resource.may_exist() && resource.live_creates().next().is_none() => {
            Deletion::Failed(task.message.clone().unwrap_or_else(|| "unknown".to_owned()))
        }
        _ => Deletion::Clear,
    }
}
