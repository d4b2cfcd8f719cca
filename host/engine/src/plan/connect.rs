//! Which interfaces of VMs a connectivity service joins, and when that changes.
//!
//! NG-RO collects the interfaces again whenever it looks at a service. Here the plan does it: a service depends on the VMs whose
//! interfaces it joins, so it is made once, when all of them are where they are going to be, and an action is not done before its services
//! are. Scaling, healing, migrating or resizing a VM changes what is joined; then the service gets an UPDATE of its own. A
//! service that comes to have fewer than two ends is given up, and one that comes to have two is made.
//!
//! A VM's deletion does not wait for the service that joined it: a controller that is down must not keep VMs alive.

use std::collections::{HashMap, HashSet};

use serde_json::Value;
use vimhost_model::{
    Dependency, FieldPath, Item, ItemList, ItemRef, RecordChange, Resource, ResourceId, TargetId, Task, TaskAction,
    TaskStatus, Until,
};

use super::Verb;
use super::assembly::{Assembly, What};
use super::builder::{Builder, Draft, Fate, Place, Slot};
use super::recreate::recorded_id;
use crate::Error;
use crate::derive::{Derived, placeholder};
use crate::machine::{DataPlane, FEWEST_ENDS, Location, data_plane, given_ports, location};

/// A service that is held, and what it would be made from now.
pub(super) struct Joined {
    pub(super) slot: Slot,
    pub(super) position: usize,
    pub(super) id: ResourceId,
    pub(super) derived: Derived,
    /// Value of `vim_info.<target>` in the request.
    pub(super) info: Value,
    /// Place in the request, for error texts.
    pub(super) path: String,
    /// Its line in the plan.
    pub(super) line: usize,
}

/// A VM with interfaces at the data plane that is there when the plan is carried out.
struct Vm {
    item: ItemRef,
    target: TargetId,
    resource: ResourceId,
    /// Interface and network, an id or what stands for one.
    interfaces: Vec<(usize, String)>,
}

impl Vm {
    fn of(item: &ItemRef, target: &TargetId, resource: &ResourceId, params: Option<&Value>) -> Option<Self> {
        let interface = |interface: DataPlane<'_>| (interface.interface, interface.network.to_owned());
        let interfaces: Vec<_> = data_plane(params).into_iter().map(interface).collect();
        (!interfaces.is_empty()).then(|| Self {
            item: item.clone(),
            target: target.clone(),
            resource: resource.clone(),
            interfaces,
        })
    }
}

impl Builder<'_> {
    /// Plans what services join, once everything else is planned.
    pub(super) fn connect(&mut self) {
        let joined = std::mem::take(&mut self.joined);
        let is_new = |draft: &Draft| draft.task.action == TaskAction::Create && draft.task.item == Item::SdnNet;
        if joined.is_empty() && !self.drafts.iter().any(is_new) {
            return;
        }
        let vms = self.vms();
        let located: Vec<(usize, Vec<Dependency>)> = self
            .drafts
            .iter()
            .enumerate()
            .filter(|(_, draft)| is_new(draft))
            .map(|(index, draft)| {
                let params = draft.task.params.as_ref();
                (index, self.joins(&draft.task.target_record, params, &vms))
            })
            .collect();
        for (index, located) in located {
            if let Some(draft) = self.drafts.get_mut(index) {
                draft.located = located;
            }
        }
        for service in joined {
            self.reconnect(service, &vms);
        }
    }

    /// VMs with interfaces at the data plane, those that stay and those that are new.
    fn vms(&self) -> Vec<Vm> {
        let leaving: HashSet<&ResourceId> = self
            .drafts
            .iter()
            .filter(|draft| draft.task.action == TaskAction::Delete)
            .map(|draft| draft.place.id())
            .collect();
        let mut vms = Vec::new();
        for (item, targets) in self.known.iter().filter(|(item, _)| item.list == ItemList::Vdur) {
            for (target, known) in targets {
                let Some(id) = known.held.as_ref().filter(|id| !leaving.contains(id)) else {
                    continue;
                };
                let creation = self
                    .resources
                    .get(id)
                    .and_then(|resource| resource.live_creates().find(|task| task.target_record == *item));
                vms.extend(creation.and_then(|task| Vm::of(item, target, id, task.params.as_ref())));
            }
        }
        let made = self
            .drafts
            .iter()
            .filter(|draft| draft.task.action == TaskAction::Create && draft.task.item == Item::Vdu);
        vms.extend(made.filter_map(|draft| {
            let task = &draft.task;
            Vm::of(
                &task.target_record,
                &draft.target,
                draft.place.id(),
                task.params.as_ref(),
            )
        }));
        vms
    }

    /// The interfaces that a service with these parameters joins: those on its virtual links, on its VIM where it names one.
    fn joins(&self, own: &ItemRef, params: Option<&Value>, vms: &[Vm]) -> Vec<Dependency> {
        let of = |key: &str| params.and_then(|params| params.get(key));
        let named: Vec<String> = of("vlds")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|vld| vld.as_str().map(str::to_owned))
            .collect();
        let links = if named.is_empty() { vec![own.to_string()] } else { named };
        let vim = of("target_vim").and_then(Value::as_str);
        let mut joins = Vec::new();
        let mut names_on: HashMap<&TargetId, HashSet<String>> = HashMap::new();
        for vm in vms {
            let target = vm.target.to_string();
            if vim.is_some_and(|vim| vim != target) {
                continue;
            }
            let names = names_on
                .entry(&vm.target)
                .or_insert_with(|| links.iter().flat_map(|link| self.names(link, &vm.target)).collect());
            let on_it = vm.interfaces.iter().filter(|(_, network)| names.contains(network));
            let interfaces: Vec<usize> = on_it.map(|(interface, _)| *interface).collect();
            if !interfaces.is_empty() {
                joins.push(Dependency {
                    reference: format!("{target} {}", vm.item),
                    resource: vm.resource.clone(),
                    until: Until::Located,
                    interfaces,
                });
            }
        }
        joins
    }

    /// How parameters of VMs name the network of a virtual link: by what stands for its id, or, when they were made anew, by the id.
    fn names(&self, link: &str, target: &TargetId) -> Vec<String> {
        let mut names = vec![placeholder(link)];
        names.extend(self.id_of(link, target));
        names.extend(recorded_id(self.facts, link, target));
        names
    }

    /// Plans what becomes of a service that is there.
    fn reconnect(&mut self, service: Joined, vms: &[Vm]) {
        let Some(resource) = self.resources.get(&service.id).copied() else {
            return;
        };
        let creation = resource
            .live_creates()
            .find(|task| task.nsr_id == self.facts.nsr_id && task.target_record == service.slot.0);
        let Some(creation) = creation else { return };
        let wanted = self.joins(&service.slot.0, creation.params.as_ref(), vms);
        let given = given_ports(creation.params.as_ref()).len();
        let last = last_word(resource).unwrap_or(creation);
        let present = located(last);
        let is_service =
            resource.vim.vim_id.is_some() || (last.status.is_open() && ends(&present, given) >= FEWEST_ENDS);
        let wants_service = ends(&wanted, given) >= FEWEST_ENDS;
        if is_service != wants_service {
            let reason = if wants_service {
                "there is something to join now"
            } else {
                "there is nothing to join any more"
            };
            self.replace(service, vms, reason);
            return;
        }
        let same = sources(&wanted) == sources(&present);
        if !wants_service || (same && last.status.is_open()) {
            return;
        }
        let keys = self.keys(&wanted);
        if !last.status.is_open() && keys.is_some_and(|keys| keys == sorted(&resource.vim.connected_ports)) {
            return;
        }
        let task = Task {
            params: creation.params.clone(),
            ..self.task(TaskAction::Update, &service.slot.0, service.position, Item::SdnNet)
        };
        self.amend(service.line, Verb::Update, "it joins other interfaces");
        self.drafts.push(Draft {
            located: wanted,
            ..Draft::bare(
                task,
                service.slot.1,
                Place::Existing(service.id),
                service.line,
                service.path,
            )
        });
    }

    /// A service that is not needed any more makes room for an item without one, or the other way round.
    fn replace(&mut self, service: Joined, vms: &[Vm], reason: &str) {
        let Joined {
            slot,
            position,
            id,
            derived,
            info,
            path,
            line,
        } = service;
        let task = self.deletion(&slot.0, position, Item::SdnNet, Fate::Replaced);
        self.amend(line, Verb::Delete, reason);
        let place = Place::Existing(id.clone());
        self.drafts.push(Draft::of_deletion(task, slot.1.clone(), place, line));

        let located = self.joins(&slot.0, derived.params.as_ref(), vms);
        let change = self.line(slot.clone(), Item::SdnNet, Verb::Create, reason);
        let task = self.create_task(&slot.0, position, Item::SdnNet, &derived);
        let place = Place::New((self.new_id)());
        self.drafts.push(Draft {
            needs: derived.depends_on,
            after_deletion_of: vec![id],
            located,
            ..Draft::bare(task, slot.1.clone(), place, change, path)
        });
        // What the record says is about the one that goes.
        let mut change = RecordChange::to_item(&slot.0);
        let path = FieldPath::keys(["vim_info"]).key(slot.1.to_string());
        change.set.push((path, info));
        self.record_changes.push(change);
    }

    /// Where the interfaces are that are to be joined; none as long as that is not known of all.
    fn keys(&self, wanted: &[Dependency]) -> Option<Vec<String>> {
        let mut keys = Vec::new();
        for dependency in wanted {
            let vm = self.resources.get(&dependency.resource)?;
            let Location::Known(ports) = location(vm) else {
                return None;
            };
            for interface in &dependency.interfaces {
                keys.push(ports.iter().find(|port| port.interface == *interface)?.key());
            }
        }
        Some(sorted(&keys))
    }
}

/// Lets services follow VMs that an operation moves or makes anew.
pub(super) fn follow(assembly: &mut Assembly<'_>) -> Result<(), Error> {
    let moved = std::mem::take(&mut assembly.moved);
    if moved.is_empty() {
        return Ok(());
    }
    let facts = assembly.facts;
    for resource in facts.resources.iter().filter(|resource| resource.item == Item::SdnNet) {
        let creation = resource.live_creates().find(|task| task.nsr_id == facts.nsr_id);
        let Some(creation) = creation.filter(|task| task.status != TaskStatus::Failed) else {
            continue;
        };
        let mut depends_on = located(last_word(resource).unwrap_or(creation));
        let given = given_ports(creation.params.as_ref()).len();
        if ends(&depends_on, given) < FEWEST_ENDS {
            continue;
        }
        let mut touched = false;
        for dependency in &mut depends_on {
            if let Some((_, now)) = moved.iter().find(|(before, _)| *before == dependency.resource) {
                dependency.resource = now.clone();
                touched = true;
            }
        }
        if !touched {
            continue;
        }
        let task = assembly.task(What {
            action: TaskAction::Update,
            item: Item::SdnNet,
            record: &creation.target_record,
            position: creation.position,
        })?;
        let task = Task {
            params: creation.params.clone(),
            depends_on,
            ..task
        };
        assembly.update(resource, task, Vec::new());
    }
    Ok(())
}

/// The last task that says what a service joins and has not failed.
fn last_word(resource: &Resource) -> Option<&Task> {
    resource.tasks.iter().rfind(|task| {
        task.item == Item::SdnNet
            && matches!(task.action, TaskAction::Create | TaskAction::Update)
            && task.status != TaskStatus::Failed
    })
}

/// The interfaces that a task joins.
fn located(task: &Task) -> Vec<Dependency> {
    let located = task.depends_on.iter().filter(|on| on.until == Until::Located);
    located.cloned().collect()
}

fn ends(joins: &[Dependency], given: usize) -> usize {
    joins.iter().map(|on| on.interfaces.len()).sum::<usize>() + given
}

/// Interfaces in an order of their own, to be compared.
fn sources(joins: &[Dependency]) -> Vec<(&ResourceId, &[usize])> {
    let mut sources: Vec<_> = joins
        .iter()
        .map(|on| (&on.resource, on.interfaces.as_slice()))
        .collect();
    sources.sort();
    sources
}

fn sorted(keys: &[String]) -> Vec<String> {
    let mut keys = keys.to_vec();
    keys.sort();
    keys
}
