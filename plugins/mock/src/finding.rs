//! Finding what exists: networks, images, flavours, placement groups.

use serde_json::Value;
use vimhost_sdk::prelude::*;

use crate::vim::{Collection, Element, Vim};

/// Swap is in GiB in requests and in MiB at this VIM.
pub(crate) const SWAP_FACTOR: u64 = 1024;

pub(crate) fn networks(vim: &Vim<'_>, filter: &Filter) -> Result<Vec<Found>, Error> {
    let found = list(vim, Collection::Networks, filter)?;
    let shared = |element: &Element| element.field("shared").as_bool().unwrap_or_default();
    Ok(found
        .iter()
        .filter(|element| filter.shared.is_none_or(|wanted| wanted == shared(element)))
        .filter_map(show)
        .collect())
}

pub(crate) fn images(vim: &Vim<'_>, filter: &Filter) -> Result<Vec<Found>, Error> {
    Ok(list(vim, Collection::Images, filter)?.iter().filter_map(show).collect())
}

pub(crate) fn flavour(vim: &Vim<'_>, data: &FlavourData) -> Result<Option<Found>, Error> {
    let extended = extended(data)?;
    let fits = |element: &Element| {
        // What was made for a service goes with it, so it is none that another one can count on.
        element.text("token").is_none_or(str::is_empty)
            && element.number("vcpus") == Some(u64::from(data.vcpus))
            && element.number("ram") == Some(data.ram)
            && element.number("disk") == Some(data.disk)
            && element.number("ephemeral") == Some(data.ephemeral)
            && element.number("swap") == Some(data.swap.saturating_mul(SWAP_FACTOR))
            && *element.field("extended") == extended
    };
    Ok(vim
        .list(Collection::Flavours, &[])?
        .iter()
        .find(|element| fits(element))
        .and_then(show))
}

pub(crate) fn flavours(vim: &Vim<'_>, filter: &Filter) -> Result<Vec<Found>, Error> {
    let found = list(vim, Collection::Flavours, filter)?;
    Ok(found.iter().filter_map(show).collect())
}

pub(crate) fn group(vim: &Vim<'_>, id: &str) -> Result<Option<Found>, Error> {
    Ok(vim.get(Collection::Groups, id)?.as_ref().and_then(show))
}

/// The hints of a flavour; null without any.
pub(crate) fn extended(data: &FlavourData) -> Result<Value, Error> {
    data.extended
        .as_deref()
        .map_or(Ok(Value::Null), |text| from_json("the flavour's `extended`", text))
}

fn list(vim: &Vim<'_>, collection: Collection, filter: &Filter) -> Result<Vec<Element>, Error> {
    let given = [
        ("name", &filter.name),
        ("id", &filter.id),
        ("checksum", &filter.checksum),
    ];
    let filters: Vec<_> = given
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_deref()?)))
        .collect();
    // A checksum is no property of a network or a flavour; asking for one by it finds none, at this VIM and anywhere else.
    if collection != Collection::Images && filter.checksum.is_some() {
        return Ok(Vec::new());
    }
    Ok(vim.list(collection, &filters)?)
}

fn show(element: &Element) -> Option<Found> {
    Some(Found {
        id: element.owned("id")?,
        name: element.owned("name"),
        status_text: element.owned("status"),
        details: element.details(),
    })
}
