//! Tasks as NG-RO's documents (`_create_task` of its `ns.py`).

use serde_json::{Map, Value, json};
use vimhost_engine::TaskReport;
use vimhost_engine::machine::CONSOLE;
use vimhost_engine::plan::{HELD_VOLUMES, TAKEN_OVER};
use vimhost_model::{Item, TaskAction, VimStatus};

use crate::mask::mask;

/// A task in NG-RO's shape, secrets masked (D33).
pub(super) fn document(report: &TaskReport) -> Value {
    let task = &report.task;
    let place = &task.target_record;
    let record = format!("{}:{}:{}", place.collection.as_str(), place.record, place.list.as_str());
    // NG-RO has no item of its own for the injection of a key.
    let injection = task.action == TaskAction::Exec && task.item == Item::Vdu;
    // A command's results do not go to one target's part of the item.
    let tail = match task.action {
        TaskAction::Exec if injection => ".ssh_keys".to_owned(),
        TaskAction::Exec => String::new(),
        TaskAction::Create | TaskAction::Update | TaskAction::Delete => format!(".vim_info.{}", report.target),
    };
    let suffix = if task.item == Item::SdnNet { ".sdn" } else { "" };
    let mut document = Map::new();
    let mut set = |key: &str, value: Value| document.insert(key.to_owned(), value);
    set("action_id", json!(task.action_id));
    set("nsr_id", json!(task.nsr_id));
    set("task_id", json!(task.id));
    set("status", json!(task.status.as_str()));
    set("action", json!(task.action.as_str()));
    set("item", json!(task.item.as_str()));
    set("target_record", json!(format!("{record}.{}{tail}", task.position)));
    let record_id = (!injection).then(|| format!("{place}{suffix}"));
    set("target_record_id", json!(record_id));
    // NG-RO has them beside the parameters, not among them.
    let mut params = task.params.clone();
    if task.item == Item::Vdu
        && let Some(map) = params.as_mut().and_then(Value::as_object_mut)
    {
        let beside: &[&str] = match task.action {
            TaskAction::Delete => &["created_items", "vim_id", HELD_VOLUMES],
            TaskAction::Create => &[TAKEN_OVER],
            TaskAction::Update | TaskAction::Exec => &[],
        };
        for key in beside.iter().copied() {
            if let Some(value) = map.remove(key) {
                set(key, value);
            }
        }
    }
    let params = params.filter(|params| task.action != TaskAction::Delete || *params != json!({}));
    for (key, value) in [("params", params), ("find_params", task.find_params.clone())] {
        if let Some(value) = value {
            set(key, value);
        }
    }
    let mut depends_on: Vec<String> = task.depends_on.iter().map(|on| on.reference.clone()).collect();
    if injection {
        // It waits for its own VM, in whose document it is.
        depends_on.push(place.to_string());
        set("retries", json!(task.attempt));
    }
    if !depends_on.is_empty() {
        set("depends_on", json!(depends_on));
    }
    if let Some(common_id) = &task.common_id {
        set("common_id", json!(common_id));
    }
    for (key, index) in [
        ("mgmt_vnf_interface", task.mgmt_vnf_interface),
        ("mgmt_vdu_interface", task.mgmt_vdu_interface),
    ] {
        if let Some(index) = index {
            set(key, json!(index));
        }
    }
    let mut document = Value::Object(document);
    mask(&mut document);
    document
}

/// What is known of a task's element, in NG-RO's shape, with the console that a command has opened.
pub(super) fn vim_info(report: &TaskReport) -> Value {
    let vim = &report.vim;
    let server = report.task.params.as_ref().and_then(|params| params.get("vim_vm_id"));
    let mut info = json!({
        "created": vim.created,
        // The VM of a command that somebody else made has no document that knows it.
        "vim_id": vim.vim_id.as_ref().map(|id| json!(id)).or_else(|| server.cloned()),
        "vim_name": vim.vim_name,
        "vim_status": vim.vim_status.map(VimStatus::as_str),
        "vim_details": vim.vim_details,
        "vim_message": vim.vim_message,
    });
    let console = report.task.result.as_ref().and_then(|result| result.get(CONSOLE));
    if let Some(map) = info.as_object_mut() {
        if !vim.interfaces.is_empty() {
            map.insert("interfaces".to_owned(), json!(vim.interfaces));
        }
        if let Some(console) = console {
            map.insert(CONSOLE.to_owned(), console.clone());
        }
    }
    info
}

#[cfg(test)]
mod tests {
    use super::*;
    use vimhost_model::{Collection, Dependency, ItemList, ItemRef, Task, TaskStatus, Until, VimState};

    fn report(action: TaskAction, item: Item) -> TaskReport {
        let reference = |text: &str| Dependency {
            reference: text.to_owned(),
            resource: "r".parse().unwrap(),
            until: Until::Created,
            interfaces: Vec::new(),
        };
        TaskReport {
            task: Task {
                accepted: false,
                cancel_asked: false,
                was_in_service: false,
                result: None,
                id: "op-1:3".parse().unwrap(),
                action_id: "op-1".parse().unwrap(),
                nsr_id: "n".parse().unwrap(),
                action,
                item,
                status: TaskStatus::Done,
                target_record: ItemRef {
                    collection: Collection::Vnfrs,
                    record: "v".parse().unwrap(),
                    list: ItemList::Vdur,
                    item: "d".parse().unwrap(),
                },
                position: 0,
                params: Some(json!({"name": "ns-vnf1-vmA-0", "cloud_config": {"password": "canary"}})),
                find_params: None,
                depends_on: vec![reference("nsrs:n:image.0"), reference("nsrs:n:vld.mgmt")],
                common_id: None,
                mgmt_vnf_interface: Some(0),
                mgmt_vdu_interface: None,
                interface_places: Vec::new(),
                message: None,
                attempt: 0,
                not_before: None,
                connector_state: None,
            },
            target: "vim:6a".parse().unwrap(),
            resource: "r".parse().unwrap(),
            vim: VimState::default(),
        }
    }

    #[test]
    fn a_task_has_the_keys_of_ng_ros() {
        assert_eq!(
            document(&report(TaskAction::Create, Item::Vdu)),
            json!({
                "action_id": "op-1", "nsr_id": "n", "task_id": "op-1:3", "status": "DONE", "action": "CREATE", "item": "vdu",
                "target_record": "vnfrs:v:vdur.0.vim_info.vim:6a", "target_record_id": "vnfrs:v:vdur.d",
                "depends_on": ["nsrs:n:image.0", "nsrs:n:vld.mgmt"], "mgmt_vnf_interface": 0,
                "params": {"name": "ns-vnf1-vmA-0", "cloud_config": {"password": "***"}},
            })
        );
    }

    #[test]
    fn tasks_of_a_recreation_have_beside_their_parameters_what_ng_ro_has_there() {
        let mut deletion = report(TaskAction::Delete, Item::Vdu);
        deletion.task.params =
            Some(json!({"vim_id": "vm1", "created_items": {"port:p": true}, "volumes_to_hold": ["v"]}));
        let shown = document(&deletion);
        assert_eq!(
            (&shown["vim_id"], &shown["created_items"], &shown["volumes_to_hold"]),
            (&json!("vm1"), &json!({"port:p": true}), &json!(["v"]))
        );
        assert!(shown.get("params").is_none(), "{shown}");
        let mut creation = report(TaskAction::Create, Item::Vdu);
        creation.task.params = Some(json!({"name": "vm", "previous_created_volumes": {"volume:v": true}}));
        let shown = document(&creation);
        assert_eq!(shown["params"], json!({"name": "vm"}));
        assert_eq!(shown["previous_created_volumes"], json!({"volume:v": true}));
    }

    #[test]
    fn a_console_stands_in_the_vim_info_and_nowhere_in_the_task() {
        let mut console = report(TaskAction::Exec, Item::Console);
        console.task.params = Some(json!({"vim_vm_id": "vm1", "action": "console"}));
        console.task.result = Some(json!({CONSOLE: {"suffix": "?token=canary"}}));
        let info = vim_info(&console);
        assert_eq!(
            (&info["vim_id"], &info[CONSOLE]["suffix"]),
            (&json!("vm1"), &json!("?token=canary"))
        );
        assert!(!document(&console).to_string().contains("canary"));
    }

    #[test]
    fn a_key_injection_has_ng_ros_record_counts_its_tries_and_shows_no_secret() {
        let mut injection = report(TaskAction::Exec, Item::Vdu);
        injection.task.status = TaskStatus::Build;
        injection.task.attempt = 3;
        injection.task.depends_on.clear();
        injection.task.mgmt_vnf_interface = None;
        injection.task.params = Some(
            json!({"ip_address": "10.0.0.5", "user": "ubuntu", "key": "ssh-rsa AAAA",
            "password": "v1.canary", "private_key": "ro_nsrs:n"}),
        );
        assert_eq!(
            document(&injection),
            json!({
                "action_id": "op-1", "nsr_id": "n", "task_id": "op-1:3", "status": "BUILD", "action": "EXEC", "item": "vdu",
                "target_record": "vnfrs:v:vdur.0.ssh_keys", "target_record_id": null, "depends_on": ["vnfrs:v:vdur.d"],
                "retries": 3, "params": {"ip_address": "10.0.0.5", "user": "ubuntu", "key": "ssh-rsa AAAA",
                    "password": "***", "private_key": "***"},
            })
        );
    }

    #[test]
    fn commands_and_sdn_networks_differ_in_where_results_go() {
        assert_eq!(
            document(&report(TaskAction::Exec, Item::Update))["target_record"],
            "vnfrs:v:vdur.0"
        );
        assert_eq!(
            document(&report(TaskAction::Create, Item::SdnNet))["target_record_id"],
            "vnfrs:v:vdur.d.sdn"
        );
    }
}
