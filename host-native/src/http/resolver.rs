//! Looks names up, and lets only those addresses through that may be connected to.

use std::error::Error as StdError;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use oci_fetcher_core::pull::FailureKind;
use oci_fetcher_core::url::{Bounds, Url};

/// The system's resolver, within bounds.
///
/// What it returns is what is connected to: a name is not looked up twice, so that it cannot turn out
/// to be something else after it was checked.
pub(super) struct Resolver {
    bounds: Bounds,
    proxies: Arc<[String]>,
}

impl Resolver {
    /// Makes one within `bounds`, which the proxies of the environment need not keep.
    pub(super) fn new(bounds: Bounds, proxies: &Arc<[String]>) -> Self {
        Self { bounds, proxies: Arc::clone(proxies) }
    }
}

impl reqwest::dns::Resolve for Resolver {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let is_proxy = self.proxies.iter().any(|proxy| proxy.eq_ignore_ascii_case(name.as_str()));
        let bounds = if is_proxy { Bounds::Unbounded } else { self.bounds };
        Box::pin(async move {
            let found = look_up(name.as_str(), bounds).await;
            found.map_err(|error| Box::new(error) as Box<dyn StdError + Send + Sync>)
        })
    }
}

async fn look_up(name: &str, bounds: Bounds) -> Result<reqwest::dns::Addrs, Unresolved> {
    let found = tokio::net::lookup_host((name, 0)).await;
    let found: Vec<SocketAddr> = found.map_err(|error| Unresolved::Unknown(error.to_string()))?.collect();
    let admitted: Vec<SocketAddr> = found.iter().filter(|address| bounds.admit(address.ip())).copied().collect();
    match (admitted.is_empty(), found.first()) {
        (true, Some(refused)) => Err(Unresolved::Refused { name: name.to_owned(), address: refused.ip() }),
        (true, None) | (false, _) => Ok(Box::new(admitted.into_iter())),
    }
}

/// A name without an address to connect to.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unresolved {
    #[error("{0}")]
    Unknown(String),
    #[error("{name} is {address}, where only a registry next to it may lead")]
    Refused { name: String, address: IpAddr },
}

impl Unresolved {
    /// Returns what it means to the core.
    pub(super) fn kind(&self) -> FailureKind {
        match self {
            Self::Unknown(_) => FailureKind::UnknownHost,
            Self::Refused { .. } => FailureKind::Forbidden,
        }
    }
}

/// Returns the hosts of the proxies that the environment names: the user's choice, which mostly are in
/// a private network or on this machine.
pub(super) fn proxies() -> Arc<[String]> {
    let upper = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];
    let names = upper.iter().flat_map(|name| [(*name).to_owned(), name.to_ascii_lowercase()]);
    names.filter_map(|name| host_of(&std::env::var(name).ok()?)).collect()
}

/// Returns the host of a proxy's address, which may lack a scheme and hold a password.
fn host_of(proxy: &str) -> Option<String> {
    let rest = proxy.split_once("://").map_or(proxy, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    Url::parse(&format!("http://{host}/")).ok().map(|url| url.host().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_is_as_good_as_its_addresses() {
        let refused = look_up("localhost", Bounds::Networks).await.err().expect("loopback is refused");
        assert_eq!(refused.kind(), FailureKind::Forbidden, "{refused}");
        let admitted = look_up("localhost", Bounds::Unbounded).await.unwrap_or_else(|error| panic!("{error}"));
        assert!(admitted.count() > 0);
    }

    #[test]
    fn the_host_of_a_proxy_is_found_in_every_form() {
        for (proxy, host) in [
            ("http://proxy.example:3128", Some("proxy.example")),
            ("http://user:p@ss@Proxy.example:3128/", Some("proxy.example")),
            ("proxy.example", Some("proxy.example")),
            ("socks5h://proxy.example:1080", Some("proxy.example")),
            ("http://127.0.0.1:3128", Some("127.0.0.1")),
            ("", None),
        ] {
            assert_eq!(host_of(proxy).as_deref(), host, "{proxy}");
        }
    }
}
