//! Who drives which account.
//!
//! One document per account: `{ _id: target, host, fence, expires_at }`. Claiming, renewing and giving up are each one
//! compare-and-set on it. A lease that was given up stays without a host, so that its number grows on.
//!
//! **How a host that lost its lease is kept from writing.** Every resource of the account carries the number of the claim that may
//! write it, and a write has `fence <= its own number` in its filter. A new owner raises that number on all resources of the
//! account *before* its claim is granted, which an index on account and number makes cheap when there is nothing to raise. From then on
//! no write under the old number matches, in whatever queue it was delayed; before, it is an ordinary write that the
//! new owner will read. So a write needs no look at the lease, and there is no gap between such a look and the write. A resource
//! that is planned meanwhile gets the number its commit reads *after* it was written ([`crate::commit`]): either the commit sees
//! the new number, or the new owner sees the resource.
//!
//! Giving up raises the numbers too, so that a claim is over when it is given up.
//!
//! A standalone has one host, so whoever is let in ends all leases there are ([`Core::end_leases`]): the accounts are free for it
//! whatever it is called, and what the process before it still has on its way comes too late, though it may have had the same name. A process
//! that was overtaken so is granted nothing any more.
//!
//! VNF instances with an operation on an account carry its number in the same way ([`crate::vnf_settle`]).

use futures_util::future::try_join_all;
use mongodb::bson::{Bson, Document, doc};
use vimhost_model::{HostId, TargetId, Timestamp};
use vimhost_store::{Claim, Error, Lease};

use crate::db::Statement;
use crate::fault::{Fault, Outcome, from_db, parse, to_db};
use crate::fields::{number_of, text_of};
use crate::open::Topology;
use crate::shapes;
use crate::store::Core;

/// Leases that are ended at the same time: a few small writes each.
const ENDED_AT_ONCE: usize = 16;

pub(crate) fn fenced(target: &TargetId) -> Error {
    Error::Fenced {
        target: target.to_string(),
    }
}

impl Core {
    pub(crate) async fn claim(
        &self,
        target: &TargetId,
        host: &HostId,
        now: Timestamp,
        until: Timestamp,
    ) -> Outcome<Claim> {
        let text = target.to_string();
        // It finds out by its next sign of life; until then it must not take back what it lost.
        if self.topology == Topology::Standalone && self.db.first(shapes::host_held(self.instance())).await?.is_none() {
            return Err(fenced(target).into());
        }
        let next = doc! {"$add": [{"$ifNull": ["$fence", 0_i64]}, 1_i64]};
        let fence = doc! {"$cond": [{"$eq": ["$host", {"$literal": host.as_str()}]}, "$fence", next]};
        let set = doc! {"$set": {"fence": fence, "host": {"$literal": host.as_str()}, "expires_at": until.0}};
        let claim = Statement {
            // Where the query matches nothing but the document is there, another host holds it.
            upsert: true,
            ..Statement::of(shapes::lease_free(&text, host.as_str(), now.0), vec![set])
        };
        let mut claimed = self.db.update_and_read(claim.clone()).await;
        if let Err(Fault::Duplicate(_)) = claimed {
            // Two that claim an account for the first time both find nothing, and both make the lease. Who came second finds it now,
            // and whether it is free for it: the first may have been this host too.
            claimed = self.db.update_and_read(claim).await;
        }
        let lease = match claimed {
            Ok(Some(lease)) => lease,
            Ok(None) => return Err(Error::corrupt("a lease", "it is not there after it was written").into()),
            Err(Fault::Duplicate(_)) => return Err(fenced(target).into()),
            Err(fault) => return Err(fault),
        };
        let fence = number_of(&lease, "fence");
        self.raise(&text, fence).await?;
        Ok(Claim {
            target: target.clone(),
            fence: from_db(fence)?,
        })
    }

    /// Puts the number of a claim on every resource of the account, and on every VNF instance that is worked on there.
    async fn raise(&self, target: &str, fence: i64) -> Outcome<()> {
        let set = doc! {"$set": {"fence": fence}};
        let (resources, instances) = tokio::try_join!(
            self.db.update_all(shapes::resources_below(target, fence), set.clone()),
            self.db.update_all(shapes::vnf_instances_below(target, fence), set)
        )?;
        if resources > 0 || instances > 0 {
            tracing::debug!(target, fence, resources, instances, "an account is under a new claim");
        }
        Ok(())
    }

    pub(crate) async fn renew(&self, host: &HostId, until: Timestamp) -> Outcome<Vec<Claim>> {
        self.db
            .update_all(
                shapes::leases_of_host(host.as_str()),
                doc! {"$set": {"expires_at": until.0}},
            )
            .await?;
        // What was extended is not taken between the two commands; what this host has claimed between them belongs to it as well.
        let held = self.db.all(shapes::leases_of_host(host.as_str()), 0).await?;
        held.iter()
            .map(|document| {
                Ok(Claim {
                    target: parse("a lease", text_of(document, "_id"))?,
                    fence: from_db(number_of(document, "fence"))?,
                })
            })
            .collect()
    }

    pub(crate) async fn release(&self, claim: &Claim) -> Outcome<()> {
        let (target, fence) = (claim.target.to_string(), to_db(claim.fence)?);
        let over = fence.saturating_add(1);
        let query = shapes::lease_held(&target, fence);
        let release = Statement::of(query, doc! {"$set": {"host": null, "fence": over}});
        if self.db.update(release).await? {
            self.raise(&target, over).await?;
        }
        Ok(())
    }

    /// Ends every lease there is. For the one host that is let into a standalone.
    pub(crate) async fn end_leases(&self) -> Outcome<()> {
        let leases = self.all_leases().await?;
        for some in leases.chunks(ENDED_AT_ONCE) {
            try_join_all(some.iter().map(|lease| async move {
                let claim = Claim {
                    target: lease.target.clone(),
                    fence: lease.fence,
                };
                self.release(&claim).await
            }))
            .await?;
        }
        if !leases.is_empty() {
            tracing::info!(
                leases = leases.len(),
                "the leases of the process before this one are ended"
            );
        }
        Ok(())
    }

    pub(crate) async fn all_leases(&self) -> Outcome<Vec<Lease>> {
        let found = self.db.all(shapes::all_leases(), 0).await?;
        let lease = |document: &Document| {
            let host = match document.get("host") {
                Some(Bson::String(host)) => parse("a lease", host)?,
                _ => return Ok(None),
            };
            Ok(Some(Lease {
                target: parse("a lease", text_of(document, "_id"))?,
                host,
                fence: from_db(number_of(document, "fence"))?,
                expires_at: Timestamp(number_of(document, "expires_at")),
            }))
        };
        found
            .iter()
            .filter_map(|document| lease(document).transpose())
            .collect()
    }

    /// The numbers of some accounts, in their order; 0 where nobody ever drove one.
    pub(crate) async fn fences(&self, targets: &[String]) -> Outcome<Vec<i64>> {
        if targets.is_empty() {
            return Ok(Vec::new());
        }
        let leases = self.db.all(shapes::leases_of(targets), 0).await?;
        let fence = |target: &String| {
            let lease = leases.iter().find(|lease| text_of(lease, "_id") == target);
            lease.map_or(0, |lease| number_of(lease, "fence"))
        };
        Ok(targets.iter().map(fence).collect())
    }

    /// Puts the numbers on resources that were written since they were read.
    pub(crate) async fn raise_all(&self, targets: &[String], before: &[i64]) -> Outcome<()> {
        let now = self.fences(targets).await?;
        let changed = targets
            .iter()
            .zip(before.iter().zip(&now))
            .filter(|(_, (before, now))| before != now);
        try_join_all(changed.map(|(target, (_, now))| self.raise(target, *now))).await?;
        Ok(())
    }
}
