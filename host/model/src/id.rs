//! Typed ids: a task id cannot be passed where an account id is wanted.
//!
//! Most ids come from other programs (NBI, LCM, the VIM) and are free text, so an id is text with bounds, not a UUID.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What kind of thing an id names. One registry for all kinds: the list at the end of this module.
pub trait Kind {
    /// The word used in error messages.
    const NAME: &'static str;
    /// Longest id in bytes.
    const MAX: usize = 255;
}

/// An id of kind `K`: 1 to `K::MAX` bytes without control characters.
pub struct Id<K> {
    text: Box<str>,
    kind: PhantomData<fn() -> K>,
}

/// Why a text is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Empty text.
    #[error("{kind} id is empty")]
    Empty {
        /// Kind of id.
        kind: &'static str,
    },
    /// Too long.
    #[error("{kind} id has {length} bytes, at most {max} are allowed")]
    TooLong {
        /// Kind of id.
        kind: &'static str,
        /// Its length in bytes.
        length: usize,
        /// The bound in bytes.
        max: usize,
    },
    /// Holds a control character.
    #[error("{kind} id holds a control character")]
    Control {
        /// Kind of id.
        kind: &'static str,
    },
}

impl<K: Kind> Id<K> {
    /// Makes an id of a text.
    ///
    /// # Errors
    /// When the text is empty, too long, or holds control characters.
    pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
        let text = text.into();
        if text.is_empty() {
            return Err(IdError::Empty { kind: K::NAME });
        }
        if text.len() > K::MAX {
            return Err(IdError::TooLong {
                kind: K::NAME,
                length: text.len(),
                max: K::MAX,
            });
        }
        if text.chars().any(char::is_control) {
            return Err(IdError::Control { kind: K::NAME });
        }
        Ok(Self {
            text: text.into_boxed_str(),
            kind: PhantomData,
        })
    }

    /// A new random id.
    #[must_use]
    pub fn random() -> Self {
        Self {
            text: uuid::Uuid::new_v4().to_string().into_boxed_str(),
            kind: PhantomData,
        }
    }

    /// A new id that begins with some letters. Ids made one after the other stand side by side in an index, so that a database
    /// touches few pages for the elements of one service. Letters that make no id are left out.
    #[must_use]
    pub fn ordered_with(letters: &str) -> Self {
        Self::new(format!("{letters}-{}", uuid::Uuid::now_v7())).unwrap_or_else(|_| Self::random())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The same text as an id of another kind, for places where two programs use one id for two things.
    ///
    /// # Errors
    /// When the other kind's bounds are tighter.
    pub fn retype<L: Kind>(&self) -> Result<Id<L>, IdError> {
        Id::new(self.text.to_string())
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        Self {
            text: self.text.clone(),
            kind: PhantomData,
        }
    }
}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}
impl<K> std::hash::Hash for Id<K> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}
impl<K> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}
impl<K> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
impl<K: Kind> FromStr for Id<K> {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::new(text)
    }
}
impl<K> Serialize for Id<K> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}
impl<'de, K: Kind> Deserialize<'de> for Id<K> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::new(text.into_owned()).map_err(serde::de::Error::custom)
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident, $id:ident, $name:literal, $max:literal;)*) => { $(
        #[doc = concat!("Marks ids of kind ", $name, ".")]
        pub enum $kind {}
        impl Kind for $kind {
            const NAME: &'static str = $name;
            const MAX: usize = $max;
        }
        $(#[$doc])*
        pub type $id = Id<$kind>;
    )* };
}

kinds! {
    /// A network service record (`nsrs._id`).
    NsrKind, NsrId, "network service", 255;
    /// A VNF record (`vnfrs._id`).
    VnfrKind, VnfrId, "VNF", 255;
    /// A record of any collection.
    RecordKind, RecordId, "record", 255;
    /// An item of a list in a record, `vdur[].id` for instance.
    ItemKind, ItemId, "item", 255;
    /// An action: what one request asked for. Free text of the client (NG-RO: 1 to 255 characters, colons included).
    ActionIdKind, ActionId, "action", 1024;
    /// A task: `<action id>:<n>`.
    TaskKind, TaskId, "task", 1100;
    /// One element on one target, of which the host keeps a resource document. Doubles as the element's token.
    ResourceKind, ResourceId, "resource", 48;
    /// A VIM, WIM or SDN account.
    AccountKind, AccountId, "account", 255;
    /// A running host.
    HostKind, HostId, "host", 255;
    /// An entry of the audit log.
    AuditKind, AuditId, "audit entry", 64;
    /// A token of the admin interface.
    TokenKind, TokenId, "token", 64;
    /// The id by which a VIM knows an element.
    VimKind, VimId, "VIM element", 1024;
    /// A VNF instance (SOL003).
    VnfInstanceKind, VnfInstanceId, "VNF instance", 255;
    /// An operation occurrence (SOL003).
    VnfLcmOpOccKind, VnfLcmOpOccId, "VNF LCM operation occurrence", 255;
    /// A VNFD (SOL001 `descriptor_id`).
    VnfdKind, VnfdId, "VNFD", 255;
    /// A VNF package.
    VnfPkgKind, VnfPkgId, "VNF package", 255;
    /// A subscription to notifications (SOL003).
    SubscriptionKind, SubscriptionId, "subscription", 255;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_bounded_text_and_survives_json() {
        let id: NsrId = "dbfbd751-3de4-4e68-bd40-ec5ae0a53898".parse().unwrap();
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(serde_json::from_str::<NsrId>(&json).unwrap(), id);
        assert_eq!(
            NsrId::new(""),
            Err(IdError::Empty {
                kind: "network service"
            })
        );
        assert!(matches!(
            NsrId::new("x".repeat(256)),
            Err(IdError::TooLong {
                length: 256,
                max: 255,
                ..
            })
        ));
        assert!(matches!(ActionId::new("a\nb"), Err(IdError::Control { .. })));
        assert!(serde_json::from_str::<TaskId>("\"\"").is_err());
    }
}
