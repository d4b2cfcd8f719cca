//! Counts what is open of each action, so that its end is logged once, when it comes, without asking the store. Metrics of actions
//! and tasks are counted here too, and an action's span lives as long as it is open.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};
use std::time::Instant;

use tracing::Span;
use vimhost_model::{ActionId, NsrId, Resource, TargetId, Task, TaskId, TaskStatus};
use vimhost_telemetry::metric::{self, Gauge};
use vimhost_telemetry::trace;

use super::lock;
use crate::plan::Plan;

#[derive(Default)]
pub(super) struct OpenActions(Mutex<All>);

#[derive(Default)]
struct All {
    actions: HashMap<(NsrId, ActionId), Open>,
    /// Open tasks of them all.
    tasks: usize,
}

struct Open {
    /// With the account of each.
    tasks: HashMap<TaskId, TargetId>,
    failed: usize,
    since: Instant,
    span: Span,
}

static OPEN_ACTIONS: LazyLock<Gauge> = LazyLock::new(|| metric::ACTION_OPEN.gauge(&[]));
static OPEN_TASKS: LazyLock<Gauge> = LazyLock::new(|| metric::TASK_OPEN.gauge(&[]));

impl OpenActions {
    /// An action begins. Only what this host does is counted.
    pub(super) fn accepted(&self, plan: &Plan, holds: impl Fn(&TargetId) -> bool) {
        metric::ACTION_ACCEPTED.counter(&[]).increment(1);
        for (target, _, tasks) in plan.resources() {
            if holds(target) {
                self.open(target, tasks, &Span::current());
            }
        }
    }

    /// A resource is taken up after a restart, or from another host.
    pub(super) fn found(&self, resource: &Resource) {
        self.open(&resource.target, &resource.tasks, &Span::none());
    }

    fn open(&self, target: &TargetId, tasks: &[Task], cause: &Span) {
        let mut all = lock(&self.0);
        for task in tasks.iter().filter(|task| task.status.is_open()) {
            let key = (task.nsr_id.clone(), task.action_id.clone());
            let open = all.actions.entry(key).or_insert_with_key(|(nsr, action)| {
                let span = span(nsr, action);
                trace::belongs_to(&span, cause);
                Open {
                    tasks: HashMap::new(),
                    failed: 0,
                    since: Instant::now(),
                    span,
                }
            });
            let known = open.tasks.insert(task.id.clone(), target.clone()).is_some();
            all.tasks += usize::from(!known);
        }
        show(&all);
    }

    /// The span of one step of a task, in that of its action.
    pub(super) fn step_span(&self, task: &Task) -> Span {
        // Looked up only where the span is made.
        let action = || {
            let key = (task.nsr_id.clone(), task.action_id.clone());
            lock(&self.0).actions.get(&key).and_then(|open| open.span.id())
        };
        tracing::debug_span!(
            parent: action(),
            "task_step",
            task_id = %task.id,
            action = task.action.as_str(),
            item = %task.item,
            attempt = task.attempt,
        )
    }

    /// An account is another host's now.
    pub(super) fn lost(&self, target: &TargetId) {
        let mut all = lock(&self.0);
        let mut left = 0;
        all.actions.retain(|_, open| {
            open.tasks.retain(|_, of| of != target);
            left += open.tasks.len();
            !open.tasks.is_empty()
        });
        all.tasks = left;
        show(&all);
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
            let mut all = lock(&self.0);
            let Some(open) = all.actions.get_mut(&key) else {
                continue;
            };
            if open.tasks.remove(&new.id).is_none() {
                continue;
            }
            open.failed += usize::from(failed);
            count(new, open);
            if open.tasks.is_empty() {
                end(&key, open);
                all.actions.remove(&key);
            }
            all.tasks = all.tasks.saturating_sub(1);
            show(&all);
        }
    }
}

/// Says how an action ended.
fn end((nsr, action): &(NsrId, ActionId), open: &Open) {
    let (elapsed, failed) = (open.since.elapsed(), open.failed);
    let outcome = if failed == 0 { "done" } else { "failed" };
    metric::ACTION_ENDED.counter(&[outcome]).increment(1);
    metric::ACTION_DURATION.histogram(&[outcome]).record(elapsed);
    if failed > 0 {
        open.span.record("otel.status_code", "ERROR");
    }
    let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    tracing::info!(nsr_id = %nsr, action_id = %action, failed, elapsed_ms, "action finished");
}

/// The span of an action: a root of its own, since the action outlives the request that asked for it.
fn span(nsr: &NsrId, action: &ActionId) -> Span {
    tracing::debug_span!(parent: None, "lcm_op", nsr_id = %nsr, action_id = %action, otel.status_code = tracing::field::Empty)
}

fn show(all: &All) {
    OPEN_ACTIONS.set(as_number(all.actions.len()));
    OPEN_TASKS.set(as_number(all.tasks));
}

#[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
fn as_number(count: usize) -> f64 {
    count as f64
}

fn count(task: &Task, open: &Open) {
    let (action, item) = (task.action.as_str(), task.item.as_str());
    metric::TASK_ENDED
        .counter(&[action, item, task.status.as_str()])
        .increment(1);
    metric::TASK_DURATION
        .histogram(&[action, item])
        .record(open.since.elapsed());
}
