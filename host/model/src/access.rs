//! Who may use the admin interface: tokens, roles, and the trace that changes leave.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{AuditId, Timestamp, TokenId};

/// What a token's bearer may do. Each role may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Look; values of keys that name a secret are masked.
    Viewer,
    /// Plan, deploy, terminate and cancel; keep services and records; check accounts.
    Operator,
    /// Everything: accounts, grants, plugins, tokens, keys, the audit log.
    Admin,
}

impl Role {
    /// Every role, the least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no role; roles are viewer, operator and admin")]
pub struct UnknownRole(String);

impl std::str::FromStr for Role {
    type Err = UnknownRole;
    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| UnknownRole(text.chars().take(64).collect()))
    }
}

/// A token as it is kept: nobody can use what is here as a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessToken {
    /// Its id, part of the token.
    pub id: TokenId,
    /// For people.
    pub name: String,
    /// What its bearer may do.
    pub role: Role,
    /// SHA-256 of the token in clear, hexadecimal.
    pub digest: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// From when on it is no longer taken; none: never.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// When it was revoked. It stays known, so that its id in the audit log keeps its meaning.
    #[serde(default)]
    pub revoked_at: Option<Timestamp>,
}

/// Whether a token is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TokenState {
    /// It is.
    Active,
    /// Its time is over.
    Expired,
    /// Somebody has revoked it.
    Revoked,
}

impl AccessToken {
    /// Whether it is taken at a time.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> TokenState {
        if self.revoked_at.is_some() {
            TokenState::Revoked
        } else if self.expires_at.is_some_and(|end| end <= now) {
            TokenState::Expired
        } else {
            TokenState::Active
        }
    }
}

/// The trace of one request that changes something. It names what was asked for, never what the request held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its id; later ones are greater.
    pub id: AuditId,
    /// When the request was taken up.
    pub at: Timestamp,
    /// The token's id, `configured-<digest>` for one of the configuration, or `loopback`.
    pub who: String,
    /// What the bearer may do.
    pub role: Role,
    /// HTTP method.
    pub method: String,
    /// Operation of the interface's description.
    pub operation: String,
    /// What it was done to: the path, or the place of what was made.
    pub target: String,
    /// Number of the request, as the answer and the log name it.
    pub request_id: String,
    /// HTTP status of the answer. None: the host ended before, or the outcome could not be written; whether anything was changed
    /// is to be looked up at the target.
    #[serde(default)]
    pub status: Option<u16>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_ordered_and_known_by_name() {
        assert!(Role::Viewer < Role::Operator && Role::Operator < Role::Admin);
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
        }
        assert!("root".parse::<Role>().unwrap_err().to_string().contains("operator"));
    }

    #[test]
    fn a_token_ends_by_time_or_by_word() {
        let token = AccessToken {
            id: "t".parse().unwrap(),
            name: "ci".to_owned(),
            role: Role::Operator,
            digest: String::new(),
            created_at: Timestamp(0),
            created_by: "loopback".to_owned(),
            expires_at: Some(Timestamp(10)),
            revoked_at: None,
        };
        assert_eq!(token.state(Timestamp(9)), TokenState::Active);
        assert_eq!(token.state(Timestamp(10)), TokenState::Expired);
        let revoked = AccessToken {
            revoked_at: Some(Timestamp(1)),
            ..token
        };
        assert_eq!(revoked.state(Timestamp(1)), TokenState::Revoked);
    }
}
