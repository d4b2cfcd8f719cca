//! Reads what NG-RO left and what vimhost knows, plans, and writes.
//!
//! A service is written action by action, the oldest first; the first one brings all resources of the service that are not there yet. A run
//! that dies leaves actions that the next one finds committed, and resources that it finds by their ids. When all of a service is
//! written, that is noted for good: from then on a run passes it by, whatever has become of it.
//!
//! Where hosts share the database, the accounts are claimed meanwhile, so that no host that is started begins to drive what is half written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use vimhost_engine::Clock;
use vimhost_model::{HostId, Resource, TargetId};
use vimhost_store::{ActionCommit, Claim, Error as StoreError, Store, Takeover as Note};

use super::plan::{Choices, Known, Left, Plan, Service, digest, plan};
use super::report::{Obstacle, State};

/// The name under which a takeover holds accounts, and a standalone database. Always the same, so that a run that was killed is not in
/// the way of the next.
pub const HOST: &str = "import-ng-ro";

/// How long a claim lasts: longer than the writing of one service takes, after which it is renewed.
const CLAIM: Duration = Duration::from_secs(60);

/// How often a commit is made again that somebody has overtaken. Each time somebody else has made progress.
const TRIES: usize = 8;

/// Entries of a page.
const PAGE: usize = 500;

/// Why a takeover was broken off. It can be made again.
#[derive(Debug, thiserror::Error)]
pub enum TakeoverError {
    /// vimhost's part of the database.
    #[error("{doing}")]
    Store {
        /// What was being done.
        doing: String,
        /// Why it was not.
        #[source]
        source: StoreError,
    },
    /// The name of a takeover is none; it is a constant, so this is a fault of the program.
    #[error("the takeover has no name")]
    Name(#[from] vimhost_model::IdError),
}

fn while_doing<T>(doing: impl FnOnce() -> String, result: Result<T, StoreError>) -> Result<T, TakeoverError> {
    result.map_err(|source| TakeoverError::Store { doing: doing(), source })
}

/// A takeover.
pub struct Takeover {
    /// vimhost's part of the database; none where no host ever was.
    pub store: Option<Arc<dyn Store>>,
    /// Whether hosts share it, so that claims tell who drives an account. Elsewhere opening it is enough.
    pub shared: bool,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What a person has decided.
    pub choices: Choices,
}

impl Takeover {
    /// Plans. Writes nothing.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn plan(&self, left: &Left) -> Result<Plan, TakeoverError> {
        let known = self.known().await?;
        let mut planned = plan(left, &known, &self.choices);
        if let Some(store) = &self.store {
            self.refuse_what_is_driven(store.as_ref(), &mut planned).await?;
            refuse_what_was_acted_on(store.as_ref(), &mut planned).await?;
        }
        Ok(planned)
    }

    async fn known(&self) -> Result<Known, TakeoverError> {
        let mut known = Known {
            // Of a database that no host has opened nothing is written: any letters make the same plan.
            letters: "vimho".to_owned(),
            now: self.clock.now(),
            before: BTreeMap::new(),
            accounts: BTreeSet::new(),
        };
        let Some(store) = &self.store else {
            return Ok(known);
        };
        known.letters = while_doing(|| "reading the installation".to_owned(), store.installation().await)?;
        let mut after: Option<String> = None;
        loop {
            let page = store.takeovers(after.as_deref(), PAGE).await;
            let page = while_doing(|| "reading what was taken over before".to_owned(), page)?;
            known
                .before
                .extend(page.entries.into_iter().map(|note| (note.nsr_id, note.at)));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        loop {
            let page = store.accounts(after.as_deref(), PAGE).await;
            let page = while_doing(|| "reading the accounts".to_owned(), page)?;
            known
                .accounts
                .extend(page.entries.into_iter().map(|account| account.target));
            after = page.next;
            if after.is_none() {
                return Ok(known);
            }
        }
    }

    /// Hosts at work would begin to drive what is half written.
    async fn refuse_what_is_driven(&self, store: &dyn Store, planned: &mut Plan) -> Result<(), TakeoverError> {
        if !self.shared {
            return Ok(());
        }
        let leases = while_doing(|| "reading the leases".to_owned(), store.leases().await)?;
        let now = self.clock.now();
        for lease in leases {
            let lasts = lease.expires_at > now && lease.host.as_str() != HOST;
            if lasts && planned.targets.contains(&lease.target) {
                planned.report.obstacles.push(Obstacle {
                    what: format!("host {} drives account {}", lease.host, lease.target),
                    remedy:
                        "stop every host of this database, and try again; a host that died lets go after some seconds"
                            .to_owned(),
                    services: Vec::new(),
                });
            }
        }
        Ok(())
    }

    /// Writes what was planned. `progress` hears how many services of how many are done.
    ///
    /// # Errors
    /// When something could not be written; what was is found by the next run.
    pub async fn carry_out(
        &self,
        store: &dyn Store,
        planned: &mut Plan,
        progress: &mut (dyn FnMut(usize, usize) + Send),
    ) -> Result<(), TakeoverError> {
        let claims = self.claim(store, &planned.targets).await?;
        let written = self.write_services(store, planned, progress).await;
        for claim in &claims {
            // It ends by itself as well.
            if let Err(error) = store.release_claim(claim).await {
                tracing::debug!(target_id = %claim.target, %error, "a claim is left to its end");
            }
        }
        written
    }

    async fn claim(&self, store: &dyn Store, targets: &BTreeSet<TargetId>) -> Result<Vec<Claim>, TakeoverError> {
        let mut claims = Vec::new();
        if !self.shared {
            return Ok(claims);
        }
        let host = HostId::new(HOST)?;
        for target in targets {
            let now = self.clock.now();
            let claim = store.claim_account(target, &host, now, now.plus(CLAIM)).await;
            claims.push(while_doing(|| format!("claiming account {target}"), claim)?);
        }
        Ok(claims)
    }

    async fn write_services(
        &self,
        store: &dyn Store,
        planned: &mut Plan,
        progress: &mut (dyn FnMut(usize, usize) + Send),
    ) -> Result<(), TakeoverError> {
        let all = planned.services.len();
        for (done, service) in planned.services.iter().enumerate() {
            progress(done, all);
            write_service(store, service, &planned.resources).await?;
            let note = Note {
                nsr_id: service.nsr_id.clone(),
                at: self.clock.now(),
            };
            while_doing(
                || format!("noting that service {} is taken over", service.nsr_id),
                store.note_takeover(&note).await,
            )?;
            let reports = planned.report.services.iter_mut();
            for report in reports.filter(|report| report.id == service.nsr_id) {
                report.state = State::TakenOver;
            }
            if self.shared {
                let until = self.clock.now().plus(CLAIM);
                let renewed = store.renew_claims(&HostId::new(HOST)?, until).await;
                while_doing(|| "renewing the claims".to_owned(), renewed)?;
            }
        }
        progress(all, all);
        planned.report.dry_run = false;
        Ok(())
    }
}

/// A service that vimhost has planned for already has documents that this takeover knows nothing of.
async fn refuse_what_was_acted_on(store: &dyn Store, planned: &mut Plan) -> Result<(), TakeoverError> {
    for service in &planned.services {
        let nsr = &service.nsr_id;
        let doing = || format!("reading service {nsr}");
        if while_doing(doing, store.service_revision(nsr).await)? == 0 {
            continue;
        }
        let begun = match service.actions.first() {
            Some(first) => while_doing(doing, store.action(nsr, &first.id).await)?,
            None => None,
        };
        // A run before this one has begun with it.
        if begun.is_some_and(|header| header.body_digest == digest(nsr, &header.id)) {
            continue;
        }
        planned.report.obstacles.push(Obstacle {
            what: format!("vimhost has been asked to do something with service {nsr} before it was taken over"),
            remedy: "leave it out with --except; what NG-RO made for it stays known from the records alone".to_owned(),
            services: vec![nsr.clone()],
        });
    }
    Ok(())
}

async fn write_service(store: &dyn Store, service: &Service, resources: &[Resource]) -> Result<(), TakeoverError> {
    let nsr = &service.nsr_id;
    let mut missing = not_there(store, service, resources).await?;
    for header in &service.actions {
        let doing = || format!("writing action {} of service {nsr}", header.id);
        for tries_left in (0..TRIES).rev() {
            if while_doing(doing, store.action(nsr, &header.id).await)?.is_some() {
                // It has brought them. What is not there any more was ended and dropped since.
                for resource in missing.drain(..) {
                    tracing::info!(nsr_id = %nsr, resource_id = %resource.id, "not written again");
                }
                break;
            }
            let service_revision = while_doing(doing, store.service_revision(nsr).await)?;
            let commit = ActionCommit {
                header: header.clone(),
                service_revision,
                service_life: None,
                // The elements are there, whatever becomes of their accounts.
                accounts: Vec::new(),
                new_resources: missing.clone(),
                updates: Vec::new(),
                record_changes: Vec::new(),
                texts: Vec::new(),
            };
            match store.commit_action(commit).await {
                Ok(_) => {
                    missing.clear();
                    break;
                }
                Err(StoreError::Conflict { .. }) if tries_left > 0 => {
                    if !missing.is_empty() {
                        missing = not_there(store, service, resources).await?;
                    }
                }
                Err(source) => return Err(TakeoverError::Store { doing: doing(), source }),
            }
        }
    }
    Ok(())
}

/// Resources of a service that are not there yet: another service that shares one, or a run before, may have brought it.
async fn not_there(
    store: &dyn Store,
    service: &Service,
    resources: &[Resource],
) -> Result<Vec<Resource>, TakeoverError> {
    let mut missing = Vec::new();
    for resource in service.resources.iter().filter_map(|place| resources.get(*place)) {
        let there = store.resource(&resource.id).await;
        if while_doing(|| format!("reading resource {}", resource.id), there)?.is_none() {
            missing.push(resource.clone());
        }
    }
    Ok(missing)
}
