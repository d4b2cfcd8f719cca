//! How an action stands, for whoever asks.

use vimhost_model::{ActionHeader, ActionStatus, Resource, ResourceId, TargetId, Task, TaskStatus, VimState};

/// One task with what is known of its element.
#[derive(Debug, Clone)]
pub struct TaskReport {
    /// The task, large texts filled in again.
    pub task: Task,
    /// Its account.
    pub target: TargetId,
    /// Its resource document.
    pub resource: ResourceId,
    /// What is known of the element.
    pub vim: VimState,
}

/// How an action stands.
#[derive(Debug, Clone)]
pub struct ActionReport {
    /// The header.
    pub header: ActionHeader,
    /// One word.
    pub status: ActionStatus,
    /// Tasks that are neither open nor failed.
    pub done: usize,
    /// One text per failed task.
    pub failures: Vec<String>,
    /// The tasks by number.
    pub tasks: Vec<TaskReport>,
}

impl ActionReport {
    /// Puts a report together from the resources that hold the action's tasks.
    #[must_use]
    pub fn new(header: ActionHeader, resources: Vec<Resource>) -> Self {
        let mut tasks: Vec<TaskReport> = resources
            .into_iter()
            .flat_map(|resource| {
                let Resource {
                    id, target, vim, tasks, ..
                } = resource;
                let action = header.id.clone();
                tasks
                    .into_iter()
                    .filter(move |task| task.action_id == action)
                    .map(move |task| TaskReport {
                        task,
                        target: target.clone(),
                        resource: id.clone(),
                        vim: vim.clone(),
                    })
            })
            .filter(|report| report.task.nsr_id == header.nsr_id)
            .collect();
        tasks.sort_by_key(|report| number_of(report.task.id.as_str()));
        let failures: Vec<String> = tasks
            .iter()
            .filter(|report| report.task.status == TaskStatus::Failed)
            .map(|report| {
                let task = &report.task;
                format!(
                    "Error at {} {}: {}",
                    task.action.as_str().to_lowercase(),
                    task.item,
                    task.message.as_deref().unwrap_or("unknown")
                )
            })
            .collect();
        let open = tasks.iter().filter(|report| report.task.status.is_open()).count();
        // As in NG-RO: one failed task is a failed action, even while others run.
        let status = match (failures.is_empty(), open) {
            (false, _) => ActionStatus::Failed,
            (true, 0) => ActionStatus::Done,
            (true, _) => ActionStatus::Build,
        };
        let done = tasks.len() - open - failures.len();
        Self {
            header,
            status,
            done,
            failures,
            tasks,
        }
    }
}

fn number_of(task_id: &str) -> u64 {
    task_id
        .rsplit_once(':')
        .and_then(|(_, number)| number.parse().ok())
        .unwrap_or(u64::MAX)
}
