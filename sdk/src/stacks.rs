//! Stacks, which the VIM itself turns into many elements: the trait [`Stacks`] and its records.

use crate::bindings::stacks::exports::vimhost::connector::stacks::Guest;
pub use crate::bindings::stacks::exports::vimhost::connector::stacks::{
    ObservedStacks, StackAction, StackContent, StackObservation, StackProgress, StackRef, StackRequest, StackResource,
    UpdateMode, UpdateStep,
};
use crate::host::start;
use crate::types::{Account, Call, CreateStep, DeleteStep, Error, Pending};

type Result<T> = std::result::Result<T, Error>;

/// A connector of stacks.
///
/// # Errors
///
/// All functions fail with what the VIM said; see [`Error`].
#[expect(clippy::missing_errors_doc, reason = "said once, for all of them")]
pub trait Stacks {
    /// Makes a stack; its id is committed to the journal right after the VIM's first answer.
    fn create_stack(account: &Account, call: &Call, request: StackRequest) -> Result<CreateStep>;

    /// Changes a stack, once for each operation.
    fn update_stack(
        account: &Account,
        call: &Call,
        stack: &StackRef,
        mode: UpdateMode,
        content: StackContent,
    ) -> Result<UpdateStep>;

    /// A stack by its name.
    fn find_stack(account: &Account, name: &str) -> Result<Option<StackObservation>>;

    /// How stacks are, many in one request.
    fn observe_stacks(account: &Account, stacks: &[StackRef], cursor: Option<&[u8]>) -> Result<ObservedStacks>;

    /// Resources of a stack, down to `depth` nested stacks.
    fn list_resources(account: &Account, stack: &StackRef, depth: u8) -> Result<Vec<StackResource>>;

    /// Template, files and parameters the VIM has stored.
    fn get_content(account: &Account, stack: &StackRef) -> Result<StackContent>;

    /// Marks a resource so that the next update replaces it.
    fn mark_unhealthy(
        account: &Account,
        call: &Call,
        stack: &StackRef,
        resource_name: &str,
        reason: &str,
    ) -> Result<UpdateStep>;

    /// Deletes a stack: accepted while the VIM is at it. Not existing is success.
    fn delete_stack(account: &Account, call: &Call, stack: &StackRef) -> Result<DeleteStep>;
}

impl<T: Stacks> Guest for T {
    fn create_stack(account: Account, call: Call, request: StackRequest) -> Result<CreateStep> {
        start();
        T::create_stack(&account, &call, request)
    }

    fn update_stack(
        account: Account,
        call: Call,
        stack: StackRef,
        mode: UpdateMode,
        content: StackContent,
    ) -> Result<UpdateStep> {
        start();
        T::update_stack(&account, &call, &stack, mode, content)
    }

    fn find_stack(account: Account, name: String) -> Result<Option<StackObservation>> {
        start();
        T::find_stack(&account, &name)
    }

    fn observe_stacks(account: Account, stacks: Vec<StackRef>, cursor: Option<Vec<u8>>) -> Result<ObservedStacks> {
        start();
        T::observe_stacks(&account, &stacks, cursor.as_deref())
    }

    fn list_resources(account: Account, stack: StackRef, depth: u8) -> Result<Vec<StackResource>> {
        start();
        T::list_resources(&account, &stack, depth)
    }

    fn get_content(account: Account, stack: StackRef) -> Result<StackContent> {
        start();
        T::get_content(&account, &stack)
    }

    fn mark_unhealthy(
        account: Account,
        call: Call,
        stack: StackRef,
        resource_name: String,
        reason: String,
    ) -> Result<UpdateStep> {
        start();
        T::mark_unhealthy(&account, &call, &stack, &resource_name, &reason)
    }

    fn delete_stack(account: Account, call: Call, stack: StackRef) -> Result<DeleteStep> {
        start();
        T::delete_stack(&account, &call, &stack)
    }
}

impl From<Pending> for UpdateStep {
    fn from(pending: Pending) -> Self {
        Self::Pending(pending)
    }
}

/// Heat's words for a stack, `UPDATE_IN_PROGRESS` and the like. One that Heat does not have is a failure: whoever waited for it would wait
/// for ever.
#[must_use]
pub fn status_words(status: &str) -> (StackAction, StackProgress) {
    let (action, progress) = status.split_once('_').unwrap_or((status, ""));
    let action = match action {
        "CREATE" => StackAction::Create,
        "UPDATE" => StackAction::Update,
        "DELETE" => StackAction::Delete,
        "ROLLBACK" => StackAction::Rollback,
        _ => StackAction::Other,
    };
    let progress = match progress {
        "IN_PROGRESS" => StackProgress::InProgress,
        "COMPLETE" => StackProgress::Complete,
        _ => StackProgress::Failed,
    };
    (action, progress)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_an_action_and_how_far_it_is() {
        for (status, action, how_far) in [
            ("CREATE_IN_PROGRESS", StackAction::Create, StackProgress::InProgress),
            ("UPDATE_COMPLETE", StackAction::Update, StackProgress::Complete),
            ("ROLLBACK_FAILED", StackAction::Rollback, StackProgress::Failed),
            ("DELETE_IN_PROGRESS", StackAction::Delete, StackProgress::InProgress),
            ("SUSPEND_COMPLETE", StackAction::Other, StackProgress::Complete),
            ("", StackAction::Other, StackProgress::Failed),
        ] {
            assert_eq!(status_words(status), (action, how_far), "{status}");
        }
    }
}
