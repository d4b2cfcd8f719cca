//! A clock that is set: whoever rests by the one before goes on.

use vimhost_connector::{Error as CallError, ErrorKind, InjectionError};
use vimhost_model::{TaskAction, Timestamp};

use super::super::{Answer, Effect, Event};
use super::world::World;
use super::{case, task};

const YEAR: i64 = 31_536_000_000;

#[test]
fn a_task_that_rests_goes_on_when_the_clock_is_set_back_or_forward() {
    for set in [-YEAR, YEAR] {
        let mut world = World::new(&case("network"));
        world.happens(Event::Look);
        let answer = Answer::Created(Err(CallError::new(ErrorKind::Unreachable, "no route")));
        let effects = world.happens(Event::Answered("op:0".parse().unwrap(), answer));
        assert!(matches!(effects.as_slice(), [Effect::WakeAt(_)]), "{effects:?}");
        let effects = world.happens(Event::Look);
        assert!(matches!(effects.as_slice(), [Effect::WakeAt(_)]), "{effects:?}");
        world.now = Timestamp(world.now.0 + set);
        let effects = world.happens(Event::Look);
        assert!(matches!(effects.as_slice(), [Effect::Call(..)]), "{set}: {effects:?}");
    }
}

#[test]
fn a_key_injection_that_rests_is_tried_when_the_clock_is_set_back() {
    let mut world = World::new(&case("vm"));
    world.run();
    let mut injection = task("op:1", TaskAction::Exec, &case("vm"));
    injection.params =
        Some(serde_json::json!({"ip_address": "10.0.0.5", "user": "ubuntu", "key": "ssh-ed25519 AAAA me"}));
    world.saved.tasks.push(injection);
    world.happens(Event::Look);
    let answer = Answer::Injected(Err(InjectionError::Passing("no answer".to_owned())));
    world.happens(Event::Answered("op:1".parse().unwrap(), answer));
    world.now = Timestamp(world.now.0 - YEAR);
    let effects = world.happens(Event::Look);
    assert!(matches!(effects.as_slice(), [Effect::Inject(..)]), "{effects:?}");
}
