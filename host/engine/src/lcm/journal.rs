//! The journal of a stack's calls, kept in the document of the operation: an answered entry is on disk.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;
use vimhost_connector::{Journal, JournalError};
use vimhost_model::vnf::VnfLcmOpOcc;
use vimhost_model::{JournalEntry, JournalStatus, Timestamp, VimId};
use vimhost_store::{Claim, InstanceWrite, Store};

use super::work::Work;
use crate::Clock;
use crate::schedule::Calling;

/// The connector's word for a stack.
pub(super) const STACK: &str = "stack";

/// An operation as its driver has it in hand: what is stored, and its work typed.
pub(crate) struct Document {
    /// The occurrence as it is stored.
    pub(crate) op_occ: VnfLcmOpOcc,
    /// Its work, ahead of the occurrence until it is written.
    pub(crate) work: Work,
}

impl Document {
    /// The occurrence with the work in it, as it is to be written.
    ///
    /// # Errors
    /// When the work makes no JSON, which is a fault.
    pub(crate) fn to_write(&self) -> Result<VnfLcmOpOcc, serde_json::Error> {
        let mut op_occ = self.op_occ.clone();
        op_occ.own.work = serde_json::to_value(&self.work)?;
        Ok(op_occ)
    }
}

/// The journal of one call.
pub(crate) struct OpOccJournal {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) claim: Claim,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) document: Arc<Mutex<Document>>,
    pub(crate) calling: Arc<Calling>,
}

impl OpOccJournal {
    /// Changes the document and writes it; what could not be written is not changed in memory either.
    async fn write<T>(
        &self,
        change: impl FnOnce(&mut Work) -> Result<T, JournalError> + Send,
    ) -> Result<T, JournalError> {
        let mut document = self.document.lock().await;
        let before = document.work.clone();
        let changed = change(&mut document.work)?;
        let failed = |error: &dyn std::fmt::Display| JournalError::Store(error.to_string());
        let written = match document.to_write() {
            Ok(op_occ) => {
                let saved = self
                    .store
                    .save_op_occ(Some(&self.claim), &op_occ, InstanceWrite::None, &[])
                    .await;
                saved.map(|revision| (op_occ, revision)).map_err(|error| failed(&error))
            }
            Err(error) => Err(failed(&error)),
        };
        match written {
            Ok((mut op_occ, revision)) => {
                op_occ.own.revision = revision;
                document.op_occ = op_occ;
                Ok(changed)
            }
            Err(error) => {
                document.work = before;
                Err(error)
            }
        }
    }
}

#[async_trait]
impl Journal for OpOccJournal {
    async fn begin(&self, kind: &str, token: &str) -> Result<u64, JournalError> {
        let at = self.clock.now();
        let entry = self.write(|work| Ok(announce(work, kind, token, at))).await?;
        self.calling.begun(entry, kind, token);
        Ok(entry)
    }

    async fn commit(&self, entry: u64, element: &VimId) -> Result<(), JournalError> {
        self.write(|work| {
            let known = work.journal.iter_mut().find(|known| known.id == entry);
            let known = known.ok_or(JournalError::Unknown(entry))?;
            known.status = JournalStatus::Committed;
            known.element = Some(element.clone());
            if known.kind == STACK {
                work.stack.id = Some(element.clone());
            }
            Ok(())
        })
        .await?;
        self.calling.resolved(entry);
        Ok(())
    }

    async fn forget(&self, entry: u64) -> Result<(), JournalError> {
        self.write(|work| {
            work.journal.retain(|known| known.id != entry);
            Ok(())
        })
        .await?;
        self.calling.resolved(entry);
        Ok(())
    }
}

/// Announces an element; one that is begun is begun anew, since another request follows, and one that is committed stays as it is.
fn announce(work: &mut Work, kind: &str, token: &str, at: Timestamp) -> u64 {
    let is_it = |entry: &&mut JournalEntry| entry.kind == kind && entry.token == token;
    if let Some(known) = work.journal.iter_mut().find(is_it) {
        if known.status == JournalStatus::Begun {
            known.begun_at = at;
        }
        return known.id;
    }
    work.last_entry = work.last_entry.saturating_add(1);
    work.journal.push(JournalEntry {
        id: work.last_entry,
        kind: kind.to_owned(),
        token: token.to_owned(),
        status: JournalStatus::Begun,
        begun_at: at,
        element: None,
    });
    work.last_entry
}

#[cfg(test)]
mod tests {
    use super::super::work::{Kept, StackNow};
    use super::*;

    #[test]
    fn what_is_begun_is_begun_anew_and_what_is_committed_is_not() {
        let stack = StackNow {
            name: "s".to_owned(),
            id: None,
            token: "t".to_owned(),
            generation: 0,
        };
        let mut work = Work::new(Vec::new(), stack, Kept::default());
        assert_eq!(announce(&mut work, STACK, "t", Timestamp(5)), 1);
        assert_eq!(announce(&mut work, STACK, "t.g1", Timestamp(6)), 2);
        assert_eq!(announce(&mut work, STACK, "t", Timestamp(9)), 1);
        let times = |work: &Work| work.journal.iter().map(|entry| entry.begun_at.0).collect::<Vec<_>>();
        assert_eq!(times(&work), [9, 6]);
        if let Some(first) = work.journal.first_mut() {
            first.status = JournalStatus::Committed;
        }
        assert_eq!(announce(&mut work, STACK, "t", Timestamp(12)), 1);
        assert_eq!((times(&work), work.last_entry), (vec![9, 6], 2));
    }
}
