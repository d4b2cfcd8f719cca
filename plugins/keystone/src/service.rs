//! OpenStack's services: their names in the catalogue, the version of each that is spoken, and where it lies in its URL.
//!
//! Catalogues write one endpoint in many ways: with a version, with another version, with the project behind it, with none of
//! it, behind a path of a proxy. All of them become the same base here, by rules and not by following links, since a service behind a
//! proxy often links to a host that cannot be reached.

/// A service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Keystone.
    Identity,
    /// Nova.
    Compute,
    /// Neutron.
    Network,
    /// Glance.
    Image,
    /// Cinder, its API version 3.
    BlockStorage,
    /// Placement.
    Placement,
    /// Heat.
    Orchestration,
}

impl Service {
    /// Names in the catalogue, the official one first (service types authority); older ones after it.
    #[must_use]
    pub const fn types(self) -> &'static [&'static str] {
        match self {
            Self::Identity => &["identity"],
            Self::Compute => &["compute"],
            Self::Network => &["network"],
            Self::Image => &["image"],
            // `volume` and `volumev2` are versions 1 and 2, which Cinder has no more.
            Self::BlockStorage => &["block-storage", "block-store", "volumev3"],
            Self::Placement => &["placement"],
            Self::Orchestration => &["orchestration"],
        }
    }

    /// The official name, for people and keys.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Compute => "compute",
            Self::Network => "network",
            Self::Image => "image",
            Self::BlockStorage => "block-storage",
            Self::Placement => "placement",
            Self::Orchestration => "orchestration",
        }
    }

    /// The name in the header `OpenStack-API-Version`; none for services without microversions.
    pub(crate) const fn microversion_name(self) -> Option<&'static str> {
        match self {
            Self::Compute => Some("compute"),
            // Cinder kept its old name there.
            Self::BlockStorage => Some("volume"),
            Self::Placement => Some("placement"),
            Self::Identity | Self::Network | Self::Image | Self::Orchestration => None,
        }
    }

    /// The version that is spoken, as it stands in the path.
    const fn version(self) -> Option<&'static str> {
        match self {
            Self::Identity | Self::BlockStorage => Some("v3"),
            Self::Compute => Some("v2.1"),
            Self::Network => Some("v2.0"),
            Self::Image => Some("v2"),
            Self::Orchestration => Some("v1"),
            Self::Placement => None,
        }
    }

    /// Whether the project stands in the path of every request.
    const fn names_project(self) -> bool {
        match self {
            Self::BlockStorage | Self::Orchestration => true,
            Self::Identity | Self::Compute | Self::Network | Self::Image | Self::Placement => false,
        }
    }

    /// What stands before the path of every request, out of an endpoint's URL.
    pub(crate) fn base(self, url: &str, project: &str) -> String {
        let (origin, mut segments) = self.versioned(url);
        if self.names_project() && segments.last().copied() == self.version() {
            segments.push(project);
        }
        join(origin, &segments)
    }

    /// Where the document stands that tells the versions, out of an endpoint's URL; a slash belongs behind it.
    pub(crate) fn document(self, url: &str) -> String {
        let (origin, mut segments) = self.versioned(url);
        if let Some(at) = segments.iter().rposition(|segment| is_version(segment)) {
            segments.truncate(at + 1);
        }
        join(origin, &segments)
    }

    /// Origin and path, with the version that is spoken in the place of whatever version stands there.
    fn versioned(self, url: &str) -> (&str, Vec<&str>) {
        let (origin, path) = split(url);
        let mut segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        if let Some(version) = self.version() {
            match segments.iter_mut().rfind(|segment| is_version(segment)) {
                Some(found) => *found = version,
                None => segments.push(version),
            }
        }
        (origin, segments)
    }
}

/// Origin and path of a URL; query and fragment are dropped, which no endpoint has.
fn split(url: &str) -> (&str, &str) {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let after_scheme = url.find("://").map_or(0, |at| at + "://".len());
    let path = url.get(after_scheme..).and_then(|rest| rest.find('/'));
    url.split_at(path.map_or(url.len(), |at| after_scheme + at))
}

fn join(origin: &str, segments: &[&str]) -> String {
    let mut url = origin.to_owned();
    for segment in segments {
        url.push('/');
        url.push_str(segment);
    }
    url
}

/// `v2`, `v2.0`, `v2.1`.
fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').is_some_and(|number| {
        number.starts_with(|first: char| first.is_ascii_digit())
            && number.len() <= 4
            && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_an_endpoint_leads_to_one_base() {
        for (service, url, base) in [
            (Service::Compute, "http://n:8774/v2.1", "http://n:8774/v2.1"),
            (Service::Compute, "http://n:8774/v2.1/", "http://n:8774/v2.1"),
            (Service::Compute, "http://n:8774", "http://n:8774/v2.1"),
            (Service::Compute, "http://n:8774/", "http://n:8774/v2.1"),
            (Service::Compute, "http://n:8774/v2", "http://n:8774/v2.1"),
            (Service::Compute, "http://n:8774/v2.1/p1", "http://n:8774/v2.1/p1"),
            (
                Service::Network,
                "https://c.example/networking",
                "https://c.example/networking/v2.0",
            ),
            (Service::Image, "http://g:9292/v2", "http://g:9292/v2"),
            (Service::BlockStorage, "http://c:8776/v3/p1", "http://c:8776/v3/p1"),
            (Service::BlockStorage, "http://c:8776/v3", "http://c:8776/v3/p1"),
            (Service::BlockStorage, "http://c:8776", "http://c:8776/v3/p1"),
            (Service::BlockStorage, "http://c:8776/v2/p1", "http://c:8776/v3/p1"),
            (
                Service::Placement,
                "https://c.example/placement/",
                "https://c.example/placement",
            ),
            (Service::Orchestration, "http://h:8004/v1/p1", "http://h:8004/v1/p1"),
        ] {
            assert_eq!(service.base(url, "p1"), base, "{url}");
        }
    }

    #[test]
    fn versions_are_told_before_the_project() {
        for (service, url, document) in [
            (Service::Compute, "http://n:8774/v2.1/p1", "http://n:8774/v2.1"),
            (Service::BlockStorage, "http://c:8776/v3/p1", "http://c:8776/v3"),
            (
                Service::Placement,
                "https://c.example/placement",
                "https://c.example/placement",
            ),
        ] {
            assert_eq!(service.document(url), document, "{url}");
        }
    }

    #[test]
    fn a_project_that_begins_like_a_version_is_none() {
        assert!(is_version("v2.1"));
        assert!(!is_version("v2f8d1c0"));
        assert!(!is_version("volume"));
        assert!(!is_version("v"));
    }
}
