//! Everything the VIM knows, and the rules by which it changes.
//!
//! No clock, no I/O and no waiting in here: time comes in as data, and a caller holds the one lock around [`State`] only
//! for the moment of a change. What takes time (BUILD → ACTIVE) has a due time; [`State::advance`] is called before each
//! access and applies what is due, so nobody sees a state that is over, and sequence numbers follow the order in which
//! changes became visible.
//!
//! What must always hold: every change of an element gets the next sequence number; a server's ports and volumes name
//! that server, and nothing else names it; no two ports of a network share an address.

mod actions;
mod catalogue;
pub(crate) mod filter;
mod networks;
mod saved;
mod servers;
pub(crate) mod stacks;
pub(crate) mod table;
#[cfg(test)]
mod tests;
mod volumes;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::elements::{
    ConnectivityService, Element, Flavour, Group, Image, Meta, Network, Port, Server, Stack, Volume, VolumeStatus,
};
pub(crate) use actions::{Action, Done};
pub(crate) use catalogue::EditService;
use networks::AddressBook;
pub(crate) use saved::{FORMAT, Saved};
use stacks::Blueprint;
use table::Table;

use crate::call::Kind;
use crate::clock::UnixMillis;
use crate::faults::Armed;
use crate::refusal::Refusal;

/// Something that can be created and deleted over REST.
pub(crate) trait Collection: Element + Serialize {
    /// The body of a POST.
    type New: serde::de::DeserializeOwned + Send;

    fn create(state: &mut State, new: Self::New, faults: &mut Armed, now: UnixMillis) -> Result<Arc<Self>, Refusal>;
    fn delete(state: &mut State, id: &str) -> Result<(), Refusal>;
    fn table(state: &State) -> &Table<Self>;
    fn table_mut(state: &mut State) -> &mut Table<Self>;
}

/// What a client gives to every element it creates.
pub(crate) struct Naming {
    name: String,
    token: Option<String>,
    metadata: Value,
}

/// How many of each were given out; never reset by a deletion, so that a value is not given twice.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Given {
    subnets: u32,
    vlans: u32,
    macs: u32,
    pcis: u32,
    hosts: u32,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    seq: u64,
    /// Counts changes that a state file must hold, sessions included. Starts at 0 with the process.
    revision: u64,
    given: Given,
    networks: Table<Network>,
    images: Table<Image>,
    flavours: Table<Flavour>,
    groups: Table<Group>,
    volumes: Table<Volume>,
    ports: Table<Port>,
    servers: Table<Server>,
    services: Table<ConnectivityService>,
    stacks: Table<Stack>,
    /// What stacks were made from and what is in them, by their ids. Apart from the stacks, because these are listed often.
    blueprints: BTreeMap<String, Arc<Blueprint>>,
    /// Stacks that are gone, which are still shown by their ids; the oldest first.
    deleted_stacks: VecDeque<Arc<Stack>>,
    sessions: HashMap<String, UnixMillis>,
    /// By network id. Derived from the ports.
    addresses: HashMap<String, AddressBook>,
    /// What ends when, by element number. Derived from servers and volumes; entries of deleted ones are harmless.
    due: BTreeSet<(UnixMillis, u64)>,
}

impl State {
    /// A VIM with nothing but its presets.
    pub(crate) fn preset() -> Self {
        let mut state = Self::default();
        state.add_presets();
        state
    }

    pub(crate) fn seq(&self) -> u64 {
        self.seq
    }

    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// Applies everything that is due.
    pub(crate) fn advance(&mut self, now: UnixMillis) {
        while let Some(&(due, number)) = self.due.first()
            && due <= now
        {
            self.due.pop_first();
            if let Some(volume) = self.volumes.by_number(number) {
                if volume.due == Some(due) {
                    let id = volume.meta.id.clone();
                    self.update::<Volume>(&id, |volume| {
                        volume.status = VolumeStatus::Available;
                        volume.due = None;
                    });
                }
            } else if let Some(server) = self.servers.by_number(number)
                && let Some(pending) = server.pending.clone()
                && pending.due == due
            {
                let id = server.meta.id.clone();
                self.finish(&id, pending);
            } else if let Some(stack) = self.stacks.by_number(number)
                && let Some(pending) = stack.pending.clone()
                && pending.due == due
            {
                let stack = Arc::clone(stack);
                self.finish_stack(&stack, pending);
            }
        }
    }

    /// Begins a session.
    pub(crate) fn log_in(&mut self, now: UnixMillis, lifetime: Duration) -> (String, UnixMillis) {
        self.sessions.retain(|_, expiry| *expiry > now);
        let token = Uuid::new_v4().simple().to_string();
        let expiry = now.plus(lifetime);
        self.sessions.insert(token.clone(), expiry);
        self.revision += 1;
        (token, expiry)
    }

    /// Whether a session is open.
    pub(crate) fn knows(&self, token: &str, now: UnixMillis) -> bool {
        self.sessions.get(token).is_some_and(|expiry| *expiry > now)
    }

    /// Ends all sessions.
    pub(crate) fn expire_sessions(&mut self) {
        self.sessions.clear();
        self.revision += 1;
    }

    pub(crate) fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Back to the presets. Sequence numbers go on, and what came before counts as forgotten: a client with an old
    /// cursor is told so, instead of believing that its elements still exist.
    pub(crate) fn reset(&mut self) {
        let seq = self.next_seq();
        let revision = self.revision;
        *self = Self {
            seq,
            revision,
            ..Self::default()
        };
        self.networks.clear(seq);
        self.images.clear(seq);
        self.flavours.clear(seq);
        self.groups.clear(seq);
        self.volumes.clear(seq);
        self.ports.clear(seq);
        self.servers.clear(seq);
        self.services.clear(seq);
        self.stacks.clear(seq);
        self.add_presets();
    }

    pub(crate) fn find<T: Collection>(&self, id: &str) -> Result<&Arc<T>, Refusal> {
        T::table(self).get(id).ok_or_else(|| Refusal::NotFound {
            kind: T::KIND,
            id: id.to_owned(),
        })
    }

    /// An element that a body refers to: that it is missing is the body's mistake, 404 is about the path.
    fn referred<T: Collection>(&self, id: &str) -> Result<&Arc<T>, Refusal> {
        T::table(self)
            .get(id)
            .ok_or_else(|| Refusal::BadRequest(format!("the body names {} {id}, which does not exist", T::KIND)))
    }

    /// Refuses when the quota is used up.
    fn admit<T: Collection>(&self, faults: &Armed) -> Result<(), Refusal> {
        match faults.script().quota.get(&T::KIND) {
            Some(&limit) if T::table(self).counted() >= limit => Err(Refusal::Quota { kind: T::KIND, limit }),
            _ => Ok(()),
        }
    }

    /// What a new element starts with; counts as its first change.
    fn meta(&mut self, naming: Naming, now: UnixMillis) -> Meta {
        let seq = self.next_seq();
        Meta {
            id: Uuid::new_v4().to_string(),
            name: naming.name,
            token: naming.token,
            metadata: naming.metadata,
            created_at: now,
            number: seq,
            seq,
            preset: false,
        }
    }

    /// Presets have the same id in every mock VIM, so that a test can write it down.
    fn preset_meta(&mut self, kind: Kind, name: &str) -> Meta {
        let naming = Naming {
            name: name.to_owned(),
            token: None,
            metadata: Value::Null,
        };
        let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("mock-vim:{kind}/{name}").as_bytes()).to_string();
        Meta {
            id,
            preset: true,
            ..self.meta(naming, UnixMillis::default())
        }
    }

    fn add_presets(&mut self) {
        self.add_preset_networks();
        self.add_preset_images();
    }

    fn update<T: Collection>(&mut self, id: &str, change: impl FnOnce(&mut T)) -> Option<Arc<T>> {
        let seq = self.next_seq();
        T::table_mut(self).update(id, seq, change)
    }

    /// Deletes an element that nothing refers to.
    fn remove<T: Collection>(&mut self, id: &str) -> Result<Arc<T>, Refusal> {
        if self.find::<T>(id)?.meta().preset {
            return Err(Refusal::Conflict(format!("{} {id} is a preset and stays", T::KIND)));
        }
        let seq = self.next_seq();
        T::table_mut(self).remove(id, seq).ok_or_else(|| Refusal::NotFound {
            kind: T::KIND,
            id: id.to_owned(),
        })
    }

    fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.revision += 1;
        self.seq
    }
}
