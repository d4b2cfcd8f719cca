//! What there is already: by our own resource documents, and by the records.

use serde_json::Value;
use vimhost_connector::ElementKind;
use vimhost_model::{ItemId, ItemList, ItemRef, Resource, TargetId, Task, TaskAction, TaskStatus};

use super::Facts;

/// What a resource document says about the items it serves: held when there is no reason, else to be cleared away for that reason.
pub(super) fn existing_of(facts: &Facts, resource: &Resource) -> Vec<(ItemRef, Option<String>)> {
    // What holds only commands to a VM that somebody else made is no element.
    if ElementKind::of_item(resource.item).is_none() {
        return Vec::new();
    }
    let ours = || resource.tasks.iter().filter(|task| task.nsr_id == facts.nsr_id);
    let mut slots: Vec<(ItemRef, Option<String>)> = Vec::new();
    for task in ours().filter(|task| task.action == TaskAction::Delete && task.status.is_open()) {
        if !slots.iter().any(|(item, _)| *item == task.target_record) {
            slots.push((task.target_record.clone(), Some("it is still being deleted".to_owned())));
        }
    }
    // A creation that an open deletion is about to end is not held any more, one that joined after it is.
    let ended = |index: usize, item: &ItemRef| {
        let mut later = resource.tasks.iter().skip(index);
        later.any(|task| task.action == TaskAction::Delete && task.status.is_open() && task.target_record == *item)
    };
    for (index, task) in resource.tasks.iter().enumerate() {
        let live = task.action == TaskAction::Create && task.status != TaskStatus::Finished;
        if !live || task.nsr_id != facts.nsr_id || ended(index, &task.target_record) {
            continue;
        }
        let failed = task.status == TaskStatus::Failed && !is_in_error_since(resource, task);
        let why = failed.then(|| task.message.clone().unwrap_or_else(|| "its creation failed".to_owned()));
        slots.retain(|(item, _)| *item != task.target_record);
        slots.push((task.target_record.clone(), why));
    }
    // An element that others still hold was given up by this service and is none of its business.
    if slots.is_empty() && resource.may_exist() && resource.live_creates().next().is_none() {
        let last = ours().next_back().map(|task| task.target_record.clone());
        slots.extend(last.map(|item| (item, Some("its deletion was given up".to_owned()))));
    }
    slots
}

/// Whether the element was in service and is in error since. It may recover, and whatever it holds would be lost with it: putting it
/// right is for an operation that somebody asks for. One that is gone from the VIM has nothing to lose.
fn is_in_error_since(resource: &Resource, creation: &Task) -> bool {
    creation.status == TaskStatus::Failed && creation.was_in_service && resource.vim.vim_id.is_some()
}

/// Why what is held is left as it is.
pub(super) fn why_left(resource: &Resource) -> &'static str {
    if resource.live_creates().any(|task| is_in_error_since(resource, task)) {
        "was in service and is in error since: a deploy leaves it alone"
    } else {
        "exists as wanted"
    }
}

/// Items of a list of a record, with their ids.
pub(super) fn recorded_items(document: &Value, list: ItemList) -> Vec<(ItemId, Value)> {
    let items = document.get(list.as_str()).and_then(Value::as_array);
    items
        .into_iter()
        .flatten()
        .enumerate()
        .filter_map(|(position, item)| {
            let id = match item.get("id") {
                Some(Value::String(id)) => id.clone(),
                Some(Value::Number(id)) => id.to_string(),
                _ => position.to_string(),
            };
            ItemId::new(id).ok().map(|id| (id, item.clone()))
        })
        .collect()
}

/// Targets on which the record says something of the item.
pub(super) fn recorded_targets(item: &Value) -> Vec<TargetId> {
    item.get("vim_info")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter(|(_, info)| !info.is_null())
        .filter_map(|(target, _)| target.parse().ok())
        .collect()
}
