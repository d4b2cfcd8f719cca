//! What hangs on an account: without it, or were it to lead elsewhere, nobody could delete that any more.

use std::fmt;

use vimhost_model::vnf::OperationState;
use vimhost_model::{TargetId, VnfLcmOpOccId};
use vimhost_store::{ListQuery, Store};

use crate::Error;
use crate::accounts::internal;

/// Operations that are read at once.
const OP_OCCS: usize = 200;

/// A kind of what is on an account. Its text is for a list of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    Elements,
    Tasks,
    Instances,
    Operations,
    /// A client has yet to decide on them. Until then no instance names what they have made there.
    FailedOperations,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Elements => "elements of services",
            Self::Tasks => "tasks that are not over",
            Self::Instances => "VNF instances",
            Self::Operations => "operations of VNF instances that are not over",
            Self::FailedOperations => "operations of VNF instances that are FAILED_TEMP",
        })
    }
}

/// What is on an account; nothing when it may go, or lead anywhere.
///
/// # Errors
/// When the store cannot be read.
pub(crate) async fn held_on(store: &dyn Store, target: &TargetId) -> Result<Vec<Held>, Error> {
    let mut held = Vec::new();
    let elements = store.holds_elements(target).await;
    if elements.map_err(|error| Error::of_store("looking for elements of an account", error))? {
        held.push(Held::Elements);
    }
    let unsettled = store.unsettled(target, None, 1).await;
    let unsettled = unsettled.map_err(|error| Error::of_store("looking for work", error))?;
    if !unsettled.entries.is_empty() {
        held.push(Held::Tasks);
    }
    let before = of_instances(store, target).await?;
    let failed = has_failed_operation(store, target).await?;
    // One that had failed may run again since the first look.
    let after = of_instances(store, target).await?;
    let either = |kind| before.contains(&kind) || after.contains(&kind);
    held.extend(
        [Held::Instances, Held::Operations]
            .into_iter()
            .filter(|kind| either(*kind)),
    );
    if failed {
        held.push(Held::FailedOperations);
    }
    Ok(held)
}

async fn of_instances(store: &dyn Store, target: &TargetId) -> Result<Vec<Held>, Error> {
    let instances = store.vnf_instances_on(target, None, 1).await;
    let instances = instances.map_err(|error| Error::of_store("looking for VNF instances", error))?;
    let running = store.running_op_occs(Some(target), None, 1).await;
    let running = running.map_err(|error| Error::of_store("looking for operations", error))?;
    let mut held = Vec::new();
    if !instances.entries.is_empty() {
        held.push(Held::Instances);
    }
    if !running.entries.is_empty() {
        held.push(Held::Operations);
    }
    Ok(held)
}

/// Whether a client has yet to decide on an operation on an account. Until then no instance names what it has made there.
async fn has_failed_operation(store: &dyn Store, target: &TargetId) -> Result<bool, Error> {
    let doing = |error| Error::of_store("looking for operations", error);
    let query = ListQuery {
        states: vec![OperationState::FailedTemp.as_str().to_owned()],
        ..ListQuery::default()
    };
    let mut after: Option<String> = None;
    loop {
        let page = store.op_occs(&query, after.as_deref(), OP_OCCS).await.map_err(doing)?;
        for listed in &page.entries {
            let id = listed
                .id
                .parse::<VnfLcmOpOccId>()
                .map_err(|error| internal("reading the id of an operation", error))?;
            let op_occ = store.op_occ(&id).await.map_err(doing)?;
            if op_occ.is_some_and(|op_occ| op_occ.own.target.as_ref() == Some(target)) {
                return Ok(true);
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(false);
        }
    }
}
