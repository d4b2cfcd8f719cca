//! Volumes: those of servers and those that stand alone. The token is in the metadata, by which Cinder can be asked.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use vimhost_keystone::{Api, Service};
use vimhost_sdk::prelude::*;
use vimhost_sdk::tokens;

use crate::compute::{SETTLED, TOKEN};
use crate::deleting;
use crate::patience::{FIRST_LOOK_MS, LONGEST_LOOK_MS};
use crate::vim::Vim;

/// Journal kind of a volume that goes with its server, and of one that stands alone.
pub(crate) const VOLUME: &str = "volume";

/// Journal kind of a volume that stays when its server goes.
pub(crate) const KEPT: &str = "volume:keep";

/// Volumes of one page.
const PAGE: usize = 200;

/// What a volume is made as.
pub(crate) struct New<'a> {
    pub(crate) name: String,
    /// GiB.
    pub(crate) size: u64,
    /// What it is filled from: the image that was found for the server.
    pub(crate) image: Option<&'a str>,
    pub(crate) zone: Option<&'a str>,
    pub(crate) volume_type: Option<String>,
}

/// A volume as Cinder shows it.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub(crate) struct Volume(pub(crate) Map<String, Value>);

impl Volume {
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    pub(crate) fn status(&self) -> &str {
        self.text("status").unwrap_or("unknown")
    }

    /// Whether a server can boot from it.
    pub(crate) fn bootable(&self) -> bool {
        self.text("bootable") == Some("true")
    }

    /// Whether several servers may have it at once.
    fn multi_attach(&self) -> bool {
        self.0.get("multiattach") == Some(&Value::Bool(true))
    }

    /// The image it was made from.
    pub(crate) fn image(&self) -> Option<&str> {
        self.0.get("volume_image_metadata")?.get("image_id")?.as_str()
    }

    /// Servers that have it.
    fn servers(&self) -> Vec<String> {
        let attached = self
            .0
            .get("attachments")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        attached
            .filter_map(|attachment| Some(attachment.get("server_id")?.as_str()?.to_owned()))
            .collect()
    }

    /// The token it carries.
    pub(crate) fn token(&self) -> Option<&str> {
        self.0.get("metadata")?.get(TOKEN)?.as_str()
    }
}

/// Cinder.
pub(crate) fn cinder(vim: &Vim) -> Result<Api<'_>, Failure> {
    vim.cloud.api(Service::BlockStorage)
}

/// A volume, if it exists.
pub(crate) fn get(cinder: &Api<'_>, id: &str) -> Result<Option<Volume>, Failure> {
    #[derive(Deserialize)]
    struct Shown {
        volume: Volume,
    }
    let request = cinder.get(["volumes", id]).doing(format!("looking at volume {id}"));
    let shown: Option<Shown> = cinder.read_optional(request)?;
    Ok(shown.map(|shown| shown.volume))
}

/// Volumes that carry a token.
pub(crate) fn with_token(cinder: &Api<'_>, token: &str) -> Result<Vec<String>, Failure> {
    let request = cinder
        .get(["volumes", "detail"])
        .query("metadata", json!({ TOKEN: token }).to_string())
        .doing(format!("looking for volume {token}"));
    let all = cinder.list(&request, "volumes")?;
    let carries = |volume: &&Value| {
        let found = volume.get("metadata").and_then(|metadata| metadata.get(TOKEN));
        found.and_then(Value::as_str) == Some(token)
    };
    // Cinder ignores a filter that its operator has not allowed, so its answer is looked at.
    let ours = all.iter().filter(carries);
    Ok(ours
        .filter_map(|volume| Some(volume.get("id")?.as_str()?.to_owned()))
        .collect())
}

/// Makes a volume once.
pub(crate) fn make(cinder: &Api<'_>, call: &Call, kind: &str, suffix: &str, new: &New<'_>) -> Result<String, Failure> {
    call.create_once(
        kind,
        suffix,
        SETTLED,
        |token| with_token(cinder, token),
        |token| {
            let mut volume = json!({"name": new.name, "size": new.size, "metadata": {TOKEN: token}});
            let given = [
                ("imageRef", new.image),
                ("availability_zone", new.zone),
                ("volume_type", new.volume_type.as_deref()),
            ];
            if let Some(volume) = volume.as_object_mut() {
                for (key, value) in given {
                    if let Some(value) = value {
                        volume.insert(key.to_owned(), Value::from(value));
                    }
                }
            }
            #[derive(Deserialize)]
            struct Made {
                volume: Volume,
            }
            let request = cinder
                .post(["volumes"])
                .json(&json!({ "volume": volume }))
                .doing(format!("creating volume {}", new.name));
            let made: Made = cinder.read(request)?;
            let id = made.volume.text("id").map(str::to_owned);
            id.ok_or_else(|| Error::other("Cinder answered a new volume without an id").into())
        },
    )
}

/// What stands between a volume and its use.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// It can be attached.
    Ready,
    /// Cinder is at it.
    Waiting(String),
    /// Servers have it.
    Held(Vec<String>),
}

/// Whether a volume can be attached to a server.
///
/// # Errors
///
/// It does not exist, or is in error (O7: at once, not after half an hour).
pub(crate) fn readiness(cinder: &Api<'_>, id: &str) -> Result<(Readiness, Volume), Failure> {
    let Some(volume) = get(cinder, id)? else {
        return Err(Error::not_found(format!("volume {id} does not exist")).into());
    };
    let readiness = match volume.status() {
        "available" => Readiness::Ready,
        "in-use" if volume.multi_attach() => Readiness::Ready,
        "in-use" => Readiness::Held(volume.servers()),
        status if status.starts_with("error") => {
            return Err(not_done(format!("volume {id} is in status {status}")));
        }
        "deleting" => return Err(Error::conflict(format!("volume {id} is being deleted")).into()),
        status => Readiness::Waiting(format!("volume {id} is in status {status}")),
    };
    Ok((readiness, volume))
}

/// A failure of the VIM that nobody names, of something that was not begun.
pub(crate) fn not_done(message: String) -> Failure {
    Failure::new(ErrorKind::Other, Outcome::NotDone, message)
}

/// Lets servers boot from a volume.
pub(crate) fn make_bootable(cinder: &Api<'_>, id: &str) -> Result<(), Failure> {
    let request = cinder
        .post(["volumes", id, "action"])
        .json(&json!({"os-set_bootable": {"bootable": true}}))
        .doing(format!("making volume {id} bootable"));
    cinder.send(request).map(drop)
}

/// Makes a volume that belongs to no server.
pub(crate) fn create(vim: &Vim, call: &Call, request: &VolumeRequest) -> Result<CreateStep, Error> {
    let cinder = cinder(vim)?;
    let volume_type = if request.multi_attach {
        Some(multi_attach_type(&cinder)?)
    } else {
        None
    };
    let zone = vim.settings.storage_availability_zone.as_deref();
    let new = New {
        name: request.name.clone(),
        size: request.size,
        image: None,
        zone: request
            .availability_zone
            .as_deref()
            .or(zone)
            .or_else(|| vim.settings.zone(None)),
        volume_type,
    };
    let id = make(&cinder, call, VOLUME, "", &new)?;
    Ok(Created::element(id, request.name.clone()).into())
}

/// The type of volumes that several servers may have at once: one that says so, or one of the name that OSM's own connector
/// asks for.
fn multi_attach_type(cinder: &Api<'_>) -> Result<String, Failure> {
    const NAME: &str = "multiattach";
    let request = cinder
        .get(["types"])
        .doing("looking for a volume type of several servers");
    let all = cinder.list(&request, "volume_types")?;
    let name = |found: &Value| found.get("name").and_then(Value::as_str).map(str::to_owned);
    let says = |found: &&Value| {
        let spec = found.get("extra_specs").and_then(|specs| specs.get(NAME));
        spec.and_then(Value::as_str) == Some("<is> True")
    };
    let named = || all.iter().filter_map(name).find(|name| name == NAME);
    all.iter().find(says).and_then(name).or_else(named).ok_or_else(|| {
        Error::unsupported(
            "the cloud shows this project no volume type with the extra spec multiattach=\"<is> True\", which volumes \
             of several servers need",
        )
        .into()
    })
}

/// Deletes a volume that belongs to no server.
pub(crate) fn delete(vim: &Vim, call: &Call, id: Option<&str>) -> Result<DeleteStep, Error> {
    let cinder = cinder(vim)?;
    let gone = |id: &str| {
        // The host can see how a volume goes, if it knows its id.
        remove(&cinder, id).map(|removal| match removal {
            Progress::Gone => Removal::Gone,
            Progress::Going => Removal::Accepted,
            Progress::Held(why) => Removal::Waiting(why),
        })
    };
    let removal = deleting::delete(call, &[VOLUME, KEPT], id, |token| with_token(&cinder, token), gone)?;
    Ok(removal.into_step(call, FIRST_LOOK_MS, LONGEST_LOOK_MS))
}

/// How far the deletion of a volume is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It does not exist.
    Gone,
    /// Cinder deletes it.
    Going,
    /// Something has it.
    Held(String),
}

/// Deletes a volume, or looks how far that is.
pub(crate) fn remove(cinder: &Api<'_>, id: &str) -> Result<Progress, Failure> {
    let Some(volume) = get(cinder, id)? else {
        return Ok(Progress::Gone);
    };
    match volume.status() {
        "deleting" => return Ok(Progress::Going),
        status @ ("in-use" | "attaching" | "detaching" | "creating" | "downloading" | "uploading" | "reserved") => {
            return Ok(Progress::Held(format!("volume {id} is in status {status}")));
        }
        "error_deleting" => {
            return Err(not_done(format!(
                "Cinder could not delete volume {id}: it is in status error_deleting, which an administrator has to reset"
            )));
        }
        _ => {}
    }
    let request = cinder.delete(["volumes", id]).doing(format!("deleting volume {id}"));
    match cinder.send_optional(request) {
        Ok(Some(_)) => Ok(Progress::Going),
        Ok(None) => Ok(Progress::Gone),
        // It has come into use since it was looked at: Cinder says so with 400.
        Err(failure) if failure.status == Some(400) => Ok(Progress::Held(failure.error.message)),
        Err(failure) => Err(failure),
    }
}

/// Volumes by id; those that do not exist are not in the answer.
pub(crate) fn observe(vim: &Vim, ids: &[String]) -> Result<Vec<Volume>, Failure> {
    /// Up to here one by one is cheaper than all volumes of the project.
    const FEW: usize = 10;
    let cinder = cinder(vim)?;
    let mut found = Vec::new();
    if ids.len() > FEW {
        let request = cinder
            .get(["volumes", "detail"])
            .query("limit", PAGE.to_string())
            .doing("looking at volumes");
        let asked: std::collections::BTreeSet<&str> = ids.iter().map(String::as_str).collect();
        for volume in cinder.list(&request, "volumes")? {
            let id = volume.get("id").and_then(Value::as_str);
            if id.is_some_and(|id| asked.contains(id))
                && let Value::Object(volume) = volume
            {
                found.push(Volume(volume));
            }
        }
    }
    // What a listing does not show is asked for by itself before it counts as gone: another project's volume, or one that moved
    // from page to page.
    let shown: std::collections::BTreeSet<String> = found
        .iter()
        .filter_map(|volume| volume.text("id").map(str::to_owned))
        .collect();
    for id in ids.iter().filter(|id| !shown.contains(*id)) {
        found.extend(get(&cinder, id)?);
    }
    Ok(found)
}

/// One page of our own volumes.
pub(crate) fn owned(vim: &Vim, prefix: &str, cursor: Option<&str>) -> Result<OwnedPage, Error> {
    let cinder = cinder(vim)?;
    let request = cinder
        .get(["volumes", "detail"])
        .query("limit", PAGE.to_string())
        .doing("listing our volumes");
    let (volumes, next) = cinder.page(&request, "volumes", cursor)?;
    let owned = |volume: Value| {
        let Value::Object(volume) = volume else { return None };
        let volume = Volume(volume);
        let token = tokens::ours(volume.token()?, prefix)?;
        Some(Owned {
            id: volume.text("id")?.to_owned(),
            token: token.to_owned(),
            name: volume.text("name").map(str::to_owned),
        })
    };
    Ok(OwnedPage {
        elements: volumes.into_iter().filter_map(owned).collect(),
        cursor: next.map(String::into_bytes),
    })
}
