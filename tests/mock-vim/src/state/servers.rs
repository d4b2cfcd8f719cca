//! Servers: their creation, their end, and the end of what takes time.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::table::Table;
use super::{Collection, Naming, State};
use crate::clock::UnixMillis;
use crate::elements::{Flavour, Group, Image, Pending, Port, Server, ServerFault, ServerStatus, Volume};
use crate::faults::Armed;
use crate::refusal::Refusal;

/// Where servers run. Two, so that a migration has exactly one place to go.
pub(super) const HOSTS: [&str; 2] = ["compute1", "compute2"];

/// Nova's bound on user data, after base64.
const USER_DATA_BYTES: usize = 65_535;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewServer {
    #[serde(default)]
    name: String,
    token: Option<String>,
    #[serde(default)]
    metadata: Value,
    image: Option<String>,
    flavour: String,
    group: Option<String>,
    #[serde(default)]
    ports: Vec<String>,
    #[serde(default)]
    volumes: Vec<String>,
    user_data: Option<String>,
    config_drive: Option<bool>,
    availability_zone: Option<String>,
    #[serde(default = "yes")]
    start: bool,
}

fn yes() -> bool {
    true
}

impl State {
    /// Ends what a server was in the middle of.
    pub(super) fn finish(&mut self, id: &str, pending: Pending) {
        if pending.status == ServerStatus::Deleting {
            // Only presets refuse, and none of them is a server on its way out.
            let _ = <Server as Collection>::delete(self, id);
            return;
        }
        let server = self.update::<Server>(id, |server| {
            server.pending = None;
            server.status = pending.status;
            server.fault = pending.fault;
            if let Some(flavour) = pending.flavour {
                server.flavour = flavour;
            }
            if let Some(host) = &pending.host {
                server.host.clone_from(host);
            }
        });
        if let (Some(server), Some(host)) = (server, pending.host) {
            for port in &server.ports {
                self.assign_port(port, Some((id, &host)));
            }
        }
    }

    /// Begins a deletion that takes time. Asking for it again changes nothing.
    pub(crate) fn begin_deletion(&mut self, id: &str, due: UnixMillis) -> Result<(), Refusal> {
        if self.find::<Server>(id)?.status == ServerStatus::Deleting {
            return Ok(());
        }
        let end = Pending {
            due,
            status: ServerStatus::Deleting,
            fault: None,
            host: None,
            flavour: None,
        };
        self.begin(id, ServerStatus::Deleting, end);
        Ok(())
    }

    /// Puts a server into the middle of something.
    pub(super) fn begin(&mut self, id: &str, status: ServerStatus, pending: Pending) -> Option<Arc<Server>> {
        let due = pending.due;
        let server = self.update::<Server>(id, |server| {
            server.status = status;
            server.pending = Some(pending);
        })?;
        self.due.insert((due, server.meta.number));
        Some(server)
    }

    /// Alternates, except that affinity joins the group's members and anti-affinity goes where fewest of them are.
    /// Two hosts cannot keep three servers apart, so anti-affinity is the soft kind here.
    fn place(&mut self, group: Option<&Group>) -> String {
        let turn = self.given.hosts;
        self.given.hosts = turn.wrapping_add(1);
        let [even, odd] = HOSTS;
        let by_turn = if turn.is_multiple_of(2) { even } else { odd };
        let members = |host: &str, group: &Group| {
            self.servers
                .iter()
                .filter(|server| server.host == host && server.group.as_ref() == Some(&group.meta.id))
                .count()
        };
        let host = match group.map(|group| (group.group_type.as_str(), members(even, group), members(odd, group))) {
            Some(("affinity", on_even, on_odd)) if on_even > on_odd => even,
            Some(("affinity", on_even, on_odd)) if on_odd > on_even => odd,
            Some(("anti-affinity", on_even, on_odd)) if on_even < on_odd => even,
            Some(("anti-affinity", on_even, on_odd)) if on_odd < on_even => odd,
            _ => by_turn,
        };
        host.to_owned()
    }

    /// Whether what a body refers to is there and free.
    fn check(&self, new: &NewServer) -> Result<(), Refusal> {
        self.referred::<Flavour>(&new.flavour)?;
        if let Some(image) = &new.image {
            self.referred::<Image>(image)?;
        }
        if new.user_data.as_ref().is_some_and(|data| data.len() > USER_DATA_BYTES) {
            return Err(Refusal::BadRequest(format!(
                "user data are longer than {USER_DATA_BYTES} bytes"
            )));
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = new
            .ports
            .iter()
            .chain(&new.volumes)
            .find(|id| !seen.insert(id.as_str()))
        {
            return Err(Refusal::BadRequest(format!("{twice} is given twice")));
        }
        for id in &new.ports {
            if let Some(server) = &self.referred::<Port>(id)?.server {
                return Err(Refusal::Conflict(format!("port {id} is in use by server {server}")));
            }
        }
        let mut bootable = new.image.is_some();
        for id in &new.volumes {
            let volume = self.referred::<Volume>(id)?;
            if !volume.is_free() {
                return Err(Refusal::Conflict(format!(
                    "volume {id} is {}, not available",
                    volume.status.as_str()
                )));
            }
            bootable |= volume.image.is_some();
        }
        if bootable {
            Ok(())
        } else {
            Err(Refusal::BadRequest(
                "neither an image nor a volume made from one".to_owned(),
            ))
        }
    }
}

impl Collection for Server {
    type New = NewServer;

    fn create(state: &mut State, new: NewServer, faults: &mut Armed, now: UnixMillis) -> Result<Arc<Self>, Refusal> {
        state.admit::<Self>(faults)?;
        state.check(&new)?;
        let group = new
            .group
            .as_deref()
            .map(|id| state.referred::<Group>(id).cloned())
            .transpose()?;
        let host = state.place(group.as_deref());
        let fault = faults
            .server_fault(&new.name)
            .map(|message| ServerFault { code: 500, message });
        let due = now.plus_millis(faults.script().build_delay_ms);
        let status = match (&fault, new.start) {
            (Some(_), _) => ServerStatus::Error,
            (None, true) => ServerStatus::Active,
            (None, false) => ServerStatus::Shutoff,
        };
        let meta = state.meta(
            Naming {
                name: new.name,
                token: new.token,
                metadata: new.metadata,
            },
            now,
        );
        let id = meta.id.clone();
        state.due.insert((due, meta.number));
        let server = state.servers.insert(Self {
            meta,
            image: new.image,
            flavour: new.flavour,
            group: new.group,
            ports: new.ports,
            volumes: new.volumes,
            user_data: new.user_data,
            config_drive: new.config_drive,
            availability_zone: new.availability_zone,
            host: host.clone(),
            status: ServerStatus::Build,
            fault: None,
            pending: Some(Pending {
                due,
                status,
                fault,
                host: None,
                flavour: None,
            }),
        });
        for port in &server.ports {
            state.assign_port(port, Some((&id, &host)));
        }
        for volume in &server.volumes {
            state.attach_volume(volume, &id);
        }
        Ok(server)
    }

    /// Like Nova with `delete_on_termination` false: ports and volumes stay, detached.
    fn delete(state: &mut State, id: &str) -> Result<(), Refusal> {
        let server = state.remove::<Self>(id)?;
        for port in &server.ports {
            state.assign_port(port, None);
        }
        for volume in &server.volumes {
            state.detach_volume(volume, id);
        }
        Ok(())
    }

    fn table(state: &State) -> &Table<Self> {
        &state.servers
    }

    fn table_mut(state: &mut State) -> &mut Table<Self> {
        &mut state.servers
    }
}
