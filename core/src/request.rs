//! Requests and responses as plain data, and what the fields of a response say.
//!
//! A host carries a [`Request`] out and answers with a [`ResponseHead`] and bytes. Everything that a
//! response's fields mean to a pull is read here, so that every host reads it alike.

mod date;
pub(crate) mod field;
mod headers;
mod link;
mod range;
mod retry_after;
mod warning;

use std::fmt;

use crate::url::{Url, encode_pairs};
pub use headers::Headers;
pub use link::{LinkError, next_link};
pub use range::{ContentRange, ContentRangeError};
pub use retry_after::retry_after;
pub use warning::warnings;

/// The methods that fetching needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// Asks for content.
    Get,
    /// Asks for the fields alone.
    Head,
    /// Sends a form, which only a token endpoint is sent.
    Post,
}

impl Method {
    /// Returns the method as it stands in a request's first line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One request. A host sends it as it is and follows no redirect by itself.
///
/// ```
/// use oci_fetcher_core::request::Request;
/// use oci_fetcher_core::url::Url;
///
/// let url = Url::parse("https://registry.example/v2/a/manifests/latest")?;
/// let request = Request::get(url).with_header("accept", "application/vnd.oci.image.index.v1+json");
/// assert_eq!(request.headers.get("Accept"), Some("application/vnd.oci.image.index.v1+json"));
/// # Ok::<(), oci_fetcher_core::url::UrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The target.
    pub url: Url,
    /// The fields, without those that frame a message (`Host`, `Content-Length`).
    pub headers: Headers,
    /// The content; it may hold a secret, so `Debug` shows its length only.
    pub body: Option<Vec<u8>>,
}

impl Request {
    /// Makes a GET request without fields.
    #[must_use]
    pub const fn get(url: Url) -> Self {
        Self { method: Method::Get, url, headers: Headers::new(), body: None }
    }

    /// Makes a HEAD request without fields.
    #[must_use]
    pub const fn head(url: Url) -> Self {
        Self { method: Method::Head, url, headers: Headers::new(), body: None }
    }

    /// Makes a POST request that sends `pairs` as a form.
    #[must_use]
    pub fn post_form(url: Url, pairs: &[(&str, &str)]) -> Self {
        let body = Some(encode_pairs(pairs).into_bytes());
        Self { method: Method::Post, url, headers: Headers::new(), body }
            .with_header("content-type", "application/x-www-form-urlencoded")
    }

    /// Returns the request with one more field, in place of any of that name.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name, value);
        self
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = self.body.as_ref().map(|body| format!("[{} bytes]", body.len()));
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &self.url)
            .field("headers", &self.headers)
            .field("body", &body)
            .finish()
    }
}

/// The part of a response before its content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseHead {
    /// The status code.
    pub status: u16,
    /// The fields.
    pub headers: Headers,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_neither_form_nor_query() {
        let url = Url::parse("https://auth.example/token?key=secret").expect("well-formed");
        let request = Request::post_form(url, &[("refresh_token", "secret&value"), ("service", "a b")])
            .with_header("Authorization", "Basic secret");
        assert_eq!(request.body.as_deref(), Some(&b"refresh_token=secret%26value&service=a%20b"[..]));
        assert_eq!(request.headers.get("content-type"), Some("application/x-www-form-urlencoded"));
        let shown = format!("{request:?}");
        assert!(!shown.contains("secret"), "{shown}");
        assert!(shown.contains("https://auth.example/token") && shown.contains("[42 bytes]"), "{shown}");
    }
}
