//! Fields of requests and responses (RFC 9110 section 5).

use std::fmt;

use crate::sanitise::{EXCERPT_CHARS, sanitise};

/// Fields in their order; names are compared without regard to case.
///
/// Carriage return, line feed and NUL in a name or value become spaces (RFC 9110 section 5.5), so
/// that no value can add a field. `Debug` hides the values of fields that hold secrets.
///
/// ```
/// use oci_fetcher_core::request::Headers;
///
/// let headers = Headers::from_iter([("Link", "</a>"), ("Authorization", "Bearer secret"), ("link", "</b>")]);
/// assert_eq!(headers.get("LINK"), Some("</a>"));
/// assert_eq!(headers.all("link").collect::<Vec<_>>(), ["</a>", "</b>"]);
/// assert!(!format!("{headers:?}").contains("secret"));
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// Makes an empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Returns the first value of a field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Returns all values of a field.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Returns all names, as they came, with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Sets a field in place of any of that name.
    pub fn insert(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.append(name, value);
    }

    /// Adds a field beside any of that name.
    pub fn append(&mut self, name: &str, value: &str) {
        self.0.push((one_line(name), one_line(value)));
    }

    /// Removes every field of that name.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }
}

fn one_line(text: &str) -> String {
    text.replace(['\r', '\n', '\0'], " ")
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Self {
        let mut headers = Self::new();
        for (name, value) in fields {
            headers.append(name.as_ref(), value.as_ref());
        }
        headers
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|(name, value)| {
                let shown = match sensitivity(name) {
                    Sensitivity::Secret => "[redacted]".into(),
                    // A presigned query is as good as a password.
                    Sensitivity::Address => sanitise(value.split('?').next().unwrap_or_default(), EXCERPT_CHARS),
                    Sensitivity::Open => sanitise(value, EXCERPT_CHARS),
                };
                (sanitise(name, EXCERPT_CHARS), shown)
            }))
            .finish()
    }
}

enum Sensitivity {
    Open,
    Address,
    Secret,
}

fn sensitivity(name: &str) -> Sensitivity {
    let name = name.to_ascii_lowercase();
    match name.as_str() {
        "www-authenticate" | "proxy-authenticate" => Sensitivity::Open,
        "location" | "content-location" | "link" | "referer" | "refresh" => Sensitivity::Address,
        name if ["auth", "cookie", "token", "secret", "password", "key", "credential", "signature"]
            .iter()
            .any(|part| name.contains(part)) =>
        {
            Sensitivity::Secret
        }
        _ => Sensitivity::Open,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_and_replaces_without_regard_to_case() {
        let mut headers = Headers::from_iter([("A", "1"), ("b", "2"), ("a", "3")]);
        assert_eq!((headers.get("a"), headers.get("B"), headers.get("c")), (Some("1"), Some("2"), None));
        headers.insert("a", "4");
        assert_eq!(headers.iter().collect::<Vec<_>>(), [("b", "2"), ("a", "4")]);
        headers.append("B", "5");
        headers.remove("b");
        assert_eq!(headers.iter().collect::<Vec<_>>(), [("a", "4")]);
    }

    #[test]
    fn keeps_every_value_on_one_line() {
        let mut headers = Headers::new();
        headers.insert("x\r\ny: z", "1\r\nAuthorization: Basic eDp5\0");
        assert_eq!(headers.iter().collect::<Vec<_>>(), [("x  y: z", "1  Authorization: Basic eDp5 ")]);
    }

    #[test]
    fn hides_secrets_when_shown() {
        for name in [
            "Authorization",
            "PROXY-AUTHORIZATION",
            "Cookie",
            "Set-Cookie",
            "X-Registry-Auth",
            "X-Amz-Security-Token",
            "PRIVATE-TOKEN",
            "X-Api-Key",
        ] {
            let shown = format!("{:?}", Headers::from_iter([(name, "secret")]));
            assert!(shown.contains("[redacted]") && !shown.contains("secret"), "{shown}");
        }
        let shown = format!("{:?}", Headers::from_iter([("location", "https://cdn.example/x?secret")]));
        assert!(shown.contains("https://cdn.example/x") && !shown.contains("secret"), "{shown}");
        let shown = format!("{:?}", Headers::from_iter([("www-authenticate", "Bearer\u{1b}[2J"), ("accept", "*/*")]));
        assert!(shown.contains("Bearer") && shown.contains("*/*") && !shown.contains('\u{1b}'), "{shown}");
    }
}
