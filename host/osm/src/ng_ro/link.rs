//! What elements have to do with each other: references become resources (decision 6), and what an element was made with is known by
//! whoever is to be deleted first.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;
use vimhost_model::{
    Dependency, NsrId, Resource, ResourceId, TargetId, Task, TaskAction, TaskStatus, Until, VimStatus,
};

use super::element::Element;

/// What stands for an id in parameters until it is known.
const PLACEHOLDER: &str = "TASK-";

/// Places of ids in the parameters of a VM: its image, its flavour, and in each entry of a list.
const IDS: [&str; 2] = ["image_id", "flavor_id"];
const IDS_IN_LISTS: [(&str, &str); 4] = [
    ("net_list", "net_id"),
    ("affinity_group_list", "affinity_group_id"),
    ("disk_list", "vim_volume_id"),
    ("disk_list", "vim_id"),
];

/// Where references lead to.
struct Index {
    by_reference: HashMap<(TargetId, String), Vec<usize>>,
    by_task: HashMap<String, (usize, TaskAction)>,
    by_element: HashMap<(TargetId, String), Vec<usize>>,
}

impl Index {
    fn of(elements: &[Element]) -> Self {
        let mut index = Self {
            by_reference: HashMap::new(),
            by_task: HashMap::new(),
            by_element: HashMap::new(),
        };
        for (number, element) in elements.iter().enumerate() {
            let resource = &element.resource;
            for task in &resource.tasks {
                index.by_task.insert(task.id.to_string(), (number, task.action));
                if task.action == TaskAction::Create {
                    let reference = (resource.target.clone(), task.target_record.to_string());
                    let places = index.by_reference.entry(reference).or_default();
                    if places.last() != Some(&number) {
                        places.push(number);
                    }
                }
            }
            if let Some(id) = &resource.vim.vim_id {
                let place = (resource.target.clone(), id.to_string());
                index.by_element.entry(place).or_default().push(number);
            }
        }
        index
    }

    /// The element that a reference means: one that is still there rather than one of that name that was (D30).
    fn reference(&self, elements: &[Element], target: &TargetId, reference: &str) -> Option<usize> {
        let (target, reference) = match reference.split_once(' ') {
            Some((other, rest)) => (other.parse::<TargetId>().ok()?, rest),
            None => (target.clone(), reference),
        };
        let places = self.by_reference.get(&(target, reference.to_owned()))?;
        let there = |number: &&usize| {
            elements
                .get(**number)
                .is_some_and(|element| is_there(&element.resource))
        };
        places.iter().rev().find(there).or_else(|| places.last()).copied()
    }

    fn dependency(&self, elements: &[Element], target: &TargetId, reference: &str) -> Option<(usize, Dependency)> {
        let (number, until) = match self.reference(elements, target, reference) {
            Some(number) => (number, Until::Created),
            None => match self.by_task.get(reference)? {
                (number, TaskAction::Delete) => (*number, Until::Deleted),
                (number, TaskAction::Create | TaskAction::Update | TaskAction::Exec) => (*number, Until::Created),
            },
        };
        let dependency = Dependency {
            reference: reference.to_owned(),
            resource: elements.get(number)?.resource.id.clone(),
            until,
            interfaces: Vec::new(),
        };
        Some((number, dependency))
    }
}

fn is_there(resource: &Resource) -> bool {
    resource.live_creates().next().is_some() && resource.vim.vim_status != Some(VimStatus::Deleted)
}

/// Links all elements.
pub(super) fn link(elements: &mut [Element]) {
    let index = Index::of(elements);
    let linked: Vec<_> = (0..elements.len())
        .map(|number| links(elements, &index, number))
        .collect();
    for (element, links) in elements.iter_mut().zip(linked) {
        let tasks = element.resource.tasks.iter_mut().zip(links.depends_on);
        for (task, (depends_on, missing)) in tasks {
            task.depends_on = depends_on;
            if let Some(missing) = missing.filter(|_| task.status == TaskStatus::Scheduled) {
                // NG-RO's words for it.
                let message = format!("Cannot get depending task {missing}");
                element.notes.push(format!("document {}: {message}", element.document));
                task.status = TaskStatus::Failed;
                task.message = Some(message);
            }
        }
        element.resource.uses = links.uses;
    }
    link_deletions(elements);
}

struct Links {
    /// Of each task, and the first reference that leads nowhere.
    depends_on: Vec<(Vec<Dependency>, Option<String>)>,
    uses: Vec<ResourceId>,
}

fn links(elements: &[Element], index: &Index, number: usize) -> Links {
    let mut links = Links {
        depends_on: Vec::new(),
        uses: Vec::new(),
    };
    let Some(element) = elements.get(number) else {
        return links;
    };
    let resource = &element.resource;
    let mut used: BTreeSet<usize> = BTreeSet::new();
    for (task, needs) in resource.tasks.iter().zip(&element.needs) {
        let mut found = Vec::new();
        let mut missing = None;
        for reference in needs {
            match index.dependency(elements, &resource.target, reference) {
                Some(dependency) => found.push(dependency),
                None => missing = missing.or_else(|| Some(reference.clone())),
            }
        }
        // A deletion is linked to what has to go before it, a command to nothing: it is not carried on.
        if task.action != TaskAction::Create {
            links.depends_on.push((Vec::new(), None));
            continue;
        }
        if task.status != TaskStatus::Finished {
            let needed = found.iter().filter(|(_, on)| on.until == Until::Created);
            used.extend(needed.map(|(number, _)| *number));
            used.extend(by_parameters(elements, index, resource, task));
        }
        let depends_on = found.into_iter().map(|(_, dependency)| dependency).collect();
        links.depends_on.push((depends_on, missing));
    }
    // What was made with a VM whose creation was ended is told by its parameters still, until it is gone.
    if resource.may_exist() {
        for task in resource.tasks.iter().filter(|task| task.action == TaskAction::Create) {
            used.extend(by_parameters(elements, index, resource, task));
        }
        let networks = resource.vim.interfaces_backup.iter().flatten();
        for network in networks.filter_map(|interface| interface.vim_net_id.as_deref()) {
            used.extend(by_id(elements, index, resource, network));
        }
    }
    used.remove(&number);
    links.uses = used
        .into_iter()
        .filter_map(|number| Some(elements.get(number)?.resource.id.clone()))
        .collect();
    links
}

/// The elements that the parameters of a creation name, by reference or by id.
fn by_parameters(elements: &[Element], index: &Index, resource: &Resource, task: &Task) -> Vec<usize> {
    let Some(params) = &task.params else {
        return Vec::new();
    };
    let of_lists = IDS_IN_LISTS.iter().flat_map(|(list, key)| {
        let entries = params.get(*list).and_then(Value::as_array).into_iter().flatten();
        entries.filter_map(move |entry| entry.get(*key))
    });
    let texts = IDS.iter().filter_map(|key| params.get(*key)).chain(of_lists);
    texts
        .filter_map(Value::as_str)
        .filter_map(|text| match text.strip_prefix(PLACEHOLDER) {
            Some(reference) => index.reference(elements, &resource.target, reference),
            None => by_id(elements, index, resource, text),
        })
        .collect()
}

/// The element of an id that some service holds with this one. Others may have found the same network.
fn by_id(elements: &[Element], index: &Index, resource: &Resource, id: &str) -> Option<usize> {
    let services: BTreeSet<&NsrId> = resource.tasks.iter().map(|task| &task.nsr_id).collect();
    let places = index.by_element.get(&(resource.target.clone(), id.to_owned()))?;
    let of_ours = |number: &&usize| {
        let tasks = elements.get(**number).map(|element| &element.resource.tasks);
        let mut tasks = tasks.into_iter().flatten();
        tasks.any(|task| task.action == TaskAction::Create && services.contains(&task.nsr_id))
    };
    places.iter().find(of_ours).copied()
}

/// A deletion that goes on waits for those of everything that was made with the element; NG-RO's have no order.
fn link_deletions(elements: &mut [Element]) {
    let open = |task: &Task| task.action == TaskAction::Delete && task.status == TaskStatus::Scheduled;
    let mut users: HashMap<ResourceId, Vec<Dependency>> = HashMap::new();
    for element in elements.iter() {
        let resource = &element.resource;
        let Some(leaving) = resource.tasks.iter().find(|task| open(task)) else {
            continue;
        };
        for used in &resource.uses {
            users.entry(used.clone()).or_default().push(Dependency {
                reference: leaving.target_record.to_string(),
                resource: resource.id.clone(),
                until: Until::Deleted,
                interfaces: Vec::new(),
            });
        }
    }
    for element in elements.iter_mut() {
        let Some(first) = users.get(&element.resource.id) else {
            continue;
        };
        for task in element.resource.tasks.iter_mut().filter(|task| open(task)) {
            task.depends_on.clone_from(first);
        }
    }
}
