//! Record changes that were decided with another document and are then made, once and in order.
//!
//! The deciding document holds them until they are known to be made; a record holds the number of the last one of each origin
//! ([`crate::records`]). So making them again does nothing, and making an old one after a newer one does nothing either.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use futures_util::future::try_join_all;
use mongodb::bson::Document;
use vimhost_model::RecordChange;
use vimhost_store::Error;

use crate::fault::Outcome;
use crate::pipeline;
use crate::records::Marked;
use crate::store::Core;

/// Resources of which it is remembered that their changes are made. Some hundred bytes each; what is forgotten is made again, which
/// does nothing but cost a command.
const REMEMBERED: usize = 50_000;

/// The changes of one origin, gathered for each record.
pub(crate) fn marked(origin: &str, seq: i64, changes: &[RecordChange]) -> Result<Vec<Marked>, Error> {
    let mut records: BTreeMap<(&'static str, &str), Vec<Document>> = BTreeMap::new();
    for change in changes {
        let stages = pipeline::stages(change)?;
        if !stages.is_empty() {
            let record = (change.collection.as_str(), change.record.as_str());
            records.entry(record).or_default().extend(stages);
        }
    }
    let marked = |((collection, id), stages): ((&'static str, &str), _)| Marked {
        collection,
        id: id.to_owned(),
        origin: origin.to_owned(),
        seq,
        stages,
    };
    Ok(records.into_iter().map(marked).collect())
}

/// Which resources' last changes this process knows to be made.
#[derive(Debug, Default)]
pub(crate) struct Done(Mutex<HashMap<String, i64>>);

impl Done {
    /// Remembers that the changes number `seq` of an origin are made.
    pub(crate) fn add(&self, origin: &str, seq: i64) {
        let mut done = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if done.len() >= REMEMBERED {
            done.clear();
        }
        done.insert(origin.to_owned(), seq);
    }

    /// Whether they are known to be made.
    pub(crate) fn has(&self, origin: &str, seq: i64) -> bool {
        let done = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        done.get(origin) == Some(&seq)
    }
}

impl Core {
    /// Makes changes, each record in one atomic step, all records at a time.
    pub(crate) async fn make(&self, changes: Vec<Marked>) -> Outcome<()> {
        try_join_all(changes.into_iter().map(|change| self.make_gathered(change))).await?;
        Ok(())
    }
}
