//! Names of images in layouts and archives (OCI image-spec 1.1, annotations.md,
//! `org.opencontainers.image.ref.name`).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use super::LayoutError;
use crate::error::{Class, Explain};
use crate::manifest::listing::{excerpt, listing};

/// A name within the grammar that the specification gives for reference names.
///
/// ```
/// use oci_fetcher_core::layout::RefName;
///
/// assert!("heroku/builder:22".parse::<RefName>().is_ok());
/// assert!("no__double_underscores".parse::<RefName>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefName(Box<str>);

impl RefName {
    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RefName {
    type Err = RefNameError;

    fn from_str(text: &str) -> Result<Self, RefNameError> {
        if text.split('/').all(is_component) {
            Ok(Self(text.into()))
        } else {
            Err(RefNameError { text: excerpt(text).to_string() })
        }
    }
}

/// `component ::= alphanum (separator alphanum)*`
fn is_component(component: &str) -> bool {
    let mut rest = component;
    loop {
        let after = rest.trim_start_matches(|character: char| character.is_ascii_alphanumeric());
        if after.len() == rest.len() {
            return false;
        }
        rest = match after.strip_prefix("--").or_else(|| after.strip_prefix(['-', '.', '_', ':', '@', '+'])) {
            Some(next) => next,
            None => return after.is_empty(),
        };
    }
}

impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Text that cannot be a reference name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is outside the grammar of org.opencontainers.image.ref.name")]
pub struct RefNameError {
    text: String,
}

impl Explain for RefNameError {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn code(&self) -> &'static str {
        "malformed-ref-name"
    }

    fn advice(&self) -> Option<Cow<'static, str>> {
        Some("give another name with --ref-name".into())
    }
}

/// How a name that was asked for answers to one that is recorded, the closest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Closeness {
    /// Byte for byte.
    Exact,
    /// Without Docker Hub's host and `library/`, and with the tag `latest` where there is none.
    Familiar,
    /// The recorded name's tag.
    Tag,
}

impl Closeness {
    /// Compares the two names; `None` if they have nothing to do with each other.
    pub(super) fn between(wanted: &str, recorded: &str) -> Option<Self> {
        if wanted == recorded {
            Some(Self::Exact)
        } else if familiar(wanted) == familiar(recorded) {
            Some(Self::Familiar)
        } else {
            (tag(recorded) == Some(wanted)).then_some(Self::Tag)
        }
    }
}

fn familiar(name: &str) -> Cow<'_, str> {
    let on_docker_hub = name.strip_prefix("docker.io/").or_else(|| name.strip_prefix("index.docker.io/"));
    let short = on_docker_hub.map_or(name, |path| path.strip_prefix("library/").unwrap_or(path));
    match tag(short) {
        None if !short.contains('@') => Cow::Owned(format!("{short}:latest")),
        Some(_) | None => Cow::Borrowed(short),
    }
}

fn tag(name: &str) -> Option<&str> {
    name.rsplit_once(':').map(|(_, tag)| tag).filter(|tag| !tag.contains('/'))
}

/// An image that can be selected: what it is, so that one image under two names is not two, and
/// what to call it in a message.
pub(super) struct Item<'i, T, K> {
    pub(super) item: &'i T,
    pub(super) identity: K,
    pub(super) label: Cow<'i, str>,
    pub(super) closeness: Option<Closeness>,
}

/// Selects the closest image, or the only one where no name was asked for.
pub(super) fn select<'i, T, K: PartialEq>(
    items: &[Item<'i, T, K>],
    wanted: Option<&str>,
) -> Result<&'i T, LayoutError> {
    let closest = items.iter().filter_map(|item| item.closeness).min();
    let fits = |item: &&Item<'i, T, K>| wanted.is_none() || (closest.is_some() && item.closeness == closest);
    let is_one = |found: &Item<'i, T, K>| items.iter().filter(fits).all(|item| item.identity == found.identity);
    match (items.iter().find(fits), wanted) {
        (Some(found), _) if is_one(found) => Ok(found.item),
        (Some(_), Some(wanted)) => {
            Err(LayoutError::Ambiguous { wanted: wanted.to_owned(), available: labels(items.iter().filter(fits)) })
        }
        (Some(_), None) => Err(LayoutError::Several { available: labels(items.iter()) }),
        (None, Some(wanted)) if !items.is_empty() => {
            Err(LayoutError::NotFound { wanted: wanted.to_owned(), available: labels(items.iter()) })
        }
        (None, _) => Err(LayoutError::Empty),
    }
}

fn labels<'a, 'i: 'a, T: 'i, K: 'a>(items: impl Iterator<Item = &'a Item<'i, T, K>>) -> String {
    listing(items.map(|item| &item.label))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ref_names_follow_the_grammar() {
        for (text, legal) in [
            ("22", true),
            ("v1.0.0", true),
            ("heroku/builder:22", true),
            ("localhost:5000/a/b:1", true),
            ("a@sha256:00", true),
            ("a--b", true),
            ("a+b_c", true),
            ("A", true),
            ("", false),
            ("/", false),
            ("a/", false),
            ("/a", false),
            ("a//b", false),
            ("a---b", false),
            ("a__b", false),
            ("a..b", false),
            ("..", false),
            ("-a", false),
            ("a-", false),
            ("a b", false),
            ("é", false),
            ("a\u{1b}", false),
        ] {
            assert_eq!(text.parse::<RefName>().is_ok(), legal, "{text:?}");
        }
    }

    #[test]
    fn names_answer_to_familiar_forms_and_tags() {
        use Closeness::{Exact, Familiar, Tag};
        for (wanted, recorded, closeness) in [
            ("a:1", "a:1", Some(Exact)),
            ("alpine:3", "docker.io/library/alpine:3", Some(Familiar)),
            ("docker.io/library/alpine:3", "alpine:3", Some(Familiar)),
            ("alpine", "alpine:latest", Some(Familiar)),
            ("index.docker.io/heroku/builder", "docker.io/heroku/builder:latest", Some(Familiar)),
            ("3", "docker.io/library/alpine:3", Some(Tag)),
            ("library/alpine:3", "alpine:3", None),
            ("alpine:3", "quay.io/alpine:3", None),
            ("5000/a", "localhost:5000/a", None),
            ("3", "3.1", None),
            ("", "a", None),
        ] {
            assert_eq!(Closeness::between(wanted, recorded), closeness, "{wanted} to {recorded}");
        }
    }
}
