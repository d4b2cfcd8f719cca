//! Documents of VNF instances, and the carrying out of what was decided with them.
//!
//! ```text
//! { _id, seq, rev, doc: "<the instance as JSON>",
//!   head, rest,                                             // the same as lists show it
//!   vnfd, state, package, target, op,                       // what queries ask for; op: the occurrence that locks it
//!   claimed, fence, under, open, numbering,                 // the account worked on, and the claim that may write
//!   current: { id, rev, state, on, final, doc },            // the last occurrence; on: where it runs, while it does
//!   ms, wrote, mark,
//!   todo, events: [..], gone }                              // what the last write has left to do
//! ```
//!
//! The document decides for the instance and for its last occurrence, so that accepting an operation, each of its steps, and its end with
//! what becomes of the instance are one compare-and-set each. `rev` is the revision of the instance, `current.rev` that of the occurrence,
//! `seq` counts the writes of the document.
//!
//! `todo` is the number of a write whose rest is not known to be done: the occurrence is to be shown in `vimhost_vnf_lcm_op_occs`, where lists
//! and readers of occurrences that are over find it, the events are to be moved to `vimhost_lcm_events`, and the document of a deleted instance
//! goes. No write is made before the rest of the one before it is done, so nothing is left out, and events come in the order of the writes.
//! Doing it again changes nothing: an occurrence is shown only over an older revision, and an event has its number already.
//!
//! **Numbers of events** are `<ms>-<seq>-<n>-<instance>`. `ms` is the time of the event, or that of the last one of the instance where a host
//! with a slower clock wrote after it; so numbers sort by time, and those of one instance always in the order of its writes.

use futures_util::future::try_join_all;
use mongodb::bson::{Document, doc};
use serde_json::{Map, Value};
use vimhost_model::vnf::{VnfInstance, VnfLcmOpOcc};
use vimhost_store::{Change, Listed};

use crate::db::Statement;
use crate::fault::{Fault, Outcome, decode, from_db, parse};
use crate::fields::{list_of, number_of, text_of, texts_of};
use crate::shapes;
use crate::stats::count;
use crate::store::Core;

/// Documents carried out in one go: as many as writers at this moment, or as hosts that died have left.
const OUTSTANDING: i64 = 200;

/// All that carrying out needs: without the texts of the instance.
pub(crate) fn parts() -> Document {
    doc! {"doc": 0, "head": 0, "rest": 0}
}

/// The number of the event `n` of a write.
fn number(ms: i64, seq: i64, n: usize, instance: &str) -> String {
    format!("{ms:013}-{seq:010}-{n:03}-{instance}")
}

/// The instance of a document.
pub(crate) fn instance_of(document: &Document) -> Outcome<VnfInstance> {
    let mut instance: VnfInstance = decode("a VNF instance", text_of(document, "doc"))?;
    instance.own.revision = from_db(number_of(document, "rev"))?;
    let operation = document.get_str("op").ok();
    instance.own.operation = operation
        .map(|operation| parse("a VNF instance", operation))
        .transpose()?;
    Ok(instance)
}

/// An occurrence: of its own document, or of the part of its instance's.
pub(crate) fn op_occ_of(document: &Document) -> Outcome<VnfLcmOpOcc> {
    let mut op_occ: VnfLcmOpOcc = decode("an operation occurrence", text_of(document, "doc"))?;
    op_occ.own.revision = from_db(number_of(document, "rev"))?;
    Ok(op_occ)
}

/// The last occurrence of an instance's document, if it is this one.
pub(crate) fn current<'a>(document: &'a Document, op_occ: &str) -> Option<&'a Document> {
    let current = document.get_document("current").ok()?;
    (text_of(current, "id") == op_occ).then_some(current)
}

impl Core {
    /// Carries out what the last write of an instance's document has left. The document must have [`parts`].
    pub(crate) async fn settle_instance(&self, document: &Document) -> Outcome<()> {
        let Ok(seq) = document.get_i64("todo") else {
            return Ok(());
        };
        let id = text_of(document, "_id");
        // Other hosts hear of events when they are there, not when they are decided.
        let mark = self.hints.mark(seq, &[Change::Events]);
        if document.get_bool("gone").unwrap_or(false) {
            // Its occurrences are over and shown.
            self.tell_events(document, seq).await?;
            let gone = shapes::vnf_instance_gone(id, seq);
            self.db
                .update(Statement::of(gone.clone(), doc! {"$set": {"mark": mark}}))
                .await?;
            self.db.delete(gone).await?;
            return Ok(());
        }
        tokio::try_join!(self.show_op_occ(document), self.tell_events(document, seq))?;
        let mut told = doc! {"$unset": {"todo": "", "events": ""}};
        if !list_of(document, "events").is_empty() {
            told.insert("$set", doc! {"mark": mark});
        }
        self.db
            .update(Statement::of(shapes::vnf_instance_told(id, seq), told))
            .await?;
        Ok(())
    }

    /// Shows the last occurrence as it is now, unless a later revision of it is shown.
    async fn show_op_occ(&self, document: &Document) -> Outcome<()> {
        let Ok(current) = document.get_document("current") else {
            return Ok(());
        };
        let (id, rev, text) = (
            text_of(current, "id"),
            number_of(current, "rev"),
            text_of(current, "doc"),
        );
        let attributes: Map<String, Value> = decode("an operation occurrence", text)?;
        let listed = Listed::of(id, attributes.into(), &VnfLcmOpOcc::DEFAULT_EXCLUDED);
        let set = doc! {
            "rev": rev, "instance": text_of(document, "_id"), "state": text_of(current, "state"),
            "final": current.get_bool("final").unwrap_or(false), "doc": text, "head": listed.head, "rest": listed.rest,
        };
        let show = Statement {
            // Where the query matches nothing but the document is there, it is as new.
            upsert: true,
            ..Statement::of(shapes::op_occ_before(id, rev), doc! {"$set": set})
        };
        match self.db.update(show).await {
            Ok(_) | Err(Fault::Duplicate(_)) => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    /// Puts the events of a write where they are decided on, one after the other.
    async fn tell_events(&self, document: &Document, seq: i64) -> Outcome<()> {
        let (id, ms) = (text_of(document, "_id"), number_of(document, "ms"));
        for (n, event) in texts_of(document, "events").into_iter().enumerate() {
            let tell = Statement {
                upsert: true,
                ..Statement::of(
                    shapes::lcm_event(&number(ms, seq, n, id)),
                    doc! {"$setOnInsert": {"doc": event}},
                )
            };
            match self.db.update(tell).await {
                // Somebody else tells it at the same moment.
                Ok(_) | Err(Fault::Duplicate(_)) => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }

    async fn settle_others(&self, documents: &[Document]) -> Outcome<()> {
        let mut left = Vec::new();
        for document in documents {
            if document.contains_key("todo") {
                count(&self.db.counters().completed);
                left.push(self.settle_instance(document));
            }
        }
        try_join_all(left).await?;
        Ok(())
    }

    /// Carries out what is decided about instances.
    pub(crate) async fn complete_instances(&self) -> Outcome<()> {
        let outstanding = shapes::vnf_instances_outstanding().only(parts());
        let outstanding = self.db.all(outstanding, OUTSTANDING).await?;
        self.settle_others(&outstanding).await
    }

    /// What a query finds when everything decided about instances before it is carried out. Asking for what is outstanding goes along
    /// with the query and costs no time of its own.
    pub(crate) async fn with_instances_settled<T, F: Future<Output = Outcome<T>>>(
        &self,
        query: impl Fn() -> F,
    ) -> Outcome<T> {
        let outstanding = || shapes::vnf_instances_outstanding().only(parts());
        let (found, outstanding) = tokio::try_join!(query(), async { self.db.all(outstanding(), OUTSTANDING).await })?;
        if outstanding.is_empty() {
            return Ok(found);
        }
        self.settle_others(&outstanding).await?;
        query().await
    }

    /// The document of an instance, with nothing left to do.
    pub(crate) async fn instance_document(&self, id: &str) -> Outcome<Option<Document>> {
        let found = self.db.first(shapes::vnf_instance(id)).await?;
        self.settle_others(found.as_slice()).await?;
        Ok(found.filter(|found| !found.contains_key("gone")))
    }

    pub(crate) async fn get_instance(&self, id: &str) -> Outcome<Option<VnfInstance>> {
        let found = self.instance_document(id).await?;
        found.as_ref().map(instance_of).transpose()
    }

    /// An occurrence. One that is over is as it is shown; any other one is as its instance has it.
    pub(crate) async fn get_op_occ(&self, id: &str) -> Outcome<Option<VnfLcmOpOcc>> {
        let shown = self.db.first(shapes::op_occ(id)).await?;
        let holder = match &shown {
            Some(shown) if shown.get_bool("final").unwrap_or(false) => return op_occ_of(shown).map(Some),
            Some(shown) => shapes::vnf_instance(text_of(shown, "instance")),
            // Whoever accepted it may have died before it was shown.
            None => shapes::vnf_instance_with(id),
        };
        let holder = self.db.first(holder.only(parts())).await?;
        self.settle_others(holder.as_slice()).await?;
        if let Some(current) = holder.as_ref().and_then(|holder| current(holder, id)) {
            return op_occ_of(current).map(Some);
        }
        if shown.is_none() {
            return Ok(None);
        }
        // Another operation has begun, or the instance went, since it was read: what is shown is the last of it.
        let shown = self.db.first(shapes::op_occ(id)).await?;
        shown.as_ref().map(op_occ_of).transpose()
    }

    /// Documents of instances whose occurrence runs on an account, or without one.
    pub(crate) async fn operations_on(&self, target: &str, after: &str, rows: i64) -> Outcome<Vec<Document>> {
        let found = self
            .db
            .all(shapes::vnf_operations_on(target, after).only(parts()), rows)
            .await?;
        self.settle_others(&found).await?;
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_events_sort_by_time_and_then_by_the_order_of_writes() {
        let sorted = [
            number(999, 7, 0, "a"),
            number(1_700_000_000_000, 9, 0, "a"),
            number(1_700_000_000_000, 10, 0, "a"),
            number(1_700_000_000_000, 10, 1, "a"),
            number(1_700_000_000_000, 10, 1, "b"),
            number(1_700_000_000_001, 1, 0, "a"),
        ];
        assert!(sorted.is_sorted_by(|one, next| one < next), "{sorted:?}");
    }
}
