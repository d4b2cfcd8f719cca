//! The same handful of calls for every collection, the actions of servers, and the feed of changes.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::App;
use super::body::Body;
use crate::call::Kind;
use crate::elements::{ConnectivityService, Flavour, Group, Image, Network, Port, Server, Stack, Volume};
use crate::refusal::Refusal;
use crate::state::filter::{self, Filter};
use crate::state::table::Tombstone;
use crate::state::{Action, Collection, Done, EditService};
use crate::world::World;

/// A page of a listing.
#[derive(Serialize)]
pub(super) struct Listing<T> {
    items: Vec<Arc<T>>,
    /// To be given as `after` for the next page; null on the last one.
    next: Option<u64>,
}

/// The query of a listing. As pairs, because parameters may be repeated and differ by kind.
type Pairs = Query<Vec<(String, String)>>;

pub(super) async fn list<T: Collection>(
    State(App(world)): State<App>,
    Query(query): Pairs,
) -> Result<Json<Listing<T>>, Refusal> {
    let filter = Filter::parse::<T>(query)?;
    let page = T::table(&world.lock().state).page(&filter);
    Ok(Json(Listing {
        items: page.items,
        next: page.next,
    }))
}

pub(super) async fn create<T: Collection>(
    State(App(world)): State<App>,
    Body(new): Body<T::New>,
) -> Result<(StatusCode, Json<Arc<T>>), Refusal> {
    let mut held = world.lock();
    let now = held.now;
    let inner = &mut *held;
    let created = T::create(&mut inner.state, new, &mut inner.faults, now)?;
    Ok((StatusCode::CREATED, Json(created)))
}

pub(super) async fn show<T: Collection>(
    State(App(world)): State<App>,
    Path(id): Path<String>,
) -> Result<Json<Arc<T>>, Refusal> {
    world.lock().state.find::<T>(&id).cloned().map(Json)
}

pub(super) async fn delete<T: Collection>(
    State(App(world)): State<App>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    let mut held = world.lock();
    let (now, delay) = (held.now, held.faults.script().server_delete_delay_ms);
    if T::KIND == Kind::Servers && delay > 0 {
        held.state.begin_deletion(&id, now.plus_millis(delay))?;
        return Ok(StatusCode::ACCEPTED);
    }
    T::delete(&mut held.state, &id)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn edit_service(
    State(App(world)): State<App>,
    Path(id): Path<String>,
    Body(edit): Body<EditService>,
) -> Result<Json<Arc<ConnectivityService>>, Refusal> {
    world.lock().state.edit_service(&id, edit).map(Json)
}

pub(super) async fn act(
    State(App(world)): State<App>,
    Path(id): Path<String>,
    Body(action): Body<Action>,
) -> Result<Response, Refusal> {
    let mut held = world.lock();
    let (now, delay) = (held.now, held.faults.script().action_delay_ms);
    Ok(match held.state.act(&id, action, delay, now)? {
        Done::Accepted(server) => (StatusCode::ACCEPTED, Json(server)).into_response(),
        Done::Console(console) => Json(console).into_response(),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Since {
    kind: Kind,
    #[serde(default)]
    since: u64,
    limit: Option<String>,
}

pub(super) async fn changes(
    State(App(world)): State<App>,
    query: Result<Query<Since>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(since) = query.map_err(|rejection| Refusal::BadRequest(rejection.body_text()))?;
    match since.kind {
        Kind::Networks => changes_of::<Network>(&world, since),
        Kind::Images => changes_of::<Image>(&world, since),
        Kind::Flavours => changes_of::<Flavour>(&world, since),
        Kind::Groups => changes_of::<Group>(&world, since),
        Kind::Volumes => changes_of::<Volume>(&world, since),
        Kind::Ports => changes_of::<Port>(&world, since),
        Kind::Servers => changes_of::<Server>(&world, since),
        Kind::ConnectivityServices => changes_of::<ConnectivityService>(&world, since),
        Kind::Stacks => changes_of::<Stack>(&world, since),
        Kind::Session => Err(Refusal::BadRequest("sessions have no changes".to_owned())),
    }
}

fn changes_of<T: Collection>(world: &World, query: Since) -> Result<Response, Refusal> {
    let limit = query.limit.as_deref().map_or(Ok(usize::MAX), filter::limit)?;
    let (seq, changes) = {
        let held = world.lock();
        let seq = held.state.seq();
        // A cursor from the future is one of a state that was lost.
        let known = query.since <= seq;
        (
            seq,
            known
                .then(|| T::table(&held.state).changes(query.since, limit))
                .flatten(),
        )
    };
    let changes = changes.ok_or(Refusal::CursorExpired { since: query.since })?;
    let deleted: &[Arc<Tombstone>] = &changes.deleted;
    Ok(Json(json!({
        "changed": changes.changed,
        "deleted": deleted,
        "seq": changes.cut_at.unwrap_or(seq),
        "more": changes.cut_at.is_some(),
    }))
    .into_response())
}
