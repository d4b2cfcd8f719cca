//! Puts the plan of an operation together, task by task.

use std::collections::HashMap;

use vimhost_model::{
    ActionId, Item, ItemRef, JournalEntry, RecordChange, Resource, ResourceId, TargetId, Task, TaskAction, TaskId,
};
use vimhost_store::ResourceUpdate;

use super::{Facts, Plan};
use crate::Error;
use crate::machine::is_injection;

/// What a task is about.
pub(super) struct What<'a> {
    pub(super) action: TaskAction,
    pub(super) item: Item,
    /// Where results go.
    pub(super) record: &'a ItemRef,
    pub(super) position: usize,
}

/// A task that nothing has happened to.
pub(super) fn task(facts: &Facts, action_id: &ActionId, id: TaskId, what: What<'_>) -> Task {
    let nsr_id = facts.nsr_id.clone();
    Task {
        position: what.position,
        ..Task::scheduled(
            id,
            action_id.clone(),
            nsr_id,
            what.action,
            what.item,
            what.record.clone(),
        )
    }
}

/// A plan in the making. Tasks are numbered in the order they are asked for.
pub(super) struct Assembly<'f> {
    pub(super) facts: &'f Facts,
    action_id: &'f ActionId,
    new_id: &'f mut dyn FnMut() -> ResourceId,
    tasks: usize,
    new_resources: Vec<Resource>,
    updates: Vec<(TargetId, ResourceUpdate)>,
    places: HashMap<ResourceId, usize>,
    /// VMs that will be elsewhere, or in another document: before and after.
    pub(super) moved: Vec<(ResourceId, ResourceId)>,
    pub(super) record_changes: Vec<RecordChange>,
    pub(super) texts: Vec<(String, String)>,
}

impl<'f> Assembly<'f> {
    pub(super) fn new(facts: &'f Facts, action_id: &'f ActionId, new_id: &'f mut dyn FnMut() -> ResourceId) -> Self {
        Self {
            facts,
            action_id,
            new_id,
            tasks: 0,
            new_resources: Vec::new(),
            updates: Vec::new(),
            places: HashMap::new(),
            moved: Vec::new(),
            record_changes: Vec::new(),
            texts: Vec::new(),
        }
    }

    /// The next task.
    pub(super) fn task(&mut self, what: What<'_>) -> Result<Task, Error> {
        let id = TaskId::new(format!("{}:{}", self.action_id, self.tasks))
            .map_err(|error| Error::shape("action_id", error.to_string()))?;
        self.tasks += 1;
        Ok(task(self.facts, self.action_id, id, what))
    }

    /// Gives a task to an element that exists; `uses` is what the element uses from then on.
    pub(super) fn update(&mut self, resource: &Resource, task: Task, uses: Vec<ResourceId>) {
        let index = *self.places.entry(resource.id.clone()).or_insert(self.updates.len());
        if let Some((_, update)) = self.updates.get_mut(index) {
            update.tasks.push(task);
            update.uses.extend(uses);
            return;
        }
        let update = ResourceUpdate {
            resource: resource.id.clone(),
            expected: resource.revision,
            tasks: vec![task],
            uses,
        };
        self.updates.push((resource.target.clone(), update));
    }

    /// Gives a task to an element of its own; `journal` is what the element takes over from the one before it.
    pub(super) fn add(
        &mut self,
        target: &TargetId,
        task: Task,
        uses: Vec<ResourceId>,
        journal: Vec<JournalEntry>,
    ) -> ResourceId {
        let id = (self.new_id)();
        // What holds nothing but a command to somebody else's VM is not that VM.
        let item = if is_injection(&task) { Item::Update } else { task.item };
        self.new_resources.push(Resource {
            journal,
            uses,
            ..Resource::planned(id.clone(), target.clone(), item, vec![task], self.facts.now)
        });
        id
    }

    pub(super) fn finish(self) -> Plan {
        let (update_targets, updates) = self.updates.into_iter().unzip();
        Plan {
            changes: Vec::new(),
            nsr_id: self.facts.nsr_id.clone(),
            action_id: self.action_id.clone(),
            base: self.facts.base.clone(),
            accounts: Vec::new(),
            now: self.facts.now,
            new_resources: self.new_resources,
            updates,
            update_targets,
            record_changes: self.record_changes,
            texts: self.texts,
        }
    }
}
