//! Deletions that the VIM accepts and takes its time for.

use vimhost_connector::{DeleteStep, ElementStatus};
use vimhost_model::TaskStatus;

use super::super::{Answer, Effect, Event, Sight};
use super::case;
use super::life::delete;
use super::world::{World, observation};

fn made(slow: usize) -> World {
    let mut world = World::new(&case("vm"));
    world.run();
    world.slow_deletion = Some(slow);
    world.calls.clear();
    world.points = 0;
    world
}

#[test]
fn an_accepted_deletion_is_observed_and_asked_for_again_when_the_element_is_gone() {
    let mut world = made(3);
    world.commit(delete(&case("vm"), 1));
    assert_eq!(world.calls, ["delete", "delete"]);
    assert_eq!(world.status(1), TaskStatus::Finished);
    assert_eq!((world.elements.len(), world.journal.len()), (0, 0));
}

#[test]
fn a_host_that_dies_at_any_point_of_a_slow_deletion_leaves_nothing() {
    let mut crash = 1;
    loop {
        let mut world = made(2);
        world.crash_at = Some(crash);
        world.commit(delete(&case("vm"), 1));
        assert_eq!(world.status(1), TaskStatus::Finished, "died at {crash}");
        assert_eq!((world.elements.len(), world.journal.len()), (0, 0), "died at {crash}");
        if world.points < crash {
            break;
        }
        crash += 1;
    }
    assert!(crash > 8, "only {crash} points to die at");
}

#[test]
fn every_event_of_a_slow_deletion_may_come_twice() {
    let mut world = made(2);
    world.twice = true;
    world.commit(delete(&case("vm"), 1));
    assert_eq!(world.status(1), TaskStatus::Finished);
}

/// A world whose deletion was just accepted.
fn accepted() -> (World, Vec<Effect>) {
    let mut world = made(0);
    world.slow_deletion = None;
    world.saved.tasks.push(delete(&case("vm"), 1));
    let effects = world.happens(Event::Look);
    assert!(matches!(effects.as_slice(), [Effect::Call(..)]), "{effects:?}");
    let task = world.saved.tasks[1].id.clone();
    let effects = world.happens(Event::Answered(task, Answer::Deleted(Ok(DeleteStep::Accepted))));
    (world, effects)
}

#[test]
fn a_deletion_that_failed_in_the_vim_is_asked_for_again() {
    let (mut world, _) = accepted();
    let id = world.saved.vim.vim_id.clone().unwrap();
    let seen = Sight::Present(Box::new(observation(id, ElementStatus::Error, &[])));
    let effects = world.happens(Event::Observed(seen));
    assert_eq!(effects, [Effect::LookAgain]);
    let effects = world.happens(Event::Look);
    assert!(matches!(effects.as_slice(), [Effect::Call(..)]), "{effects:?}");
}

#[test]
fn after_a_restart_an_accepted_deletion_is_still_observed() {
    let (mut world, effects) = accepted();
    assert!(effects.contains(&Effect::Observe), "{effects:?}");
    let effects = world.happens(Event::Look);
    assert!(effects.contains(&Effect::Observe), "{effects:?}");
    assert!(
        !effects.iter().any(|effect| matches!(effect, Effect::Call(..))),
        "{effects:?}"
    );
}

#[test]
fn a_connector_that_never_shows_the_element_is_asked_after_a_while() {
    let (mut world, _) = accepted();
    world.now = world.now.plus(std::time::Duration::from_secs(601));
    let effects = world.happens(Event::Look);
    assert!(matches!(effects.as_slice(), [Effect::Call(..)]), "{effects:?}");
}
