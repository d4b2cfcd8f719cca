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

use crate::db::Statement;
use crate::fault::{Fault, Outcome};
use crate::store::Core;
use crate::{pipeline, records};

/// Resources of which it is remembered that their changes are made. Some hundred bytes each; what is forgotten is made again, which
/// does nothing but cost a command.
const REMEMBERED: usize = 50_000;

/// The changes of one origin, as one statement per record.
pub(crate) fn statements(origin: &str, seq: i64, changes: &[RecordChange]) -> Result<Vec<Statement>, Error> {
    let mut records: BTreeMap<(&'static str, &str), Vec<Document>> = BTreeMap::new();
    for change in changes {
        let stages = pipeline::stages(change)?;
        if !stages.is_empty() {
            let record = (change.collection.as_str(), change.record.as_str());
            records.entry(record).or_default().extend(stages);
        }
    }
    let statement = |((collection, id), stages)| records::marked(collection, id, origin, seq, stages);
    Ok(records.into_iter().map(statement).collect())
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
    pub(crate) async fn make(&self, statements: Vec<Statement>) -> Outcome<()> {
        let made = statements.into_iter().map(|statement| async move {
            let record = (
                statement.query.collection,
                statement.query.filter.get_str("_id").unwrap_or_default().to_owned(),
            );
            match self.db.update(statement).await {
                Ok(_) => Ok(()),
                // A record that cannot take it (it would grow too large, or is shaped as nothing we know) is left as it is;
                // keeping the change would stop everything that comes after it.
                Err(Fault::Rejected(reason)) => {
                    tracing::error!(
                        collection = record.0,
                        record = record.1,
                        reason,
                        "a change to a record is left out"
                    );
                    Ok(())
                }
                Err(fault) => Err(fault),
            }
        });
        try_join_all(made).await?;
        Ok(())
    }
}
