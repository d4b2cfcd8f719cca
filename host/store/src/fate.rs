//! What becomes of a service's resources when the service is forgotten: one rule for every store.

use vimhost_model::{NsrId, Resource, Task};

/// What to do with a resource of a service that is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It may exist in the VIM, or work is outstanding, and nobody else holds it: it stays, so that it is found again.
    Stays,
    /// Others hold it, or have tasks in it: only the service's tasks go.
    Loses,
    /// Nothing of it is left.
    Goes,
}

impl Fate {
    /// Decides by who holds the resource and whether it may still exist.
    #[must_use]
    pub fn of(resource: &Resource, nsr: &NsrId) -> Self {
        let of_others = |task: &Task| task.nsr_id != *nsr;
        let held = resource.live_creates().any(of_others)
            || resource
                .tasks
                .iter()
                .any(|task| of_others(task) && task.status.is_open());
        if held {
            return Self::Loses;
        }
        if resource.may_exist() || resource.has_open_tasks() {
            return Self::Stays;
        }
        if resource.tasks.iter().any(of_others) {
            Self::Loses
        } else {
            Self::Goes
        }
    }
}
