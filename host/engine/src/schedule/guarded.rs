//! A connector whose calls are held back while the VIM is away, and begin no faster than the account allows.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use async_trait::async_trait;
use vimhost_connector::{
    Call, CheckReport, Connector, CreateRequest, Created, DeleteRequest, DeleteStep, ElementKind, Error, ErrorKind,
    FindRequest, Found, Observed, ObservedStacks, OperateRequest, Operated, OwnedPage, StackContent, StackObservation,
    StackRef, StackRequest, StackResource, Step, UpdateMode,
};
use vimhost_model::{TargetId, VimId};

use super::breaker::{Breaker, HeldBack, Pass};
use super::lock;
use super::pace::Pace;

/// What all connectors of an account share, those opened anew after an edit too.
pub(super) struct Guard {
    target: TargetId,
    breaker: Mutex<Breaker>,
    pace: Option<Pace>,
}

impl Guard {
    pub(super) fn new(target: TargetId, pace: Option<Pace>) -> Self {
        Self {
            target,
            breaker: Mutex::default(),
            pace,
        }
    }

    /// Makes a call when its turn has come, unless the VIM is away.
    async fn through<T>(&self, call: impl Future<Output = Result<T, Error>> + Send) -> Result<T, Error> {
        let asked = lock(&self.breaker).ask(Instant::now());
        match asked {
            Ok(pass) => self.make(pass, call).await,
            Err(held) => Err(refusal(held)),
        }
    }

    /// Makes a call that is never held back.
    async fn look<T>(&self, call: impl Future<Output = Result<T, Error>> + Send) -> Result<T, Error> {
        self.make(Pass::Look, call).await
    }

    async fn make<T>(&self, pass: Pass, call: impl Future<Output = Result<T, Error>> + Send) -> Result<T, Error> {
        let under_way = UnderWay { guard: self, pass };
        if let Some(pace) = &self.pace {
            pace.turn().await;
        }
        let answer = call.await;
        let target = &self.target;
        match told(&answer) {
            Told::Nothing => return answer,
            Told::Away(error) => {
                if lock(&self.breaker).unanswered(pass, &error.message, Instant::now()) {
                    tracing::warn!(target_id = %target, error = %error.message, "the VIM does not answer; calls are held back");
                }
            }
            Told::There => {
                if lock(&self.breaker).answered() {
                    tracing::info!(target_id = %target, "the VIM answers again");
                }
            }
        }
        under_way.over();
        answer
    }
}

/// What the end of a call tells of its VIM.
enum Told<'a> {
    There,
    Away(&'a Error),
    Nothing,
}

fn told<T>(answer: &Result<T, Error>) -> Told<'_> {
    let Err(error) = answer else {
        return Told::There;
    };
    match error.kind {
        // The connector's word: it has looked for what an earlier call began, and says how long that may still appear. After a
        // restart many say so in a row.
        ErrorKind::Timeout if error.retry_after.is_some() => Told::Nothing,
        ErrorKind::Unreachable | ErrorKind::Timeout => Told::Away(error),
        // The connector's or the host's own word.
        ErrorKind::Plugin | ErrorKind::NotGranted | ErrorKind::Unsupported => Told::Nothing,
        // An error of the VIM is an answer too.
        ErrorKind::Auth
        | ErrorKind::NotFound
        | ErrorKind::Conflict
        | ErrorKind::Quota
        | ErrorKind::RateLimited
        | ErrorKind::BadRequest
        | ErrorKind::Internal
        | ErrorKind::Other => Told::There,
    }
}

/// A call whose end may tell nothing: it is dropped when the host stops, or loses the account.
struct UnderWay<'g> {
    guard: &'g Guard,
    pass: Pass,
}

impl UnderWay<'_> {
    /// The breaker has heard of the end.
    fn over(mut self) {
        self.pass = Pass::Usual;
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        lock(&self.guard.breaker).given_up(self.pass);
    }
}

/// The answer to a call that was not made.
fn refusal(held: HeldBack) -> Error {
    let message = format!(
        "the VIM has not answered for {} s, so it was not asked again: {}",
        held.away.as_secs(),
        held.last
    );
    Error {
        retry_after: Some(held.wait),
        ..Error::new(ErrorKind::Unreachable, message)
    }
}

/// The connector of an account, behind its guard.
pub(super) struct Guarded {
    pub(super) inner: Arc<dyn Connector>,
    pub(super) guard: Arc<Guard>,
}

#[async_trait]
impl Connector for Guarded {
    async fn check(&self) -> Result<CheckReport, Error> {
        self.guard.look(self.inner.check()).await
    }

    async fn find(&self, request: FindRequest) -> Result<Vec<Found>, Error> {
        self.guard.through(self.inner.find(request)).await
    }

    async fn create(&self, call: Call, request: CreateRequest) -> Result<Step<Created>, Error> {
        self.guard.through(self.inner.create(call, request)).await
    }

    async fn delete(&self, call: Call, request: DeleteRequest) -> Result<DeleteStep, Error> {
        self.guard.through(self.inner.delete(call, request)).await
    }

    async fn observe(&self, kind: ElementKind, ids: &[VimId], cursor: Option<Vec<u8>>) -> Result<Observed, Error> {
        self.guard.look(self.inner.observe(kind, ids, cursor)).await
    }

    async fn operate(&self, call: Call, request: OperateRequest) -> Result<Step<Operated>, Error> {
        self.guard.through(self.inner.operate(call, request)).await
    }

    async fn list_owned(&self, kind: ElementKind, prefix: &str, cursor: Option<Vec<u8>>) -> Result<OwnedPage, Error> {
        self.guard.look(self.inner.list_owned(kind, prefix, cursor)).await
    }

    async fn create_stack(&self, call: Call, request: StackRequest) -> Result<Step<Created>, Error> {
        self.guard.through(self.inner.create_stack(call, request)).await
    }

    async fn update_stack(
        &self,
        call: Call,
        stack: StackRef,
        mode: UpdateMode,
        content: StackContent,
    ) -> Result<Step<()>, Error> {
        self.guard
            .through(self.inner.update_stack(call, stack, mode, content))
            .await
    }

    async fn find_stack(&self, name: &str) -> Result<Option<StackObservation>, Error> {
        self.guard.through(self.inner.find_stack(name)).await
    }

    async fn observe_stacks(&self, stacks: &[StackRef], cursor: Option<Vec<u8>>) -> Result<ObservedStacks, Error> {
        self.guard.look(self.inner.observe_stacks(stacks, cursor)).await
    }

    async fn stack_resources(&self, stack: &StackRef, depth: u8) -> Result<Vec<StackResource>, Error> {
        self.guard.through(self.inner.stack_resources(stack, depth)).await
    }

    async fn stack_content(&self, stack: &StackRef) -> Result<StackContent, Error> {
        self.guard.through(self.inner.stack_content(stack)).await
    }

    async fn mark_unhealthy(
        &self,
        call: Call,
        stack: &StackRef,
        resource: &str,
        reason: &str,
    ) -> Result<Step<()>, Error> {
        self.guard
            .through(self.inner.mark_unhealthy(call, stack, resource, reason))
            .await
    }

    async fn delete_stack(&self, call: Call, stack: StackRef) -> Result<DeleteStep, Error> {
        self.guard.through(self.inner.delete_stack(call, stack)).await
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use super::*;

    fn guard() -> Guard {
        Guard::new("vim:x".parse().unwrap(), None)
    }

    async fn fails(kind: ErrorKind) -> Result<(), Error> {
        Err(Error::new(kind, "connection refused"))
    }

    /// A guard after ten calls without an answer, of which the last ended then: calls are held back for half a second from there.
    async fn away_since(last: Instant) -> Guard {
        let guard = guard();
        for _ in 0..9 {
            assert_eq!(
                guard.through(fails(ErrorKind::Unreachable)).await.unwrap_err().message,
                "connection refused"
            );
        }
        assert!(lock(&guard.breaker).unanswered(Pass::Usual, "connection refused", last));
        guard
    }

    /// Longer than any of these tests takes, on a machine that does other things besides.
    const HOUR: Duration = Duration::from_hours(1);

    /// A guard that holds calls back, and for longer than half a second: nobody knows when the next line of a test runs.
    async fn away() -> Guard {
        away_since(Instant::now() + HOUR).await
    }

    #[tokio::test]
    async fn a_call_that_is_held_back_is_not_made_and_says_why_and_until_when() {
        let guard = away().await;
        let error = guard.through(async { Ok(()) }).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unreachable);
        assert!(
            error.message.ends_with("not asked again: connection refused"),
            "{error}"
        );
        let wait = error.retry_after.unwrap();
        assert!(wait > HOUR / 2 && wait <= HOUR + Duration::from_millis(500), "{wait:?}");
    }

    #[tokio::test]
    async fn a_look_that_is_answered_lets_calls_through_even_when_the_answer_is_an_error() {
        let guard = away().await;
        guard.look(fails(ErrorKind::Timeout)).await.unwrap_err();
        guard.through(async { Ok(()) }).await.unwrap_err();
        guard.look(fails(ErrorKind::NotFound)).await.unwrap_err();
        guard.through(async { Ok(()) }).await.unwrap();
    }

    #[tokio::test]
    async fn a_connector_that_fails_by_itself_says_nothing_about_the_vim() {
        let guard = away().await;
        guard.look(fails(ErrorKind::Plugin)).await.unwrap_err();
        guard.through(async { Ok(()) }).await.unwrap_err();
    }

    #[tokio::test]
    async fn what_may_still_appear_says_nothing_about_the_vim() {
        let waits = async || {
            let error = Error::new(ErrorKind::Timeout, "the answer was lost, and the VIM may still make it");
            Err::<(), _>(Error {
                retry_after: Some(Duration::from_secs(90)),
                ..error
            })
        };
        let (there, away) = (guard(), away().await);
        for _ in 0..100 {
            there.through(waits()).await.unwrap_err();
        }
        there.through(async { Ok(()) }).await.unwrap();
        away.look(waits()).await.unwrap_err();
        away.through(async { Ok(()) }).await.unwrap_err();
    }

    #[tokio::test]
    async fn errors_that_the_vim_answers_hold_nothing_back() {
        let guard = guard();
        for _ in 0..100 {
            guard.through(fails(ErrorKind::Quota)).await.unwrap_err();
        }
        guard.through(async { Ok(()) }).await.unwrap();
    }

    #[tokio::test]
    async fn a_try_that_is_dropped_leaves_room_for_another() {
        let guard = away_since(Instant::now().checked_sub(Duration::from_secs(1)).unwrap()).await;
        let mut tried = Box::pin(guard.through(pending::<Result<(), Error>>()));
        let waiting = tokio::time::timeout(Duration::from_millis(1), &mut tried);
        waiting.await.unwrap_err();
        guard.through(async { Ok(()) }).await.unwrap_err();
        drop(tried);
        guard.through(async { Ok(()) }).await.unwrap();
    }
}
