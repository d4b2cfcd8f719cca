//! Which addresses nobody dials, whatever was granted or set: one list for connectors and for key injection.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address that is really reached: IPv4 inside of IPv6 (mapped, NAT64, 6to4) would slip through every range otherwise.
#[must_use]
pub fn plain_form(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address.to_canonical() else {
        return address.to_canonical();
    };
    match six.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] | [0, 0, 0, 0, 0, 0, high, low]
            if high != 0 =>
        {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        _ => IpAddr::V6(six),
    }
}

/// Addresses, in their plain form, that no grant opens: they reach the machine's own cloud, everybody, or nobody.
#[must_use]
pub fn is_never_dialled(address: IpAddr) -> bool {
    /// Metadata service of AWS over IPv6.
    const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    /// Metadata services of Alibaba Cloud, Azure and Oracle Cloud; the others' are link-local.
    const METADATA_V4: [Ipv4Addr; 3] = [
        Ipv4Addr::new(100, 100, 100, 200),
        Ipv4Addr::new(168, 63, 129, 16),
        Ipv4Addr::new(192, 0, 0, 192),
    ];
    match address {
        IpAddr::V4(four) => {
            four.octets()[0] == 0
                || four.is_link_local()
                || four.is_multicast()
                || four.is_broadcast()
                || METADATA_V4.contains(&four)
        }
        IpAddr::V6(six) => {
            six.is_unspecified() || six.is_multicast() || six.is_unicast_link_local() || six == METADATA_V6
        }
    }
}
