//! `Content-Range`: what is accepted is consistent.

use oci_fetcher_core::request::{ContentRange, Headers};

use super::error;

/// Reads the bytes as a `Content-Range`.
pub(super) fn target(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(range) = text.parse::<ContentRange>().inspect_err(|error| error::check(error)) else { return };
    let written = match range {
        ContentRange::Part { first, last, complete } => {
            assert!(first <= last && complete.is_none_or(|complete| last < complete), "{range:?}");
            format!("bytes {first}-{last}/{}", complete.map_or("*".to_owned(), |complete| complete.to_string()))
        }
        ContentRange::Unsatisfied { complete } => format!("bytes */{complete}"),
    };
    assert_eq!(written.parse(), Ok(range), "written and read again");
    assert_eq!(ContentRange::of(&Headers::from_iter([("content-range", &text)])), Ok(Some(range)), "as a field");
}
