//! What another orchestrator made and vimhost has taken over.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use vimhost_model::{NsrId, Timestamp};

use crate::{Error, Page};

/// That a service of another orchestrator is vimhost's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Takeover {
    /// The service.
    pub nsr_id: NsrId,
    /// When it was taken over.
    pub at: Timestamp,
}

/// The part of a store that a takeover needs beside [`crate::Store::commit_action`], which does the work.
///
/// A service that was forgotten leaves nothing by which a repeated takeover would know it, and what the other orchestrator wrote of
/// it is still there; so each one is noted for good.
#[async_trait]
pub trait Takeovers {
    /// Notes that a service was taken over, when everything of it is written. The first note stays, also when the service is forgotten;
    /// it is answered.
    ///
    /// # Errors
    /// When the store cannot be written.
    async fn note_takeover(&self, takeover: &Takeover) -> Result<Takeover, Error>;

    /// The services that were taken over, by id, from after `after`.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn takeovers(&self, after: Option<&str>, limit: usize) -> Result<Page<Takeover>, Error>;
}
