//! Why a URL is not followed.

use std::borrow::Cow;

use crate::error::{Class, Explain};
use crate::sanitise::{EXCERPT_CHARS, sanitise};

/// Text that is no URL that may be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed URL \"{text}\": {problem}")]
pub struct UrlError {
    text: String,
    problem: UrlProblem,
}

impl UrlError {
    pub(super) fn new(text: &str, problem: UrlProblem) -> Self {
        let shown = text.split(['?', '#']).next().unwrap_or_default();
        // Whatever stands before an `@` may be a password.
        let shown = shown.rsplit('@').next().unwrap_or_default();
        Self { text: sanitise(shown, EXCERPT_CHARS), problem }
    }

    /// Returns what is wrong.
    #[must_use]
    pub const fn problem(&self) -> UrlProblem {
        self.problem
    }
}

impl Explain for UrlError {
    fn class(&self) -> Class {
        match self.problem {
            UrlProblem::Character | UrlProblem::UserInformation | UrlProblem::NumericHost => Class::Refused,
            UrlProblem::TooLong
            | UrlProblem::NotAbsolute
            | UrlProblem::Scheme
            | UrlProblem::NoHost
            | UrlProblem::Host
            | UrlProblem::Port => Class::Network,
        }
    }

    fn code(&self) -> &'static str {
        match self.class() {
            Class::Refused => "unsafe-url",
            Class::Internal
            | Class::Usage
            | Class::NotFound
            | Class::Authentication
            | Class::Network
            | Class::Integrity
            | Class::Local
            | Class::Unsupported
            | Class::Interrupted => "malformed-url",
        }
    }

    fn advice(&self) -> Option<Cow<'static, str>> {
        match self.problem {
            UrlProblem::UserInformation => Some("give credentials apart from the address".into()),
            UrlProblem::NumericHost => Some("write the address as four decimal numbers".into()),
            UrlProblem::TooLong
            | UrlProblem::Character
            | UrlProblem::NotAbsolute
            | UrlProblem::Scheme
            | UrlProblem::NoHost
            | UrlProblem::Host
            | UrlProblem::Port => None,
        }
    }
}

/// What is wrong with a URL or with the host and port of a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlProblem {
    /// More than 16 KiB.
    #[error("it is longer than 16 KiB")]
    TooLong,
    /// A character that parsers disagree about.
    #[error("it holds white space, a control character or a backslash")]
    Character,
    /// Nothing before a path.
    #[error("it has no scheme and host")]
    NotAbsolute,
    /// Neither http nor https.
    #[error("the scheme is neither http nor https")]
    Scheme,
    /// `user:password@host`.
    #[error("it holds user information")]
    UserInformation,
    /// An empty host.
    #[error("it has no host")]
    NoHost,
    /// A host that is neither a name nor an address.
    #[error("the host is neither an ASCII name nor an address")]
    Host,
    /// A host such as `2130706433`, `127.1` or `0x7f.0.0.1`.
    #[error("the host is a number that is no address of four decimal numbers")]
    NumericHost,
    /// A port outside 1 to 65535.
    #[error("the port is not a number from 1 to 65535")]
    Port,
}
