//! NG-RO's northbound interface, `/ro/…`, as OSM's LCM speaks it.
//!
//! * LCM sends no credentials; the interface answers only to a list of source ranges, and never to a web page.
//! * A path is taken apart by `route`, not by the framework: duplicate slashes count as one (LCM always sends two after `/ro`)
//!   and each way of being wrong has a text of its own.
//! * The query string is ignored. NG-RO lets `METHOD=DELETE` turn a link into a deletion, and refuses any other parameter; neither
//!   is worth keeping (D38).
//! * The status of an action is the same by whichever path it is asked for.
//! * An operation that no VM is there for is refused. NG-RO accepts it, and an action without tasks reads as success (D13).
//! * The status of an action that was never accepted is 404. NG-RO answers `DONE` with `progress 0/0` (D4), which reads as success;
//!   an action that was accepted and has no tasks still answers that.
//!
//! Answers and errors follow the `Accept` header (`answer`), bodies the `Content-Type`.

mod answer;
mod route;
mod task;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use serde_json::{Value, json};
use vimhost_engine::operation::{OperationRequest, Topic};
use vimhost_engine::wanted::DeployRequest;
use vimhost_engine::{Accepted, Engine, Error};
use vimhost_model::{ActionId, ActionStatus, NsrId};

use crate::body::{self, Reading};
use crate::exchange::{self, Exchange};
use crate::failure::Failure;
use crate::path::encoded;
use crate::{RequestLimits, SourceRanges, source};
use route::Route;

/// The version reported to LCM, which wants at least 6.0.2 in its own reading of the text and chooses features by its own release,
/// not by this. It is the release of OSM whose dialect is served, not vimhost's own version.
const DIALECT_VERSION: &str = "13.0.0";

/// LCM takes the first word with a point for the version, so the date must not have one; NG-RO's own fallback value.
const DIALECT_DATE: &str = "2020-06-29";

/// Services and actions read from the store at a time for listings that have no pages of their own.
const PAGE: usize = 500;

/// Settings of the interface.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Bounds of a request.
    pub limits: RequestLimits,
    /// Who may connect. Loopback unless set.
    pub sources: SourceRanges,
}

struct NgRo {
    engine: Arc<Engine>,
    options: Options,
}

/// The interface as a router. It needs the peer's address ([`crate::serve()`] gives it).
pub fn router(engine: Arc<Engine>, options: Options) -> Router {
    let exchange = Exchange {
        dialect: "ng-ro",
        limits: options.limits,
        write_refusal: answer::refusal,
    };
    Router::new()
        .fallback(handle)
        .with_state(Arc::new(NgRo { engine, options }))
        .layer(axum::middleware::from_fn_with_state(exchange, exchange::serve))
}

async fn handle(State(ro): State<Arc<NgRo>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let route = Route::parse(&parts.method, parts.uri.path());
    let template = route.as_ref().map_or("unmatched", Route::template);
    let result = match (ro.admit(&parts), route) {
        (Err(failure), _) | (Ok(()), Err(failure)) => Err(failure),
        (Ok(()), Ok(route)) => ro.answer(route, &parts, body).await,
    };
    let mut response = result.unwrap_or_else(IntoResponse::into_response);
    response.extensions_mut().insert(exchange::Route(template));
    response
}

impl NgRo {
    fn admit(&self, parts: &Parts) -> Result<(), Failure> {
        if source::from_a_page(&parts.headers) {
            return Err(Failure::forbidden("requests of web pages are not served"));
        }
        match source::peer(&parts.extensions) {
            Some(peer) if self.options.sources.contain(peer) => Ok(()),
            Some(peer) => Err(Failure::forbidden(format!("source address {peer} is not allowed"))),
            None => Err(Failure::forbidden("the source address is not known")),
        }
    }

    async fn answer(&self, route: Route, parts: &Parts, body: Body) -> Result<Response, Failure> {
        let reply = |value: Value| answer::success(&value, &parts.headers);
        match route {
            Route::Version => Ok(reply(json!({"date": DIALECT_DATE, "version": DIALECT_VERSION}))),
            Route::Home => Ok(reply(
                json!({"id": "anonymous", "name": "vimhost", "version": DIALECT_VERSION}),
            )),
            Route::Services => self.services().await.map(reply),
            Route::Actions(nsr) => self.actions(&nsr).await.map(reply),
            Route::Status(nsr, action, _) => self.status(&nsr, &action).await.map(reply),
            Route::Deploy(nsr) => self.deploy(&nsr, &parts.headers, body).await,
            Route::Forget(nsr) => self.forget(&nsr).await,
            Route::VimInfo(nsr, action) => self.vim_info(&nsr, &action).await.map(reply),
            Route::Cancel(nsr, action) => self.cancel(&nsr, &action).await.map(reply),
            Route::Operate(nsr, topic) => self.operate(&nsr, topic, &parts.headers, body).await,
        }
    }

    async fn deploy(&self, nsr: &NsrId, headers: &HeaderMap, body: Body) -> Result<Response, Failure> {
        let bytes = body::read(headers, body, self.options.limits.body).await?;
        let body = body::decode(headers, bytes, Reading::AsPython).await?;
        // With an `action` it is a command, and the wanted state is not meant.
        let accepted = if body.get("action").is_some() {
            let request = OperationRequest::parse_action(body).map_err(refusal_of)?;
            self.engine.operate(nsr, &request).await
        } else {
            let request = DeployRequest::parse(body).map_err(refusal_of)?;
            self.engine.deploy(nsr, &request).await
        };
        Ok(accepted_as("deploy", &accepted.map_err(refusal_of)?, headers))
    }

    async fn operate(&self, nsr: &NsrId, topic: Topic, headers: &HeaderMap, body: Body) -> Result<Response, Failure> {
        let bytes = body::read(headers, body, self.options.limits.body).await?;
        let body = body::decode(headers, bytes, Reading::AsPython).await?;
        let request = OperationRequest::parse(topic, body).map_err(refusal_of)?;
        let accepted = self.engine.operate(nsr, &request).await.map_err(refusal_of)?;
        Ok(accepted_as(topic.as_str(), &accepted, headers))
    }

    /// What LCM reads a console from: the key `nrs_id` is NG-RO's.
    async fn vim_info(&self, nsr: &NsrId, action: &ActionId) -> Result<Value, Failure> {
        let report = self.engine.action_state(nsr, action).await.map_err(refusal_of)?;
        let list: Vec<Value> = report.tasks.iter().map(task::vim_info).collect();
        Ok(json!({"nrs_id": nsr, "action_id": action, "vim_info_list": list}))
    }

    /// NG-RO has the path and nothing behind it (D1).
    async fn cancel(&self, nsr: &NsrId, action: &ActionId) -> Result<Value, Failure> {
        let told = self.engine.cancel(nsr, action).await.map_err(refusal_of)?;
        Ok(json!({
            "status": "ok", "nsr_id": nsr, "action_id": action,
            "cancelled": told.cancelled, "going_on": told.going_on, "undecided": told.undecided,
        }))
    }

    async fn status(&self, nsr: &NsrId, action: &ActionId) -> Result<Value, Failure> {
        let report = self.engine.action(nsr, action).await.map_err(refusal_of)?;
        let details = if report.failures.is_empty() {
            format!("progress {}/{}", report.done, report.tasks.len())
        } else {
            report.failures.join(". ")
        };
        Ok(json!({
            "status": status_word(report.status),
            "details": details,
            "nsr_id": nsr,
            "action_id": action,
            "tasks": report.tasks.iter().map(task::document).collect::<Vec<_>>(),
        }))
    }

    async fn services(&self) -> Result<Value, Failure> {
        let (mut list, mut after) = (Vec::new(), None);
        loop {
            let page = self.engine.services(after.as_deref(), PAGE).await.map_err(refusal_of)?;
            list.extend(
                page.entries
                    .into_iter()
                    .map(|(id, name)| json!({"_id": id, "name": name})),
            );
            after = page.next;
            if after.is_none() {
                return Ok(Value::Array(list));
            }
        }
    }

    async fn actions(&self, nsr: &NsrId) -> Result<Value, Failure> {
        let (mut list, mut after) = (Vec::new(), None);
        loop {
            let page = self
                .engine
                .actions(Some(nsr), after.as_deref(), PAGE)
                .await
                .map_err(refusal_of)?;
            list.extend(page.entries.into_iter().map(|header| json!(header.id)));
            after = page.next;
            if after.is_none() {
                return Ok(Value::Array(list));
            }
        }
    }

    async fn forget(&self, nsr: &NsrId) -> Result<Response, Failure> {
        // 204 as well when nothing was known of the service: LCM deletes after it has terminated, perhaps twice.
        self.engine.forget(nsr).await.map_err(refusal_of)?;
        Ok(StatusCode::NO_CONTENT.into_response())
    }
}

/// The answer to an accepted request. `Location` names the service and not the action, as NG-RO's does.
fn accepted_as(topic: &str, accepted: &Accepted, headers: &HeaderMap) -> Response {
    let value = json!({"status": "ok", "nsr_id": accepted.nsr_id, "action_id": accepted.action_id});
    let mut response = answer::success(&value, headers);
    let location = format!("/ro/ns/v1/{topic}/{}", encoded(accepted.nsr_id.as_str()));
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

fn status_word(status: ActionStatus) -> &'static str {
    match status {
        ActionStatus::Done => "DONE",
        ActionStatus::Build => "BUILD",
        ActionStatus::Failed => "FAILED",
    }
}

/// An engine error with NG-RO's text and status: the format error's quotes and its last blank are NG-RO's.
fn refusal_of(error: Error) -> Failure {
    match error {
        Error::Shape { path, reason } => {
            let detail = if path.is_empty() {
                format!("Format error  '{reason}' ")
            } else {
                format!("Format error at '{path}' '{reason}' ")
            };
            Failure {
                detail,
                ..Failure::shape(path, reason)
            }
        }
        // The dialect has no preconditions: to its client this is a conflict like any other.
        error @ Error::PreconditionFailed { .. } => Failure::conflict(error.to_string()),
        error @ (Error::BadRequest { .. }
        | Error::NotFound { .. }
        | Error::Conflict { .. }
        | Error::Unprocessable { .. }
        | Error::Unsupported { .. }
        | Error::Account { .. }
        | Error::Vim { .. }
        | Error::Unavailable { .. }
        | Error::Internal { .. }) => Failure::from(error),
    }
}
