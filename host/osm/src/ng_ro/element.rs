//! One resource document of NG-RO as one of ours. What it depends on is linked when all are read (`link`).

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};
use vimhost_model::{
    Item, ItemId, ItemRef, NsrId, Resource, ResourceId, TaskAction, TaskStatus, Timestamp, VimState, VimStatus,
};

use super::document::{self, Document, Kind, Status};
use super::records::Records;
use super::report::Obstacle;
use super::task::{self, Progress};
use super::{created_items, state};

/// What documents are read with.
pub(super) struct Context<'a> {
    /// Letters of this installation, which begin every token.
    pub(super) letters: &'a str,
    /// Now.
    pub(super) now: Timestamp,
    /// The records.
    pub(super) records: &'a Records,
    /// Services whose hold counts: those that have a record and were not taken over before.
    pub(super) alive: &'a BTreeSet<NsrId>,
    /// Documents of which somebody has said that their unfinished creation made nothing.
    pub(super) not_made: &'a BTreeSet<String>,
}

/// A document as a resource, with what is left to be linked and to be told.
pub(super) struct Element {
    /// The resource.
    pub(super) resource: Resource,
    /// `depends_on` of each of its tasks.
    pub(super) needs: Vec<Vec<String>>,
    /// Its `_id` at NG-RO.
    pub(super) document: String,
    /// For people.
    pub(super) notes: Vec<String>,
}

/// The id of the resource: the same at each repetition, so that nothing is taken over twice.
fn id(letters: &str, document: &str) -> Option<ResourceId> {
    let digest = Sha256::digest(format!("ng-ro {document}"));
    let letters_of: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    ResourceId::new(format!("{letters}-{letters_of}")).ok()
}

/// What a document is about: what it makes, else what it deletes, else what it does.
fn kind(tasks: &[&document::Task]) -> Option<Kind> {
    let of = |action: TaskAction| tasks.iter().find(|task| task.action == action);
    let first = of(TaskAction::Create).or_else(|| of(TaskAction::Delete));
    first.or_else(|| tasks.first()).map(|task| task.kind.clone())
}

fn services(tasks: &[&document::Task]) -> Vec<NsrId> {
    let services: BTreeSet<NsrId> = tasks.iter().map(|task| task.nsr_id.clone()).collect();
    services.into_iter().collect()
}

/// Reads a document. None: it is nothing to anybody.
pub(super) fn convert(document: &Document, context: &Context<'_>) -> Result<Option<Element>, Obstacle> {
    let alive = |task: &&document::Task| context.alive.contains(&task.nsr_id);
    let tasks: Vec<&document::Task> = document.tasks.iter().filter(alive).collect();
    let obstacle = |what: String, remedy: &str| Obstacle {
        what,
        remedy: remedy.to_owned(),
        services: services(&tasks),
    };
    let over = |task: &&document::Task| matches!(task.status, Status::Finished | Status::Superseded);
    let item = match kind(&tasks) {
        None => return Ok(None),
        Some(Kind::Known(item)) => item,
        Some(Kind::Other(_)) if tasks.iter().all(over) && !state::is_created(document) => return Ok(None),
        Some(Kind::Other(item)) => {
            return Err(obstacle(
                format!("document {}: vimhost has no item '{item}'", document.id),
                "let NG-RO terminate the service, or leave it out with --except",
            ));
        }
    };
    let Some(id) = id(context.letters, &document.id) else {
        return Err(obstacle(
            format!("document {}: no id can be made for it", document.id),
            "leave the service out with --except",
        ));
    };
    // A document of commands alone is no element, whatever its results say of the VM.
    let is_element = tasks.iter().any(|task| task.action != TaskAction::Exec);
    let element = state::vim_id(document);
    let mut notes = Vec::new();
    let mut refs = Vec::with_capacity(tasks.len());
    for task in &tasks {
        let by_place = || context.records.item_at(&task.place, &document.target, element.as_ref());
        let known = task.item.clone().or_else(by_place);
        let Some(item) = known.or_else(|| ItemId::new(task.place.position.to_string()).ok()) else {
            return Err(obstacle(
                format!("document {}: task {} names no item", document.id, task.id),
                "leave the service out with --except",
            ));
        };
        refs.push(ItemRef {
            collection: task.place.collection,
            record: task.place.record.clone(),
            list: task.place.list,
            item,
        });
    }
    let vim = if is_element {
        let shown = refs
            .first()
            .and_then(|item| context.records.shown(item, &document.target));
        state::state(document, item, shown)
    } else {
        VimState::default()
    };
    let none_yet = Vec::with_capacity(tasks.len());
    let mut resource = Resource {
        vim,
        modified_at: document.modified_at,
        ..Resource::planned(id, document.target.clone(), item, none_yet, document.created_at)
    };
    let mut needs = Vec::with_capacity(tasks.len());
    for (theirs, target_record) in tasks.iter().zip(refs) {
        let of_item = match &theirs.kind {
            Kind::Known(item) => *item,
            Kind::Other(_) => item,
        };
        let progress = match task::progress(theirs, of_item, document, &resource.vim) {
            Progress::At(status, message) => (status, message),
            Progress::Unknown if context.not_made.contains(&document.id) => (TaskStatus::Scheduled, None),
            Progress::Unknown => {
                let name = task::name(theirs).unwrap_or("a name that is not known");
                return Err(obstacle(
                    format!(
                        "document {}: NG-RO died while it made {of_item} '{name}' on {}; whether it exists is not known",
                        document.id, document.target
                    ),
                    "look for it in the VIM and delete it with its ports and volumes if it is there; then add `--not-made` with the id of the \
                     document",
                ));
            }
        };
        notes.extend(note(document, theirs, of_item, progress.0));
        resource
            .tasks
            .push(task::convert(theirs, of_item, target_record, progress));
        needs.push(theirs.depends_on.clone());
    }
    if is_element {
        notes.extend(own(document, &mut resource, &tasks));
    }
    let observed = state::is_observed(item) && resource.vim.vim_id.is_some();
    // What NG-RO knows may be old: it looks at some VMs no more, and its monitor writes to the records only.
    resource.observe_at = (observed && is_wanted(&resource)).then_some(context.now);
    Ok(Some(Element {
        resource,
        needs,
        document: document.id.clone(),
        notes,
    }))
}

fn is_wanted(resource: &Resource) -> bool {
    resource.live_creates().next().is_some()
}

/// What is ours to delete of the element.
fn own(document: &Document, resource: &mut Resource, tasks: &[&document::Task]) -> Vec<String> {
    let mut notes = Vec::new();
    let gone = !resource.vim.created && resource.vim.vim_status == Some(VimStatus::Deleted);
    if gone {
        resource.vim.vim_id = None;
        return notes;
    }
    let mut items = document.created_items.clone();
    // The end of a VM that is made anew names them in the task too.
    for item in tasks.iter().flat_map(|task| &task.created_items) {
        if !items.contains(item) {
            items.push(item.clone());
        }
    }
    let creation = tasks.iter().rev().find(|task| task.action == TaskAction::Create);
    // The new VM has the volumes of the old one, and the duty to delete them, before NG-RO has begun to make it.
    if let Some(previous) = creation.and_then(|task| task.previous_volumes.as_ref()) {
        for item in document::items_of(previous) {
            if !items.contains(&item) {
                items.push(item);
            }
        }
    }
    if !resource.vim.created && resource.vim.vim_id.is_some() {
        if !items.is_empty() {
            notes.push(format!(
                "document {}: {} was found and not made, so what NG-RO notes beside it is left alone: {}",
                document.id,
                resource.item,
                items.join(", ")
            ));
        }
        return notes;
    }
    // What a VM that is not there yet takes over from the one before it was not announced for it.
    let of = if resource.vim.created {
        resource.token()
    } else {
        format!("{}-before", resource.token())
    };
    let (journal, unknown) = created_items::journal(&items, &of, document.created_at);
    resource.journal = journal;
    if resource.item == Item::Vdu {
        resource.vim.volumes = state::volumes(&items, creation.and_then(|task| task.params.as_ref()));
    }
    if !unknown.is_empty() {
        notes.push(format!(
            "document {}: what NG-RO's connector notes of {} is not known here and nobody deletes it: {}",
            document.id,
            resource.item,
            unknown.join(", ")
        ));
    }
    notes
}

/// What a person should know about a task that is not over.
fn note(document: &Document, task: &document::Task, item: Item, to: TaskStatus) -> Option<String> {
    let id = &document.id;
    let name = task::name(task).map(|name| format!(" '{name}'")).unwrap_or_default();
    let told = match (task.action, task.status, to) {
        (TaskAction::Create, _, TaskStatus::Scheduled) if document.was_taken => {
            format!(
                "document {id}: the creation of {item}{name} goes on; NG-RO has had it in hand without beginning it, as far as it tells"
            )
        }
        (TaskAction::Create, _, TaskStatus::Scheduled) => {
            format!("document {id}: the creation of {item}{name}, which NG-RO has not begun, goes on")
        }
        (TaskAction::Create, Status::Failed, TaskStatus::Done) => {
            format!(
                "document {id}: {item}{name} failed at NG-RO and is there; it is looked at as soon as a host starts"
            )
        }
        (TaskAction::Delete, _, TaskStatus::Scheduled) => format!("document {id}: the deletion of {item} goes on"),
        (TaskAction::Delete, _, TaskStatus::Failed) => {
            format!("document {id}: NG-RO gave up the deletion of {item}; the next terminate tries again")
        }
        (TaskAction::Exec, Status::Scheduled | Status::Build, _) => {
            format!("document {id}: the command '{item}' was not finished by NG-RO and is not carried on")
        }
        (TaskAction::Create | TaskAction::Update | TaskAction::Delete | TaskAction::Exec, _, _) => return None,
    };
    Some(told)
}
