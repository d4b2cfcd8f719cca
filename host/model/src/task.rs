//! Tasks: one thing to do to one element, with NG-RO's states.
//!
//! ```text
//!            create accepted                observed active
//! SCHEDULED ────────────────► BUILD ─────────────────────► DONE
//!     │                         │  ▲                         │ ▲
//!     │ error, or a needed      │  └──── observed building ──┘ │
//!     │ task failed             ▼                              │
//!     ├──────────────────────► FAILED ◄──── observed in error ─┤
//!     │                           └──────── observed active ───┘
//!     ├── DELETE, EXEC or UPDATE done ─────────► FINISHED
//!     └── DELETE with nothing to delete ───────► SUPERSEDED
//! any CREATE whose own DELETE is taken up ─────► FINISHED
//! ```
//!
//! BUILD is also the state of a DELETE, EXEC or UPDATE whose connector call has begun and is not over, or whose element has not been
//! seen since.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{ActionId, Item, ItemRef, NsrId, ResourceId, TaskId, Timestamp};

/// What a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TaskAction {
    /// Find or make the element.
    Create,
    /// Change it in place.
    Update,
    /// Give it up; delete it when nobody else holds it.
    Delete,
    /// Do something with it.
    Exec,
}

impl TaskAction {
    /// NG-RO's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Exec => "EXEC",
        }
    }
}

/// State of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum TaskStatus {
    /// To be done.
    Scheduled,
    /// Begun.
    Build,
    /// A CREATE whose element is in service.
    Done,
    /// Given up, with the reason in `message`.
    Failed,
    /// Over.
    Finished,
    /// There was nothing to do.
    Superseded,
}

/// A move that the table of legal moves does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a {} task cannot go from {from:?} to {to:?}", action.as_str())]
pub struct IllegalMove {
    /// What the task does.
    pub action: TaskAction,
    /// Where it is.
    pub from: TaskStatus,
    /// Where it was to go.
    pub to: TaskStatus,
}

impl TaskStatus {
    /// NG-RO's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "SCHEDULED",
            Self::Build => "BUILD",
            Self::Done => "DONE",
            Self::Failed => "FAILED",
            Self::Finished => "FINISHED",
            Self::Superseded => "SUPERSEDED",
        }
    }

    /// Whether work is outstanding: the task is neither over nor given up nor waiting for observation only.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Scheduled | Self::Build)
    }

    /// The legal moves, all of them. Staying where one is is always legal.
    ///
    /// # Errors
    /// When the table does not hold the move.
    pub fn moved(self, action: TaskAction, to: Self) -> Result<Self, IllegalMove> {
        use TaskStatus::{Build, Done, Failed, Finished, Scheduled, Superseded};
        let legal = self == to
            || match (action, self, to) {
                (TaskAction::Create, Scheduled, Build | Done | Failed | Finished)
                | (TaskAction::Create, Build, Done | Failed | Finished)
                | (TaskAction::Create, Done, Build | Failed | Finished)
                | (TaskAction::Create, Failed, Build | Done | Finished) => true,
                (TaskAction::Create, _, _) => false,
                (TaskAction::Delete, Scheduled, Superseded) => true,
                (_, Scheduled, Build | Failed | Finished) | (_, Build, Failed | Finished) => true,
                // A deletion that was given up is taken up again by the next terminate.
                (TaskAction::Delete, Failed, Scheduled | Finished) => true,
                _ => false,
            };
        if legal {
            Ok(to)
        } else {
            Err(IllegalMove { action, from: self, to })
        }
    }
}

/// What a task waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Until {
    /// The other element is made; its id is used.
    Created,
    /// The other element is gone.
    Deleted,
    /// The other element is a VM, and the VIM has told where its interfaces are.
    Located,
}

/// Another element that a task waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// As the task's `depends_on` names it: `nsrs:<ns>:vld.mgmt`, or `<target> <reference>`.
    pub reference: String,
    /// The element's resource document.
    pub resource: ResourceId,
    /// What is waited for.
    pub until: Until,
    /// With [`Until::Located`]: which interfaces of the VM are used, as indexes in its `net_list`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<usize>,
}

/// One thing to do to one element.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// `<action id>:<n>`
    pub id: TaskId,
    /// The action it belongs to.
    pub action_id: ActionId,
    /// The network service.
    pub nsr_id: NsrId,
    /// What it does.
    pub action: TaskAction,
    /// To what.
    pub item: Item,
    /// How far it is.
    pub status: TaskStatus,
    /// Where results go.
    pub target_record: ItemRef,
    /// Position of the item in its list when the task was planned. Shown in NG-RO's `target_record`; never used to write.
    pub position: usize,
    /// Creation parameters or arguments, in NG-RO's shape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Value>,
    /// Look for an existing element first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub find_params: Option<Value>,
    /// NG-RO's `depends_on`, resolved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<Dependency>,
    /// Sharing key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub common_id: Option<String>,
    /// VM: index in `net_list` of the VNF's management interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mgmt_vnf_interface: Option<usize>,
    /// VM: index in `net_list` of the VDU's management interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mgmt_vdu_interface: Option<usize>,
    /// VM: of each entry of `net_list`, its place among the interfaces of the record, which has those without a network too. Empty:
    /// both count alike.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interface_places: Vec<usize>,
    /// Why it failed, or what it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Failed tries since the last progress.
    #[serde(default)]
    pub attempt: u32,
    /// Not to be called before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// A DELETE that the VIM has accepted: its element is observed, and the call made again when it is gone or has failed. An
    /// EXEC that has happened: it is over when the element is seen as the VIM said.
    #[serde(default, skip_serializing_if = "is_false")]
    pub accepted: bool,
    /// It is to be given up unless it has begun; whoever drives the resource decides at its next look.
    #[serde(default, skip_serializing_if = "is_false")]
    pub cancel_asked: bool,
    /// CREATE: its element has been in service, or may have been. One that is in error since can hold what nobody can make anew, so it
    /// is not taken for what a creation that failed has left.
    #[serde(default, skip_serializing_if = "is_false")]
    pub was_in_service: bool,
    /// EXEC: what the VIM answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// What the connector's last `pending` left for the next call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connector_state: Option<Vec<u8>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Task {
    /// A task that nothing has happened to, without parameters.
    #[must_use]
    pub fn scheduled(
        id: TaskId,
        action_id: ActionId,
        nsr_id: NsrId,
        action: TaskAction,
        item: Item,
        target_record: ItemRef,
    ) -> Self {
        Self {
            id,
            action_id,
            nsr_id,
            action,
            item,
            status: TaskStatus::Scheduled,
            target_record,
            position: 0,
            params: None,
            find_params: None,
            depends_on: Vec::new(),
            common_id: None,
            mgmt_vnf_interface: None,
            mgmt_vdu_interface: None,
            interface_places: Vec::new(),
            message: None,
            attempt: 0,
            not_before: None,
            accepted: false,
            cancel_asked: false,
            was_in_service: false,
            result: None,
            connector_state: None,
        }
    }

    /// Moves the task to another state.
    ///
    /// # Errors
    /// When the move is not legal.
    pub fn move_to(&mut self, to: TaskStatus) -> Result<(), IllegalMove> {
        let from = self.status;
        self.status = from.moved(self.action, to)?;
        // Where it comes from tells of tasks that were stored before this was noted.
        self.was_in_service |= from == TaskStatus::Done || to == TaskStatus::Done;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_stays_over() {
        use TaskStatus::*;
        for action in [
            TaskAction::Create,
            TaskAction::Update,
            TaskAction::Delete,
            TaskAction::Exec,
        ] {
            for from in [Finished, Superseded] {
                for to in [Scheduled, Build, Done, Failed, Finished, Superseded] {
                    assert_eq!(from.moved(action, to).is_ok(), from == to, "{action:?} {from:?} {to:?}");
                }
            }
        }
    }

    #[test]
    fn what_was_in_service_once_is_known_whatever_comes_after_and_a_task_of_an_earlier_version_is_read() {
        use TaskStatus::*;
        let stored = serde_json::json!({
            "id": "op:0", "action_id": "op", "nsr_id": "ns", "action": "CREATE", "item": "vdu", "status": "DONE", "position": 0,
            "target_record": {"collection": "vnfrs", "record": "r", "list": "vdur", "item": "a"},
        });
        let mut earlier: Task = serde_json::from_value(stored).unwrap();
        assert!(!earlier.was_in_service);
        earlier.move_to(Failed).unwrap();
        assert!(earlier.was_in_service);
        let mut task = Task {
            status: Scheduled,
            was_in_service: false,
            ..earlier
        };
        for (to, was) in [
            (Build, false),
            (Failed, false),
            (Done, true),
            (Build, true),
            (Failed, true),
        ] {
            task.move_to(to).unwrap();
            assert_eq!(task.was_in_service, was, "{to:?}");
        }
        let again: Task = serde_json::from_value(serde_json::to_value(&task).unwrap()).unwrap();
        assert_eq!(again, task);
    }

    #[test]
    fn only_a_create_is_done_and_only_a_delete_is_superseded() {
        use TaskStatus::*;
        for action in [TaskAction::Update, TaskAction::Delete, TaskAction::Exec] {
            assert!(Build.moved(action, Done).is_err());
        }
        for action in [TaskAction::Create, TaskAction::Update, TaskAction::Exec] {
            assert!(Scheduled.moved(action, Superseded).is_err());
        }
    }
}
