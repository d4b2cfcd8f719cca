//! Resource documents.
//!
//! ```text
//! { _id, target, item, fence, life, rev, doc: "<the resource as JSON>",
//!   entries, journal: [..],                                   // the journal; entries counts the numbers given
//!   unsettled, made, element, actions, uses, commons,         // what queries ask for; those that say no are absent
//!   wrote, todo: { seq, at, changes },                        // the last save, and its changes of records
//!   pending: { commit, nsr, base, next: {..} } }              // reserved by a commit, and what it makes of it
//! ```
//!
//! The resource is kept as text: it comes back exactly as it was, whatever the names of its fields. A document without `doc` is
//! one that a commit has prepared; no query finds it, because it has nothing a query asks for.
//!
//! A save is one compare-and-set: revision, claim and the absence of a reservation are in its filter. `wrote` is a digest of the save,
//! so that the same save sent again, because nobody heard the answer to the first one, is known and answered as the first would have
//! been.
//!
//! Its changes of records stay in `todo` until the next save or reader takes them out. Where neither comes, a sweep does: it makes those
//! of a host that died before it had made them.

use std::time::Duration;

use mongodb::bson::{Bson, DateTime, Document, doc};
use mongodb::options::UpdateModifications;
use sha2::{Digest, Sha256};
use vimhost_model::{
    Item, NsrId, RecordChange, Resource, ResourceId, Revision, TargetId, Task, TaskAction, TaskStatus, VimStatus,
};
use vimhost_store::{Claim, Error, JournalWrite, ObservedElement, Page, is_shared};

use crate::db::Statement;
use crate::fault::{Fault, Outcome, decode, encode, from_db, parse, to_db};
use crate::fields::{number_of, text_of};
use crate::paging::{cut, rows};
use crate::store::Core;
use crate::{hints, journal, leases, outbox, shapes};

/// How often a write that was overtaken looks again. Each time somebody else has made progress.
const TRIES: usize = 20;

/// After this long a save that nobody has read is looked at by the sweep. Its host makes the changes within some milliseconds; where it takes
/// longer they are made twice, which does nothing.
const UNREAD: Duration = Duration::from_secs(10);

/// Saves in one sweep. More wait for the next one: most were told long ago and only have to be cleared.
const UNREAD_AT_ONCE: i64 = 500;

pub(crate) fn what(id: &str) -> String {
    format!("resource {id}")
}

/// The fields a resource is found by, and the resource itself: what is written, and what is taken away because it says no.
pub(crate) struct Columns {
    pub(crate) set: Document,
    absent: Vec<&'static str>,
}

impl Columns {
    pub(crate) fn of(resource: &Resource) -> Result<Self, Error> {
        let mut bare;
        let resource_alone = if resource.journal.is_empty() {
            resource
        } else {
            bare = resource.clone();
            bare.journal.clear();
            &bare
        };
        let done = |task: &Task| task.action == TaskAction::Create && task.status == TaskStatus::Done;
        let mut actions: Vec<_> = resource
            .tasks
            .iter()
            .map(|task| (task.nsr_id.as_str(), task.action_id.as_str()))
            .collect();
        actions.sort_unstable();
        actions.dedup();
        let actions: Vec<_> = actions
            .into_iter()
            .map(|(nsr, action)| doc! {"n": nsr, "a": action})
            .collect();
        let mut uses: Vec<_> = resource.uses.iter().map(ResourceId::as_str).collect();
        uses.sort_unstable();
        uses.dedup();
        let mut commons: Vec<_> = if resource.vim.vim_status == Some(VimStatus::Deleted) {
            Vec::new()
        } else {
            resource
                .live_creates()
                .filter_map(|task| task.common_id.as_deref())
                .collect()
        };
        commons.sort_unstable();
        commons.dedup();
        let mut columns = Self {
            set: doc! {"doc": encode("a resource", resource_alone)?},
            absent: Vec::new(),
        };
        columns.put("actions", (!actions.is_empty()).then(|| actions.into()));
        columns.put("uses", (!uses.is_empty()).then(|| uses.into()));
        columns.put("commons", (!commons.is_empty()).then(|| commons.into()));
        let unsettled = resource.has_open_tasks() || resource.observe_at.is_some();
        columns.put("unsettled", unsettled.then_some(Bson::Boolean(true)));
        columns.put("made", resource.may_exist().then_some(Bson::Boolean(true)));
        let element = resource.vim.vim_id.as_ref().filter(|_| resource.tasks.iter().any(done));
        columns.put("element", element.map(|element| element.as_str().into()));
        Ok(columns)
    }

    fn put(&mut self, column: &'static str, value: Option<Bson>) {
        match value {
            Some(value) => {
                self.set.insert(column, value);
            }
            None => self.absent.push(column),
        }
    }

    /// An update that also makes `more` and takes `gone` away.
    fn update(mut self, more: Document, gone: &[&'static str]) -> Document {
        self.set.extend(more);
        let unset: Document = self
            .absent
            .iter()
            .chain(gone)
            .map(|field| ((*field).to_owned(), Bson::from("")))
            .collect();
        let mut update = doc! {"$set": self.set};
        if !unset.is_empty() {
            update.insert("$unset", unset);
        }
        update
    }

    /// The same as stages of a pipeline.
    fn stages(mut self, more: Document, gone: &[&'static str]) -> Vec<Document> {
        self.set.extend(more);
        let literals: Document = self
            .set
            .into_iter()
            .map(|(field, value)| (field, doc! {"$literal": value}.into()))
            .collect();
        let mut stages = vec![doc! {"$set": literals}];
        let unset: Vec<_> = self.absent.iter().chain(gone).copied().collect();
        if !unset.is_empty() {
            stages.push(doc! {"$unset": unset});
        }
        stages
    }
}

/// The resource of a document; none while it is only prepared.
pub(crate) fn resource_of(document: &Document) -> Outcome<Option<Resource>> {
    let Ok(text) = document.get_str("doc") else {
        return Ok(None);
    };
    let mut resource: Resource = decode("a resource", text)?;
    resource.revision = from_db(number_of(document, "rev"))?;
    resource.journal = journal::of_document(document)?;
    Ok(Some(resource))
}

/// A save, told from every other one.
fn digest(claim: &Claim, resource: &Resource, changes: &str, writes: &[JournalWrite], text: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(format!(
        "{}\n{}\n{writes:?}\n{}\n",
        claim.fence,
        resource.revision,
        text.len()
    ));
    hash.update(text);
    hash.update(changes);
    hash.finalize()
        .iter()
        .take(12)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

impl Core {
    /// Makes the changes of records that documents still hold, if that is not known to be done, and takes them out.
    pub(crate) async fn tell_all(&self, documents: &[Document]) -> Outcome<()> {
        let mut told = Vec::new();
        for document in documents {
            let Ok(todo) = document.get_document("todo") else {
                continue;
            };
            let (life, seq) = (text_of(document, "life"), number_of(todo, "seq"));
            if self.done.has(life, seq) {
                continue;
            }
            let changes: Vec<RecordChange> = decode("the changes of a resource", text_of(todo, "changes"))?;
            self.make(outbox::marked(life, seq, &changes)?).await?;
            let cleared = Statement::of(
                shapes::resource_told(text_of(document, "_id"), seq),
                doc! {"$unset": {"todo": ""}},
            );
            told.push((life.to_owned(), seq, cleared));
        }
        if told.is_empty() {
            return Ok(());
        }
        let cleared = told.iter().map(|(_, _, cleared)| cleared.clone()).collect();
        self.db.update_each(shapes::RESOURCES, cleared).await?;
        for (life, seq, _) in told {
            self.done.add(&life, seq);
            crate::stats::count(&self.db.counters().completed);
        }
        Ok(())
    }

    /// Makes the changes of saves that nobody has read, if that is not known to be done, and takes them out.
    pub(crate) async fn tell_unread(&self) -> Outcome<()> {
        let age = i64::try_from(UNREAD.as_millis()).unwrap_or(i64::MAX);
        let before = DateTime::from_millis(DateTime::now().timestamp_millis().saturating_sub(age));
        let unread = self.db.all(shapes::resources_untold(before), UNREAD_AT_ONCE).await?;
        self.tell_all(&unread).await?;
        // Those that were known to be told are still there.
        let told: Vec<_> = unread
            .iter()
            .filter_map(|document| {
                let seq = number_of(document.get_document("todo").ok()?, "seq");
                let told = shapes::resource_told(text_of(document, "_id"), seq);
                Some(Statement::of(told, doc! {"$unset": {"todo": ""}}))
            })
            .collect();
        if !told.is_empty() {
            self.db.update_each(shapes::RESOURCES, told).await?;
        }
        Ok(())
    }

    /// The resources of documents, after what was decided with them is carried out.
    pub(crate) async fn resources_in(&self, documents: &[Document]) -> Outcome<Vec<Resource>> {
        self.tell_all(documents).await?;
        let resources = documents
            .iter()
            .filter_map(|document| resource_of(document).transpose());
        resources.collect()
    }

    /// The document of a resource, after what was decided about it is carried out.
    pub(crate) async fn resource_document(&self, id: &str) -> Outcome<Option<Document>> {
        let mut found = self.db.first(shapes::resource(id)).await?;
        if let Some(document) = &found
            && document.contains_key("pending")
            && self.carry_out(document).await?
        {
            found = self.db.first(shapes::resource(id)).await?;
        }
        if let Some(document) = &found {
            self.tell_all(std::slice::from_ref(document)).await?;
        }
        Ok(found)
    }

    pub(crate) async fn get_resource(&self, id: &ResourceId) -> Outcome<Option<Resource>> {
        match self.resource_document(id.as_str()).await? {
            Some(document) => resource_of(&document),
            None => Ok(None),
        }
    }

    /// All of them from one state of the service: when a commit falls into the reading, it is read again.
    pub(crate) async fn resources_of_service(&self, nsr: &NsrId) -> Outcome<Vec<Resource>> {
        let mut before = self.settled_service(nsr.as_str()).await?;
        for _ in 0..TRIES {
            let documents = self
                .settled(|| self.db.all(shapes::resources_of(nsr.as_str()), 0))
                .await?;
            let after = self.settled_service(nsr.as_str()).await?;
            if before == after {
                return self.resources_in(&documents).await;
            }
            before = after;
        }
        Err(Fault::Lost(format!(
            "service {nsr} is planned faster than it can be read"
        )))
    }

    pub(crate) async fn resources_of_one_action(&self, nsr: &str, action: &str) -> Outcome<Vec<Resource>> {
        // The header appears last, so where it is, every task of the action is.
        if self.get_action(nsr, action).await?.is_none() {
            // Those of a service that was forgotten stay under their action while they may exist.
            let service = self
                .db
                .first(shapes::decision(&crate::decisions::of_service(nsr)))
                .await?;
            if service.is_some() {
                return Ok(Vec::new());
            }
        }
        let documents = self
            .settled(|| self.db.all(shapes::resources_of_action(nsr, action), 0))
            .await?;
        self.resources_in(&documents).await
    }

    pub(crate) async fn find_shared(&self, target: &str, item: Item, common_id: &str) -> Outcome<Option<Resource>> {
        let query = || {
            self.db
                .all(shapes::resource_shared(target, item.as_str(), common_id), 0)
        };
        let documents = self.settled(query).await?;
        let held = self.resources_in(&documents).await?;
        Ok(held.into_iter().find(|resource| is_shared(resource, common_id)))
    }

    pub(crate) async fn unsettled_page(
        &self,
        target: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Outcome<Page<Resource>> {
        let query = || {
            self.db
                .all(shapes::resources_unsettled(target, after.unwrap_or("")), rows(limit))
        };
        let documents = self.settled(query).await?;
        let page = cut(documents, limit, |document| text_of(document, "_id").to_owned());
        Ok(Page {
            entries: self.resources_in(&page.entries).await?,
            next: page.next,
        })
    }

    pub(crate) async fn unsettled_targets(&self) -> Outcome<Vec<TargetId>> {
        self.complete_outstanding().await?;
        let mut targets = Vec::new();
        let mut after = String::new();
        while let Some(found) = self.db.first(shapes::target_unsettled(&after)).await? {
            text_of(&found, "target").clone_into(&mut after);
            targets.push(parse("a resource", &after)?);
        }
        Ok(targets)
    }

    pub(crate) async fn element_page(
        &self,
        target: &str,
        item: Item,
        after: Option<&str>,
        limit: usize,
    ) -> Outcome<Page<ObservedElement>> {
        let query = shapes::elements(target, item.as_str(), after.unwrap_or(""));
        let found = self.db.all(query, rows(limit)).await?;
        let element = |document: &Document| {
            Ok(ObservedElement {
                resource: parse("a resource", text_of(document, "_id"))?,
                vim_id: parse("a resource", text_of(document, "element"))?,
            })
        };
        let elements = found.iter().map(element).collect::<Result<Vec<_>, Error>>()?;
        Ok(cut(elements, limit, |element: &ObservedElement| {
            element.resource.to_string()
        }))
    }

    pub(crate) async fn any_made(&self, target: &str) -> Outcome<bool> {
        Ok(self.db.first(shapes::resource_made(target)).await?.is_some())
    }

    pub(crate) async fn users(&self, id: &str) -> Outcome<Vec<ResourceId>> {
        let found = self.db.all(shapes::users_of(id), 0).await?;
        let users = found
            .iter()
            .map(|document| parse("a resource", text_of(document, "_id")));
        Ok(users.collect::<Result<_, Error>>()?)
    }

    /// A save by the host that holds the claim, with the record fields that show it.
    pub(crate) async fn save(
        &self,
        claim: &Claim,
        resource: &Resource,
        changes: &[RecordChange],
        writes: &[JournalWrite],
    ) -> Outcome<Revision> {
        let (id, target) = (resource.id.as_str(), claim.target.to_string());
        if claim.target != resource.target {
            return Err(leases::fenced(&resource.target).into());
        }
        // Refused before anything is written, if one of them can never be made.
        outbox::marked("", 0, changes)?;
        let (rev, fence) = (to_db(resource.revision)?, to_db(claim.fence)?);
        let next = rev.saturating_add(1);
        let told = if changes.is_empty() {
            String::new()
        } else {
            encode("the changes of a resource", changes)?
        };
        let columns = Columns::of(resource)?;
        let wrote = digest(claim, resource, &told, writes, text_of(&columns.set, "doc"));
        let mut more =
            doc! {"rev": next, "wrote": &wrote, "mark": self.hints.mark(next, &hints::of_resource(resource))};
        // What was left to do before is done: whoever knows the revision heard it from a save that did it, or from a reader that did.
        let gone: &[&str] = if changes.is_empty() { &["todo"] } else { &[] };
        if !changes.is_empty() {
            more.insert("todo", doc! {"seq": next, "at": DateTime::now(), "changes": told});
        }
        let update = if writes.is_empty() {
            columns.update(more, gone).into()
        } else {
            let mut stages = columns.stages(more, gone);
            stages.extend(journal::stages(writes)?);
            UpdateModifications::Pipeline(stages)
        };
        let query = shapes::resource_saved(id, &target, rev, fence);
        for _ in 0..TRIES {
            let save = Statement::of(query.clone().only(doc! {"life": 1}), update.clone());
            if changes.is_empty() {
                if self.db.update(save).await? {
                    return from_db(next);
                }
            } else if let Some(saved) = self.db.update_and_read(save).await? {
                let life = text_of(&saved, "life");
                self.make(outbox::marked(life, next, changes)?).await?;
                self.done.add(life, next);
                return from_db(next);
            }
            if self.was_saved(claim, resource, &wrote).await? {
                return from_db(next);
            }
        }
        Err(Error::conflict(what(id)).into())
    }

    /// Why a save did not match. True when it was made before, false when it is worth another try.
    async fn was_saved(&self, claim: &Claim, resource: &Resource, wrote: &str) -> Outcome<bool> {
        let id = resource.id.as_str();
        let rev = to_db(resource.revision)?;
        let Some(found) = self.resource_document(id).await? else {
            return Err(self.missing_or_fenced(claim, id).await?.into());
        };
        let there = number_of(&found, "rev");
        if number_of(&found, "fence") > to_db(claim.fence)? {
            return Err(leases::fenced(&claim.target).into());
        }
        if there == rev.saturating_add(1) && text_of(&found, "wrote") == wrote {
            return Ok(true);
        }
        if !found.contains_key("doc") {
            return Err(Error::missing(what(id)).into());
        }
        if there != rev || text_of(&found, "target") != claim.target.to_string() {
            return Err(Error::conflict(what(id)).into());
        }
        if found.contains_key("pending") {
            self.resolve(&found).await?;
        }
        Ok(false)
    }

    /// Of a resource that is not there: whose claim is over hears that first.
    async fn missing_or_fenced(&self, claim: &Claim, id: &str) -> Outcome<Error> {
        let held = self
            .db
            .first(shapes::lease_held(&claim.target.to_string(), to_db(claim.fence)?))
            .await?;
        Ok(match held {
            Some(_) => Error::missing(what(id)),
            None => leases::fenced(&claim.target),
        })
    }

    /// Replaces a resource at the revision it was read at, whoever drives its account. False when it was changed since.
    pub(crate) async fn replace(&self, resource: &Resource) -> Outcome<bool> {
        let rev = to_db(resource.revision)?;
        let next = rev.saturating_add(1);
        let more = doc! {"rev": next, "mark": self.hints.mark(next, &hints::of_resource(resource))};
        let update = Columns::of(resource)?.update(more, &["todo", "wrote"]);
        self.db
            .update(Statement::of(shapes::resource_at(resource.id.as_str(), rev), update))
            .await
    }
}
