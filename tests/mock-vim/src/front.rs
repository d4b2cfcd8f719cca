//! What stands before the handlers: whole bodies, latency, scripted failures, the wait for the state file, lost answers, counting.
//!
//! It is a hyper service and no layer of the router because of lost answers: hyper closes a connection without a byte
//! of an answer only when the outermost service returns an error, and axum's are infallible.

use std::sync::Arc;

use axum::Router;
use axum::body::{self, Body};
use axum::http::{Method, Request, Response, Uri};
use axum::response::IntoResponse;
use hyper::body::Incoming;
use tower_service::Service;

use crate::call::Call;
use crate::faults::Verdict;
use crate::refusal::{self, Refusal};
use crate::state_file::Keeper;
use crate::world::World;

/// The longest body that is read: far more than any handler takes, so that what it refuses as too long was still read to its end.
const LONGEST_BODY: usize = 64 << 20;

/// The answer is lost: the connection is closed without one.
#[derive(Debug, thiserror::Error)]
#[error("the answer is lost, as scripted")]
pub(crate) struct AnswerLost;

#[derive(Debug)]
pub(crate) struct Front {
    router: Router,
    world: Arc<World>,
    keeper: Option<Keeper>,
}

impl Front {
    pub(crate) fn new(router: Router, world: Arc<World>, keeper: Option<Keeper>) -> Self {
        Self { router, world, keeper }
    }

    pub(crate) fn count_connection(&self) {
        self.world.lock().requests.connections += 1;
    }

    pub(crate) async fn serve(&self, request: Request<Incoming>) -> Result<Response<Body>, AnswerLost> {
        let request = match whole(request).await {
            Ok(request) => request,
            Err(refusal) => return Ok(refusal.into_response()),
        };
        // The admin part is for whoever scripts the faults, so none touches it and it is not counted.
        if request.uri().path().starts_with("/admin/") {
            let response = self.work(request).await;
            return Ok(self.kept(response).await);
        }
        // First of all: whoever sees the call at work and then hurries means this call too.
        let hurried = self.world.hurried();
        let _at_work = self.world.at_work();
        let counted = Counted::of(request.method(), request.uri());
        self.note_trace(&counted, &request);
        let verdict = counted
            .call
            .map_or_else(Verdict::default, |call| self.world.lock().faults.judge(call));
        if !verdict.delay.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(verdict.delay) => {}
                () = hurried => {}
            }
        }
        let response = match &verdict.fail {
            Some(fail) => refusal::scripted(fail),
            None => {
                let response = self.work(request).await;
                self.kept(response).await
            }
        };
        let status = response.status();
        let counter = counted.key(if verdict.answer_lost { "lost" } else { status.as_str() });
        {
            let mut held = self.world.lock();
            held.requests.total += 1;
            *held.requests.requests.entry(counter).or_default() += 1;
        }
        if verdict.answer_lost {
            Err(AnswerLost)
        } else {
            Ok(response)
        }
    }

    /// Keeps which trace a request says it is part of.
    fn note_trace(&self, counted: &Counted, request: &Request<Body>) {
        let parent = request
            .headers()
            .get("traceparent")
            .and_then(|value| value.to_str().ok());
        if let (Some(parent), Some(Call { kind, operation })) = (parent, counted.call) {
            let what = format!("{} {kind} {operation}", counted.method);
            let mut held = self.world.lock();
            held.requests.traceparents.insert(what, parent.to_owned());
        }
    }

    async fn work(&self, request: Request<Body>) -> Response<Body> {
        let mut router = self.router.clone();
        match router.call(request).await {
            Ok(response) => response,
            Err(impossible) => match impossible {},
        }
    }

    /// Holds the answer back until everything it may tell is in the state file. That goes for reading too: a client must
    /// not see what a restart would take back.
    async fn kept(&self, response: Response<Body>) -> Response<Body> {
        let Some(keeper) = &self.keeper else {
            return response;
        };
        let revision = self.world.lock().state.revision();
        if keeper.holds(revision).await {
            response
        } else {
            Refusal::NotWritten.into_response()
        }
    }
}

/// Reads the body before anything is answered: hyper closes a connection whose request was not read to its end, and a client
/// that is still writing then sees the connection break instead of the answer.
async fn whole(request: Request<Incoming>) -> Result<Request<Body>, Refusal> {
    let (head, incoming) = request.into_parts();
    let read = body::to_bytes(Body::new(incoming), LONGEST_BODY).await;
    let bytes = read.map_err(|error| Refusal::BadRequest(format!("the body cannot be read: {error}")))?;
    Ok(Request::from_parts(head, Body::from(bytes)))
}

/// The name a request is counted under.
struct Counted {
    method: Method,
    call: Option<Call>,
}

impl Counted {
    fn of(method: &Method, uri: &Uri) -> Self {
        Self {
            method: method.clone(),
            call: Call::of(method, uri.path(), uri.query()),
        }
    }

    fn key(&self, status: &str) -> String {
        match self.call {
            Some(Call { kind, operation }) => format!("{} {kind} {operation} {status}", self.method),
            None => format!("{} - - {status}", self.method),
        }
    }
}
