//! How far an address reaches, against a registry that leads its clients into their own networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Scheme, host};

/// How far a host reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    /// This machine.
    Loopback,
    /// The local link, where clouds answer with a machine's own credentials.
    LinkLocal,
    /// A private network.
    Private,
    /// No destination that a registry can mean: unspecified (which systems connect to themselves),
    /// multicast, broadcast, reserved.
    Special,
    /// Anywhere else.
    Public,
    /// A name, which only the host can resolve.
    Name,
}

impl Reach {
    /// Classifies an address, for example after a name has been resolved; the result is never
    /// [`Name`](Self::Name). An IPv4 address inside an IPv6 address (mapped, compatible, 6to4, NAT64)
    /// counts for itself.
    ///
    /// ```
    /// use oci_fetcher_core::url::Reach;
    ///
    /// let metadata = "::ffff:169.254.169.254".parse().expect("an address");
    /// assert_eq!(Reach::of_address(metadata), Reach::LinkLocal);
    /// ```
    #[must_use]
    pub const fn of_address(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }

    /// Tells whether a registry of reach `registry` may lead its client to a target of this reach, by
    /// a redirect, a realm, a link or a foreign layer's address.
    ///
    /// Nothing but a registry on loopback leads to loopback or the local link. A private target is
    /// fine over https, where its certificate vouches for the name, and from a registry that is itself
    /// private, or a name: plain http means that its user trusts the network it is in.
    #[must_use]
    pub const fn may_be_named_by(self, registry: Self, scheme: Scheme) -> bool {
        match self {
            Self::Public | Self::Name => true,
            Self::Private => match scheme {
                Scheme::Https => true,
                Scheme::Http => !matches!(registry, Self::Public),
            },
            Self::Loopback | Self::LinkLocal | Self::Special => matches!(registry, Self::Loopback),
        }
    }

    /// Classifies a normalised host.
    pub(super) fn of_host(text: &str) -> Self {
        match host::address(text) {
            Some(address) => Self::of_address(address),
            None if host::is_localhost(text) => Self::Loopback,
            None => Self::Name,
        }
    }
}

const fn of_v4(address: Ipv4Addr) -> Reach {
    match address.octets() {
        [127, ..] => Reach::Loopback,
        // The second and third are the metadata services of Alibaba Cloud and Oracle Cloud.
        [169, 254, ..] | [100, 100, 100, 200] | [192, 0, 0, 192] => Reach::LinkLocal,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] | [198, 18..=19, ..] => Reach::Private,
        [0 | 224..=255, ..] | [192, 0, 0, _] => Reach::Special,
        _ => Reach::Public,
    }
}

const fn of_v6(address: Ipv6Addr) -> Reach {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Loopback,
        [0, 0, 0, 0, 0, 0, 0, 0] => Reach::Special,
        // IPv4-mapped, IPv4-compatible, IPv4-translated (RFC 6052) and its well-known NAT64 prefix.
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        // 6to4.
        | [0x2002, high, low, ..] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            of_v4(Ipv4Addr::new(a, b, c, d))
        }
        // The last is the metadata service of Amazon's cloud.
        [0xfe80..=0xfebf, ..] | [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] => Reach::LinkLocal,
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] | [0x64, 0xff9b, 1, ..] => Reach::Private,
        // Teredo and multicast.
        [0x2001, 0, ..] | [0xff00..=0xffff, ..] => Reach::Special,
        _ => Reach::Public,
    }
}
