use super::*;
use crate::lcm::work::{Kept, StackNow};
use vimhost_connector::Error as VimError;

const NOW: Timestamp = Timestamp(1_000_000);

fn op_occ() -> VnfLcmOpOccId {
    "0192f0c1-7a3b-7c4d-8e5f-0123456789ab".parse().unwrap()
}

fn work(steps: Vec<Step>, id: Option<&str>) -> Work {
    let stack = StackNow {
        name: "vnf-i".to_owned(),
        id: id.map(|id| id.parse().unwrap()),
        token: "qwert-old".to_owned(),
        generation: 0,
    };
    Work::new(steps, stack, Kept::default())
}

fn content() -> Content {
    Content::default()
}

fn create() -> Step {
    Step::Create { content: content() }
}

fn update() -> Step {
    Step::Update { content: content() }
}

fn at(work: &mut Work, event: Event, now: Timestamp) -> Todo {
    decided(work, event, now, false)
}

/// At a VIM that undoes what fails.
fn undoing(work: &mut Work, event: Event) -> Todo {
    decided(work, event, NOW, true)
}

fn decided(work: &mut Work, event: Event, now: Timestamp, rollback_on_failure: bool) -> Todo {
    let op_occ = op_occ();
    let around = Around {
        now,
        timeout_minutes: 20,
        rollback_on_failure,
        installation: "qwert",
        op_occ: &op_occ,
    };
    apply(work, event, &around)
}

fn then(work: &mut Work, event: Event) -> Todo {
    at(work, event, NOW)
}

fn answered_with(work: &mut Work, answer: Answer) -> Todo {
    then(work, Event::Answered(Ok(answer)))
}

fn refused(work: &mut Work, kind: ErrorKind) -> Todo {
    then(work, Event::Answered(Err(VimError::new(kind, "no"))))
}

fn seen_as(work: &mut Work, id: &str, action: StackAction, progress: StackProgress) -> Todo {
    then(work, Event::Seen(Sight::Present(observation(id, action, progress))))
}

fn observation(id: &str, action: StackAction, progress: StackProgress) -> StackObservation {
    StackObservation {
        stack: StackRef {
            name: "vnf-i".to_owned(),
            id: Some(id.parse().unwrap()),
        },
        action,
        progress,
        status_text: "WORD".to_owned(),
        reason: (progress == StackProgress::Failed).then(|| "no host".to_owned()),
        updated: None,
    }
}

#[test]
fn an_instantiation_is_a_create_observations_and_one_read() {
    let mut work = work(vec![create(), Step::Resources], None);
    assert!(matches!(then(&mut work, Event::Go), Todo::Call(Request::Create(_))));
    // Before the answer is known the step is repeated as it was.
    assert!(matches!(then(&mut work, Event::Go), Todo::Call(Request::Create(_))));
    assert!(matches!(
        answered_with(&mut work, Answer::Created("s".parse().unwrap())),
        Todo::Observe(..)
    ));
    // After a crash the wait goes on.
    assert!(matches!(then(&mut work, Event::Go), Todo::Observe(..)));
    let building = seen_as(&mut work, "s", StackAction::Create, StackProgress::InProgress);
    assert!(matches!(building, Todo::Observe(..)));
    let built = seen_as(&mut work, "s", StackAction::Create, StackProgress::Complete);
    assert!(matches!(built, Todo::Call(Request::Resources(_))));
    assert_eq!(
        answered_with(&mut work, Answer::Resources(vec![])),
        Todo::Done(Some(vec![]))
    );
}

#[test]
fn a_failed_stack_fails_with_the_vims_reason_and_is_updated_by_a_retry() {
    let mut work = work(vec![create(), Step::Resources], None);
    then(&mut work, Event::Go);
    answered_with(&mut work, Answer::Created("s".parse().unwrap()));
    let failed = seen_as(&mut work, "s", StackAction::Create, StackProgress::Failed);
    assert_eq!(
        failed,
        Todo::Failed(ProblemDetails::titled(422, "Stack create failed", "no host"))
    );
    retry(&mut work);
    assert!(matches!(then(&mut work, Event::Go), Todo::Call(Request::Update(..))));
    // Somebody has deleted it meanwhile: it is made anew under another token.
    assert!(matches!(
        refused(&mut work, ErrorKind::NotFound),
        Todo::Call(Request::Find(_))
    ));
    assert!(matches!(
        answered_with(&mut work, Answer::Found(None)),
        Todo::Call(Request::Create(_))
    ));
    assert_eq!(work.stack.token, format!("qwert-{}-g1", op_occ()));
}

#[test]
fn a_deletion_ends_when_the_stack_is_gone_without_another_call() {
    let mut work = work(vec![Step::Delete], Some("s"));
    assert!(matches!(then(&mut work, Event::Go), Todo::Call(Request::Delete(_))));
    assert!(matches!(answered_with(&mut work, Answer::Deleting), Todo::Observe(..)));
    let going = seen_as(&mut work, "s", StackAction::Delete, StackProgress::InProgress);
    assert!(matches!(going, Todo::Observe(..)));
    assert_eq!(then(&mut work, Event::Seen(Sight::Gone)), Todo::Done(None));
    assert_eq!(work.stack.id, None);
}

#[test]
fn a_deletion_that_is_told_of_no_stack_while_its_name_is_there_is_not_over() {
    let mut work = work(vec![Step::Delete], Some("s"));
    then(&mut work, Event::Go);
    let mut now = NOW;
    let mut asked = 0;
    let gone = loop {
        assert!(matches!(
            refused(&mut work, ErrorKind::NotFound),
            Todo::Call(Request::Find(_))
        ));
        if asked == 3 {
            break answered_with(&mut work, Answer::Found(None));
        }
        let found = observation("s", StackAction::Create, StackProgress::Complete);
        let again = answered_with(&mut work, Answer::Found(Some(found)));
        assert!(matches!(again, Todo::Call(Request::Delete(_))), "{again:?}");
        let Todo::Rest(until) = at(
            &mut work,
            Event::Answered(Err(VimError::new(ErrorKind::NotFound, "no"))),
            now,
        ) else {
            panic!("{work:?}");
        };
        assert!(work.stack.id.is_some());
        assert!(
            until.since(now) > Duration::from_millis(200 << asked),
            "longer each time"
        );
        now = until;
        assert!(matches!(at(&mut work, Event::Go, now), Todo::Call(Request::Delete(_))));
        asked += 1;
    };
    assert_eq!(gone, Todo::Done(None));

    // A VIM that says both for ever: the operation fails, and the stack stays known.
    let mut work = self::work(vec![Step::Delete], Some("s"));
    let mut todo = then(&mut work, Event::Go);
    for _ in 0..1000 {
        todo = match todo {
            Todo::Call(Request::Delete(_)) => at(
                &mut work,
                Event::Answered(Err(VimError::new(ErrorKind::NotFound, "no"))),
                now,
            ),
            Todo::Call(Request::Find(_)) => {
                let found = observation("s", StackAction::Create, StackProgress::Complete);
                at(&mut work, Event::Answered(Ok(Answer::Found(Some(found)))), now)
            }
            Todo::Rest(until) => {
                now = until;
                at(&mut work, Event::Go, now)
            }
            other @ (Todo::Observe(..) | Todo::Call(_) | Todo::Done(_) | Todo::Failed(_)) => {
                assert!(matches!(other, Todo::Failed(_)), "{other:?}");
                assert!(work.stack.id.is_some());
                return;
            }
        };
    }
    panic!("it never ends");
}

#[test]
fn a_lost_id_is_looked_up_once_and_another_one_is_used() {
    let mut work = work(vec![update(), Step::Resources], None);
    assert!(matches!(then(&mut work, Event::Go), Todo::Call(Request::Find(_))));
    let found = observation("live", StackAction::Create, StackProgress::Complete);
    let Todo::Call(Request::Update(stack, _)) = answered_with(&mut work, Answer::Found(Some(found))) else {
        panic!("{work:?}");
    };
    assert_eq!(stack.id.unwrap().as_str(), "live");
}

#[test]
fn a_stack_that_is_gone_fails_an_update_after_one_look_at_its_name() {
    let mut work = work(vec![update()], Some("old"));
    then(&mut work, Event::Go);
    assert!(matches!(
        refused(&mut work, ErrorKind::NotFound),
        Todo::Call(Request::Find(_))
    ));
    assert!(matches!(answered_with(&mut work, Answer::Found(None)), Todo::Failed(_)));
}

#[test]
fn a_stack_that_was_recreated_is_followed_while_it_is_waited_for() {
    let mut work = work(vec![update()], Some("old"));
    then(&mut work, Event::Go);
    answered_with(&mut work, Answer::Taken);
    assert!(matches!(
        then(&mut work, Event::Seen(Sight::Gone)),
        Todo::Call(Request::Find(_))
    ));
    let found = observation("new", StackAction::Update, StackProgress::InProgress);
    let Todo::Observe(stack, _) = answered_with(&mut work, Answer::Found(Some(found))) else {
        panic!("{work:?}");
    };
    assert_eq!(stack.id.unwrap().as_str(), "new");
}

#[test]
fn a_graceful_end_rests_before_it_deletes_and_only_once() {
    let mut work = work(vec![Step::Pause { seconds: 10 }, Step::Delete], Some("s"));
    let until = Timestamp(NOW.0 + 10_000);
    assert_eq!(then(&mut work, Event::Go), Todo::Rest(until));
    assert_eq!(then(&mut work, Event::Go), Todo::Rest(until));
    assert!(matches!(
        at(&mut work, Event::Go, until),
        Todo::Call(Request::Delete(_))
    ));
}

/// By so much the clock is set back.
const YEAR: i64 = 31_536_000_000;

#[test]
fn a_clock_that_was_set_back_keeps_no_operation_waiting() {
    let back = Timestamp(NOW.0 - YEAR);
    let mut pausing = work(vec![Step::Pause { seconds: 10 }, Step::Delete], Some("s"));
    then(&mut pausing, Event::Go);
    assert!(matches!(
        at(&mut pausing, Event::Go, back),
        Todo::Call(Request::Delete(_))
    ));
    let mut failing = work(vec![create()], None);
    then(&mut failing, Event::Go);
    assert!(matches!(refused(&mut failing, ErrorKind::Unreachable), Todo::Rest(_)));
    assert!(matches!(
        at(&mut failing, Event::Go, back),
        Todo::Call(Request::Create(_))
    ));
    // What the VIM works on has its time by the clock as it is.
    let mut waiting = work(vec![update()], Some("s"));
    then(&mut waiting, Event::Go);
    let Todo::Observe(_, deadline) = answered_with(&mut waiting, Answer::Taken) else {
        panic!("{waiting:?}");
    };
    let Todo::Observe(_, earlier) = at(&mut waiting, Event::Go, back) else {
        panic!("{waiting:?}");
    };
    assert_eq!(earlier.0, deadline.0 - YEAR);
    assert!(matches!(at(&mut waiting, Event::Go, earlier), Todo::Failed(_)));
}

#[test]
fn a_vim_puts_nothing_off_for_longer_than_an_hour() {
    let mut work = work(vec![create()], None);
    then(&mut work, Event::Go);
    let pending = Pending {
        reason: "busy".to_owned(),
        again_in: Duration::from_hours(24),
        state: None,
    };
    let Todo::Rest(until) = answered_with(&mut work, Answer::Pending(pending)) else {
        panic!("{work:?}");
    };
    assert_eq!(until, NOW.plus(retry::LONGEST_PAUSE));
    assert_eq!(then(&mut work, Event::Go), Todo::Rest(until));
}

#[test]
fn what_is_not_over_in_time_fails() {
    let mut work = work(vec![update()], Some("s"));
    then(&mut work, Event::Go);
    let Todo::Observe(_, deadline) = answered_with(&mut work, Answer::Taken) else {
        panic!("{work:?}");
    };
    assert!(matches!(at(&mut work, Event::Go, deadline), Todo::Failed(_)));
}

#[test]
fn a_vim_that_cannot_be_reached_is_asked_again_and_a_wrong_request_is_not() {
    let mut work = work(vec![create()], None);
    then(&mut work, Event::Go);
    assert!(matches!(refused(&mut work, ErrorKind::Unreachable), Todo::Rest(_)));
    assert!(matches!(
        at(&mut work, Event::Go, Timestamp(NOW.0 + 60_000)),
        Todo::Call(Request::Create(_))
    ));
    let Todo::Failed(problem) = refused(&mut work, ErrorKind::BadRequest) else {
        panic!("{work:?}");
    };
    assert_eq!(problem.status, 400);
}

#[test]
fn what_a_scale_out_made_is_marked_before_it_is_taken_back() {
    let member = |name: &str, id: &str| StackResource {
        name: name.to_owned(),
        resource_type: "VDU1.yaml".to_owned(),
        physical_id: Some(id.parse().unwrap()),
        status_text: String::new(),
        reason: None,
        parent: Some("group".to_owned()),
        stack: StackRef {
            name: "nested".to_owned(),
            id: Some("g".parse().unwrap()),
        },
        required_by: vec![],
        created: None,
    };
    let mut group = member("group", "g");
    group.resource_type = GROUP.to_owned();
    group.stack.id = Some("s".parse().unwrap());
    let known = ["m1".to_owned()].into();
    let mut work = work(vec![Step::MarkNew { known }, update()], Some("s"));
    assert!(matches!(then(&mut work, Event::Go), Todo::Call(Request::Resources(_))));
    let resources = vec![group, member("a", "m1"), member("b", "m2")];
    let Todo::Call(Request::Mark { resource, .. }) = answered_with(&mut work, Answer::Resources(resources)) else {
        panic!("{work:?}");
    };
    assert_eq!(resource, "b");
    assert!(matches!(
        answered_with(&mut work, Answer::Taken),
        Todo::Call(Request::Update(..))
    ));
}

#[test]
fn what_ended_while_nobody_looked_is_looked_at_before_it_is_given_up() {
    let mut work = work(vec![create(), Step::Resources], None);
    answered_with(&mut work, Answer::Created("s".parse().unwrap()));
    let later = NOW.plus(Duration::from_secs(86_400));
    taken_up(&mut work, later);
    assert!(matches!(at(&mut work, Event::Go, later), Todo::Observe(..)));
    let todo = at(&mut work, Event::Go, later.plus(MARGIN));
    assert!(matches!(todo, Todo::Failed(_)), "{todo:?}");
}

#[test]
fn a_retry_after_a_rollback_that_failed_goes_forward() {
    let mut work = work(vec![create(), Step::Resources], None);
    work.undo = Some(vec![Step::Delete]);
    answered_with(&mut work, Answer::Created("s".parse().unwrap()));
    for _ in 0..2 {
        assert!(undo(&mut work));
        assert_eq!(work.steps, [Step::Delete]);
        assert!(matches!(refused(&mut work, ErrorKind::BadRequest), Todo::Failed(_)));
    }
    retry(&mut work);
    assert!(
        matches!(work.steps.as_slice(), [Step::Update { .. }, Step::Resources]),
        "{:?}",
        work.steps
    );
    assert!(matches!(then(&mut work, Event::Go), Todo::Call(Request::Update(..))));
}

/// The stack in the middle of a step, with the reason that it shows.
fn shown(action: StackAction, progress: StackProgress, reason: &str) -> Event {
    let mut shown = observation("s", action, progress);
    shown.reason = Some(reason.to_owned());
    Event::Seen(Sight::Present(shown))
}

#[test]
fn what_the_vim_undoes_by_itself_fails_with_the_cause_and_not_with_the_end_of_the_undoing() {
    for (step, action, title) in [
        (create(), StackAction::Create, "Stack create failed"),
        (update(), StackAction::Update, "Stack update failed"),
    ] {
        let mut work = work(vec![step, Step::Resources], None);
        work.stack.id = Some("s".parse().unwrap());
        undoing(&mut work, Event::Go);
        work.phase = Phase::Waiting {
            deadline: Timestamp(NOW.0 + 600_000),
        };
        for event in [
            shown(action, StackProgress::InProgress, "started"),
            shown(action, StackProgress::Failed, "resources.VDU1: no host"),
            // Without one the first stays.
            shown(action, StackProgress::Failed, ""),
            shown(
                StackAction::Rollback,
                StackProgress::InProgress,
                "Stack ROLLBACK started",
            ),
        ] {
            assert!(matches!(undoing(&mut work, event), Todo::Observe(..)));
        }
        // The cause is on disk before anything else is done: another host tells it too.
        let kept = serde_json::to_value(&work).unwrap();
        let mut work: Work = serde_json::from_value(kept).unwrap();
        let over = shown(
            StackAction::Rollback,
            StackProgress::Complete,
            "Stack ROLLBACK completed successfully",
        );
        assert_eq!(
            undoing(&mut work, over),
            Todo::Failed(ProblemDetails::titled(422, title, "resources.VDU1: no host"))
        );
        // A retry begins without it.
        retry(&mut work);
        assert_eq!(work.cause, None);
    }
}

#[test]
fn an_undoing_that_fails_tells_both_reasons_and_one_whose_cause_nobody_saw_tells_its_own() {
    let detail = |seen: Option<&str>, progress: StackProgress, told: &str| {
        let mut work = work(vec![create()], Some("s"));
        work.phase = Phase::Waiting {
            deadline: Timestamp(NOW.0 + 600_000),
        };
        if let Some(seen) = seen {
            undoing(&mut work, shown(StackAction::Create, StackProgress::Failed, seen));
        }
        let todo = undoing(&mut work, shown(StackAction::Rollback, progress, told));
        let Todo::Failed(problem) = todo else {
            panic!("{todo:?}");
        };
        problem.detail
    };
    let (complete, failed) = (StackProgress::Complete, StackProgress::Failed);
    assert_eq!(detail(Some("no host"), failed, "port in use"), "no host; port in use");
    // Connectors that know the cause tell it themselves.
    assert_eq!(
        detail(Some("no host"), failed, "no host; port in use"),
        "no host; port in use"
    );
    assert_eq!(detail(None, complete, "no host"), "no host");
    assert_eq!(detail(None, complete, ""), "the stack is WORD");
}

#[test]
fn an_undoing_that_takes_too_long_tells_what_had_failed() {
    let mut work = work(vec![create()], Some("s"));
    let deadline = Timestamp(NOW.0 + 600_000);
    work.phase = Phase::Waiting { deadline };
    undoing(&mut work, shown(StackAction::Create, StackProgress::Failed, "no host"));
    let Todo::Failed(problem) = at(&mut work, Event::Go, deadline) else {
        panic!("{work:?}");
    };
    assert!(problem.detail.starts_with("no host; "), "{}", problem.detail);
}

#[test]
fn work_of_a_host_that_kept_no_cause_is_read() {
    let mut kept = serde_json::to_value(work(vec![create()], Some("s"))).unwrap();
    assert_eq!(kept.get("cause"), None, "where there is none nothing is written");
    kept.as_object_mut().unwrap().remove("cause");
    let read: Work = serde_json::from_value(kept).unwrap();
    assert_eq!(read.cause, None);
}
