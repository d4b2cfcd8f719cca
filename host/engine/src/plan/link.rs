//! The second half of planning: tasks are numbered, linked to what they wait for, and sorted into resource documents.

use std::collections::{HashMap, HashSet};

use serde_json::Value;
use vimhost_model::{Collection, Dependency, Item, ItemRef, Resource, ResourceId, TargetId, TaskAction, TaskId, Until};
use vimhost_store::ResourceUpdate;

use super::builder::{Builder, Draft, Existing, Place};
use super::existing::{recorded_items, recorded_targets};
use super::{Plan, texts};
use crate::Error;
use crate::derive::placeholder;

/// What a reference stands for.
enum Link {
    /// An element with a resource document.
    Resource(ResourceId),
    /// An element known from the record alone: its id is put in at once.
    Literal(String),
}

impl Builder<'_> {
    /// Numbers the tasks, links them, and sorts them into documents.
    pub(super) fn finish(mut self) -> Result<Plan, Error> {
        let mut drafts = std::mem::take(&mut self.drafts);
        for (number, draft) in drafts.iter_mut().enumerate() {
            draft.task.id = TaskId::new(format!("{}:{number}", self.action_id))
                .map_err(|error| Error::shape("action_id", error.to_string()))?;
        }
        let links = self.links(&drafts);
        let deletions: HashMap<ResourceId, String> = drafts
            .iter()
            .filter(|draft| draft.task.action == TaskAction::Delete)
            .map(|draft| (draft.place.id().clone(), draft.task.target_record.to_string()))
            .collect();
        let data_networks: HashSet<(TargetId, String)> = drafts
            .iter()
            .flat_map(|draft| {
                draft
                    .data_networks
                    .iter()
                    .map(|network| (draft.target.clone(), network.clone()))
            })
            .collect();
        let mut texts = Vec::new();
        for draft in &mut drafts {
            if draft.task.action == TaskAction::Delete {
                self.link_deletion(draft, &deletions);
            } else {
                link_creation(draft, &links)?;
            }
            let reference = (draft.target.clone(), draft.task.target_record.to_string());
            if draft.task.item == Item::Net
                && data_networks.contains(&reference)
                && let Some(params) = draft.task.params.as_mut().and_then(Value::as_object_mut)
            {
                params.insert("net_type".to_owned(), Value::String("data".to_owned()));
            }
            for value in draft.task.params.iter_mut().chain(draft.task.find_params.iter_mut()) {
                texts::extract(value, &mut texts, &draft.path)?;
            }
            if let Some(line) = self.changes.get_mut(draft.change) {
                line.after = draft
                    .task
                    .depends_on
                    .iter()
                    .map(|dependency| dependency.reference.clone())
                    .collect();
            }
        }
        let (new_resources, updates) = self.documents(drafts);
        let (update_targets, updates) = updates.into_iter().unzip();
        Ok(Plan {
            changes: self.changes,
            nsr_id: self.facts.nsr_id.clone(),
            action_id: self.action_id.clone(),
            base: self.facts.base.clone(),
            accounts: Vec::new(),
            now: self.facts.now,
            new_resources,
            updates,
            update_targets,
            record_changes: self.record_changes,
            texts,
        })
    }

    /// What references mean in this plan.
    fn links(&self, drafts: &[Draft]) -> HashMap<(TargetId, String), Link> {
        let mut links = HashMap::new();
        let records = std::iter::once((Collection::Nsrs, &self.facts.nsr))
            .chain(self.facts.vnfrs.iter().map(|vnfr| (Collection::Vnfrs, vnfr)));
        for (collection, record) in records {
            for list in collection.lists() {
                for (item, value) in recorded_items(&record.document, *list) {
                    let item_ref = ItemRef {
                        collection,
                        record: record.id.clone(),
                        list: *list,
                        item,
                    };
                    for target in recorded_targets(&value) {
                        let slot = (item_ref.clone(), target);
                        if let Existing::Recorded(Some(vim_id)) = self.existing(&slot, Some(&value)) {
                            links.insert((slot.1, slot.0.to_string()), Link::Literal(vim_id));
                        }
                    }
                }
            }
        }
        for (item, targets) in &self.known {
            for (target, known) in targets {
                if let Some(id) = &known.held {
                    links.insert((target.clone(), item.to_string()), Link::Resource(id.clone()));
                }
            }
        }
        // What this plan takes away cannot be built on.
        for draft in drafts.iter().filter(|draft| draft.task.action == TaskAction::Delete) {
            links.remove(&(draft.target.clone(), draft.task.target_record.to_string()));
        }
        for draft in drafts.iter().filter(|draft| draft.task.action == TaskAction::Create) {
            let key = (draft.target.clone(), draft.task.target_record.to_string());
            links.insert(key, Link::Resource(draft.place.id().clone()));
        }
        links
    }

    /// A deletion waits for the deletion of everything that was made with the element.
    fn link_deletion(&self, draft: &mut Draft, deletions: &HashMap<ResourceId, String>) {
        for user in self.users.get(draft.place.id()).into_iter().flatten() {
            let leaving = deletions.get(&user.id).cloned().or_else(|| {
                user.tasks
                    .iter()
                    .find(|task| task.action == TaskAction::Delete && task.status.is_open())
                    .map(|task| task.target_record.to_string())
            });
            if let Some(reference) = leaving {
                draft.task.depends_on.push(Dependency {
                    reference,
                    resource: user.id.clone(),
                    until: Until::Deleted,
                    interfaces: Vec::new(),
                });
            }
        }
    }

    fn documents(&self, drafts: Vec<Draft>) -> (Vec<Resource>, Vec<(TargetId, ResourceUpdate)>) {
        let mut new: Vec<Resource> = Vec::new();
        let mut updates: Vec<(TargetId, ResourceUpdate)> = Vec::new();
        let mut places: HashMap<ResourceId, usize> = HashMap::new();
        for draft in drafts {
            let uses: Vec<ResourceId> = draft
                .task
                .depends_on
                .iter()
                .filter(|dependency| dependency.until == Until::Created)
                .map(|dependency| dependency.resource.clone())
                .collect();
            match draft.place {
                Place::New(id) => {
                    let index = *places.entry(id.clone()).or_insert(new.len());
                    if let Some(resource) = new.get_mut(index) {
                        resource.tasks.push(draft.task);
                        resource.uses.extend(uses);
                        continue;
                    }
                    let item = draft.task.item;
                    new.push(Resource {
                        uses,
                        ..Resource::planned(id, draft.target, item, vec![draft.task], self.facts.now)
                    });
                }
                Place::Existing(id) => {
                    let index = *places.entry(id.clone()).or_insert(updates.len());
                    if let Some((_, update)) = updates.get_mut(index) {
                        update.tasks.push(draft.task);
                        update.uses.extend(uses);
                        continue;
                    }
                    let expected = self
                        .resources
                        .get(&id)
                        .copied()
                        .or_else(|| self.facts.shared.iter().find(|resource| resource.id == id))
                        .map_or(0, |resource| resource.revision);
                    let update = ResourceUpdate {
                        resource: id,
                        expected,
                        tasks: vec![draft.task],
                        uses,
                    };
                    updates.push((draft.target, update));
                }
            }
        }
        (new, updates)
    }
}

fn link_creation(draft: &mut Draft, links: &HashMap<(TargetId, String), Link>) -> Result<(), Error> {
    for needed in &draft.needs {
        let (target, reference) = match needed.split_once(' ') {
            Some((target, reference)) => {
                let target = target
                    .parse()
                    .map_err(|error| Error::shape(draft.path.clone(), format!("{error}")))?;
                (target, reference.to_owned())
            }
            None => (draft.target.clone(), needed.clone()),
        };
        match links.get(&(target.clone(), reference.clone())) {
            Some(Link::Resource(id)) => draft.task.depends_on.push(Dependency {
                reference: needed.clone(),
                resource: id.clone(),
                until: Until::Created,
                interfaces: Vec::new(),
            }),
            Some(Link::Literal(vim_id)) => {
                if let Some(params) = &mut draft.task.params {
                    replace_text(params, &placeholder(&reference), vim_id);
                }
            }
            None => {
                let reason = format!("depends on {reference}, which is not deployed on {target}");
                return Err(Error::shape(draft.path.clone(), reason));
            }
        }
    }
    draft.task.depends_on.append(&mut draft.located);
    for id in std::mem::take(&mut draft.after_deletion_of) {
        let reference = draft.task.target_record.to_string();
        draft.task.depends_on.push(Dependency {
            reference,
            resource: id,
            until: Until::Deleted,
            interfaces: Vec::new(),
        });
    }
    Ok(())
}

fn replace_text(value: &mut Value, from: &str, to: &str) {
    match value {
        Value::String(text) if text == from => to.clone_into(text),
        Value::Array(list) => list.iter_mut().for_each(|inner| replace_text(inner, from, to)),
        Value::Object(map) => map.values_mut().for_each(|inner| replace_text(inner, from, to)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
