//! How stacks are: one list for many of them, in as few requests as URLs allow.
//!
//! A list leaves out what is deleted, and what it leaves out for any other reason. So each stack that it does not show is asked for by
//! itself before it counts as gone; and a request that fails fails the observation.
//!
//! What Heat has undone by itself shows how the undoing went. Why it had to be stands in the stack's events alone: Heat begins to undo in
//! the moment in which it says what failed, so that hardly any look meets it.

use std::collections::BTreeMap;

use serde::Deserialize;
use vimhost_sdk::debug;
use vimhost_sdk::prelude::*;

use crate::finding::At;
use crate::stack::Stack;
use crate::vim::{NOT_FOUND, Vim};

pub(crate) fn observe(vim: &Vim, stacks: &[StackRef]) -> Result<ObservedStacks, Error> {
    let mut ids: Vec<&str> = stacks.iter().filter_map(|stack| stack.id.as_deref()).collect();
    ids.sort_unstable();
    ids.dedup();
    // One stack is asked for directly: as cheap as a list, and final when it is gone.
    let listed = if ids.len() > 1 {
        list(vim, &ids)?
    } else {
        BTreeMap::new()
    };
    let mut observed = ObservedStacks::default();
    for stack in stacks {
        let found = match stack.id.as_deref() {
            Some(id) => match listed.get(id) {
                Some(found) => Some(found.clone()),
                None => known(vim, At { name: &stack.name, id })?,
            },
            None => vim.find(&stack.name)?,
        };
        match found.filter(|found| !found.is_deleted()) {
            Some(found) => observed.changed.push(told(vim, &found)),
            None => observed.gone.push(stack.clone()),
        }
    }
    Ok(observed)
}

/// As the contract says it, with the reason of what Heat has undone.
fn told(vim: &Vim, found: &Stack) -> StackObservation {
    let mut told = found.observation();
    if told.action != StackAction::Rollback || told.progress == StackProgress::InProgress {
        return told;
    }
    let at = At {
        name: &found.name,
        id: &found.id,
    };
    let cause = cause(vim, at).unwrap_or_else(|failure| {
        // Who may look at a stack need not be allowed its events, and that it is over is what counts.
        debug!(
            "why a stack failed is not known",
            stack = found.name,
            error = failure.error.message
        );
        None
    });
    if let Some(cause) = cause {
        told.reason = match told.reason.take() {
            Some(shown) if told.progress == StackProgress::Failed => Some(format!("{cause}; {shown}")),
            Some(_) | None => Some(cause),
        };
    }
    told
}

/// What Heat said when a stack failed last.
fn cause(vim: &Vim, at: At<'_>) -> Result<Option<String>, Failure> {
    #[derive(Deserialize)]
    struct Events {
        events: Vec<Event>,
    }
    #[derive(Deserialize)]
    struct Event {
        #[serde(default)]
        resource_status_reason: Option<String>,
    }
    // The stack counts as a resource of itself.
    let response = vim.send(&[at.name, at.id, "resources", at.name, "events"], |heat, path| {
        heat.get(path.iter().copied())
            .query("resource_action", "CREATE")
            .query("resource_action", "UPDATE")
            .query("resource_status", "FAILED")
            .query("sort_dir", "desc")
            .query("limit", "1")
            .doing(format!("looking for why stack {} failed", at.name))
    })?;
    let newest = response.json::<Events>()?.events.into_iter().next();
    let reason = newest.and_then(|newest| newest.resource_status_reason);
    Ok(reason.filter(|reason| !reason.is_empty()))
}

/// Stacks by id; those that are deleted are not in the answer.
fn list(vim: &Vim, ids: &[&str]) -> Result<BTreeMap<String, Stack>, Failure> {
    let heat = vim.heat()?;
    let request = heat.get(["stacks"]).doing("looking at stacks");
    let mut listed = BTreeMap::new();
    for item in heat.list_many(&request, "stacks", "id", ids)? {
        let stack = Stack::read(item)?;
        listed.insert(stack.id.clone(), stack);
    }
    Ok(listed)
}

/// A stack by name and id, if Heat knows it.
fn known(vim: &Vim, at: At<'_>) -> Result<Option<Stack>, Failure> {
    match vim.show(at) {
        Ok(stack) => Ok(Some(stack)),
        Err(failure) if failure.status == Some(NOT_FOUND) => Ok(None),
        Err(failure) => Err(failure),
    }
}
