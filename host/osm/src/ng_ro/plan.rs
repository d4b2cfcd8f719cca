//! All that NG-RO left, as what is to be written. Pure: documents and records in, resources, actions and what is to be told out.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use vimhost_model::{
    ActionHeader, ActionId, ActionKind, Item, NsrId, Resource, TargetId, TaskAction, TaskStatus, Timestamp, Until,
};

use super::document::{self, Document, RawDocument, Unreadable};
use super::element::{self, Context, Element};
use super::link::link;
use super::records::Records;
use super::report::{Elements, Obstacle, Report, ServiceReport, State};

/// Versions of NG-RO's key documents that are known. A newer one may mean that the others have changed too.
const KNOWN_VERSIONS: [&str; 2] = ["1.0", "1.1"];

/// What a person has decided.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choices {
    /// Services that are left as they are.
    pub except: BTreeSet<NsrId>,
    /// Documents whose unfinished creation has made nothing: somebody has looked.
    pub not_made: BTreeSet<String>,
}

/// What NG-RO left in OSM's database.
#[derive(Debug, Clone, Default)]
pub struct Left {
    /// `ro_tasks`
    pub documents: Vec<RawDocument>,
    /// `ro_nsrs`: ids and versions of the key documents.
    pub keys: Vec<(String, Option<String>)>,
    /// `nsrs`
    pub nsrs: Vec<Value>,
    /// `vnfrs`
    pub vnfrs: Vec<Value>,
    /// Accounts of the three collections.
    pub accounts: Vec<TargetId>,
}

/// What vimhost knows.
#[derive(Debug, Clone)]
pub struct Known {
    /// Letters of the installation.
    pub letters: String,
    /// Now.
    pub now: Timestamp,
    /// Services that were taken over before, and when.
    pub before: BTreeMap<NsrId, Timestamp>,
    /// Accounts of its own.
    pub accounts: BTreeSet<TargetId>,
}

/// A service that is to be taken over.
#[derive(Debug, Clone)]
pub struct Service {
    /// Its id.
    pub nsr_id: NsrId,
    /// Its actions, oldest first.
    pub actions: Vec<ActionHeader>,
    /// Its resources, as places in [`Plan::resources`].
    pub resources: Vec<usize>,
}

/// What is to be written.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Every resource once, whoever shares it.
    pub resources: Vec<Resource>,
    /// The services by id.
    pub services: Vec<Service>,
    /// Accounts that the resources are on.
    pub targets: BTreeSet<TargetId>,
    /// What is told of it.
    pub report: Report,
}

/// Plans a takeover.
#[must_use]
pub fn plan(left: &Left, known: &Known, choices: &Choices) -> Plan {
    let records = Records::of(left.nsrs.clone(), left.vnfrs.clone());
    let mut documents: Vec<Document> = Vec::with_capacity(left.documents.len());
    let mut unreadable: Vec<Unreadable> = Vec::new();
    for (number, raw) in left.documents.iter().enumerate() {
        match document::parse(raw, number) {
            Ok(document) => documents.push(document),
            Err(error) => unreadable.push(error),
        }
    }
    documents.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
    let mut services = BTreeMap::new();
    let named = documents
        .iter()
        .flat_map(|document| document.tasks.iter().map(|task| &task.nsr_id));
    for nsr in named.chain(unreadable.iter().flat_map(|error| &error.services)) {
        services.entry(nsr.clone()).or_insert_with(|| {
            let name = records.service(nsr);
            let state = match &name {
                None => State::WithoutRecord,
                Some(_) if known.before.contains_key(nsr) => State::Before,
                Some(_) if choices.except.contains(nsr) => State::LeftOut,
                Some(_) => State::ToTakeOver,
            };
            ServiceReport {
                id: nsr.clone(),
                name: name.unwrap_or_default(),
                state,
                actions: 0,
                resources: 0,
                going_on: 0,
                warnings: Vec::new(),
            }
        });
    }
    let mut planner = Planner {
        known,
        services,
        obstacles: versions(left),
        warnings: Vec::new(),
    };
    planner.refuse_what_cannot_be_read(unreadable);
    planner.refuse_what_is_locked(&documents);
    planner.warn_of_what_is_not_taken(&documents);
    let elements = planner.elements(&documents, &records, choices);
    planner.warn_of_accounts(&elements, left);
    planner.warn_of_keys(left);
    planner.finish(elements, left.documents.len())
}

fn versions(left: &Left) -> Vec<Obstacle> {
    let unknown = |version: &&String| !KNOWN_VERSIONS.contains(&version.as_str());
    let versions: BTreeSet<&String> = left.keys.iter().filter_map(|(_, version)| version.as_ref()).collect();
    versions
        .into_iter()
        .filter(unknown)
        .map(|version| Obstacle {
            what: format!("ro_nsrs has documents of version '{version}', which is not known here"),
            remedy: "use a vimhost that knows this release of OSM".to_owned(),
            services: Vec::new(),
        })
        .collect()
}

struct Planner<'a> {
    known: &'a Known,
    services: BTreeMap<NsrId, ServiceReport>,
    obstacles: Vec<Obstacle>,
    warnings: Vec<String>,
}

impl Planner<'_> {
    fn is(&self, nsr: &NsrId, state: State) -> bool {
        self.services.get(nsr).is_some_and(|service| service.state == state)
    }

    fn concerns(&self, nsrs: &[NsrId]) -> bool {
        nsrs.is_empty() || nsrs.iter().any(|nsr| self.is(nsr, State::ToTakeOver))
    }

    fn obstacle(&mut self, obstacle: Obstacle) {
        if self.concerns(&obstacle.services) {
            self.obstacles.push(obstacle);
        } else {
            self.warnings.push(format!("not in the way: {}", obstacle.what));
        }
    }

    fn refuse_what_cannot_be_read(&mut self, unreadable: Vec<Unreadable>) {
        for error in unreadable {
            // Without a service there is nobody to be left out, and nothing that could be lost by leaving it.
            if error.services.is_empty() {
                self.warnings
                    .push(format!("{error}; it names no service and is left alone"));
                continue;
            }
            self.obstacle(Obstacle {
                what: error.to_string(),
                remedy: "use a vimhost that knows this release of OSM, or leave the service out with --except"
                    .to_owned(),
                services: error.services,
            });
        }
    }

    fn refuse_what_is_locked(&mut self, documents: &[Document]) {
        for document in documents {
            let Some(lock) = &document.lock else { continue };
            let Some(left) = lock.lasts(self.known.now) else {
                continue;
            };
            // Whatever works on any document works on all.
            self.obstacles.push(Obstacle {
                what: format!(
                    "document {} is locked by NG-RO's worker {} for {} s more",
                    document.id,
                    lock.by,
                    left.as_secs().saturating_add(1)
                ),
                remedy: "stop every process of NG-RO, and try again when this time is over".to_owned(),
                services: Vec::new(),
            });
        }
    }

    fn warn_of_what_is_not_taken(&mut self, documents: &[Document]) {
        let mut orphans: BTreeMap<NsrId, Vec<String>> = BTreeMap::new();
        for document in documents {
            let made = super::state::is_created(document);
            let Some(id) = super::state::vim_id(document).filter(|_| made) else {
                continue;
            };
            for task in &document.tasks {
                let unwanted = self.is(&task.nsr_id, State::WithoutRecord);
                if unwanted && task.action == TaskAction::Create {
                    let element = format!("{id} on {}", document.target);
                    let of_service = orphans.entry(task.nsr_id.clone()).or_default();
                    if !of_service.contains(&element) {
                        of_service.push(element);
                    }
                }
            }
            if document.tasks.is_empty() {
                self.warnings.push(format!(
                    "document {}: nobody wants {id} on {} any more, and nobody deletes it",
                    document.id, document.target
                ));
            }
        }
        for (nsr, elements) in orphans {
            if let Some(service) = self.services.get_mut(&nsr) {
                service.warnings.push(format!(
                    "it has no record, so nobody can ask for its end; NG-RO made for it: {}",
                    elements.join(", ")
                ));
            }
        }
        for (nsr, at) in &self.known.before {
            let changed = documents
                .iter()
                .any(|document| document.modified_at > *at && document.tasks.iter().any(|task| task.nsr_id == *nsr));
            if let Some(service) = self.services.get_mut(nsr).filter(|_| changed) {
                service.warnings.push(
                    "NG-RO has changed documents of it since it was taken over; what vimhost knows is kept".to_owned(),
                );
            }
        }
    }

    /// The documents of what is to be taken over, linked.
    fn elements(&mut self, documents: &[Document], records: &Records, choices: &Choices) -> Vec<Element> {
        let alive = self.services.values();
        let alive = alive.filter(|service| matches!(service.state, State::ToTakeOver | State::LeftOut));
        let alive: BTreeSet<NsrId> = alive.map(|service| service.id.clone()).collect();
        let context = Context {
            letters: &self.known.letters,
            now: self.known.now,
            records,
            alive: &alive,
            not_made: &choices.not_made,
        };
        let mut elements = Vec::new();
        for document in documents {
            let wanted = document
                .tasks
                .iter()
                .any(|task| self.is(&task.nsr_id, State::ToTakeOver));
            if !wanted {
                continue;
            }
            match element::convert(document, &context) {
                Ok(element) => elements.extend(element),
                Err(obstacle) => self.obstacle(obstacle),
            }
        }
        link(&mut elements);
        elements
    }

    fn warn_of_accounts(&mut self, elements: &[Element], left: &Left) {
        let targets: BTreeSet<&TargetId> = elements.iter().map(|element| &element.resource.target).collect();
        for target in targets {
            if !self.known.accounts.contains(target) && !left.accounts.contains(target) {
                self.warnings.push(format!(
                    "neither vimhost nor OSM has an account {target}: nothing can be done to what is on it until one is added under this id"
                ));
            }
        }
    }

    fn warn_of_keys(&mut self, left: &Left) {
        for (id, _) in &left.keys {
            let service = self.services.values_mut().find(|service| service.id.as_str() == id);
            if let Some(service) = service.filter(|service| service.state == State::ToTakeOver) {
                service.warnings.push(
                    "its key pair is RSA and is not taken over: no key can be let into the VMs it has; VMs that are made from now on get a new \
                     one (Ed25519)"
                        .to_owned(),
                );
            }
        }
    }

    fn finish(mut self, elements: Vec<Element>, documents: usize) -> Plan {
        let mut kinds: BTreeMap<&'static str, Elements> = BTreeMap::new();
        let mut plans: BTreeMap<NsrId, Service> = BTreeMap::new();
        let mut actions: BTreeMap<NsrId, HashMap<ActionId, ActionHeader>> = BTreeMap::new();
        let mut resources = Vec::with_capacity(elements.len());
        for element in elements {
            let resource = element.resource;
            count(kinds.entry(resource.item.as_str()).or_default(), &resource);
            let holders: BTreeSet<NsrId> = resource.tasks.iter().map(|task| task.nsr_id.clone()).collect();
            for nsr in holders.iter().filter(|nsr| self.is(nsr, State::ToTakeOver)) {
                let plan = plans.entry(nsr.clone()).or_insert_with(|| Service {
                    nsr_id: nsr.clone(),
                    actions: Vec::new(),
                    resources: Vec::new(),
                });
                plan.resources.push(resources.len());
                headers(actions.entry(nsr.clone()).or_default(), nsr, &resource);
            }
            for nsr in &holders {
                if let Some(service) = self.services.get_mut(nsr) {
                    let open = resource
                        .tasks
                        .iter()
                        .filter(|task| task.nsr_id == *nsr && task.status.is_open());
                    service.resources += 1;
                    service.going_on += open.count();
                    service.warnings.extend(element.notes.iter().cloned());
                }
            }
            resources.push(resource);
        }
        for (nsr, of_service) in actions {
            let mut of_service: Vec<ActionHeader> = of_service.into_values().collect();
            of_service.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
            if let Some(service) = self.services.get_mut(&nsr) {
                service.actions = of_service.len();
            }
            if let Some(plan) = plans.get_mut(&nsr) {
                plan.actions = of_service;
            }
        }
        Plan {
            targets: resources
                .iter()
                .map(|resource: &Resource| resource.target.clone())
                .collect(),
            resources,
            services: plans.into_values().collect(),
            report: Report {
                dry_run: true,
                documents,
                elements: kinds,
                services: self.services.into_values().collect(),
                warnings: self.warnings,
                obstacles: self.obstacles,
            },
        }
    }
}

fn count(elements: &mut Elements, resource: &Resource) {
    let open = |action: TaskAction| {
        let mut tasks = resource.tasks.iter();
        tasks.any(|task| task.action == action && task.status == TaskStatus::Scheduled)
    };
    let commands = resource.tasks.iter().all(|task| task.action == TaskAction::Exec);
    if commands {
        elements.commands += 1;
    } else if open(TaskAction::Delete) {
        elements.to_delete += 1;
    } else if resource.may_exist() {
        elements.made += 1;
    } else if resource.vim.vim_id.is_some() {
        elements.found += 1;
    } else if open(TaskAction::Create) {
        elements.to_make += 1;
    } else {
        elements.absent += 1;
    }
}

/// Adds what a resource tells about the actions of a service.
fn headers(actions: &mut HashMap<ActionId, ActionHeader>, nsr: &NsrId, resource: &Resource) {
    for task in resource.tasks.iter().filter(|task| task.nsr_id == *nsr) {
        let header = actions.entry(task.action_id.clone()).or_insert_with(|| ActionHeader {
            id: task.action_id.clone(),
            nsr_id: nsr.clone(),
            kind: ActionKind::Deploy,
            body_digest: digest(nsr, &task.action_id),
            tasks: 0,
            created_at: resource.created_at,
        });
        header.tasks = header.tasks.saturating_add(1);
        header.created_at = header.created_at.min(resource.created_at);
        let replaces = task.action == TaskAction::Create && task.depends_on.iter().any(|on| on.until == Until::Deleted);
        let kind = match (task.action, task.item) {
            (TaskAction::Exec, Item::Update | Item::Console) => Some(ActionKind::Operate),
            (TaskAction::Exec, Item::Migrate) => Some(ActionKind::Migrate),
            (TaskAction::Exec, Item::VerticalScale) => Some(ActionKind::VerticalScale),
            (TaskAction::Exec, Item::Vdu) => Some(ActionKind::InjectSshKey),
            (TaskAction::Create, Item::Vdu) if replaces => Some(ActionKind::Recreate),
            (TaskAction::Create | TaskAction::Update | TaskAction::Delete | TaskAction::Exec, _) => None,
        };
        header.kind = kind.unwrap_or(header.kind);
    }
}

/// Stands for the digest of the request, of which nothing is left: the digest of no body, so a request that uses the id again gets one of its
/// own.
pub(super) fn digest(nsr: &NsrId, action: &ActionId) -> String {
    let digest = Sha256::digest(format!("taken over from NG-RO: {nsr} {action}"));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
