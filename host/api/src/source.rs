//! Who may connect at all, by address.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use http::Extensions;
use ipnet::IpNet;

/// Address ranges that requests may come from. IPv4 addresses mapped into IPv6 count as IPv4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRanges(pub Vec<IpNet>);

impl Default for SourceRanges {
    /// Loopback only.
    fn default() -> Self {
        Self(
            ["127.0.0.0/8", "::1/128"]
                .iter()
                .filter_map(|range| range.parse().ok())
                .collect(),
        )
    }
}

impl SourceRanges {
    /// Whether an address is in one of the ranges.
    #[must_use]
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|range| range.contains(&address))
    }
}

/// The peer's address. None when the router is served without it; callers then refuse.
pub(crate) fn peer(extensions: &Extensions) -> Option<IpAddr> {
    extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map(|info| info.0.ip().to_canonical())
}

/// Whether a browser sent the request on behalf of a page. An interface without credentials refuses those: any page a person
/// looks at could otherwise use what the person's machine may reach.
pub(crate) fn from_a_page(headers: &http::HeaderMap) -> bool {
    headers.contains_key(http::header::ORIGIN)
        || headers
            .get("sec-fetch-site")
            .is_some_and(|site| site.as_bytes() != b"none")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_loopback_in_every_spelling() {
        let ranges = SourceRanges::default();
        for address in ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"] {
            assert!(ranges.contain(address.parse().unwrap()), "{address}");
        }
        for address in ["10.0.0.1", "::2", "::ffff:10.0.0.1", "0.0.0.0"] {
            assert!(!ranges.contain(address.parse().unwrap()), "{address}");
        }
    }
}
