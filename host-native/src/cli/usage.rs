//! What clap cannot find wrong with a command line.

use std::borrow::Cow;
use std::path::PathBuf;

use oci_fetcher_core::error::{Class, Explain};

use super::failure::{Ended, Failure};

/// Arguments that cannot be meant.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UsageError {
    #[error("there is no destination")]
    NoDestination,
    #[error("{text:?} reads like a source, not like a directory")]
    SourceAsDirectory { text: String },
    #[error("the source {text:?} is not UTF-8")]
    NotText { text: String },
    #[error("--json has no place on standard output beside the content")]
    JsonBesideContent,
    #[error("standard output is a terminal, and the content is binary")]
    BinaryToTerminal { option: &'static str },
    #[error("{} exists already", path.display())]
    Exists { path: PathBuf },
    #[error("{} is a directory", path.display())]
    IsDirectory { path: PathBuf },
    #[error("only registries list tags and referrers")]
    NotRegistry,
    #[error("--username is for one registry, and the sources are of several")]
    SeveralRegistries,
    #[error("--ref-name is for one image, and there are several sources")]
    SeveralNames,
    #[error("the report cannot lie inside the destination")]
    ReportInside,
    #[error("the report cannot go to standard output")]
    ReportToStandardOutput,
    #[error("standard input holds no password")]
    NoPassword,
    #[error("standard input holds something else than a password")]
    NotPassword,
    #[error("there is no place for the cache: the environment names no home")]
    NoCachePlace,
    #[error("there is no command {text:?}")]
    NoCommand { text: String },
}

impl Explain for UsageError {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NoDestination => "no-destination",
            Self::SourceAsDirectory { .. } => "source-as-directory",
            Self::NotText { .. } => "malformed-source",
            Self::JsonBesideContent => "json-beside-content",
            Self::BinaryToTerminal { .. } => "binary-to-terminal",
            Self::Exists { .. } => "exists",
            Self::IsDirectory { .. } => "is-directory",
            Self::NotRegistry => "not-a-registry",
            Self::SeveralRegistries => "several-registries",
            Self::SeveralNames => "several-names",
            Self::ReportInside | Self::ReportToStandardOutput => "report-place",
            Self::NoPassword | Self::NotPassword => "password",
            Self::NoCachePlace => "no-cache-place",
            Self::NoCommand { .. } => "no-command",
        }
    }

    fn advice(&self) -> Option<Cow<'static, str>> {
        Some(Cow::Borrowed(match self {
            Self::NoDestination => "name a directory last, or pass --layout DIR or --tar FILE",
            Self::SourceAsDirectory { text } => {
                return Some(
                    format!("name a directory last, or pass --layout DIR; a directory of that name is \"./{text}\"")
                        .into(),
                );
            }
            Self::NotText { .. } => "sources are text; give a local layout or archive another name",
            Self::JsonBesideContent => "pass --report FILE instead",
            Self::BinaryToTerminal { option } => {
                return Some(format!("redirect standard output, or write to a file with {option} FILE").into());
            }
            Self::Exists { .. } => "choose another name, or replace it with --force",
            Self::IsDirectory { .. } => "choose another name",
            Self::NotRegistry => "name a repository, such as ghcr.io/org/app",
            Self::SeveralRegistries => "log in to each of them (docker login, podman login) or pass --auth-file",
            Self::SeveralNames => "pull them one after another into the same layout",
            Self::ReportInside => "choose a place outside of it",
            Self::ReportToStandardOutput => "pass --json, or name a file",
            Self::NoPassword | Self::NotPassword => {
                "pipe the password in, as in `oci-fetcher ... --password-stdin < FILE`"
            }
            Self::NoCachePlace => "pass --cache-dir DIR",
            Self::NoCommand { .. } => "see `oci-fetcher --help` for the commands",
        }))
    }
}

impl From<UsageError> for Ended {
    fn from(error: UsageError) -> Self {
        Failure::new(&error).into()
    }
}

/// A file of the caller's that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {place}")]
pub(crate) struct FileError {
    operation: &'static str,
    place: String,
    #[source]
    source: std::io::Error,
}

impl FileError {
    pub(crate) fn new(operation: &'static str, place: impl Into<String>, source: std::io::Error) -> Self {
        Self { operation, place: place.into(), source }
    }
}

impl Explain for FileError {
    fn class(&self) -> Class {
        Class::Local
    }

    fn code(&self) -> &'static str {
        if oci_fetcher::is_full(&self.source) { "disk-full" } else { "file" }
    }

    fn advice(&self) -> Option<Cow<'static, str>> {
        Some(oci_fetcher::local_advice(&self.source).into())
    }
}

impl From<FileError> for Ended {
    fn from(error: FileError) -> Self {
        Failure::new(&error).into()
    }
}
