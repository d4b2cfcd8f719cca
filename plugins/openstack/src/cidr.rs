//! Networks of addresses, as subnets need them: which addresses they hold, and whether two of them overlap.
//!
//! Both versions are computed with as 128-bit numbers, so the rules stand here once.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A network: an address with as many leading bits as its prefix says, the rest zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cidr {
    first: u128,
    prefix: u8,
    version: Version,
}

/// Version of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    Four,
    Six,
}

impl Version {
    const fn bits(self) -> u8 {
        match self {
            Self::Four => 32,
            Self::Six => 128,
        }
    }
}

impl FromStr for Cidr {
    type Err = String;

    /// Bits behind the prefix are dropped: Neutron refuses what an operator means well (`10.0.0.5/24`).
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no network such as 10.0.0.0/24");
        let (address, prefix) = text.trim().split_once('/').ok_or_else(wrong)?;
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let prefix: u8 = prefix.parse().map_err(|_| wrong())?;
        let version = version(address);
        if prefix > version.bits() {
            return Err(wrong());
        }
        Ok(Self::around(number(address), prefix, version))
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", address(self.first, self.version), self.prefix)
    }
}

impl Cidr {
    fn around(number: u128, prefix: u8, version: Version) -> Self {
        let size = size(prefix, version);
        Self {
            first: number & !(size - 1),
            prefix,
            version,
        }
    }

    /// The version of its addresses.
    pub(crate) const fn version(&self) -> Version {
        self.version
    }

    fn last(&self) -> u128 {
        self.first.saturating_add(size(self.prefix, self.version) - 1)
    }

    /// Whether an address lies in it.
    pub(crate) fn holds(&self, other: IpAddr) -> bool {
        version(other) == self.version && (self.first..=self.last()).contains(&number(other))
    }

    /// Whether they have an address in common.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.version == other.version && self.first <= other.last() && other.first <= self.last()
    }

    /// The first and the last address that a host can have: without those of the network and of broadcasts, except in networks too
    /// small to have them. In IPv6 the first one is the routers' own.
    pub(crate) fn hosts(&self) -> (IpAddr, IpAddr) {
        let (first, last) = (self.first, self.last());
        let (first, last) = match self.version {
            Version::Four if self.prefix < 31 => (first + 1, last - 1),
            Version::Six if self.prefix < 127 => (first + 1, last),
            Version::Four | Version::Six => (first, last),
        };
        (address(first, self.version), address(last, self.version))
    }

    /// Networks of a prefix within it, from the `start`th on and around; the number is bounded, since an IPv6 network holds
    /// more than can be counted.
    pub(crate) fn parts(&self, prefix: u8, start: u64) -> impl Iterator<Item = Self> + use<> {
        const MOST: u32 = 4096;
        let (prefix, first, version) = (
            prefix.max(self.prefix).min(self.version.bits()),
            self.first,
            self.version,
        );
        // At most 2^12 are looked at, so a 64-bit shift is wide enough for all that is different.
        let bits = u32::from(prefix - self.prefix).min(63);
        let all = 1_u64 << bits;
        let tried = u64::from(MOST).min(all);
        let one = size(prefix, version);
        (0..tried).map(move |step| {
            let index = start.wrapping_add(step) & (all - 1);
            Self {
                first: first.saturating_add(u128::from(index).saturating_mul(one)),
                prefix,
                version,
            }
        })
    }
}

/// Addresses between a first and a last one, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pool {
    pub(crate) first: IpAddr,
    pub(crate) last: IpAddr,
}

impl Pool {
    /// Without one address, which lies in it: none, one or two pools.
    pub(crate) fn without(self, hole: IpAddr) -> Vec<Self> {
        let (first, last, at) = (number(self.first), number(self.last), number(hole));
        let version = version(hole);
        if version != self::version(self.first) || !(first..=last).contains(&at) {
            return vec![self];
        }
        let mut pools = Vec::new();
        if first < at {
            pools.push(Self {
                first: self.first,
                last: address(at - 1, version),
            });
        }
        if at < last {
            pools.push(Self {
                first: address(at + 1, version),
                last: self.last,
            });
        }
        pools
    }
}

/// The address so many places after another; none beyond the last one there is.
pub(crate) fn after(start: IpAddr, places: u32) -> Option<IpAddr> {
    let version = version(start);
    let number = number(start).checked_add(u128::from(places))?;
    let fits = match version {
        Version::Four => number <= u128::from(u32::MAX),
        Version::Six => true,
    };
    fits.then(|| address(number, version))
}

/// The version of an address.
pub(crate) const fn version(address: IpAddr) -> Version {
    match address {
        IpAddr::V4(_) => Version::Four,
        IpAddr::V6(_) => Version::Six,
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(four) => u128::from(u32::from(four)),
        IpAddr::V6(six) => u128::from(six),
    }
}

fn address(number: u128, version: Version) -> IpAddr {
    match version {
        // The numbers of this version all fit.
        Version::Four => IpAddr::V4(Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX))),
        Version::Six => IpAddr::V6(Ipv6Addr::from(number)),
    }
}

/// How many addresses a network has. Half of them for `::/0`: all of them are one more than a number holds.
fn size(prefix: u8, version: Version) -> u128 {
    let bits = u32::from(version.bits().saturating_sub(prefix));
    1_u128.checked_shl(bits).unwrap_or(1 << 127)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["", "10.0.0.0", "10.0.0.0/33", "10.0.0/24", "fd00::/129", "a/8"] {
            assert!(text.parse::<Cidr>().is_err(), "{text}");
        }
        assert_eq!(cidr("10.0.0.5/24").to_string(), "10.0.0.0/24");
        assert_eq!(cidr("fd00:0:0:1::7/64").to_string(), "fd00:0:0:1::/64");
    }

    #[test]
    fn hosts_leave_out_network_and_broadcast() {
        assert_eq!(cidr("10.0.0.0/24").hosts(), (ip("10.0.0.1"), ip("10.0.0.254")));
        assert_eq!(cidr("10.0.0.0/31").hosts(), (ip("10.0.0.0"), ip("10.0.0.1")));
        assert_eq!(
            cidr("fd00::/64").hosts(),
            (ip("fd00::1"), ip("fd00::ffff:ffff:ffff:ffff"))
        );
    }

    #[test]
    fn overlaps_are_seen_in_both_directions() {
        assert!(cidr("10.0.0.0/8").overlaps(&cidr("10.9.0.0/24")));
        assert!(cidr("10.9.0.0/24").overlaps(&cidr("10.0.0.0/8")));
        assert!(!cidr("10.0.0.0/24").overlaps(&cidr("10.0.1.0/24")));
        assert!(!cidr("0.0.0.0/0").overlaps(&cidr("fd00::/64")));
        assert!(cidr("0.0.0.0/0").holds(ip("255.255.255.255")));
    }

    #[test]
    fn parts_go_round_from_any_start() {
        let parts: Vec<String> = cidr("10.0.0.0/22").parts(24, 3).map(|part| part.to_string()).collect();
        assert_eq!(parts, ["10.0.3.0/24", "10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24"]);
        assert_eq!(cidr("10.0.0.0/25").parts(24, 9).count(), 1);
    }

    #[test]
    fn a_hole_parts_a_pool() {
        let pool = Pool {
            first: ip("10.0.0.1"),
            last: ip("10.0.0.9"),
        };
        let shown = |hole: &str| {
            let pools = pool.without(ip(hole)).into_iter();
            pools
                .map(|pool| format!("{}-{}", pool.first, pool.last))
                .collect::<Vec<_>>()
        };
        assert_eq!(shown("10.0.0.1"), ["10.0.0.2-10.0.0.9"]);
        assert_eq!(shown("10.0.0.4"), ["10.0.0.1-10.0.0.3", "10.0.0.5-10.0.0.9"]);
        assert_eq!(shown("10.0.0.30"), ["10.0.0.1-10.0.0.9"]);
        assert_eq!(shown("fd00::4"), ["10.0.0.1-10.0.0.9"]);
    }

    #[test]
    fn addresses_are_counted_up_to_the_last() {
        assert_eq!(after(ip("10.0.0.10"), 9), Some(ip("10.0.0.19")));
        assert_eq!(after(ip("255.255.255.255"), 1), None);
    }
}
