//! Planning: wanted state, records and resources in; ordered changes with reasons, and the tasks that make them, out.
//!
//! [`plan`] is pure: no store, no clock, no random numbers; [`gather`](self) reads the [`Facts`] and hands in ids and the time.
//! What exists is told by the resource documents, which are ours; `vim_info` in the records speaks only for elements that
//! have no resource document (a service that somebody else deployed).
//!
//! Rules, with NG-RO's (`ns.py`) kept where a client could notice and its defects (D numbers, `docs/ng-ro-compatibility.md`) mended:
//!
//! * An item on a target that is wanted and not there is created; one that is there and not wanted is deleted.
//! * One whose creation failed is given up, with whatever its journal holds, and created anew (D6). One that was in service and is in
//!   error since stays as it is; one that is gone from the VIM since is created anew.
//! * A deletion waits for the deletions of everything that was made with the element; a creation for what it needs.
//! * A dependency is resolved to a resource document when it is planned, so a later element of the same name is never taken for
//!   it (D30). What cannot be resolved is an error of the request, before anything is stored.
//! * Everything of a plan is accepted by one commit, or nothing (D25, D37).
//!
//! Operations on what exists ([`plan_operation`]) are planned by their own modules: `operate` (power, console, migration), `resize`,
//! `recreate`, `inject` (SSH keys).
//! What connectivity services join follows from both: `connect`.
//! Operations find the VM by the id of its VDU, whatever its position (D8, D26), and one that is not there is an error (D13).

mod assembly;
mod builder;
mod compare;
mod connect;
mod derivation;
mod existing;
mod gather;
mod inject;
mod link;
mod operate;
mod recreate;
mod resize;
#[cfg(test)]
mod tests;
mod texts;
mod vm;

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use vimhost_model::{
    ActionHeader, ActionId, ActionKind, Item, ItemRef, NsrId, Record, RecordChange, Resource, ResourceId, TargetId,
    Task, Timestamp,
};
use vimhost_store::{ActionCommit, PlanBase, ResourceUpdate, SealedText};

use crate::derive::templates::Templates;

pub use builder::plan;
pub use operate::plan_operation;
pub use texts::{fill_texts, put_texts_back, text_digests};

/// Parameter of a deletion that makes room for a new element of the same item: the record then speaks of the new one, so the end of
/// the deletion leaves it alone.
pub const REPLACED: &str = "replaced";

/// Parameter of a deletion: ids of volumes that outlive the VM, because the VM that takes its place gets them.
pub const HELD_VOLUMES: &str = "volumes_to_hold";

/// Parameter of a VM that was made anew: what it has taken over from the one before it.
pub const TAKEN_OVER: &str = "previous_created_volumes";

/// Parameter of a change of a VM's size: the flavour, or what stands for it until it is there.
pub const FLAVOUR: &str = "flavor_id";

/// Parameter of a change of a VM's size: the item of the NS record that the VDU's record points to when it is done.
pub const NS_FLAVOUR: &str = "ns_flavor_id";

/// Parameter of a key injection: a password, sealed. Null when there is none, and as soon as it is not needed any more.
pub const PASSWORD: &str = "password";

/// Whether parameters of what exists are compared too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Only presence counts, as in NG-RO.
    Presence,
    /// Changed parameters are reported.
    Parameters,
}

/// How a changed element can be brought to what is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Remedy {
    /// By an operation on it.
    InPlace,
    /// By deleting it and making it anew.
    ByReplacement,
}

/// What happens to one item on one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case", tag = "change")]
pub enum Verb {
    /// It is made, or found.
    Create,
    /// It is given up, and deleted when nobody else holds it.
    Delete,
    /// It is changed in place.
    Update,
    /// Nothing.
    Unchanged,
    /// It exists with other parameters. Reported, not acted on.
    Changed {
        /// Which ones.
        fields: Vec<String>,
        /// What would help.
        remedy: Remedy,
    },
}

/// One line of a plan.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Change {
    /// The item in the records.
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = String)]
    pub item: ItemRef,
    /// What it is.
    pub kind: Item,
    /// The account.
    pub target: TargetId,
    /// What happens.
    #[serde(flatten)]
    pub verb: Verb,
    /// Why.
    pub reason: String,
    /// What it waits for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
}

fn as_text<S: serde::Serializer>(item: &ItemRef, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(item)
}

/// What a plan is made from.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The service.
    pub nsr_id: NsrId,
    /// What its planning stands on.
    pub base: PlanBase,
    /// The NS record.
    pub nsr: Record,
    /// Its VNF records, in database order.
    pub vnfrs: Vec<Record>,
    /// VNF descriptors by id.
    pub vnfds: std::collections::HashMap<String, Value>,
    /// Resources that hold a task of the service.
    pub resources: Vec<Resource>,
    /// Held resources of other services that share a `common_id` with something wanted.
    pub shared: Vec<Resource>,
    /// Public key of the service, when a VM asks for it.
    pub public_key: Option<String>,
    /// What renders templates of user data.
    pub templates: Arc<dyn Templates>,
    /// Password of a key injection, sealed for the action that is planned.
    pub sealed_password: Option<SealedText>,
    /// Now.
    pub now: Timestamp,
}

/// An ordered set of changes and what carries them out.
#[derive(Debug, Clone)]
pub struct Plan {
    /// All changes, in NG-RO's order, the unchanged included.
    pub changes: Vec<Change>,
    pub(crate) nsr_id: NsrId,
    pub(crate) action_id: ActionId,
    pub(crate) base: PlanBase,
    /// Accounts that were found there for it.
    pub(crate) accounts: Vec<TargetId>,
    pub(crate) now: Timestamp,
    pub(crate) new_resources: Vec<Resource>,
    pub(crate) updates: Vec<ResourceUpdate>,
    /// The account of each update.
    pub(crate) update_targets: Vec<TargetId>,
    pub(crate) record_changes: Vec<RecordChange>,
    pub(crate) texts: Vec<(String, String)>,
}

impl Plan {
    /// How many tasks it has.
    #[must_use]
    pub fn task_count(&self) -> usize {
        self.new_resources
            .iter()
            .map(|resource| resource.tasks.len())
            .sum::<usize>()
            + self.updates.iter().map(|update| update.tasks.len()).sum::<usize>()
    }

    /// The write that accepts it.
    pub(crate) fn commit(&self, kind: ActionKind, body_digest: &str) -> ActionCommit {
        ActionCommit {
            header: ActionHeader {
                id: self.action_id.clone(),
                nsr_id: self.nsr_id.clone(),
                kind,
                body_digest: body_digest.to_owned(),
                tasks: u32::try_from(self.task_count()).unwrap_or(u32::MAX),
                created_at: self.now,
            },
            service_revision: self.base.revision,
            service_life: self.base.life.clone(),
            accounts: self.accounts.clone(),
            new_resources: self.new_resources.clone(),
            updates: self.updates.clone(),
            record_changes: self.record_changes.clone(),
            texts: self.texts.clone(),
        }
    }

    /// The resources it makes, as they are stored once it is committed.
    pub(crate) fn made(&self) -> impl Iterator<Item = Resource> {
        self.new_resources.iter().map(|resource| Resource {
            revision: vimhost_store::FIRST_REVISION,
            ..resource.clone()
        })
    }

    /// The resources that were there and are given tasks, with their accounts.
    pub(crate) fn updated(&self) -> impl Iterator<Item = (&TargetId, &ResourceId)> {
        let updates = self.update_targets.iter().zip(&self.updates);
        updates.map(|(target, update)| (target, &update.resource))
    }

    /// The resources it gives tasks to, with their accounts and the tasks.
    pub(crate) fn resources(&self) -> impl Iterator<Item = (&TargetId, &ResourceId, &[Task])> {
        let new = self.new_resources.iter();
        let updates = self.update_targets.iter().zip(&self.updates);
        new.map(|resource| (&resource.target, &resource.id, resource.tasks.as_slice()))
            .chain(updates.map(|(target, update)| (target, &update.resource, update.tasks.as_slice())))
    }
}
