//! Actions: what one request asked for. The header is what commits an action; its tasks live in resource documents.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{ActionId, NsrId, Timestamp};

/// What kind of request made an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ActionKind {
    /// Bring a service to a wanted state; terminate is the empty one.
    Deploy,
    /// Heal.
    Recreate,
    /// Start, stop, rebuild, console.
    Operate,
    /// Migrate.
    Migrate,
    /// Vertical scale.
    VerticalScale,
    /// Add an SSH key.
    InjectSshKey,
}

/// An action's header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionHeader {
    /// Its id, unique within the service.
    pub id: ActionId,
    /// The service.
    pub nsr_id: NsrId,
    /// What kind of request made it.
    pub kind: ActionKind,
    /// SHA-256 of the request, hexadecimal: the same id with the same body is the same request.
    pub body_digest: String,
    /// How many tasks it has.
    pub tasks: u32,
    /// When it was accepted.
    pub created_at: Timestamp,
}

/// How an action stands, in the only three words LCM accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum ActionStatus {
    /// All tasks are over and none failed.
    Done,
    /// Work is outstanding.
    Build,
    /// A task failed; others may still run.
    Failed,
}
