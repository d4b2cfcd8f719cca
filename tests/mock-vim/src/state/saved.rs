//! The state as a file holds it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::networks::address_books;
use super::stacks::Blueprint;
use super::table::{self, Table};
use super::{Given, State};
use crate::clock::UnixMillis;
use crate::elements::{ConnectivityService, Flavour, Group, Image, Network, Port, Server, Stack, Volume};

/// The layout of the file; another number is another program's.
pub(crate) const FORMAT: u32 = 1;

/// A snapshot: pointers, so taking it under the lock is quick.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Saved {
    pub(crate) format: u32,
    seq: u64,
    given: Given,
    networks: table::Saved<Network>,
    images: table::Saved<Image>,
    flavours: table::Saved<Flavour>,
    groups: table::Saved<Group>,
    volumes: table::Saved<Volume>,
    ports: table::Saved<Port>,
    servers: table::Saved<Server>,
    services: table::Saved<ConnectivityService>,
    #[serde(default)]
    stacks: table::Saved<Stack>,
    #[serde(default)]
    blueprints: BTreeMap<String, Arc<Blueprint>>,
    #[serde(default)]
    deleted_stacks: Vec<Arc<Stack>>,
    sessions: BTreeMap<String, UnixMillis>,
}

impl State {
    pub(crate) fn save(&self) -> Saved {
        Saved {
            format: FORMAT,
            seq: self.seq,
            given: self.given.clone(),
            networks: self.networks.save(),
            images: self.images.save(),
            flavours: self.flavours.save(),
            groups: self.groups.save(),
            volumes: self.volumes.save(),
            ports: self.ports.save(),
            servers: self.servers.save(),
            services: self.services.save(),
            stacks: self.stacks.save(),
            blueprints: self.blueprints.clone(),
            deleted_stacks: self.deleted_stacks.iter().cloned().collect(),
            sessions: self
                .sessions
                .iter()
                .map(|(token, expiry)| (token.clone(), *expiry))
                .collect(),
        }
    }

    pub(crate) fn load(saved: Saved) -> Self {
        let mut state = Self {
            seq: saved.seq,
            revision: 0,
            given: saved.given,
            networks: Table::load(saved.networks),
            images: Table::load(saved.images),
            flavours: Table::load(saved.flavours),
            groups: Table::load(saved.groups),
            volumes: Table::load(saved.volumes),
            ports: Table::load(saved.ports),
            servers: Table::load(saved.servers),
            services: Table::load(saved.services),
            stacks: Table::load(saved.stacks),
            blueprints: saved.blueprints,
            deleted_stacks: saved.deleted_stacks.into(),
            sessions: saved.sessions.into_iter().collect(),
            ..Self::default()
        };
        state.addresses = address_books(state.networks.iter(), state.ports.iter())
            .into_iter()
            .collect();
        let servers = state
            .servers
            .iter()
            .filter_map(|server| Some((server.pending.as_ref()?.due, server.meta.number)));
        let volumes = state
            .volumes
            .iter()
            .filter_map(|volume| Some((volume.due?, volume.meta.number)));
        let stacks = state
            .stacks
            .iter()
            .filter_map(|stack| Some((stack.pending.as_ref()?.due, stack.meta.number)));
        state.due = servers.chain(volumes).chain(stacks).collect::<BTreeSet<_>>();
        state
    }
}
