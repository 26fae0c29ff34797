//! Requests and replies (RFC 9110, RFC 9112).

use std::time::{SystemTime, UNIX_EPOCH};

use super::log::Exchange;
use crate::content::{Blob, Stored};

/// The head of a request, if all of it is there, and its length in bytes.
pub(super) fn parse_head(bytes: &[u8], connection: usize, port: u16) -> Result<Option<(Exchange, usize)>, ()> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut fields);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(()),
    };
    let headers = request.headers.iter();
    let headers = headers.map(|field| (field.name.to_owned(), String::from_utf8_lossy(field.value).into_owned()));
    let exchange = Exchange {
        connection,
        port,
        method: request.method.expect("a complete head has a method").to_owned(),
        target: request.path.expect("a complete head has a target").to_owned(),
        headers: headers.collect(),
        body: Vec::new(),
        status: None,
        bytes_sent: 0,
    };
    Ok(Some((exchange, length)))
}

/// A reply before faults are applied to it.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) blob: Blob,
    /// The part of the blob that is the body, in bytes from its start.
    pub(super) start: u64,
    pub(super) end: u64,
    /// Bytes after that part.
    pub(super) extra: Vec<u8>,
}

impl Reply {
    pub(super) fn new(status: u16, media_type: &str, body: impl Into<Blob>) -> Self {
        let blob = body.into();
        let headers = vec![("Content-Type".to_owned(), media_type.to_owned())];
        Self { status, headers, start: 0, end: blob.size(), blob, extra: Vec::new() }
    }

    pub(super) fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    /// Makes an error as distribution-spec 1.1 writes them.
    pub(super) fn error(status: u16, code: &str, message: &str) -> Self {
        let error = serde_json::json!({ "code": code, "message": message, "detail": null });
        Self::json(status, &serde_json::json!({ "errors": [error] }))
    }

    pub(super) fn stored(stored: &Stored) -> Self {
        Self::new(200, &stored.media_type, stored.bytes.clone())
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn length(&self) -> u64 {
        self.end - self.start + self.extra.len() as u64
    }

    /// Narrows the reply to what a `Range` field asks for; more ranges than one are ignored.
    pub(super) fn range(mut self, range: &str) -> Self {
        let size = self.blob.size();
        let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
            return self;
        };
        let (start, end) = match (first.parse::<u64>(), last.parse::<u64>()) {
            (Ok(start), Ok(last)) if last >= start => (start, last.saturating_add(1).min(size)),
            (Ok(start), Err(_)) if last.is_empty() => (start, size),
            (Err(_), Ok(suffix)) if first.is_empty() => (size.saturating_sub(suffix), size),
            (Ok(_) | Err(_), Ok(_) | Err(_)) => return self,
        };
        if start >= size {
            return Self::error(416, "UNSUPPORTED", "range not satisfiable")
                .header("Content-Range", &format!("bytes */{size}"));
        }
        self.status = 206;
        (self.start, self.end) = (start, end);
        self.header("Content-Range", &format!("bytes {start}-{}/{size}", end - 1))
    }
}

/// Returns the phrase of a status line.
pub(super) fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        416 => "Range Not Satisfiable",
        425 => "Too Early",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Other",
    }
}

/// Parses `application/x-www-form-urlencoded`, as queries and forms are.
pub(super) fn parse_form(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match (byte, escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(value)) => {
                bytes.push(value);
                rest = &after[2..];
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = after;
            }
            (_, _) => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Encodes a query's value.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// Writes a time as HTTP does (RFC 9110, section 5.6.7).
#[must_use]
pub fn http_date(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][usize::try_from(days % 7).expect("below seven")];
    let (mut year, mut day) = (1970, days);
    while day >= days_in(year) {
        day -= days_in(year);
        year += 1;
    }
    let february = if days_in(year) == 366 { 29 } else { 28 };
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut month = 0;
    while day >= lengths[month] {
        day -= lengths[month];
        month += 1;
    }
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{weekday}, {:02} {} {year} {hour:02}:{minute:02}:{second:02} GMT", day + 1, names[month])
}

fn days_in(year: u64) -> u64 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    if leap { 366 } else { 365 }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates_are_written_as_http_does() {
        for (seconds, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
        ] {
            assert_eq!(http_date(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn forms_are_decoded_and_encoded() {
        let parsed = parse_form("scope=repository%3Aa%2Fb%3Apull&n=&x+y=1%2");
        let pairs: Vec<_> = parsed.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("scope", "repository:a/b:pull"), ("n", ""), ("x y", "1%2")]);
        assert_eq!(decode(&encode("a b/ü:%")), "a b/ü:%");
    }

    #[test]
    fn ranges_narrow_the_body() {
        for (range, status, start, end) in [
            ("bytes=0-3", 206, 0, 4),
            ("bytes=4-", 206, 4, 10),
            ("bytes=-3", 206, 7, 10),
            ("bytes=-99", 206, 0, 10),
            ("bytes=8-99", 206, 8, 10),
            ("bytes=5-4", 200, 0, 10),
            ("bytes=0-1,3-4", 200, 0, 10),
            ("lines=0-1", 200, 0, 10),
        ] {
            let reply = Reply::new(200, "a/b", "0123456789").range(range);
            assert_eq!((reply.status, reply.start, reply.end), (status, start, end), "{range}");
        }
        assert_eq!(Reply::new(200, "a/b", "0123456789").range("bytes=10-").status, 416);
    }
}
