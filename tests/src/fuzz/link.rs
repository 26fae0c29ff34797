//! `Link`: pages stay on their origin and move on.

use oci_fetcher_core::request::{Headers, next_link};
use oci_fetcher_core::url::Url;

use super::error;

/// Takes each line for a field of a page.
pub(super) fn target(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let headers: Headers = text.split('\n').map(|line| ("link", line)).collect();
    for base in ["https://registry.example/v2/a/tags/list?n=1", "http://127.0.0.1:5000/v2/a/tags/list"] {
        let base = Url::parse(base).expect("an address");
        if let Ok(Some(next)) = next_link(&headers, &base).inspect_err(|error| error::check(error)) {
            assert_eq!(next.origin(), base.origin(), "another origin");
            assert_ne!(next, base, "the page itself");
            assert_eq!(Url::parse(next.as_str()).expect("an address"), next, "an address that reads otherwise");
        }
    }
}
