//! Images: found by id, name and checksum. Nothing is uploaded.
//!
//! Several images that match are all answered; the host says that there is more than one, and which.

use serde_json::Value;
use vimhost_keystone::{Api, Service};
use vimhost_sdk::prelude::*;

use crate::vim::Vim;

/// Images that match.
pub(crate) fn find(vim: &Vim, filter: &Filter) -> Result<Vec<Found>, Error> {
    let glance = vim.cloud.api(Service::Image)?;
    let all: Vec<Value> = match &filter.id {
        Some(id) => get(&glance, id)?.into_iter().collect(),
        None => {
            let request = glance
                .get(["images"])
                .query_opt("name", filter.name.as_deref())
                .doing("looking for an image");
            glance.list(&request, "images")?
        }
    };
    let matching: Vec<Value> = all.into_iter().filter(|image| matches(image, filter)).collect();
    // An upload that failed or goes on has the name of the image too. It counts only when there is no other: then the refusal of
    // Nova says what is the matter.
    let usable = |image: &&Value| image.get("status").and_then(Value::as_str) == Some("active");
    let active: Vec<Found> = matching.iter().filter(usable).filter_map(show).collect();
    if active.is_empty() {
        return Ok(matching.iter().filter_map(show).collect());
    }
    Ok(active)
}

fn matches(image: &Value, filter: &Filter) -> bool {
    let is = |key: &str, wanted: &str| image.get(key).and_then(Value::as_str) == Some(wanted);
    filter.name.as_deref().is_none_or(|name| is("name", name))
        && filter
            .checksum
            .as_deref()
            .is_none_or(|sum| is("checksum", sum) || is("os_hash_value", sum))
}

/// An image, if it exists.
pub(crate) fn observe(vim: &Vim, id: &str) -> Result<Option<Value>, Failure> {
    get(&vim.cloud.api(Service::Image)?, id)
}

fn get(glance: &Api<'_>, id: &str) -> Result<Option<Value>, Failure> {
    let request = glance.get(["images", id]).doing(format!("looking at image {id}"));
    glance.read_optional(request)
}

fn show(image: &Value) -> Option<Found> {
    let text = |key: &str| image.get(key).and_then(Value::as_str).map(str::to_owned);
    Some(Found {
        id: text("id")?,
        name: text("name"),
        status_text: text("status"),
        details: image.to_string(),
    })
}
