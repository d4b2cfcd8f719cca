//! The planner itself.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Value, json};
use vimhost_model::{
    ActionId, Collection, Dependency, FieldPath, Item, ItemId, ItemList, ItemRef, RecordChange, RecordId, Resource,
    ResourceId, TargetId, Task, TaskAction, TaskId, TaskStatus,
};

use super::assembly::{self, What};
use super::compare::changed_fields;
use super::connect::Joined;
use super::derivation::{derive, kind_of};
use super::existing::{existing_of, recorded_items, recorded_targets, why_left};
use super::{Change, Comparison, Facts, Plan, Remedy, Verb};
use crate::Error;
use crate::derive::Derived;
use crate::wanted::{Wanted, WantedItem, WantedVnf};

/// Lists of the NS record in the order NG-RO plans them (`ns.py`), then those of each VNF, then shared volumes.
const NS_LISTS: [ItemList; 4] = [
    ItemList::Vld,
    ItemList::Image,
    ItemList::Flavor,
    ItemList::AffinityGroup,
];
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
    if let Some(vnf) = wanted
        .vnfs
        .iter()
        .find(|vnf| !facts.vnfrs.iter().any(|record| record.id == vnf.id))
    {
        return Err(Error::not_found("VNF", &vnf.id));
    }
    let mut builder = Builder::new(facts, wanted, action_id, comparison, new_id);
    let nsr_record: RecordId = facts.nsr.id.clone();
    let of_the_service = |builder: &mut Builder<'_>, list| {
        let items = wanted.ns_items(list);
        builder.list(Collection::Nsrs, &nsr_record, &facts.nsr.document, list, items, None)
    };
    for list in NS_LISTS {
        of_the_service(&mut builder, list)?;
    }
    for record in &facts.vnfrs {
        let vnf = wanted.vnfs.iter().find(|vnf| vnf.id == record.id);
        for list in VNF_LISTS {
            let items = vnf.map_or(&[][..], |vnf| if list == ItemList::Vld { &vnf.vld } else { &vnf.vdur });
            builder.list(Collection::Vnfrs, &record.id, &record.document, list, items, vnf)?;
        }
    }
    of_the_service(&mut builder, ItemList::SharedVolumes)?;
    builder.delete_what_lost_its_record();
    builder.connect();
    builder.finish()
}

/// Where a task goes.
pub(super) enum Place {
    /// Into a new resource document.
    New(ResourceId),
    /// Into one that exists.
    Existing(ResourceId),
}

impl Place {
    pub(super) fn id(&self) -> &ResourceId {
        match self {
            Self::New(id) | Self::Existing(id) => id,
        }
    }
}

/// A task that is planned and not yet linked to what it waits for.
pub(super) struct Draft {
    pub(super) task: Task,
    pub(super) target: TargetId,
    pub(super) place: Place,
    /// References of what it needs, as derived.
    pub(super) needs: Vec<String>,
    /// Elements of an earlier try that have to be gone first.
    pub(super) after_deletion_of: Vec<ResourceId>,
    /// Networks that a data-plane interface of it asks for.
    pub(super) data_networks: Vec<String>,
    /// Interfaces of VMs that it joins.
    pub(super) located: Vec<Dependency>,
    /// Index of its line in the plan.
    pub(super) change: usize,
    /// Place in the request, for error texts.
    pub(super) path: String,
}

/// What there is of an item on a target.
#[derive(Clone)]
pub(super) enum Existing {
    Nothing,
    /// Held by the service: in working order, on its way, or in error since it was in service.
    Held(ResourceId),
    /// To be cleared away, and why: creations that failed, deletions that are under way or were given up. Several tries can have
    /// left something.
    Broken(Vec<(ResourceId, String)>),
    /// Known from the record alone.
    Recorded(Option<String>),
}

/// What our documents know of an item on a target.
#[derive(Default)]
pub(super) struct Known {
    pub(super) held: Option<ResourceId>,
    broken: Vec<(ResourceId, String)>,
}

/// What comes after a deletion.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing.
    Over,
    /// A new element of the same item.
    Replaced,
}

pub(super) type Slot = (ItemRef, TargetId);

pub(super) struct Builder<'f> {
    pub(super) facts: &'f Facts,
    wanted: &'f Wanted,
    pub(super) action_id: &'f ActionId,
    comparison: Comparison,
    pub(super) new_id: &'f mut dyn FnMut() -> ResourceId,
    pub(super) resources: HashMap<&'f ResourceId, &'f Resource>,
    /// What our documents know, by item and target.
    pub(super) known: BTreeMap<ItemRef, BTreeMap<TargetId, Known>>,
    /// Who was made with an element.
    pub(super) users: HashMap<&'f ResourceId, Vec<&'f Resource>>,
    pub(super) drafts: Vec<Draft>,
    pub(super) changes: Vec<Change>,
    pub(super) record_changes: Vec<RecordChange>,
    /// Connectivity services that are held.
    pub(super) joined: Vec<Joined>,
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
        let mut known: BTreeMap<ItemRef, BTreeMap<TargetId, Known>> = BTreeMap::new();
        let mut users: HashMap<&ResourceId, Vec<&Resource>> = HashMap::new();
        for resource in &facts.resources {
            for (item, broken) in existing_of(facts, resource) {
                let slot = known
                    .entry(item)
                    .or_default()
                    .entry(resource.target.clone())
                    .or_default();
                match broken {
                    None => slot.held = Some(resource.id.clone()),
                    Some(why) => slot.broken.push((resource.id.clone(), why)),
                }
            }
            for used in &resource.uses {
                users.entry(used).or_default().push(resource);
            }
        }
        Self {
            facts,
            wanted,
            action_id,
            comparison,
            new_id,
            resources: facts
                .resources
                .iter()
                .map(|resource| (&resource.id, resource))
                .collect(),
            known,
            users,
            drafts: Vec::new(),
            changes: Vec::new(),
            record_changes: Vec::new(),
            joined: Vec::new(),
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
        let item_ref = |item: &ItemId| ItemRef {
            collection,
            record: record.clone(),
            list,
            item: item.clone(),
        };
        let by_id: HashMap<&ItemId, &WantedItem> = wanted.iter().map(|item| (&item.id, item)).collect();
        let positions: HashMap<&ItemId, usize> = existing
            .iter()
            .enumerate()
            .rev()
            .map(|(position, (id, _))| (id, position))
            .collect();
        // Pass 1: what is there and not wanted.
        for (position, (id, item)) in existing.iter().enumerate() {
            let mut targets: Vec<TargetId> = recorded_targets(item);
            let of_item = item_ref(id);
            targets.extend(self.known.get(&of_item).into_iter().flat_map(BTreeMap::keys).cloned());
            targets.sort();
            targets.dedup();
            let asked = by_id.get(id);
            for target in targets {
                let slot = (of_item.clone(), target);
                self.seen.insert(slot.clone());
                if !asked.is_some_and(|item| item.targets.iter().any(|(on, _)| *on == slot.1)) {
                    self.delete(slot, position, item, "not wanted any more");
                }
            }
        }
        // Pass 2: what is wanted.
        let mut appended = 0;
        for item in wanted {
            let of_item = item_ref(&item.id);
            let recorded = positions.get(&item.id).copied();
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
    #[expect(
        clippy::option_option,
        reason = "made or not, and if made perhaps with a changed item"
    )]
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
                if kind_of(slot.0.list, target, info) == Item::SdnNet {
                    let derived = derive(self.facts, self.wanted, vnf, &slot.0, item, (target, info))?;
                    self.joined.push(Joined {
                        slot,
                        position,
                        id,
                        derived,
                        info: info.clone(),
                        path: item.path.clone(),
                        line: self.changes.len().saturating_sub(1),
                    });
                }
                return Ok(None);
            }
            Existing::Recorded(Some(_)) => {
                let kind = kind_of(slot.0.list, target, info);
                self.line(slot, kind, Verb::Unchanged, "known from the record");
                return Ok(None);
            }
            // What an earlier try left can hold the address or the name that the new one asks for.
            Existing::Broken(left) => {
                for (id, why) in &left {
                    self.delete_resource(id, &slot, position, &format!("to be made anew: {why}"), Fate::Replaced);
                    after_deletion_of.push(id.clone());
                }
                let why = left.first().map_or("it failed", |(_, why)| why.as_str());
                format!("made anew, since {why}")
            }
            Existing::Nothing | Existing::Recorded(None) => "wanted and not there".to_owned(),
        };
        let derived = derive(self.facts, self.wanted, vnf, &slot.0, item, (target, info))?;
        let reason = match derived.params {
            Some(_) => reason,
            None => format!("{reason}; looked up in the VIM, never made"),
        };
        let kind = kind_of(slot.0.list, target, info);
        let change = self.line(slot.clone(), kind, Verb::Create, &reason);
        let place = self.place(kind, target, item.common_id.as_deref());
        let record_item = derived.record_item.clone();
        after_deletion_of.retain(|id| id != place.id());
        let task = self.create_task(&slot.0, position, kind, &derived);
        self.drafts.push(Draft {
            needs: derived.depends_on,
            after_deletion_of,
            data_networks: derived.data_networks,
            ..Draft::bare(task, target.clone(), place, change, item.path.clone())
        });
        Ok(Some(record_item))
    }

    pub(super) fn existing(&self, slot: &Slot, in_record: Option<&Value>) -> Existing {
        if let Some(known) = self.known.get(&slot.0).and_then(|targets| targets.get(&slot.1)) {
            return match &known.held {
                Some(id) => Existing::Held(id.clone()),
                None => Existing::Broken(known.broken.clone()),
            };
        }
        let recorded = in_record
            .and_then(|item| item.get("vim_info"))
            .and_then(|map| map.get(slot.1.to_string()));
        match recorded {
            Some(info) if !info.is_null() => {
                let vim_id = info.get("vim_id").and_then(Value::as_str).map(str::to_owned);
                let over = info.get("vim_status").and_then(Value::as_str) == Some("DELETED");
                if over {
                    Existing::Nothing
                } else {
                    Existing::Recorded(vim_id)
                }
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
        let Some(resource) = self.resources.get(id).copied() else {
            return Ok(());
        };
        let mut verb = Verb::Unchanged;
        let mut reason = why_left(resource);
        if self.comparison == Comparison::Parameters {
            let derived = derive(self.facts, self.wanted, vnf, &slot.0, item, on)?;
            let id_of = |reference: &str| self.id_of(reference, &slot.1);
            let fields = changed_fields(resource, &slot.0, &derived, &item.path, &id_of)?;
            if !fields.is_empty() {
                let in_place = resource.item == Item::Vdu && fields.iter().all(|field| field == "flavor_id");
                verb = Verb::Changed {
                    fields,
                    remedy: if in_place {
                        Remedy::InPlace
                    } else {
                        Remedy::ByReplacement
                    },
                };
                reason = "exists with other parameters; a deploy acts on presence only";
            }
        }
        self.line(slot.clone(), resource.item, verb, reason);
        Ok(())
    }

    /// The id of what a reference stands for on a target, where it is ours.
    pub(super) fn id_of(&self, reference: &str, target: &TargetId) -> Option<String> {
        let (_, targets) = self.known.iter().find(|(item, _)| item.to_string() == reference)?;
        let resource = self.resources.get(targets.get(target)?.held.as_ref()?)?;
        resource.vim.vim_id.as_ref().map(ToString::to_string)
    }

    /// Where a new element's task goes: beside the task of whoever shares it, or into a document of its own.
    fn place(&mut self, kind: Item, target: &TargetId, common_id: Option<&str>) -> Place {
        let Some(common_id) = common_id else {
            return Place::New((self.new_id)());
        };
        let shared = self.facts.shared.iter().chain(&self.facts.resources).find(|resource| {
            resource.item == kind
                && resource.target == *target
                && resource
                    .live_creates()
                    .any(|task| task.common_id.as_deref() == Some(common_id) && task.status != TaskStatus::Failed)
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

    pub(super) fn create_task(&self, item: &ItemRef, position: usize, kind: Item, derived: &Derived) -> Task {
        Task {
            params: derived.params.clone(),
            find_params: derived.find_params.clone(),
            common_id: derived.common_id.clone(),
            mgmt_vnf_interface: derived.mgmt_vnf_interface.and_then(|index| usize::try_from(index).ok()),
            mgmt_vdu_interface: derived.mgmt_vdu_interface.and_then(|index| usize::try_from(index).ok()),
            interface_places: derived.interface_places.clone(),
            ..self.task(TaskAction::Create, item, position, kind)
        }
    }

    pub(super) fn task(&self, action: TaskAction, item: &ItemRef, position: usize, kind: Item) -> Task {
        let what = What {
            action,
            item: kind,
            record: item,
            position,
        };
        // The number follows when all tasks are known.
        assembly::task(self.facts, self.action_id, placeholder_task_id(), what)
    }

    /// Something that is there and not wanted.
    fn delete(&mut self, slot: Slot, position: usize, in_record: &Value, reason: &str) {
        match self.existing(&slot, Some(in_record)) {
            Existing::Held(id) => {
                let left = self.known.get(&slot.0).and_then(|targets| targets.get(&slot.1));
                let left = left.map(|known| known.broken.clone()).unwrap_or_default();
                self.delete_resource(&id, &slot, position, reason, Fate::Over);
                for (id, _) in &left {
                    self.delete_resource(id, &slot, position, reason, Fate::Over);
                }
            }
            Existing::Broken(left) => {
                for (id, _) in &left {
                    self.delete_resource(id, &slot, position, reason, Fate::Over);
                }
            }
            Existing::Recorded(_) => {
                // Nobody here made it, so there is nothing to delete: the task clears the record, as in NG-RO.
                let kind = in_record
                    .get("vim_info")
                    .and_then(|map| map.get(slot.1.to_string()))
                    .map_or_else(
                        || kind_of(slot.0.list, &slot.1, &Value::Null),
                        |info| kind_of(slot.0.list, &slot.1, info),
                    );
                let change = self.line(
                    slot.clone(),
                    kind,
                    Verb::Delete,
                    "not wanted any more; known from the record alone",
                );
                let task = self.task(TaskAction::Delete, &slot.0, position, kind);
                let place = Place::New((self.new_id)());
                self.drafts.push(Draft::of_deletion(task, slot.1, place, change));
            }
            Existing::Nothing => {}
        }
    }

    fn delete_resource(&mut self, id: &ResourceId, slot: &Slot, position: usize, reason: &str, fate: Fate) {
        let Some(resource) = self.resources.get(id).copied() else {
            return;
        };
        let change = self.line(slot.clone(), resource.item, Verb::Delete, reason);
        let task = self.deletion(&slot.0, position, resource.item, fate);
        self.drafts.push(Draft::of_deletion(
            task,
            slot.1.clone(),
            Place::Existing(id.clone()),
            change,
        ));
    }

    pub(super) fn deletion(&self, item: &ItemRef, position: usize, kind: Item, fate: Fate) -> Task {
        Task {
            params: (fate == Fate::Replaced).then(|| json!({ super::REPLACED: true })),
            ..self.task(TaskAction::Delete, item, position, kind)
        }
    }

    /// Elements whose item or whole record a client has removed meanwhile: nobody can want them any more.
    fn delete_what_lost_its_record(&mut self) {
        let lost: Vec<Slot> = self
            .known
            .iter()
            .flat_map(|(item, targets)| targets.keys().map(|target| (item.clone(), target.clone())))
            .filter(|slot| !self.seen.contains(slot))
            .collect();
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
                // The word that the end of the last one left; only VMs get another one from results.
                if document.get("status").is_none() && recorded.get("status").is_some_and(|status| status == "DELETED")
                {
                    change.unset.push(FieldPath::keys(["status"]));
                }
                for (target, info) in made {
                    change
                        .set
                        .push((FieldPath::keys(["vim_info"]).key(target.to_string()), info.clone()));
                }
            }
        }
        if !change.is_empty() {
            self.record_changes.push(change);
        }
    }

    pub(super) fn line(&mut self, (item, target): Slot, kind: Item, verb: Verb, reason: &str) -> usize {
        self.changes.push(Change {
            item,
            kind,
            target,
            verb,
            reason: reason.to_owned(),
            after: Vec::new(),
        });
        self.changes.len() - 1
    }

    /// A line says something else after all.
    pub(super) fn amend(&mut self, line: usize, verb: Verb, reason: &str) {
        if let Some(line) = self.changes.get_mut(line) {
            line.verb = verb;
            reason.clone_into(&mut line.reason);
        }
    }
}

impl Draft {
    pub(super) fn of_deletion(task: Task, target: TargetId, place: Place, change: usize) -> Self {
        Self::bare(task, target, place, change, String::new())
    }

    /// A task that waits for nothing.
    pub(super) fn bare(task: Task, target: TargetId, place: Place, change: usize, path: String) -> Self {
        Self {
            task,
            target,
            place,
            needs: Vec::new(),
            after_deletion_of: Vec::new(),
            data_networks: Vec::new(),
            located: Vec::new(),
            change,
            path,
        }
    }
}

fn placeholder_task_id() -> TaskId {
    TaskId::random()
}
