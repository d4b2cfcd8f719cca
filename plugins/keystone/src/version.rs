//! Microversions: what a service has, and which of it is spoken.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A microversion, `2.90`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Microversion {
    /// The part before the point.
    pub major: u16,
    /// The part after it.
    pub minor: u16,
}

impl Microversion {
    /// `major.minor`.
    #[must_use]
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }
}

impl fmt::Display for Microversion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for Microversion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("{text:?} is no microversion such as 2.90");
        let (major, minor) = text.trim().split_once('.').ok_or_else(wrong)?;
        Ok(Self {
            major: major.parse().map_err(|_| wrong())?,
            minor: minor.parse().map_err(|_| wrong())?,
        })
    }
}

/// The microversions of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// The oldest.
    pub min: Microversion,
    /// The newest.
    pub max: Microversion,
}

/// What a service answers at its root: one version (Nova), or a list (Cinder, Placement).
#[derive(Debug, Deserialize)]
pub(crate) struct Document {
    version: Option<Described>,
    #[serde(default)]
    versions: Vec<Described>,
}

#[derive(Debug, Deserialize)]
struct Described {
    #[serde(default)]
    min_version: String,
    /// Nova's and Cinder's word.
    #[serde(default)]
    version: String,
    /// Placement's word.
    #[serde(default)]
    max_version: String,
}

impl Document {
    /// The microversions, if the service has any. Versions without them have empty texts (Nova's `v2.0`).
    pub(crate) fn versions(&self) -> Option<Versions> {
        let all = self.version.iter().chain(&self.versions);
        all.filter_map(Described::range).max_by_key(|range| range.max)
    }
}

impl Described {
    fn range(&self) -> Option<Versions> {
        let max = self.version.parse().or_else(|_| self.max_version.parse()).ok()?;
        let min = self.min_version.parse().ok()?;
        Some(Versions { min, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(json: &str) -> Option<String> {
        let document: Document = serde_json::from_str(json).unwrap();
        document
            .versions()
            .map(|range| format!("{} to {}", range.min, range.max))
    }

    #[test]
    fn each_services_own_form_is_understood() {
        let nova =
            r#"{"version": {"id": "v2.1", "status": "CURRENT", "version": "2.93", "min_version": "2.1", "links": []}}"#;
        assert_eq!(range(nova).as_deref(), Some("2.1 to 2.93"));
        let cinder = r#"{"versions": [{"id": "v3.0", "status": "CURRENT", "version": "3.70", "min_version": "3.0"}]}"#;
        assert_eq!(range(cinder).as_deref(), Some("3.0 to 3.70"));
        let placement =
            r#"{"versions": [{"id": "v1.0", "max_version": "1.39", "min_version": "1.0", "status": "CURRENT"}]}"#;
        assert_eq!(range(placement).as_deref(), Some("1.0 to 1.39"));
        assert_eq!(
            range(r#"{"versions": [{"id": "v2.0", "version": "", "min_version": ""}]}"#),
            None
        );
    }

    #[test]
    fn microversions_are_ordered_as_numbers() {
        let of = |text: &str| text.parse::<Microversion>().unwrap();
        assert!(of("2.9") < of("2.60"));
        assert!("latest".parse::<Microversion>().is_err());
    }
}
