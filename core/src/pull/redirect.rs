//! Which redirects are followed.

use super::error::PullError;
use super::session::Session;
use crate::url::{AddressPolicy, Scheme, Url};

/// Redirects of one request at the most; registries need one, mirrors before them two.
pub(super) const MAX_HOPS: u32 = 5;

/// Returns the target of a redirect, if policy lets it be followed.
///
/// Never from https to http; to loopback or a link-local address only from a registry that is on
/// loopback itself; see [`Reach::may_be_named_by`](crate::url::Reach::may_be_named_by).
pub(super) fn follow(session: &Session, from: &Url, location: Option<&str>, hops: u32) -> Result<Url, PullError> {
    let protocol =
        |reason: &str| PullError::Protocol { request: from.redacted().to_owned(), reason: reason.to_owned() };
    if hops >= MAX_HOPS {
        return Err(protocol("too many redirects"));
    }
    let location = location.ok_or_else(|| protocol("a redirect without a Location"))?;
    let target =
        from.join(location).map_err(|error| protocol(&format!("a redirect to a malformed address ({error})")))?;
    check(session, from, &target).map_err(|reason| PullError::Redirect {
        request: from.redacted().to_owned(),
        target: target.redacted().to_owned(),
        reason,
    })?;
    Ok(target)
}

/// Checks a target that the registry names.
pub(super) fn check(session: &Session, from: &Url, target: &Url) -> Result<(), &'static str> {
    if from.scheme() == Scheme::Https && target.scheme() == Scheme::Http {
        return Err("https is never given up for http");
    }
    let may = target.reach().may_be_named_by(session.registry.reach(), target.scheme());
    if !may && session.addresses == AddressPolicy::Checked {
        return Err(OUT_OF_REACH);
    }
    Ok(())
}

/// Why a target that policy bounds is refused.
pub(super) const OUT_OF_REACH: &str = "an address that only a registry next to it may name";
