//! Counts what is open of each action, so that its end is logged once, when it comes, without asking the store. Metrics of actions
//! and tasks are counted here too, and an action's span lives as long as it is open.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};
use std::time::Instant;

use tracing::Span;
use vimhost_model::{ActionId, NsrId, Resource, Task, TaskStatus};
use vimhost_telemetry::metric::{self, Gauge};
use vimhost_telemetry::trace;

use super::lock;
use crate::plan::Plan;

#[derive(Default)]
pub(super) struct OpenActions(Mutex<HashMap<(NsrId, ActionId), Open>>);

struct Open {
    tasks: usize,
    failed: usize,
    since: Instant,
    span: Span,
}

static OPEN_ACTIONS: LazyLock<Gauge> = LazyLock::new(|| metric::ACTION_OPEN.gauge(&[]));
static OPEN_TASKS: LazyLock<Gauge> = LazyLock::new(|| metric::TASK_OPEN.gauge(&[]));

impl OpenActions {
    /// An action begins.
    pub(super) fn accepted(&self, plan: &Plan) {
        metric::ACTION_ACCEPTED.counter(&[]).increment(1);
        if plan.task_count() > 0 {
            let open = Open {
                tasks: plan.task_count(),
                failed: 0,
                since: Instant::now(),
                span: span(&plan.nsr_id, &plan.action_id),
            };
            trace::belongs_to(&open.span, &Span::current());
            let mut actions = lock(&self.0);
            actions.insert((plan.nsr_id.clone(), plan.action_id.clone()), open);
            show(&actions);
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
                    span: span(&task.nsr_id, &task.action_id),
                })
                .tasks += 1;
        }
        show(&actions);
    }

    /// The span of one step of a task, in that of its action.
    pub(super) fn step_span(&self, task: &Task) -> Span {
        if !tracing::span_enabled!(tracing::Level::DEBUG) {
            return Span::none();
        }
        let key = (task.nsr_id.clone(), task.action_id.clone());
        let action = lock(&self.0).get(&key).map(|open| open.span.clone());
        tracing::debug_span!(
            parent: action.as_ref().and_then(Span::id),
            "task_step",
            task_id = %task.id,
            action = task.action.as_str(),
            item = %task.item,
            attempt = task.attempt,
        )
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
            count(new, open);
            if open.tasks == 0 {
                let outcome = if open.failed == 0 { "done" } else { "failed" };
                metric::ACTION_ENDED.counter(&[outcome]).increment(1);
                metric::ACTION_DURATION
                    .histogram(&[outcome])
                    .record(open.since.elapsed());
                if open.failed > 0 {
                    open.span.record("otel.status_code", "ERROR");
                }
                let elapsed_ms = u64::try_from(open.since.elapsed().as_millis()).unwrap_or(u64::MAX);
                tracing::info!(nsr_id = %key.0, action_id = %key.1, failed = open.failed, elapsed_ms, "action finished");
                actions.remove(&key);
            }
            show(&actions);
        }
    }
}

/// The span of an action: a root of its own, since the action outlives the request that asked for it.
fn span(nsr: &NsrId, action: &ActionId) -> Span {
    tracing::debug_span!(parent: None, "lcm_op", nsr_id = %nsr, action_id = %action, otel.status_code = tracing::field::Empty)
}

fn show(actions: &HashMap<(NsrId, ActionId), Open>) {
    OPEN_ACTIONS.set(as_number(actions.len()));
    OPEN_TASKS.set(as_number(actions.values().map(|open| open.tasks).sum()));
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
