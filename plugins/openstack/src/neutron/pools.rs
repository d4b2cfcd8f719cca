//! A network's address plan, checked before anything is made.
//!
//! OSM's own connector sends what it was given, and fails where a number of addresses comes without a start, or a start without a
//! number (O15). Here the missing half follows from the subnet, and what cannot be is refused while there is nothing to undo.

use std::net::IpAddr;

use serde_json::{Map, Value, json};
use vimhost_sdk::prelude::*;

use crate::cidr::{Cidr, Pool, Version, after, version};

/// Ways in which IPv6 addresses are given out (Neutron's `ipv6_address_mode` and `ipv6_ra_mode`).
const IPV6_MODES: [&str; 3] = ["slaac", "dhcpv6-stateful", "dhcpv6-stateless"];

/// A plan. What it does not say is left to Neutron, the subnet itself apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) version: Version,
    /// None: the connector chooses.
    pub(super) subnet: Option<Cidr>,
    pub(super) gateway: Option<IpAddr>,
    dns: Vec<String>,
    dhcp: Option<bool>,
    pub(super) start: Option<IpAddr>,
    count: Option<u32>,
    ipv6_mode: Option<String>,
}

impl Plan {
    /// Reads a plan; no profile is an IPv4 subnet without gateway.
    ///
    /// # Errors
    ///
    /// What is wrong in it, as a bad request.
    pub(super) fn of(profile: Option<&IpProfile>) -> Result<Self, Error> {
        let Some(profile) = profile else {
            return Self::of(Some(&IpProfile::default()));
        };
        let version = match profile.version {
            IpVersion::Ipv4 => Version::Four,
            IpVersion::Ipv6 => Version::Six,
        };
        let subnet: Option<Cidr> = match given(profile.subnet.as_ref()) {
            Some(text) => Some(text.parse().map_err(|why: String| wrong(&format!("`subnet`: {why}")))?),
            None => None,
        };
        if subnet.is_some_and(|subnet| subnet.version() != version) {
            return Err(wrong("`subnet` is of the other IP version"));
        }
        let plan = Self {
            version,
            subnet,
            gateway: address("gateway", profile.gateway.as_ref(), version)?,
            dns: servers(&profile.dns)?,
            dhcp: profile.dhcp_enabled,
            start: address("dhcp-start", profile.dhcp_start.as_ref(), version)?,
            // Descriptors that say nothing arrive as 0.
            count: profile.dhcp_count.filter(|count| *count > 0),
            ipv6_mode: given(profile.ipv6_address_mode.as_ref()).map(str::to_ascii_lowercase),
        };
        plan.check_mode()?;
        if let Some(subnet) = &plan.subnet {
            plan.pools(subnet)?;
        }
        Ok(plan)
    }

    fn check_mode(&self) -> Result<(), Error> {
        let Some(mode) = &self.ipv6_mode else {
            return Ok(());
        };
        if !IPV6_MODES.contains(&mode.as_str()) {
            return Err(wrong(&format!(
                "`ipv6-address-mode` is {mode:?}; it is one of {}",
                IPV6_MODES.join(", ")
            )));
        }
        if self.version == Version::Four {
            return Err(wrong("`ipv6-address-mode` goes with IPv6 only"));
        }
        if self.dhcp == Some(false) {
            return Err(wrong("`ipv6-address-mode` needs DHCP, which is switched off"));
        }
        Ok(())
    }

    /// What of the addresses is handed out; empty: all of them, by Neutron's own rule. The gateway is left out, which Neutron
    /// demands, and counts for nothing.
    fn pools(&self, subnet: &Cidr) -> Result<Vec<Pool>, Error> {
        if self.start.is_none() && self.count.is_none() {
            return Ok(Vec::new());
        }
        let (lowest, highest) = subnet.hosts();
        let first = match self.start {
            Some(start) => start,
            None if self.gateway == Some(lowest) => after(lowest, 1).unwrap_or(lowest),
            None => lowest,
        };
        if !subnet.holds(first) {
            return Err(wrong(&format!("`dhcp-start` {first} does not lie in {subnet}")));
        }
        let last = match self.count {
            None => Some(highest),
            Some(count) => {
                let last = after(first, count.saturating_sub(1));
                let holds_gateway =
                    |last: IpAddr| self.gateway.is_some_and(|gateway| (first..=last).contains(&gateway));
                match last {
                    Some(last) if holds_gateway(last) => after(last, 1),
                    last => last,
                }
            }
        };
        match last.filter(|last| subnet.holds(*last) && *last <= highest && first <= *last) {
            Some(last) => {
                let pool = Pool { first, last };
                Ok(self.gateway.map_or_else(|| vec![pool], |gateway| pool.without(gateway)))
            }
            None => Err(wrong(&format!(
                "{} from {first} on go beyond {highest}, the last address of {subnet}",
                self.count
                    .map_or_else(|| "addresses".to_owned(), |count| format!("{count} addresses"))
            ))),
        }
    }

    /// What Neutron is asked for, once the subnet is known.
    ///
    /// # Errors
    ///
    /// When the addresses do not lie in the subnet, as a bad request.
    pub(super) fn body(&self, subnet: &Cidr) -> Result<Map<String, Value>, Error> {
        let mut body = Map::new();
        let mut set = |name: &str, value: Value| body.insert(name.to_owned(), value);
        set(
            "ip_version",
            json!(match self.version {
                Version::Four => 4,
                Version::Six => 6,
            }),
        );
        set("cidr", json!(subnet.to_string()));
        // Null is "none"; without it Neutron takes the first address.
        set("gateway_ip", json!(self.gateway.map(|gateway| gateway.to_string())));
        if !self.dns.is_empty() {
            set("dns_nameservers", json!(self.dns));
        }
        if let Some(dhcp) = self.dhcp {
            set("enable_dhcp", json!(dhcp));
        }
        let pools = self.pools(subnet)?;
        if !pools.is_empty() {
            let pool = |pool: &Pool| json!({"start": pool.first.to_string(), "end": pool.last.to_string()});
            set("allocation_pools", pools.iter().map(pool).collect());
        }
        if let Some(mode) = &self.ipv6_mode {
            set("ipv6_address_mode", json!(mode));
            set("ipv6_ra_mode", json!(mode));
        }
        Ok(body)
    }
}

fn address(field: &str, text: Option<&String>, wanted: Version) -> Result<Option<IpAddr>, Error> {
    let Some(text) = given(text) else {
        return Ok(None);
    };
    let address: IpAddr = text
        .parse()
        .map_err(|_| wrong(&format!("`{field}` is {text:?}, which is no address")))?;
    if version(address) == wanted {
        Ok(Some(address))
    } else {
        Err(wrong(&format!("`{field}` {address} is of the other IP version")))
    }
}

/// Name servers; older descriptors have several in one text.
fn servers(told: &[String]) -> Result<Vec<String>, Error> {
    let all = told.iter().flat_map(|text| text.split([';', ',', ' ']));
    all.filter(|text| !text.is_empty())
        .map(|text| match text.parse::<IpAddr>() {
            Ok(server) => Ok(server.to_string()),
            Err(_) => Err(wrong(&format!("name server {text:?} is no address"))),
        })
        .collect()
}

fn given(text: Option<&String>) -> Option<&str> {
    text.map(|text| text.trim()).filter(|text| !text.is_empty())
}

fn wrong(why: &str) -> Error {
    Error::bad_request(format!("the network's address plan: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(subnet: &str) -> IpProfile {
        IpProfile {
            subnet: Some(subnet.to_owned()),
            ..IpProfile::default()
        }
    }

    fn body(profile: &IpProfile) -> Value {
        let plan = Plan::of(Some(profile)).unwrap();
        let subnet = plan.subnet.unwrap();
        Value::Object(plan.body(&subnet).unwrap())
    }

    fn refusal(profile: &IpProfile) -> String {
        let error = Plan::of(Some(profile)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::BadRequest);
        error.message
    }

    #[test]
    fn a_plan_without_pools_leaves_them_to_neutron_and_has_no_gateway() {
        let body = body(&profile("10.0.0.0/24"));
        assert_eq!(
            body,
            json!({"ip_version": 4, "cidr": "10.0.0.0/24", "gateway_ip": null})
        );
    }

    #[test]
    fn o15_a_number_without_a_start_begins_at_the_first_address() {
        let mut plan = profile("10.0.0.0/24");
        plan.dhcp_count = Some(10);
        plan.gateway = Some("10.0.0.1".into());
        assert_eq!(
            body(&plan)["allocation_pools"],
            json!([{"start": "10.0.0.2", "end": "10.0.0.11"}])
        );
        plan.gateway = None;
        assert_eq!(
            body(&plan)["allocation_pools"],
            json!([{"start": "10.0.0.1", "end": "10.0.0.10"}])
        );
    }

    #[test]
    fn o15_a_start_without_a_number_goes_to_the_last_address() {
        let mut plan = profile("10.0.0.0/24");
        plan.dhcp_start = Some("10.0.0.100".into());
        assert_eq!(
            body(&plan)["allocation_pools"],
            json!([{"start": "10.0.0.100", "end": "10.0.0.254"}])
        );
        plan.gateway = Some("10.0.0.254".into());
        assert_eq!(
            body(&plan)["allocation_pools"],
            json!([{"start": "10.0.0.100", "end": "10.0.0.253"}])
        );
    }

    #[test]
    fn a_gateway_within_the_pool_is_left_out_and_not_counted() {
        let mut plan = profile("10.0.0.0/24");
        plan.dhcp_start = Some("10.0.0.10".into());
        plan.dhcp_count = Some(5);
        plan.gateway = Some("10.0.0.12".into());
        let pools = json!([{"start": "10.0.0.10", "end": "10.0.0.11"}, {"start": "10.0.0.13", "end": "10.0.0.15"}]);
        assert_eq!(body(&plan)["allocation_pools"], pools);
    }

    #[test]
    fn o15_what_does_not_fit_is_refused_before_anything_is_made() {
        let mut beyond = profile("10.0.0.0/24");
        beyond.dhcp_start = Some("10.0.0.250".into());
        beyond.dhcp_count = Some(10);
        assert!(
            refusal(&beyond).contains("go beyond 10.0.0.254"),
            "{}",
            refusal(&beyond)
        );
        let mut elsewhere = profile("10.0.0.0/24");
        elsewhere.dhcp_start = Some("10.0.1.5".into());
        assert!(refusal(&elsewhere).contains("does not lie in 10.0.0.0/24"));
        let mut mixed = profile("10.0.0.0/24");
        mixed.gateway = Some("fd00::1".into());
        assert!(refusal(&mixed).contains("other IP version"));
        assert!(refusal(&profile("10.0.0.0")).contains("`subnet`"));
    }

    #[test]
    fn name_servers_may_stand_in_one_text() {
        let mut plan = profile("10.0.0.0/24");
        plan.dns = vec!["8.8.8.8;1.1.1.1".into(), "9.9.9.9".into()];
        assert_eq!(body(&plan)["dns_nameservers"], json!(["8.8.8.8", "1.1.1.1", "9.9.9.9"]));
        plan.dns = vec!["dns.example".into()];
        assert!(refusal(&plan).contains("dns.example"));
    }

    #[test]
    fn both_modes_of_ipv6_are_set_and_need_dhcp() {
        let mut plan = IpProfile {
            version: IpVersion::Ipv6,
            ipv6_address_mode: Some("slaac".into()),
            ..profile("fd00:1::/64")
        };
        let told = body(&plan);
        assert_eq!(
            (&told["ipv6_address_mode"], &told["ipv6_ra_mode"]),
            (&json!("slaac"), &json!("slaac"))
        );
        plan.dhcp_enabled = Some(false);
        assert!(refusal(&plan).contains("needs DHCP"));
        plan.ipv6_address_mode = Some("magic".into());
        assert!(refusal(&plan).contains("dhcpv6-stateful"));
    }
}
