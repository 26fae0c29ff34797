//! What every error of every stage can say: whose fault, which stable code, what to do.

use std::borrow::Cow;
use std::fmt;

/// Groups errors by what a caller can do about them; each has its own exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Class {
    /// A bug in this library.
    Internal,
    /// Arguments that cannot be meant: a malformed reference, a non-empty destination.
    Usage,
    /// An image, tag, platform, path or local source that does not exist.
    NotFound,
    /// Credentials that are missing, refused or could not be had.
    Authentication,
    /// A connection, deadline or server that failed, after retries.
    Network,
    /// Bytes that disagree with their digest, size or diff_id, or are malformed.
    Integrity,
    /// Content or a registry's instruction that is refused for safety, and every limit.
    Refused,
    /// This machine: disk full, permission, other input and output.
    Local,
    /// Well-formed content of a kind that is not handled.
    Unsupported,
    /// Ended by the caller: a signal or a cancelled future.
    Interrupted,
}

impl Class {
    /// Returns the exit code of a process that ends with an error of this class.
    ///
    /// `Interrupted` is SIGINT's 130; a process ended by another signal uses that signal's.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Internal => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Authentication => 4,
            Self::Network => 5,
            Self::Integrity => 6,
            Self::Refused => 7,
            Self::Local => 8,
            Self::Unsupported => 9,
            Self::Interrupted => 130,
        }
    }

    /// Returns the name that machine-readable output uses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Usage => "usage",
            Self::NotFound => "not-found",
            Self::Authentication => "authentication",
            Self::Network => "network",
            Self::Integrity => "integrity",
            Self::Refused => "refused",
            Self::Local => "local",
            Self::Unsupported => "unsupported",
            Self::Interrupted => "interrupted",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An error that knows its class, its stable code and, where there is one, the way out.
///
/// The message (`Display`) says what failed, the chain of sources says why,
/// [`advice`](Self::advice) says what to do.
pub trait Explain: std::error::Error {
    /// Returns whose fault it is, and so the exit code.
    fn class(&self) -> Class;

    /// Returns a code that stays the same between releases: lower case, words joined by hyphens,
    /// for example `digest-mismatch`.
    fn code(&self) -> &'static str;

    /// Returns what the reader can do about it, as an imperative sentence without a full stop.
    fn advice(&self) -> Option<Cow<'static, str>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What scripts rely on.
    #[test]
    fn classes_have_the_codes_and_names_that_were_promised() {
        for (class, code, name) in [
            (Class::Internal, 1, "internal"),
            (Class::Usage, 2, "usage"),
            (Class::NotFound, 3, "not-found"),
            (Class::Authentication, 4, "authentication"),
            (Class::Network, 5, "network"),
            (Class::Integrity, 6, "integrity"),
            (Class::Refused, 7, "refused"),
            (Class::Local, 8, "local"),
            (Class::Unsupported, 9, "unsupported"),
            (Class::Interrupted, 130, "interrupted"),
        ] {
            assert_eq!((class.exit_code(), class.to_string().as_str()), (code, name));
        }
    }
}
