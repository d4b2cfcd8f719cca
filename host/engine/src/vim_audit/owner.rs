//! Whether a record owns an element that carries our token.

use vimhost_connector::Owned;
use vimhost_model::{JournalEntry, Resource};

/// Why nothing owns an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unowned {
    /// There is no document of the id in its token.
    NoRecord,
    /// The document has ended: what it made is gone, or was left on purpose (a volume that outlives its VM).
    Ended,
    /// The document has another element under the same token.
    Another,
}

impl Unowned {
    /// For people.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::NoRecord => "no record has its mark",
            Self::Ended => "its record has ended",
            Self::Another => "its record has another element under the same mark",
        }
    }
}

/// Why the document that an element's token names does not own it; none when it does.
///
/// With work outstanding everything under the token is owned: it is being made, changed or deleted, and whoever does that looks for it
/// by the token. What failed half-way is owned by its journal, from which it is deleted later.
pub(super) fn unowned(resource: Option<&Resource>, element: &Owned) -> Option<Unowned> {
    let Some(resource) = resource else {
        return Some(Unowned::NoRecord);
    };
    if resource.has_open_tasks() || names(resource, element) {
        return None;
    }
    Some(if resource.may_exist() {
        Unowned::Another
    } else {
        Unowned::Ended
    })
}

/// Whether a document names an element: by its journal, or as what it is about. A volume that is kept is named by its document until
/// the service is forgotten.
pub(super) fn names(resource: &Resource, element: &Owned) -> bool {
    let journalled = |entry: &JournalEntry| match &entry.element {
        Some(id) => *id == element.id,
        // Announced, and not known to be made: whatever is found by the token is it.
        None => entry.token == element.token,
    };
    resource.vim.vim_id.as_ref() == Some(&element.id) || resource.journal.iter().any(journalled)
}

#[cfg(test)]
mod tests {
    use vimhost_model::{Item, JournalStatus, TaskAction, TaskStatus, Timestamp, VimId};
    use vimhost_store::contract::sample;

    use super::*;

    fn element(id: &str, token: &str) -> Owned {
        Owned {
            id: sample::id(id),
            token: token.to_owned(),
            name: None,
        }
    }

    fn entry(token: &str, element: Option<&str>) -> JournalEntry {
        JournalEntry {
            id: 1,
            kind: "port".to_owned(),
            token: token.to_owned(),
            status: element.map_or(JournalStatus::Begun, |_| JournalStatus::Committed),
            begun_at: Timestamp(0),
            element: element.map(sample::id),
        }
    }

    /// A server that is in service, made under the token `a`.
    fn made() -> Resource {
        let mut task = sample::task("ns", "act", 0, TaskAction::Create, Item::Vdu);
        task.status = TaskStatus::Done;
        let mut resource = sample::resource("a", "vim", vec![task]);
        resource.vim.created = true;
        resource.vim.vim_id = VimId::new("vm-1").ok();
        resource.journal = vec![entry("a.p0", Some("port-1"))];
        resource
    }

    #[test]
    fn what_was_made_and_what_is_announced_is_owned() {
        let mut resource = made();
        assert_eq!(unowned(Some(&resource), &element("vm-1", "a")), None);
        assert_eq!(unowned(Some(&resource), &element("port-1", "a.p0")), None);
        resource.journal.push(entry("a.p1", None));
        assert_eq!(unowned(Some(&resource), &element("port-2", "a.p1")), None);
    }

    #[test]
    fn a_second_element_under_a_token_is_nobodys() {
        let resource = made();
        assert_eq!(unowned(Some(&resource), &element("vm-2", "a")), Some(Unowned::Another));
        assert_eq!(
            unowned(Some(&resource), &element("port-9", "a.p0")),
            Some(Unowned::Another)
        );
    }

    #[test]
    fn an_element_whose_record_ended_or_is_missing_is_nobodys() {
        let mut resource = made();
        resource.journal.clear();
        resource.vim.created = false;
        resource.vim.vim_id = None;
        assert_eq!(unowned(Some(&resource), &element("vm-1", "a")), Some(Unowned::Ended));
        assert_eq!(unowned(None, &element("vm-1", "a")), Some(Unowned::NoRecord));
    }

    #[test]
    fn while_work_is_outstanding_all_of_it_is_owned() {
        let mut resource = made();
        let mut delete = sample::task("ns", "act", 1, TaskAction::Delete, Item::Vdu);
        delete.status = TaskStatus::Build;
        resource.tasks.push(delete);
        assert_eq!(unowned(Some(&resource), &element("vm-2", "a")), None);
    }
}
