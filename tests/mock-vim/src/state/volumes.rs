//! Volumes: `creating` → `available` ⇄ `in-use`.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::table::Table;
use super::{Collection, Naming, State};
use crate::clock::UnixMillis;
use crate::elements::{Image, Volume, VolumeStatus};
use crate::faults::Armed;
use crate::refusal::Refusal;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewVolume {
    #[serde(default)]
    name: String,
    token: Option<String>,
    #[serde(default)]
    metadata: Value,
    size: u64,
    image: Option<String>,
}

impl State {
    /// Attaches a volume to a server.
    pub(super) fn attach_volume(&mut self, id: &str, server: &str) {
        self.update::<Volume>(id, |volume| {
            volume.servers.push(server.to_owned());
            volume.show_servers();
        });
    }

    /// Detaches a volume from a server.
    pub(super) fn detach_volume(&mut self, id: &str, server: &str) {
        self.update::<Volume>(id, |volume| {
            volume.servers.retain(|of| of != server);
            volume.show_servers();
        });
    }
}

impl Volume {
    /// Whether one more server can have it.
    pub(super) fn is_free(&self) -> bool {
        match self.status {
            VolumeStatus::Available => true,
            VolumeStatus::InUse => self.meta.metadata.get("multi_attach") == Some(&Value::Bool(true)),
            VolumeStatus::Creating => false,
        }
    }

    fn show_servers(&mut self) {
        self.server = self.servers.first().cloned();
        self.status = if self.servers.is_empty() {
            VolumeStatus::Available
        } else {
            VolumeStatus::InUse
        };
    }
}

impl Collection for Volume {
    type New = NewVolume;

    fn create(state: &mut State, new: NewVolume, faults: &mut Armed, now: UnixMillis) -> Result<Arc<Self>, Refusal> {
        state.admit::<Self>(faults)?;
        if new.size == 0 {
            return Err(Refusal::BadRequest("a volume needs a size".to_owned()));
        }
        if let Some(image) = &new.image {
            state.referred::<Image>(image)?;
        }
        let due = now.plus_millis(faults.script().volume_delay_ms);
        let meta = state.meta(
            Naming {
                name: new.name,
                token: new.token,
                metadata: new.metadata,
            },
            now,
        );
        state.due.insert((due, meta.number));
        let volume = Self {
            meta,
            size: new.size,
            image: new.image,
            status: VolumeStatus::Creating,
            server: None,
            servers: Vec::new(),
            due: Some(due),
        };
        Ok(state.volumes.insert(volume))
    }

    fn delete(state: &mut State, id: &str) -> Result<(), Refusal> {
        if let Some(server) = &state.find::<Self>(id)?.server {
            return Err(Refusal::Conflict(format!("volume {id} is in use by server {server}")));
        }
        state.remove::<Self>(id).map(drop)
    }

    fn table(state: &State) -> &Table<Self> {
        &state.volumes
    }

    fn table_mut(state: &mut State) -> &mut Table<Self> {
        &mut state.volumes
    }
}
