//! Acceptance of actions.
//!
//! ```text
//! 1 read     the service, the action's header, the resources to be updated, the numbers of the claims
//! 2 prepare  header, new resources, reservations of the others and of what is shared, texts: nothing of it is found by any query
//! 3 fence    the numbers of the claims again; those that grew are put on the new resources; are the accounts still there?
//! 4 DECIDE   one compare-and-set on the service's document: rev R → R + 1, commit, todo
//! 5 carry out  resources and records, then the header, then `todo` goes
//! ```
//!
//! A process that dies before 4 leaves what nobody sees; after 4, whoever asks next carries it out. A reservation keeps a resource at
//! the revision it was planned at until the decision. Whoever wants to write that resource meanwhile waits a moment and then
//! *refuses* the commit: it writes the commit's id into the service's document, on the revision the commit stands on, and the
//! decision does not match any more. So the service's document alone knows whether a commit was made, and nobody waits for the dead.

use mongodb::bson::{DateTime, Document, doc};
use vimhost_model::{ActionHeader, Resource};
use vimhost_store::{ActionCommit, Committed, Error, Page, ResourceUpdate};

use crate::db::Statement;
use crate::decisions::of_service;
use crate::fault::{Fault, Outcome, decode, encode, to_db};
use crate::fields::{number_of, text_of, texts_of};
use crate::paging::{cut, rows};
use crate::records::Marked;
use crate::resources::{Columns, resource_of, what};
use crate::shapes::{self, ACTIONS, RESOURCES, TEXTS};
use crate::shares::Share;
use crate::store::{Core, unique};
use crate::verdict::Verdict;
use crate::{hints, journal, outbox};

/// How often preparing is tried when others hold what it needs. Each time one of them was resolved.
const TRIES: usize = 5;

/// A commit as its documents.
struct Prepared {
    /// Names the commit, its header's document and its reservations.
    id: String,
    nsr: String,
    base: i64,
    /// The life of the service whose revision the base is.
    life: String,
    header: Document,
    /// The accounts its plan has found there.
    accounts: Vec<String>,
    /// The accounts of its new resources, and the numbers of the claims on them.
    targets: Vec<String>,
    fences: Vec<i64>,
    new: Vec<Document>,
    new_ids: Vec<String>,
    updates: Vec<(String, i64, Document)>,
    ids: Vec<String>,
    shares: Vec<Share>,
    /// The commit, as a reservation names it.
    holding: Document,
    texts: Vec<(String, String)>,
}

impl Prepared {
    fn share_ids(&self) -> Vec<String> {
        self.shares.iter().map(|share| share.id.clone()).collect()
    }

    /// The resources its plan knew.
    fn known(&self) -> Vec<String> {
        self.updates.iter().map(|(id, _, _)| id.clone()).collect()
    }
}

/// What carrying a commit out takes.
pub(crate) struct Left {
    ids: Vec<String>,
    shares: Vec<String>,
    changes: Vec<Marked>,
}

fn header_of(document: &Document) -> Result<ActionHeader, Error> {
    decode("an action", text_of(document, "doc"))
}

fn left(commit: &str, undone: Outcome<()>) {
    if let Err(fault) = undone {
        tracing::debug!(commit, ?fault, "a refused commit is left to be cleaned up");
    }
}

/// Orders headers by time, and those of one time by something of their own.
fn order(header: &ActionHeader, commit: &str) -> String {
    format!("{:016x}-{commit}", header.created_at.0.max(0))
}

impl Core {
    pub(crate) async fn get_action(&self, nsr: &str, action: &str) -> Outcome<Option<ActionHeader>> {
        let find = || self.db.first(shapes::header(nsr, action));
        let id = of_service(nsr);
        let (mut found, mut decision) = tokio::try_join!(find(), self.db.first(shapes::decision(&id)))?;
        if found.is_none() {
            // It is not there, but the decision that will put it there may have been read as it was before.
            decision = self.db.newest(shapes::decision(&id)).await?;
        }
        if decision.is_some_and(|decision| decision.contains_key("todo")) {
            self.settled_decision(nsr).await?;
            found = find().await?;
        }
        Ok(found.as_ref().map(header_of).transpose()?)
    }

    pub(crate) async fn action_page(
        &self,
        nsr: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Outcome<Page<ActionHeader>> {
        // Above every hexadecimal digit.
        let below = after.unwrap_or("g");
        let query = || {
            let query = match nsr {
                Some(nsr) => shapes::headers_of_below(nsr, below),
                None => shapes::headers_below(below),
            };
            self.db.all(query, rows(limit))
        };
        let page = cut(self.settled(query).await?, limit, |document| {
            text_of(document, "order").to_owned()
        });
        let headers = page.entries.iter().map(header_of).collect::<Result<Vec<_>, _>>()?;
        Ok(Page {
            entries: headers,
            next: page.next,
        })
    }

    /// Accepts an action. The answer comes with the hints of what changed.
    pub(crate) async fn accept(&self, mut commit: ActionCommit) -> Outcome<(Committed, Vec<vimhost_store::Change>)> {
        let (nsr, action) = (commit.header.nsr_id.clone(), commit.header.id.clone());
        let base = to_db(commit.service_revision)?;
        outbox::marked("", 0, &commit.record_changes)?;
        let mut targets: Vec<_> = commit.new_resources.iter().map(|new| new.target.to_string()).collect();
        targets.sort_unstable();
        targets.dedup();
        let ids: Vec<_> = commit
            .updates
            .iter()
            .map(|update| update.resource.to_string())
            .collect();
        let (service, header, basis, fences) = tokio::try_join!(
            self.settled_service(nsr.as_str()),
            self.get_action(nsr.as_str(), action.as_str()),
            self.basis(&ids),
            self.fences(&targets)
        )?;
        if let Some(header) = header {
            return Ok((Committed::Exists(header), Vec::new()));
        }
        // A service that was forgotten since it was planned may have come to the same revision again.
        let another = commit.service_life.as_ref().is_some_and(|life| *life != service.life);
        if service.rev != base || another {
            return Err(Error::conflict(format!("the plan of service {nsr}")).into());
        }
        commit.service_life = Some(service.life);
        let told = |basis: &[Resource]| {
            let resources = commit.new_resources.iter().chain(basis);
            hints::of_commit(
                &commit.header,
                resources.map(|resource| (&resource.target, &resource.id)),
            )
        };
        let hints = told(&basis);
        let changes = encode("the changes of a commit", &commit.record_changes)?;
        let record_changes = commit.record_changes.clone();
        let prepared = self.prepared(commit, basis, targets, fences, &changes, &hints)?;
        if let Err(fault) = self.prepare(&prepared).await {
            if fault.is_lost() {
                // What was sent may arrive later. By the header it is found when it is abandoned.
                self.undo_but_header(&prepared).await;
            } else {
                self.undo(&prepared).await;
            }
            return Err(fault);
        }
        let decision = match self.decide(&prepared).await {
            Ok(decision) => decision,
            Err(fault) => {
                let header = self.get_action(&prepared.nsr, action.as_str()).await;
                if let Ok(Some(header)) = header {
                    self.undo(&prepared).await;
                    return Ok((Committed::Exists(header), Vec::new()));
                }
                return Err(fault);
            }
        };
        let changes = outbox::marked(text_of(&decision, "life"), base.saturating_add(1), &record_changes)?;
        let left = Left {
            ids: prepared.ids.clone(),
            shares: prepared.share_ids(),
            changes,
        };
        self.complete_commit(&of_service(nsr.as_str()), &decision, Some(left))
            .await?;
        Ok((Committed::Accepted, hints))
    }

    /// The resources of ids that are there, with nothing left to do.
    async fn basis(&self, ids: &[String]) -> Outcome<Vec<Resource>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let documents = self.settled(|| self.db.all(shapes::resources(ids), 0)).await?;
        self.resources_in(&documents).await
    }

    fn prepared(
        &self,
        commit: ActionCommit,
        mut basis: Vec<Resource>,
        targets: Vec<String>,
        fences: Vec<i64>,
        changes: &str,
        hints: &[vimhost_store::Change],
    ) -> Outcome<Prepared> {
        let (id, nsr, base) = (
            unique(),
            commit.header.nsr_id.to_string(),
            to_db(commit.service_revision)?,
        );
        let pending = |next: Document| doc! {"commit": &id, "nsr": &nsr, "base": base, "next": next};
        let mut new = Vec::with_capacity(commit.new_resources.len());
        for resource in &commit.new_resources {
            let target = resource.target.to_string();
            let fence = targets
                .iter()
                .position(|known| *known == target)
                .and_then(|n| fences.get(n))
                .copied();
            new.push(doc! {
                "_id": resource.id.as_str(), "target": target, "item": resource.item.as_str(), "fence": fence.unwrap_or(0),
                "life": unique(), "rev": 0_i64, "entries": journal::last_number(&resource.journal)?,
                "journal": journal::documents(&resource.journal)?, "pending": pending(Columns::of(resource)?.set),
            });
        }
        let mut updates = Vec::with_capacity(commit.updates.len());
        for ResourceUpdate {
            resource: id,
            expected,
            tasks,
            uses,
        } in commit.updates
        {
            let found = basis
                .iter_mut()
                .find(|resource| resource.id == id && resource.revision == expected);
            let resource = found.ok_or_else(|| Error::conflict(what(id.as_str())))?;
            resource.tasks.extend(tasks);
            for used in uses {
                if !resource.uses.contains(&used) {
                    resource.uses.push(used);
                }
            }
            resource.modified_at = commit.header.created_at;
            updates.push((id.to_string(), to_db(expected)?, pending(Columns::of(resource)?.set)));
        }
        let new_ids: Vec<_> = commit
            .new_resources
            .iter()
            .map(|resource| resource.id.to_string())
            .collect();
        let ids: Vec<_> = new_ids
            .iter()
            .chain(updates.iter().map(|(id, _, _)| id))
            .cloned()
            .collect();
        let mut sorted = ids.clone();
        sorted.sort_unstable();
        if let Some(twice) = sorted
            .windows(2)
            .find(|pair| pair.first() == pair.last())
            .and_then(<[_]>::first)
        {
            return Err(Error::conflict(what(twice)).into());
        }
        let holding = pending(Document::new());
        let shares = Share::all_of(&commit.new_resources);
        let share_ids: Vec<_> = shares.iter().map(|share| share.id.as_str()).collect();
        let header = doc! {"_id": &id, "pending": {
            "nsr": &nsr, "base": base, "commit": &id, "at": DateTime::now(), "ids": &ids, "shares": share_ids, "changes": changes,
            "next": {
                "nsr": &nsr, "action": commit.header.id.as_str(), "order": order(&commit.header, &id),
                "doc": encode("an action", &commit.header)?, "mark": self.hints.mark(base, hints),
            },
        }};
        Ok(Prepared {
            id,
            nsr,
            base,
            life: commit.service_life.unwrap_or_default(),
            header,
            accounts: commit.accounts.iter().map(ToString::to_string).collect(),
            targets,
            fences,
            new,
            new_ids,
            updates,
            ids,
            shares,
            holding,
            texts: commit.texts,
        })
    }

    async fn prepare(&self, prepared: &Prepared) -> Outcome<()> {
        // To its end, whatever becomes of a part: what was still on its way when the rest is undone would stay behind.
        let parts = tokio::join!(
            async {
                match self.db.insert(ACTIONS, prepared.header.clone()).await {
                    // Sent twice.
                    Err(Fault::Duplicate(_)) | Ok(()) => Ok(()),
                    Err(fault) => Err(fault),
                }
            },
            self.add_resources(prepared),
            self.reserve(prepared),
            async {
                if prepared.shares.is_empty() {
                    return Ok(());
                }
                Box::pin(self.share(&prepared.shares, &prepared.holding, &prepared.known())).await
            },
            self.add_texts(prepared),
        );
        // Of several reasons the one that says that something may still arrive.
        let faults = <[_; 5]>::from(parts).into_iter().filter_map(Result::err);
        if let Some(fault) = faults.max_by_key(Fault::is_lost) {
            return Err(fault);
        }
        tokio::try_join!(
            self.raise_all(&prepared.targets, &prepared.fences),
            self.accounts_stay(&prepared.accounts)
        )?;
        Ok(())
    }

    async fn add_resources(&self, prepared: &Prepared) -> Outcome<()> {
        if prepared.new.is_empty() {
            return Ok(());
        }
        let mut missing = prepared.new.clone();
        for _ in 0..TRIES {
            match self.db.insert_all(RESOURCES, &missing).await {
                Ok(()) => return Ok(()),
                Err(Fault::Duplicate(_)) => {}
                Err(fault) => return Err(fault),
            }
            let found = self.db.all(shapes::resources(&prepared.new_ids), 0).await?;
            for document in &found {
                let ours = document
                    .get_document("pending")
                    .is_ok_and(|it| text_of(it, "commit") == prepared.id);
                if ours {
                    missing.retain(|new| text_of(new, "_id") != text_of(document, "_id"));
                } else if document.contains_key("doc") {
                    return Err(Error::conflict(what(text_of(document, "_id"))).into());
                } else {
                    self.resolve(document).await?;
                }
            }
            if missing.is_empty() {
                return Ok(());
            }
        }
        Err(Error::conflict(format!("a new resource of service {}", prepared.nsr)).into())
    }

    async fn reserve(&self, prepared: &Prepared) -> Outcome<()> {
        if prepared.updates.is_empty() {
            return Ok(());
        }
        let wanted = u64::try_from(prepared.updates.len()).unwrap_or(u64::MAX);
        let ids: Vec<_> = prepared.updates.iter().map(|(id, _, _)| id.clone()).collect();
        for _ in 0..TRIES {
            let statement = |(id, rev, pending): &(String, i64, Document)| {
                let query = shapes::resource_free(id, *rev, &prepared.id);
                Statement::of(query, doc! {"$set": {"pending": pending.clone()}})
            };
            let statements = prepared.updates.iter().map(statement).collect();
            if self.db.update_each(RESOURCES, statements).await? >= wanted {
                return Ok(());
            }
            let found = self.db.all(shapes::resources(&ids), 0).await?;
            for (id, rev, _) in &prepared.updates {
                let document = found.iter().find(|document| text_of(document, "_id") == id);
                // Dropped or changed since it was planned with: plan again.
                let document = document.filter(|document| number_of(document, "rev") == *rev);
                let document = document.ok_or_else(|| Error::conflict(what(id)))?;
                let other = document
                    .get_document("pending")
                    .is_ok_and(|it| text_of(it, "commit") != prepared.id);
                if other {
                    self.resolve(document).await?;
                }
            }
        }
        Err(Error::conflict(format!("a resource of service {}", prepared.nsr)).into())
    }

    /// Texts are known by their digests, so they can be there before the commit; they go with the service.
    async fn add_texts(&self, prepared: &Prepared) -> Outcome<()> {
        let statement = |(digest, text): &(String, String)| Statement {
            upsert: true,
            ..Statement::of(
                shapes::text(digest),
                doc! {"$setOnInsert": {"content": text}, "$addToSet": {"services": &prepared.nsr}},
            )
        };
        let statements = prepared.texts.iter().map(statement).collect();
        self.db.update_each(TEXTS, statements).await?;
        Ok(())
    }

    /// The decision. Answers the service's document, with the commit in it.
    async fn decide(&self, prepared: &Prepared) -> Outcome<Document> {
        let decision = of_service(&prepared.nsr);
        let next = prepared.base.saturating_add(1);
        let decidable = match prepared.base {
            // Nobody else's life to mistake for it.
            0 => shapes::decidable(&decision, 0, &prepared.id),
            base => shapes::decidable_in(&decision, base, &prepared.id, &prepared.life),
        };
        let decide = Statement {
            upsert: prepared.base == 0,
            ..Statement::of(
                decidable,
                doc! {
                    "$set": {"rev": next, "commit": &prepared.id, "todo": "commit"},
                    "$setOnInsert": {"life": unique()}, "$unset": {"refused": ""},
                },
            )
        };
        match self.db.update_and_read(decide).await {
            Ok(Some(decision)) => Ok(decision),
            Ok(None) | Err(Fault::Duplicate(_)) => {
                self.undo(prepared).await;
                Err(Error::conflict(format!("the plan of service {}", prepared.nsr)).into())
            }
            Err(fault) if fault.is_lost() => {
                // It may be made, or still on its way. Refusing it makes it known: either it is made, or it never will be.
                let pending = doc! {"commit": &prepared.id, "nsr": &prepared.nsr, "base": prepared.base};
                match self.refuse(&pending).await {
                    Ok(Verdict::Decided) => {
                        let found = self.db.first(shapes::decision(&decision)).await?;
                        found.ok_or(fault)
                    }
                    Ok(Verdict::Dead | Verdict::Open) => {
                        self.undo(prepared).await;
                        Err(fault)
                    }
                    Err(_) => Err(fault),
                }
            }
            Err(fault) => {
                self.undo(prepared).await;
                Err(fault)
            }
        }
    }

    /// Takes away what a commit has prepared that will not be made. What cannot be taken away now is taken later.
    async fn undo(&self, prepared: &Prepared) {
        let shares = prepared.share_ids();
        left(&prepared.id, self.discard(&prepared.id, &prepared.ids, &shares).await);
    }

    /// As [`Self::undo`], but for the header.
    async fn undo_but_header(&self, prepared: &Prepared) {
        left(&prepared.id, self.free(&prepared.id, &prepared.ids).await);
        left(&prepared.id, self.unshare(&prepared.id, &prepared.share_ids()).await);
    }

    /// Takes what a commit that is never made holds of resources: those it would have made go, the others are free. One that appears
    /// between the two, sent by a host that nobody waits for any more, keeps its mark and goes with the next who meets it.
    pub(crate) async fn free(&self, commit: &str, ids: &[String]) -> Outcome<()> {
        self.db.delete_all(shapes::resources_unborn(ids, commit)).await?;
        let reserved = shapes::resources_reserved(ids, commit);
        self.db.update_all(reserved, doc! {"$unset": {"pending": ""}}).await?;
        Ok(())
    }

    pub(crate) async fn discard(&self, commit: &str, ids: &[String], shares: &[String]) -> Outcome<()> {
        self.free(commit, ids).await?;
        self.unshare(commit, shares).await?;
        self.db.delete(shapes::commit_pending(commit)).await?;
        Ok(())
    }

    /// Carries a commit out. `todo` spares reading what was prepared.
    pub(crate) async fn complete_commit(
        &self,
        decision_id: &str,
        decision: &Document,
        todo: Option<Left>,
    ) -> Outcome<()> {
        let commit = text_of(decision, "commit");
        let Left { ids, shares, changes } = match todo {
            Some(todo) => todo,
            None => self.left_of(commit, decision).await?,
        };
        // What no commit changes stays; the rest is as the commit has prepared it.
        let kept = doc! {
            "_id": "$_id", "target": "$target", "item": "$item", "fence": "$fence", "life": "$life",
            "rev": {"$add": ["$rev", 1_i64]}, "entries": "$entries", "journal": "$journal",
        };
        let born = vec![doc! {"$replaceWith": {"$mergeObjects": [kept, "$pending.next"]}}];
        tokio::try_join!(
            async {
                if ids.is_empty() {
                    return Ok(0);
                }
                self.db
                    .update_all(shapes::resources_of_commit(&ids, commit), born)
                    .await
            },
            self.make(changes)
        )?;
        // Not before they can be found.
        self.unshare(commit, &shares).await?;
        let shown = vec![doc! {"$replaceWith": {"$mergeObjects": [{"_id": "$_id"}, "$pending.next"]}}];
        self.db
            .update(Statement::of(shapes::commit_pending(commit), shown))
            .await?;
        let clear = Statement::of(shapes::decided(decision_id, commit), doc! {"$unset": {"todo": ""}});
        self.db.update(clear).await?;
        Ok(())
    }

    async fn left_of(&self, commit: &str, decision: &Document) -> Outcome<Left> {
        let found = self.db.first(shapes::commit_pending(commit)).await?;
        let Some(pending) = found.as_ref().and_then(|found| found.get_document("pending").ok()) else {
            return Ok(Left {
                ids: Vec::new(),
                shares: Vec::new(),
                changes: Vec::new(),
            });
        };
        let changes: Vec<_> = decode("the changes of a commit", text_of(pending, "changes"))?;
        let rev = number_of(decision, "rev");
        Ok(Left {
            ids: texts_of(pending, "ids"),
            shares: texts_of(pending, "shares"),
            changes: outbox::marked(text_of(decision, "life"), rev, &changes)?,
        })
    }

    /// The resource of a document that has one.
    pub(crate) async fn current(&self, id: &str) -> Outcome<Option<Resource>> {
        match self.resource_document(id).await? {
            Some(document) => {
                self.resolve(&document).await?;
                let found = self.db.first(shapes::resource(id)).await?;
                found.as_ref().map(resource_of).transpose().map(Option::flatten)
            }
            None => Ok(None),
        }
    }
}
