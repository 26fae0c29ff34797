//! Hosts and ports, as URLs and references name them (RFC 3986 section 3.2, RFC 1123).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::UrlProblem;

/// `host [":" port]`, normalised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authority {
    /// A lower-case name, a dotted quad, or an IPv6 address in brackets.
    pub(crate) host: String,
    /// Never 0; `None` too where a colon has nothing behind it.
    pub(crate) port: Option<u16>,
}

impl Authority {
    pub(crate) fn parse(text: &str) -> Result<Self, UrlProblem> {
        let (host, port) = if text.starts_with('[') {
            let (address, rest) = text.split_once(']').ok_or(UrlProblem::Host)?;
            let address: Ipv6Addr = address[1..].parse().map_err(|_| UrlProblem::Host)?;
            let port = match rest.strip_prefix(':') {
                None if !rest.is_empty() => return Err(UrlProblem::Host),
                port => port,
            };
            (format!("[{address}]"), port)
        } else {
            let (host, port) = match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            };
            (name(host)?, port)
        };
        let port = match port {
            None | Some("") => None,
            Some(port) => Some(parse_port(port).ok_or(UrlProblem::Port)?),
        };
        Ok(Self { host, port })
    }
}

fn parse_port(text: &str) -> Option<u16> {
    // Rust's own parser takes a leading plus.
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?.filter(|&port| port != 0)
}

fn name(host: &str) -> Result<String, UrlProblem> {
    if host.is_empty() {
        return Err(UrlProblem::NoHost);
    }
    let host = host.to_ascii_lowercase();
    let well_formed = host.len() <= MAX_NAME
        && host.split('.').all(|label| {
            (1..=MAX_LABEL).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                // The underscore is in no host name of RFC 1123, but in use all the same.
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        });
    if !well_formed {
        return Err(UrlProblem::Host);
    }
    // Resolvers read a host whose last label is a number as an address, in any of C's spellings.
    let last = host.rsplit('.').next().unwrap_or_default();
    let numeric = last.bytes().all(|byte| byte.is_ascii_digit())
        || last.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if numeric && host.parse::<Ipv4Addr>().is_err() {
        return Err(UrlProblem::NumericHost);
    }
    Ok(host)
}

/// Longest name and label of the domain name system (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// Returns the address that a normalised host spells out.
pub(super) fn address(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[') {
        Some(bracketed) => bracketed.strip_suffix(']')?.parse().ok().map(IpAddr::V6),
        None => host.parse().ok().map(IpAddr::V4),
    }
}

/// RFC 6761 section 6.3 reserves every name below `localhost`.
pub(super) fn is_localhost(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost")
}

pub(super) fn is_loopback(host: &str) -> bool {
    is_localhost(host) || address(host).is_some_and(|address| address.is_loopback())
}
