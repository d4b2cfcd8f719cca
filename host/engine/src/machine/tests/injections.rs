//! Keys that are to be let into VMs: when they are tried, how often, and what is left of a try.

use serde_json::{Value, json};
use vimhost_connector::{ElementStatus, InjectionError};
use vimhost_model::{Item, Task, TaskAction, TaskStatus};

use super::super::{Answer, Effect, Event};
use super::life::delete;
use super::world::World;
use super::{case, task};

const KEY: &str = "ssh-ed25519 AAAA me";

fn injection(number: usize) -> Task {
    let mut injection = task(&format!("op:{number}"), TaskAction::Exec, &case("vm"));
    injection.params = Some(json!({"ip_address": "10.0.0.5", "user": "ubuntu", "key": KEY,
        "password": "v1.sealed", "private_key": "ro_nsrs:ns"}));
    injection
}

/// A VM in service.
fn deployed() -> World {
    let mut world = World::new(&case("vm"));
    world.run();
    world
}

fn param<'w>(world: &'w World, key: &str) -> &'w Value {
    &world.saved.tasks[1].params.as_ref().unwrap()[key]
}

#[test]
fn a_key_is_let_in_and_its_task_is_over_without_a_word_from_the_vim() {
    for twice in [false, true] {
        let mut world = deployed();
        world.twice = twice;
        let (seen, vim, records) = (world.seen, world.saved.vim.clone(), world.records.len());
        world.commit(injection(1));
        assert_eq!(
            (world.status(0), world.status(1)),
            (TaskStatus::Done, TaskStatus::Finished)
        );
        let [(_, request)] = world.injections.as_slice() else {
            panic!("{:?}", world.injections);
        };
        assert_eq!(request.address.to_string(), "10.0.0.5");
        assert_eq!((request.user.as_str(), request.key.as_str()), ("ubuntu", KEY));
        assert_eq!(request.password.as_ref().unwrap().0, "v1.sealed");
        assert_eq!((request.nsr_id.as_str(), request.action_id.as_str()), ("ns", "op"));
        // D9: nothing of it goes to a record, and the VM is not even looked at.
        assert_eq!(
            (world.seen, &world.saved.vim, world.records.len()),
            (seen, &vim, records)
        );
        assert_eq!(param(&world, "password"), &Value::Null, "it is needed no more");
    }
}

#[test]
fn a_vm_that_lets_nobody_in_is_tried_every_thirty_seconds_twenty_times_and_then_it_has_failed() {
    let mut world = deployed();
    world.shut_for = usize::MAX;
    world.commit(injection(1));
    let times: Vec<i64> = world.injections.iter().map(|(at, _)| at.0).collect();
    assert_eq!(times.len(), 20);
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 30_000), "{times:?}");
    let failed = &world.saved.tasks[1];
    assert_eq!(
        (world.status(0), failed.status, failed.attempt),
        (TaskStatus::Done, TaskStatus::Failed, 20)
    );
    assert_eq!(
        failed.message.as_deref(),
        Some("Cannot inject ssh key in VM: 'no answer'")
    );
    assert_eq!(param(&world, "password"), &Value::Null);
    assert!(
        world
            .happens(Event::Look)
            .iter()
            .all(|effect| !matches!(effect, Effect::Inject(..)))
    );
}

#[test]
fn a_try_that_failed_counts_and_leaves_the_task_building_until_one_succeeds() {
    let mut world = deployed();
    world.saved.tasks.push(injection(1));
    let effects = world.happens(Event::Look);
    assert!(matches!(effects.as_slice(), [Effect::Inject(..)]), "{effects:?}");
    let error = InjectionError::Passing("no answer".to_owned());
    let answer = Answer::Injected(Err(error));
    let effects = world.happens(Event::Answered("op:1".parse().unwrap(), answer));
    assert_eq!(
        effects,
        [Effect::WakeAt(world.now.plus(std::time::Duration::from_secs(30)))]
    );
    let task = &world.saved.tasks[1];
    assert_eq!((task.status, task.attempt), (TaskStatus::Build, 1));
    assert_eq!(param(&world, "password"), "v1.sealed", "for the next try");
    // A look before its time, after a restart for instance, only sets the clock again.
    let before = world.saved.clone();
    let effects = world.happens(Event::Look);
    assert!(matches!(effects.as_slice(), [Effect::WakeAt(_)]), "{effects:?}");
    assert_eq!(world.saved, before);
    world.shut_for = 2;
    world.run();
    assert_eq!((world.status(1), world.injections.len()), (TaskStatus::Finished, 3));
}

#[test]
fn what_cannot_pass_fails_at_once() {
    let mut world = deployed();
    world.shut_for = usize::MAX;
    world.refusal = InjectionError::Lasting("169.254.169.254 is never dialled".to_owned());
    world.commit(injection(1));
    assert_eq!((world.status(1), world.injections.len()), (TaskStatus::Failed, 1));
    let message = world.saved.tasks[1].message.clone().unwrap();
    assert_eq!(
        message,
        "Cannot inject ssh key in VM: '169.254.169.254 is never dialled'"
    );
    for (key, value) in [
        ("ip_address", json!("web.example")),
        ("user", Value::Null),
        ("key", Value::Null),
    ] {
        let mut world = deployed();
        let mut wrong = injection(1);
        wrong.params.as_mut().unwrap()[key] = value;
        world.commit(wrong);
        assert_eq!(
            (world.status(1), world.injections.len()),
            (TaskStatus::Failed, 0),
            "{key}"
        );
    }
}

#[test]
fn a_key_waits_until_the_vm_is_made_and_goes_to_the_address_that_it_got() {
    let mut early = injection(1);
    early.params.as_mut().unwrap()["ip_address"] = Value::Null;
    let mut world = World::of(
        &case("vm"),
        vec![task("op:0", TaskAction::Create, &case("vm")), early.clone()],
    );
    world.run();
    assert_eq!(
        (world.status(0), world.status(1)),
        (TaskStatus::Done, TaskStatus::Finished)
    );
    assert_eq!(
        world.injections[0].1.address.to_string(),
        "203.0.113.0",
        "the first of its management interface"
    );
    // One that has no address yet is one that lets nobody in yet.
    world.saved.vim.interfaces.clear();
    early.id = "op:2".parse().unwrap();
    world.saved.tasks.push(early);
    world.happens(Event::Look);
    let task = &world.saved.tasks[2];
    assert_eq!((task.status, task.attempt), (TaskStatus::Build, 1));
    assert!(task.message.as_ref().unwrap().contains("no address yet"));
}

#[test]
fn a_key_for_a_vm_that_was_not_made_fails_with_the_reason() {
    let mut broken = task("op:0", TaskAction::Create, &case("vm"));
    broken.params = Some(json!({"name": "vm"}));
    let mut world = World::of(&case("vm"), vec![broken, injection(1)]);
    world.run();
    assert_eq!(
        (world.status(0), world.status(1)),
        (TaskStatus::Failed, TaskStatus::Failed)
    );
    let message = world.saved.tasks[1].message.clone().unwrap();
    assert!(
        message.starts_with("Cannot exec vdu because depends on failed create vdu (id=vnfrs:r:vdur.a): "),
        "{message}"
    );
    assert!(world.injections.is_empty());
}

#[test]
fn other_commands_and_deletions_do_not_wait_for_a_vm_that_lets_nobody_in() {
    let mut world = deployed();
    world.operated.status = Some(ElementStatus::Active);
    let mut start = task("op:2", TaskAction::Exec, &case("vm"));
    start.item = Item::Update;
    start.params = Some(json!({"action": "start"}));
    world.saved.tasks.extend([injection(1), start]);
    assert!(matches!(world.happens(Event::Look).as_slice(), [Effect::Inject(..)]));
    let answer = Answer::Injected(Err(InjectionError::Passing("no answer".to_owned())));
    world.happens(Event::Answered("op:1".parse().unwrap(), answer));
    let effects = world.happens(Event::Look);
    assert!(
        matches!(effects.as_slice(), [Effect::Call(task, _)] if task.as_str() == "op:2"),
        "{effects:?}"
    );
    world.run();
    assert_eq!(
        (world.status(1), world.status(2)),
        (TaskStatus::Finished, TaskStatus::Finished)
    );
    assert_eq!(world.calls, ["create", "operate", "inject"]);

    let mut world = deployed();
    world.saved.tasks.push(injection(1));
    world.commit(delete(&case("vm"), 2));
    assert_eq!(
        (world.status(1), world.status(2)),
        (TaskStatus::Failed, TaskStatus::Finished)
    );
    assert!(world.injections.is_empty());
    assert_eq!(
        world.saved.tasks[1].message.as_deref(),
        Some("the VM was deleted meanwhile")
    );
}

#[test]
fn a_host_that_dies_tries_again_and_counts_on() {
    for point in 1..12 {
        let mut world = deployed();
        world.points = 0;
        world.crash_at = Some(point);
        world.shut_for = 2;
        world.commit(injection(1));
        assert_eq!(world.status(1), TaskStatus::Finished, "{point}");
        // A try that nobody heard the end of is made once more.
        assert!(
            (3..=4).contains(&world.injections.len()),
            "{point}: {:?}",
            world.injections
        );
    }
}

#[test]
fn a_vm_of_somebody_else_is_let_in_from_a_document_of_its_own() {
    let mut case = case("vm");
    case.item = Item::Update;
    let mut world = World::of(&case, vec![injection(0)]);
    world.run();
    assert_eq!((world.status(0), world.injections.len()), (TaskStatus::Finished, 1));
    assert!(world.records.is_empty());
}
