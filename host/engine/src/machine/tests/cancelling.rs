//! Tasks that somebody cancels, before they begin and after.

use vimhost_model::{JournalEntry, JournalStatus, TaskStatus, Timestamp, VimStatus};

use super::super::CANCELLED;
use super::life::delete;
use super::world::World;
use super::{case, cases};

#[test]
fn a_creation_that_has_not_begun_is_given_up_and_leaves_nothing() {
    for case in cases() {
        let mut world = World::new(&case);
        world.saved.tasks[0].cancel_asked = true;
        world.run();
        let task = &world.saved.tasks[0];
        assert_eq!(
            (task.status, task.message.as_deref(), task.cancel_asked),
            (TaskStatus::Failed, Some(CANCELLED), false),
            "{}",
            case.name
        );
        assert!(world.calls.is_empty() && world.made.is_empty(), "{}", case.name);
        // A terminate finds nothing to delete.
        world.commit(delete(&case, 1));
        assert_eq!(world.status(1), TaskStatus::Superseded, "{}", case.name);
        assert!(
            !world.saved.may_exist() && !world.saved.has_open_tasks(),
            "{}",
            case.name
        );
    }
}

#[test]
fn what_has_announced_an_element_goes_on() {
    let case = case("vm");
    let mut world = World::new(&case);
    // A call was lost after it announced what it makes: the task is as it was, and the mark meets a journal.
    world.journal.push(JournalEntry {
        id: 1,
        kind: "vm".to_owned(),
        token: world.saved.token(),
        status: JournalStatus::Begun,
        begun_at: Timestamp(0),
        element: None,
    });
    world.saved.tasks[0].cancel_asked = true;
    world.run();
    let mut undisturbed = World::new(&case);
    undisturbed.run();
    assert_eq!(
        (world.status(0), world.made.len()),
        (TaskStatus::Done, undisturbed.made.len())
    );
    assert!(!world.saved.tasks[0].cancel_asked);
}

#[test]
fn volumes_that_were_taken_over_are_no_beginning_and_stay_known() {
    let case = case("vm");
    let mut world = World::new(&case);
    world.journal.push(JournalEntry {
        id: 1,
        kind: "volume".to_owned(),
        token: "an-old-one.v0".to_owned(),
        status: JournalStatus::Committed,
        begun_at: Timestamp(0),
        element: Some("volume-1".parse().unwrap()),
    });
    world.saved.tasks[0].cancel_asked = true;
    world.saved.tasks[0].params.as_mut().unwrap()["previous_created_volumes"] = serde_json::json!({});
    world.run();
    assert_eq!(world.status(0), TaskStatus::Failed);
    assert!(world.calls.is_empty());
    assert_eq!(world.journal.len(), 1);
    assert!(
        world.records.is_empty(),
        "the record speaks of the VM before it, which is as it was"
    );
    world.commit(delete(&case, 1));
    assert_eq!(
        (world.status(1), world.calls.as_slice()),
        (TaskStatus::Finished, ["delete"].as_slice())
    );
    assert!(world.journal.is_empty());
}

#[test]
fn a_deletion_that_has_not_begun_leaves_the_element_as_it_was_and_can_be_asked_for_again() {
    let case = case("vm");
    let mut world = World::new(&case);
    world.run();
    let (vim, elements) = (world.saved.vim.clone(), world.elements.len());
    let mut cancelled = delete(&case, 1);
    cancelled.cancel_asked = true;
    world.commit(cancelled);
    assert_eq!(world.status(1), TaskStatus::Failed);
    assert_eq!(world.saved.vim, vim);
    assert_eq!(world.status(0), TaskStatus::Done);
    assert_eq!(world.elements.len(), elements);
    world.saved.tasks[1].status = TaskStatus::Scheduled;
    world.run();
    assert_eq!(world.status(1), TaskStatus::Finished);
    assert_eq!(world.saved.vim.vim_status, Some(VimStatus::Deleted));
    assert!(world.elements.is_empty());
}

#[test]
fn a_deletion_that_was_tried_goes_on() {
    let case = case("vm");
    let mut world = World::new(&case);
    world.run();
    let mut tried = delete(&case, 1);
    tried.attempt = 1;
    tried.cancel_asked = true;
    world.commit(tried);
    assert_eq!(world.status(1), TaskStatus::Finished);
    assert!(world.elements.is_empty());
}
