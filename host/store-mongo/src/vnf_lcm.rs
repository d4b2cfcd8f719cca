//! VNF instances and their operation occurrences: each write is one compare-and-set on the document of the instance
//! ([`crate::vnf_settle`]), and is answered when what it left to do is done.
//!
//! **Claims.** An instance that is worked on carries the account it is worked on (`claimed`) and the number of the claim that may write
//! (`fence`), which a new owner raises before its claim is granted ([`crate::leases`]). The account is put on the instance *before* an
//! operation there is accepted, and its number is read after that: either the number read is the newest one, or whoever raises it finds
//! the instance. `under` says that this is done; only then is anything decided there. It stays, so that it costs nothing again.
//!
//! **Accounts that are removed.** `open` says that an operation may be accepted on the account. It is set in the same way, after a look at
//! the account that is made when the instance can be found by it; whoever marks the account as being removed takes it from all instances.
//!
//! **Unknown outcomes.** `wrote` tells a write from every other one. It is a digest of the write, so that the same sent again, because nobody
//! heard the answer to the first one, is known and answered as the first would have been; of a new instance it is a random text, because a
//! second one of the same id is refused even if it is the same.

use async_trait::async_trait;
use mongodb::bson::{Bson, Document, doc};
use sha2::{Digest, Sha256};
use vimhost_model::vnf::{LcmEvent, VnfInstance, VnfLcmOpOcc};
use vimhost_model::{Revision, TargetId, VnfInstanceId, VnfLcmOpOccId, VnfPkgId};
use vimhost_store::{Change, Claim, Error, InstanceWrite, ListQuery, Listed, Page, VnfLcm};

use crate::db::Statement;
use crate::fault::{Fault, Outcome, decode, encode, from_db, to_db};
use crate::fields::{number_of, text_of};
use crate::leases;
use crate::shapes::{self, Query, VNF_INSTANCES};
use crate::store::{Core, MongoStore, unique};
use crate::vnf_settle::{current, parts};

/// What an instance is put under the number of an account for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// To accept an operation: the account has to be there, and to stay.
    Begin,
    /// To go on with one.
    GoOn,
}

/// How often a write that was overtaken looks again. Each time somebody else has made progress.
const TRIES: usize = 20;

fn what_instance(id: &str) -> String {
    format!("VNF instance {id}")
}

fn what_op_occ(id: &str) -> String {
    format!("operation occurrence {id}")
}

/// A write, told from every other one.
fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(format!("{}\n", part.len()));
        hash.update(part);
    }
    hash.finalize()
        .iter()
        .take(12)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Events as they are kept with the write.
struct Told {
    texts: Vec<String>,
    /// When the last of them was.
    at: i64,
}

impl Told {
    fn of(events: &[LcmEvent]) -> Result<Self, Error> {
        let texts = events.iter().map(|event| encode("an event", event));
        Ok(Self {
            texts: texts.collect::<Result<_, _>>()?,
            at: events.iter().map(|event| event.at.0).max().unwrap_or(0),
        })
    }

    fn array(&self) -> Bson {
        Bson::Array(self.texts.iter().map(|text| Bson::from(text.as_str())).collect())
    }

    fn hints(&self) -> Option<Change> {
        (!self.texts.is_empty()).then_some(Change::Events)
    }
}

/// The fields of a document that a write changes.
#[derive(Default)]
struct Fields {
    /// Set as they are.
    set: Document,
    /// Taken away.
    gone: Vec<&'static str>,
    /// The instance is changed: it gets the next revision.
    changes_instance: bool,
}

impl Fields {
    /// Of an instance, and the fields it is found by.
    fn of_instance(instance: &VnfInstance) -> Result<Self, Error> {
        let text = encode("a VNF instance", instance)?;
        let document = decode("a VNF instance", &text)?;
        let listed = Listed::of(instance.id.as_str(), document, &VnfInstance::DEFAULT_EXCLUDED);
        let mut fields = Self {
            set: doc! {
                "doc": text, "head": listed.head, "rest": listed.rest, "vnfd": instance.vnfd_id.as_str(),
                "state": instance.instantiation_state.as_str(), "package": instance.own.package.as_str(),
            },
            gone: Vec::new(),
            changes_instance: true,
        };
        let target = instance.own.target.as_ref().map(ToString::to_string);
        let operation = instance.own.operation.as_ref().map(ToString::to_string);
        for (field, value) in [("target", target), ("op", operation)] {
            match value {
                Some(value) => {
                    fields.set.insert(field, value);
                }
                None => fields.gone.push(field),
            }
        }
        Ok(fields)
    }

    /// The stages of an update that also leaves events and the rest of the write to be carried out.
    fn stages(self, told: &Told) -> Vec<Document> {
        let mut set: Document = self
            .set
            .into_iter()
            .map(|(field, value)| (field, doc! {"$literal": value}.into()))
            .collect();
        let next = doc! {"$add": ["$seq", 1_i64]};
        set.insert("seq", next.clone());
        set.insert("todo", next);
        set.insert("ms", doc! {"$max": ["$ms", told.at]});
        set.insert("events", doc! {"$literal": told.array()});
        if self.changes_instance {
            set.insert("rev", doc! {"$add": ["$rev", 1_i64]});
        }
        let mut stages = vec![doc! {"$set": set}];
        if !self.gone.is_empty() {
            stages.push(doc! {"$unset": self.gone});
        }
        stages
    }
}

/// An occurrence as its instance's document has it.
fn part_of(op_occ: &VnfLcmOpOcc, rev: i64, text: &str) -> Document {
    let state = op_occ.operation_state;
    let mut part = doc! {
        "id": op_occ.id.as_str(), "rev": rev, "state": state.as_str(), "final": state.is_final(), "doc": text,
    };
    if state.is_running() {
        // Empty: it runs on no account.
        part.insert(
            "on",
            op_occ.own.target.as_ref().map(ToString::to_string).unwrap_or_default(),
        );
    }
    part
}

fn changed(op_occ: &VnfLcmOpOcc) -> Change {
    Change::OpOcc(op_occ.own.target.clone(), op_occ.id.clone())
}

/// A save of an occurrence, and what tells why it was not made.
struct Save<'a> {
    claim: Option<&'a Claim>,
    op_occ: &'a VnfLcmOpOcc,
    /// The revision of the instance, where that is replaced.
    instance_rev: Option<i64>,
    rev: i64,
    wrote: String,
}

impl Save<'_> {
    fn query(&self) -> Outcome<Query> {
        let (instance, id) = (self.op_occ.vnf_instance_id.as_str(), self.op_occ.id.as_str());
        let mut query = match self.claim {
            Some(claim) => {
                let target = claim.target.to_string();
                shapes::vnf_operation_claimed(instance, id, self.rev, &target, to_db(claim.fence)?)
            }
            None => shapes::vnf_operation(instance, id, self.rev),
        };
        if let Some(rev) = self.instance_rev {
            query.filter.insert("rev", rev);
        }
        Ok(query)
    }
}

impl Core {
    async fn add_instance(&self, instance: &VnfInstance, told: &Told) -> Outcome<()> {
        let id = instance.id.as_str();
        let rev = to_db(instance.own.revision)?.saturating_add(1);
        let wrote = unique();
        let mut new = doc! {
            "_id": id, "rev": rev, "seq": 1_i64, "ms": told.at, "wrote": &wrote,
        };
        new.extend(Fields::of_instance(instance)?.set);
        if !told.texts.is_empty() {
            new.insert("todo", 1_i64);
            new.insert("events", told.array());
        }
        for _ in 0..TRIES {
            match self.db.insert(VNF_INSTANCES, new.clone()).await {
                Ok(()) => return self.settle_instance(&new).await,
                Err(Fault::Duplicate(_)) => match self.instance_document(id).await? {
                    Some(found) if text_of(&found, "wrote") == wrote => return Ok(()),
                    Some(_) => return Err(Error::conflict(what_instance(id)).into()),
                    // It was being deleted, and is now.
                    None => {}
                },
                Err(fault) if fault.is_lost() => match self.instance_document(id).await? {
                    Some(found) if text_of(&found, "wrote") == wrote => return Ok(()),
                    Some(_) | None => return Err(fault),
                },
                Err(fault) => return Err(fault),
            }
        }
        Err(Error::conflict(what_instance(id)).into())
    }

    async fn delete_instance(&self, id: &str, expected: Revision, told: &Told) -> Outcome<()> {
        let rev = to_db(expected)?;
        let fields = Fields {
            set: doc! {"gone": true, "wrote": unique()},
            ..Fields::default()
        };
        let update = fields.stages(told);
        for _ in 0..TRIES {
            let decide = Statement::of(shapes::vnf_instance_free(id, rev).only(parts()), update.clone());
            if let Some(decided) = self.db.update_and_read(decide).await? {
                return self.settle_instance(&decided).await;
            }
            let Some(found) = self.instance_document(id).await? else {
                return Err(Error::missing(what_instance(id)).into());
            };
            if number_of(&found, "rev") != rev || found.contains_key("op") {
                return Err(Error::conflict(what_instance(id)).into());
            }
        }
        Err(Error::conflict(what_instance(id)).into())
    }

    /// Puts an instance under the number of an account, before anything is decided there. `query` says which revision of it.
    async fn put_under(&self, id: &str, mut query: Query, target: &str, purpose: Purpose) -> Outcome<()> {
        // One that is under it already stays as it is, however late this comes; one that somebody else is putting there is begun anew,
        // because who began it may have died.
        match purpose {
            Purpose::Begin => {
                let other = doc! {"$ne": target};
                query
                    .filter
                    .insert("$or", vec![doc! {"under": other.clone()}, doc! {"open": other}]);
            }
            Purpose::GoOn => {
                query.filter.insert("under", doc! {"$ne": target});
            }
        }
        let numbering = unique();
        let put = doc! {
            "$set": {"claimed": target, "fence": 0_i64, "numbering": &numbering}, "$unset": {"under": "", "open": ""},
        };
        self.db.update(Statement::of(query, put)).await?;
        let targets = [target.to_owned()];
        let (fences, set) = match purpose {
            Purpose::Begin => {
                let (fences, ()) = tokio::try_join!(self.fences(&targets), self.accounts_stay(&targets))?;
                (fences, doc! {"under": target, "open": target})
            }
            Purpose::GoOn => (self.fences(&targets).await?, doc! {"under": target}),
        };
        let fence = fences.first().copied().unwrap_or(0);
        let done = doc! {"$max": {"fence": fence}, "$set": set, "$unset": {"numbering": ""}};
        let numbered = shapes::vnf_instance_numbered(id, target, &numbering);
        self.db.update(Statement::of(numbered, done)).await?;
        Ok(())
    }

    async fn begin(&self, op_occ: &VnfLcmOpOcc, instance_revision: Revision, told: &Told) -> Outcome<()> {
        let (instance, id) = (op_occ.vnf_instance_id.as_str(), op_occ.id.as_str());
        let rev = to_db(instance_revision)?;
        let first = to_db(op_occ.own.revision)?.saturating_add(1);
        let text = encode("an operation occurrence", op_occ)?;
        let wrote = digest(&["begin", &rev.to_string(), &text, &told.texts.concat()]);
        let fields = Fields {
            set: doc! {
                "op": id, "current": part_of(op_occ, first, &text), "wrote": &wrote,
                "mark": self.hints.mark(first, &[changed(op_occ)]),
            },
            changes_instance: true,
            ..Fields::default()
        };
        let update = fields.stages(told);
        let target = op_occ.own.target.as_ref().map(ToString::to_string);
        let query = match &target {
            Some(target) => shapes::vnf_instance_free_under(instance, rev, target),
            None => shapes::vnf_instance_free(instance, rev),
        };
        // One that is over keeps its id. Of one that is not, the instance tells.
        let taken = self.db.all(shapes::op_occ(id).only(doc! {"_id": 1}), 1).await?;
        for _ in 0..TRIES {
            let begin = Statement::of(query.clone().only(parts()), update.clone());
            if taken.is_empty()
                && let Some(begun) = self.db.update_and_read(begin).await?
            {
                return self.settle_instance(&begun).await;
            }
            let Some(found) = self.instance_document(instance).await? else {
                return Err(Error::missing(what_instance(instance)).into());
            };
            if current(&found, id).is_some() && text_of(&found, "wrote") == wrote {
                return Ok(());
            }
            if !taken.is_empty() {
                return Err(Error::conflict(what_op_occ(id)).into());
            }
            if number_of(&found, "rev") != rev || found.contains_key("op") {
                return Err(Error::conflict(what_instance(instance)).into());
            }
            if let Some(target) = &target
                && (text_of(&found, "under") != target || text_of(&found, "open") != target)
            {
                let free = shapes::vnf_instance_free(instance, rev);
                self.put_under(instance, free, target, Purpose::Begin).await?;
            }
        }
        Err(Error::conflict(what_instance(instance)).into())
    }

    async fn save_operation(
        &self,
        claim: Option<&Claim>,
        op_occ: &VnfLcmOpOcc,
        instance: &InstanceWrite,
        told: &Told,
    ) -> Outcome<Revision> {
        if let Some(claim) = claim
            && op_occ.own.target.as_ref() != Some(&claim.target)
        {
            // A claim is no right to what is done on another account.
            return Err(leases::fenced(op_occ.own.target.as_ref().unwrap_or(&claim.target)).into());
        }
        let rev = to_db(op_occ.own.revision)?;
        let next = rev.saturating_add(1);
        let (mut fields, instance_rev) = match instance {
            InstanceWrite::None => (Fields::default(), None),
            InstanceWrite::Release => {
                let released = Fields {
                    gone: vec!["op"],
                    changes_instance: true,
                    ..Fields::default()
                };
                (released, None)
            }
            InstanceWrite::Replace(instance) if instance.id != op_occ.vnf_instance_id => {
                let reason = format!("it is of another instance than {}", instance.id);
                return Err(Error::corrupt(what_op_occ(op_occ.id.as_str()), reason).into());
            }
            InstanceWrite::Replace(instance) => (Fields::of_instance(instance)?, Some(to_db(instance.own.revision)?)),
        };
        let text = encode("an operation occurrence", op_occ)?;
        let save = Save {
            claim,
            op_occ,
            instance_rev,
            rev,
            wrote: digest(&[
                "save",
                &claim.map(|claim| claim.fence.to_string()).unwrap_or_default(),
                &rev.to_string(),
                &format!("{:?}", fields.gone),
                text_of(&fields.set, "doc"),
                &text,
                &told.texts.concat(),
            ]),
        };
        fields.set.extend(doc! {
            "current": part_of(op_occ, next, &text), "wrote": &save.wrote,
            "mark": self.hints.mark(next, &[changed(op_occ)]),
        });
        let update = fields.stages(told);
        let query = save.query()?;
        for _ in 0..TRIES {
            let statement = Statement::of(query.clone().only(parts()), update.clone());
            if let Some(saved) = self.db.update_and_read(statement).await? {
                self.settle_instance(&saved).await?;
                return from_db(next);
            }
            if self.was_operation_saved(&save).await? {
                return from_db(next);
            }
        }
        Err(Error::conflict(what_op_occ(op_occ.id.as_str())).into())
    }

    /// Why a save did not match. True when it was made before, false when it is worth another try.
    async fn was_operation_saved(&self, save: &Save<'_>) -> Outcome<bool> {
        let (instance, id) = (save.op_occ.vnf_instance_id.as_str(), save.op_occ.id.as_str());
        let found = self.instance_document(instance).await?;
        if let Some(claim) = save.claim
            && self.is_over(claim, found.as_ref()).await?
        {
            return Err(leases::fenced(&claim.target).into());
        }
        let Some(found) = found else {
            return Err(Error::missing(what_op_occ(id)).into());
        };
        let Some(current) = current(&found, id) else {
            let shown = self.db.first(shapes::op_occ(id)).await?;
            return Err(match shown {
                Some(_) => Error::conflict(what_op_occ(id)),
                None => Error::missing(what_op_occ(id)),
            }
            .into());
        };
        if text_of(&found, "wrote") == save.wrote {
            return Ok(true);
        }
        if number_of(current, "rev") != save.rev {
            return Err(Error::conflict(what_op_occ(id)).into());
        }
        if save.instance_rev.is_some_and(|rev| rev != number_of(&found, "rev")) {
            return Err(Error::conflict(what_instance(instance)).into());
        }
        if let Some(claim) = save.claim {
            let target = claim.target.to_string();
            if text_of(&found, "under") != target {
                // It goes on on another account than it was accepted for.
                let here = shapes::vnf_operation(instance, id, save.rev);
                self.put_under(instance, here, &target, Purpose::GoOn).await?;
            }
        }
        Ok(false)
    }

    /// Whether a claim is over: as the instance tells that carries its account's number, or else the lease.
    async fn is_over(&self, claim: &Claim, instance: Option<&Document>) -> Outcome<bool> {
        let (target, fence) = (claim.target.to_string(), to_db(claim.fence)?);
        match instance {
            Some(instance) if text_of(instance, "under") == target => Ok(number_of(instance, "fence") > fence),
            Some(_) | None => Ok(self.db.first(shapes::lease_held(&target, fence)).await?.is_none()),
        }
    }
}

#[async_trait]
impl VnfLcm for MongoStore {
    async fn add_vnf_instance(&self, instance: &VnfInstance, events: &[LcmEvent]) -> Result<(), Error> {
        let told = Told::of(events)?;
        self.core.add_instance(instance, &told).await?;
        self.core.hints.tell(told.hints());
        Ok(())
    }

    async fn vnf_instance(&self, id: &VnfInstanceId) -> Result<Option<VnfInstance>, Error> {
        Ok(self.core.get_instance(id.as_str()).await?)
    }

    async fn delete_vnf_instance(
        &self,
        id: &VnfInstanceId,
        expected: Revision,
        events: &[LcmEvent],
    ) -> Result<(), Error> {
        let told = Told::of(events)?;
        self.core.delete_instance(id.as_str(), expected, &told).await?;
        self.core.hints.tell(told.hints());
        Ok(())
    }

    async fn vnf_instances(&self, query: &ListQuery, after: Option<&str>, limit: usize) -> Result<Page<Listed>, Error> {
        Ok(self.core.instance_page(query, after, limit).await?)
    }

    async fn package_in_use(&self, package: &VnfPkgId) -> Result<bool, Error> {
        Ok(self.core.any_of_package(package.as_str()).await?)
    }

    async fn vnf_instances_on(
        &self,
        target: &TargetId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<VnfInstance>, Error> {
        Ok(self.core.instances_on(&target.to_string(), after, limit).await?)
    }

    async fn begin_operation(
        &self,
        op_occ: &VnfLcmOpOcc,
        instance_revision: Revision,
        events: &[LcmEvent],
    ) -> Result<(), Error> {
        let told = Told::of(events)?;
        self.core.begin(op_occ, instance_revision, &told).await?;
        self.core.hints.tell([changed(op_occ)]);
        self.core.hints.tell(told.hints());
        Ok(())
    }

    async fn op_occ(&self, id: &VnfLcmOpOccId) -> Result<Option<VnfLcmOpOcc>, Error> {
        Ok(self.core.get_op_occ(id.as_str()).await?)
    }

    async fn op_occs(&self, query: &ListQuery, after: Option<&str>, limit: usize) -> Result<Page<Listed>, Error> {
        Ok(self.core.op_occ_page(query, after, limit).await?)
    }

    async fn save_op_occ(
        &self,
        claim: Option<&Claim>,
        op_occ: &VnfLcmOpOcc,
        instance: InstanceWrite,
        events: &[LcmEvent],
    ) -> Result<Revision, Error> {
        let told = Told::of(events)?;
        let revision = self.core.save_operation(claim, op_occ, &instance, &told).await?;
        self.core.hints.tell([changed(op_occ)]);
        self.core.hints.tell(told.hints());
        Ok(revision)
    }

    async fn running_op_occs(
        &self,
        target: Option<&TargetId>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<VnfLcmOpOccId>, Error> {
        let target = target.map(ToString::to_string).unwrap_or_default();
        Ok(self.core.running_page(&target, after, limit).await?)
    }

    async fn targets_with_op_occs(&self) -> Result<Vec<TargetId>, Error> {
        Ok(self.core.targets_of_operations().await?)
    }
}
