//! Stacks of an account at `mock:`: complete at once, expanded by the connector itself.
//!
//! An element's id tells all there is to say of it; a stack's does not. So the content is kept in the host's cache, which
//! forgets at a restart of the host and may forget before. What a forgotten stack can still do: it is observed as made,
//! deleted, and built anew by an update that brings a template. Its resources, its content and a partial update without a
//! template are answered as not found.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Map;
use vimhost_hot::{Change, Content, StackName};
use vimhost_sdk::prelude::*;
use vimhost_sdk::{cache, clock};

use crate::stacks::{resource, shown};

/// Longer than a laboratory runs; the host drops what is in the way before that.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

const MADE: &str = "CREATE_COMPLETE";
const CHANGED: &str = "UPDATE_COMPLETE";

/// A stack as the cache has it.
#[derive(Serialize, Deserialize)]
struct Kept {
    name: StackName,
    content: Content,
    expanded: vimhost_hot::Stack,
    /// The operation that changed it last.
    operation: Option<String>,
    updated: Option<u64>,
    rollback_on_failure: Option<bool>,
    timeout_minutes: Option<u32>,
}

impl Kept {
    fn observation(&self) -> StackObservation {
        let (action, text) = match self.operation {
            Some(_) => (StackAction::Update, CHANGED),
            None => (StackAction::Create, MADE),
        };
        StackObservation {
            stack: StackRef {
                name: self.name.name.clone(),
                id: Some(self.name.id.clone()),
            },
            action,
            progress: StackProgress::Complete,
            status_text: text.to_owned(),
            reason: None,
            updated: self.updated.map(|at| at.to_string()),
        }
    }

    fn keep(&self) {
        cache::set(&by_id(&self.name.id), self, KEPT);
        cache::set(&by_name(&self.name.name), &self.name.id, KEPT);
    }
}

fn by_id(id: &str) -> String {
    format!("stack:{id}")
}

fn by_name(name: &str) -> String {
    format!("stack-named:{name}")
}

fn named(name: &str) -> Option<Kept> {
    let id: String = cache::get(&by_name(name))?;
    cache::get(&by_id(&id))
}

fn kept(stack: &StackRef) -> Option<Kept> {
    match &stack.id {
        Some(id) => cache::get(&by_id(id)),
        None => named(&stack.name),
    }
}

/// The stack itself, or the one it is nested in: the name of a nested stack begins with that of its holder.
fn holder(stack: &StackRef) -> Option<Kept> {
    if let Some(found) = kept(stack) {
        return Some(found);
    }
    let id = stack.id.as_deref()?;
    let ends = stack.name.match_indices('-').map(|(end, _)| end);
    ends.filter_map(|end| named(stack.name.get(..end)?))
        .find(|holder| holder.expanded.resources_of(id, 0).is_some())
}

fn forgotten(stack: &StackRef) -> Error {
    Error::not_found(format!("nothing is remembered of stack {} at `mock:`", stack.name))
}

fn now() -> u64 {
    u64::try_from(clock::now().as_millis()).unwrap_or(u64::MAX)
}

fn refused(doing: &str, error: &vimhost_hot::Error) -> Error {
    Error::bad_request(format!("{doing}: {error}"))
}

fn change(content: &StackContent) -> Result<Change, Error> {
    let parameters = match content.parameters.as_str() {
        "" => Map::new(),
        text => from_json("the parameters of the stack", text)?,
    };
    let environment = content.environment.as_deref();
    Ok(Change {
        template: content.template.clone(),
        files: content.files.iter().cloned().collect(),
        parameters,
        environment: environment
            .map(|text| from_json("the environment of the stack", text))
            .transpose()?,
    })
}

fn id_of(token: &str) -> String {
    format!("mock-stack-{token}")
}

pub(crate) fn create(call: &Call, request: &StackRequest) -> Result<CreateStep, Error> {
    let id = id_of(&call.token);
    let doing = format!("creating stack {}", request.name);
    if named(&request.name).is_some_and(|other| other.name.id != id) {
        return Err(Error::conflict(format!(
            "{doing}: The Stack ({}) already exists.",
            request.name
        )));
    }
    // A repetition must not undo what changed since.
    if cache::get::<Kept>(&by_id(&id)).is_none() {
        let content = change(&request.content)?.full();
        let content = content.ok_or_else(|| Error::bad_request(format!("{doing}: No template specified")))?;
        let name = StackName {
            name: request.name.clone(),
            id: id.clone(),
        };
        let expanded = vimhost_hot::Stack::create(name.clone(), &content, now());
        Kept {
            expanded: expanded.map_err(|error| refused(&doing, &error))?,
            name,
            content,
            operation: None,
            updated: None,
            rollback_on_failure: request.content.rollback_on_failure,
            timeout_minutes: request.content.timeout_minutes,
        }
        .keep();
    }
    let id = call.create_once(
        "stack",
        "",
        Duration::ZERO,
        |token| Ok(vec![id_of(token)]),
        |token| Ok(id_of(token)),
    )?;
    Ok(Created::element(id, request.name.clone()).into())
}

pub(crate) fn update(
    call: &Call,
    stack: &StackRef,
    mode: UpdateMode,
    content: &StackContent,
) -> Result<UpdateStep, Error> {
    let before = kept(stack);
    let id = match (&stack.id, &before) {
        (Some(id), _) => id.clone(),
        (None, Some(before)) => before.name.id.clone(),
        (None, None) => return Err(forgotten(stack)),
    };
    let done = before
        .as_ref()
        .is_some_and(|before| before.operation.as_deref() == Some(call.operation()));
    call.do_once(
        "update",
        &id,
        || Ok(done),
        || apply(call, stack, &id, before.as_ref(), mode, content).map_err(Failure::from),
    )?;
    Ok(UpdateStep::Done)
}

fn apply(
    call: &Call,
    stack: &StackRef,
    id: &str,
    before: Option<&Kept>,
    mode: UpdateMode,
    given: &StackContent,
) -> Result<(), Error> {
    let doing = format!("updating stack {}", stack.name);
    let change = change(given)?;
    let content = match (mode, before) {
        (UpdateMode::Partial, Some(before)) => before.content.patched(change),
        (UpdateMode::Full, _) => change
            .full()
            .ok_or_else(|| Error::bad_request(format!("{doing}: No template specified")))?,
        (UpdateMode::Partial, None) => change.full().ok_or_else(|| forgotten(stack))?,
    };
    let name = before.map_or_else(
        || StackName {
            name: stack.name.clone(),
            id: id.to_owned(),
        },
        |before| before.name.clone(),
    );
    let expanded = match before {
        Some(before) => before.expanded.update(&content, now()),
        None => vimhost_hot::Stack::create(name.clone(), &content, now()),
    };
    let earliest = before
        .and_then(|before| before.updated)
        .map_or(0, |at| at.saturating_add(1));
    Kept {
        name,
        content,
        expanded: expanded.map_err(|error| refused(&doing, &error))?,
        operation: Some(call.operation().to_owned()),
        updated: Some(now().max(earliest)),
        rollback_on_failure: given
            .rollback_on_failure
            .or_else(|| before.and_then(|before| before.rollback_on_failure)),
        timeout_minutes: given
            .timeout_minutes
            .or_else(|| before.and_then(|before| before.timeout_minutes)),
    }
    .keep();
    Ok(())
}

pub(crate) fn find(name: &str) -> Option<StackObservation> {
    named(name).map(|kept| kept.observation())
}

/// All of them are there, as everything at `mock:` is; one known by its name alone only while it is remembered.
pub(crate) fn observe(stacks: &[StackRef]) -> ObservedStacks {
    let mut observed = ObservedStacks {
        changed: Vec::new(),
        gone: Vec::new(),
        cursor: None,
        more: false,
    };
    for stack in stacks {
        match (kept(stack), &stack.id) {
            (Some(kept), _) => observed.changed.push(kept.observation()),
            (None, Some(_)) => observed.changed.push(StackObservation {
                stack: stack.clone(),
                action: StackAction::Create,
                progress: StackProgress::Complete,
                status_text: MADE.to_owned(),
                reason: None,
                updated: None,
            }),
            (None, None) => observed.gone.push(stack.clone()),
        }
    }
    observed
}

pub(crate) fn resources(stack: &StackRef, depth: u8) -> Result<Vec<StackResource>, Error> {
    let holder = holder(stack).ok_or_else(|| forgotten(stack))?;
    let id = stack.id.as_deref().unwrap_or(&holder.name.id);
    let found = holder
        .expanded
        .resources_of(id, depth)
        .ok_or_else(|| forgotten(stack))?;
    Ok(found.into_iter().cloned().map(resource).collect())
}

pub(crate) fn content(stack: &StackRef) -> Result<StackContent, Error> {
    let kept = kept(stack).ok_or_else(|| forgotten(stack))?;
    Ok(StackContent {
        rollback_on_failure: kept.rollback_on_failure,
        timeout_minutes: kept.timeout_minutes,
        ..shown(kept.content)
    })
}

pub(crate) fn mark_unhealthy(stack: &StackRef, resource_name: &str, reason: &str) -> Result<UpdateStep, Error> {
    let mut holder = holder(stack).ok_or_else(|| forgotten(stack))?;
    let id = stack.id.clone().unwrap_or_else(|| holder.name.id.clone());
    let marked = holder.expanded.mark_unhealthy(&id, resource_name, reason);
    if !marked.map_err(|error| Error::not_found(error.to_string()))? {
        return Err(forgotten(stack));
    }
    holder.keep();
    Ok(UpdateStep::Done)
}

pub(crate) fn delete(call: &Call, stack: &StackRef) -> Result<DeleteStep, Error> {
    // By name alone only what the call made: a name does not show whose it is.
    let found = kept(stack).filter(|found| stack.id.is_some() || found.name.id == id_of(&call.token));
    if let Some(found) = found {
        cache::remove(&by_id(&found.name.id));
        cache::remove(&by_name(&found.name.name));
    }
    call.forget(|_| true)?;
    Ok(DeleteStep::Done)
}
