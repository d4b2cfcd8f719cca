//! One task of NG-RO as one of ours.
//!
//! | NG-RO | here | because |
//! | --- | --- | --- |
//! | CREATE `DONE`, `BUILD` with an id | the same | |
//! | CREATE `SCHEDULED`, never begun | the same: it goes on | |
//! | CREATE that died in the middle | an obstacle | the element may be there, under no token of ours |
//! | CREATE `FAILED` with an id, not seen in error | `DONE`, looked at at once | a VM that somebody stopped has not failed (D29), nor has one whose VIM was away |
//! | CREATE `FAILED` with an id, in error | the same, as one that was in service | NG-RO does not tell whether it was, and leaves it alone |
//! | CREATE `FINISHED`, `SUPERSEDED` | `FINISHED` | |
//! | DELETE `SCHEDULED`, `BUILD` | `SCHEDULED`: it is asked for again | what is gone is no error |
//! | DELETE `FAILED` | the same: the next terminate tries again (D28) | |
//! | EXEC `SCHEDULED`, `BUILD` | `FAILED`, with the reason | done twice it could do harm; who asked can ask again |
//! | other EXEC | the same | |

use serde_json::{Map, Value, json};
use vimhost_engine::plan::{HELD_VOLUMES, TAKEN_OVER};
use vimhost_model::{Item, ItemRef, Task, TaskAction, TaskStatus, VimState, VimStatus};

use super::document::{self, Document, Status};
use super::state;

/// What is written where a command was not over.
const UNFINISHED: &str = "not finished by NG-RO when vimhost took over; whether it has happened is not known";

/// What is not taken over of a key injection: secrets, and how NG-RO encrypted them.
const SECRETS: [&str; 4] = ["password", "private_key", "salt", "schema_version"];

/// Where the name of an element is in the parameters that make it.
const NAMES: [&str; 5] = [
    "/name",
    "/net_name",
    "/flavor_data/name",
    "/affinity_group_data/name",
    "/shared_volume_data/name",
];

/// How far a task is.
pub(super) enum Progress {
    /// So far.
    At(TaskStatus, Option<String>),
    /// A creation whose call may have reached the VIM.
    Unknown,
}

/// How far a task is, by our table of states.
pub(super) fn progress(task: &document::Task, item: Item, document: &Document, vim: &VimState) -> Progress {
    let reason = || {
        let reason = vim.vim_message.clone().filter(|text| !text.is_empty());
        reason.unwrap_or_else(|| "failed at NG-RO, which kept no reason".to_owned())
    };
    let (status, message) = match task.action {
        TaskAction::Create => match creation(task, item, document, vim) {
            Some(TaskStatus::Failed) => (TaskStatus::Failed, Some(reason())),
            Some(status) => (status, None),
            None => return Progress::Unknown,
        },
        TaskAction::Delete => match task.status {
            Status::Scheduled | Status::Build => (TaskStatus::Scheduled, None),
            Status::Failed => (TaskStatus::Failed, Some(reason())),
            Status::Superseded => (TaskStatus::Superseded, None),
            Status::Done | Status::Finished => (TaskStatus::Finished, None),
        },
        TaskAction::Exec | TaskAction::Update => match task.status {
            Status::Scheduled | Status::Build => (TaskStatus::Failed, Some(UNFINISHED.to_owned())),
            Status::Failed => (TaskStatus::Failed, Some(reason())),
            Status::Done | Status::Finished | Status::Superseded => (TaskStatus::Finished, None),
        },
    };
    Progress::At(status, message)
}

/// How far a creation is; none when nobody knows whether it has happened.
fn creation(task: &document::Task, item: Item, document: &Document, vim: &VimState) -> Option<TaskStatus> {
    let observed = state::is_observed(item);
    let there = vim.vim_id.is_some();
    Some(match task.status {
        Status::Finished | Status::Superseded => TaskStatus::Finished,
        // A connectivity service with fewer than two ports is in service without existing.
        Status::Done if there || item == Item::SdnNet => TaskStatus::Done,
        Status::Done => TaskStatus::Failed,
        Status::Build if there && observed => TaskStatus::Build,
        Status::Build if there => TaskStatus::Done,
        Status::Build if makes(task, item) => return None,
        // A lock that nobody has released is that of a worker that died at it.
        Status::Scheduled if !there && document.lock.is_some() && makes(task, item) => return None,
        Status::Scheduled | Status::Build => TaskStatus::Scheduled,
        Status::Failed if !there => TaskStatus::Failed,
        Status::Failed if vim.vim_status == Some(VimStatus::Error) => TaskStatus::Failed,
        Status::Failed => TaskStatus::Done,
    })
}

/// Whether a creation can make something that is not there yet.
fn makes(task: &document::Task, item: Item) -> bool {
    match item {
        Item::Image => false,
        Item::Net => {
            let find = task.find_params.as_ref();
            find.is_none_or(|find| find.get("mgmt").and_then(Value::as_bool) == Some(true))
        }
        Item::Flavor
        | Item::Vdu
        | Item::AffinityGroup
        | Item::SharedVolume
        | Item::SdnNet
        | Item::Stack
        | Item::Update
        | Item::Migrate
        | Item::VerticalScale
        | Item::Console => true,
    }
}

/// The task itself; what it waits for is linked later.
pub(super) fn convert(
    task: &document::Task,
    item: Item,
    target_record: ItemRef,
    (status, message): (TaskStatus, Option<String>),
) -> Task {
    let (id, action_id, nsr_id) = (task.id.clone(), task.action_id.clone(), task.nsr_id.clone());
    Task {
        status,
        position: task.place.position,
        params: params(task, item),
        find_params: task.find_params.clone(),
        common_id: task.common_id.clone(),
        mgmt_vnf_interface: task.mgmt_vnf_interface,
        mgmt_vdu_interface: task.mgmt_vdu_interface,
        message,
        // Of one in error NG-RO does not tell whether it ever was; its deploys would leave it alone.
        was_in_service: task.action == TaskAction::Create && matches!(status, TaskStatus::Done | TaskStatus::Failed),
        ..Task::scheduled(id, action_id, nsr_id, task.action, item, target_record)
    }
}

/// Parameters: NG-RO's, with what it has beside them put among them as vimhost has it, and secrets left out.
fn params(task: &document::Task, item: Item) -> Option<Value> {
    let mut params = task.params.clone();
    match (task.action, item) {
        (TaskAction::Delete, Item::Vdu) if !(task.created_items.is_empty() && task.volumes_to_hold.is_empty()) => {
            let created: Map<String, Value> = task
                .created_items
                .iter()
                .map(|item| (item.clone(), json!(true)))
                .collect();
            params = Some(json!({"created_items": created, HELD_VOLUMES: task.volumes_to_hold}));
        }
        (TaskAction::Create, Item::Vdu) => {
            let map = params.as_mut().and_then(Value::as_object_mut);
            if let (Some(map), Some(previous)) = (map, &task.previous_volumes) {
                map.insert(TAKEN_OVER.to_owned(), previous.clone());
            }
        }
        (TaskAction::Exec, Item::Vdu) => {
            if let Some(map) = params.as_mut().and_then(Value::as_object_mut) {
                map.retain(|key, _| !SECRETS.contains(&key.as_str()));
            }
        }
        (TaskAction::Create | TaskAction::Update | TaskAction::Delete | TaskAction::Exec, _) => {}
    }
    params
}

/// What a person would look for in the VIM.
pub(super) fn name(task: &document::Task) -> Option<&str> {
    let params = task.params.as_ref();
    let name = params.and_then(|params| NAMES.iter().find_map(|place| params.pointer(place)));
    name.or_else(|| task.find_params.as_ref()?.get("name"))?.as_str()
}
