//! Stacks at the mock VIM: made once, changed once for each operation, observed together.
//!
//! A creation carries the call's token, an update the operation's, which the VIM keeps with the stack: by them a
//! repetition sees that the work was done although its answer was lost.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value, json};
use vimhost_hot::{Content, Resource};
use vimhost_sdk::prelude::{
    Call, CreateStep, Created, DeleteStep, Error, ErrorKind, ObservedStacks, Removal, StackContent, StackObservation,
    StackRef, StackRequest, StackResource, UpdateMode, UpdateStep, from_json, json as text_of,
};
use vimhost_sdk::stacks::status_words;

use crate::elements::{FIRST_LOOK_MS, LONGEST_LOOK_MS, delete_kind};
use crate::vim::{Collection, Element, Vim};

/// A stack that is gone and whose name is still taken.
const DELETED: &str = "DELETE_COMPLETE";

#[derive(Deserialize)]
struct Resources {
    items: Vec<Resource>,
}

#[derive(Deserialize)]
struct Stored {
    #[serde(flatten)]
    content: Content,
    rollback_on_failure: Option<bool>,
    timeout_minutes: Option<u32>,
}

pub(crate) fn create(vim: &Vim<'_>, call: &Call, request: &StackRequest) -> Result<CreateStep, Error> {
    let content = body(&request.content)?;
    let with_token = |token: &str| {
        let mut body = content.clone();
        body.insert("name".to_owned(), json!(request.name));
        body.insert("token".to_owned(), json!(token));
        Value::Object(body)
    };
    let kind = Collection::Stacks.kind();
    match vim.create_once(Collection::Stacks, call, kind, "", &with_token) {
        Ok(id) => Ok(Created::element(id, request.name.clone()).into()),
        Err(failure) if failure.error.kind == ErrorKind::Conflict && being_purged(vim, &request.name)? => {
            let reason = format!("the name {} is still taken by a deleted stack", request.name);
            Ok(call.wait(reason, FIRST_LOOK_MS, LONGEST_LOOK_MS).into())
        }
        Err(failure) => Err(failure.into()),
    }
}

/// Whether what has a name is a deleted stack.
fn being_purged(vim: &Vim<'_>, name: &str) -> Result<bool, Error> {
    let named = vim.list(Collection::Stacks, &[("name", name)])?;
    // With nothing there any more, the next try succeeds.
    Ok(named.iter().all(|stack| stack.status() == DELETED))
}

pub(crate) fn update(
    vim: &Vim<'_>,
    call: &Call,
    stack: &StackRef,
    mode: UpdateMode,
    content: &StackContent,
) -> Result<UpdateStep, Error> {
    let mut body = body(content)?;
    body.insert("operation".to_owned(), json!(call.operation()));
    let body = Value::Object(body);
    let id = id_of(vim, stack)?;
    call.do_once(
        "update",
        &id,
        || {
            let seen = vim.get(Collection::Stacks, &id)?;
            Ok(seen.is_some_and(|seen| seen.text("operation") == Some(call.operation())))
        },
        || vim.change_stack(&id, mode == UpdateMode::Partial, &body).map(drop),
    )?;
    // The VIM shows UPDATE_IN_PROGRESS before it answers.
    Ok(UpdateStep::Done)
}

/// The body of a request, without what names the stack.
fn body(content: &StackContent) -> Result<Map<String, Value>, Error> {
    let parameters = match content.parameters.as_str() {
        "" => Map::new(),
        text => from_json("the parameters of the stack", text)?,
    };
    let environment = content.environment.as_deref();
    let environment: Option<Map<String, Value>> = environment
        .map(|text| from_json("the environment of the stack", text))
        .transpose()?;
    let files: BTreeMap<&str, &str> = content
        .files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let mut body = Map::new();
    body.insert("files".to_owned(), json!(files));
    body.insert("parameters".to_owned(), Value::Object(parameters));
    let given = [
        ("template", content.template.as_ref().map(|text| json!(text))),
        ("environment", environment.map(Value::Object)),
        (
            "rollback_on_failure",
            content.rollback_on_failure.map(|rollback| json!(rollback)),
        ),
        ("timeout_minutes", content.timeout_minutes.map(|minutes| json!(minutes))),
    ];
    body.extend(
        given
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?))),
    );
    Ok(body)
}

/// A stack that exists and has the name.
fn named(vim: &Vim<'_>, name: &str) -> Result<Option<Element>, Error> {
    let found = vim.list(Collection::Stacks, &[("name", name)])?;
    Ok(found.into_iter().find(|stack| stack.status() != DELETED))
}

fn id_of(vim: &Vim<'_>, stack: &StackRef) -> Result<String, Error> {
    if let Some(id) = &stack.id {
        return Ok(id.clone());
    }
    let found = named(vim, &stack.name)?;
    let found = found.ok_or_else(|| Error::not_found(format!("stack {} does not exist", stack.name)))?;
    Ok(found.id()?)
}

/// How requests address a stack.
fn address(stack: &StackRef) -> &str {
    stack.id.as_deref().unwrap_or(&stack.name)
}

pub(crate) fn find(vim: &Vim<'_>, name: &str) -> Result<Option<StackObservation>, Error> {
    named(vim, name)?.as_ref().map(observation).transpose()
}

/// By id or name the first time, by the VIM's feed of changes afterwards; who is asked for by name alone is looked at each
/// time, because the feed tells of a name's next stack too.
pub(crate) fn observe(vim: &Vim<'_>, stacks: &[StackRef], cursor: Option<&[u8]>) -> Result<ObservedStacks, Error> {
    let by_id = stacks.iter().all(|stack| stack.id.is_some());
    let since = cursor
        .filter(|_| by_id)
        .and_then(|cursor| std::str::from_utf8(cursor).ok())
        .and_then(|text| text.parse().ok());
    let changes = match since {
        Some(since) => vim.changes(Collection::Stacks, since)?,
        None => None,
    };
    let Some(changes) = changes else {
        return everything(vim, stacks);
    };
    let deleted = changes.deleted.iter();
    let shown_deleted = changes.changed.iter().filter(|stack| stack.status() == DELETED);
    let gone: BTreeSet<&str> = deleted
        .chain(shown_deleted)
        .filter_map(|stack| stack.text("id"))
        .collect();
    let changed: BTreeMap<&str, &Element> = changes
        .changed
        .iter()
        .filter_map(|stack| Some((stack.text("id")?, stack)))
        .collect();
    let mut observed = ObservedStacks {
        changed: Vec::new(),
        gone: Vec::new(),
        cursor: Some(changes.seq.to_string().into_bytes()),
        more: changes.more,
    };
    for stack in stacks {
        let id = stack.id.as_deref().unwrap_or_default();
        if gone.contains(id) {
            observed.gone.push(stack.clone());
        } else if let Some(seen) = changed.get(id) {
            observed.changed.push(observation(seen)?);
        }
    }
    Ok(observed)
}

fn everything(vim: &Vim<'_>, stacks: &[StackRef]) -> Result<ObservedStacks, Error> {
    let ids: Vec<&str> = stacks.iter().filter_map(|stack| stack.id.as_deref()).collect();
    let lacking_id = stacks.iter().filter(|stack| stack.id.is_none());
    let names: Vec<&str> = lacking_id.map(|stack| stack.name.as_str()).collect();
    let mut lists = vim.list_many(Collection::Stacks, "id", &ids)?;
    lists.extend(vim.list_many(Collection::Stacks, "name", &names)?);
    let latest = lists
        .first()
        .and_then(|list| list.iter().filter_map(|stack| stack.number("seq")).max());
    let found: Vec<&Element> = lists
        .iter()
        .flatten()
        .filter(|stack| stack.status() != DELETED)
        .collect();
    let mut observed = ObservedStacks {
        changed: Vec::new(),
        gone: Vec::new(),
        cursor: latest.map(|seq| seq.to_string().into_bytes()),
        more: false,
    };
    for stack in stacks {
        let is_it = |seen: &&&Element| match &stack.id {
            Some(id) => seen.text("id") == Some(id.as_str()),
            None => seen.text("name") == Some(stack.name.as_str()),
        };
        match found.iter().find(is_it) {
            Some(seen) => observed.changed.push(observation(seen)?),
            None => observed.gone.push(stack.clone()),
        }
    }
    Ok(observed)
}

fn observation(stack: &Element) -> Result<StackObservation, Error> {
    let status = stack.status();
    let (action, progress) = status_words(status);
    Ok(StackObservation {
        stack: StackRef {
            name: stack.owned("name").unwrap_or_default(),
            id: Some(stack.id()?),
        },
        action,
        progress,
        status_text: status.to_owned(),
        reason: stack.owned("reason"),
        updated: stack.number("updated_at").map(|at| at.to_string()),
    })
}

pub(crate) fn resources(vim: &Vim<'_>, stack: &StackRef, depth: u8) -> Result<Vec<StackResource>, Error> {
    let listed: Resources = vim.part_of_stack(address(stack), "resources", Some(depth))?;
    Ok(listed.items.into_iter().map(resource).collect())
}

pub(crate) fn resource(resource: Resource) -> StackResource {
    StackResource {
        name: resource.name,
        resource_type: resource.resource_type,
        physical_id: Some(resource.physical_id),
        status_text: resource.status.as_str().to_owned(),
        reason: resource.reason,
        parent: resource.parent,
        stack: StackRef {
            name: resource.stack.name,
            id: Some(resource.stack.id),
        },
        required_by: resource.required_by,
        created: Some(resource.created.to_string()),
    }
}

pub(crate) fn content(vim: &Vim<'_>, stack: &StackRef) -> Result<StackContent, Error> {
    let stored: Stored = vim.part_of_stack(address(stack), "content", None)?;
    Ok(StackContent {
        rollback_on_failure: stored.rollback_on_failure,
        timeout_minutes: stored.timeout_minutes,
        ..shown(stored.content)
    })
}

/// A content as the contract has it.
pub(crate) fn shown(content: Content) -> StackContent {
    StackContent {
        template: Some(content.template),
        files: content.files.into_iter().collect(),
        parameters: text_of(&content.parameters),
        environment: Some(text_of(&content.environment)),
        rollback_on_failure: None,
        timeout_minutes: None,
    }
}

pub(crate) fn mark_unhealthy(
    vim: &Vim<'_>,
    call: &Call,
    stack: &StackRef,
    resource_name: &str,
    reason: &str,
) -> Result<UpdateStep, Error> {
    match vim.mark_unhealthy(address(stack), resource_name, reason) {
        Ok(()) => Ok(UpdateStep::Done),
        // The VIM is at work on the stack.
        Err(failure) if failure.error.kind == ErrorKind::Conflict => {
            Ok(call.wait(failure.error.message, FIRST_LOOK_MS, LONGEST_LOOK_MS).into())
        }
        Err(failure) => Err(failure.into()),
    }
}

pub(crate) fn delete(vim: &Vim<'_>, call: &Call, stack: &StackRef) -> Result<DeleteStep, Error> {
    let journalled = call.journal.iter().any(|entry| entry.kind == Collection::Stacks.kind());
    let id = match &stack.id {
        Some(id) => Some(id.clone()),
        None if journalled => None,
        None => ours(vim, call, &stack.name)?,
    };
    let removal: Removal = delete_kind(vim, Collection::Stacks, call, id.as_deref())?;
    let removal = match &stack.id {
        // It is gone by now, or the id was never its: the name shows which.
        Some(given) if removal == Removal::Gone => of_another_id(vim, call, &stack.name, given)?,
        Some(_) | None => removal,
    };
    Ok(removal.into_step(call, FIRST_LOOK_MS, LONGEST_LOOK_MS))
}

/// Deletes the stack of a name that has another id than the one given: the call's, or one that somebody has made anew in its place, which
/// carries no token.
fn of_another_id(vim: &Vim<'_>, call: &Call, name: &str, given: &str) -> Result<Removal, Error> {
    let Some(found) = named(vim, name)? else {
        return Ok(Removal::Gone);
    };
    if found.text("token").is_some_and(|owner| owner != call.token) {
        stays(name);
        return Ok(Removal::Gone);
    }
    let found = found.id()?;
    vimhost_sdk::warn!("stack_id lost", stack = name, given = given, found = found);
    Ok(match vim.delete(Collection::Stacks, &found)? {
        Removal::Gone => Removal::Gone,
        // The host cannot observe it: it knows another id.
        Removal::Accepted | Removal::Waiting(_) => {
            Removal::Waiting(format!("stack {name} is being deleted under the id {found}"))
        }
    })
}

/// The stack of a name, if it carries the call's token: a name alone does not show whose it is.
fn ours(vim: &Vim<'_>, call: &Call, name: &str) -> Result<Option<String>, Error> {
    let Some(found) = named(vim, name)? else {
        return Ok(None);
    };
    if found.text("token") != Some(call.token.as_str()) {
        stays(name);
        return Ok(None);
    }
    Ok(Some(found.id()?))
}

fn stays(name: &str) {
    vimhost_sdk::warn!("a stack of the name is somebody else's and stays", stack = name);
}
