//! The part for tests: faults, what exists, what was asked, starting over. Without a token.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use vimhost_hot::Resource;

use super::App;
use super::body::Body;
use crate::elements::{ConnectivityService, Flavour, Group, Image, Network, Port, Server, Stack, Volume};
use crate::faults::Faults;
use crate::refusal::Refusal;
use crate::state::{Collection, State as VimState};
use crate::world::{Requests, World};

/// Everything that exists, presets included, in order of creation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Inventory {
    /// The sequence number of the last change.
    pub seq: u64,
    /// How many sessions are open.
    pub sessions: usize,
    /// Networks.
    pub networks: Vec<Arc<Network>>,
    /// Images.
    pub images: Vec<Arc<Image>>,
    /// Flavours.
    pub flavours: Vec<Arc<Flavour>>,
    /// Placement groups.
    pub groups: Vec<Arc<Group>>,
    /// Volumes.
    pub volumes: Vec<Arc<Volume>>,
    /// Ports.
    pub ports: Vec<Arc<Port>>,
    /// Servers.
    pub servers: Vec<Arc<Server>>,
    /// Connectivity services.
    pub connectivity_services: Vec<Arc<ConnectivityService>>,
    /// Stacks.
    #[serde(default)]
    pub stacks: Vec<Arc<Stack>>,
    /// What is in them, nested stacks included, by the stack's id.
    #[serde(default)]
    pub stack_resources: BTreeMap<String, Vec<Resource>>,
}

impl Inventory {
    /// How many elements there are that somebody created.
    #[must_use]
    pub fn created(&self) -> usize {
        fn count<'m>(metas: impl Iterator<Item = &'m crate::Meta>) -> usize {
            metas.filter(|meta| !meta.preset).count()
        }
        count(self.networks.iter().map(|item| &item.meta))
            + count(self.images.iter().map(|item| &item.meta))
            + self.flavours.len()
            + self.groups.len()
            + self.volumes.len()
            + self.ports.len()
            + self.servers.len()
            + self.connectivity_services.len()
            + self.stacks.len()
    }
}

pub(crate) fn inventory(world: &World) -> Inventory {
    fn all<T: Collection>(state: &VimState) -> Vec<Arc<T>> {
        T::table(state).iter().cloned().collect()
    }
    let held = world.lock();
    let state = &held.state;
    Inventory {
        seq: state.seq(),
        sessions: state.sessions(),
        networks: all(state),
        images: all(state),
        flavours: all(state),
        groups: all(state),
        volumes: all(state),
        ports: all(state),
        servers: all(state),
        connectivity_services: all(state),
        stacks: all(state),
        stack_resources: state.stack_resources(),
    }
}

pub(super) async fn show_inventory(State(App(world)): State<App>) -> Json<Inventory> {
    Json(inventory(&world))
}

pub(super) async fn requests(State(App(world)): State<App>) -> Json<Requests> {
    Json(world.lock().requests.clone())
}

pub(super) async fn faults(State(App(world)): State<App>) -> Json<Faults> {
    Json(world.lock().faults.script().clone())
}

pub(super) async fn set_faults(
    State(App(world)): State<App>,
    Body(faults): Body<Faults>,
) -> Result<Json<Faults>, Refusal> {
    world
        .set_faults(faults)
        .map_err(|invalid| Refusal::BadRequest(invalid.to_string()))?;
    Ok(Json(world.lock().faults.script().clone()))
}

pub(super) async fn clear_faults(State(App(world)): State<App>) -> Result<StatusCode, Refusal> {
    world
        .set_faults(Faults::default())
        .map_err(|invalid| Refusal::BadRequest(invalid.to_string()))?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn reset(State(App(world)): State<App>) -> StatusCode {
    world.reset();
    StatusCode::NO_CONTENT
}
