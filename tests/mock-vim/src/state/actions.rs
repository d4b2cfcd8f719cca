//! What can be done to a server, and when.
//!
//! ```text
//! BUILD ──► ACTIVE ◄─start─ SHUTOFF        ACTIVE ─pause──► PAUSED ─unpause─► ACTIVE
//!   │         └────stop───────►            ACTIVE ─suspend► SUSPENDED ─resume► ACTIVE
//!   └─────► ERROR ─rebuild─► REBUILD ─► ACTIVE
//! ACTIVE|SHUTOFF ─reboot─► REBOOT ─► ACTIVE       ACTIVE|SHUTOFF ─rebuild─► REBUILD ─► as before
//! ACTIVE ─migrate─► MIGRATING ─► ACTIVE           ACTIVE|SHUTOFF ─resize─► RESIZE ─► as before
//! ```
//!
//! Every other move is refused with 409. Reboot, rebuild, migrate and resize take `action_delay_ms`; the others are
//! done when they are answered.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::State;
use super::servers::HOSTS;
use crate::clock::UnixMillis;
use crate::elements::{Flavour, Image, Pending, Server, ServerStatus};
use crate::refusal::Refusal;

/// The body of an action.
#[derive(Debug, Deserialize)]
#[serde(tag = "action", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Action {
    Start {},
    Stop {},
    Pause {},
    Unpause {},
    Suspend {},
    Resume {},
    Reboot {},
    Rebuild { image: Option<String> },
    Migrate { host: Option<String> },
    Resize { flavour: String },
    Console { r#type: Option<String> },
}

/// What an action answers.
#[derive(Debug)]
pub(crate) enum Done {
    Accepted(Arc<Server>),
    Console(Value),
}

impl State {
    pub(crate) fn act(&mut self, id: &str, action: Action, delay_ms: u64, now: UnixMillis) -> Result<Done, Refusal> {
        use ServerStatus::{Active, Error, Migrating, Paused, Reboot, Rebuild, Resize, Shutoff, Suspended};
        let server = Arc::clone(self.find::<Server>(id)?);
        let ends = |status| Pending {
            due: now.plus_millis(delay_ms),
            status,
            fault: None,
            host: None,
            flavour: None,
        };
        let as_before = if server.status == Error { Active } else { server.status };
        let begun = match action {
            Action::Start {} => return self.set(&server, "start", &[Shutoff], Active),
            Action::Stop {} => return self.set(&server, "stop", &[Active], Shutoff),
            Action::Pause {} => return self.set(&server, "pause", &[Active], Paused),
            Action::Unpause {} => return self.set(&server, "unpause", &[Paused], Active),
            Action::Suspend {} => return self.set(&server, "suspend", &[Active], Suspended),
            Action::Resume {} => return self.set(&server, "resume", &[Suspended], Active),
            Action::Console { r#type } => {
                allowed(&server, "console", &[Active])?;
                return console(&server, r#type.as_deref().unwrap_or("novnc")).map(Done::Console);
            }
            Action::Reboot {} => {
                allowed(&server, "reboot", &[Active, Shutoff])?;
                self.begin(id, Reboot, ends(Active))
            }
            Action::Rebuild { image } => {
                allowed(&server, "rebuild", &[Active, Shutoff, Error])?;
                if let Some(image) = image {
                    self.referred::<Image>(&image)?;
                    self.update::<Server>(id, |server| server.image = Some(image));
                }
                self.begin(id, Rebuild, ends(as_before))
            }
            Action::Migrate { host } => {
                allowed(&server, "migrate", &[Active])?;
                let host = destination(&server, host)?;
                self.begin(
                    id,
                    Migrating,
                    Pending {
                        host: Some(host),
                        ..ends(Active)
                    },
                )
            }
            Action::Resize { flavour } => {
                allowed(&server, "resize", &[Active, Shutoff])?;
                let disk = self.referred::<Flavour>(&flavour)?.disk;
                if self
                    .flavours
                    .get(&server.flavour)
                    .is_some_and(|present| present.disk > disk)
                {
                    return Err(Refusal::BadRequest("a disk cannot become smaller".to_owned()));
                }
                self.begin(
                    id,
                    Resize,
                    Pending {
                        flavour: Some(flavour),
                        ..ends(as_before)
                    },
                )
            }
        };
        Ok(Done::Accepted(begun.unwrap_or(server)))
    }

    fn set(
        &mut self,
        server: &Arc<Server>,
        action: &str,
        from: &[ServerStatus],
        status: ServerStatus,
    ) -> Result<Done, Refusal> {
        allowed(server, action, from)?;
        let set = self.update::<Server>(&server.meta.id, |server| server.status = status);
        Ok(Done::Accepted(set.unwrap_or_else(|| Arc::clone(server))))
    }
}

fn allowed(server: &Server, action: &str, from: &[ServerStatus]) -> Result<(), Refusal> {
    if from.contains(&server.status) {
        return Ok(());
    }
    Err(Refusal::Conflict(format!(
        "cannot {action} server {} while it is {}",
        server.meta.id,
        server.status.as_str()
    )))
}

fn destination(server: &Server, wanted: Option<String>) -> Result<String, Refusal> {
    match wanted {
        None => {
            let other = HOSTS.into_iter().find(|host| *host != server.host);
            other
                .map(str::to_owned)
                .ok_or_else(|| Refusal::Conflict("there is no other host".to_owned()))
        }
        Some(host) if host == server.host => Err(Refusal::BadRequest(format!(
            "server {} is on host {host} already",
            server.meta.id
        ))),
        Some(host) if HOSTS.contains(&host.as_str()) => Ok(host),
        Some(host) => Err(Refusal::BadRequest(format!("there is no host {host}"))),
    }
}

fn console(server: &Server, console_type: &str) -> Result<Value, Refusal> {
    let path = match console_type {
        "novnc" => "vnc_auto.html",
        "xvpvnc" => "console",
        "rdp-html5" => "rdp.html",
        "spice-html5" => "spice_auto.html",
        other => return Err(Refusal::BadRequest(format!("there is no console of type {other}"))),
    };
    // Under the reserved example name: nobody answers there.
    let (host, port) = (format!("{}.mock-vim.example", server.host), 6080);
    let suffix = format!("{path}?token={}", server.meta.id);
    let url = format!("http://{host}:{port}/{suffix}");
    Ok(json!({ "type": console_type, "protocol": "http", "server": host, "port": port, "suffix": suffix, "url": url }))
}
