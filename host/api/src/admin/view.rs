//! Views: what the interface shows of the engine's things.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use vimhost_engine::plan::{Change, Plan};
use vimhost_engine::{AccountView, ActionReport, ServiceView, TaskReport};
use vimhost_model::{ActionHeader, ActionId, ActionKind, ActionStatus, NsrId, Role, TargetId, TaskStatus};

use crate::mask::mask;
use vimhost_model::date_time::rfc3339;

/// A service in a listing.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ServiceEntry {
    pub id: NsrId,
    pub name: String,
}

/// A service.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Service)]
pub(super) struct ServiceShown {
    id: NsrId,
    name: String,
    /// The document; null for a service that was not made here.
    spec: Value,
    /// The NS record.
    nsr: Value,
    /// The VNF records.
    vnfrs: Vec<Value>,
    revision: u64,
}

impl ServiceShown {
    pub(super) fn of(service: ServiceView, role: Role) -> Self {
        let ServiceView {
            id,
            name,
            spec,
            mut nsr,
            vnfrs,
            revision,
        } = service;
        if let Some(map) = nsr.as_object_mut() {
            // Shown once, as `spec`.
            map.remove(vimhost_engine::SPEC_KEY);
        }
        let spec = serde_json::to_value(spec).unwrap_or_default();
        let mut shown = Self {
            id,
            name,
            spec,
            nsr,
            vnfrs,
            revision,
        };
        if role == Role::Viewer {
            [&mut shown.spec, &mut shown.nsr]
                .into_iter()
                .chain(&mut shown.vnfrs)
                .for_each(mask);
        }
        shown
    }
}

/// An accepted request.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Accepted)]
pub(super) struct AcceptedView {
    pub nsr_id: NsrId,
    pub action_id: ActionId,
    /// The same request was accepted before under this id.
    pub repeated: bool,
}

/// What a deploy would do.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Plan)]
pub(super) struct PlanView {
    nsr_id: NsrId,
    /// How many tasks a deploy would make.
    tasks: usize,
    changes: Vec<Change>,
}

impl PlanView {
    pub(super) fn of(nsr: &NsrId, plan: Plan) -> Self {
        Self {
            nsr_id: nsr.clone(),
            tasks: plan.task_count(),
            changes: plan.changes,
        }
    }
}

/// An action in a listing.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ActionEntry {
    id: ActionId,
    nsr_id: NsrId,
    kind: ActionKind,
    /// How many tasks it has.
    tasks: u32,
    #[schema(format = DateTime)]
    created_at: String,
    /// How it stands, where the listing was asked for a state.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<ActionStatus>,
}

impl ActionEntry {
    pub(super) fn of(header: ActionHeader, status: Option<ActionStatus>) -> Self {
        let created_at = rfc3339(header.created_at);
        Self {
            id: header.id,
            nsr_id: header.nsr_id,
            kind: header.kind,
            tasks: header.tasks,
            created_at,
            status,
        }
    }
}

/// An action with its tasks.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Action)]
pub(super) struct ActionView {
    id: ActionId,
    nsr_id: NsrId,
    kind: ActionKind,
    #[schema(format = DateTime)]
    created_at: String,
    status: ActionStatus,
    done: usize,
    total: usize,
    failures: Vec<String>,
    tasks: Vec<TaskView>,
}

impl ActionView {
    pub(super) fn of(report: &ActionReport) -> Self {
        let header = &report.header;
        Self {
            id: header.id.clone(),
            nsr_id: header.nsr_id.clone(),
            kind: header.kind,
            created_at: rfc3339(header.created_at),
            status: report.status,
            done: report.done,
            total: report.tasks.len(),
            failures: report.failures.clone(),
            tasks: report.tasks.iter().map(TaskView::of).collect(),
        }
    }
}

/// A task with what is known of its element. Its parameters are NG-RO's business.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[schema(as = Task)]
pub(super) struct TaskView {
    pub id: String,
    action: &'static str,
    item: &'static str,
    target: TargetId,
    /// `vnfrs:<id>:vdur.<id>`
    element: String,
    pub status: TaskStatus,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    depends_on: Vec<String>,
    attempt: u32,
    /// Why it failed, or what it waits for.
    message: Option<String>,
    vim_id: Option<String>,
    vim_name: Option<String>,
    vim_status: Option<&'static str>,
    vim_message: Option<String>,
}

impl TaskView {
    pub(super) fn of(report: &TaskReport) -> Self {
        let (task, vim) = (&report.task, &report.vim);
        Self {
            id: task.id.to_string(),
            action: task.action.as_str(),
            item: task.item.as_str(),
            target: report.target.clone(),
            element: task.target_record.to_string(),
            status: task.status,
            depends_on: task.depends_on.iter().map(|on| on.reference.clone()).collect(),
            attempt: task.attempt,
            message: task.message.clone(),
            vim_id: vim.vim_id.as_ref().map(ToString::to_string),
            vim_name: vim.vim_name.clone(),
            vim_status: vim.vim_status.map(|status| status.as_str()),
            vim_message: vim.vim_message.clone(),
        }
    }
}

/// An account as a role may see it. Credentials are in no view; an operator may still have put a secret among the settings.
pub(super) fn account_for(role: Role, mut account: AccountView) -> AccountView {
    if role == Role::Admin {
        return account;
    }
    let mut config = Value::Object(std::mem::take(&mut account.config));
    mask(&mut config);
    account.config = match config {
        Value::Object(config) => config,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    };
    account
}
