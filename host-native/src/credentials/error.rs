//! Why the search for credentials ended early.

use std::borrow::Cow;
use std::io;
use std::time::Duration;

use oci_fetcher_core::credentials::{AnswerError, AuthFileError};
use oci_fetcher_core::error::{Class, Explain};

use super::Origin;

/// A fault in a place that was to hold credentials. No variant shows a file's content or a helper's
/// output.
///
/// It ends the search: whoever set up credentials for a registry does not want to be another user, or
/// none, because of a slip.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// The file that the caller named is not there.
    #[error("there is no credential file {origin}")]
    Missing {
        /// The file.
        origin: Origin,
    },
    /// A file is there, but cannot be read.
    #[error("cannot read the credential file {origin}")]
    Unreadable {
        /// The file.
        origin: Origin,
        /// Why.
        source: io::Error,
    },
    /// The content cannot be used.
    #[error("cannot use the credentials in {origin}")]
    Malformed {
        /// The file or variable.
        origin: Origin,
        /// Why.
        source: AuthFileError,
    },
    /// A helper failed.
    #[error("cannot get credentials from {origin}")]
    Helper {
        /// The helper.
        origin: Origin,
        /// Why.
        source: HelperError,
    },
}

impl Explain for CredentialError {
    fn class(&self) -> Class {
        Class::Authentication
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "auth-file-missing",
            Self::Unreadable { .. } => "auth-file-unreadable",
            Self::Malformed { source, .. } => source.code(),
            Self::Helper { source, .. } => source.code(),
        }
    }

    fn advice(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Missing { .. } => Some("check the path of the credential file".into()),
            Self::Unreadable { origin, .. } => Some(format!("make {origin} a file that you may read").into()),
            Self::Malformed { origin, source } => Some(
                source
                    .advice()
                    .map_or_else(|| format!("correct {origin}"), |advice| format!("in {origin}: {advice}"))
                    .into(),
            ),
            Self::Helper { origin: Origin::Helper { name, named_by }, source: HelperError::NotOnPath } => {
                Some(format!("install {} in a folder of PATH, or take {name} out of {named_by}", name.program()).into())
            }
            Self::Helper { origin, source } => source.advice().or_else(|| match origin {
                Origin::Helper { name, .. } => Some(
                    format!(
                        "run \"{} get\" with the registry's name as its input, to see what it says",
                        name.program()
                    )
                    .into(),
                ),
                Origin::Variable(_) | Origin::File(_) => None,
            }),
        }
    }
}

/// Why a credential helper gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HelperError {
    /// No absolute folder of `PATH` holds the program.
    #[error("no absolute folder of PATH holds the program")]
    NotOnPath,
    /// The program could not be started.
    #[error("the program does not start")]
    Start(#[source] io::Error),
    /// The pipes to it failed.
    #[error("the connection to the program failed")]
    Pipe(#[source] io::Error),
    /// It took longer than it may.
    #[error("no answer within {} seconds", limit.as_secs_f64())]
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// It wrote more than an answer can hold.
    #[error("an answer of more than {limit} bytes")]
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// It ended with a failure; what it wrote is not shown, since that may be a secret.
    #[error("the program failed ({status})")]
    Failed {
        /// How it ended.
        status: std::process::ExitStatus,
    },
    /// It wrote something else.
    #[error(transparent)]
    Answer(#[from] AnswerError),
}

impl Explain for HelperError {
    fn class(&self) -> Class {
        Class::Authentication
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotOnPath => "helper-missing",
            Self::Start(_) | Self::Pipe(_) | Self::Failed { .. } => "helper-failed",
            Self::TimedOut { .. } => "helper-timed-out",
            Self::TooLong { .. } => "helper-answer-too-long",
            Self::Answer(error) => error.code(),
        }
    }
}
