//! Flavours: found by size, name or id, made with their extra specs, deleted.
//!
//! A flavour has no room for a token but its id, which may be chosen. So that a flavour of ours is never taken for one that
//! somebody else keeps, it also carries the token as an extra spec; Nova's schedulers look at no spec of that scope. Nova takes
//! extra specs only when the flavour is there, so between the two the id alone tells.

use serde::Deserialize;
use serde_json::{Value, json};
use vimhost_keystone::{Api, Microversion};
use vimhost_sdk::debug;
use vimhost_sdk::prelude::*;
use vimhost_sdk::tokens;

use crate::compute::{SETTLED, nova, nova_at};
use crate::epa::{self, Specs};
use crate::patience::{FIRST_LOOK_MS, LONGEST_LOOK_MS};
use crate::vim::Vim;
use crate::{deleting, undo};

/// Journal kind.
const FLAVOUR: &str = "flavour";

/// The extra spec that tells whose a flavour is.
const MARK: &str = "vimhost:token";

/// Shortest id that vimhost gives: five letters, `-`, and a UUID. An operator may well call a flavour `small-4`.
const SHORTEST_TOKEN: usize = 42;

/// From here on flavours are listed with their extra specs.
const WITH_SPECS: Microversion = Microversion::new(2, 61);

/// What OSM's own connector asks for when nothing is said.
const LEAST_RAM: u64 = 64;

const FORBIDDEN: u16 = 403;

/// Longest name that Nova takes.
const LONGEST_NAME: usize = 255;

/// Sizes in Nova's units; ordered as the nearest larger one is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Size {
    ram: u64,
    vcpus: u64,
    disk: u64,
    ephemeral: u64,
    /// MiB.
    swap: u64,
}

impl Size {
    fn of(data: &FlavourData) -> Self {
        Self {
            ram: if data.ram == 0 { LEAST_RAM } else { data.ram },
            vcpus: u64::from(data.vcpus.max(1)),
            disk: data.disk,
            ephemeral: data.ephemeral,
            swap: data.swap.saturating_mul(1024),
        }
    }

    fn shown(flavour: &Value) -> Option<Self> {
        // No swap is an empty text before 2.75.
        let number = |key: &str| match flavour.get(key) {
            None | Some(Value::Null) => Some(0),
            Some(Value::String(text)) if text.is_empty() => Some(0),
            Some(value) => value.as_u64(),
        };
        Some(Self {
            ram: number("ram")?,
            vcpus: number("vcpus")?,
            disk: number("disk")?,
            ephemeral: number("OS-FLV-EXT-DATA:ephemeral")?,
            swap: number("swap")?,
        })
    }

    /// Whether it has as much of everything (O3: not of the memory alone).
    const fn holds(&self, other: &Self) -> bool {
        self.ram >= other.ram
            && self.vcpus >= other.vcpus
            && self.disk >= other.disk
            && self.ephemeral >= other.ephemeral
            && self.swap >= other.swap
    }
}

/// Whether a flavour is one that some service of a vimhost has made and deletes, also where its extra specs do not say so yet.
fn is_of_a_service(flavour: &Value) -> bool {
    let id = flavour.get("id").and_then(Value::as_str);
    id.is_some_and(|id| id.len() >= SHORTEST_TOKEN && tokens::is_anybodys(id))
}

/// A flavour of exactly this size and these extra specs; with `use_existing_flavors` the smallest one that holds it. None that goes
/// with a service, whose deletion it would not outlive.
pub(crate) fn find_exact(vim: &Vim, data: &FlavourData) -> Result<Option<Found>, Error> {
    let (wanted, specs) = (Size::of(data), epa::specs(data, vim.settings.vio)?);
    let nova = nova_at(vim, WITH_SPECS)?;
    let request = nova
        .get(["flavors", "detail"])
        .query("minRam", wanted.ram.to_string())
        .query("minDisk", wanted.disk.to_string())
        .doing("looking for a flavour of the wanted size");
    let mut fitting: Vec<(Size, Value)> = nova
        .list(&request, "flavors")?
        .into_iter()
        .filter(|flavour| flavour.get("OS-FLV-DISABLED:disabled") != Some(&Value::Bool(true)))
        .filter(|flavour| !is_of_a_service(flavour))
        .filter_map(|flavour| Some((Size::shown(&flavour)?, flavour)))
        .filter(|(size, _)| *size == wanted || (vim.settings.use_existing_flavors && size.holds(&wanted)))
        .collect();
    // The exact one first, since it is the smallest that holds what is wanted.
    fitting.sort_by_key(|(size, _)| *size);
    for (_, flavour) in fitting {
        if specs_of(&nova, &flavour)? == Some(json!(specs)) {
            return Ok(show(&flavour));
        }
    }
    Ok(None)
}

/// The extra specs of a flavour; none when they are not shown to this user, so that it is not taken for one without.
fn specs_of(nova: &Api<'_>, flavour: &Value) -> Result<Option<Value>, Failure> {
    #[derive(Deserialize)]
    struct Shown {
        extra_specs: Value,
    }
    if nova.microversion() >= Some(WITH_SPECS) {
        return Ok(flavour.get("extra_specs").cloned());
    }
    let Some(id) = flavour.get("id").and_then(Value::as_str) else {
        return Ok(None);
    };
    let request = nova
        .get(["flavors", id, "os-extra_specs"])
        .doing(format!("looking at the extra specs of flavour {id}"));
    // Gone since it was listed: none that could be used.
    let shown: Option<Shown> = nova.read_optional(request)?;
    Ok(shown.map(|shown| shown.extra_specs))
}

/// Flavours by name and id.
pub(crate) fn find(vim: &Vim, filter: &Filter) -> Result<Vec<Found>, Error> {
    if filter.checksum.is_some() || filter.shared.is_some() {
        return Ok(Vec::new());
    }
    let nova = nova(vim)?;
    let named = |found: &Found| filter.name.is_none() || found.name == filter.name;
    if let Some(id) = &filter.id {
        return Ok(get(&nova, id)?.iter().filter_map(show).filter(named).collect());
    }
    let request = nova.get(["flavors", "detail"]).doing("listing flavours");
    let all = nova.list(&request, "flavors")?;
    Ok(all.iter().filter_map(show).filter(named).collect())
}

fn get(nova: &Api<'_>, id: &str) -> Result<Option<Value>, Failure> {
    #[derive(Deserialize)]
    struct Shown {
        flavor: Value,
    }
    let request = nova.get(["flavors", id]).doing(format!("looking at flavour {id}"));
    let shown: Option<Shown> = nova.read_optional(request)?;
    Ok(shown.map(|shown| shown.flavor))
}

/// The flavour that a token made: the token is its id.
fn with_token(nova: &Api<'_>, token: &str) -> Result<Vec<String>, Failure> {
    Ok(get(nova, token)?.map(|_| token.to_owned()).into_iter().collect())
}

fn show(flavour: &Value) -> Option<Found> {
    Some(Found {
        id: flavour.get("id")?.as_str()?.to_owned(),
        name: flavour.get("name").and_then(Value::as_str).map(str::to_owned),
        status_text: None,
        details: flavour.to_string(),
    })
}

/// The disk of a flavour in GiB; none when it does not exist.
pub(crate) fn disk(nova: &Api<'_>, id: &str) -> Result<Option<u64>, Failure> {
    Ok(get(nova, id)?.and_then(|flavour| flavour.get("disk")?.as_u64()))
}

/// A flavour, if it exists.
pub(crate) fn observe(vim: &Vim, id: &str) -> Result<Option<Value>, Failure> {
    get(&nova(vim)?, id)
}

/// Makes a flavour, and gives it its extra specs.
pub(crate) fn create(vim: &Vim, call: &Call, data: &FlavourData) -> Result<CreateStep, Error> {
    if let Some(step) = undo::going_on(call, || remove(vim, call, None)) {
        return step;
    }
    let mut specs = epa::specs(data, vim.settings.vio)?;
    specs.insert(MARK.to_owned(), call.token.clone());
    let name = data.name.as_deref().unwrap_or(&call.token);
    let nova = nova(vim)?;
    let id = call.create_once(
        FLAVOUR,
        "",
        SETTLED,
        |token| with_token(&nova, token),
        |token| make(&nova, data, name, token),
    )?;
    match set_specs(&nova, &id, &specs) {
        Ok(()) => Ok(Created::element(id, name).into()),
        Err(failure) => undo::of(failure, true),
    }
}

/// Asks for a flavour whose id is the token. A name that is taken is learned from the refusal (O17), and the token behind it makes
/// it one that nobody has.
fn make(nova: &Api<'_>, data: &FlavourData, name: &str, token: &str) -> Result<String, Failure> {
    match post(nova, data, cut(name, LONGEST_NAME), token) {
        Err(failure) if failure.error.kind == ErrorKind::Conflict => {
            // The id may be what is taken, by an earlier try whose answer was lost.
            if get(nova, token)?.is_some() {
                return Ok(token.to_owned());
            }
            debug!("a flavour of this name exists", name = name);
            let name = format!("{}-{token}", cut(name, LONGEST_NAME - token.len() - 1));
            post(nova, data, &name, token)
        }
        // Most clouds leave it to administrators.
        Err(mut failure) if failure.status == Some(FORBIDDEN) => {
            let size = Size::of(data);
            failure.error.message.push_str(&format!(
                "; no flavour that the project sees has exactly {} vCPUs, {} MiB of memory and {} GiB of disk: let an administrator \
                 make one, or set `use_existing_flavors`, which takes the smallest that is large enough",
                size.vcpus, size.ram, size.disk
            ));
            Err(failure)
        }
        result => result,
    }
}

fn post(nova: &Api<'_>, data: &FlavourData, name: &str, token: &str) -> Result<String, Failure> {
    let size = Size::of(data);
    let body = json!({"flavor": {
        "id": token,
        "name": name,
        "ram": size.ram,
        "vcpus": size.vcpus,
        "disk": size.disk,
        "OS-FLV-EXT-DATA:ephemeral": size.ephemeral,
        "swap": size.swap,
        "os-flavor-access:is_public": true,
    }});
    nova.send(
        nova.post(["flavors"])
            .json(&body)
            .doing(format!("creating flavour {name}")),
    )?;
    Ok(token.to_owned())
}

fn set_specs(nova: &Api<'_>, id: &str, specs: &Specs) -> Result<(), Failure> {
    let request = nova
        .post(["flavors", id, "os-extra_specs"])
        .json(&json!({ "extra_specs": specs }))
        .doing(format!("setting the extra specs of flavour {id}"));
    nova.send(request).map(drop)
}

/// Deletes a flavour.
pub(crate) fn delete(vim: &Vim, call: &Call, id: Option<&str>) -> Result<DeleteStep, Error> {
    Ok(remove(vim, call, id)?.into_step(call, FIRST_LOOK_MS, LONGEST_LOOK_MS))
}

fn remove(vim: &Vim, call: &Call, id: Option<&str>) -> Result<Removal, Failure> {
    let nova = nova(vim)?;
    let gone = |id: &str| {
        let request = nova.delete(["flavors", id]).doing(format!("deleting flavour {id}"));
        nova.send_optional(request).map(|_| Removal::Gone)
    };
    deleting::delete(call, &[FLAVOUR], id, |token| with_token(&nova, token), gone)
}

/// A text that is not longer than so many bytes.
pub(crate) fn cut(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// One page of our own flavours.
pub(crate) fn owned(vim: &Vim, prefix: &str, cursor: Option<&str>) -> Result<OwnedPage, Error> {
    /// Nova gives no more at once by default.
    const PAGE: usize = 1000;
    let nova = nova(vim)?;
    let request = nova
        .get(["flavors"])
        // Private ones too, for whom it concerns.
        .query("is_public", "None")
        .query("limit", PAGE.to_string())
        .doing("listing our flavours");
    let (flavours, next) = nova.page(&request, "flavors", cursor)?;
    let owned = |flavour: &Value| {
        let id = tokens::ours(flavour.get("id")?.as_str()?, prefix)?;
        Some(Owned {
            id: id.to_owned(),
            token: id.to_owned(),
            name: flavour.get("name").and_then(Value::as_str).map(str::to_owned),
        })
    };
    Ok(OwnedPage {
        elements: flavours.iter().filter_map(owned).collect(),
        cursor: next.map(String::into_bytes),
    })
}
