//! The planner itself.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;
use vimhost_model::{
    ActionId, Collection, Dependency, FieldPath, Item, ItemId, ItemList, ItemRef, RecordChange, RecordId, Resource,
    ResourceId, TargetId, Task, TaskAction, TaskId, TaskStatus, Until, VimState,
};
use vimhost_store::ResourceUpdate;

use super::derivation::{derive, kind_of};
use super::{Change, Comparison, Facts, Plan, Remedy, Verb, texts};
use crate::Error;
use crate::derive::{Derived, placeholder};
use crate::wanted::{Wanted, WantedItem, WantedVnf};

/// Lists of the NS record in the order NG-RO plans them (engine §4), then those of each VNF.
const NS_LISTS: [ItemList; 5] =
    [ItemList::SharedVolumes, ItemList::Vld, ItemList::Image, ItemList::Flavor, ItemList::AffinityGroup];
const VNF_LISTS: [ItemList; 2] = [ItemList::Vld, ItemList::Vdur];

/// Plans what brings a service from what is to what is wanted.
///
/// # Errors
/// When the request names what does not exist, or parameters cannot be derived.
pub fn plan(
    facts: &Facts,
    wanted: &Wanted,
    action_id: &ActionId,
    comparison: Comparison,
    new_id: &mut dyn FnMut() -> ResourceId,
) -> Result<Plan, Error> {
    if let Some(vnf) = wanted.vnfs.iter().find(|vnf| !facts.vnfrs.iter().any(|record| record.id == vnf.id)) {
        return Err(Error::not_found("VNF", &vnf.id));
    }
    let mut builder = Builder::new(facts, wanted, action_id, comparison, new_id);
    let nsr_record: RecordId = facts.nsr.id.clone();
    for list in NS_LISTS {
        builder.list(Collection::Nsrs, &nsr_record, &facts.nsr.document, list, wanted.ns_items(list), None)?;
    }
    for record in &facts.vnfrs {
        let vnf = wanted.vnfs.iter().find(|vnf| vnf.id == record.id);
        for list in VNF_LISTS {
            let items = vnf.map_or(&[][..], |vnf| if list == ItemList::Vld { &vnf.vld } else { &vnf.vdur });
            builder.list(Collection::Vnfrs, &record.id, &record.document, list, items, vnf)?;
        }
    }
    builder.delete_what_lost_its_record();
    builder.finish()
}

/// Where a task goes.
enum Place {
    /// Into a new resource document.
    New(ResourceId),
    /// Into one that exists.
    Existing(ResourceId),
}

impl Place {
    fn id(&self) -> &ResourceId {
        match self {
            Self::New(id) | Self::Existing(id) => id,
        }
    }
}

/// A task that is planned and not yet linked to what it waits for.
struct Draft {
    task: Task,
    target: TargetId,
    place: Place,
    /// References of what it needs, as derived.
    needs: Vec<String>,
    /// Elements of an earlier try that have to be gone first.
    after_deletion_of: Vec<ResourceId>,
    /// Networks that a data-plane interface of it asks for.
    data_networks: Vec<String>,
    /// Index of its line in the plan.
    change: usize,
    /// Place in the request, for error texts.
    path: String,
}

/// What there is of an item on a target.
#[derive(Clone)]
enum Existing {
    Nothing,
    /// Held by the service, in working order or on its way.
    Held(ResourceId),
    /// Its creation failed, or its deletion was given up: to be cleared away.
    Broken(ResourceId, String),
    /// Known from the record alone.
    Recorded(Option<String>),
}

type Slot = (ItemRef, TargetId);

struct Builder<'f> {
    facts: &'f Facts,
    wanted: &'f Wanted,
    action_id: &'f ActionId,
    comparison: Comparison,
    new_id: &'f mut dyn FnMut() -> ResourceId,
    resources: HashMap<&'f ResourceId, &'f Resource>,
    /// What our documents know, by item and target.
    known: BTreeMap<Slot, Existing>,
    drafts: Vec<Draft>,
    changes: Vec<Change>,
    record_changes: Vec<RecordChange>,
    /// Shared elements that this very plan makes.
    shared_now: HashMap<(TargetId, Item, String), ResourceId>,
    seen: HashSet<Slot>,
}

impl<'f> Builder<'f> {
    fn new(
        facts: &'f Facts,
        wanted: &'f Wanted,
        action_id: &'f ActionId,
        comparison: Comparison,
        new_id: &'f mut dyn FnMut() -> ResourceId,
    ) -> Self {
        let mut known = BTreeMap::new();
        for resource in &facts.resources {
            for (slot, existing) in existing_of(facts, resource) {
                known.insert(slot, existing);
            }
        }
        Self {
            facts,
            wanted,
            action_id,
            comparison,
            new_id,
            resources: facts.resources.iter().map(|resource| (&resource.id, resource)).collect(),
            known,
            drafts: Vec::new(),
            changes: Vec::new(),
            record_changes: Vec::new(),
            shared_now: HashMap::new(),
            seen: HashSet::new(),
        }
    }

    /// Plans one list of one record: deletions, then creations.
    fn list(
        &mut self,
        collection: Collection,
        record: &RecordId,
        document: &Value,
        list: ItemList,
        wanted: &[WantedItem],
        vnf: Option<&WantedVnf>,
    ) -> Result<(), Error> {
        let existing = recorded_items(document, list);
        let item_ref = |item: &ItemId| ItemRef { collection, record: record.clone(), list, item: item.clone() };
        // Pass 1: what is there and not wanted.
        for (position, (id, item)) in existing.iter().enumerate() {
            let mut targets: Vec<TargetId> = recorded_targets(item);
            let of_item = item_ref(id);
            targets.extend(self.known.keys().filter(|(item, _)| *item == of_item).map(|(_, target)| target.clone()));
            targets.sort();
            targets.dedup();
            for target in targets {
                let slot = (of_item.clone(), target);
                self.seen.insert(slot.clone());
                if !wanted.iter().any(|item| item.id == *id && item.targets.iter().any(|(on, _)| *on == slot.1)) {
                    self.delete(slot, position, item, "not wanted any more");
                }
            }
        }
        // Pass 2: what is wanted.
        let mut appended = 0;
        for item in wanted {
            let of_item = item_ref(&item.id);
            let recorded = existing.iter().position(|(id, _)| *id == item.id);
            let position = recorded.unwrap_or_else(|| {
                appended += 1;
                existing.len() + appended - 1
            });
            let in_record = recorded.and_then(|index| existing.get(index)).map(|(_, value)| value);
            let mut made = Vec::new();
            let mut written = None;
            for (target, info) in &item.targets {
                let slot = (of_item.clone(), target.clone());
                self.seen.insert(slot.clone());
                if let Some(derived) = self.item(slot, position, item, vnf, (target, info), in_record)? {
                    made.push((target.clone(), info.clone()));
                    written = derived.or(written);
                }
            }
            if !made.is_empty() || recorded.is_none() {
                let document = written.unwrap_or_else(|| item.document.clone());
                self.record(&of_item, in_record, &document, &made);
            }
        }
        Ok(())
    }

    /// One wanted item on one target. Answers the item as it is to be recorded when something is made for it.
    #[expect(clippy::option_option, reason = "made or not, and if made perhaps with a changed item")]
    fn item(
        &mut self,
        slot: Slot,
        position: usize,
        item: &WantedItem,
        vnf: Option<&WantedVnf>,
        (target, info): (&TargetId, &Value),
        in_record: Option<&Value>,
    ) -> Result<Option<Option<Value>>, Error> {
        let existing = self.existing(&slot, in_record);
        let mut after_deletion_of = Vec::new();
        let reason = match existing {
            Existing::Held(id) => {
                self.unchanged(&id, &slot, item, vnf, (target, info))?;
                return Ok(None);
            }
            Existing::Recorded(Some(_)) => {
                let kind = kind_of(slot.0.list, target, info);
                self.line(slot, kind, Verb::Unchanged, "known from the record");
                return Ok(None);
            }
            Existing::Broken(id, why) => {
                self.delete_resource(&id, &slot, position, &format!("to be made anew: {why}"));
                after_deletion_of.push(id);
                format!("made anew, since {why}")
            }
            Existing::Nothing | Existing::Recorded(None) => {
                // An element that is still being deleted can hold the address or the name that the new one asks for.
                after_deletion_of.extend(self.facts.resources.iter().filter(|r| r.target == *target && is_leaving(r, &slot.0)).map(|r| r.id.clone()));
                "wanted and not there".to_owned()
            }
        };
        let derived = derive(self.facts, self.wanted, vnf, &slot.0, item, (target, info))?;
        let kind = kind_of(slot.0.list, target, info);
        let change = self.line(slot.clone(), kind, Verb::Create, &reason);
        let place = self.place(kind, target, item.common_id.as_deref());
        let record_item = derived.record_item.clone();
        let task = self.create_task(&slot.0, position, kind, &derived);
        self.drafts.push(Draft {
            task,
            target: target.clone(),
            place,
            needs: derived.depends_on,
            after_deletion_of,
            data_networks: derived.data_networks,
            change,
            path: item.path.clone(),
        });
        Ok(Some(record_item))
    }

    fn existing(&self, slot: &Slot, in_record: Option<&Value>) -> Existing {
        if let Some(existing) = self.known.get(slot) {
            return existing.clone();
        }
        let recorded = in_record.and_then(|item| item.get("vim_info")).and_then(|map| map.get(slot.1.to_string()));
        match recorded {
            Some(info) if !info.is_null() => {
                let vim_id = info.get("vim_id").and_then(Value::as_str).map(str::to_owned);
                let over = info.get("vim_status").and_then(Value::as_str) == Some("DELETED");
                if over { Existing::Nothing } else { Existing::Recorded(vim_id) }
            }
            _ => Existing::Nothing,
        }
    }

    fn unchanged(
        &mut self,
        id: &ResourceId,
        slot: &Slot,
        item: &WantedItem,
        vnf: Option<&WantedVnf>,
        on: (&TargetId, &Value),
    ) -> Result<(), Error> {
        let Some(resource) = self.resources.get(id).copied() else { return Ok(()) };
        let mut verb = Verb::Unchanged;
        let mut reason = "exists as wanted";
        if self.comparison == Comparison::Parameters {
            let derived = derive(self.facts, self.wanted, vnf, &slot.0, item, on)?;
            let fields = changed_fields(resource, &slot.0, &derived, &item.path)?;
            if !fields.is_empty() {
                let in_place = resource.item == Item::Vdu && fields.iter().all(|field| field == "flavor_id");
                verb = Verb::Changed { fields, remedy: if in_place { Remedy::InPlace } else { Remedy::ByReplacement } };
                reason = "exists with other parameters; a deploy acts on presence only";
            }
        }
        self.line(slot.clone(), resource.item, verb, reason);
        Ok(())
    }

    /// Where a new element's task goes: beside the task of whoever shares it, or into a document of its own.
    fn place(&mut self, kind: Item, target: &TargetId, common_id: Option<&str>) -> Place {
        let Some(common_id) = common_id else { return Place::New((self.new_id)()) };
        let shared = self.facts.shared.iter().chain(&self.facts.resources).find(|resource| {
            resource.item == kind
                && resource.target == *target
                && resource.live_creates().any(|task| task.common_id.as_deref() == Some(common_id) && task.status != TaskStatus::Failed)
        });
        if let Some(resource) = shared {
            return Place::Existing(resource.id.clone());
        }
        let key = (target.clone(), kind, common_id.to_owned());
        if let Some(id) = self.shared_now.get(&key) {
            return Place::New(id.clone());
        }
        let id = (self.new_id)();
        self.shared_now.insert(key, id.clone());
        Place::New(id)
    }

    fn create_task(&self, item: &ItemRef, position: usize, kind: Item, derived: &Derived) -> Task {
        Task {
            params: derived.params.clone(),
            find_params: derived.find_params.clone(),
            common_id: derived.common_id.clone(),
            mgmt_vnf_interface: derived.mgmt_vnf_interface.and_then(|index| usize::try_from(index).ok()),
            mgmt_vdu_interface: derived.mgmt_vdu_interface.and_then(|index| usize::try_from(index).ok()),
            ..self.task(TaskAction::Create, item, position, kind)
        }
    }

    fn task(&self, action: TaskAction, item: &ItemRef, position: usize, kind: Item) -> Task {
        Task {
            // The number follows when all tasks are known.
            id: placeholder_task_id(),
            action_id: self.action_id.clone(),
            nsr_id: self.facts.nsr_id.clone(),
            action,
            item: kind,
            status: TaskStatus::Scheduled,
            target_record: item.clone(),
            position,
            params: None,
            find_params: None,
            depends_on: Vec::new(),
            common_id: None,
            mgmt_vnf_interface: None,
            mgmt_vdu_interface: None,
            message: None,
            attempt: 0,
            not_before: None,
            connector_state: None,
        }
    }

    /// Something that is there and not wanted.
    fn delete(&mut self, slot: Slot, position: usize, in_record: &Value, reason: &str) {
        match self.existing(&slot, Some(in_record)) {
            Existing::Held(id) | Existing::Broken(id, _) => self.delete_resource(&id, &slot, position, reason),
            Existing::Recorded(_) => {
                // Nobody here made it, so there is nothing to delete: the task clears the record, as in NG-RO.
                let kind = in_record
                    .get("vim_info")
                    .and_then(|map| map.get(slot.1.to_string()))
                    .map_or_else(|| kind_of(slot.0.list, &slot.1, &Value::Null), |info| kind_of(slot.0.list, &slot.1, info));
                let change = self.line(slot.clone(), kind, Verb::Delete, "not wanted any more; known from the record alone");
                let task = self.task(TaskAction::Delete, &slot.0, position, kind);
                let place = Place::New((self.new_id)());
                self.drafts.push(Draft::of_deletion(task, slot.1, place, change));
            }
            Existing::Nothing => {}
        }
    }

    fn delete_resource(&mut self, id: &ResourceId, slot: &Slot, position: usize, reason: &str) {
        let Some(resource) = self.resources.get(id).copied() else { return };
        let change = self.line(slot.clone(), resource.item, Verb::Delete, reason);
        let task = self.task(TaskAction::Delete, &slot.0, position, resource.item);
        self.drafts.push(Draft::of_deletion(task, slot.1.clone(), Place::Existing(id.clone()), change));
    }

    /// Elements whose item or whole record a client has removed meanwhile: nobody can want them any more.
    fn delete_what_lost_its_record(&mut self) {
        let lost: Vec<Slot> = self.known.keys().filter(|slot| !self.seen.contains(*slot)).cloned().collect();
        for slot in lost {
            self.delete(slot, 0, &Value::Null, "its item is no longer in the records");
        }
    }

    /// The fields that make the record show what was planned: single keys, and the item as a whole only where there is none.
    fn record(&mut self, item: &ItemRef, in_record: Option<&Value>, document: &Value, made: &[(TargetId, Value)]) {
        let mut change = RecordChange::to_item(item);
        match in_record {
            None => change.insert = Some(document.clone()),
            Some(recorded) => {
                for (key, value) in document.as_object().into_iter().flatten() {
                    if key != "vim_info" && recorded.get(key) != Some(value) {
                        change.set.push((FieldPath::keys([key.as_str()]), value.clone()));
                    }
                }
                for (target, info) in made {
                    change.set.push((FieldPath::keys(["vim_info"]).key(target.to_string()), info.clone()));
                }
            }
        }
        if !change.is_empty() {
            self.record_changes.push(change);
        }
    }

    fn line(&mut self, (item, target): Slot, kind: Item, verb: Verb, reason: &str) -> usize {
        self.changes.push(Change { item, kind, target, verb, reason: reason.to_owned(), after: Vec::new() });
        self.changes.len() - 1
    }

    /// Numbers the tasks, links them, and sorts them into documents.
    fn finish(mut self) -> Result<Plan, Error> {
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
            .flat_map(|draft| draft.data_networks.iter().map(|network| (draft.target.clone(), network.clone())))
            .collect();
        let mut texts = Vec::new();
        for draft in &mut drafts {
            match draft.task.action {
                TaskAction::Delete => self.link_deletion(draft, &deletions),
                _ => link_creation(draft, &links)?,
            }
            let reference = (draft.target.clone(), draft.task.target_record.to_string());
            if draft.task.item == Item::Net && data_networks.contains(&reference) {
                if let Some(params) = draft.task.params.as_mut().and_then(Value::as_object_mut) {
                    params.insert("net_type".to_owned(), Value::String("data".to_owned()));
                }
            }
            for value in draft.task.params.iter_mut().chain(draft.task.find_params.iter_mut()) {
                texts::extract(value, &mut texts, &draft.path)?;
            }
            if let Some(line) = self.changes.get_mut(draft.change) {
                line.after = draft.task.depends_on.iter().map(|dependency| dependency.reference.clone()).collect();
            }
        }
        let (new_resources, updates) = self.documents(drafts);
        Ok(Plan {
            changes: self.changes,
            nsr_id: self.facts.nsr_id.clone(),
            action_id: self.action_id.clone(),
            revision: self.facts.revision,
            now: self.facts.now,
            new_resources,
            updates,
            record_changes: self.record_changes,
            texts,
        })
    }

    /// What references mean in this plan.
    fn links(&self, drafts: &[Draft]) -> HashMap<(TargetId, String), Link> {
        let mut links = HashMap::new();
        let records = std::iter::once((Collection::Nsrs, &self.facts.nsr)).chain(self.facts.vnfrs.iter().map(|vnfr| (Collection::Vnfrs, vnfr)));
        for (collection, record) in records {
            for list in collection.lists() {
                for (item, value) in recorded_items(&record.document, *list) {
                    let item_ref = ItemRef { collection, record: record.id.clone(), list: *list, item };
                    for target in recorded_targets(&value) {
                        let slot = (item_ref.clone(), target);
                        if let Existing::Recorded(Some(vim_id)) = self.existing(&slot, Some(&value)) {
                            links.insert((slot.1, slot.0.to_string()), Link::Literal(vim_id));
                        }
                    }
                }
            }
        }
        for ((item, target), existing) in &self.known {
            if let Existing::Held(id) = existing {
                links.insert((target.clone(), item.to_string()), Link::Resource(id.clone()));
            }
        }
        for draft in drafts.iter().filter(|draft| draft.task.action == TaskAction::Create) {
            let key = (draft.target.clone(), draft.task.target_record.to_string());
            links.insert(key, Link::Resource(draft.place.id().clone()));
        }
        links
    }

    /// A deletion waits for the deletion of everything that was made with the element.
    fn link_deletion(&self, draft: &mut Draft, deletions: &HashMap<ResourceId, String>) {
        for user in self.facts.resources.iter().filter(|user| user.uses.contains(draft.place.id())) {
            let leaving = deletions.get(&user.id).cloned().or_else(|| {
                user.tasks
                    .iter()
                    .find(|task| task.action == TaskAction::Delete && task.status.is_open())
                    .map(|task| task.target_record.to_string())
            });
            if let Some(reference) = leaving {
                draft.task.depends_on.push(Dependency { reference, resource: user.id.clone(), until: Until::Deleted });
            }
        }
    }

    fn documents(&self, drafts: Vec<Draft>) -> (Vec<Resource>, Vec<ResourceUpdate>) {
        let mut new: Vec<Resource> = Vec::new();
        let mut updates: Vec<ResourceUpdate> = Vec::new();
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
                    if let Some(resource) = new.iter_mut().find(|resource| resource.id == id) {
                        resource.tasks.push(draft.task);
                        continue;
                    }
                    new.push(Resource {
                        id,
                        target: draft.target,
                        item: draft.task.item,
                        generation: 1,
                        tasks: vec![draft.task],
                        vim: VimState::default(),
                        journal: Vec::new(),
                        uses,
                        observe_at: None,
                        observed_unchanged: 0,
                        created_at: self.facts.now,
                        modified_at: self.facts.now,
                        revision: 0,
                    });
                }
                Place::Existing(id) => {
                    if let Some(update) = updates.iter_mut().find(|update| update.resource == id) {
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
                    updates.push(ResourceUpdate { resource: id, expected, tasks: vec![draft.task], uses });
                }
            }
        }
        (new, updates)
    }
}

impl Draft {
    fn of_deletion(task: Task, target: TargetId, place: Place, change: usize) -> Self {
        Self {
            task,
            target,
            place,
            needs: Vec::new(),
            after_deletion_of: Vec::new(),
            data_networks: Vec::new(),
            change,
            path: String::new(),
        }
    }
}

/// What a reference stands for.
enum Link {
    /// An element with a resource document.
    Resource(ResourceId),
    /// An element known from the record alone: its id is put in at once.
    Literal(String),
}

fn link_creation(draft: &mut Draft, links: &HashMap<(TargetId, String), Link>) -> Result<(), Error> {
    for needed in &draft.needs {
        let (target, reference) = match needed.split_once(' ') {
            Some((target, reference)) => {
                let target = target.parse().map_err(|error| Error::shape(draft.path.clone(), format!("{error}")))?;
                (target, reference.to_owned())
            }
            None => (draft.target.clone(), needed.clone()),
        };
        match links.get(&(target.clone(), reference.clone())) {
            Some(Link::Resource(id)) => draft.task.depends_on.push(Dependency {
                reference: needed.clone(),
                resource: id.clone(),
                until: Until::Created,
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
    for id in std::mem::take(&mut draft.after_deletion_of) {
        let reference = draft.task.target_record.to_string();
        draft.task.depends_on.push(Dependency { reference, resource: id, until: Until::Deleted });
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

/// What a resource document says about the items it serves.
fn existing_of(facts: &Facts, resource: &Resource) -> Vec<(Slot, Existing)> {
    let mut slots: Vec<(Slot, Existing)> = resource
        .live_creates()
        .filter(|task| task.nsr_id == facts.nsr_id)
        .map(|task| {
            let slot = (task.target_record.clone(), resource.target.clone());
            let existing = if task.status == TaskStatus::Failed {
                let why = task.message.as_deref().unwrap_or("its creation failed");
                Existing::Broken(resource.id.clone(), why.to_owned())
            } else {
                Existing::Held(resource.id.clone())
            };
            (slot, existing)
        })
        .collect();
    if slots.is_empty() && resource.may_exist() && !resource.has_open_tasks() {
        let last = resource.tasks.iter().rev().find(|task| task.nsr_id == facts.nsr_id);
        if let Some(task) = last {
            let slot = (task.target_record.clone(), resource.target.clone());
            slots.push((slot, Existing::Broken(resource.id.clone(), "its deletion was given up".to_owned())));
        }
    }
    slots
}

/// Whether an element of this item is on its way out.
fn is_leaving(resource: &Resource, item: &ItemRef) -> bool {
    resource
        .tasks
        .iter()
        .any(|task| task.action == TaskAction::Delete && task.status.is_open() && task.target_record == *item)
}

/// Items of a list of a record, with their ids.
fn recorded_items(document: &Value, list: ItemList) -> Vec<(ItemId, Value)> {
    let items = document.get(list.as_str()).and_then(Value::as_array);
    items
        .into_iter()
        .flatten()
        .enumerate()
        .filter_map(|(position, item)| {
            let id = match item.get("id") {
                Some(Value::String(id)) => id.clone(),
                Some(Value::Number(id)) => id.to_string(),
                _ => position.to_string(),
            };
            ItemId::new(id).ok().map(|id| (id, item.clone()))
        })
        .collect()
}

/// Targets on which the record says something of the item.
fn recorded_targets(item: &Value) -> Vec<TargetId> {
    item.get("vim_info")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter(|(_, info)| !info.is_null())
        .filter_map(|(target, _)| target.parse().ok())
        .collect()
}

/// Names of the parameters in which an element differs from what is wanted now.
fn changed_fields(resource: &Resource, item: &ItemRef, derived: &Derived, path: &str) -> Result<Vec<String>, Error> {
    let Some(task) = resource.live_creates().find(|task| task.target_record == *item) else { return Ok(Vec::new()) };
    let mut fields = Vec::new();
    for (old, new) in [(&task.params, &derived.params), (&task.find_params, &derived.find_params)] {
        let mut new = new.clone().unwrap_or(Value::Null);
        texts::extract(&mut new, &mut Vec::new(), path)?;
        let old = old.clone().unwrap_or(Value::Null);
        let keys = old.as_object().into_iter().chain(new.as_object()).flat_map(|map| map.keys());
        for key in keys {
            // A network that a data-plane interface turned into one is what was wanted.
            let turned = key == "net_type" && old.get(key) == Some(&Value::String("data".to_owned()));
            if !turned && old.get(key) != new.get(key) && !fields.contains(key) {
                fields.push(key.clone());
            }
        }
    }
    Ok(fields)
}

fn placeholder_task_id() -> TaskId {
    TaskId::random()
}
