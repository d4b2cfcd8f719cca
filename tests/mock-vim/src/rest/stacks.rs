//! What stacks have beyond the other collections: updates, resources, marks, content.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use vimhost_hot::Resource;

use super::App;
use super::body::Body;
use crate::elements::Stack;
use crate::refusal::Refusal;
use crate::state::stacks::{Deletion, EditStack, Mode, ShownContent};
use crate::world::World;

/// How deep a listing of resources goes by itself: a group, its members, and what is in them.
const DEPTH: u8 = 2;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nested {
    depth: Option<u8>,
}

#[derive(Serialize)]
pub(super) struct Resources {
    items: Vec<Resource>,
}

/// The body of a mark.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mark {
    mark_unhealthy: bool,
    #[serde(default)]
    reason: String,
}

pub(super) async fn show(State(App(world)): State<App>, Path(id): Path<String>) -> Result<Json<Arc<Stack>>, Refusal> {
    world.lock().state.stack(&id).cloned().map(Json)
}

pub(super) async fn patch(
    State(App(world)): State<App>,
    Path(id): Path<String>,
    Body(edit): Body<EditStack>,
) -> Result<(StatusCode, Json<Arc<Stack>>), Refusal> {
    update(&world, &id, edit, Mode::Partial)
}

pub(super) async fn replace(
    State(App(world)): State<App>,
    Path(id): Path<String>,
    Body(edit): Body<EditStack>,
) -> Result<(StatusCode, Json<Arc<Stack>>), Refusal> {
    update(&world, &id, edit, Mode::Full)
}

fn update(world: &World, id: &str, edit: EditStack, mode: Mode) -> Result<(StatusCode, Json<Arc<Stack>>), Refusal> {
    let mut held = world.lock();
    let now = held.now;
    let inner = &mut *held;
    let stack = inner.state.edit_stack(id, edit, mode, &mut inner.faults, now)?;
    Ok((StatusCode::ACCEPTED, Json(stack)))
}

pub(super) async fn delete(State(App(world)): State<App>, Path(id): Path<String>) -> Result<StatusCode, Refusal> {
    let mut held = world.lock();
    let now = held.now;
    let inner = &mut *held;
    Ok(match inner.state.delete_stack(&id, &mut inner.faults, now)? {
        Deletion::Done => StatusCode::NO_CONTENT,
        Deletion::Begun => StatusCode::ACCEPTED,
    })
}

pub(super) async fn resources(
    State(App(world)): State<App>,
    Path(id): Path<String>,
    query: Result<Query<Nested>, QueryRejection>,
) -> Result<Json<Resources>, Refusal> {
    let Query(Nested { depth }) = query.map_err(|rejection| Refusal::BadRequest(rejection.body_text()))?;
    let items = world.lock().state.resources_of(&id, depth.unwrap_or(DEPTH))?;
    Ok(Json(Resources { items }))
}

pub(super) async fn mark(
    State(App(world)): State<App>,
    Path((id, name)): Path<(String, String)>,
    Body(mark): Body<Mark>,
) -> Result<StatusCode, Refusal> {
    if !mark.mark_unhealthy {
        return Err(Refusal::BadRequest("a mark cannot be taken back".to_owned()));
    }
    world.lock().state.mark_unhealthy(&id, &name, &mark.reason)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn content(
    State(App(world)): State<App>,
    Path(id): Path<String>,
) -> Result<Json<ShownContent>, Refusal> {
    world.lock().state.stack_content(&id).map(Json)
}
