//! Where services are, and where their proxies are: which service a request is for, and what an answer has to say instead.

use std::net::SocketAddr;

use url::Url;

use crate::Error;
use crate::path::template;

/// A service of the VIM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name in counters: `compute`.
    pub name: String,
    /// Its endpoint: `http://127.0.0.1:8774/v2.1`.
    pub url: String,
}

impl Service {
    /// A service by name and endpoint.
    #[must_use]
    pub fn new(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            url: url.into(),
        }
    }
}

/// A service and the part of its URL that is no request's own.
#[derive(Debug)]
struct Place {
    name: String,
    origin: usize,
    prefix: String,
}

/// All services, and the origins they are at.
#[derive(Debug)]
pub(crate) struct Places {
    /// `http://host:port`, each once.
    origins: Vec<String>,
    places: Vec<Place>,
    /// Proxies of the origins, in the same order.
    proxies: Vec<String>,
}

impl Places {
    pub(crate) fn new(services: &[Service]) -> Result<Self, Error> {
        let mut all = Self {
            origins: Vec::new(),
            places: Vec::new(),
            proxies: Vec::new(),
        };
        for service in services {
            let unusable = || Error::Endpoint {
                service: service.name.clone(),
                url: service.url.clone(),
            };
            let url = Url::parse(&service.url).map_err(|_| unusable())?;
            if url.scheme() != "http" || url.host_str().is_none() {
                return Err(unusable());
            }
            let origin = url.origin().ascii_serialization();
            let known = all.origins.iter().position(|one| *one == origin);
            let origin = known.unwrap_or_else(|| {
                all.origins.push(origin);
                all.origins.len() - 1
            });
            all.places.push(Place {
                name: service.name.clone(),
                origin,
                prefix: url.path().trim_end_matches('/').to_owned(),
            });
        }
        // The longest first, so that a service below another one's path is found.
        all.places.sort_by_key(|place| std::cmp::Reverse(place.prefix.len()));
        Ok(all)
    }

    pub(crate) fn origins(&self) -> &[String] {
        &self.origins
    }

    pub(crate) fn served_by(&mut self, addresses: &[SocketAddr]) {
        self.proxies = addresses.iter().map(|address| format!("http://{address}")).collect();
    }

    /// The service a request to an origin is for, and the path in it. Paths outside of every endpoint (versions) are `-`.
    pub(crate) fn service(&self, origin: usize, path: &str) -> (&str, String) {
        let below = |place: &&Place| {
            let rest = path.strip_prefix(place.prefix.as_str());
            place.origin == origin && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        match self.places.iter().find(below) {
            Some(place) => (
                &place.name,
                template(path.get(place.prefix.len()..).unwrap_or_default()),
            ),
            None => {
                let mut there = self.places.iter().filter(|place| place.origin == origin);
                let name = there.next().filter(|_| there.next().is_none());
                (name.map_or("-", |place| place.name.as_str()), template(path))
            }
        }
    }

    /// A text with every origin replaced by its proxy.
    pub(crate) fn translate(&self, text: &str) -> String {
        let pairs = || self.origins.iter().zip(&self.proxies);
        let mut told = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("http://") {
            let (before, here) = rest.split_at(at);
            told.push_str(before);
            // `http://a:80` is not in `http://a:8080`.
            let ends =
                |after: &str| !after.starts_with(|next: char| next.is_ascii_alphanumeric() || ".:-".contains(next));
            let found = pairs().find_map(|(origin, proxy)| {
                let after = here.strip_prefix(origin.as_str()).filter(|after| ends(after))?;
                Some((proxy.as_str(), after))
            });
            let (said, after) = found.unwrap_or_else(|| here.split_at("http://".len()));
            told.push_str(said);
            rest = after;
        }
        told.push_str(rest);
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        let services = [
            Service::new("identity", "http://cloud:80/identity/v3"),
            Service::new("compute", "http://cloud/compute/v2.1"),
            Service::new("network", "http://cloud:9696"),
        ];
        let mut places = Places::new(&services).unwrap();
        assert_eq!(places.origins(), ["http://cloud", "http://cloud:9696"]);
        places.served_by(&["127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap()]);
        places
    }

    #[test]
    fn a_request_is_counted_for_the_service_it_goes_to() {
        let places = places();
        let service = |origin, path| {
            let (name, path) = places.service(origin, path);
            format!("{name} {path}")
        };
        assert_eq!(service(0, "/identity/v3/auth/tokens"), "identity /auth/tokens");
        assert_eq!(service(0, "/compute/v2.1/servers/17"), "compute /servers/{id}");
        assert_eq!(service(0, "/compute/v2.15"), "- /compute/v2.15");
        assert_eq!(service(1, "/v2.0/ports"), "network /v2.0/ports");
    }

    #[test]
    fn every_origin_is_replaced_and_nothing_else() {
        let text = r#"{"a": "http://cloud/identity/v3", "b": ["http://cloud:9696", "http://cloud:96961", "http://clouds/x", "https://cloud/"]}"#;
        assert_eq!(
            places().translate(text),
            r#"{"a": "http://127.0.0.1:1/identity/v3", "b": ["http://127.0.0.1:2", "http://cloud:96961", "http://clouds/x", "https://cloud/"]}"#
        );
    }

    #[test]
    fn an_endpoint_that_cannot_be_stood_before_is_named() {
        for url in ["https://cloud:5000/v3", "cloud", "http://"] {
            let error = Places::new(&[Service::new("identity", url)]).unwrap_err();
            assert!(error.to_string().contains("identity"), "{error}");
        }
    }
}
