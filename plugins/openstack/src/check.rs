//! Trying an account: log in, read the catalogue, ask each service for something small.
//!
//! An origin that is not granted yet is proposed and what lies behind it stays untried. A service without which nothing can be
//! deployed fails the check when it is missing or does not answer; another one is a warning, and so is a quota that is used up, and
//! what else the next deployment would meet.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use vimhost_keystone::{Api, Service};
use vimhost_sdk::prelude::*;

use crate::vim::Vim;
use crate::{neutron, prospects, quotas};

/// What an account's cloud is looked at for, and what does not work without.
const SERVICES: [(Service, Need); 5] = [
    (Service::Compute, Need::Always),
    (Service::Network, Need::Always),
    (Service::Image, Need::Always),
    (Service::BlockStorage, Need::For("volumes can be made")),
    (
        Service::Placement,
        Need::For("capacity can be looked at before a migration; Nova decides alone"),
    ),
];

#[derive(Clone, Copy)]
enum Need {
    Always,
    /// For people: `without it no …`.
    For(&'static str),
}

pub(crate) fn check(vim: &Vim) -> Result<CheckReport, Error> {
    let scope = vim.cloud.scope()?;
    let access = vim.cloud.access();
    let mut found = Findings::default();
    for (service, need) in SERVICES {
        found.try_service(vim, service, need)?;
        let regions = scope.catalogue.regions(service, access.interface);
        if access.region.is_none() && regions.len() > 1 {
            let regions: Vec<&str> = regions.into_iter().collect();
            found.warnings.push(format!(
                "{} is in several regions ({}); the first of the catalogue is used, `region_name` chooses",
                service.word(),
                regions.join(", ")
            ));
        }
    }
    if !scope.has_role("admin") {
        let flavours = if vim.settings.use_existing_flavors {
            ""
        } else {
            "flavours cannot be made, so that one of exactly the size has to be there (`use_existing_flavors` takes the nearest \
             larger one), "
        };
        found.warnings.push(format!(
            "the user has no role `admin` in project {}: {flavours}compute hosts of servers are not seen, and servers cannot be \
             migrated to a chosen host, unless the cloud's policies say otherwise",
            scope.project_name
        ));
    }
    Ok(CheckReport {
        vim_version: Some(found.version()),
        origins: found.origins(),
        warnings: found.warnings,
    })
}

#[derive(Default)]
struct Findings {
    /// What each origin is for.
    origins: BTreeMap<String, BTreeSet<&'static str>>,
    versions: Vec<String>,
    warnings: Vec<String>,
}

impl Findings {
    fn try_service(&mut self, vim: &Vim, service: Service, need: Need) -> Result<(), Failure> {
        let api = match (vim.cloud.find_api(service)?, need) {
            (Some(api), _) => api,
            // With the error that names what the catalogue has.
            (None, Need::Always) => vim.cloud.api(service)?,
            (None, Need::For(what)) => {
                let word = service.word();
                self.warnings
                    .push(format!("the catalogue has no service {word}: without it no {what}"));
                return Ok(());
            }
        };
        let origin = api.origin();
        self.origins.entry(origin.clone()).or_default().insert(service.word());
        match (self.look(vim, &api), need) {
            (Ok(()), _) => Ok(()),
            (Err(failure), _) if failure.error.kind == ErrorKind::NotGranted => {
                self.warnings.push(format!(
                    "{} at {origin} was not tried: the account does not grant this origin yet",
                    service.word()
                ));
                Ok(())
            }
            (Err(failure), Need::Always) => Err(failure),
            (Err(failure), Need::For(what)) => {
                self.warnings
                    .push(format!("without {} no {what}: {failure}", service.word()));
                Ok(())
            }
        }
    }

    /// Something small of a service.
    fn look(&mut self, vim: &Vim, api: &Api<'_>) -> Result<(), Failure> {
        let word = api.service().word();
        let versions = vim.cloud.versions(api.service())?;
        if let Some(versions) = versions {
            self.versions.push(format!("{word} {}", versions.max));
        }
        let collection = match api.service() {
            Service::Compute => {
                let wanted = vim.settings.microversion.zip(versions);
                if let Some((wanted, versions)) = wanted.filter(|(wanted, versions)| *wanted > versions.max) {
                    self.warnings.push(format!(
                        "`microversion` is {wanted}; this Nova has up to {}, which is used",
                        versions.max
                    ));
                }
                "servers"
            }
            Service::Network => {
                self.network(vim)?;
                "networks"
            }
            Service::Image => "images",
            Service::BlockStorage => "volumes",
            // Its versions have been asked for, which is all that an ordinary user may see of it.
            Service::Placement | Service::Identity | Service::Orchestration => return Ok(()),
        };
        let request = api
            .get([collection])
            .query("limit", "1")
            .doing(format!("looking at the {collection}"));
        let seen: Value = api.read(request)?;
        self.warnings.extend(quotas::complaints(vim, api)?);
        self.warnings.extend(prospects::complaints(vim, api, &seen)?);
        Ok(())
    }

    /// What the settings count on in Neutron.
    fn network(&mut self, vim: &Vim) -> Result<(), Failure> {
        let extensions = neutron::extensions(vim)?;
        let has = |alias: &str| extensions.iter().any(|extension| extension == alias);
        if !has("standard-attr-description") {
            self.warnings.push(
                "Neutron has no extension `standard-attr-description`, so what it makes cannot carry a token: an answer that is \
                 lost can leave an element nobody knows of"
                    .to_owned(),
            );
        }
        if vim.settings.port_security_extension && !has("port-security") {
            self.warnings.push(
                "Neutron has no extension `port-security`: an interface that asks for port security off fails; \
                 `no_port_security_extension` ignores such wishes"
                    .to_owned(),
            );
        }
        if vim.settings.l2gw && !has("l2-gateway") {
            self.warnings
                .push("`l2gw_support` is set, and Neutron has no extension `l2-gateway`".to_owned());
        }
        self.warnings.extend(neutron::floating::complaints(vim)?);
        match neutron::security_groups::resolve(vim, &[]) {
            Ok(_) => Ok(()),
            Err(failure) if failure.is_not_found() || failure.error.kind == ErrorKind::Conflict => {
                self.warnings.push(failure.to_string());
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    }

    fn version(&self) -> String {
        if self.versions.is_empty() {
            return "OpenStack".to_owned();
        }
        format!("OpenStack ({})", self.versions.join(", "))
    }

    fn origins(&self) -> Vec<ProposedOrigin> {
        let proposed = self.origins.iter().map(|(origin, purposes)| ProposedOrigin {
            origin: origin.clone(),
            purpose: purposes.iter().copied().collect::<Vec<_>>().join(", "),
        });
        proposed.collect()
    }
}
