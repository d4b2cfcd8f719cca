//! From a task's parameters, in NG-RO's shape, to a request for the connector.
//!
//! The parameters were derived by [`mod@crate::derive`] and are read back from the store; a shape that is not understood fails the
//! task with a text, it never stops the host.

use std::collections::HashMap;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use vimhost_connector::{
    CloudConfig, CloudFile, CloudUser, CreateRequest, DiskSource, Filter, FindRequest, FlavourData, FloatingIp, Found,
    GroupRequest, InterfaceKind, InterfaceUse, IpProfile, NetworkKind, NetworkRequest, OperateRequest,
    PortSecurityDisableStrategy, PowerAction, ProviderNetwork, ServerDisk, ServerInterface, ServerRequest,
    VolumeRequest, operation_token,
};
use vimhost_model::{Item, Task, TaskAction, VimId};

type Result<T> = std::result::Result<T, String>;

/// An existing element that the request names by an id the VIM needs not be asked about (NG-RO from release 14).
pub(super) fn given(task: &Task) -> Option<Found> {
    let params = task.find_params.as_ref().filter(|_| task.item == Item::Flavor)?;
    let id = VimId::new(text(params, "vim_flavor_id")?).ok()?;
    Some(Found {
        id,
        name: None,
        status_text: None,
        details: Value::Null,
    })
}

/// Whether the request names an existing flavour by its name (`additionalParams.OSM.vim_flavor_name`).
pub(super) fn is_flavour_by_name(task: &Task) -> bool {
    let params = task.find_params.as_ref().filter(|_| task.item == Item::Flavor);
    params.is_some_and(|params| text(params, "vim_flavor_name").is_some())
}

/// The token of the operation that a task is, for tasks that change an element that exists. Letters of the task's id: the same
/// after each restart, and other ones for the next task.
pub(crate) fn operation(element: &str, task: &Task) -> Option<String> {
    matches!(task.action, TaskAction::Exec | TaskAction::Update).then(|| {
        let digest = Sha256::digest(task.id.as_str());
        let letters: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        operation_token(element, &letters)
    })
}

/// Whether an existing element is looked for before one is made.
pub(super) fn is_searched(task: &Task) -> bool {
    task.find_params.is_some() || existing_group(task).is_some()
}

/// The placement group that the request wants to be used, if it exists.
fn existing_group(task: &Task) -> Option<&str> {
    let data = task
        .params
        .as_ref()
        .filter(|_| task.item == Item::AffinityGroup)?
        .get("affinity_group_data")?;
    text(data, "vim-affinity-group-id")
}

/// The search that comes before a creation.
pub(super) fn find(task: &Task, config: &Map<String, Value>) -> Result<FindRequest> {
    let params = task.find_params.as_ref().unwrap_or(&Value::Null);
    match task.item {
        Item::Net if truthy(params, "mgmt") => Ok(FindRequest::Networks(management_filter(params, config)?)),
        Item::Net => Ok(FindRequest::Networks(filter(params)?)),
        Item::Image => Ok(FindRequest::Images(filter(params)?)),
        Item::Flavor if is_flavour_by_name(task) => Ok(FindRequest::Flavours(Filter {
            name: text(params, "vim_flavor_name").map(str::to_owned),
            ..Filter::default()
        })),
        Item::Flavor => Ok(FindRequest::Flavour(flavour(part(params, "flavor_data")?)?)),
        Item::AffinityGroup => match existing_group(task) {
            Some(id) => Ok(FindRequest::Group(vim_id(id)?)),
            None => Err("a group is looked for without an id".to_owned()),
        },
        other @ (Item::Vdu
        | Item::SharedVolume
        | Item::SdnNet
        | Item::Stack
        | Item::Update
        | Item::Migrate
        | Item::VerticalScale
        | Item::Console) => Err(format!("item '{other}' is not looked for")),
    }
}

/// The management network: the account's configuration first, else the virtual link's id as name, as NG-RO looks for it.
fn management_filter(params: &Value, config: &Map<String, Value>) -> Result<Filter> {
    if let Some(id) = configured(config, "management_network_id") {
        return Ok(Filter {
            id: Some(vim_id(id)?),
            ..Filter::default()
        });
    }
    let name = configured(config, "management_network_name").or_else(|| text(params, "name"));
    Ok(Filter {
        name: name.map(str::to_owned),
        ..Filter::default()
    })
}

/// A text of an account's configuration; an empty one says as little as none.
fn configured<'v>(config: &'v Map<String, Value>, key: &str) -> Option<&'v str> {
    config.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn filter(params: &Value) -> Result<Filter> {
    let map = part(params, "filter_dict")?;
    let id = text(map, "id").map(vim_id).transpose()?;
    let owned = |key| text(map, key).map(str::to_owned);
    let filter = Filter {
        name: owned("name"),
        id,
        checksum: owned("checksum"),
        shared: None,
    };
    if filter == Filter::default() {
        Err("the search has no criteria".to_owned())
    } else {
        Ok(filter)
    }
}

/// What is made when the search found nothing; none when only an existing element will do.
pub(super) fn create_when_not_found(task: &Task, config: &Map<String, Value>) -> Option<Result<CreateRequest>> {
    if task.item == Item::Net {
        let find = task.find_params.as_ref()?;
        let is_configured = ["management_network_id", "management_network_name"]
            .iter()
            .any(|key| configured(config, key).is_some());
        if !truthy(find, "mgmt") || is_configured {
            return None;
        }
        let name = text(find, "name").unwrap_or_default().to_owned();
        return Some(Ok(CreateRequest::Network(NetworkRequest {
            name,
            kind: None,
            shared: false,
            ip_profile: None,
            provider: None,
        })));
    }
    task.params.as_ref()?;
    Some(create(task, config, &HashMap::new()))
}

/// The creation itself. `references` holds the ids of what the task depends on.
pub(super) fn create(
    task: &Task,
    config: &Map<String, Value>,
    references: &HashMap<String, VimId>,
) -> Result<CreateRequest> {
    let Some(params) = &task.params else {
        // A management network that was looked for in vain is made under its name; the search is over when this is asked for.
        return create_when_not_found(task, config)
            .unwrap_or_else(|| Err(format!("{} has no creation parameters", task.item)));
    };
    match task.item {
        Item::Net => network(params).map(CreateRequest::Network),
        Item::Flavor => flavour(part(params, "flavor_data")?).map(CreateRequest::Flavour),
        Item::AffinityGroup => {
            let data = part(params, "affinity_group_data")?;
            let owned = |key| text(data, key).map(str::to_owned);
            Ok(CreateRequest::Group(GroupRequest {
                name: owned("name").ok_or("the group has no name")?,
                policy: owned("type").ok_or("the group has no type")?,
                scope: owned("scope").unwrap_or_else(|| "nfvi-node".to_owned()),
            }))
        }
        Item::SharedVolume => {
            // Documents of hosts before this form have the parameters one level deeper.
            let data = params.get("shared_volume_data").unwrap_or(params);
            Ok(CreateRequest::Volume(VolumeRequest {
                name: text(data, "name").ok_or("the volume has no name")?.to_owned(),
                size: number(data, "size").ok_or("the volume has no size")?,
                multi_attach: true,
                availability_zone: None,
            }))
        }
        Item::Vdu => server(params, references, task).map(|request| CreateRequest::Server(Box::new(request))),
        // A connectivity service is made from more than its parameters: see [`super::service`].
        other @ (Item::SdnNet
        | Item::Image
        | Item::Stack
        | Item::Update
        | Item::Migrate
        | Item::VerticalScale
        | Item::Console) => Err(format!("item '{other}' is not made from its parameters")),
    }
}

/// Volumes that outlive a VM that is deleted.
pub(super) fn held_volumes(deletion: &Task) -> Vec<VimId> {
    let params = deletion.params.as_ref().unwrap_or(&Value::Null);
    list(params, crate::plan::HELD_VOLUMES)
        .iter()
        .filter_map(|id| VimId::new(id.as_str()?).ok())
        .collect()
}

/// Puts the id of the flavour that a command needs in the place of what stood for it, so that the end of the command knows it too.
pub(super) fn put_flavour(task: &mut Task, references: &HashMap<String, VimId>) {
    let Some(flavour) = task
        .params
        .as_mut()
        .and_then(|params| params.get_mut(crate::plan::FLAVOUR))
    else {
        return;
    };
    let known = flavour
        .as_str()
        .and_then(|text| text.strip_prefix("TASK-"))
        .and_then(|reference| references.get(reference));
    if let Some(id) = known {
        *flavour = Value::String(id.to_string());
    }
}

/// The flavour that a VM gets, once it is known.
pub(super) fn flavour_of(task: &Task) -> Option<VimId> {
    let params = task.params.as_ref().filter(|_| task.item == Item::VerticalScale)?;
    VimId::new(text(params, crate::plan::FLAVOUR).filter(|text| !text.starts_with("TASK-"))?).ok()
}

/// A command.
pub(super) fn operate(task: &Task, known: Option<&VimId>) -> Result<OperateRequest> {
    let params = task.params.as_ref().unwrap_or(&Value::Null);
    let server = match text(params, "vim_vm_id") {
        Some(id) => vim_id(id)?,
        None => known.cloned().ok_or("the VM has no id")?,
    };
    match task.item {
        Item::Update => {
            let action = match text(params, "action") {
                Some("start") => PowerAction::Start,
                Some("shutoff" | "shutdown" | "forceOff" | "stop") => PowerAction::Stop,
                Some("rebuild") => PowerAction::Rebuild,
                Some("reboot") => PowerAction::Reboot,
                Some("pause") => PowerAction::Pause,
                Some("resume") => PowerAction::Resume,
                other => return Err(format!("action '{}' is not known", other.unwrap_or_default())),
            };
            Ok(OperateRequest::Power { server, action })
        }
        Item::Migrate => Ok(OperateRequest::Migrate {
            server,
            host: text(params, "migrate_host").map(str::to_owned),
        }),
        Item::Console => Ok(OperateRequest::Console {
            server,
            console_type: None,
        }),
        Item::VerticalScale => Ok(OperateRequest::Resize {
            server,
            flavour: flavour_of(task).ok_or("the VM's new flavour is not there")?,
        }),
        other @ (Item::Net
        | Item::Image
        | Item::Flavor
        | Item::Vdu
        | Item::AffinityGroup
        | Item::SharedVolume
        | Item::SdnNet
        | Item::Stack) => Err(format!("command '{other}' is not known")),
    }
}

fn network(params: &Value) -> Result<NetworkRequest> {
    let kind = match text(params, "net_type") {
        Some("bridge") => Some(NetworkKind::Bridge),
        Some("data") => Some(NetworkKind::Data),
        Some("ptp") => Some(NetworkKind::Ptp),
        Some(other) => return Err(format!("network type '{other}' is not known")),
        None => None,
    };
    let provider = params
        .get("provider_network_profile")
        .filter(|value| !value.is_null())
        .map(|profile| ProviderNetwork {
            network_type: text(profile, "network-type").map(str::to_owned),
            physical_network: text(profile, "physical-network").map(str::to_owned),
            segmentation_id: number(profile, "segmentation-id").and_then(|id| u32::try_from(id).ok()),
            extra: profile.clone(),
        });
    Ok(NetworkRequest {
        name: text(params, "net_name").ok_or("the network has no name")?.to_owned(),
        kind,
        shared: truthy(params, "shared"),
        ip_profile: params
            .get("ip_profile")
            .filter(|value| !value.is_null())
            .map(ip_profile),
        provider,
    })
}

fn ip_profile(profile: &Value) -> IpProfile {
    let owned = |key| text(profile, key).map(str::to_owned);
    IpProfile {
        ipv6: text(profile, "ip_version").is_some_and(|version| version.contains("v6")),
        subnet: owned("subnet_address"),
        gateway: owned("gateway_address"),
        dns: text(profile, "dns_address")
            .map(|servers| {
                servers
                    .split(';')
                    .filter(|server| !server.is_empty())
                    .map(str::to_owned)
                    .collect()
            })
            .unwrap_or_default(),
        dhcp_enabled: flag(profile, "dhcp_enabled"),
        dhcp_start: owned("dhcp_start_address"),
        dhcp_count: number(profile, "dhcp_count").and_then(|count| u32::try_from(count).ok()),
        ipv6_address_mode: owned("ipv6_address_mode"),
        security_group: owned("security_group"),
    }
}

fn flavour(data: &Value) -> Result<FlavourData> {
    let whole = |key| number(data, key).unwrap_or(0);
    Ok(FlavourData {
        name: text(data, "name").map(str::to_owned),
        ram: whole("ram"),
        vcpus: u32::try_from(whole("vcpus")).map_err(|_| "the flavour has too many vCPUs".to_owned())?,
        disk: whole("disk"),
        ephemeral: whole("ephemeral"),
        swap: whole("swap"),
        extended: data.get("extended").filter(|value| !value.is_null()).cloned(),
    })
}

fn server(params: &Value, references: &HashMap<String, VimId>, task: &Task) -> Result<ServerRequest> {
    let resolve = |value: &str| resolve(value, references);
    let interfaces: Result<Vec<ServerInterface>> = list(params, "net_list")
        .iter()
        .map(|entry| interface(entry, references))
        .collect();
    let mut shared = task
        .depends_on
        .iter()
        .filter(|dependency| dependency.reference.contains(":shared-volumes."))
        .filter_map(|dependency| references.get(&dependency.reference));
    let disks: Result<Vec<ServerDisk>> = list(params, "disk_list")
        .iter()
        .map(|entry| disk(entry, &mut shared))
        .collect();
    let groups: Result<Vec<VimId>> = list(params, "affinity_group_list")
        .iter()
        .filter_map(|entry| text(entry, "affinity_group_id"))
        .map(resolve)
        .collect();
    Ok(ServerRequest {
        name: text(params, "name").ok_or("the VM has no name")?.to_owned(),
        description: text(params, "description").map(str::to_owned),
        start: params.get("start").and_then(Value::as_bool).unwrap_or(true),
        image: text(params, "image_id").map(resolve).transpose()?,
        flavour: text(params, "flavor_id")
            .map(resolve)
            .transpose()?
            .ok_or("the VM has no flavour")?,
        interfaces: interfaces?,
        disks: disks?,
        groups: groups?,
        cloud_config: params
            .get("cloud_config")
            .filter(|value| !value.is_null())
            .map(cloud_config),
        availability_zone: None,
        security_groups: text(params, "security_group_name")
            .map(str::to_owned)
            .into_iter()
            .collect(),
    })
}

/// An id, or what stands for one until it is known.
fn resolve(value: &str, references: &HashMap<String, VimId>) -> Result<VimId> {
    match value.strip_prefix("TASK-") {
        Some(reference) => references.get(reference).cloned().ok_or_else(|| {
            format!("Cannot create VM because depends on an element not created or found for {reference}")
        }),
        None => vim_id(value),
    }
}

fn interface(entry: &Value, references: &HashMap<String, VimId>) -> Result<ServerInterface> {
    let owned = |key| text(entry, key).map(str::to_owned);
    let network = text(entry, "net_id").ok_or("an interface has no network")?;
    let ip_addresses = match entry.get("ip_address") {
        Some(Value::String(address)) => vec![address.clone()],
        Some(Value::Array(addresses)) => addresses.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    let floating_ip = match entry.get("floating_ip") {
        Some(Value::Bool(true)) => Some(FloatingIp::Any),
        Some(Value::String(pool)) if !pool.is_empty() => Some(FloatingIp::Pool(vim_id(pool)?)),
        _ => None,
    };
    Ok(ServerInterface {
        name: owned("name"),
        network: resolve(network, references)?,
        kind: match text(entry, "type") {
            Some("SR-IOV" | "VF") => InterfaceKind::SrIov,
            Some("PCI-PASSTHROUGH" | "PF") => InterfaceKind::PciPassthrough,
            Some("VFnotShared") => InterfaceKind::VfNotShared,
            _ => InterfaceKind::Virtual,
        },
        use_for: match text(entry, "use") {
            Some("mgmt") => InterfaceUse::Mgmt,
            Some("data") => InterfaceUse::Data,
            _ => InterfaceUse::Bridge,
        },
        model: owned("model"),
        vpci: owned("vpci"),
        ip_addresses,
        mac_address: owned("mac_address"),
        port_security: entry.get("port_security").and_then(Value::as_bool),
        port_security_disable_strategy: match text(entry, "port_security_disable_strategy") {
            Some("full") => Some(PortSecurityDisableStrategy::Full),
            Some("allow-address-pairs") => Some(PortSecurityDisableStrategy::AllowAddressPairs),
            _ => None,
        },
        floating_ip,
    })
}

fn disk<'a>(entry: &Value, shared: &mut impl Iterator<Item = &'a VimId>) -> Result<ServerDisk> {
    // The key `image_id` marks the root disk, as in NG-RO's `disk_list`.
    let root = entry.get("image_id").is_some();
    let existing = text(entry, "vim_volume_id").or_else(|| text(entry, "vim_id"));
    let source = if let Some(id) = existing {
        DiskSource::Existing(vim_id(id)?)
    } else if truthy(entry, "multiattach") {
        DiskSource::Existing(shared.next().cloned().ok_or("a shared volume is not there")?)
    } else {
        DiskSource::New {
            size: number(entry, "size").ok_or("a disk has no size")?,
            // Without a descriptor's image reference the VM's own image stands here; the connector takes that one anyway.
            image: text(entry, "image_id")
                .filter(|id| !id.starts_with("TASK-"))
                .map(str::to_owned),
        }
    };
    Ok(ServerDisk {
        root,
        source,
        keep: truthy(entry, "keep"),
    })
}

fn cloud_config(config: &Value) -> CloudConfig {
    let texts = |value: Option<&Value>| match value {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    let users = list(config, "users").iter().filter_map(|user| {
        Some(CloudUser {
            name: text(user, "name")?.to_owned(),
            key_pairs: texts(user.get("key-pairs")),
            info: text(user, "user-info").map(str::to_owned),
        })
    });
    let files = list(config, "config-files").iter().filter_map(|file| {
        let owned = |key| text(file, key).map(str::to_owned);
        Some(CloudFile {
            dest: owned("dest")?,
            content: owned("content").unwrap_or_default(),
            encoding: owned("encoding"),
            permissions: owned("permissions"),
            owner: owned("owner"),
        })
    });
    CloudConfig {
        user_data: texts(config.get("user-data")),
        key_pairs: texts(config.get("key-pairs")),
        users: users.collect(),
        config_files: files.collect(),
        boot_data_drive: config.get("boot-data-drive").and_then(Value::as_bool),
    }
}

fn part<'v>(value: &'v Value, key: &str) -> Result<&'v Value> {
    value
        .get(key)
        .filter(|part| part.is_object())
        .ok_or_else(|| format!("parameters have no '{key}'"))
}

fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key).and_then(Value::as_str)
}

fn number(value: &Value, key: &str) -> Option<u64> {
    match value.get(key)? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn truthy(value: &Value, key: &str) -> bool {
    value.get(key) == Some(&Value::Bool(true))
}

/// A flag, or its text; none when it is neither.
fn flag(value: &Value, key: &str) -> Option<bool> {
    match value.get(key)? {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn vim_id(text: &str) -> Result<VimId> {
    VimId::new(text).map_err(|error| error.to_string())
}
