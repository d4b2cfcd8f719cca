//! Documents that decide a write to several others, and the carrying out of what was decided.
//!
//! ```text
//! { _id: "service:<id>", rev, life, commit, todo: "commit" | "forget", refused: [..] }
//! { _id: "batch:<random>", todo: "records", puts: [..] }
//! ```
//!
//! `rev` is the planning revision, `commit` the commit that made it. While `todo` is there, something decided is not carried out yet.
//! Whoever asks a question whose answer depends on it carries it out first ([`Core::settled`]); each step of that matches only
//! once, so it does not matter how many do so at a time, or how late. `life` tells a service from one of the same id that was
//! forgotten.

use std::pin::Pin;

use futures_util::future::try_join_all;
use mongodb::bson::{Bson, Document, doc};
use vimhost_model::{Collection, RecordId, Revision};
use vimhost_store::{Error, PlanBase};

use crate::fault::{Fault, Outcome, from_db, parse};
use crate::fields::{list_of, number_of, text_of};
use crate::records::{Whole, marked_whole};
use crate::shapes::{self, DECISIONS};
use crate::stats::count;
use crate::store::{Core, unique};
use crate::verdict::Verdict;

/// Decisions carried out in one go. There are as many as writers between a decision and its end, or hosts that died there.
const OUTSTANDING: i64 = 200;

/// The document that decides for a service.
pub(crate) fn of_service(nsr: &str) -> String {
    format!("service:{nsr}")
}

/// What a service's planning stands on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Service {
    pub(crate) life: String,
    pub(crate) rev: i64,
}

impl Core {
    /// Carries one decision out. Boxed, because forgetting looks at resources and a resource may hang on a decision.
    fn complete<'a>(&'a self, decision: &'a Document) -> Pin<Box<dyn Future<Output = Outcome<()>> + Send + 'a>> {
        Box::pin(async move {
            let id = text_of(decision, "_id");
            count(&self.db.counters().completed);
            match (text_of(decision, "todo"), id.strip_prefix("service:")) {
                ("commit", Some(_)) => self.complete_commit(id, decision, None).await,
                ("forget", Some(nsr)) => self.complete_forgetting(nsr).await.map(|_| ()),
                ("records", None) => self.complete_batch(decision).await.map(|_| ()),
                (todo, _) => Err(Error::corrupt("a decision", format!("'{id}' is left with '{todo}'")).into()),
            }
        })
    }

    /// Carries out all that is decided. True when there was anything.
    pub(crate) async fn complete_outstanding(&self) -> Outcome<bool> {
        let outstanding = self.db.all(shapes::outstanding(), OUTSTANDING).await?;
        try_join_all(outstanding.iter().map(|decision| self.complete(decision))).await?;
        Ok(!outstanding.is_empty())
    }

    /// What a query finds when everything decided before it is carried out. Asking for what is outstanding goes along with the query
    /// and costs no time of its own.
    pub(crate) async fn settled<T, F: Future<Output = Outcome<T>>>(&self, query: impl Fn() -> F) -> Outcome<T> {
        let (found, outstanding) =
            tokio::try_join!(query(), async { self.db.all(shapes::outstanding(), OUTSTANDING).await })?;
        if outstanding.is_empty() {
            return Ok(found);
        }
        try_join_all(outstanding.iter().map(|decision| self.complete(decision))).await?;
        query().await
    }

    /// A service's document with nothing left to do in it.
    pub(crate) async fn settled_decision(&self, nsr: &str) -> Outcome<Option<Document>> {
        let id = of_service(nsr);
        let found = self.db.first(shapes::decision(&id)).await?;
        match found {
            Some(decision) if decision.contains_key("todo") => {
                self.complete(&decision).await?;
                self.db.first(shapes::decision(&id)).await
            }
            found => Ok(found),
        }
    }

    pub(crate) async fn settled_service(&self, nsr: &str) -> Outcome<Service> {
        let found = self.settled_decision(nsr).await?;
        Ok(found.map_or_else(Service::default, |found| Service {
            life: text_of(&found, "life").to_owned(),
            rev: number_of(&found, "rev"),
        }))
    }

    pub(crate) async fn planning_revision(&self, nsr: &str) -> Outcome<Revision> {
        from_db(self.settled_service(nsr).await?.rev)
    }

    pub(crate) async fn planning_base(&self, nsr: &str) -> Outcome<PlanBase> {
        let Service { life, rev } = self.settled_service(nsr).await?;
        Ok(PlanBase {
            revision: from_db(rev)?,
            // Before the first commit there is nothing to tell: a document of revision 0 is one that refuses a commit.
            life: (rev > 0).then_some(life),
        })
    }

    /// Carries out what was decided about a document that a commit has reserved. True when something changed.
    pub(crate) async fn carry_out(&self, document: &Document) -> Outcome<bool> {
        let Ok(pending) = document.get_document("pending") else {
            return Ok(false);
        };
        if self.verdict(pending).await? != Verdict::Decided {
            return Ok(false);
        }
        self.settled_decision(text_of(pending, "nsr")).await?;
        Ok(true)
    }

    /// Writes several whole records. One document with all of them decides; then each is replaced, once.
    ///
    /// A record that the database refuses, because of a rule that is not ours, is left out and makes this fail; the others are written.
    /// The decision ends all the same: one that stayed would stop every reader that has to carry it out first.
    pub(crate) async fn write_records(&self, wholes: Vec<Whole>) -> Outcome<()> {
        let put = |whole: &Whole| {
            doc! {
                "collection": whole.collection.as_str(), "id": whole.id.as_str(), "document": whole.document.clone(),
                "bare": whole.bare,
            }
        };
        let puts: Vec<_> = wholes.iter().map(put).collect();
        let batch = doc! {"_id": format!("batch:{}", unique()), "todo": "records", "puts": puts};
        self.db.insert(DECISIONS, batch.clone()).await?;
        match self.complete_batch(&batch).await? {
            Some(reason) => Err(Fault::Rejected(reason)),
            None => Ok(()),
        }
    }

    /// Answers why a record was refused, if one was.
    async fn complete_batch(&self, batch: &Document) -> Outcome<Option<String>> {
        let id = text_of(batch, "_id");
        // No dots or colons in the name of a mark.
        let origin = id.strip_prefix("batch:").unwrap_or(id);
        let wholes = list_of(batch, "puts")
            .iter()
            .filter_map(Bson::as_document)
            .map(whole)
            .collect::<Result<Vec<_>, _>>()?;
        let outcomes = try_join_all(wholes.into_iter().map(|whole| self.make_whole(whole, origin))).await?;
        let (mut made, mut refused) = (Vec::new(), None);
        for outcome in outcomes {
            match outcome {
                Ok(whole) => made.push(whole),
                Err(reason) => refused = Some(reason),
            }
        }
        self.number_all(made).await?;
        self.db.delete(shapes::decision(id)).await?;
        Ok(refused)
    }

    /// Replaces a record; one that has the mark of the batch already is there under its id and is left alone. Answers the record, or
    /// why it is refused.
    async fn make_whole(&self, whole: Whole, origin: &str) -> Outcome<Result<Whole, String>> {
        match self.db.update(marked_whole(&whole, origin)).await {
            Err(Fault::Duplicate(_)) | Ok(_) => Ok(Ok(whole)),
            Err(Fault::Rejected(reason)) => {
                self.left_out
                    .refused(whole.collection.as_str(), whole.id.as_str(), &reason);
                Ok(Err(reason))
            }
            Err(fault) => Err(fault),
        }
    }
}

fn whole(put: &Document) -> Result<Whole, Error> {
    let collection = Collection::from_name(text_of(put, "collection"));
    let id: RecordId = parse("a batch of records", text_of(put, "id"))?;
    Ok(Whole {
        collection: collection.ok_or_else(|| Error::corrupt("a batch of records", "no such collection"))?,
        document: put.get_document("document").cloned().unwrap_or_default(),
        bare: put.get_bool("bare").unwrap_or(false),
        id,
    })
}
