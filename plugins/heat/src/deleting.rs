//! Deleting a stack.
//!
//! With an id the stack of that id is deleted, whoever made it: the host has the id from its own records. By its name alone only a
//! stack that carries the token is: a creation that failed since the name was somebody else's is cleaned up too.
//!
//! An id that Heat does not know any more was a stack of ours, so what lives under its name now has taken its place: it is ours, or
//! people have made it anew, and then it carries no token. One with the token of another element has an owner, and stays.

use std::time::Duration;

use vimhost_sdk::prelude::*;
use vimhost_sdk::{cache, warn};

use crate::creating::{FIRST_LOOK_MS, LONGEST_LOOK_MS, SETTLED, STACK};
use crate::finding::At;
use crate::vim::{CONFLICT, NOT_FOUND, Vim};

/// How long it is remembered that Heat took the deletion of an id: longer than deletions take. Forgotten earlier it costs one look
/// at the name.
const REMEMBERED: Duration = Duration::from_hours(4);

pub(crate) fn delete(vim: &Vim, call: &Call, stack: &StackRef) -> Result<DeleteStep, Error> {
    let of_token = |token: &str| ours(vim, &stack.name, token);
    let remove = |id: &str| remove(vim, call, At { name: &stack.name, id });
    let removal = call.delete_journalled(
        |kind| kind == STACK,
        SETTLED,
        |_, token| of_token(token),
        |_, id| remove(id),
    )?;
    let entries = || call.journal.iter().filter(|entry| entry.kind == STACK);
    let removal = match stack.id.as_deref() {
        Some(id) if entries().any(|entry| entry.element.as_deref() == Some(id)) => removal,
        Some(id) => removal.and(remove(id)?),
        None if entries().next().is_some() => removal,
        None => match of_token(&call.token)?.first() {
            Some(id) => removal.and(remove(id)?),
            None => removal,
        },
    };
    Ok(removal.into_step(call, FIRST_LOOK_MS, LONGEST_LOOK_MS))
}

/// The live stack of a name, if it carries the token.
fn ours(vim: &Vim, name: &str, token: &str) -> Result<Vec<String>, Failure> {
    let Some(found) = vim.find(name)? else {
        return Ok(Vec::new());
    };
    if found.carries(token) {
        return Ok(vec![found.id]);
    }
    warn!(
        "a stack of this name is not ours and stays",
        stack = name,
        found = found.id
    );
    Ok(Vec::new())
}

/// Deletes the stack of an id.
fn remove(vim: &Vim, call: &Call, at: At<'_>) -> Result<Removal, Failure> {
    let remembered = format!("deleting:{}", at.id);
    let unknown = match ask(vim, at) {
        Ok(()) => {
            cache::set(&remembered, &true, REMEMBERED);
            return Ok(Removal::Accepted);
        }
        Err(failure) if failure.status == Some(CONFLICT) => return Ok(Removal::Waiting(failure.error.message)),
        Err(failure) if failure.status == Some(NOT_FOUND) => failure,
        Err(failure) => return Err(failure),
    };
    // Heat knew this id when it took the deletion, so now the stack is gone.
    if cache::get::<bool>(&remembered).is_some() {
        cache::remove(&remembered);
        return Ok(Removal::Gone);
    }
    let Some(found) = vim.find(at.name)? else {
        return Ok(Removal::Gone);
    };
    if found.id == at.id {
        return Err(unknown);
    }
    if !found.carries(&call.token) && found.has_an_owner() {
        warn!(
            "stack_id lost: the stack of this name is another element's and stays",
            stack = at.name,
            given = at.id,
            found = found.id
        );
        return Ok(Removal::Gone);
    }
    // Said once, when it is asked for: later calls find it going.
    if !found.is_going() {
        warn!(
            "stack_id lost: the stack that has the name now is deleted",
            stack = at.name,
            given = at.id,
            found = found.id
        );
        ask(
            vim,
            At {
                name: at.name,
                id: &found.id,
            },
        )?;
    }
    // The host cannot observe it: it knows another id.
    Ok(Removal::Waiting(format!(
        "stack {} is being deleted under the id {}",
        at.name, found.id
    )))
}

fn ask(vim: &Vim, at: At<'_>) -> Result<(), Failure> {
    let sent = vim.send(&[at.name, at.id], |heat, path| {
        heat.delete(path.iter().copied())
            .doing(format!("deleting stack {}", at.name))
    });
    sent.map(drop)
}
