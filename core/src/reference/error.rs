//! Why text is no reference, and what was probably meant.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use super::names_registry;
use crate::digest::DigestError;
use crate::error::{Class, Explain};
use crate::sanitise::{EXCERPT_CHARS, sanitise};
use crate::url::UrlProblem;

/// Text that is not a reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceError {
    text: String,
    problem: ReferenceProblem,
    meant: Option<Box<str>>,
}

impl ReferenceError {
    pub(super) fn new(text: &str, problem: ReferenceProblem) -> Self {
        // Whatever stands before an `@` may be a password, unless a digest follows.
        let shown = match text.rsplit_once('@') {
            Some((_, rest)) if rest.contains('/') || !rest.contains(':') => rest,
            Some(_) | None => text,
        };
        let meant = likely_meant(shown, &problem).filter(|meant| super::parse(meant).is_ok());
        Self { text: sanitise(shown, EXCERPT_CHARS), problem, meant: meant.map(Into::into) }
    }

    /// Returns what is wrong.
    #[must_use]
    pub const fn problem(&self) -> &ReferenceProblem {
        &self.problem
    }
}

impl fmt::Display for ReferenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed reference \"{}\": {}", self.text, self.problem)
    }
}

impl Error for ReferenceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        // The problem itself is in the message.
        self.problem.source()
    }
}

fn likely_meant(text: &str, problem: &ReferenceProblem) -> Option<String> {
    match problem {
        ReferenceProblem::Scheme => {
            let (scheme, rest) = text.split_once("://")?;
            let rest = rest.trim_end_matches('/');
            let port = match scheme.to_ascii_lowercase().as_str() {
                "http" => "80",
                "https" => "443",
                _ => return Some(rest.to_owned()),
            };
            // A URL's host stays the registry, rather than become a namespace of Docker Hub.
            let (host, path) = rest.split_once('/')?;
            Some(if names_registry(host) { rest.to_owned() } else { format!("{host}:{port}/{path}") })
        }
        ReferenceProblem::UserInformation => {
            text.split_once('/').filter(|(host, _)| names_registry(host)).map(|_| text.to_owned())
        }
        ReferenceProblem::EmptyComponent => {
            let components: Vec<&str> = text.split('/').filter(|component| !component.is_empty()).collect();
            match components.as_slice() {
                [registry] if names_registry(registry) => None,
                components => Some(components.join("/")),
            }
        }
        ReferenceProblem::UpperCase => {
            // A tag keeps its capitals.
            let tag = text.rfind('/').map_or(0, |slash| slash + 1);
            let tag = text[tag..].find([':', '@']).map_or(text.len(), |mark| tag + mark);
            Some(format!("{}{}", text[..tag].to_ascii_lowercase(), &text[tag..]))
        }
        ReferenceProblem::Empty
        | ReferenceProblem::TooLong
        | ReferenceProblem::Character
        | ReferenceProblem::Registry(_)
        | ReferenceProblem::NoRepository
        | ReferenceProblem::BareDigest
        | ReferenceProblem::RepositoryTooLong
        | ReferenceProblem::Repository
        | ReferenceProblem::Tag
        | ReferenceProblem::Digest(_) => None,
    }
}

impl Explain for ReferenceError {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn code(&self) -> &'static str {
        "malformed-reference"
    }

    fn advice(&self) -> Option<Cow<'static, str>> {
        if let Some(meant) = &self.meant {
            return Some(format!("write \"{meant}\"").into());
        }
        Some(Cow::Borrowed(match &self.problem {
            ReferenceProblem::NoRepository => {
                "name a repository after the registry, as in \"localhost:5000/name:tag\", \
                 or write \"docker.io/library/\" in front if it is meant to be one on Docker Hub"
            }
            ReferenceProblem::BareDigest => "name the repository too, as in \"ghcr.io/owner/name@sha256:...\"",
            ReferenceProblem::Digest(_) => "write the digest as in \"ghcr.io/owner/name@sha256:...\" with 64 digits",
            ReferenceProblem::Tag => {
                "write a tag of at most 128 letters, digits, \"_\", \".\" and \"-\", as in \"alpine:3.20\""
            }
            ReferenceProblem::Registry(_) => {
                "write the registry as in \"ghcr.io/owner/name:tag\" or \"localhost:5000/name\""
            }
            ReferenceProblem::UserInformation => {
                "give credentials apart from the reference, which looks like \"ghcr.io/owner/name:tag\""
            }
            ReferenceProblem::Empty
            | ReferenceProblem::TooLong
            | ReferenceProblem::Character
            | ReferenceProblem::Scheme
            | ReferenceProblem::EmptyComponent
            | ReferenceProblem::RepositoryTooLong
            | ReferenceProblem::UpperCase
            | ReferenceProblem::Repository => "write a reference such as \"alpine:3.20\" or \"ghcr.io/owner/name:tag\"",
        }))
    }
}

/// What is wrong with a reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceProblem {
    /// Nothing at all.
    #[error("it is empty")]
    Empty,
    /// Longer than any complete reference.
    #[error("it is longer than 1024 characters")]
    TooLong,
    /// White space, a control character or one outside ASCII.
    #[error("it holds white space, a control character or a character outside ASCII")]
    Character,
    /// A URL.
    #[error("a reference has no scheme such as \"https://\"")]
    Scheme,
    /// `user:password@`.
    #[error("it holds credentials, or the digest after \"@\" has a slash")]
    UserInformation,
    /// A first component that reads as a registry, but is no host.
    #[error("the registry is malformed: {0}")]
    Registry(UrlProblem),
    /// A registry alone.
    #[error("it names a registry, but no repository")]
    NoRepository,
    /// A digest or an image's id alone.
    #[error("it is a digest or an id, but names no repository")]
    BareDigest,
    /// Two slashes in a row, or one at an end.
    #[error("a component between slashes is empty")]
    EmptyComponent,
    /// More than 255 characters.
    #[error("the repository is longer than 255 characters")]
    RepositoryTooLong,
    /// Capitals in a repository.
    #[error("the repository holds capital letters")]
    UpperCase,
    /// A repository against the grammar.
    #[error(
        "the repository is not made of lower-case letters and digits, \
         with single \".\", \"_\", \"__\" or dashes between them"
    )]
    Repository,
    /// A tag against the grammar.
    #[error("the tag is empty, too long, or holds something else than letters, digits, \"_\", \".\" and \"-\"")]
    Tag,
    /// What follows `@` is no digest.
    #[error("the digest is malformed")]
    Digest(#[from] DigestError),
}
