//! Commands to a VM: when they run, when they are over, and what they leave.

use serde_json::{Value, json};
use vimhost_connector::{Console, ElementStatus, ErrorKind, OperateRequest, Operated, PowerAction};
use vimhost_model::{Dependency, FieldPath, Item, Task, TaskAction, TaskStatus, Until, VimStatus};

use super::super::standing::Deletion;
use super::super::{CONSOLE, Creation, Event, Location, Standing};
use super::life::delete;
use super::world::{Fault, Trouble, World};
use super::{Case, case, task};

/// A command to the VM of the tests.
fn command(number: usize, item: Item, params: Value) -> Task {
    let mut command = task(&format!("op:{number}"), TaskAction::Exec, &case("vm"));
    command.item = item;
    command.params = Some(params);
    command
}

fn stop(number: usize) -> Task {
    command(number, Item::Update, json!({"action": "shutoff"}))
}

fn answered(status: ElementStatus) -> Operated {
    Operated {
        status: Some(status),
        ..Operated::default()
    }
}

fn vm() -> Case {
    case("vm")
}

#[test]
fn d29_a_command_is_over_with_the_sight_that_shows_what_the_vim_answered_and_the_vm_has_not_failed() {
    for twice in [false, true] {
        let mut world = World::new(&vm());
        world.twice = twice;
        world.run();
        world.operated = answered(ElementStatus::Inactive);
        // The list lags once.
        let [building, active, stopped] =
            [ElementStatus::Build, ElementStatus::Active, ElementStatus::Inactive].map(Some);
        world.sights = vec![building, active, active, stopped];
        world.commit(stop(1));
        assert_eq!(
            (world.status(0), world.status(1), world.seen),
            (TaskStatus::Done, TaskStatus::Finished, 4)
        );
        assert_eq!(world.saved.vim.vim_status, Some(VimStatus::Inactive));
        assert!(matches!(
            world.commands.as_slice(),
            [OperateRequest::Power {
                action: PowerAction::Stop,
                ..
            }]
        ));
        let shown = world.records.iter().flat_map(|change| &change.set);
        let statuses: Vec<&Value> = shown
            .filter(|(path, _)| *path == FieldPath::keys(["status"]))
            .map(|(_, value)| value)
            .collect();
        assert_eq!(statuses.last(), Some(&&json!("INACTIVE")));
    }
}

#[test]
fn what_is_never_seen_as_the_vim_answered_ends_a_command_all_the_same() {
    let mut world = World::new(&vm());
    world.run();
    world.operated = answered(ElementStatus::Inactive);
    world.commit(stop(1));
    assert_eq!(world.status(1), TaskStatus::Finished);
    assert!(world.seen > 10, "{}", world.seen);
}

#[test]
fn a_command_waits_until_the_vm_is_made_and_commands_come_one_after_the_other() {
    let mut world = World::of(
        &vm(),
        vec![
            task("op:0", TaskAction::Create, &vm()),
            stop(1),
            command(2, Item::Migrate, json!({"migrate_host": "h2"})),
        ],
    );
    world.sights = vec![
        Some(ElementStatus::Build),
        Some(ElementStatus::Build),
        Some(ElementStatus::Active),
    ];
    world.run();
    assert_eq!(world.calls, ["create", "operate", "operate"]);
    assert!(world.saved.tasks.iter().all(|task| !task.status.is_open()));
    assert_eq!(world.status(0), TaskStatus::Done);
    assert!(matches!(&world.commands[1], OperateRequest::Migrate { host: Some(host), .. } if host == "h2"));
}

fn flavour(creation: Creation) -> Standing {
    Standing {
        item: Item::Flavor,
        creation,
        deletion: Deletion::Clear,
        location: Location::Known(Vec::new()),
    }
}

/// A change of size whose flavour stands like this.
fn scaled(creation: Creation) -> World {
    let mut world = World::new(&vm());
    world.run();
    let reference = "nsrs:ns:flavor.1".to_owned();
    let mut scale = command(
        1,
        Item::VerticalScale,
        json!({"flavor_id": format!("TASK-{reference}"), "ns_flavor_id": "1"}),
    );
    scale.depends_on.push(Dependency {
        reference,
        resource: "flavour".parse().unwrap(),
        until: Until::Created,
        interfaces: Vec::new(),
    });
    world.others.insert("flavour".parse().unwrap(), flavour(creation));
    world.commit(scale);
    world
}

#[test]
fn a_change_of_size_waits_for_its_flavour_and_the_record_points_to_it_when_it_is_done() {
    let mut world = scaled(Creation::Awaited);
    assert!(world.waiting);
    assert_eq!((world.status(1), world.commands.len()), (TaskStatus::Scheduled, 0));
    let points = |world: &World| {
        let mut set = world.records.iter().flat_map(|change| &change.set);
        set.any(|(path, value)| *path == FieldPath::keys(["ns-flavor-id"]) && *value == json!("1"))
    };
    assert!(!points(&world));
    let usable = flavour(Creation::Usable("f2".parse().unwrap()));
    world.others.insert("flavour".parse().unwrap(), usable);
    world.run();
    assert!(matches!(&world.commands[0], OperateRequest::Resize { flavour, .. } if flavour.as_str() == "f2"));
    assert_eq!(world.status(1), TaskStatus::Finished);
    assert_eq!(world.saved.vim.flavour.as_ref().unwrap().as_str(), "f2");
    assert_eq!(
        world.saved.tasks[0].params.as_ref().unwrap()["flavor_id"],
        "TASK-nsrs:ns:flavor.1"
    );
    assert!(points(&world));
}

#[test]
fn d19_a_flavour_that_cannot_be_had_fails_the_change_of_size() {
    for (creation, text) in [
        (
            Creation::Failed("quota".to_owned()),
            "depends on failed create flavor (id=nsrs:ns:flavor.1): quota",
        ),
        (Creation::Over, "Cannot get depending task nsrs:ns:flavor.1"),
    ] {
        let world = scaled(creation);
        assert_eq!(
            (world.status(1), world.status(0)),
            (TaskStatus::Failed, TaskStatus::Done)
        );
        assert!(world.saved.tasks[1].message.as_ref().unwrap().contains(text));
        assert!(world.commands.is_empty());
    }
}

#[test]
fn d34_a_command_that_fails_keeps_its_own_message_and_the_vm_is_looked_at() {
    let mut world = World::new(&vm());
    world.run();
    let seen = world.seen;
    world.fault = Some(Fault {
        call: world.calls.len(),
        phase: 0,
        trouble: Trouble::Error(ErrorKind::Conflict),
        lasting: false,
    });
    world.commit(stop(1));
    assert_eq!(
        (world.status(0), world.status(1)),
        (TaskStatus::Done, TaskStatus::Failed)
    );
    assert_eq!(world.saved.tasks[1].message.as_deref(), Some("conflict on purpose"));
    assert_eq!(
        (world.saved.vim.vim_status, world.saved.vim.vim_message.as_deref()),
        (Some(VimStatus::Active), None)
    );
    assert!(world.seen > seen, "what came of it is for the VIM to show");
}

#[test]
fn a_command_that_leaves_the_vm_in_error_has_failed() {
    let mut world = World::new(&vm());
    world.run();
    world.operated = answered(ElementStatus::Error);
    world.operated.status_text = "ERROR".to_owned();
    world.sights = vec![Some(ElementStatus::Error)];
    world.commit(command(1, Item::Migrate, json!({})));
    assert_eq!(
        (world.status(0), world.status(1)),
        (TaskStatus::Failed, TaskStatus::Failed)
    );
    assert_eq!(
        world.saved.tasks[1].message.as_deref(),
        Some("VIM status reported ERROR")
    );
    assert_eq!(
        world.saved.tasks[0].message.as_deref(),
        Some("no valid host"),
        "each its own"
    );
}

#[test]
fn a_console_is_over_at_once_and_its_answer_is_kept() {
    let mut world = World::new(&vm());
    world.run();
    let seen = world.seen;
    world.operated.console = Some(Console {
        protocol: "http".to_owned(),
        server: "host".to_owned(),
        port: 6080,
        suffix: "vnc?token=x".to_owned(),
    });
    world.commit(command(1, Item::Console, json!({"action": "console"})));
    assert_eq!((world.status(1), world.seen), (TaskStatus::Finished, seen));
    assert_eq!(
        world.saved.tasks[1].result.as_ref().unwrap()[CONSOLE],
        json!({"protocol": "http", "server": "host", "port": 6080, "suffix": "vnc?token=x", "url": "http://host:6080/vnc?token=x"})
    );
}

#[test]
fn a_command_to_a_vm_that_is_deleted_meanwhile_fails() {
    let mut world = World::new(&vm());
    world.run();
    world.saved.tasks.push(stop(1));
    world.commit(delete(&vm(), 2));
    assert_eq!(
        (world.status(1), world.status(2)),
        (TaskStatus::Failed, TaskStatus::Finished)
    );
    assert!(world.commands.is_empty());
    let message = world.saved.tasks[1].message.clone().unwrap();
    assert_eq!(message, "the VM was deleted meanwhile");
}

#[test]
fn a_vm_that_only_the_record_knows_shows_the_answer_there() {
    let mut case = vm();
    case.item = Item::Update;
    let mut command = task("op:0", TaskAction::Exec, &case);
    command.params = Some(json!({"vim_vm_id": "theirs", "action": "start"}));
    let mut world = World::of(&case, vec![command]);
    world.operated = answered(ElementStatus::Active);
    world.run();
    assert_eq!(world.status(0), TaskStatus::Finished);
    assert!(matches!(&world.commands[0], OperateRequest::Power { server, .. } if server.as_str() == "theirs"));
    let set: Vec<_> = world.records.iter().flat_map(|change| change.set.clone()).collect();
    assert_eq!(
        set,
        [
            (FieldPath::keys(["vim_info", "vim:x", "vim_status"]), json!("ACTIVE")),
            (FieldPath::keys(["status"]), json!("ACTIVE")),
        ]
    );
    // A look once more does nothing.
    assert!(world.happens(Event::Look).is_empty());
}

#[test]
fn volumes_that_a_deletion_names_are_held() {
    let mut world = World::new(&vm());
    world.run();
    let mut deletion = delete(&vm(), 1);
    deletion.params = Some(json!({"vim_id": "x", "volumes_to_hold": ["v1", "v2"]}));
    world.commit(deletion);
    let held: Vec<&str> = world.held.iter().map(vimhost_model::VimId::as_str).collect();
    assert_eq!(held, ["v1", "v2"]);
    // The record is cleared: what comes after it speaks for itself.
    let unset: Vec<_> = world.records.iter().flat_map(|change| &change.unset).collect();
    assert_eq!(unset, [&FieldPath::keys(["vim_info", "vim:x"])]);
}
