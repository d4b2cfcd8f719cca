//! VIM accounts and what they grant to their connector.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{AccountId, Secret, TargetId, TargetKind};

/// Scheme, host and port of a server: `https://keystone.example:5000`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    text: String,
}

/// Why a text is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// No URL.
    #[error("'{text}' is not a URL: {reason}")]
    NotUrl {
        /// The text.
        text: String,
        /// Why.
        reason: String,
    },
    /// Neither http nor https.
    #[error("'{0}' is neither an http nor an https origin")]
    Scheme(String),
}

impl Origin {
    /// The origin of a URL; path, query and user information are dropped.
    ///
    /// # Errors
    /// When the text is not an http or https URL.
    pub fn of_url(text: &str) -> Result<Self, OriginError> {
        let url = url::Url::parse(text).map_err(|error| OriginError::NotUrl {
            text: text.to_owned(),
            reason: error.to_string(),
        })?;
        match (url.scheme(), url.host_str(), url.port_or_known_default()) {
            (scheme @ ("http" | "https"), Some(host), Some(port)) => Ok(Self {
                text: format!("{scheme}://{}:{port}", host.to_ascii_lowercase()),
            }),
            _ => Err(OriginError::Scheme(text.to_owned())),
        }
    }

    /// `scheme://host:port`, the port always given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Origin {
    type Err = OriginError;
    fn from_str(text: &str) -> Result<Self, OriginError> {
        Self::of_url(text)
    }
}
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
impl Serialize for Origin {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}
impl<'de> Deserialize<'de> for Origin {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// A range of addresses that may be dialled although it is loopback or private.
pub type AddressRange = IpNet;

/// What an account grants to its connector, beside the origin of its own URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Grants {
    /// Origins it may reach.
    #[serde(default)]
    #[schema(value_type = Vec<String>, example = json!(["https://nova.example:8774"]))]
    pub origins: Vec<Origin>,
    /// Any port of the host in the account's URL.
    #[serde(default)]
    pub same_host_any_port: bool,
    /// Hosts whose name ends so (`.cloud.example`), any port.
    #[serde(default)]
    pub domain_suffixes: Vec<String>,
    /// Loopback and private addresses it may reach.
    #[serde(default)]
    #[schema(value_type = Vec<String>, example = json!(["10.1.0.0/16"]))]
    pub addresses: Vec<AddressRange>,
    /// Digest of the credential and egress rules the operator has approved; a plugin that asks for others gets no credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_rules: Option<String>,
}

/// How an account stands (`_admin.operationalState`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE", tag = "state", content = "detail")]
pub enum AccountState {
    /// Not checked yet.
    Processing,
    /// The last check passed.
    Enabled,
    /// The last check failed, and why.
    Error(String),
}

/// Who keeps an account: whose word counts about everything but its grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AccountSource {
    /// vimhost itself: it was added by the admin interface.
    #[default]
    Own,
    /// OSM's database (NG-RO 2, `vim_accounts`, `wim_accounts`, `sdns`).
    Osm,
}

/// An account of a VIM, WIM or SDN controller, its secrets in clear. Not serialisable: the store keeps a sealed form.
#[derive(Debug, Clone)]
pub struct VimAccount {
    /// Kind and id.
    pub target: TargetId,
    /// Name given by the operator.
    pub name: String,
    /// Chooses the plugin.
    pub vim_type: String,
    /// URL.
    pub url: String,
    /// User name.
    pub user: Option<String>,
    /// Project or tenant.
    pub tenant: Option<String>,
    /// Settings of the connector.
    pub config: Map<String, Value>,
    /// Secrets by the name of the plugin's credential slot.
    pub credentials: BTreeMap<String, Secret>,
    /// PEM of the certificate authorities that sign the VIM's certificate.
    pub ca_certificates: Option<String>,
    /// TLS certificates are not verified. Only by the operator's word.
    pub insecure_tls: bool,
    /// What the connector may reach.
    pub grants: Grants,
}

impl VimAccount {
    /// The account's id.
    #[must_use]
    pub fn id(&self) -> &AccountId {
        &self.target.account
    }

    /// What names the account behind `vimhost vim allow`: its id, and its kind unless it is a VIM.
    #[must_use]
    pub fn command_words(&self) -> String {
        match self.target.kind {
            TargetKind::Vim => self.target.account.to_string(),
            kind @ (TargetKind::Wim | TargetKind::Sdn) => format!("--kind {} {}", kind.as_str(), self.target.account),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port_only() {
        let origin: Origin = "https://user@Keystone.Example/v3?x".parse().unwrap();
        assert_eq!(origin.as_str(), "https://keystone.example:443");
        assert_eq!(
            "http://[::1]:5000/v3".parse::<Origin>().unwrap().as_str(),
            "http://[::1]:5000"
        );
        assert!("ftp://x".parse::<Origin>().is_err());
        assert!("mock:".parse::<Origin>().is_err());
    }
}
