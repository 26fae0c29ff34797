//! Why a destination is refused.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::PathBuf;

use oci_fetcher_core::error::{Class, Explain};

use crate::disk::{DiskError, escaped};

/// A destination that cannot be used, or not in this way.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StagingError {
    /// Something is in it.
    #[error("the destination {} is not empty", escaped(path))]
    NotEmpty {
        /// The destination.
        path: PathBuf,
    },
    /// It is no directory, or, in place, does not have to be one but is something else.
    #[error("the destination {} is not a directory", escaped(path))]
    NotDirectory {
        /// The destination.
        path: PathBuf,
    },
    /// It is a symbolic link, which is never replaced.
    #[error("the destination {} is a symbolic link", escaped(path))]
    Symlink {
        /// The destination.
        path: PathBuf,
    },
    /// It is a directory that is never replaced.
    #[error("the destination {} {what}", escaped(path))]
    Protected {
        /// The destination.
        path: PathBuf,
        /// What makes it one.
        what: Protected,
    },
    /// It is a mount point, which no rename can replace.
    #[error("the destination {} is a mount point", escaped(path))]
    MountPoint {
        /// The destination.
        path: PathBuf,
    },
    /// The tree cannot be put together beside it.
    #[error("cannot write to {}, the parent of the destination", escaped(parent))]
    ParentUnwritable {
        /// The parent.
        parent: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Something else that the disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl Explain for StagingError {
    fn class(&self) -> Class {
        match self {
            Self::NotEmpty { .. } | Self::NotDirectory { .. } | Self::Symlink { .. } | Self::Protected { .. } => {
                Class::Usage
            }
            Self::MountPoint { .. } | Self::ParentUnwritable { .. } => Class::Local,
            Self::Disk(error) => error.class(),
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotEmpty { .. } => "destination-not-empty",
            Self::NotDirectory { .. } => "destination-not-directory",
            Self::Symlink { .. } => "destination-symlink",
            Self::Protected { .. } => "destination-protected",
            Self::MountPoint { .. } => "destination-mount-point",
            Self::ParentUnwritable { .. } => "parent-unwritable",
            Self::Disk(error) => error.code(),
        }
    }

    fn advice(&self) -> Option<Cow<'static, str>> {
        let advice = match self {
            Self::NotEmpty { .. } => "choose another directory, or replace this one with --force",
            Self::NotDirectory { .. } => "choose another destination, or replace a regular file with --force",
            Self::Symlink { .. } => "name the directory itself that the link leads to",
            Self::Protected { .. } => "choose another directory, or fill an empty one with --in-place",
            Self::MountPoint { .. } => "fill it with --in-place, or choose a directory below it",
            Self::ParentUnwritable { .. } => {
                "choose a destination whose parent you may write to, or fill an existing empty directory with --in-place"
            }
            Self::Disk(error) => return error.advice(),
        };
        Some(advice.into())
    }
}

/// What makes a directory one that is never replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protected {
    /// It is the root of all files.
    Root,
    /// It is the home folder, or holds it.
    Home,
    /// It is the working directory, or holds it.
    WorkingDirectory,
}

impl fmt::Display for Protected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Root => "is the root of the file system",
            Self::Home => "is or holds the home folder",
            Self::WorkingDirectory => "is or holds the working directory",
        })
    }
}
