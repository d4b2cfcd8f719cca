//! An account at `mock:`: no VIM, no HTTP, everything active at once.
//!
//! For benchmarks and first steps. Nothing is remembered, so ids tell what they are: `mock-port-<token>`, and
//! `mock-server-<interfaces>-<token>`, from which an observation is made up again, always the same. Creating goes
//! through the journal as it does at a real VIM.

use std::time::Duration;

use vimhost_sdk::prelude::*;

/// The URL of such an account.
const URL: &str = "mock:";

pub(crate) fn is(account: &Account) -> bool {
    account.url.trim_end_matches('/') == URL
}

pub(crate) fn check() -> CheckReport {
    CheckReport {
        vim_version: Some("none: the connector answers by itself".to_owned()),
        warnings: vec!["nothing is made anywhere; every element is said to be active".to_owned()],
        ..CheckReport::default()
    }
}

/// Whatever is looked for is there, under an id that follows from the name.
pub(crate) fn find(kind: &str, filter: &Filter) -> Vec<Found> {
    let name = filter.name.as_deref().or(filter.checksum.as_deref()).unwrap_or(kind);
    let id = filter
        .id
        .clone()
        .unwrap_or_else(|| format!("mock-{kind}-{:016x}", hash(name)));
    vec![found(id, Some(name.to_owned()))]
}

pub(crate) fn find_flavour(data: &FlavourData) -> Found {
    let id = format!(
        "mock-flavour-{}-{}-{}-{}-{}",
        data.vcpus, data.ram, data.disk, data.ephemeral, data.swap
    );
    let id = match &data.extended {
        Some(extended) => format!("{id}-{:016x}", hash(extended)),
        None => id,
    };
    found(id, data.name.clone())
}

pub(crate) fn found(id: String, name: Option<String>) -> Found {
    Found {
        id,
        name,
        status_text: Some("ACTIVE".to_owned()),
        details: "{}".to_owned(),
    }
}

pub(crate) fn create(kind: &str, call: &Call, name: &str) -> Result<CreateStep, Error> {
    Ok(Created::element(element(call, kind, kind, "")?, name).into())
}

pub(crate) fn create_server(call: &Call, request: &ServerRequest) -> Result<CreateStep, Error> {
    let count = request.interfaces.len();
    let interfaces = (0..count)
        .map(|index| element(call, "port", "port", &format!("p{index}")).map(Some))
        .collect::<Result<_, _>>()?;
    for (index, disk) in request.disks.iter().enumerate() {
        if matches!(disk.source, DiskSource::New(_)) {
            let kind = if disk.keep { "volume:keep" } else { "volume" };
            element(call, kind, "volume", &format!("v{index}"))?;
        }
    }
    let id = element(call, "server", &format!("server-{count}"), "")?;
    Ok(Created {
        id,
        name: Some(request.name.clone()),
        interfaces,
    }
    .into())
}

fn element(call: &Call, kind: &str, word: &str, suffix: &str) -> Result<String, Error> {
    let id = |token: &str| format!("mock-{word}-{token}");
    Ok(call.create_once(
        kind,
        suffix,
        Duration::ZERO,
        |token| Ok(vec![id(token)]),
        |token| Ok(id(token)),
    )?)
}

pub(crate) fn delete(call: &Call) -> Result<DeleteStep, Error> {
    call.forget(|_| true)?;
    Ok(DeleteStep::Done)
}

pub(crate) fn observe(kind: ElementKind, ids: &[String]) -> Observed {
    let changed = ids
        .iter()
        .map(|id| Observation {
            id: id.clone(),
            name: None,
            status: ElementStatus::Active,
            status_text: "ACTIVE".to_owned(),
            message: None,
            details: "{}".to_owned(),
            server: (kind == ElementKind::Server).then(|| server(id)),
        })
        .collect();
    Observed {
        changed,
        ..Observed::default()
    }
}

fn server(id: &str) -> ServerObservation {
    let parts = id.strip_prefix("mock-server-").and_then(|rest| rest.split_once('-'));
    let (count, token) = parts
        .and_then(|(count, token)| Some((count.parse().ok()?, token)))
        .unwrap_or((0_u32, ""));
    let interfaces = (0..count)
        .map(|index| interface(format!("mock-port-{token}.p{index}")))
        .collect();
    ServerObservation {
        interfaces,
        compute_node: Some("mock".to_owned()),
        ..ServerObservation::default()
    }
}

/// The second digit 2 says that the address is made up; the first bit of the third part keeps it out of groups.
fn interface(id: String) -> InterfaceObservation {
    let [a, b, c, d, e, ..] = hash(&id).to_be_bytes();
    InterfaceObservation {
        mac_address: Some(format!("02:{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}")),
        ip_addresses: vec![format!("10.{a}.{b}.{}", c.clamp(2, 254))],
        compute_node: Some("mock".to_owned()),
        details: "{}".to_owned(),
        id,
        ..InterfaceObservation::default()
    }
}

/// Nothing is kept anywhere, so there is no list of what was made; an empty one would say that all of it is gone.
pub(crate) fn not_listed() -> Error {
    Error::unsupported("an account at `mock:` keeps nothing that could be listed")
}

pub(crate) fn operated(status: ElementStatus, text: &str) -> OperateStep {
    OperateStep::Done(Operated {
        status,
        status_text: text.to_owned(),
        compute_node: Some("mock".to_owned()),
        console: None,
    })
}

pub(crate) fn power(action: PowerAction) -> OperateStep {
    let (status, text) = match action {
        PowerAction::Stop => (ElementStatus::Inactive, "SHUTOFF"),
        PowerAction::Pause => (ElementStatus::Paused, "PAUSED"),
        PowerAction::Suspend => (ElementStatus::Suspended, "SUSPENDED"),
        PowerAction::Start
        | PowerAction::Unpause
        | PowerAction::Resume
        | PowerAction::Reboot
        | PowerAction::Rebuild => (ElementStatus::Active, "ACTIVE"),
    };
    operated(status, text)
}

/// FNV-1a: short, and the same everywhere, which the standard library's hasher does not promise.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
