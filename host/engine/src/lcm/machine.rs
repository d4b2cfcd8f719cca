//! One operation's work and one event: the work afterwards, and what is to be done next. No clock, no input, no output.
//!
//! A step is a call and, where the VIM goes on by itself, the wait for what was begun. After a crash the step at hand is done again: its
//! calls carry the same tokens, so the VIM does nothing twice. What is waited for is asked for again.
//!
//! Whoever addresses a stack by an id that turns out to be lost or wrong looks its name up once and goes on directly:
//!
//! | what happens | what is done |
//! |---|---|
//! | no id is known | the name is looked up, then the step |
//! | the VIM does not know the id | the same; with nothing of that name the stack is gone |
//! | it is gone while it is waited for | the same; a live one of that name is the one |
//! | another id than the known one | that one counts from then on |

use std::time::Duration;

use vimhost_connector::{
    Error as CallError, ErrorKind, Pending, StackAction, StackObservation, StackProgress, StackRef, StackRequest,
    StackResource,
};
use vimhost_model::vnf::ProblemDetails;
use vimhost_model::{TaskAction, Timestamp, VimId, VnfLcmOpOccId};

use super::work::{Content, Forward, Phase, Step, Work, stack_token};
use crate::retry;

/// What the VIM is given beyond its own time limit, before it is given up: it says better why.
const MARGIN: Duration = Duration::from_secs(120);

/// Type of a group whose members are marked when it shrinks.
const GROUP: &str = "OS::Heat::AutoScalingGroup";

/// What happened.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// Begun, taken up again, or a time has come.
    Go,
    /// A call was answered.
    Answered(Result<Answer, CallError>),
    /// The stack was looked at.
    Seen(Sight),
}

/// What a call answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    /// The stack is being made.
    Created(VimId),
    /// The VIM has taken an update or a mark.
    Taken,
    /// The VIM deletes the stack.
    Deleting,
    /// There is no stack any more.
    Deleted,
    /// What has the name.
    Found(Option<StackObservation>),
    /// What there is.
    Resources(Vec<StackResource>),
    /// Call again.
    Pending(Pending),
}

/// A look at the stack.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Sight {
    /// It is there.
    Present(StackObservation),
    /// It is not.
    Gone,
}

/// A call to be made.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Request {
    /// Make the stack.
    Create(StackRequest),
    /// Change it.
    Update(StackRef, vimhost_connector::StackContent),
    /// Mark a resource.
    Mark {
        /// Of this stack.
        stack: StackRef,
        /// The resource.
        resource: String,
        /// Why.
        reason: String,
    },
    /// Delete the stack.
    Delete(StackRef),
    /// Look a name up.
    Find(String),
    /// Read resources.
    Resources(StackRef),
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Todo {
    /// A call.
    Call(Request),
    /// [`Event::Go`] at that time.
    Rest(Timestamp),
    /// Look at the stack until something has become of it; [`Event::Go`] at that time.
    Observe(StackRef, Timestamp),
    /// All is done; the resources where they were read.
    Done(Option<Vec<StackResource>>),
    /// It failed.
    Failed(ProblemDetails),
}

/// What surrounds a decision.
#[derive(Debug, Clone)]
pub(crate) struct Around<'a> {
    /// Now.
    pub now: Timestamp,
    /// The VIM's own time limit.
    pub timeout_minutes: u32,
    /// The VIM undoes what failed.
    pub rollback_on_failure: bool,
    /// For tokens.
    pub installation: &'a str,
    /// For tokens.
    pub op_occ: &'a VnfLcmOpOccId,
}

impl Around<'_> {
    fn deadline(&self) -> Timestamp {
        let limit = Duration::from_secs(u64::from(self.timeout_minutes).saturating_mul(60));
        self.now.plus(limit.saturating_add(MARGIN))
    }
}

/// The work is taken up, perhaps after a long time: what was to be over by now may be so, and is looked at before it is given up.
pub(crate) fn taken_up(work: &mut Work, now: Timestamp) {
    if let Phase::Waiting { deadline } = &mut work.phase {
        *deadline = (*deadline).max(now.plus(MARGIN));
    }
}

/// Decides. What was changed in `work` is on disk before what is answered is done.
pub(crate) fn apply(work: &mut Work, event: Event, around: &Around<'_>) -> Todo {
    match event {
        Event::Go => go(work, around),
        Event::Answered(Ok(answer)) => answered(work, answer, around),
        Event::Answered(Err(error)) => failed(work, &error, around),
        Event::Seen(sight) => seen(work, sight, around),
    }
}

fn go(work: &mut Work, around: &Around<'_>) -> Todo {
    let Some(step) = work.step() else {
        return Todo::Done(None);
    };
    match work.phase {
        Phase::Resting { until } if !until.left(around.now, longest_rest(step)).is_zero() => return Todo::Rest(until),
        Phase::Resting { .. } => {
            if matches!(step, Step::Pause { .. }) {
                work.advance();
                return go(work, around);
            }
            work.phase = Phase::Begin;
        }
        Phase::Waiting { deadline } if around.now < deadline => {
            // A deadline by a clock that was set back since would never come.
            let deadline = deadline.min(around.deadline());
            work.phase = Phase::Waiting { deadline };
            return Todo::Observe(work.stack.reference(), deadline);
        }
        Phase::Waiting { .. } => {
            let minutes = around.timeout_minutes;
            let reason = match &work.cause {
                Some(cause) => format!("{cause}; the VIM has not undone it in {minutes} minutes"),
                None => format!("the VIM has not ended it in {minutes} minutes"),
            };
            return Todo::Failed(problem(step, &reason));
        }
        Phase::Begin => {}
    }
    begin(work, around)
}

/// How long a step rests at most, between two calls or because it is a pause.
fn longest_rest(step: &Step) -> Duration {
    match step {
        Step::Pause { seconds } => Duration::from_secs(u64::from(*seconds)),
        Step::Mark { .. }
        | Step::MarkNew { .. }
        | Step::Create { .. }
        | Step::Update { .. }
        | Step::Delete
        | Step::Resources => retry::LONGEST_PAUSE,
    }
}

/// The call of the step at hand.
fn begin(work: &mut Work, around: &Around<'_>) -> Todo {
    let Some(step) = work.step() else {
        return Todo::Done(None);
    };
    let content = |content: &Content| {
        let rollback = around.rollback_on_failure.then_some(true);
        content.to_stack(rollback, around.timeout_minutes)
    };
    let call = match step {
        Step::Pause { seconds } => {
            let until = around.now.plus(Duration::from_secs(u64::from(*seconds)));
            work.phase = Phase::Resting { until };
            return Todo::Rest(until);
        }
        Step::Mark {
            stack,
            stack_id,
            resource,
            reason,
        } => Request::Mark {
            stack: StackRef {
                name: stack.clone(),
                id: stack_id.clone(),
            },
            resource: resource.clone(),
            reason: reason.clone(),
        },
        Step::Create { content: made } => Request::Create(StackRequest {
            name: work.stack.name.clone(),
            content: content(made),
        }),
        // Of a stack without an id the connector knows by its token whose it is.
        Step::Delete => Request::Delete(work.stack.reference()),
        Step::Update { .. } | Step::Resources | Step::MarkNew { .. } if work.stack.id.is_none() => {
            return look_up(work);
        }
        Step::Update { content: changed } => Request::Update(work.stack.reference(), content(changed)),
        Step::Resources | Step::MarkNew { .. } => Request::Resources(work.stack.reference()),
    };
    Todo::Call(call)
}

/// The name is looked up, once a step.
fn look_up(work: &mut Work) -> Todo {
    work.looked_up = true;
    Todo::Call(Request::Find(work.stack.name.clone()))
}

fn answered(work: &mut Work, answer: Answer, around: &Around<'_>) -> Todo {
    // That something has the name says nothing of the call that was refused.
    if !matches!(answer, Answer::Found(_)) {
        work.failed = 0;
    }
    if !matches!(answer, Answer::Pending(_)) {
        work.state = None;
    }
    match answer {
        Answer::Created(id) => {
            work.stack.id = Some(id);
            wait(work, around)
        }
        Answer::Taken => match work.step() {
            Some(Step::Update { .. }) => wait(work, around),
            Some(
                Step::Pause { .. }
                | Step::Mark { .. }
                | Step::MarkNew { .. }
                | Step::Create { .. }
                | Step::Delete
                | Step::Resources,
            )
            | None => next(work, around),
        },
        Answer::Deleting => wait(work, around),
        Answer::Deleted => deleted(work, around),
        Answer::Found(Some(found)) => {
            adopt(work, &found);
            go(work, around)
        }
        Answer::Found(None) => gone(work, around),
        Answer::Resources(resources) => {
            if let Some(Step::MarkNew { known }) = work.step() {
                let marks = new_members(&resources, known);
                let at = work.at;
                drop(work.steps.splice(at..=at, marks));
                work.restart();
                return go(work, around);
            }
            work.advance();
            match work.step() {
                None => Todo::Done(Some(resources)),
                Some(_) => go(work, around),
            }
        }
        Answer::Pending(pending) => {
            work.state = pending.state;
            let until = around.now.plus(pending.again_in.min(retry::LONGEST_PAUSE));
            work.phase = Phase::Resting { until };
            Todo::Rest(until)
        }
    }
}

/// The VIM has begun: it is looked at until it is over.
fn wait(work: &mut Work, around: &Around<'_>) -> Todo {
    let deadline = around.deadline();
    work.phase = Phase::Waiting { deadline };
    Todo::Observe(work.stack.reference(), deadline)
}

fn next(work: &mut Work, around: &Around<'_>) -> Todo {
    work.advance();
    go(work, around)
}

/// The stack is gone, as it should.
fn deleted(work: &mut Work, around: &Around<'_>) -> Todo {
    work.stack.id = None;
    // What is made after it is another one.
    work.stack.token = stack_token(around.installation, around.op_occ, work.stack.generation);
    work.journal.clear();
    next(work, around)
}

/// What has the name is the stack.
fn adopt(work: &mut Work, found: &StackObservation) {
    let Some(id) = &found.stack.id else { return };
    if work.stack.id.as_ref() == Some(id) {
        return;
    }
    if let Some(known) = &work.stack.id {
        tracing::warn!(stack = work.stack.name, known = %known, found = %id, "stack_id lost: another stack has the name and is used");
    }
    work.stack.id = Some(id.clone());
}

/// Nothing has the name.
fn gone(work: &mut Work, around: &Around<'_>) -> Todo {
    let Some(step) = work.step() else {
        return Todo::Done(None);
    };
    match step {
        Step::Delete => deleted(work, around),
        Step::Mark { .. } | Step::Pause { .. } => next(work, around),
        Step::Update { .. } if work.recreate.is_some() => {
            let generation = work.stack.generation.saturating_add(1);
            work.stack.generation = generation;
            work.stack.token = stack_token(around.installation, around.op_occ, generation);
            work.stack.id = None;
            work.journal.clear();
            if let Some(content) = work.recreate.clone()
                && let Some(step) = work.steps.get_mut(work.at)
            {
                *step = Step::Create { content };
            }
            work.restart();
            begin(work, around)
        }
        Step::Create { .. } | Step::Update { .. } | Step::MarkNew { .. } | Step::Resources => {
            let reason = format!("stack {} does not exist", work.stack.name);
            Todo::Failed(problem(step, &reason))
        }
    }
}

fn failed(work: &mut Work, error: &CallError, around: &Around<'_>) -> Todo {
    let Some(step) = work.step() else {
        return Todo::Done(None);
    };
    let (action, may_look) = match step {
        Step::Create { .. } => (TaskAction::Create, false),
        Step::Delete => (TaskAction::Delete, true),
        Step::Update { .. } | Step::Resources | Step::MarkNew { .. } => (TaskAction::Update, true),
        Step::Mark { .. } | Step::Pause { .. } => (TaskAction::Update, false),
    };
    if error.kind == ErrorKind::NotFound {
        if may_look && !work.looked_up {
            return look_up(work);
        }
        match step {
            // What is not there need not be replaced.
            Step::Mark { .. } => return next(work, around),
            Step::Delete
            | Step::Pause { .. }
            | Step::MarkNew { .. }
            | Step::Create { .. }
            | Step::Update { .. }
            | Step::Resources => {}
        }
    }
    // Something had the name at the look before: either it has gone since, or this is no word of its end. Asked and looked again, like
    // what is in use.
    let in_doubt = error.kind == ErrorKind::NotFound && matches!(step, Step::Delete);
    let kind = if in_doubt { ErrorKind::Conflict } else { error.kind };
    match retry::pause(action, &CallError { kind, ..error.clone() }, work.failed) {
        Some(pause) => {
            work.failed = work.failed.saturating_add(1);
            if in_doubt {
                work.looked_up = false;
            }
            // Looked up again when the call is: what stood in the way says nothing about the name.
            let until = around.now.plus(pause);
            if !matches!(work.phase, Phase::Waiting { .. }) {
                work.phase = Phase::Resting { until };
            } else {
                work.looked_up = false;
            }
            Todo::Rest(until)
        }
        None => Todo::Failed(ProblemDetails::titled(
            status_of(error.kind),
            title(step),
            error.message.clone(),
        )),
    }
}

fn seen(work: &mut Work, sight: Sight, around: &Around<'_>) -> Todo {
    let Phase::Waiting { deadline } = work.phase else {
        return go(work, around);
    };
    let Some(step) = work.step() else {
        return Todo::Done(None);
    };
    let observation = match sight {
        Sight::Present(observation) => observation,
        Sight::Gone if matches!(step, Step::Delete) => return deleted(work, around),
        Sight::Gone if work.looked_up => return gone(work, around),
        Sight::Gone => return look_up(work),
    };
    let going_on = Todo::Observe(work.stack.reference(), deadline);
    let (action, progress) = (observation.action, observation.progress);
    let verdict = match (step, action, progress) {
        (Step::Create { .. }, StackAction::Create, StackProgress::Complete)
        | (Step::Update { .. }, StackAction::Update, StackProgress::Complete) => Verdict::Done,
        (Step::Create { .. }, StackAction::Create, StackProgress::InProgress)
        | (Step::Update { .. }, StackAction::Update, StackProgress::InProgress) => Verdict::GoOn,
        // The VIM undoes it by itself, and then shows how that went: why it had to be is told here.
        (Step::Create { .. }, StackAction::Create, StackProgress::Failed)
        | (Step::Update { .. }, StackAction::Update, StackProgress::Failed)
            if around.rollback_on_failure =>
        {
            Verdict::Undone
        }
        (Step::Create { .. } | Step::Update { .. }, StackAction::Rollback, StackProgress::InProgress) => Verdict::GoOn,
        (Step::Delete, StackAction::Delete, StackProgress::Failed) => Verdict::Failed,
        // Whatever it shows until the deletion is over.
        (Step::Delete, _, _) => Verdict::GoOn,
        (Step::Create { .. } | Step::Update { .. }, _, _) => Verdict::Failed,
        (Step::Pause { .. } | Step::Mark { .. } | Step::MarkNew { .. } | Step::Resources, _, _) => Verdict::GoOn,
    };
    match verdict {
        Verdict::Done => {
            adopt(work, &observation);
            next(work, around)
        }
        Verdict::GoOn => going_on,
        Verdict::Undone => {
            let told = observation.reason.filter(|reason| !reason.is_empty());
            work.cause = told.or_else(|| work.cause.take());
            going_on
        }
        Verdict::Failed => Todo::Failed(problem(step, &reason(work.cause.as_deref(), observation))),
    }
}

enum Verdict {
    Done,
    GoOn,
    /// It has failed, and the VIM undoes it.
    Undone,
    Failed,
}

/// Why a step failed: its cause where that was seen, and what the stack shows where that says more than that it is undone.
fn reason(cause: Option<&str>, shown: StackObservation) -> String {
    let is_undone = shown.progress == StackProgress::Complete;
    let told = shown.reason.filter(|reason| !reason.is_empty());
    match (cause, told) {
        (Some(cause), Some(told)) if !is_undone && told.contains(cause) => told,
        (Some(cause), Some(told)) if !is_undone => format!("{cause}; {told}"),
        (Some(cause), _) => cause.to_owned(),
        (None, Some(told)) => told,
        (None, None) => format!("the stack is {}", shown.status_text),
    }
}

/// Marks of members of groups that are not known.
fn new_members(resources: &[StackResource], known: &std::collections::BTreeSet<String>) -> Vec<Step> {
    let groups = || resources.iter().filter(|resource| resource.resource_type == GROUP);
    let is_member = |resource: &&StackResource| {
        groups().any(|group| group.physical_id.is_some() && group.physical_id == resource.stack.id)
    };
    let mark = |resource: &StackResource| Step::Mark {
        stack: resource.stack.name.clone(),
        stack_id: resource.stack.id.clone(),
        resource: resource.name.clone(),
        reason: "rolled back".to_owned(),
    };
    let is_new = |resource: &&StackResource| {
        let id = resource.physical_id.as_ref();
        id.is_none_or(|id| !known.contains(id.as_str()))
    };
    resources.iter().filter(is_member).filter(is_new).map(mark).collect()
}

fn title(step: &Step) -> &'static str {
    match step {
        Step::Create { .. } => "Stack create failed",
        Step::Update { .. } | Step::Mark { .. } | Step::MarkNew { .. } => "Stack update failed",
        Step::Delete | Step::Pause { .. } => "Stack delete failed",
        Step::Resources => "Stack resources not read",
    }
}

fn problem(step: &Step, reason: &str) -> ProblemDetails {
    ProblemDetails::titled(422, title(step), reason)
}

/// The status a VIM's refusal is told with.
fn status_of(kind: ErrorKind) -> u16 {
    match kind {
        ErrorKind::BadRequest => 400,
        ErrorKind::Auth => 401,
        ErrorKind::Quota | ErrorKind::NotGranted => 403,
        ErrorKind::NotFound => 404,
        ErrorKind::Conflict => 409,
        ErrorKind::RateLimited => 429,
        ErrorKind::Internal | ErrorKind::Other | ErrorKind::Plugin => 500,
        ErrorKind::Unsupported => 501,
        ErrorKind::Unreachable => 503,
        ErrorKind::Timeout => 504,
    }
}

/// A failed attempt is made again from the step that failed. A stack that is there is changed into what it was to become. What was being
/// undone goes forward again, from the beginning: nobody knows how much of it is left.
pub(crate) fn retry(work: &mut Work) {
    if let Some(forward) = work.forward.take() {
        work.steps = forward.steps;
        work.recreate = forward.recreate;
        work.at = 0;
    }
    work.restart();
    if let Some(Step::Create { content }) = work.step()
        && work.stack.id.is_some()
    {
        let content = content.clone();
        work.recreate = Some(content.clone());
        if let Some(step) = work.steps.get_mut(work.at) {
            *step = Step::Update { content };
        }
    }
}

/// A failed attempt is undone. False: it cannot be.
pub(crate) fn undo(work: &mut Work) -> bool {
    let Some(steps) = work.undo.take() else {
        return false;
    };
    work.undo = Some(steps.clone());
    let forward = Forward {
        steps: std::mem::replace(&mut work.steps, steps),
        recreate: work.recreate.take(),
    };
    // Of one that is undone for the second time it is known.
    if work.forward.is_none() {
        work.forward = Some(forward);
    }
    work.at = 0;
    work.restart();
    true
}

#[cfg(test)]
mod tests;
