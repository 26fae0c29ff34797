//! URLs of the schemes http and https (RFC 3986, RFC 9110 section 4.2).
//!
//! What is checked here must be what is sent, so text is brought to the one spelling that clients
//! after the WHATWG URL standard (`fetch`, reqwest) would make of it. Deviations from RFC 3986, all
//! towards less:
//!
//! - User information is refused: it is a secret in the wrong place, or it disguises the host.
//! - Hosts are ASCII names, dotted quads or bracketed IPv6 addresses. Other spellings of addresses
//!   (`2130706433`, `0x7f.1`, `127.1`, `0177.0.0.1`), percent-encoded hosts and non-ASCII hosts are
//!   refused, for two parsers may disagree about where they lead. So are a trailing dot and an IPv6
//!   zone.
//! - White space, control characters and backslashes are refused everywhere.
//! - A fragment is dropped, since it is never sent.
//! - In paths and queries, characters outside the grammar are percent-encoded and a malformed `%` is
//!   kept, as signed URLs need it.

mod bounds;
mod error;
pub(crate) mod host;
mod reach;

use std::fmt;
use std::str::FromStr;

pub use bounds::{AddressPolicy, Bounds};
pub use error::{UrlError, UrlProblem};
use host::Authority;
pub use reach::Reach;

/// The two schemes that registries are spoken to in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// Plain, port 80.
    Http,
    /// Over TLS, port 443.
    Https,
}

impl Scheme {
    /// Returns the scheme's name, lower case, without a colon.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// Returns the port that a URL without one means.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An absolute URL, normalised: scheme and host in lower case, no default port, no dot segments, no
/// fragment, ASCII only.
///
/// A query may hold the secrets of a presigned URL, so `Display` and `Debug` leave it out;
/// [`as_str`](Self::as_str) is the whole.
///
/// ```
/// use oci_fetcher_core::url::Url;
///
/// let blob = Url::parse("HTTPS://Registry.example:443/v2/a/./blobs/sha256:ab")?;
/// assert_eq!(blob.as_str(), "https://registry.example/v2/a/blobs/sha256:ab");
///
/// let elsewhere = blob.join("//cdn.example/ab?signature=secret")?;
/// assert_eq!(elsewhere.origin().to_string(), "https://cdn.example");
/// assert_eq!(elsewhere.to_string(), "https://cdn.example/ab");
/// # Ok::<(), oci_fetcher_core::url::UrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Url {
    text: Box<str>,
    scheme: Scheme,
    port: u16,
    host_end: usize,
    path_start: usize,
    query_start: usize,
}

impl Url {
    /// Parses an absolute URL.
    ///
    /// # Errors
    /// [`UrlError`] for everything that the module's documentation refuses, for other schemes, and for
    /// more than 16 KiB.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        Self::normalise(text).map_err(|problem| UrlError::new(text, problem))
    }

    /// Resolves a reference, such as a `Location`, against this URL (RFC 3986 section 5.2).
    ///
    /// # Errors
    /// As for [`parse`](Self::parse).
    pub fn join(&self, location: &str) -> Result<Self, UrlError> {
        let location = location.split('#').next().unwrap_or_default();
        let path = &self.text[self.path_start..self.query_start];
        let absolute = if has_scheme(location) {
            location.to_owned()
        } else if location.starts_with("//") {
            format!("{}:{location}", self.scheme)
        } else if location.is_empty() {
            self.text.to_string()
        } else {
            let base = match location.as_bytes()[0] {
                b'/' => self.path_start,
                b'?' => self.query_start,
                _ => self.path_start + path.rfind('/').map_or(0, |slash| slash + 1),
            };
            format!("{}{location}", &self.text[..base])
        };
        Self::parse(&absolute)
    }

    /// Returns this URL with pairs appended to its query, percent-encoded.
    #[must_use]
    pub fn with_query(&self, pairs: &[(&str, &str)]) -> Self {
        if pairs.is_empty() {
            return self.clone();
        }
        let mut text = self.text.to_string();
        text.push(match self.query() {
            None => '?',
            Some(_) => '&',
        });
        text.push_str(&encode_pairs(pairs));
        Self { text: text.into(), ..*self }
    }

    /// Returns the scheme.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Returns the host, lower case; an IPv6 address is in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.text[self.host_start()..self.host_end]
    }

    /// Returns the port, which is the scheme's own where the URL has none.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns what decides where credentials may go: scheme, host and port.
    #[must_use]
    pub fn origin(&self) -> Origin {
        Origin { scheme: self.scheme, host: self.host().into(), port: self.port }
    }

    /// Returns the path, which starts with `/`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.text[self.path_start..self.query_start]
    }

    /// Returns the query without its question mark.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.text.get(self.query_start + 1..)
    }

    /// Returns what stands in a request's first line.
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        &self.text[self.path_start..]
    }

    /// Returns the whole, query included.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the URL without its query, fit for logs and errors.
    #[must_use]
    pub fn redacted(&self) -> &str {
        &self.text[..self.query_start]
    }

    /// Classifies the host as far as its text tells.
    #[must_use]
    pub fn reach(&self) -> Reach {
        Reach::of_host(self.host())
    }

    /// Tells whether the host can only be this machine: see [`Origin::is_loopback`].
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        host::is_loopback(self.host())
    }

    fn normalise(text: &str) -> Result<Self, UrlProblem> {
        if text.len() > MAX_LEN {
            return Err(UrlProblem::TooLong);
        }
        if text.chars().any(|character| character.is_control() || character.is_whitespace() || character == '\\') {
            return Err(UrlProblem::Character);
        }
        let text = text.split('#').next().unwrap_or_default();
        let (scheme, rest) = text.split_once("://").ok_or(UrlProblem::NotAbsolute)?;
        let scheme = [Scheme::Http, Scheme::Https]
            .into_iter()
            .find(|known| known.name().eq_ignore_ascii_case(scheme))
            .ok_or(UrlProblem::Scheme)?;
        let (authority, path_and_query) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (path, query) = match path_and_query.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path_and_query, None),
        };
        if authority.contains('@') {
            return Err(UrlProblem::UserInformation);
        }
        let Authority { host, port } = Authority::parse(authority)?;

        let mut text = format!("{scheme}://{host}");
        let host_end = text.len();
        if let Some(port) = port.filter(|&port| port != scheme.default_port()) {
            text.push_str(&format!(":{port}"));
        }
        let path_start = text.len();
        append_path(&mut text, path);
        let query_start = text.len();
        if let Some(query) = query {
            text.push('?');
            append_escaped(&mut text, query, b"\"'<>");
        }
        let port = port.unwrap_or(scheme.default_port());
        Ok(Self { text: text.into(), scheme, port, host_end, path_start, query_start })
    }

    const fn host_start(&self) -> usize {
        self.scheme.name().len() + "://".len()
    }
}

/// Presigned URLs with session tokens take some kilobytes; header sections end at 8 to 32 KiB.
const MAX_LEN: usize = 16 << 10;

fn has_scheme(location: &str) -> bool {
    let first = location.split(['/', '?']).next().unwrap_or_default();
    first.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
    })
}

/// Appends a path without its dot segments (RFC 3986 section 5.2.4, in one pass).
fn append_path(text: &mut String, path: &str) {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = segments.next() {
        // Encoded dots count as dots to the clients that send the URL.
        match segment.to_ascii_lowercase().replace("%2e", ".").as_str() {
            "." => {}
            ".." => {
                kept.pop();
            }
            _ => {
                kept.push(segment);
                continue;
            }
        }
        if segments.peek().is_none() {
            kept.push("");
        }
    }
    for segment in kept {
        text.push('/');
        append_escaped(text, segment, b"\"<>^`{}");
    }
}

fn append_escaped(text: &mut String, part: &str, escaped: &[u8]) {
    for byte in part.bytes() {
        if byte.is_ascii() && !escaped.contains(&byte) {
            text.push(char::from(byte));
        } else {
            append_percent(text, byte);
        }
    }
}

fn append_percent(text: &mut String, byte: u8) {
    const HEXADECIMAL: &[u8; 16] = b"0123456789ABCDEF";
    text.push('%');
    text.push(char::from(HEXADECIMAL[usize::from(byte >> 4)]));
    text.push(char::from(HEXADECIMAL[usize::from(byte & 15)]));
}

/// Encodes pairs for a query or for a body of type `application/x-www-form-urlencoded`: everything
/// but RFC 3986's unreserved characters is percent-encoded, which both read alike.
pub(crate) fn encode_pairs(pairs: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push('&');
        }
        for (separator, part) in [("", name), ("=", value)] {
            text.push_str(separator);
            for byte in part.bytes() {
                if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
                    text.push(char::from(byte));
                } else {
                    append_percent(&mut text, byte);
                }
            }
        }
    }
    text
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        Self::parse(text)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.redacted())
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

/// Scheme, host and port: the border that credentials do not cross (RFC 6454).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    scheme: Scheme,
    host: Box<str>,
    port: u16,
}

impl Origin {
    /// Returns the scheme.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Returns the host, lower case; an IPv6 address is in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Classifies the host as far as its text tells.
    #[must_use]
    pub fn reach(&self) -> Reach {
        Reach::of_host(&self.host)
    }

    /// Tells whether the host can only be this machine: `localhost` and names below it, 127.0.0.0/8
    /// and `[::1]`, and nothing else (a mapped address is not, since plain http rests on the answer).
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        host::is_loopback(&self.host)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        if self.port == self.scheme.default_port() { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

#[cfg(test)]
mod tests;
