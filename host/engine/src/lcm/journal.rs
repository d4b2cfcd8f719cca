//! The journal of a stack's calls, kept in the document of the operation: an answered entry is on disk.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;
use vimhost_connector::{Journal, JournalError};
use vimhost_model::vnf::VnfLcmOpOcc;
use vimhost_model::{JournalEntry, JournalStatus, VimId};
use vimhost_store::{Claim, InstanceWrite, Store};

use super::work::Work;
use crate::Clock;

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
        self.write(|work| {
            if let Some(known) = work
                .journal
                .iter()
                .find(|entry| entry.kind == kind && entry.token == token)
            {
                return Ok(known.id);
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
            Ok(work.last_entry)
        })
        .await
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
        .await
    }

    async fn forget(&self, entry: u64) -> Result<(), JournalError> {
        self.write(|work| {
            work.journal.retain(|known| known.id != entry);
            Ok(())
        })
        .await
    }
}
