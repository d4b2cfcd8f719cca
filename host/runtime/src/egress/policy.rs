//! Who may be reached: origins by wish and grant, addresses by range.
//!
//! Three checks, one after the other, because each can be got round alone: the plugin must have asked for the origin (its
//! descriptor, which the operator approved), the account must grant it, and the address that the name resolves to must be
//! permitted. That address is then the one that is dialled.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, Url};
use vimhost_connector::{Descriptor, OriginScope};
use vimhost_model::{Grants, Origin, VimAccount, is_never_dialled, plain_form};

use crate::text::safe;

/// What is shown of an origin in a refusal.
const SHOWN: usize = 256;

/// The policy of one account and plugin.
pub(crate) struct Policy {
    account: String,
    own: Option<Origin>,
    wishes: Vec<OriginScope>,
    grants: Grants,
    /// Addresses that stand literally in the account's URL or in a granted origin.
    literal: BTreeSet<IpAddr>,
}

impl Policy {
    pub(crate) fn new(account: &VimAccount, descriptor: &Descriptor) -> Self {
        // A URL that is no origin ("mock:") grants nothing.
        let own = Origin::of_url(&account.url).ok();
        let literal = own
            .iter()
            .chain(&account.grants.origins)
            .filter_map(|origin| address_of(&host_of(origin)?))
            .collect();
        Self {
            account: account.command_words(),
            own,
            wishes: descriptor.egress.iter().map(|wish| wish.origins).collect(),
            grants: account.grants.clone(),
            literal,
        }
    }

    /// Whether a rule's scope holds an origin.
    pub(crate) fn holds(&self, scope: OriginScope, origin: &Origin) -> bool {
        match scope {
            OriginScope::AccountUrl => self.own.as_ref() == Some(origin),
            OriginScope::Granted => self.granted(origin),
        }
    }

    fn granted(&self, origin: &Origin) -> bool {
        if self.own.as_ref() == Some(origin) || self.grants.origins.contains(origin) {
            return true;
        }
        let Some(host) = host_of(origin) else { return false };
        // The rules name hosts only, so they never lead from https to plain text.
        let plain = |text: &str| text.starts_with("http://");
        if plain(origin.as_str()) && self.own.as_ref().is_none_or(|own| !plain(own.as_str())) {
            return false;
        }
        if self.grants.same_host_any_port && self.own.as_ref().and_then(host_of).as_ref() == Some(&host) {
            return true;
        }
        match host {
            Host::Domain(name) => self
                .grants
                .domain_suffixes
                .iter()
                .any(|suffix| ends_with(&name, suffix)),
            Host::Ipv4(_) | Host::Ipv6(_) => false,
        }
    }

    /// Whether a request may go to an origin.
    ///
    /// # Errors
    /// Which of wish and grant is missing, and the command that gives the grant.
    pub(crate) fn check_origin(&self, origin: &Origin) -> Result<(), String> {
        if self.wishes.iter().any(|scope| self.holds(*scope, origin)) {
            return Ok(());
        }
        let shown = safe(origin.as_str(), SHOWN);
        if self.granted(origin) {
            return Err(format!(
                "the account grants {shown}, but the plugin does not ask for it in its descriptor"
            ));
        }
        if !self.wishes.contains(&OriginScope::Granted) {
            return Err(format!("the plugin does not ask to reach {shown} in its descriptor"));
        }
        Err(format!(
            "{shown} is not granted to the account; to grant it: vimhost vim allow {} --origin {shown}",
            self.account
        ))
    }

    /// Whether an address may be dialled.
    ///
    /// # Errors
    /// Why not, and the command that permits it where one does.
    pub(crate) fn check_address(&self, host: &str, address: IpAddr) -> Result<(), String> {
        let host = safe(host, SHOWN);
        let address = plain_form(address);
        if is_never_dialled(address) {
            return Err(format!(
                "{host} leads to {address}, a link-local, metadata or otherwise special address that is never dialled"
            ));
        }
        if !is_internal(address)
            || self.literal.contains(&address)
            || self.grants.addresses.iter().any(|range| range.contains(&address))
        {
            return Ok(());
        }
        Err(format!(
            "{host} leads to {address}, a loopback or private address that is not granted to the account; \
             to grant it: vimhost vim allow {} --address {}",
            self.account,
            IpNet::from(address)
        ))
    }
}

fn host_of(origin: &Origin) -> Option<Host<String>> {
    Url::parse(origin.as_str()).ok()?.host().map(|host| host.to_owned())
}

fn address_of(host: &Host<String>) -> Option<IpAddr> {
    match host {
        Host::Ipv4(address) => Some(IpAddr::V4(*address)),
        Host::Ipv6(address) => Some(plain_form(IpAddr::V6(*address))),
        Host::Domain(_) => None,
    }
}

/// `.cloud.example` fits `nova.cloud.example`; `cloud.example` fits that and itself; neither fits `evilcloud.example`.
fn ends_with(name: &str, suffix: &str) -> bool {
    let suffix = suffix.to_ascii_lowercase();
    let bare = suffix.trim_start_matches('.');
    if bare.is_empty() {
        return false;
    }
    let below = name.strip_suffix(bare).is_some_and(|rest| rest.ends_with('.'));
    below || (name == bare && !suffix.starts_with('.'))
}

/// Addresses that only a grant opens.
fn is_internal(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => {
            let [a, b, c, _] = four.octets();
            four.is_loopback()
                || four.is_private()
                || (a == 100 && b & 0xc0 == 64)
                || (a == 198 && b & 0xfe == 18)
                || (a == 192 && b == 0 && c == 0)
                || a >= 240
        }
        IpAddr::V6(six) => {
            let [first, ..] = six.segments();
            six.is_loopback() || six.is_unique_local() || first & 0xffc0 == 0xfec0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(url: &str, grants: Grants, wishes: &[OriginScope]) -> Policy {
        let own = Origin::of_url(url).ok();
        let literal = own
            .iter()
            .chain(&grants.origins)
            .filter_map(|o| address_of(&host_of(o)?))
            .collect();
        Policy {
            account: "vim-1".into(),
            own,
            wishes: wishes.to_vec(),
            grants,
            literal,
        }
    }

    fn origin(text: &str) -> Origin {
        text.parse().unwrap()
    }

    #[test]
    fn an_origin_passes_only_with_wish_and_grant() {
        let both = [OriginScope::AccountUrl, OriginScope::Granted];
        let grants = Grants {
            origins: vec![origin("https://nova.example:8774")],
            domain_suffixes: vec![".cloud.example".into()],
            same_host_any_port: true,
            ..Grants::default()
        };
        let open = policy("https://keystone.example:5000/v3", grants.clone(), &both);
        for granted in [
            "https://keystone.example:5000",
            "https://nova.example:8774",
            "https://a.b.cloud.example",
            "https://keystone.example:9696",
        ] {
            assert_eq!(open.check_origin(&origin(granted)), Ok(()), "{granted}");
        }
        for refused in [
            "http://keystone.example:5000",
            "https://nova.example:8775",
            "https://evilcloud.example",
            "https://cloud.example",
            "http://a.cloud.example",
        ] {
            let error = open.check_origin(&origin(refused)).unwrap_err();
            assert!(error.contains("vimhost vim allow vim-1 --origin http"), "{error}");
        }
        let narrow = policy(
            "https://keystone.example:5000",
            grants.clone(),
            &[OriginScope::AccountUrl],
        );
        assert!(narrow.check_origin(&origin("https://keystone.example:5000")).is_ok());
        let error = narrow.check_origin(&origin("https://nova.example:8774")).unwrap_err();
        assert!(error.contains("does not ask for it"), "{error}");
        let silent = policy("https://keystone.example:5000", grants, &[]);
        assert!(silent.check_origin(&origin("https://keystone.example:5000")).is_err());
    }

    #[test]
    fn special_addresses_are_never_dialled_in_any_notation() {
        let grants = Grants {
            addresses: vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()],
            ..Grants::default()
        };
        let open = policy("http://x.example", grants, &[]);
        for never in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "::169.254.169.254",
            "fe80::1",
            "fd00:ec2::254",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
            "100.100.100.200",
        ] {
            let error = open.check_address("x.example", never.parse().unwrap()).unwrap_err();
            assert!(error.contains("never dialled"), "{never}: {error}");
        }
        assert!(open.check_address("x.example", "10.0.0.1".parse().unwrap()).is_ok());
    }

    #[test]
    fn private_addresses_need_a_grant_or_stand_in_the_url() {
        let shut = policy("http://x.example", Grants::default(), &[]);
        for private in [
            "127.0.0.1",
            "::1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "fc00::1",
            "::ffff:10.0.0.1",
        ] {
            let error = shut.check_address("x.example", private.parse().unwrap()).unwrap_err();
            assert!(
                error.contains("vimhost vim allow vim-1 --address "),
                "{private}: {error}"
            );
        }
        assert!(
            shut.check_address("x.example", "93.184.216.34".parse().unwrap())
                .is_ok()
        );
        let literal = policy("http://127.0.0.1:5000", Grants::default(), &[]);
        assert!(literal.check_address("127.0.0.1", "127.0.0.1".parse().unwrap()).is_ok());
        assert!(
            literal
                .check_address("127.0.0.2", "127.0.0.2".parse().unwrap())
                .is_err()
        );
    }
}
