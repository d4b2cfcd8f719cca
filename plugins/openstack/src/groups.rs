//! Server groups: Nova keeps nothing of them but name and policy, so the token stands in the name.

use serde::Deserialize;
use serde_json::{Value, json};
use vimhost_keystone::{Api, Microversion};
use vimhost_sdk::prelude::*;
use vimhost_sdk::tokens;

use crate::compute::{SETTLED, nova, nova_at};
use crate::deleting;
use crate::flavours::cut;
use crate::patience::{FIRST_LOOK_MS, LONGEST_LOOK_MS};
use crate::vim::Vim;

/// Journal kind.
const GROUP: &str = "group";

/// Between a group's name and its token; no token has it.
const BEFORE_TOKEN: char = '_';

/// Longest name that Nova takes.
const LONGEST_NAME: usize = 255;

/// Soft policies are known from here on; the form of the request changes only in 2.64.
const SOFT: Microversion = Microversion::new(2, 15);

/// Groups of one page; Nova gives no more at once by default.
const PAGE: usize = 1000;

#[derive(Deserialize)]
struct Shown {
    server_group: Value,
}

/// A group by its id.
pub(crate) fn find(vim: &Vim, id: &str) -> Result<Option<Found>, Error> {
    Ok(observe(vim, id)?.as_ref().and_then(show))
}

/// A group, if it exists.
pub(crate) fn observe(vim: &Vim, id: &str) -> Result<Option<Value>, Failure> {
    let nova = nova(vim)?;
    let request = nova
        .get(["os-server-groups", id])
        .doing(format!("looking at server group {id}"));
    let shown: Option<Shown> = nova.read_optional(request)?;
    Ok(shown.map(|shown| shown.server_group))
}

fn show(group: &Value) -> Option<Found> {
    let text = |key: &str| group.get(key).and_then(Value::as_str).map(str::to_owned);
    Some(Found {
        id: text("id")?,
        name: text("name"),
        status_text: None,
        details: group.to_string(),
    })
}

/// Makes a group.
pub(crate) fn create(vim: &Vim, call: &Call, request: &GroupRequest) -> Result<CreateStep, Error> {
    let policy = policy(&request.policy)?;
    let nova = nova_at(vim, SOFT)?;
    if policy.starts_with("soft-") && !nova.supports(SOFT.major, SOFT.minor) {
        return Err(Error::unsupported(format!(
            "the policy {policy} needs Nova's microversion {SOFT}, which the cloud or the account's settings do not allow"
        )));
    }
    let name = name(&request.name, &call.token);
    let id = call.create_once(
        GROUP,
        "",
        SETTLED,
        |token| with_token(&nova, token),
        |_| {
            let body = json!({"server_group": {"name": name, "policies": [policy]}});
            let request = nova
                .post(["os-server-groups"])
                .json(&body)
                .doing(format!("creating server group {name}"));
            let made: Shown = nova.read(request)?;
            let id = made.server_group.get("id").and_then(Value::as_str);
            id.map(str::to_owned)
                .ok_or_else(|| Error::other("Nova answered a new server group without an id").into())
        },
    )?;
    Ok(Created::element(id, name).into())
}

fn policy(wanted: &str) -> Result<&'static str, Error> {
    match wanted {
        "affinity" => Ok("affinity"),
        "anti-affinity" => Ok("anti-affinity"),
        "soft-affinity" => Ok("soft-affinity"),
        "soft-anti-affinity" => Ok("soft-anti-affinity"),
        other => Err(Error::bad_request(format!(
            "the placement group's policy is {other:?}; it may be affinity, anti-affinity, soft-affinity or soft-anti-affinity"
        ))),
    }
}

fn name(wanted: &str, token: &str) -> String {
    let room = LONGEST_NAME.saturating_sub(token.len() + BEFORE_TOKEN.len_utf8());
    format!("{}{BEFORE_TOKEN}{token}", cut(wanted, room))
}

/// The token in a group's name.
fn token(group: &Value) -> Option<&str> {
    let (_, token) = group.get("name")?.as_str()?.rsplit_once(BEFORE_TOKEN)?;
    Some(token)
}

/// Groups that carry a token. Nova has no filter for groups, and pages them by number.
fn with_token(nova: &Api<'_>, wanted: &str) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    let mut offset = 0;
    loop {
        let groups = page(nova, offset)?;
        let ours = groups.iter().filter(|group| token(group) == Some(wanted));
        found.extend(ours.filter_map(|group| Some(group.get("id")?.as_str()?.to_owned())));
        // A page can be shorter than asked for, where an operator allows less; only an empty one is the last for certain.
        if groups.is_empty() {
            return Ok(found);
        }
        offset += groups.len();
    }
}

fn page(nova: &Api<'_>, offset: usize) -> Result<Vec<Value>, Failure> {
    #[derive(Deserialize)]
    struct Listed {
        server_groups: Vec<Value>,
    }
    let request = nova
        .get(["os-server-groups"])
        .query("limit", PAGE.to_string())
        .query("offset", offset.to_string())
        .doing("listing server groups");
    Ok(nova.read::<Listed>(request)?.server_groups)
}

/// Deletes a group.
pub(crate) fn delete(vim: &Vim, call: &Call, id: Option<&str>) -> Result<DeleteStep, Error> {
    let nova = nova(vim)?;
    let gone = |id: &str| {
        let request = nova
            .delete(["os-server-groups", id])
            .doing(format!("deleting server group {id}"));
        nova.send_optional(request).map(|_| Removal::Gone)
    };
    let removal = deleting::delete(call, &[GROUP], id, |token| with_token(&nova, token), gone)?;
    Ok(removal.into_step(call, FIRST_LOOK_MS, LONGEST_LOOK_MS))
}

/// One page of our own groups.
pub(crate) fn owned(vim: &Vim, prefix: &str, cursor: Option<&str>) -> Result<OwnedPage, Error> {
    let offset = cursor.and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
    let groups = page(&nova(vim)?, offset)?;
    let owned = |group: &Value| {
        let token = tokens::ours(token(group)?, prefix)?;
        Some(Owned {
            id: group.get("id")?.as_str()?.to_owned(),
            token: token.to_owned(),
            name: group.get("name").and_then(Value::as_str).map(str::to_owned),
        })
    };
    Ok(OwnedPage {
        elements: groups.iter().filter_map(owned).collect(),
        cursor: (!groups.is_empty()).then(|| (offset + groups.len()).to_string().into_bytes()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_found_behind_any_name() {
        for wanted in ["group", "a_b_c", "", &"ü".repeat(200)] {
            let name = name(wanted, "abcde-1");
            assert!(name.len() <= LONGEST_NAME);
            assert_eq!(token(&json!({ "name": name })), Some("abcde-1"), "{wanted}");
        }
        assert_eq!(token(&json!({"name": "group"})), None);
    }

    #[test]
    fn an_unknown_policy_is_named() {
        assert!(policy("spread").unwrap_err().message.contains("spread"));
        assert_eq!(policy("soft-affinity").unwrap(), "soft-affinity");
    }
}
