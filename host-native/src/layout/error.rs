//! Why an image cannot be exported into a layout.

use std::borrow::Cow;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use oci_fetcher_core::digest::Digest;
use oci_fetcher_core::error::{Class, Explain};
use oci_fetcher_core::layout::LayoutError as FormatError;

use crate::error::{is_full, local_advice};

/// A layout that cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// The destination is a file or something else that is no directory.
    #[error("{} is not a directory", path.display())]
    NotADirectory {
        /// The destination.
        path: PathBuf,
    },
    /// The destination holds something else.
    #[error("{} is neither empty nor an OCI image layout", path.display())]
    NotALayout {
        /// The destination.
        path: PathBuf,
    },
    /// A symbolic link or another special file where the layout has a file or directory.
    #[error("{} is not the regular file or directory that a layout has there", path.display())]
    Irregular {
        /// The file.
        path: PathBuf,
    },
    /// One of the layout's own files says what cannot be used.
    #[error("cannot use {}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: FormatError,
    },
    /// Bytes that are not the blob they were given as.
    #[error("the bytes of {digest} have the digest {found}")]
    Mismatch {
        /// The blob.
        digest: Digest,
        /// What the bytes hash to.
        found: Digest,
    },
    /// A blob that nothing can be checked against.
    #[error("the digest {digest} has an algorithm that cannot be computed here")]
    UnknownAlgorithm {
        /// The blob.
        digest: Digest,
    },
    /// An image was to be named before its manifest was stored.
    #[error("the manifest {digest} was never stored in the layout")]
    NotStored {
        /// The manifest.
        digest: Digest,
    },
    /// Another process holds the lock.
    #[error("another process holds {}", lock.display())]
    Locked {
        /// The lock file.
        lock: PathBuf,
    },
    /// Another process removed what this one counted on.
    #[error("{} was removed by another process", path.display())]
    Removed {
        /// What is gone.
        path: PathBuf,
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

impl LayoutError {
    /// Tells what is the layout's fault from what is the system's.
    pub(super) fn io(operation: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| {
            let path = path.to_owned();
            if source.kind() == ErrorKind::InvalidData {
                Self::Irregular { path }
            } else if source.kind() == ErrorKind::NotFound {
                // Everything was looked at or created before.
                Self::Removed { path }
            } else {
                Self::Io { operation, path, source }
            }
        }
    }
}

impl Explain for LayoutError {
    fn class(&self) -> Class {
        match self {
            Self::NotADirectory { .. } | Self::NotALayout { .. } => Class::Usage,
            Self::Irregular { .. } => Class::Refused,
            Self::Content { source, .. } => source.class(),
            Self::Mismatch { .. } => Class::Integrity,
            Self::UnknownAlgorithm { .. } => Class::Unsupported,
            Self::NotStored { .. } => Class::Internal,
            Self::Locked { .. } | Self::Removed { .. } | Self::Io { .. } => Class::Local,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotADirectory { .. } => "not-a-directory",
            Self::NotALayout { .. } => "not-a-layout",
            Self::Irregular { .. } => "irregular-file",
            Self::Content { source, .. } => source.code(),
            Self::Mismatch { .. } => "digest-mismatch",
            Self::UnknownAlgorithm { .. } => "unknown-digest-algorithm",
            Self::NotStored { .. } => "blob-not-stored",
            Self::Locked { .. } => "layout-locked",
            Self::Removed { .. } => "layout-changed",
            Self::Io { source, .. } if is_full(source) => "disk-full",
            Self::Io { .. } => "layout-io",
        }
    }

    fn advice(&self) -> Option<Cow<'static, str>> {
        Some(match self {
            Self::NotADirectory { .. } | Self::NotALayout { .. } => {
                "choose a new or empty directory, or one that is an OCI image layout".into()
            }
            Self::Irregular { .. } => "remove it, or choose another directory".into(),
            Self::Content { source, .. } => return source.advice(),
            Self::Locked { .. } => "wait until the other process has finished, and run the command again".into(),
            Self::Removed { .. } => "run the command again".into(),
            Self::Io { source, .. } if is_full(source) => "free space, or choose another directory".into(),
            Self::Io { source, .. } => local_advice(source).into(),
            Self::Mismatch { .. } | Self::UnknownAlgorithm { .. } | Self::NotStored { .. } => return None,
        })
    }
}
