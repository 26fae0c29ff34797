//! `Retry-After` (RFC 9110 section 10.2.3).

use super::Headers;
use super::date::parse_date;

/// Returns the seconds that a response asks to wait, `None` where it asks nothing intelligible.
///
/// A date is measured against the response's own `Date`, so that neither clock needs to be right; one
/// without the other says nothing. A date in the past is 0, a number beyond all bounds `u64::MAX`: a
/// caller caps what it is ready to wait.
///
/// ```
/// use oci_fetcher_core::request::{Headers, retry_after};
///
/// assert_eq!(retry_after(&Headers::from_iter([("retry-after", "120")])), Some(120));
/// ```
#[must_use]
pub fn retry_after(headers: &Headers) -> Option<u64> {
    let value = headers.get("retry-after")?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(value.parse().unwrap_or(u64::MAX));
    }
    let until = parse_date(value)?;
    let now = parse_date(headers.get("date")?.trim())?;
    Some(u64::try_from(until - now).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_both_forms() {
        const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
        for (value, date, seconds) in [
            ("0", None, Some(0)),
            (" 120 ", None, Some(120)),
            ("18446744073709551616", None, Some(u64::MAX)),
            ("Sun, 06 Nov 1994 08:51:37 GMT", Some(DATE), Some(120)),
            ("Sun Nov  6 08:49:38 1994", Some(DATE), Some(1)),
            ("Sun, 06 Nov 1994 08:49:36 GMT", Some(DATE), Some(0)),
            ("Sun, 06 Nov 1994 08:51:37 GMT", None, None),
            ("Sun, 06 Nov 1994 08:51:37 GMT", Some("yesterday"), None),
            ("", None, None),
            ("-1", None, None),
            ("+1", None, None),
            ("1.5", None, None),
            ("soon", Some(DATE), None),
        ] {
            let fields = [("Retry-After", value)].into_iter().chain(date.map(|date| ("Date", date)));
            let headers: Headers = fields.collect();
            assert_eq!(retry_after(&headers), seconds, "{value:?} at {date:?}");
        }
        assert_eq!(retry_after(&Headers::new()), None);
    }
}
