//! Token endpoints' answers: a token that is accepted fits a header and never shows.

use oci_fetcher_core::request::Headers;
use oci_fetcher_core::token::{Authorization, Grant};

/// Reads the bytes as a token endpoint's answer.
pub(super) fn target(data: &[u8]) {
    let Ok(grant) = Grant::parse(data).inspect_err(|error| super::error::check(error)) else { return };
    assert!(grant.expires_in >= 60, "a token of {} seconds", grant.expires_in);
    let mut headers = Headers::new();
    Authorization::bearer(&grant.token).apply(&mut headers);
    let value = headers.get("authorization").expect("it was set");
    let token = value.strip_prefix("Bearer ").expect("a bearer token");
    assert!(!token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()), "a token that no field holds");
    assert!(token.len() < 12 || !format!("{grant:?} {headers:?}").contains(token), "a token shows");
}
