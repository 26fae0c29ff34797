//! `Link` to the next page (RFC 8288; distribution-spec 1.1, "Listing Tags").
//!
//! Deviations from RFC 8288: malformed links are skipped, and links with an `anchor`, which speak of
//! another resource, are too.

use std::borrow::Cow;

use super::Headers;
use super::field::Field;
use crate::error::{Class, Explain};
use crate::url::{Origin, Url, UrlError};

/// Returns the address of the next page of the listing at `base`, if there is one.
///
/// # Errors
/// [`LinkError`] if the address is malformed, on another origin, or `base` itself. The number of pages
/// is for the caller to bound.
///
/// ```
/// use oci_fetcher_core::request::{Headers, next_link};
/// use oci_fetcher_core::url::Url;
///
/// let base = Url::parse("https://registry.example/v2/a/tags/list")?;
/// let headers = Headers::from_iter([("link", r#"</v2/a/tags/list?n=2&last=b>; rel="next""#)]);
/// let next = next_link(&headers, &base).expect("same origin").expect("a next page");
/// assert_eq!(next.path_and_query(), "/v2/a/tags/list?n=2&last=b");
/// # Ok::<(), oci_fetcher_core::url::UrlError>(())
/// ```
pub fn next_link(headers: &Headers, base: &Url) -> Result<Option<Url>, LinkError> {
    let Some(target) = headers.all("link").find_map(next_target) else { return Ok(None) };
    let next = base.join(target)?;
    if next.origin() != base.origin() {
        return Err(LinkError::Origin { from: base.origin(), to: next.origin() });
    }
    if next == *base {
        return Err(LinkError::Itself { page: next });
    }
    Ok(Some(next))
}

/// Returns the target of a value's first link with the relation `next`.
fn next_target(value: &str) -> Option<&str> {
    let mut field = Field::new(value);
    loop {
        field.skip_commas();
        if field.is_empty() {
            return None;
        }
        if field.eat('<') {
            let target = field.until(|character| character == '>');
            if field.eat('>') && is_next(&mut field) {
                return Some(target);
            }
        }
        field.skip_element();
    }
}

/// Reads a link's parameters; only the first `rel` counts.
fn is_next(field: &mut Field<'_>) -> bool {
    let mut relation = None;
    let mut anchored = false;
    loop {
        field.skip_space();
        if !field.eat(';') {
            return !anchored && relation == Some(true);
        }
        field.skip_space();
        let name = field.token();
        field.skip_space();
        let value = if field.eat('=') {
            field.skip_space();
            let quoted = field.quoted();
            quoted.unwrap_or_else(|| field.until(|character| matches!(character, ';' | ',' | ' ' | '\t')).to_owned())
        } else {
            String::new()
        };
        anchored |= name.eq_ignore_ascii_case("anchor");
        if relation.is_none() && name.eq_ignore_ascii_case("rel") {
            relation = Some(value.split_ascii_whitespace().any(|kind| kind.eq_ignore_ascii_case("next")));
        }
    }
}

/// A next page that is not fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The address is malformed.
    #[error("the link to the next page is malformed")]
    Url(#[from] UrlError),
    /// The address is on another origin.
    #[error("the next page of {from} is on another origin, {to}")]
    Origin {
        /// Where the listing is.
        from: Origin,
        /// Where the link leads.
        to: Origin,
    },
    /// The page names itself as the next.
    #[error("the page {page} names itself as the next page")]
    Itself {
        /// The page.
        page: Url,
    },
}

impl Explain for LinkError {
    fn class(&self) -> Class {
        match self {
            Self::Url(error) => error.class(),
            Self::Origin { .. } | Self::Itself { .. } => Class::Refused,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Url(error) => error.code(),
            Self::Origin { .. } => "link-to-other-origin",
            Self::Itself { .. } => "link-to-itself",
        }
    }

    fn advice(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Url(error) => error.advice(),
            Self::Origin { .. } | Self::Itself { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(values: &[&str]) -> Result<Option<String>, LinkError> {
        let base = Url::parse("https://registry.example/v2/a/tags/list?n=1").expect("well-formed");
        let headers = values.iter().map(|value| ("Link", value)).collect();
        Ok(next_link(&headers, &base)?.map(|next| next.as_str().to_owned()))
    }

    #[test]
    fn finds_the_next_page_among_links() {
        for (values, path) in [
            (&[r#"</v2/x>; rel="next""#][..], Some("/v2/x")),
            (&["</v2/x>;rel=next"], Some("/v2/x")),
            (&["</v2/x> ; REL = Next"], Some("/v2/x")),
            (&[r#"<?last=b>; title="a, <b>; rel=no"; rel="last next""#], Some("/v2/a/tags/list?last=b")),
            (&[r#"<list?n=2>;rel="next""#], Some("/v2/a/tags/list?n=2")),
            (&["<https://registry.example:443/y>; rel=next"], Some("/y")),
            (&["</p>; rel=prev, , </n>; rel=next"], Some("/n")),
            (&["</p>; rel=prev", "</n>; rel=next"], Some("/n")),
            (&["garbage, </n>; rel=next"], Some("/n")),
            (&["</n,m;o>; rel=next"], Some("/n,m;o")),
            (&["</n>; rel=prev; rel=next"], None),
            (&["</n>; rel*=next"], None),
            (&["</n>; rel=nextish"], None),
            (&["</n>; anchor=\"/other\"; rel=next"], None),
            (&["</n>"], None),
            (&["</n"], None),
            (&["/n; rel=next"], None),
            (&[""], None),
            (&[], None),
        ] {
            let found = next(values).unwrap_or_else(|error| panic!("{values:?}: {error}"));
            assert_eq!(found, path.map(|path| format!("https://registry.example{path}")), "{values:?}");
        }
    }

    #[test]
    fn stays_on_the_origin_and_moves_on() {
        for (target, code) in [
            ("//evil.example/v2/", "link-to-other-origin"),
            ("http://registry.example/v2/", "link-to-other-origin"),
            ("https://registry.example:444/", "link-to-other-origin"),
            ("http://169.254.169.254/latest/meta-data", "link-to-other-origin"),
            ("", "link-to-itself"),
            ("?n=1", "link-to-itself"),
            ("../tags/./list?n=1#", "link-to-itself"),
            ("/a b", "unsafe-url"),
            ("https://user@registry.example/", "unsafe-url"),
        ] {
            let error = next(&[&format!("<{target}>; rel=next")]).expect_err(target);
            assert_eq!(error.code(), code, "{target:?}");
        }
    }
}
