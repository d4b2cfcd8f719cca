//! Several holders of one element, and elements that wait for each other.

use vimhost_connector::{ElementStatus, ErrorKind};
use vimhost_model::{Dependency, Task, TaskAction, TaskStatus, Until};

use super::super::standing::{Creation, Deletion};
use super::super::{Effect, Event, Location, Standing};
use super::world::{Fault, Trouble, World};
use super::{Case, case, item_ref, task};

/// A task of another service, for item `b`.
fn of_another(id: &str, action: TaskAction, case: &Case) -> Task {
    Task {
        nsr_id: "ns2".parse().unwrap(),
        target_record: item_ref(case.item, "b"),
        ..task(id, action, case)
    }
}

fn with_two_holders(case: &Case) -> World {
    let first = task("op:0", TaskAction::Create, case);
    World::of(case, vec![first, of_another("op2:0", TaskAction::Create, case)])
}

#[test]
fn two_holders_share_one_element_and_the_last_release_deletes_it() {
    for name in ["network", "flavour", "existing network"] {
        let case = case(name);
        let mut world = with_two_holders(&case);
        world.run();
        assert_eq!(
            (world.status(0), world.status(1)),
            (TaskStatus::Done, TaskStatus::Done),
            "{name}"
        );
        assert_eq!(world.made.len(), usize::from(case.made), "{name}");
        let shown: Vec<_> = world
            .records
            .iter()
            .filter_map(|change| change.item.as_ref())
            .map(|(_, id)| id.as_str())
            .collect();
        assert!(shown.contains(&"a") && shown.contains(&"b"));
        world.commit(task("op:1", TaskAction::Delete, &case));
        assert_eq!(world.status(2), TaskStatus::Superseded, "{name}");
        assert_eq!(world.elements.len(), usize::from(case.made), "{name}");
        assert_eq!(
            (world.status(1), world.saved.vim.vim_id.is_some()),
            (TaskStatus::Done, true),
            "{name}"
        );
        world.commit(of_another("op2:1", TaskAction::Delete, &case));
        assert!(world.elements.is_empty() && world.journal.is_empty(), "{name}");
    }
}

#[test]
fn a_holder_that_comes_while_the_last_one_goes_takes_the_element_over_as_ours() {
    for name in ["network", "flavour", "vm"] {
        let case = case(name);
        let mut world = World::new(&case);
        world.run();
        let calls = world.calls.len();
        world.saved.tasks.push(task("op:1", TaskAction::Delete, &case));
        world.commit(of_another("op2:0", TaskAction::Create, &case));
        assert_eq!(
            (world.status(1), world.status(2)),
            (TaskStatus::Superseded, TaskStatus::Done),
            "{name}"
        );
        assert_eq!(world.calls.len(), calls, "{name}: neither made nor looked for again");
        assert!(world.saved.vim.created);
        world.commit(of_another("op2:1", TaskAction::Delete, &case));
        assert!(world.elements.is_empty(), "{name}");
    }
}

#[test]
fn a_second_holder_tries_itself_when_the_first_one_failed() {
    for (name, call) in [("network", 0), ("flavour", 0), ("image", 0)] {
        let case = case(name);
        let mut world = with_two_holders(&case);
        world.fault = Some(Fault {
            call,
            phase: 0,
            trouble: Trouble::Error(ErrorKind::BadRequest),
            lasting: false,
        });
        world.run();
        // What is observed shows the first holder, too, that its element is there after all.
        let first = if name == "network" {
            TaskStatus::Done
        } else {
            TaskStatus::Failed
        };
        assert_eq!((world.status(0), world.status(1)), (first, TaskStatus::Done), "{name}");
    }
    let mut unknown = case("image");
    unknown.foreign = &[];
    let mut world = with_two_holders(&unknown);
    world.run();
    assert_eq!(
        (world.status(0), world.status(1)),
        (TaskStatus::Failed, TaskStatus::Failed)
    );
}

fn waiting(case: &Case, until: Until) -> Task {
    Task {
        depends_on: vec![Dependency {
            reference: "nsrs:ns:vld.m".to_owned(),
            resource: "net".parse().unwrap(),
            until,
            interfaces: Vec::new(),
        }],
        ..task("op:0", TaskAction::Create, case)
    }
}

fn standing(creation: Creation, deletion: Deletion) -> Standing {
    Standing {
        item: vimhost_model::Item::Net,
        creation,
        deletion,
        location: Location::Known(Vec::new()),
    }
}

#[test]
fn a_vm_waits_for_its_network_and_gets_its_id() {
    let mut case = case("vm");
    case.params.as_mut().unwrap()["net_list"][0]["net_id"] = "TASK-nsrs:ns:vld.m".into();
    let mut world = World::of(&case, vec![waiting(&case, Until::Created)]);
    world
        .others
        .insert("net".parse().unwrap(), standing(Creation::Awaited, Deletion::Clear));
    world.run();
    assert!(world.waiting && world.calls.is_empty());
    world.others.insert(
        "net".parse().unwrap(),
        standing(Creation::Usable("n77".parse().unwrap()), Deletion::Clear),
    );
    let effects = world.happens(Event::Look);
    let [Effect::Call(_, request)] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    assert!(format!("{request:?}").contains("n77"));
    world.run();
    assert_eq!(world.status(0), TaskStatus::Done);
}

#[test]
fn what_depends_on_something_failed_or_gone_fails_with_ng_ros_words() {
    let case = case("vm");
    for (other, message) in [
        (
            Some(standing(Creation::Failed("quota".to_owned()), Deletion::Clear)),
            "Cannot create vdu because depends on failed create net (id=nsrs:ns:vld.m): quota",
        ),
        (
            Some(standing(Creation::Over, Deletion::Clear)),
            "Cannot get depending task nsrs:ns:vld.m",
        ),
        (None, "Cannot get depending task nsrs:ns:vld.m"),
    ] {
        let mut world = World::of(&case, vec![waiting(&case, Until::Created)]);
        world.others.extend(other.map(|other| ("net".parse().unwrap(), other)));
        world.run();
        assert_eq!((world.status(0), world.calls.len()), (TaskStatus::Failed, 0));
        assert_eq!(world.saved.tasks[0].message.as_deref(), Some(message));
        world.commit(task("op:1", TaskAction::Delete, &case));
        assert_eq!(world.status(1), TaskStatus::Superseded);
    }
}

#[test]
fn what_is_made_anew_waits_for_the_old_one_to_go() {
    let case = case("vm");
    let mut world = World::of(&case, vec![waiting(&case, Until::Deleted)]);
    world
        .others
        .insert("net".parse().unwrap(), standing(Creation::Over, Deletion::Awaited));
    world.run();
    assert!(world.waiting && world.calls.is_empty());
    world
        .others
        .insert("net".parse().unwrap(), standing(Creation::Over, Deletion::Clear));
    world.run();
    assert_eq!(world.status(0), TaskStatus::Done);

    let mut world = World::of(&case, vec![waiting(&case, Until::Deleted)]);
    world.others.insert(
        "net".parse().unwrap(),
        standing(Creation::Over, Deletion::Failed("in use".to_owned())),
    );
    world.run();
    let message = world.saved.tasks[0].message.clone().unwrap();
    assert!(
        message.contains("depends on failed delete net") && message.ends_with("in use"),
        "{message}"
    );
}

#[test]
fn an_element_counts_as_usable_while_it_builds_and_as_failed_when_every_holder_failed() {
    let case = case("network");
    let mut world = World::new(&case);
    assert_eq!(Standing::of(&world.saved).creation, Creation::Awaited);
    world.sights = vec![Some(ElementStatus::Build), Some(ElementStatus::Error)];
    world.run();
    assert_eq!(
        Standing::of(&world.saved).creation,
        Creation::Failed("no valid host".to_owned())
    );
    world.saved.tasks[0].status = TaskStatus::Build;
    assert!(matches!(Standing::of(&world.saved).creation, Creation::Usable(_)));
    world.saved.tasks.push(task("op:1", TaskAction::Delete, &case));
    assert_eq!(Standing::of(&world.saved).deletion, Deletion::Awaited);
    world.fault = Some(Fault {
        call: 0,
        phase: 0,
        trouble: Trouble::Error(ErrorKind::BadRequest),
        lasting: true,
    });
    world.calls.clear();
    world.run();
    assert_eq!(
        Standing::of(&world.saved).deletion,
        Deletion::Failed("Error while deleting: bad-request on purpose".to_owned())
    );
    world.fault = None;
    world.commit(task("op:2", TaskAction::Delete, &case));
    assert_eq!(Standing::of(&world.saved).deletion, Deletion::Clear);
}
