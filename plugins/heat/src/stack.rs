//! A stack as Heat shows it, in a list or by itself.

use serde::Deserialize;
use serde_json::{Map, Value};
use vimhost_keystone::told::Words;
use vimhost_sdk::prelude::*;
use vimhost_sdk::stacks::status_words;
use vimhost_sdk::tokens;

/// What Heat goes on showing by name and id of a stack that is gone, until an operator purges its database.
const DELETED: &str = "DELETE_COMPLETE";

/// A stack as Heat shows it.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Stack {
    pub(crate) id: String,
    #[serde(rename = "stack_name")]
    pub(crate) name: String,
    #[serde(default, rename = "stack_status")]
    pub(crate) status: String,
    #[serde(default, rename = "stack_status_reason")]
    reason: Option<String>,
    #[serde(default)]
    creation_time: Option<String>,
    #[serde(default)]
    updated_time: Option<String>,
    #[serde(default)]
    tags: Words,
    /// Not in a list.
    #[serde(default)]
    pub(crate) parameters: Map<String, Value>,
    #[serde(default)]
    pub(crate) disable_rollback: Option<bool>,
    #[serde(default)]
    pub(crate) timeout_mins: Option<u32>,
}

impl Stack {
    /// One of a list.
    pub(crate) fn read(item: Value) -> Result<Self, Failure> {
        serde_json::from_value(item).map_err(|error| {
            let message = format!("looking at stacks: Heat lists one that is not understood: {error}");
            Failure::new(ErrorKind::Internal, Outcome::NotDone, message)
        })
    }

    /// Whether one of its tags is this token.
    pub(crate) fn carries(&self, token: &str) -> bool {
        // Heat shows a list; in requests it is one text with commas.
        let mut tags = self.tags.0.iter().flat_map(|tags| tags.split(','));
        tags.any(|tag| tag.trim() == token)
    }

    /// Whether one of its tags is a token of some installation of vimhost, whichever element it names.
    pub(crate) fn has_an_owner(&self) -> bool {
        let mut tags = self.tags.0.iter().flat_map(|tags| tags.split(','));
        tags.any(|tag| tokens::is_anybodys(tag.trim()))
    }

    /// The token of ours that it carries; none of an operation.
    pub(crate) fn token(&self, prefix: &str) -> Option<&str> {
        let tags = self.tags.0.iter().flat_map(|tags| tags.split(','));
        let mut of_elements = tags.map(str::trim).filter(|tag| !tag.contains(".op-"));
        of_elements.find_map(|tag| tokens::ours(tag, prefix))
    }

    /// Whether it does not exist any more.
    pub(crate) fn is_deleted(&self) -> bool {
        self.status == DELETED
    }

    /// Whether it is being deleted, or its name is about to be free: some seconds pass between the two.
    pub(crate) fn is_going(&self) -> bool {
        self.is_deleted() || self.status == "DELETE_IN_PROGRESS"
    }

    /// As the contract says it.
    pub(crate) fn observation(&self) -> StackObservation {
        let (action, progress) = status_words(&self.status);
        let changed = self.updated_time.as_ref().or(self.creation_time.as_ref());
        StackObservation {
            stack: StackRef {
                name: self.name.clone(),
                id: Some(self.id.clone()),
            },
            action,
            progress,
            status_text: self.status.clone(),
            reason: self.reason.clone().filter(|reason| !reason.is_empty()),
            updated: changed.cloned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_stack_is_read_with_and_without_what_only_some_answers_have() {
        let shown = json!({"id": "i1", "stack_name": "s", "stack_status": "CREATE_COMPLETE", "stack_status_reason": "",
                           "creation_time": "2026-01-01T00:00:00Z", "updated_time": null, "tags": ["a-1", "a-1.op-x"]});
        let stack: Stack = serde_json::from_value(shown).unwrap();
        assert!(stack.carries("a-1.op-x") && !stack.carries("a-2") && !stack.is_going());
        let observed = stack.observation();
        assert_eq!(observed.updated.as_deref(), Some("2026-01-01T00:00:00Z"));
        assert_eq!(observed.reason, None);
        let bare: Stack = serde_json::from_value(json!({"id": "i1", "stack_name": "s", "tags": null})).unwrap();
        assert!(!bare.carries("a-1"));
    }

    #[test]
    fn only_a_tag_with_an_installations_letters_says_that_a_stack_has_an_owner() {
        let owned = |tags: Value| {
            let shown = json!({"id": "i1", "stack_name": "s", "tags": tags});
            serde_json::from_value::<Stack>(shown).unwrap().has_an_owner()
        };
        for tags in [
            json!(["abcde-op-1"]),
            json!(["blue", "qwert-op-1.op-0a"]),
            json!("blue,qwert-1"),
        ] {
            assert!(owned(tags.clone()), "{tags}");
        }
        for tags in [
            json!(null),
            json!([]),
            json!(["blue", "team-a", "Abcde-1", "abcde", "abcdef-1"]),
        ] {
            assert!(!owned(tags.clone()), "{tags}");
        }
    }
}
