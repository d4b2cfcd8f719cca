//! Servers: their ports and volumes first, then the server; and all of it away again.
//!
//! ```text
//! port p0 … pn ─► volume v0 … vn ─► volumes available? ─no─► pending
//!                                         └─yes─► server ─► done
//! ```
//!
//! Every arrow is journalled, so a repetition goes on where the last try ended. Nothing is undone after a failure: what was
//! made stays in the journal, and the host decides whether the next call goes on with it or deletes it.

use serde_json::{Value, json};
use vimhost_sdk::info;
use vimhost_sdk::prelude::{
    Call, CloudConfig, CreateStep, Created, DeleteStep, DiskSource, Error, ErrorKind, Failure, InterfaceKind,
    InterfaceUse, JournalStatus, Removal, ServerInterface, ServerRequest,
};

use crate::elements::{FIRST_LOOK_MS, LONGEST_LOOK_MS, delete_kind};
use crate::vim::{Collection, Element, SETTLED, Vim};

/// Journal kind of a volume that goes with its server.
const VOLUME: &str = "volume";

/// Journal kind of a volume that stays.
const KEPT_VOLUME: &str = "volume:keep";

pub(crate) fn create(vim: &Vim<'_>, call: &Call, request: &ServerRequest) -> Result<CreateStep, Error> {
    let ports = ports(vim, call, request)?;
    let volumes = volumes(vim, call, request)?;
    let server = Collection::Servers.kind();
    let made = call
        .entry(server, &call.token)
        .is_some_and(|entry| entry.status == JournalStatus::Committed);
    if !made && let Some(waiting_for) = unready(vim, &volumes)? {
        return Ok(call.wait(waiting_for, FIRST_LOOK_MS, LONGEST_LOOK_MS).into());
    }
    let id = vim.create_once(Collection::Servers, call, server, "", &|token| {
        body(request, token, &ports, &volumes)
    })?;
    let interfaces = ports.into_iter().map(Some).collect();
    Ok(Created {
        id,
        name: Some(request.name.clone()),
        interfaces,
    }
    .into())
}

fn ports(vim: &Vim<'_>, call: &Call, request: &ServerRequest) -> Result<Vec<String>, Error> {
    let mut ids = Vec::with_capacity(request.interfaces.len());
    for (index, interface) in request.interfaces.iter().enumerate() {
        if interface.floating_ip.is_some() {
            info!(
                "this VIM has no floating addresses; the interface gets none",
                server = request.name,
                index = index
            );
        }
        let kind = Collection::Ports.kind();
        let id = vim
            .create_once(Collection::Ports, call, kind, &format!("p{index}"), &|token| {
                port(request, interface, token)
            })
            .map_err(|failure| failure.while_doing(&format!("interface {index} of server {}", request.name)))?;
        ids.push(id);
    }
    Ok(ids)
}

fn port(request: &ServerRequest, interface: &ServerInterface, token: &str) -> Value {
    json!({
        "name": interface.name.as_ref().unwrap_or(&request.name),
        "token": token,
        "network": interface.network,
        "type": match interface.kind {
            InterfaceKind::Virtual => "virtual",
            InterfaceKind::SrIov => "SR-IOV",
            InterfaceKind::PciPassthrough => "PCI-PASSTHROUGH",
            InterfaceKind::VfNotShared => "VFnotShared",
        },
        "mac": interface.mac_address,
        // A port of this VIM has one address.
        "ip": interface.ip_addresses.first(),
        "port_security": interface.port_security,
        "metadata": {
            "use": match interface.use_for {
                InterfaceUse::Mgmt => "mgmt",
                InterfaceUse::Bridge => "bridge",
                InterfaceUse::Data => "data",
            },
            "model": interface.model,
            "vpci": interface.vpci,
        },
    })
}

/// Ids of all volumes, in order of attachment.
fn volumes(vim: &Vim<'_>, call: &Call, request: &ServerRequest) -> Result<Vec<String>, Error> {
    let mut ids = Vec::with_capacity(request.disks.len());
    for (index, disk) in request.disks.iter().enumerate() {
        let id = match &disk.source {
            DiskSource::Existing(id) => id.clone(),
            DiskSource::New(new) => {
                let kind = if disk.keep { KEPT_VOLUME } else { VOLUME };
                // The server's image as it was found, not the descriptor's reference to it.
                let image = request.image.as_ref().filter(|_| disk.root);
                vim.create_once(Collection::Volumes, call, kind, &format!("v{index}"), &|token| {
                    json!({
                        "name": format!("{}-v{index}", request.name),
                        "token": token,
                        "size": new.size,
                        "image": image,
                        "metadata": { "availability_zone": request.availability_zone },
                    })
                })
                .map_err(|failure| failure.while_doing(&format!("disk {index} of server {}", request.name)))?
            }
        };
        ids.push(id);
    }
    Ok(ids)
}

/// What must be waited for before the volumes can be attached.
fn unready(vim: &Vim<'_>, volumes: &[String]) -> Result<Option<String>, Error> {
    let wanted: Vec<&str> = volumes.iter().map(String::as_str).collect();
    let found: Vec<Element> = vim
        .list_many(Collection::Volumes, "id", &wanted)?
        .into_iter()
        .flatten()
        .collect();
    for id in volumes {
        match found
            .iter()
            .find(|volume| volume.text("id") == Some(id))
            .map(Element::status)
        {
            None => return Err(Error::not_found(format!("volume {id} does not exist"))),
            Some("creating") => return Ok(Some(format!("volume {id} is being made"))),
            Some("error") => return Err(Error::new(ErrorKind::Other, format!("volume {id} is in error"))),
            Some(_) => {}
        }
    }
    Ok(None)
}

fn body(request: &ServerRequest, token: &str, ports: &[String], volumes: &[String]) -> Value {
    let boots_from_new_volume = request
        .disks
        .iter()
        .any(|disk| disk.root && matches!(disk.source, DiskSource::New(_)));
    let cloud = request.cloud_config.as_ref();
    json!({
        "name": request.name,
        "token": token,
        "metadata": { "description": request.description, "security_groups": request.security_groups },
        // The volume was made from the image.
        "image": request.image.as_ref().filter(|_| !boots_from_new_volume),
        "flavour": request.flavour,
        // This VIM knows one group.
        "group": request.groups.first(),
        "ports": ports,
        "volumes": volumes,
        "user_data": cloud.and_then(user_data),
        "config_drive": cloud.and_then(|cloud| cloud.boot_data_drive),
        "availability_zone": request.availability_zone,
        "start": request.start,
    })
}

/// Parts of the user data one after the other; users, keys and files as a cloud-config, of which JSON is a form.
fn user_data(cloud: &CloudConfig) -> Option<String> {
    let mut parts = cloud.user_data.clone();
    if !(cloud.key_pairs.is_empty() && cloud.users.is_empty() && cloud.config_files.is_empty()) {
        let users: Vec<_> = cloud
            .users
            .iter()
            .map(|user| json!({ "name": user.name, "gecos": user.info, "ssh_authorized_keys": user.key_pairs }))
            .collect();
        let files: Vec<_> = cloud
            .config_files
            .iter()
            .map(|file| {
                json!({
                    "path": file.dest,
                    "content": file.content,
                    "encoding": file.encoding,
                    "permissions": file.permissions,
                    "owner": file.owner,
                })
            })
            .collect();
        let config = json!({ "ssh_authorized_keys": cloud.key_pairs, "users": users, "write_files": files });
        parts.push(format!("#cloud-config\n{config}"));
    }
    (!parts.is_empty()).then(|| parts.join("\n"))
}

pub(crate) fn delete(vim: &Vim<'_>, call: &Call, id: Option<&str>, hold: &[String]) -> Result<DeleteStep, Error> {
    // The server first: ports and volumes can only go once nobody has them.
    let removal = delete_kind(vim, Collection::Servers, call, id)?;
    if removal != Removal::Gone {
        return Ok(removal.into_step(call, FIRST_LOOK_MS, LONGEST_LOOK_MS));
    }
    let ports = delete_kind(vim, Collection::Ports, call, None)?;
    let held = |element: Option<&str>| element.is_some_and(|id| hold.iter().any(|held| held == id));
    let volumes = call.delete_journalled(
        |kind| kind == VOLUME,
        SETTLED,
        |_, token| vim.with_token(Collection::Volumes, token),
        |_, volume| {
            if held(Some(volume)) {
                Ok(Removal::Gone)
            } else {
                delete_volume(vim, volume)
            }
        },
    )?;
    // Volumes that stay remain in the journal, which the host closes when this is done.
    Ok(ports.and(volumes).into_step(call, FIRST_LOOK_MS, LONGEST_LOOK_MS))
}

fn delete_volume(vim: &Vim<'_>, id: &str) -> Result<Removal, Failure> {
    match vim.delete(Collection::Volumes, id) {
        Ok(removal) => Ok(removal),
        Err(failure) if failure.error.kind == ErrorKind::Conflict => Ok(Removal::Waiting(failure.error.message)),
        Err(failure) => Err(failure),
    }
}
