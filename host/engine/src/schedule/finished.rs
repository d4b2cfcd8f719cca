//! Counts what is open of each action, so that its end is logged once, when it comes, without asking the store.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Instant;

use vimhost_model::{ActionId, NsrId, Resource, TargetId, Task, TaskId, TaskStatus};

use super::lock;
use crate::plan::Plan;

#[derive(Default)]
pub(super) struct OpenActions(Mutex<HashMap<(NsrId, ActionId), Open>>);

struct Open {
    /// With the account of each.
    tasks: HashMap<TaskId, TargetId>,
    failed: usize,
    since: Instant,
}

impl Open {
    fn new() -> Self {
        Self {
            tasks: HashMap::new(),
            failed: 0,
            since: Instant::now(),
        }
    }
}

impl OpenActions {
    /// An action begins. Only what this host does is counted.
    pub(super) fn accepted(&self, plan: &Plan, holds: impl Fn(&TargetId) -> bool) {
        for (target, _, tasks) in plan.resources() {
            if holds(target) {
                self.open(target, tasks);
            }
        }
    }

    /// A resource is taken up after a restart, or from another host.
    pub(super) fn found(&self, resource: &Resource) {
        self.open(&resource.target, &resource.tasks);
    }

    fn open(&self, target: &TargetId, tasks: &[Task]) {
        let mut actions = lock(&self.0);
        for task in tasks.iter().filter(|task| task.status.is_open()) {
            let key = (task.nsr_id.clone(), task.action_id.clone());
            let open = actions.entry(key).or_insert_with(Open::new);
            open.tasks.insert(task.id.clone(), target.clone());
        }
    }

    /// An account is another host's now.
    pub(super) fn lost(&self, target: &TargetId) {
        lock(&self.0).retain(|_, open| {
            open.tasks.retain(|_, of| of != target);
            !open.tasks.is_empty()
        });
    }

    /// A resource moved.
    pub(super) fn moved(&self, before: &Resource, after: &Resource) {
        for (old, new) in before.tasks.iter().zip(&after.tasks) {
            if !old.status.is_open() || new.status.is_open() {
                continue;
            }
            let failed = new.status == TaskStatus::Failed;
            if failed {
                tracing::error!(
                    nsr_id = %new.nsr_id, action_id = %new.action_id, task_id = %new.id, item = %new.item, target = %after.target,
                    error = new.message.as_deref().unwrap_or("unknown"), "task failed"
                );
            }
            let key = (new.nsr_id.clone(), new.action_id.clone());
            let mut actions = lock(&self.0);
            let Some(open) = actions.get_mut(&key) else { continue };
            if open.tasks.remove(&new.id).is_none() {
                continue;
            }
            open.failed += usize::from(failed);
            if open.tasks.is_empty() {
                let elapsed_ms = u64::try_from(open.since.elapsed().as_millis()).unwrap_or(u64::MAX);
                tracing::info!(nsr_id = %key.0, action_id = %key.1, failed = open.failed, elapsed_ms, "action finished");
                actions.remove(&key);
            }
        }
    }
}
