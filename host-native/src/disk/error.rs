//! What can go wrong on the local disk.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use oci_fetcher_core::error::{Class, Explain};

/// A failed operation on the local disk.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiskError {
    /// The operating system refused or could not do it.
    #[error("cannot {operation} {}", escaped(path))]
    Io {
        /// What was tried.
        operation: Operation,
        /// What it was tried on.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A new name was taken already, although the image has no such path: to this file system two
    /// of the image's names are one, in another case or another Unicode normal form.
    #[error("cannot {operation} {}: another name of the image means the same file here", escaped(path))]
    Collision {
        /// What was tried.
        operation: Operation,
        /// The later name.
        path: PathBuf,
    },
    /// More was left out than can be listed.
    #[error("the report of what could not be applied takes more than {limit} bytes of memory")]
    ReportBytes {
        /// [`DiskFs::limit_report`](super::DiskFs::limit_report)'s argument.
        limit: u64,
    },
}

impl DiskError {
    pub(crate) fn new(operation: Operation, path: impl Into<PathBuf>, source: impl Into<io::Error>) -> Self {
        Self::Io { operation, path: path.into(), source: source.into() }
    }

    /// Returns what the operation was tried on; `None` for a limit.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Io { path, .. } | Self::Collision { path, .. } => Some(path),
            Self::ReportBytes { .. } => None,
        }
    }
}

impl Explain for DiskError {
    fn class(&self) -> Class {
        match self {
            Self::Io { .. } => Class::Local,
            Self::Collision { .. } | Self::ReportBytes { .. } => Class::Refused,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Io { source, .. } => Cause::of(source).code(),
            Self::Collision { .. } => "name-collision",
            Self::ReportBytes { .. } => "limit-tree-bytes",
        }
    }

    fn advice(&self) -> Option<Cow<'static, str>> {
        let advice = match self {
            Self::Io { source, .. } => Cause::of(source).advice()?,
            Self::Collision { .. } => "choose a destination on a file system that tells names apart by case and bytes",
            Self::ReportBytes { .. } => "raise the limit `tree_bytes` (--max-tree-bytes) if the image is trusted",
        };
        Some(advice.into())
    }
}

/// The operations that errors tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Making a directory.
    CreateDirectory,
    /// Making a regular file.
    CreateFile,
    /// Making a symbolic link.
    CreateSymlink,
    /// Making a hard link.
    CreateHardLink,
    /// Making a FIFO or device.
    CreateSpecial,
    /// Opening a directory.
    OpenDirectory,
    /// Reading a directory or its state.
    Inspect,
    /// Writing content.
    Write,
    /// Setting a file's size.
    SetSize,
    /// Setting owner and group.
    SetOwner,
    /// Setting an extended attribute.
    SetXattr,
    /// Setting permissions.
    SetMode,
    /// Setting the time of modification.
    SetTime,
    /// Giving another name.
    Rename,
    /// Removing.
    Remove,
    /// Writing through to the device.
    Flush,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CreateDirectory => "create directory",
            Self::CreateFile => "create file",
            Self::CreateSymlink => "create symbolic link",
            Self::CreateHardLink => "create hard link",
            Self::CreateSpecial => "create special file",
            Self::OpenDirectory => "open directory",
            Self::Inspect => "inspect",
            Self::Write => "write",
            Self::SetSize => "set the size of",
            Self::SetOwner => "set the owner of",
            Self::SetXattr => "set an extended attribute of",
            Self::SetMode => "set the permissions of",
            Self::SetTime => "set the time of",
            Self::Rename => "rename",
            Self::Remove => "remove",
            Self::Flush => "write to the device all of",
        })
    }
}

/// The reasons that have a code and advice of their own.
enum Cause {
    Full,
    Quota,
    Permission,
    ReadOnly,
    OpenFiles,
    Name,
    Other,
}

impl Cause {
    fn of(error: &io::Error) -> Self {
        let causes = [
            (io::ErrorKind::StorageFull, Self::Full),
            (io::ErrorKind::QuotaExceeded, Self::Quota),
            (io::ErrorKind::PermissionDenied, Self::Permission),
            (io::ErrorKind::ReadOnlyFilesystem, Self::ReadOnly),
            (io::ErrorKind::InvalidFilename, Self::Name),
        ];
        let told_apart = causes.into_iter().find_map(|(kind, cause)| (error.kind() == kind).then_some(cause));
        let other = if too_many_open_files(error) { Self::OpenFiles } else { Self::Other };
        told_apart.unwrap_or(other)
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Full => "disk-full",
            Self::Quota => "quota-exceeded",
            Self::Permission => "permission-denied",
            Self::ReadOnly => "read-only-file-system",
            Self::OpenFiles => "too-many-open-files",
            Self::Name => "name-not-supported",
            Self::Other => "disk-error",
        }
    }

    fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Full => Some("free some space, or choose a destination on another disk"),
            Self::Quota => Some("free some of your quota, or choose a destination on another disk"),
            Self::Permission => Some("choose a destination where you may write, or run as its owner"),
            Self::ReadOnly => Some("choose a destination on a writable file system"),
            Self::OpenFiles => Some("raise the limit of open files (`ulimit -n`)"),
            Self::Name => Some("choose a destination on a file system that can hold the name"),
            Self::Other => None,
        }
    }
}

#[cfg(unix)]
fn too_many_open_files(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

#[cfg(not(unix))]
fn too_many_open_files(_: &io::Error) -> bool {
    false
}

/// Shows a path with everything escaped that could harm a terminal: names come from archives.
pub(crate) fn escaped(path: &Path) -> impl fmt::Display + '_ {
    path.as_os_str().as_encoded_bytes().escape_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_an_archive_named() {
        let error = DiskError::new(Operation::Write, "/d/\u{1b}[2J\u{202e}", io::ErrorKind::StorageFull);
        assert_eq!(error.to_string(), r"cannot write /d/\x1b[2J\xe2\x80\xae");
        assert!(std::error::Error::source(&error).is_some());
    }

    #[cfg(unix)]
    #[test]
    fn tells_causes_apart() {
        use rustix::io::Errno;
        for (errno, code, advised) in [
            (Errno::NOSPC, "disk-full", true),
            (Errno::DQUOT, "quota-exceeded", true),
            (Errno::ACCESS, "permission-denied", true),
            (Errno::PERM, "permission-denied", true),
            (Errno::ROFS, "read-only-file-system", true),
            (Errno::MFILE, "too-many-open-files", true),
            (Errno::NFILE, "too-many-open-files", true),
            (Errno::NAMETOOLONG, "name-not-supported", true),
            (Errno::IO, "disk-error", false),
        ] {
            let error = DiskError::new(Operation::Write, "f", errno);
            assert_eq!((error.code(), error.advice().is_some()), (code, advised), "{errno:?}");
            assert_eq!(error.class(), Class::Local);
        }
    }
}
