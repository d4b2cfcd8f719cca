//! Targets: the account an element is made on, `vim:<id>`, `wim:<id>` or `sdn:<id>` as NG-RO writes it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{AccountId, IdError};

/// Which of OSM's account collections a target is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TargetKind {
    /// `vim_accounts`
    Vim,
    /// `wim_accounts`
    Wim,
    /// `sdns`
    Sdn,
}

impl TargetKind {
    /// The prefix.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Vim => "vim",
            Self::Wim => "wim",
            Self::Sdn => "sdn",
        }
    }
}

/// An account with its kind.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetId {
    /// Kind of account.
    pub kind: TargetKind,
    /// The account.
    pub account: AccountId,
}

/// Why a text is no target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// No known prefix.
    #[error("target '{0}' does not begin with 'vim:', 'wim:' or 'sdn:'")]
    Prefix(String),
    /// Bad id behind the prefix.
    #[error("target has no usable account id")]
    Account(#[from] IdError),
}

impl TargetId {
    /// A VIM account as target.
    #[must_use]
    pub fn vim(account: AccountId) -> Self {
        Self {
            kind: TargetKind::Vim,
            account,
        }
    }
}

impl FromStr for TargetId {
    type Err = TargetError;
    fn from_str(text: &str) -> Result<Self, TargetError> {
        let (prefix, account) = text
            .split_once(':')
            .ok_or_else(|| TargetError::Prefix(text.to_owned()))?;
        let kind = match prefix {
            "vim" => TargetKind::Vim,
            "wim" => TargetKind::Wim,
            "sdn" => TargetKind::Sdn,
            _ => return Err(TargetError::Prefix(text.to_owned())),
        };
        Ok(Self {
            kind,
            account: account.parse()?,
        })
    }
}

impl fmt::Display for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.as_str(), self.account)
    }
}
impl fmt::Debug for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}
impl Serialize for TargetId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for TargetId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_prints_back_to_the_same_text() {
        for text in ["vim:bad7338b-ae46-43d4-a434-c3337a8054ac", "wim:w", "sdn:a:b"] {
            assert_eq!(text.parse::<TargetId>().unwrap().to_string(), text);
        }
        assert!("bad7338b".parse::<TargetId>().is_err());
        assert!("vim:".parse::<TargetId>().is_err());
    }
}
