//! How subscribers are told.

use std::net::IpAddr;
use std::time::Duration;

use vimhost_model::{AddressRange, is_never_dialled, plain_form};

/// What a host decides about notifications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifyOptions {
    /// Base of the links in notifications, without a slash at its end.
    pub endpoint: String,
    /// A new subscription's callback is asked with a GET, which has to be answered 204.
    pub test_notification: bool,
    /// Addresses that callbacks may have. None: every one but loopback; private ones included, since that is where orchestrators are.
    /// Metadata services and link-local addresses are never dialled.
    pub addresses: Vec<AddressRange>,
    /// Callbacks may be on loopback whatever `addresses` says: for a host that itself listens there only, so that whoever subscribes is on
    /// this machine already.
    pub loopback: bool,
    /// How long after its event a notification that fails is tried again.
    pub give_up_after: Duration,
    /// How long the test of a callback may take.
    pub test_limit: Duration,
    /// How long one notification may take.
    pub send_limit: Duration,
    /// Notifications under way at a time.
    pub concurrency: usize,
    /// Subscriptions that are kept. A few more may be made by clients that ask at the same moment.
    pub most_subscriptions: usize,
}

impl Default for NotifyOptions {
    fn default() -> Self {
        Self {
            endpoint: "http://127.0.0.1:9890".to_owned(),
            test_notification: true,
            addresses: Vec::new(),
            loopback: false,
            // Long enough for a subscriber to be restarted or moved, short enough that what it hears is still news.
            give_up_after: Duration::from_secs(3600),
            // What Tacker gives it.
            test_limit: Duration::from_secs(20),
            send_limit: Duration::from_secs(10),
            // One connection each; some hundred answers of a second per second and more is not what subscribers take.
            concurrency: 64,
            // All filters are held in memory, some hundred bytes each and 256 KiB at most: so they take some hundred MiB whoever subscribes.
            most_subscriptions: 2_000,
        }
    }
}

impl NotifyOptions {
    /// Whether a callback may have an address.
    ///
    /// # Errors
    /// Why not.
    pub fn check_address(&self, address: IpAddr) -> Result<(), String> {
        let plain = plain_form(address);
        if is_never_dialled(plain) {
            return Err(format!(
                "{address} is a link-local, metadata or otherwise special address that is never dialled"
            ));
        }
        if self.loopback && plain.is_loopback() {
            return Ok(());
        }
        if self.addresses.is_empty() {
            return if plain.is_loopback() {
                Err(format!("{address} is this host itself, where no callback may be"))
            } else {
                Ok(())
            };
        }
        if self.addresses.iter().any(|range| range.contains(&plain)) {
            return Ok(());
        }
        Err(format!("{address} is in none of the ranges in which callbacks may be"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_never_dialled_and_loopback_only_where_it_is_opened() {
        let open = NotifyOptions::default();
        let local = NotifyOptions {
            loopback: true,
            ..NotifyOptions::default()
        };
        let ranges = NotifyOptions {
            addresses: vec!["0.0.0.0/0".parse().unwrap()],
            ..NotifyOptions::default()
        };
        let allowed = |options: &NotifyOptions, address: &str| options.check_address(address.parse().unwrap()).is_ok();
        for metadata in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "fd00:ec2::254",
            "168.63.129.16",
            "192.0.0.192",
            "0.0.0.0",
        ] {
            for options in [&open, &local, &ranges] {
                assert!(!allowed(options, metadata), "{metadata}");
            }
        }
        for (address, expected) in [
            ("127.0.0.1", [false, true, true]),
            ("10.0.0.1", [true, true, true]),
            ("2001:db8::1", [true, true, false]),
        ] {
            let found = [&open, &local, &ranges].map(|options| allowed(options, address));
            assert_eq!(found, expected, "{address}");
        }
    }
}
