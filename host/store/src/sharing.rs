//! Elements that several services share under a `common_id`: one rule for every store.
//!
//! A service that wants an element under a common id joins the one that is there, if it is one to join ([`is_shared`]); else its plan
//! makes one. Two services that are planned at the same time both find none. So whoever accepts a plan looks again, in the step
//! that accepts it: for what the plan makes under a common id ([`made_under`]), nothing to join may be there that the plan did not
//! know.

use vimhost_model::{Resource, TaskAction, TaskStatus, VimStatus};

/// Whether a service that wants an element under this common id joins the resource: somebody holds it under that id by a creation that has
/// not failed, and it is not known to be gone. One that its last holder is giving up is still to be joined until it is gone.
#[must_use]
pub fn is_shared(resource: &Resource, common_id: &str) -> bool {
    resource.vim.vim_status != Some(VimStatus::Deleted)
        && resource
            .live_creates()
            .any(|task| task.common_id.as_deref() == Some(common_id) && task.status != TaskStatus::Failed)
}

/// The common ids under which a planned resource is still to be made. What is taken over as made has none: it is there, whoever else has
/// one of the name.
#[must_use]
pub fn made_under(planned: &Resource) -> Vec<&str> {
    let open = |task: &&vimhost_model::Task| task.action == TaskAction::Create && task.status.is_open();
    let mut common_ids: Vec<_> = planned
        .tasks
        .iter()
        .filter(open)
        .filter_map(|task| task.common_id.as_deref())
        .collect();
    common_ids.sort_unstable();
    common_ids.dedup();
    common_ids
}
