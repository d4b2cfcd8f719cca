//! Reservations of what services share, while a commit that makes it is decided.
//!
//! ```text
//! { _id: "<kind> <target> <common id>", pending: { commit, nsr, base } }
//! ```
//!
//! Commits of two services have nothing in common that a compare-and-set could be made on, so both would make an element of one common
//! id. A commit that makes one takes its reservation first, and then looks for one to join. It is decided while it has the reservation,
//! and gives it up when what it made can be found: so of two, the second one finds the reservation, or the element.
//!
//! A reservation is worth as much as its commit, like that of a resource ([`crate::commit`]): whoever meets one waits a moment, then
//! refuses the commit and takes the reservation over. That of a host that died is in nobody's way for longer. The documents live no longer
//! than their commits.

use mongodb::bson::{Document, doc};
use vimhost_model::{Item, Resource};
use vimhost_store::{Error, is_shared, made_under};

use crate::fault::{Fault, Outcome};
use crate::fields::text_of;
use crate::resources::resource_of;
use crate::shapes::{self, SHARES};
use crate::store::Core;
use crate::verdict::Verdict;

/// How often taking a reservation is tried. Each time the commit of somebody else was ended.
const TRIES: usize = 5;

/// An element that a commit makes under a common id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Share {
    /// Of its reservation.
    pub(crate) id: String,
    target: String,
    item: Item,
    common_id: String,
}

impl Share {
    /// What the new resources of a commit are to be shared as, in the order in which all commits take their reservations: so no two wait
    /// for each other.
    pub(crate) fn all_of(new: &[Resource]) -> Vec<Self> {
        let mut shares: Vec<Self> = new
            .iter()
            .flat_map(|resource| {
                made_under(resource).into_iter().map(move |common_id| Self {
                    id: format!("{} {} {common_id}", resource.item.as_str(), resource.target),
                    target: resource.target.to_string(),
                    item: resource.item,
                    common_id: common_id.to_owned(),
                })
            })
            .collect();
        shares.sort_unstable();
        shares.dedup();
        shares
    }

    fn taken(&self) -> Error {
        Error::conflict(format!("what is shared as '{}' on {}", self.common_id, self.target))
    }
}

impl Core {
    /// Reserves what a commit makes to be shared, so that no other commit makes it. `pending` names the commit, `known` are the resources its
    /// plan knew.
    pub(crate) async fn share(&self, shares: &[Share], pending: &Document, known: &[String]) -> Outcome<()> {
        for share in shares {
            self.reserve_share(share, pending, known).await?;
        }
        Ok(())
    }

    async fn reserve_share(&self, share: &Share, pending: &Document, known: &[String]) -> Outcome<()> {
        for _ in 0..TRIES {
            let reservation = doc! {"_id": &share.id, "pending": pending.clone()};
            let reserved = match self.db.insert(SHARES, reservation).await {
                Ok(()) => true,
                Err(Fault::Duplicate(_)) => false,
                Err(fault) => return Err(fault),
            };
            // After reserving, so that whoever had the reservation before has shown what it made. Where others have it, the element may
            // be there all the same: then it is not waited for.
            self.nothing_to_join(share, known).await?;
            if reserved {
                return Ok(());
            }
            let Some(found) = self.db.first(shapes::share(&share.id)).await? else {
                continue;
            };
            let Ok(other) = found.get_document("pending") else {
                continue;
            };
            let commit = text_of(other, "commit");
            if commit == text_of(pending, "commit") {
                return Ok(());
            }
            match self.ended(other).await? {
                Verdict::Decided | Verdict::Dead => self.unshare(commit, std::slice::from_ref(&share.id)).await?,
                Verdict::Open => {}
            }
        }
        Err(share.taken().into())
    }

    /// Refuses when an element is there to be joined that the plan did not know.
    async fn nothing_to_join(&self, share: &Share, known: &[String]) -> Outcome<()> {
        let mut passed = known.to_vec();
        loop {
            let query = shapes::resource_shared_but(&share.target, share.item.as_str(), &share.common_id, &passed);
            let Some(found) = self.db.first(query).await? else {
                return Ok(());
            };
            if resource_of(&found)?.is_some_and(|resource| is_shared(&resource, &share.common_id)) {
                return Err(share.taken().into());
            }
            passed.push(text_of(&found, "_id").to_owned());
        }
    }

    /// Gives up reservations of a commit that is carried out or never made.
    pub(crate) async fn unshare(&self, commit: &str, ids: &[String]) -> Outcome<()> {
        if !ids.is_empty() {
            self.db.delete_all(shapes::shares_of_commit(ids, commit)).await?;
        }
        Ok(())
    }
}
