//! Making a stack, once.
//!
//! Names of stacks are unique in a project, and the stack's token is a tag of it: so a name that is taken is looked up, and the tag
//! tells whether an earlier try of this call took it. A first try that goes well is one request.

use std::cell::Cell;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use vimhost_sdk::prelude::*;

use crate::content;
use crate::vim::{CONFLICT, Vim};

/// Journal kind of a stack.
pub(crate) const STACK: &str = "stack";

/// How long after a lost answer a stack may still come into being: Heat's API gives its engine an RPC time-out of 60 s. Before that a
/// second request could pass the engine's look at the name beside the first.
pub(crate) const SETTLED: Duration = Duration::from_mins(1);

/// First and longest time between two looks at what Heat is at. A name becomes free one to three seconds after its stack is gone.
pub(crate) const FIRST_LOOK_MS: u32 = 1000;

/// See [`FIRST_LOOK_MS`]; what Tacker polls at.
pub(crate) const LONGEST_LOOK_MS: u32 = 5000;

pub(crate) fn create(vim: &Vim, call: &Call, request: &StackRequest) -> Result<CreateStep, Error> {
    let name = request.name.as_str();
    let mut body = content::body(&request.content)?;
    body.insert("stack_name".to_owned(), Value::from(name));
    // A name that another stack has for some seconds more.
    let is_taken_for_now = Cell::new(false);
    let made = call.create_once(
        STACK,
        "",
        SETTLED,
        |token| begun(vim, name, token, &is_taken_for_now),
        |token| {
            body.insert("tags".to_owned(), Value::from(token));
            match post(vim, name, &Value::Object(body)) {
                Err(refused) if refused.status == Some(CONFLICT) => taken(vim, name, token, refused, &is_taken_for_now),
                made => made,
            }
        },
    );
    match made {
        Ok(id) => Ok(Created::element(id, name).into()),
        Err(_) if is_taken_for_now.get() => {
            let reason = format!("a stack with the name {name} is being deleted");
            Ok(call.wait(reason, FIRST_LOOK_MS, LONGEST_LOOK_MS).into())
        }
        Err(failure) => Err(failure.into()),
    }
}

/// What an earlier try made whose answer was lost.
fn begun(vim: &Vim, name: &str, token: &str, is_taken_for_now: &Cell<bool>) -> Result<Vec<String>, Failure> {
    let Some(stack) = vim.named(name)? else {
        return Ok(Vec::new());
    };
    if stack.is_going() {
        is_taken_for_now.set(true);
    } else if stack.carries(token) {
        return Ok(vec![stack.id]);
    }
    let message = format!(
        "a stack with the name {name} exists ({}, {}) and does not carry the token {token}",
        stack.id, stack.status
    );
    Err(Error::conflict(message).into())
}

/// Heat refuses the name.
fn taken(
    vim: &Vim,
    name: &str,
    token: &str,
    refused: Failure,
    is_taken_for_now: &Cell<bool>,
) -> Result<String, Failure> {
    let found = vim.named(name).map_err(|mut failure| {
        // The name may be taken by a try of this very call.
        failure.outcome = Outcome::Unknown;
        failure
    })?;
    match found {
        Some(stack) if stack.carries(token) && !stack.is_going() => return Ok(stack.id),
        Some(stack) => is_taken_for_now.set(stack.is_going()),
        // It has become free meanwhile, if it was the name that Heat refused.
        None => is_taken_for_now.set(refused.error.message.contains("exists")),
    }
    Err(refused)
}

fn post(vim: &Vim, name: &str, body: &Value) -> Result<String, Failure> {
    #[derive(Deserialize)]
    struct Made {
        stack: Reference,
    }
    #[derive(Deserialize)]
    struct Reference {
        id: String,
    }
    let response = vim.send(&[], |heat, path| {
        heat.post(path.iter().copied())
            .json(body)
            .doing(format!("creating stack {name}"))
    })?;
    Ok(response.json::<Made>()?.stack.id)
}
