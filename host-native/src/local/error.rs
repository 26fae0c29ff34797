//! Why an image on this machine cannot be read.

use std::borrow::Cow;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use oci_fetcher_core::entry::EntryPath;
use oci_fetcher_core::error::{Class, Explain};
use oci_fetcher_core::layer::inflate::InflateError;
use oci_fetcher_core::layout::LayoutError;
use oci_fetcher_core::manifest::ManifestError;
use oci_fetcher_core::tar::TarError;

use crate::error::{is_full, local_advice};

/// A local source that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalError {
    /// The source is a registry's.
    #[error("the image lies in a registry, not on this machine")]
    NotLocal,
    /// There is no such file or directory.
    #[error("{} does not exist", path.display())]
    Missing {
        /// The file or directory.
        path: PathBuf,
    },
    /// There is something else.
    #[error("{} is not {expected}", path.display())]
    OtherKind {
        /// The file or directory.
        path: PathBuf,
        /// What it was said to be, with its article.
        expected: &'static str,
        /// The prefix of what it looks like.
        prefix: Option<&'static str>,
    },
    /// The image is not there, or the files that list the images cannot be used.
    #[error("cannot find the image in {}", path.display())]
    Layout {
        /// The layout or archive.
        path: PathBuf,
        /// Why not.
        source: LayoutError,
    },
    /// The config of an image in a docker archive cannot be used.
    #[error("cannot use the image in {}", path.display())]
    Config {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        source: ManifestError,
    },
    /// The archive is no sound tar.
    #[error("cannot read {} as a tar", path.display())]
    Tar {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        source: TarError,
    },
    /// The archive cannot be decompressed.
    #[error("cannot decompress {}", path.display())]
    Inflate {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        source: InflateError,
    },
    /// A file is missing that the others speak of.
    #[error("{} lacks the file {file}", path.display())]
    Absent {
        /// The layout or archive.
        path: PathBuf,
        /// The file in it.
        file: EntryPath,
    },
    /// A symbolic link or another special file where a layout has a file or directory.
    #[error("{} is not the regular file that a layout has there", path.display())]
    Irregular {
        /// The file.
        path: PathBuf,
    },
    /// A file that is larger than a [limit](oci_fetcher_core::limits::Limits) allows.
    #[error("the file {file} in {} exceeds {limit} bytes", path.display())]
    Limit {
        /// The archive.
        path: PathBuf,
        /// The file in it.
        file: EntryPath,
        /// How many bytes it may have.
        limit: u64,
        /// The field of `Limits`.
        field: &'static str,
    },
    /// The system refused.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// With which file or directory.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

impl LocalError {
    /// Tells what is the source's fault from what is the system's.
    pub(super) fn io(operation: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| {
            let path = path.to_owned();
            if source.kind() == ErrorKind::InvalidData {
                Self::Irregular { path }
            } else if source.kind() == ErrorKind::NotFound {
                Self::Missing { path }
            } else {
                Self::Io { operation, path, source }
            }
        }
    }
}

impl Explain for LocalError {
    fn class(&self) -> Class {
        match self {
            Self::NotLocal => Class::Usage,
            Self::Missing { .. } | Self::OtherKind { .. } => Class::NotFound,
            Self::Layout { source, .. } => source.class(),
            Self::Config { source, .. } => source.class(),
            Self::Tar { source, .. } => source.class(),
            Self::Inflate { source, .. } => source.class(),
            Self::Absent { .. } => Class::Integrity,
            Self::Irregular { .. } | Self::Limit { .. } => Class::Refused,
            Self::Io { .. } => Class::Local,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotLocal => "not-local",
            Self::Missing { .. } => "source-not-found",
            Self::OtherKind { .. } => "other-kind-of-source",
            Self::Layout { source, .. } => source.code(),
            Self::Config { source, .. } => source.code(),
            Self::Tar { source, .. } => source.code(),
            Self::Inflate { source, .. } => source.code(),
            Self::Absent { .. } => "incomplete-source",
            Self::Irregular { .. } => "irregular-file",
            Self::Limit { .. } => "limit-exceeded",
            Self::Io { source, .. } if is_full(source) => "disk-full",
            Self::Io { .. } => "source-io",
        }
    }

    fn advice(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::OtherKind { prefix, .. } => prefix.map(|prefix| format!("try \"{prefix}\" before the path").into()),
            Self::Layout { source, .. } => source.advice(),
            Self::Config { source, .. } => source.advice(),
            Self::Tar { source, .. } => source.advice(),
            Self::Inflate { source, .. } => source.advice(),
            Self::Irregular { .. } => Some("copy the layout with links resolved, for example by cp -RL".into()),
            Self::Limit { field, .. } => Some(
                format!("if the source is trusted, raise --max-{} (Limits::{field})", field.replace('_', "-")).into(),
            ),
            // Only a decompressed archive is ever written.
            Self::Io { source, .. } if is_full(source) => {
                Some("set TMPDIR to a directory with space for the archive's content".into())
            }
            Self::Io { source, .. } => Some(local_advice(source).into()),
            Self::NotLocal | Self::Missing { .. } | Self::Absent { .. } => None,
        }
    }
}
