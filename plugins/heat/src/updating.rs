//! Changing a stack, once for each operation.
//!
//! An update puts the operation's token beside the stack's own into the tags, which Heat sets before it answers. So after a lost
//! answer one look at the stack tells whether Heat has taken the update.

use serde_json::Value;
use vimhost_sdk::prelude::*;

use crate::content;
use crate::creating::{FIRST_LOOK_MS, LONGEST_LOOK_MS};
use crate::vim::{CONFLICT, Vim};

/// Journal kind of an update.
const UPDATE: &str = "update";

pub(crate) fn update(
    vim: &Vim,
    call: &Call,
    stack: &StackRef,
    mode: UpdateMode,
    content: &StackContent,
) -> Result<UpdateStep, Error> {
    let mut body = content::body(content)?;
    body.insert("tags".to_owned(), Value::from(tags(call)));
    let body = Value::Object(body);
    let known = stack.id.as_deref().unwrap_or(&stack.name);
    let happened = || -> Result<bool, Failure> {
        match &call.operation {
            Some(operation) => Ok(vim.on_stack(stack, |at| vim.live(at))?.carries(operation)),
            // The stack's own token tells of no update.
            None => Ok(false),
        }
    };
    let act = || -> Result<(), Failure> {
        let sent = vim.on_stack(stack, |at| {
            vim.send(&[at.name, at.id], |heat, path| {
                let path = path.iter().copied();
                let request = match mode {
                    UpdateMode::Partial => heat.patch(path),
                    UpdateMode::Full => heat.put(path),
                };
                request.json(&body).doing(format!("updating stack {}", at.name))
            })
        });
        sent.map(drop)
    };
    step(call, call.do_once(UPDATE, known, happened, act))
}

/// What a change has come to. Heat's engine does one thing after the other, and refuses what comes between.
pub(crate) fn step(call: &Call, sent: Result<(), Failure>) -> Result<UpdateStep, Error> {
    match sent {
        Ok(()) => Ok(UpdateStep::Done),
        Err(busy) if busy.status == Some(CONFLICT) => {
            Ok(call.wait(busy.error.message, FIRST_LOOK_MS, LONGEST_LOOK_MS).into())
        }
        Err(failure) => Err(failure.into()),
    }
}

/// Tags of an update take the place of all that were there.
fn tags(call: &Call) -> String {
    match &call.operation {
        Some(operation) => format!("{},{operation}", call.token),
        None => call.token.clone(),
    }
}
