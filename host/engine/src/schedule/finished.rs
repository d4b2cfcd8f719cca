//! Counts what is open of each action, so that its end is logged once, when it comes, without asking the store.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Instant;

use vimhost_model::{ActionId, NsrId, Resource, TaskStatus};

use super::lock;
use crate::plan::Plan;

#[derive(Default)]
pub(super) struct OpenActions(Mutex<HashMap<(NsrId, ActionId), Open>>);

struct Open {
    tasks: usize,
    failed: usize,
    since: Instant,
}

impl OpenActions {
    /// An action begins.
    pub(super) fn accepted(&self, plan: &Plan) {
        if plan.task_count() > 0 {
            let open = Open {
                tasks: plan.task_count(),
                failed: 0,
                since: Instant::now(),
            };
            lock(&self.0).insert((plan.nsr_id.clone(), plan.action_id.clone()), open);
        }
    }

    /// A resource is taken up after a restart.
    pub(super) fn found(&self, resource: &Resource) {
        let mut actions = lock(&self.0);
        for task in resource.tasks.iter().filter(|task| task.status.is_open()) {
            actions
                .entry((task.nsr_id.clone(), task.action_id.clone()))
                .or_insert_with(|| Open {
                    tasks: 0,
                    failed: 0,
                    since: Instant::now(),
                })
                .tasks += 1;
        }
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
            open.tasks = open.tasks.saturating_sub(1);
            open.failed += usize::from(failed);
            if open.tasks == 0 {
                let elapsed_ms = u64::try_from(open.since.elapsed().as_millis()).unwrap_or(u64::MAX);
                tracing::info!(nsr_id = %key.0, action_id = %key.1, failed = open.failed, elapsed_ms, "action finished");
                actions.remove(&key);
            }
        }
    }
}
