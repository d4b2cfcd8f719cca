//! Security groups of ports: names of a request or of the account, as ids.

use std::time::Duration;

use vimhost_sdk::cache;
use vimhost_sdk::prelude::*;

use super::text;
use crate::vim::Vim;

/// How long a name is believed to mean a group. Short: a group that is deleted and made again under its name has another id.
const KEPT: Duration = Duration::from_mins(1);

/// Ids of the groups that are named, or of the account's own when none is named. Ids are taken too.
///
/// Empty where none is configured, or where Neutron is to hear nothing of security groups.
///
/// # Errors
///
/// `not-found` names a group the project does not have; a name that several groups have is a conflict.
pub(crate) fn resolve(vim: &Vim, named: &[String]) -> Result<Vec<String>, Failure> {
    let wanted = if named.is_empty() {
        vim.settings.security_groups.as_slice()
    } else {
        named
    };
    if wanted.is_empty() || !vim.settings.port_security_extension {
        return Ok(Vec::new());
    }
    let project = vim.cloud.scope()?.project_id.clone();
    let key = format!("neutron:security-groups:{project}");
    let fresh = || ask(vim, &project);
    let mut known: Vec<(String, String)> = cache::get_or(&key, KEPT, fresh)?;
    // A group made a moment ago is not in a list from before.
    let is_known = |name: &String| known.iter().any(|(id, known)| known == name || id == name);
    if !wanted.iter().all(is_known) {
        known = ask(vim, &project)?;
        cache::set(&key, &known, KEPT);
    }
    wanted.iter().map(|name| one(&known, name)).collect()
}

fn ask(vim: &Vim, project: &str) -> Result<Vec<(String, String)>, Failure> {
    let neutron = vim.network()?;
    let request = neutron
        .get(["security-groups"])
        .query("project_id", project)
        .query("fields", "id")
        .query("fields", "name")
        .doing("looking for the project's security groups");
    let found = neutron.list(&request, "security_groups")?;
    Ok(found
        .iter()
        .filter_map(|group| Some((text(group, "id")?.to_owned(), text(group, "name")?.to_owned())))
        .collect())
}

fn one(known: &[(String, String)], wanted: &str) -> Result<String, Failure> {
    if known.iter().any(|(id, _)| id == wanted) {
        return Ok(wanted.to_owned());
    }
    let mut ids = known.iter().filter(|(_, name)| name == wanted).map(|(id, _)| id);
    match (ids.next(), ids.next()) {
        (Some(id), None) => Ok(id.clone()),
        (None, _) => {
            let names: Vec<&str> = known.iter().map(|(_, name)| name.as_str()).collect();
            let message = format!(
                "not found: security group {wanted}; the project has {}",
                names.join(", ")
            );
            Err(Error::not_found(message).into())
        }
        (Some(first), Some(second)) => {
            let message = format!("several security groups are named {wanted} ({first}, {second}); name one by its id");
            Err(Error::conflict(message).into())
        }
    }
}
