//! Facts about the machine, on a little VIM that does what the machine asks for.

mod cancelling;
mod clock;
mod commands;
mod holders;
mod injections;
mod life;
mod records;
mod services;
mod slow_deletions;
mod world;

use serde_json::{Map, Value, json};
use vimhost_model::{Item, ItemRef, Resource, Task, TaskAction, Timestamp};

/// A kind of item, as a plan would ask for it.
#[derive(Clone)]
struct Case {
    name: &'static str,
    item: Item,
    params: Option<Value>,
    find_params: Option<Value>,
    /// What the VIM has already: names that searches meet.
    foreign: &'static [&'static str],
    /// Whether the element is made by us in the end.
    made: bool,
}

fn cases() -> Vec<Case> {
    let case = |name, item, params: Value, find: Value, foreign, made| Case {
        name,
        item,
        params: Some(params).filter(|value| !value.is_null()),
        find_params: Some(find).filter(|value| !value.is_null()),
        foreign,
        made,
    };
    let flavour = json!({"flavor_data": {"name": "f", "ram": 1, "vcpus": 1, "disk": 1}});
    let group = json!({"affinity_group_data": {"name": "g", "type": "affinity", "scope": "nfvi-node"}});
    let old_group = json!({"affinity_group_data": {"name": "g", "type": "affinity", "vim-affinity-group-id": "old"}});
    let ports = json!({"sdn-ports": [{"switch_port": "1"}, {"switch_port": "2", "vlan": 7}], "type": "ELAN"});
    let by_name = json!({"filter_dict": {"name": "old"}});
    let management = json!({"mgmt": true, "name": "mgmt"});
    let none = Value::Null;
    vec![
        case(
            "network",
            Item::Net,
            json!({"net_name": "n", "net_type": "bridge"}),
            none.clone(),
            &[],
            true,
        ),
        case(
            "existing network",
            Item::Net,
            none.clone(),
            by_name.clone(),
            &["old"],
            false,
        ),
        case("management network", Item::Net, none.clone(), management, &[], true),
        case("image", Item::Image, none.clone(), by_name, &["old"], false),
        case("flavour", Item::Flavor, flavour.clone(), flavour.clone(), &[], true),
        case(
            "existing flavour",
            Item::Flavor,
            flavour.clone(),
            flavour,
            &["flavour"],
            false,
        ),
        case(
            "named flavour",
            Item::Flavor,
            none.clone(),
            json!({"vim_flavor_id": "f9"}),
            &[],
            false,
        ),
        case(
            "flavour by name",
            Item::Flavor,
            none.clone(),
            json!({"vim_flavor_name": "m1"}),
            &["m1"],
            false,
        ),
        case("group", Item::AffinityGroup, group, none.clone(), &[], true),
        case(
            "existing group",
            Item::AffinityGroup,
            old_group.clone(),
            none.clone(),
            &["old"],
            false,
        ),
        case(
            "group that is gone",
            Item::AffinityGroup,
            old_group,
            none.clone(),
            &[],
            true,
        ),
        case(
            "volume",
            Item::SharedVolume,
            json!({"shared_volume_data": {"name": "v", "size": 1}}),
            none.clone(),
            &[],
            true,
        ),
        case("vm", Item::Vdu, vm(), none.clone(), &[], true),
        case("connectivity service", Item::SdnNet, ports, none, &[], true),
    ]
}

fn vm() -> Value {
    json!({"name": "vm", "image_id": "i1", "flavor_id": "f1", "net_list": [{"net_id": "n1"}, {"net_id": "n2"}]})
}

fn case(name: &str) -> Case {
    cases().into_iter().find(|case| case.name == name).unwrap()
}

fn item_ref(item: Item, id: &str) -> ItemRef {
    let list = item.list();
    let text = if list == vimhost_model::ItemList::Vdur {
        "vnfrs"
    } else {
        "nsrs"
    };
    ItemRef {
        collection: vimhost_model::Collection::from_name(text).unwrap(),
        record: "r".parse().unwrap(),
        list,
        item: id.parse().unwrap(),
    }
}

/// A task for item `a` of service `ns`.
fn task(id: &str, action: TaskAction, case: &Case) -> Task {
    let creating = action == TaskAction::Create;
    let (id, op, ns) = (id.parse().unwrap(), "op".parse().unwrap(), "ns".parse().unwrap());
    Task {
        params: case.params.clone().filter(|_| creating),
        find_params: case.find_params.clone().filter(|_| creating),
        ..Task::scheduled(id, op, ns, action, case.item, item_ref(case.item, "a"))
    }
}

fn resource(case: &Case, tasks: Vec<Task>) -> Resource {
    let (id, target) = ("res".parse().unwrap(), "vim:x".parse().unwrap());
    Resource {
        revision: 1,
        ..Resource::planned(id, target, case.item, tasks, Timestamp(0))
    }
}

fn no_config() -> Map<String, Value> {
    Map::new()
}
