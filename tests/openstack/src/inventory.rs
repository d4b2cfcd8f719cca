//! What an OpenStack holds, so that before and after can be compared.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Context as _;
use serde_json::Value;

use crate::Cloud;

/// A kind, how the client lists it, and the columns with id and name.
const KINDS: [(&str, &str, &str, &str); 11] = [
    // All of them: without a limit it is a page of the cloud's choice.
    ("server", "server list --limit -1", "ID", "Name"),
    ("port", "port list", "ID", "Name"),
    ("volume", "volume list", "ID", "Name"),
    ("floating address", "floating ip list", "ID", "Floating IP Address"),
    ("server group", "server group list", "ID", "Name"),
    ("network", "network list", "ID", "Name"),
    ("subnet", "subnet list", "ID", "Name"),
    ("security group", "security group list", "ID", "Name"),
    ("flavour", "flavor list --all", "ID", "Name"),
    ("image", "image list", "ID", "Name"),
    // Key pairs have no id of their own.
    ("key pair", "keypair list", "Name", "Fingerprint"),
];

/// Everything a test may leave behind, by kind and id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory(BTreeMap<(&'static str, String), String>);

impl Inventory {
    /// Lists everything that an account sees.
    ///
    /// # Errors
    /// When the client fails.
    pub fn of(cloud: &Cloud) -> anyhow::Result<Self> {
        let lists = cloud.lists(&KINDS.map(|(_, words, _, _)| words))?;
        let mut all = BTreeMap::new();
        for ((kind, _, id, name), rows) in KINDS.into_iter().zip(lists) {
            let text = |row: &Value, column: &str| row.get(column).and_then(Value::as_str).map(str::to_owned);
            for row in rows {
                let id = text(&row, id).with_context(|| format!("a {kind} without {id}: {row}"))?;
                all.insert((kind, id), text(&row, name).unwrap_or_default());
            }
        }
        Ok(Self(all))
    }

    /// What is here and not there.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let rest = self.0.iter().filter(|(key, _)| !other.0.contains_key(*key));
        Self(rest.map(|(key, name)| (key.clone(), name.clone())).collect())
    }

    /// What of it is so, by kind and id.
    #[must_use]
    pub fn filtered(&self, is_so: impl Fn(&str, &str) -> bool) -> Self {
        let rest = self.0.iter().filter(|((kind, id), _)| is_so(kind, id));
        Self(rest.map(|(key, name)| (key.clone(), name.clone())).collect())
    }

    /// Ids of a kind.
    #[must_use]
    pub fn ids(&self, kind: &str) -> Vec<&str> {
        let of_kind = self.0.keys().filter(|(known, _)| *known == kind);
        of_kind.map(|(_, id)| id.as_str()).collect()
    }

    /// How many there are of a kind.
    #[must_use]
    pub fn count(&self, kind: &str) -> usize {
        self.ids(kind).len()
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Inventory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((kind, id), name) in &self.0 {
            writeln!(f, "{kind} {id} {name}")?;
        }
        Ok(())
    }
}
