//! The resource document: one element on one target, with every task that concerns it.

use serde::{Deserialize, Serialize};

use crate::{
    Item, ItemRef, JournalEntry, NsrId, ResourceId, TargetId, Task, TaskAction, TaskStatus, Timestamp, VimState,
};

/// Counts the changes of a document; a change is made only to the revision it was decided on.
pub type Revision = u64;

/// Who wants an element: one item of one service's records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The service.
    pub nsr_id: NsrId,
    /// The item its results are written to.
    pub item: ItemRef,
}

/// One element on one target.
///
/// Several services may hold one element (`common_id`); the last release deletes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    /// Its id, which is also the token its element carries in the VIM (see [`Resource::token`]).
    pub id: ResourceId,
    /// The account it is on.
    pub target: TargetId,
    /// What it is.
    pub item: Item,
    /// Grows when the element is made anew, so that the old one is never taken for the new one.
    pub generation: u32,
    /// Its tasks, oldest first.
    pub tasks: Vec<Task>,
    /// What is known of the element.
    pub vim: VimState,
    /// What creating calls announced and nobody has reported gone. Kept by the store beside the document.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub journal: Vec<JournalEntry>,
    /// Elements it was made with, which must outlive it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uses: Vec<ResourceId>,
    /// When it is to be observed next; none: only with the idle ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observe_at: Option<Timestamp>,
    /// How often it was observed without a change; makes the interval grow.
    #[serde(default)]
    pub observed_unchanged: u32,
    /// When it was planned.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub modified_at: Timestamp,
    /// Its revision.
    #[serde(default)]
    pub revision: Revision,
}

impl Resource {
    /// An element that was planned, with its first tasks; nothing is known of it.
    #[must_use]
    pub fn planned(id: ResourceId, target: TargetId, item: Item, tasks: Vec<Task>, at: Timestamp) -> Self {
        Self {
            id,
            target,
            item,
            generation: 1,
            tasks,
            vim: VimState::default(),
            journal: Vec::new(),
            uses: Vec::new(),
            observe_at: None,
            observed_unchanged: 0,
            created_at: at,
            modified_at: at,
            revision: 0,
        }
    }

    /// The token of the element's present generation: the same at each repetition, never used for another element.
    #[must_use]
    pub fn token(&self) -> String {
        if self.generation <= 1 {
            self.id.to_string()
        } else {
            format!("{}-g{}", self.id, self.generation)
        }
    }

    /// Whether any task has work outstanding.
    #[must_use]
    pub fn has_open_tasks(&self) -> bool {
        self.tasks.iter().any(|task| task.status.is_open())
    }

    /// Items that want the element: those with a CREATE that was not ended.
    pub fn holders(&self) -> impl Iterator<Item = Holder> + '_ {
        self.live_creates().map(|task| Holder {
            nsr_id: task.nsr_id.clone(),
            item: task.target_record.clone(),
        })
    }

    /// CREATE tasks that were not ended by a DELETE.
    pub fn live_creates(&self) -> impl Iterator<Item = &Task> {
        self.tasks
            .iter()
            .filter(|task| task.action == TaskAction::Create && task.status != TaskStatus::Finished)
    }

    /// Whether a call has announced anything for the element itself. A journal can hold more: volumes that were taken over from the
    /// element before it.
    #[must_use]
    pub fn has_announced(&self) -> bool {
        let token = self.token();
        let own = |entry: &JournalEntry| {
            let rest = entry.token.strip_prefix(&token);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.journal.iter().any(own)
    }

    /// Whether something of it exists, or may exist, in the VIM and is ours to delete.
    #[must_use]
    pub fn may_exist(&self) -> bool {
        (self.vim.created && self.vim.vim_id.is_some()) || !self.journal.is_empty()
    }
}
