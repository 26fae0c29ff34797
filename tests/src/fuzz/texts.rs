//! Texts of registries that people see, and times that they ask for.

use oci_fetcher_core::request::{Headers, retry_after, warnings};
use oci_fetcher_core::sanitise::{EXCERPT_CHARS, sanitise};

/// Takes the first line for a `Retry-After`, the second for a `Date`, and all others for warnings.
pub(super) fn target(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let shown = sanitise(&text, EXCERPT_CHARS);
    assert!(is_harmless(&shown), "{shown:?}");
    assert!(shown.len() <= EXCERPT_CHARS * 10 + 3, "{} bytes", shown.len());
    let mut lines = text.split('\n');
    let mut headers = Headers::new();
    for (name, line) in ["retry-after", "date"].into_iter().zip(&mut lines) {
        headers.append(name, line);
    }
    let digits = headers.get("retry-after").is_some_and(|value| value.trim().bytes().all(|byte| byte.is_ascii_digit()));
    let _ = retry_after(&headers).inspect(|seconds| assert!(digits || *seconds < 1 << 40, "{seconds} seconds"));
    lines.for_each(|line| headers.append("warning", line));
    let warnings = warnings(&headers);
    assert!(warnings.len() <= 16, "{} warnings", warnings.len());
    for (index, warning) in warnings.iter().enumerate() {
        assert!(!warning.is_empty() && is_harmless(warning), "{warning:?}");
        assert!(!warnings[..index].contains(warning), "a warning twice");
    }
}

/// Tells whether text can neither steer a terminal nor reorder what it shows.
pub(super) fn is_harmless(text: &str) -> bool {
    !text.contains(|character: char| {
        character.is_control()
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    })
}
