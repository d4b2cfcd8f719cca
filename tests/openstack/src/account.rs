//! Accounts of a host on an OpenStack, straight or through proxies.

use std::collections::BTreeSet;
use std::net::{IpAddr, ToSocketAddrs as _};

use anyhow::{Context as _, ensure};
use http_proxy::{Proxies, Service};
use serde_json::{Map, Value, json};
use url::Url;
use vimhost_tests::Host;

use crate::Cloud;

/// An account as it is added to a host.
#[derive(Debug, Clone)]
pub struct Account {
    /// The body of `POST /v1/vims`, to be changed at will.
    pub body: Value,
}

impl Account {
    /// Adds it.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn add(&self, host: &Host) -> anyhow::Result<Value> {
        host.admin_ok("POST", "/v1/vims", Some(self.body.clone())).await
    }

    /// With a setting of the connector.
    #[must_use]
    pub fn setting(mut self, name: &str, value: Value) -> Self {
        if let Some(config) = self.body.get_mut("config").and_then(Value::as_object_mut) {
            config.insert(name.to_owned(), value);
        }
        self
    }
}

impl Cloud {
    /// An account on this cloud, with everything granted that its catalogue names.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn account(&self, id: &str) -> anyhow::Result<Account> {
        self.account_at(
            id,
            &self.auth_url,
            self.services()?.iter().map(|service| service.url.clone()),
        )
    }

    /// The same account through proxies.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn account_through(&self, id: &str, proxies: &Proxies) -> anyhow::Result<Account> {
        let services = self.services()?;
        let urls = services.iter().map(|service| proxies.translate(&service.url));
        self.account_at(id, &proxies.translate(&self.auth_url), urls)
    }

    fn account_at(&self, id: &str, url: &str, services: impl Iterator<Item = String>) -> anyhow::Result<Account> {
        let (mut origins, mut addresses) = (BTreeSet::new(), BTreeSet::new());
        for service in services.chain([url.to_owned()]) {
            let service = Url::parse(&service).with_context(|| format!("the catalogue names {service}"))?;
            origins.insert(service.origin().ascii_serialization());
            let (host, port) = (service.host_str().unwrap_or_default(), service.port_or_known_default());
            let host = host.trim_matches(['[', ']']);
            for address in (host, port.unwrap_or_default())
                .to_socket_addrs()
                .with_context(|| format!("where is {host}?"))?
            {
                let address = address.ip();
                if is_private(address) {
                    addresses.insert(format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 }));
                }
            }
        }
        let mut config = Map::new();
        for (key, value) in [
            ("user_domain_name", &self.user_domain),
            ("project_domain_name", &self.project_domain),
            ("region_name", &self.region),
        ] {
            if let Some(value) = value {
                config.insert(key.to_owned(), json!(value));
            }
        }
        Ok(Account {
            body: json!({
                "id": id, "name": id, "vim_type": "openstack", "url": url, "user": self.user, "tenant": self.project,
                "credentials": {"password": self.password}, "config": config,
                "grants": {"origins": origins, "addresses": addresses},
            }),
        })
    }

    /// The public endpoints of its catalogue.
    ///
    /// # Errors
    /// When the client fails, or the catalogue is of another form.
    pub fn services(&self) -> anyhow::Result<Vec<Service>> {
        let mut services = Vec::new();
        for entry in self.list(&["catalog", "list"])? {
            let kind = entry
                .get("Type")
                .and_then(Value::as_str)
                .context("a service without a type")?;
            for endpoint in entry.get("Endpoints").and_then(Value::as_array).into_iter().flatten() {
                let text = |key: &str| endpoint.get(key).and_then(Value::as_str);
                let here = self
                    .region
                    .as_deref()
                    .is_none_or(|region| text("region_id") == Some(region));
                if here && text("interface") == Some("public") {
                    services.push(Service::new(kind, text("url").context("an endpoint without a URL")?));
                }
            }
        }
        ensure!(
            !services.is_empty(),
            "the catalogue of {} names no public endpoint",
            self.auth_url
        );
        Ok(services)
    }
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => four.is_loopback() || four.is_private(),
        IpAddr::V6(six) => six.is_loopback() || six.is_unique_local(),
    }
}
