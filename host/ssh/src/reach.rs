//! Which addresses a VM may have for this host to dial it.
//!
//! The address stands in a record that other programs write, and what answers there gets a login. Private addresses are what VMs
//! have; the host's own loopback is what no VM has.

use std::net::IpAddr;

use vimhost_model::{AddressRange, is_never_dialled, plain_form};

/// Ranges that may be dialled.
#[derive(Debug, Clone, Default)]
pub struct Reach(Vec<AddressRange>);

impl Reach {
    /// Only these ranges; none: every address but loopback. Metadata services, link-local and the like are never dialled.
    #[must_use]
    pub fn new(ranges: Vec<AddressRange>) -> Self {
        Self(ranges)
    }

    /// Whether an address may be dialled.
    ///
    /// # Errors
    /// Why not, and the setting that permits it where one does.
    pub fn check(&self, address: IpAddr) -> Result<(), String> {
        let plain = plain_form(address);
        if is_never_dialled(plain) {
            return Err(format!(
                "{address} is a link-local, metadata or otherwise special address that is never dialled"
            ));
        }
        if self.0.is_empty() {
            return if plain.is_loopback() {
                Err(format!("{address} is this host itself; --ssh-address permits it"))
            } else {
                Ok(())
            };
        }
        if self.0.iter().any(|range| range.contains(&plain)) {
            return Ok(());
        }
        Err(format!(
            "{address} is in none of the ranges in which VMs are dialled; --ssh-address adds one"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(reach: &Reach, address: &str) -> Result<(), String> {
        reach.check(address.parse().unwrap())
    }

    #[test]
    fn every_vm_is_dialled_and_the_host_itself_is_not() {
        let open = Reach::default();
        for address in [
            "10.0.0.5",
            "192.168.1.7",
            "100.64.0.9",
            "203.0.113.1",
            "fd12::5",
            "2001:db8::1",
        ] {
            assert_eq!(checked(&open, address), Ok(()), "{address}");
        }
        for address in ["127.0.0.1", "127.8.0.1", "::1", "::ffff:127.0.0.1"] {
            assert!(
                checked(&open, address).unwrap_err().contains("--ssh-address"),
                "{address}"
            );
        }
    }

    #[test]
    fn ranges_are_all_that_is_dialled_and_open_nothing_special() {
        let reach = Reach::new(vec!["10.0.0.0/8".parse().unwrap(), "127.0.0.0/8".parse().unwrap()]);
        assert_eq!(checked(&reach, "10.200.0.1"), Ok(()));
        assert_eq!(checked(&reach, "127.0.0.1"), Ok(()));
        assert_eq!(checked(&reach, "::ffff:10.0.0.1"), Ok(()));
        assert!(
            checked(&reach, "192.168.0.1")
                .unwrap_err()
                .contains("none of the ranges")
        );
        let all = Reach::new(vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()]);
        for address in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "fe80::1",
            "fd00:ec2::254",
            "0.0.0.0",
            "224.0.0.1",
        ] {
            assert!(
                checked(&all, address).unwrap_err().contains("never dialled"),
                "{address}"
            );
        }
    }
}
