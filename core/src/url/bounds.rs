//! What the names that a registry gives out may turn out to be.

use std::net::IpAddr;

use super::{Origin, Reach};

/// Whether a registry may lead its client to every address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressPolicy {
    /// Only to where [`Reach::may_be_named_by`] lets it.
    #[default]
    Checked,
    /// To all of them, this machine and the local link too. Credentials stay at home all the same, and
    /// https is never given up for http.
    Any,
}

/// The addresses that a request may be sent to, once its host's name has been looked up.
///
/// A registry that names `internal.example` in a redirect, a realm or a foreign layer's address decides
/// what that name resolves to. So the address counts, and the connection has to be made to an address
/// that was checked: looked up twice, a name may turn out to be two different things.
///
/// ```
/// use oci_fetcher_core::url::{AddressPolicy, Bounds, Url};
///
/// let registry = Url::parse("https://registry.example/")?.origin();
/// let target = Url::parse("https://cdn.example/blob")?.origin();
/// let bounds = Bounds::between(&registry, &target, AddressPolicy::Checked);
/// assert!(bounds.admit("203.0.113.7".parse().expect("an address")));
/// assert!(!bounds.admit("169.254.169.254".parse().expect("an address")));
/// # Ok::<(), oci_fetcher_core::url::UrlError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bounds {
    /// Public addresses alone.
    Public,
    /// Private networks too.
    Networks,
    /// Every address.
    Unbounded,
}

impl Bounds {
    /// Returns the bounds for a request to `target` that is made on behalf of `registry`.
    ///
    /// The registry's own host is the caller's choice, so that nothing bounds it.
    #[must_use]
    pub fn between(registry: &Origin, target: &Origin, policy: AddressPolicy) -> Self {
        let may = |reach: Reach| reach.may_be_named_by(registry.reach(), target.scheme());
        if policy == AddressPolicy::Any || target.host() == registry.host() || may(Reach::Loopback) {
            Self::Unbounded
        } else if may(Reach::Private) {
            Self::Networks
        } else {
            Self::Public
        }
    }

    /// Tells whether a connection may be made to this address.
    #[must_use]
    pub const fn admit(self, address: IpAddr) -> bool {
        match Reach::of_address(address) {
            Reach::Public => true,
            Reach::Private => matches!(self, Self::Networks | Self::Unbounded),
            Reach::Loopback | Reach::LinkLocal | Reach::Special | Reach::Name => matches!(self, Self::Unbounded),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Url;
    use super::*;

    fn between(registry: &str, target: &str, policy: AddressPolicy) -> Bounds {
        let origin = |text| Url::parse(text).expect("a URL").origin();
        Bounds::between(&origin(registry), &origin(target), policy)
    }

    #[test]
    fn a_registry_bounds_what_it_names_and_not_itself() {
        for (registry, target, bounds) in [
            ("https://registry.example/", "https://registry.example:5001/token", Bounds::Unbounded),
            ("https://registry.example/", "https://cdn.example/", Bounds::Networks),
            // By name, in plain http: the user trusts the network that the registry is in.
            ("http://registry.example/", "http://cdn.example/", Bounds::Networks),
            ("http://203.0.113.1/", "http://cdn.example/", Bounds::Public),
            ("http://203.0.113.1/", "https://cdn.example/", Bounds::Networks),
            ("http://10.0.0.1/", "http://cdn.example/", Bounds::Networks),
            ("http://127.0.0.1:5000/", "http://cdn.example/", Bounds::Unbounded),
            ("http://localhost:5000/", "http://cdn.example/", Bounds::Unbounded),
            // It only looks like this machine.
            ("https://127.0.0.1.evil.example/", "https://cdn.example/", Bounds::Networks),
        ] {
            assert_eq!(between(registry, target, AddressPolicy::Checked), bounds, "{registry} {target}");
            assert_eq!(between(registry, target, AddressPolicy::Any), Bounds::Unbounded);
        }
    }

    #[test]
    fn each_bound_admits_what_the_one_below_does_and_more() {
        for (address, least) in [
            ("203.0.113.1", Bounds::Public),
            ("2606:4700::1", Bounds::Public),
            ("10.1.2.3", Bounds::Networks),
            ("fd12::1", Bounds::Networks),
            ("::ffff:192.168.0.1", Bounds::Networks),
            ("127.0.0.1", Bounds::Unbounded),
            ("::1", Bounds::Unbounded),
            ("::ffff:127.0.0.1", Bounds::Unbounded),
            ("64:ff9b::7f00:1", Bounds::Unbounded),
            ("169.254.169.254", Bounds::Unbounded),
            ("fe80::1", Bounds::Unbounded),
            ("0.0.0.0", Bounds::Unbounded),
            ("255.255.255.255", Bounds::Unbounded),
        ] {
            for bounds in [Bounds::Public, Bounds::Networks, Bounds::Unbounded] {
                let admitted = bounds.admit(address.parse().expect("an address"));
                assert_eq!(admitted, bounds >= least, "{bounds:?} {address}");
            }
        }
    }
}
