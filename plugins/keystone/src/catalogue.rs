//! The service catalogue: which services there are, in which regions, and where.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use vimhost_sdk::prelude::*;

use crate::access::Interface;
use crate::service::Service;

/// What Keystone's answer calls `catalog`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Catalogue(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    #[serde(rename = "type")]
    service_type: String,
    #[serde(default)]
    endpoints: Vec<Endpoint>,
}

/// One way to reach a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// `public`, `internal` or `admin`.
    #[serde(default)]
    pub interface: String,
    /// Older catalogues have only this.
    #[serde(default)]
    pub region: Option<String>,
    /// The region's id.
    #[serde(default)]
    pub region_id: Option<String>,
    /// As the catalogue writes it.
    pub url: String,
}

impl Endpoint {
    /// The region, by id or by its older name.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        self.region_id.as_deref().or(self.region.as_deref())
    }

    fn is_in(&self, region: Option<&str>) -> bool {
        region.is_none_or(|wanted| self.region_id.as_deref() == Some(wanted) || self.region.as_deref() == Some(wanted))
    }
}

impl Catalogue {
    /// The endpoint of a service. `None` when the cloud does not have the service at all. Without a region it is the first
    /// that the catalogue names, as OpenStack's own clients do.
    ///
    /// # Errors
    ///
    /// When there is the service, and not in this region or not by this interface: a bad request that names what there is.
    pub fn find(
        &self,
        service: Service,
        region: Option<&str>,
        interface: Interface,
    ) -> Result<Option<&Endpoint>, Error> {
        let there = self.endpoints(service);
        if there.is_empty() {
            return Ok(None);
        }
        let fits = |endpoint: &&&Endpoint| endpoint.interface == interface.as_str() && endpoint.is_in(region);
        if let Some(found) = there.iter().find(fits) {
            return Ok(Some(*found));
        }
        let known: BTreeSet<String> = there
            .iter()
            .map(|endpoint| format!("{} in {}", endpoint.interface, endpoint.region().unwrap_or("no region")))
            .collect();
        let known: Vec<String> = known.into_iter().collect();
        Err(Error::bad_request(format!(
            "the service catalogue has no {} endpoint of {} in {}; it has {}. `region_name` and `interface` of the account \
             choose among them",
            interface.as_str(),
            service.word(),
            region.unwrap_or("any region"),
            known.join(", ")
        )))
    }

    /// All endpoints of a service, those under its official name first.
    #[must_use]
    pub fn endpoints(&self, service: Service) -> Vec<&Endpoint> {
        let under = |name: &'static str| {
            let entries = self.0.iter().filter(move |entry| entry.service_type == name);
            entries.flat_map(|entry| &entry.endpoints)
        };
        service.types().iter().copied().flat_map(under).collect()
    }

    /// Regions in which a service is, by an interface.
    #[must_use]
    pub fn regions(&self, service: Service, interface: Interface) -> BTreeSet<&str> {
        let of_interface = |endpoint: &&Endpoint| endpoint.interface == interface.as_str();
        self.endpoints(service)
            .into_iter()
            .filter(of_interface)
            .filter_map(Endpoint::region)
            .collect()
    }

    /// The types of all services, for messages.
    #[must_use]
    pub fn types(&self) -> String {
        let types: BTreeSet<&str> = self.0.iter().map(|entry| entry.service_type.as_str()).collect();
        if types.is_empty() {
            return "nothing".to_owned();
        }
        types.into_iter().collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue() -> Catalogue {
        serde_json::from_value(serde_json::json!([
            {"type": "compute", "name": "nova", "id": "1", "endpoints": [
                {"id": "a", "interface": "public", "region": "one", "region_id": "one", "url": "http://one:8774/v2.1"},
                {"id": "b", "interface": "internal", "region": "one", "region_id": "one", "url": "http://10.0.0.1:8774/v2.1"},
                {"id": "c", "interface": "public", "region": "two", "region_id": "two", "url": "http://two:8774/v2.1"},
            ]},
            {"type": "volumev3", "endpoints": [{"interface": "public", "region": "one", "url": "http://old:8776/v3/p"}]},
            {"type": "block-storage", "endpoints": [{"interface": "public", "region": "one", "url": "http://new:8776/v3/p"}]},
            {"type": "key-manager", "endpoints": []},
        ]))
        .unwrap()
    }

    #[test]
    fn region_and_interface_choose() {
        let catalogue = catalogue();
        let url = |region, interface| {
            let found = catalogue.find(Service::Compute, region, interface).unwrap();
            found.map(|endpoint| endpoint.url.as_str())
        };
        assert_eq!(url(None, Interface::Public), Some("http://one:8774/v2.1"));
        assert_eq!(url(Some("two"), Interface::Public), Some("http://two:8774/v2.1"));
        assert_eq!(url(Some("one"), Interface::Internal), Some("http://10.0.0.1:8774/v2.1"));
        assert_eq!(
            catalogue.regions(Service::Compute, Interface::Public),
            BTreeSet::from(["one", "two"])
        );
    }

    #[test]
    fn the_official_name_goes_before_the_older_one() {
        let catalogue = catalogue();
        let found = catalogue.find(Service::BlockStorage, None, Interface::Public).unwrap();
        assert_eq!(found.unwrap().url, "http://new:8776/v3/p");
    }

    #[test]
    fn a_missing_service_is_none_and_a_missing_endpoint_names_what_there_is() {
        let catalogue = catalogue();
        assert_eq!(catalogue.find(Service::Network, None, Interface::Public), Ok(None));
        let error = catalogue
            .find(Service::Compute, Some("two"), Interface::Admin)
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::BadRequest);
        assert!(
            error.message.contains("internal in one, public in one, public in two"),
            "{}",
            error.message
        );
        assert_eq!(catalogue.types(), "block-storage, compute, key-manager, volumev3");
    }
}
