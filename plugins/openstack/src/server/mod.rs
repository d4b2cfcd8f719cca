//! Servers: ports and volumes first, then the server, then what needs it to run.
//!
//! ```text
//! port p0 … pn ─► volume v0 … vn ─► volumes ready? ─no─► pending
//!                                        └─yes─► server ─► anything left to do? ─no──────────────► done
//!                                                               └─yes─► ACTIVE? ─no─► pending        ▲
//!                                                                           └─yes─► port security off,
//!                                                                                   floating addresses, stop
//! ```
//!
//! Every arrow is journalled or can be repeated. What fails for good is undone ([`crate::undo`]); a server that Nova itself puts
//! into ERROR is left for people to look at, and observing tells why.

mod body;
mod delete;

use vimhost_keystone::Api;
use vimhost_sdk::prelude::*;

use crate::compute::{self, SETTLED, Server, nova};
use crate::patience::{self, LONGEST_MS};
use crate::undo;
use crate::vim::Vim;
use crate::volumes::{self, KEPT, New, Readiness, VOLUME};
use crate::{neutron, operations};

pub(crate) use delete::delete;

/// Journal kind.
pub(crate) const SERVER: &str = "server";

/// Makes a server with all that belongs to it.
pub(crate) fn create(vim: &Vim, call: &Call, request: &ServerRequest) -> Result<CreateStep, Error> {
    if let Some(step) = undo::going_on(call, || delete::undo(vim, call)) {
        return step;
    }
    let mut making = Making {
        vim,
        call,
        request,
        something_made: call.journal.iter().any(|entry| belongs(call, &entry.token)),
    };
    making
        .go_on()
        .or_else(|failure| undo::of(failure, making.something_made))
}

/// Whether an element was made for this server: the journal of a server that takes the place of another one also names the
/// volumes it got from that one.
fn belongs(call: &Call, token: &str) -> bool {
    let rest = token.strip_prefix(&call.token);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

struct Making<'a> {
    vim: &'a Vim,
    call: &'a Call,
    request: &'a ServerRequest,
    something_made: bool,
}

impl Making<'_> {
    fn go_on(&mut self) -> Result<CreateStep, Failure> {
        let (call, request) = (self.call, self.request);
        let user_data = body::user_data(request)?;
        let ports = self.ports()?;
        let disks = self.disks()?;
        let nova = nova(self.vim)?;
        // Once the server is asked for, its volumes are its own and no longer available.
        if call.entry(SERVER, &call.token).is_none()
            && let Some(pending) = self.unready(&nova, &disks)?
        {
            return Ok(pending.into());
        }
        let creating = body::Creating {
            request,
            settings: &self.vim.settings,
            user_data,
            ports: &ports,
            disks: &disks,
        };
        let id = call.create_once(
            SERVER,
            "",
            SETTLED,
            |token| body::with_token(self.vim, Some(&request.name), token),
            |token| creating.ask(self.vim, token),
        )?;
        self.something_made = true;
        let step = self.after(&nova, &id, &ports)?;
        Ok(step.unwrap_or_else(|| {
            Created {
                id,
                name: Some(request.name.clone()),
                interfaces: ports.into_iter().map(Some).collect(),
            }
            .into()
        }))
    }

    fn ports(&mut self) -> Result<Vec<String>, Failure> {
        let (vim, request) = (self.vim, self.request);
        if request.interfaces.is_empty() {
            return Ok(Vec::new());
        }
        let groups = neutron::security_groups::resolve(vim, &request.security_groups)?;
        let mut ports = Vec::with_capacity(request.interfaces.len());
        for (index, interface) in request.interfaces.iter().enumerate() {
            let port = neutron::ports::create(vim, self.call, index, &request.name, interface, &groups)?;
            self.something_made = true;
            ports.push(port);
        }
        Ok(ports)
    }

    /// Volumes in order of attachment.
    fn disks(&mut self) -> Result<Vec<Disk>, Failure> {
        let request = self.request;
        if request.disks.is_empty() {
            return Ok(Vec::new());
        }
        let cinder = volumes::cinder(self.vim)?;
        let settings = &self.vim.settings;
        let zone = settings
            .storage_availability_zone
            .as_deref()
            .or_else(|| settings.zone(request.availability_zone.as_deref()));
        let mut letters = if request.disks.iter().any(|disk| disk.root) {
            'a'..='z'
        } else {
            'b'..='z'
        };
        let mut disks = Vec::with_capacity(request.disks.len());
        for (index, disk) in request.disks.iter().enumerate() {
            let letter = letters
                .next()
                .map_or_else(|| index.to_string(), |letter| letter.to_string());
            let id = match &disk.source {
                DiskSource::Existing(id) => id.clone(),
                DiskSource::New(new) => {
                    // The image that was found for the server, not the descriptor's reference to one (O8).
                    let image = request.image.as_deref().filter(|_| disk.root);
                    if disk.root && image.is_none() {
                        return Err(Error::bad_request(format!(
                            "server {} is to boot from a new volume, and no image is given to fill it from",
                            request.name
                        ))
                        .into());
                    }
                    let new = New {
                        name: format!("{}vd{letter}", request.name),
                        size: new.size,
                        image,
                        zone,
                        volume_type: None,
                    };
                    let kind = if disk.keep { KEPT } else { VOLUME };
                    let id = volumes::make(&cinder, self.call, kind, &format!("v{index}"), &new)?;
                    self.something_made = true;
                    id
                }
            };
            disks.push(Disk { id, root: disk.root });
        }
        Ok(disks)
    }

    /// What must be waited for before the volumes can be attached.
    fn unready(&self, nova: &Api<'_>, disks: &[Disk]) -> Result<Option<Pending>, Failure> {
        if disks.is_empty() {
            return Ok(None);
        }
        let cinder = volumes::cinder(self.vim)?;
        // All of them, since one that has failed ends the waiting for the others.
        let mut waiting = None;
        for disk in disks {
            match volumes::readiness(&cinder, &disk.id)? {
                (Readiness::Ready, volume) => {
                    if disk.root && !volume.bootable() {
                        volumes::make_bootable(&cinder, &disk.id)?;
                    }
                }
                (Readiness::Waiting(reason), _) => waiting = waiting.or(Some(reason)),
                (Readiness::Held(servers), _) => {
                    let reason = leaving(nova, &disk.id, &servers)?;
                    waiting = waiting.or(Some(reason));
                }
            }
        }
        waiting.map(|reason| self.patiently(&reason)).transpose()
    }

    /// Waits, unless nothing has come of it for too long.
    fn patiently(&self, reason: &str) -> Result<Pending, Failure> {
        patience::wait(self.call, reason)
            .ok_or_else(|| volumes::not_done(format!("{reason}, and nothing has changed for {} s", LONGEST_MS / 1000)))
    }

    /// What can only be done to a server that runs. `None` when nothing is left.
    fn after(&self, nova: &Api<'_>, id: &str, ports: &[String]) -> Result<Option<CreateStep>, Failure> {
        let (vim, request) = (self.vim, self.request);
        let interfaces: Vec<(usize, &ServerInterface, &String)> = request
            .interfaces
            .iter()
            .zip(ports)
            .enumerate()
            .map(|(index, (interface, port))| (index, interface, port))
            .collect();
        let insecure: Vec<_> = interfaces
            .iter()
            .filter(|(_, interface, _)| neutron::ports::takes_security_off(vim, interface))
            .collect();
        let floating: Vec<_> = interfaces
            .iter()
            .filter_map(|(index, interface, port)| Some((*index, *port, neutron::floating::wanted(vim, interface)?)))
            .collect();
        if insecure.is_empty() && floating.is_empty() && request.start {
            return Ok(None);
        }
        let Some(server) = compute::server(nova, id)? else {
            return Err(Error::not_found(format!("server {id} was deleted while it was made")).into());
        };
        match server.status() {
            "ACTIVE" | "PAUSED" | "SUSPENDED" | "SHUTOFF" => {}
            // Nova has given up: observing shows it and says why.
            "ERROR" => return Ok(None),
            status => {
                let reason = format!("server {id} is in status {status}");
                return Ok(Some(self.patiently(&reason)?.into()));
            }
        }
        for (_, interface, port) in insecure {
            // Not before the port is plugged: until then its traffic would be dropped.
            neutron::ports::disable_security(vim, port, interface.port_security_disable_strategy)?;
        }
        for (index, port, wanted) in floating {
            neutron::floating::give(vim, self.call, index, port, &wanted)?;
        }
        if request.start {
            return Ok(None);
        }
        self.stopped(nova, id, &server)
    }

    /// Nova starts every server it makes; one that is not to be started is stopped afterwards.
    fn stopped(&self, nova: &Api<'_>, id: &str, server: &Server) -> Result<Option<CreateStep>, Failure> {
        if server.status() != "ACTIVE" {
            return Ok(None);
        }
        if server.task().is_none() {
            operations::act(nova, id, "stopping", &serde_json::json!({ "os-stop": null }))?;
        }
        let reason = format!("server {id} is being stopped");
        Ok(Some(self.patiently(&reason)?.into()))
    }
}

/// A volume that other servers have: it comes free when they are going, and never otherwise (O7).
fn leaving(nova: &Api<'_>, volume: &str, servers: &[String]) -> Result<String, Failure> {
    for id in servers {
        if compute::server(nova, id)?.is_some_and(|server| !server.goes()) {
            return Err(Error::conflict(format!("volume {volume} is attached to server {id}")).into());
        }
    }
    Ok(format!("volume {volume} is being detached from a server that goes"))
}

/// A volume of the server.
struct Disk {
    id: String,
    root: bool,
}
