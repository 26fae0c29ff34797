//! Addresses: normalised once and for all, and joined as they read.

use oci_fetcher_core::url::{Reach, Url};

use super::error;

/// Reads the first line as an address, and joins each other line to it.
pub(super) fn target(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n');
    let base = lines.next().unwrap_or_default();
    let fallback = Url::parse("https://registry.example/v2/a/blobs/x?y=z").expect("an address");
    let base = Url::parse(base).inspect(check).unwrap_or(fallback);
    for line in lines {
        let Ok(joined) = base.join(line).inspect_err(|error| error::check(error)) else { continue };
        check(&joined);
        let authority = line.contains("//") || line.contains(':');
        assert!(authority || joined.origin() == base.origin(), "{line:?} leads to {}", joined.origin());
    }
}

fn check(url: &Url) {
    let text = url.as_str();
    assert_eq!(Url::parse(text).expect("what was written reads"), *url, "normalised twice");
    assert!(text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.contains(['\\', '#']), "{text:?}");
    assert!(url.path().starts_with('/'), "{text:?}");
    assert!(!url.path().split('/').any(|segment| matches!(segment, "." | "..")), "{text:?}");
    let host = url.host();
    assert!(!host.is_empty() && host == host.to_ascii_lowercase() && !host.contains('@'), "{text:?}");
    let origin = url.origin();
    assert_eq!(Url::parse(&origin.to_string()).expect("an origin is an address").origin(), origin);
    assert!(!url.is_loopback() || !url.reach().may_be_named_by(Reach::Public, url.scheme()), "{text:?}");
    assert_eq!(format!("{url}"), url.redacted());
    if text.len() > 16_000 {
        return;
    }
    let query = url.with_query(&[("a b", "c&d=é")]);
    assert_eq!(Url::parse(query.as_str()).expect("an address"), query, "a query that reads otherwise");
    assert_eq!(query.origin(), origin, "a query that changes the origin");
}
