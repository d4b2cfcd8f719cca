//! How elements are, and which are ours.
//!
//! Servers are observed a page at a time and by what changed ([`servers`]); networks by their ids in a few requests; the other
//! kinds, which are few and seldom asked for, one by one.

mod place;
mod ports;
mod servers;
pub(crate) mod status;

use serde_json::Value;
use vimhost_sdk::prelude::*;

use crate::vim::Vim;
use crate::{flavours, groups, images, neutron, volumes};

/// How elements are.
pub(crate) fn observe(vim: &Vim, kind: ElementKind, ids: &[String], cursor: Option<&[u8]>) -> Result<Observed, Error> {
    match kind {
        ElementKind::Server => servers::observe(vim, ids, cursor),
        ElementKind::Network => neutron::networks::observe(vim, ids),
        ElementKind::Volume => all_volumes(vim, ids),
        ElementKind::Image => each(
            ids,
            |id| images::observe(vim, id),
            |image| status::of_image(word(image)),
        ),
        ElementKind::Flavour => each(ids, |id| flavours::observe(vim, id), |_| ElementStatus::Active),
        ElementKind::Group => each(ids, |id| groups::observe(vim, id), |_| ElementStatus::Active),
        ElementKind::Port | ElementKind::FloatingAddress | ElementKind::Stack | ElementKind::ConnectivityService => {
            Err(not_observed(kind))
        }
    }
}

fn not_observed(kind: ElementKind) -> Error {
    Error::unsupported(format!("elements of kind {kind:?} are not observed at OpenStack"))
}

fn all_volumes(vim: &Vim, ids: &[String]) -> Result<Observed, Error> {
    let found = volumes::observe(vim, ids)?;
    let gone = ids
        .iter()
        .filter(|id| !found.iter().any(|volume| volume.text("id") == Some(id.as_str())))
        .cloned()
        .collect();
    let changed = found.into_iter().map(|volume| Value::Object(volume.0));
    Ok(Observed {
        changed: changed
            .map(|volume| show(&volume, |volume| status::of_volume(word(volume))))
            .collect(),
        gone,
        ..Observed::default()
    })
}

/// Elements that are asked for one by one.
fn each(
    ids: &[String],
    get: impl Fn(&str) -> Result<Option<Value>, Failure>,
    status: impl Fn(&Value) -> ElementStatus,
) -> Result<Observed, Error> {
    let mut observed = Observed::default();
    for id in ids {
        match get(id)? {
            Some(element) => observed.changed.push(show(&element, &status)),
            None => observed.gone.push(id.clone()),
        }
    }
    Ok(observed)
}

fn show(element: &Value, status: impl Fn(&Value) -> ElementStatus) -> Observation {
    let text = |key: &str| element.get(key).and_then(Value::as_str).map(str::to_owned);
    let status = status(element);
    let word = word(element).to_owned();
    Observation {
        id: text("id").unwrap_or_default(),
        name: text("name"),
        message: (status == ElementStatus::Error).then(|| format!("VIM status reported {word}")),
        status,
        status_text: word,
        details: element.to_string(),
        server: None,
    }
}

/// An element's status word; what has none exists, and that is all there is to say of it.
fn word(element: &Value) -> &str {
    element.get("status").and_then(Value::as_str).unwrap_or("ACTIVE")
}

/// Elements whose token begins with `prefix`, a page of them.
pub(crate) fn list_owned(
    vim: &Vim,
    kind: ElementKind,
    prefix: &str,
    cursor: Option<&[u8]>,
) -> Result<OwnedPage, Error> {
    let place = cursor.and_then(|cursor| std::str::from_utf8(cursor).ok());
    match kind {
        ElementKind::Server => Ok(servers::owned(vim, prefix, place)?),
        ElementKind::Volume => volumes::owned(vim, prefix, place),
        ElementKind::Flavour => flavours::owned(vim, prefix, place),
        ElementKind::Group => groups::owned(vim, prefix, place),
        ElementKind::Network | ElementKind::Port | ElementKind::FloatingAddress => {
            Ok(neutron::list_owned(vim, kind, prefix, place)?)
        }
        // Nothing is uploaded, so no image is ours.
        ElementKind::Image => Ok(OwnedPage::default()),
        ElementKind::Stack | ElementKind::ConnectivityService => Err(not_observed(kind)),
    }
}
