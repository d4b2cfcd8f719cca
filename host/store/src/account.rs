//! Accounts as they are kept: secrets sealed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use vimhost_model::{AccountSource, AccountState, Grants, Revision, TargetId, Timestamp};

/// A secret as it is kept: ciphertext, nonce and the id of the key, as text. See [`crate::seal`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SealedText(pub String);

/// An account as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredAccount {
    /// Kind and id.
    pub target: TargetId,
    /// Name given by the operator.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// Chooses the plugin.
    pub vim_type: String,
    /// URL.
    pub url: String,
    /// User name.
    pub user: Option<String>,
    /// Project or tenant.
    pub tenant: Option<String>,
    /// Settings of the connector.
    #[serde(default)]
    pub config: Map<String, Value>,
    /// Sealed secrets by credential slot.
    #[serde(default)]
    pub credentials: BTreeMap<String, SealedText>,
    /// PEM of certificate authorities.
    #[serde(default)]
    pub ca_certificates: Option<String>,
    /// TLS certificates are not verified.
    #[serde(default)]
    pub insecure_tls: bool,
    /// What the connector may reach.
    #[serde(default)]
    pub grants: Grants,
    /// Who keeps it. Accounts of a store that was written before others kept any are vimhost's own.
    #[serde(default)]
    pub source: AccountSource,
    /// How the last check ended.
    pub state: AccountState,
    /// What that check found worth mending although the account works.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// It is being removed: nothing is accepted on it. Whoever finds it so later, because the remover died, removes it or takes the mark
    /// away.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removing: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub modified_at: Timestamp,
    /// Its revision.
    #[serde(default)]
    pub revision: Revision,
}
