//! `Content-Range` (RFC 9110 section 14.4).

use std::str::FromStr;

use super::Headers;
use crate::error::{Class, Explain};
use crate::sanitise::{EXCERPT_CHARS, sanitise};

/// Which bytes of a whole a response holds.
///
/// ```
/// use oci_fetcher_core::request::ContentRange;
///
/// let range: ContentRange = "bytes 42-1233/1234".parse()?;
/// assert_eq!(range, ContentRange::Part { first: 42, last: 1233, complete: Some(1234) });
/// # Ok::<(), oci_fetcher_core::request::ContentRangeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentRange {
    /// The bytes from `first` to `last`, both included; `first <= last < complete`.
    Part {
        /// Offset of the first byte.
        first: u64,
        /// Offset of the last byte.
        last: u64,
        /// Size of the whole, where the server knows it.
        complete: Option<u64>,
    },
    /// Nothing, for the range that was asked lies outside (status 416).
    Unsatisfied {
        /// Size of the whole.
        complete: u64,
    },
}

impl ContentRange {
    /// Reads a response's field; a response without it holds the whole.
    ///
    /// # Errors
    /// [`ContentRangeError`] if it is malformed or there are several.
    pub fn of(headers: &Headers) -> Result<Option<Self>, ContentRangeError> {
        let mut values = headers.all("content-range");
        let Some(value) = values.next() else { return Ok(None) };
        match values.next() {
            None => value.parse().map(Some),
            Some(second) => Err(ContentRangeError::new(&format!("{value}, {second}"))),
        }
    }
}

impl FromStr for ContentRange {
    type Err = ContentRangeError;

    fn from_str(text: &str) -> Result<Self, ContentRangeError> {
        parse(text).ok_or_else(|| ContentRangeError::new(text))
    }
}

fn parse(text: &str) -> Option<ContentRange> {
    let (unit, range) = text.trim().split_once(' ')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (range, complete) = range.split_once('/')?;
    let complete = match complete {
        "*" => None,
        complete => Some(number(complete)?),
    };
    if range == "*" {
        return complete.map(|complete| ContentRange::Unsatisfied { complete });
    }
    let (first, last) = range.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    let consistent = first <= last && complete.is_none_or(|complete| last < complete);
    consistent.then_some(ContentRange::Part { first, last, complete })
}

fn number(digits: &str) -> Option<u64> {
    // Rust's own parser takes a leading plus.
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// A `Content-Range` that says nothing consistent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed Content-Range \"{value}\"")]
pub struct ContentRangeError {
    value: String,
}

impl ContentRangeError {
    fn new(value: &str) -> Self {
        Self { value: sanitise(value, EXCERPT_CHARS) }
    }
}

impl Explain for ContentRangeError {
    fn class(&self) -> Class {
        Class::Network
    }

    fn code(&self) -> &'static str {
        "malformed-content-range"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_only_what_is_consistent() {
        let part = |first, last, complete| Some(ContentRange::Part { first, last, complete });
        for (text, range) in [
            ("bytes 0-0/1", part(0, 0, Some(1))),
            ("Bytes 5-9/*", part(5, 9, None)),
            ("bytes 0-18446744073709551614/18446744073709551615", part(0, u64::MAX - 1, Some(u64::MAX))),
            ("bytes */47022", Some(ContentRange::Unsatisfied { complete: 47_022 })),
            ("bytes */*", None),
            ("bytes 0-9/5", None),
            ("bytes 5-9/9", None),
            ("bytes 9-5/10", None),
            ("bytes 0-18446744073709551616/*", None),
            ("bytes -5/10", None),
            ("bytes 5-/10", None),
            ("bytes +5-9/10", None),
            ("bytes 5-9", None),
            ("bytes 5 - 9/10", None),
            ("bytes=5-9/10", None),
            ("bytes", None),
            ("items 0-1/2", None),
            ("bytes 0-1/2, bytes 0-1/2", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<ContentRange>().ok(), range, "{text:?}");
        }
    }

    #[test]
    fn tells_none_from_one_from_two() {
        let one = Headers::from_iter([("Content-Range", "bytes */7")]);
        let two = Headers::from_iter([("content-range", "bytes */7"), ("content-range", "bytes */7")]);
        assert_eq!(ContentRange::of(&Headers::new()), Ok(None));
        assert_eq!(ContentRange::of(&one), Ok(Some(ContentRange::Unsatisfied { complete: 7 })));
        assert!(ContentRange::of(&two).is_err());
    }
}
