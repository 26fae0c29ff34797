//! Why an entry cannot be applied.

use std::borrow::Cow;

use crate::entry::{EntryPath, Unportable};
use crate::error::{Class, Explain};

/// An entry, or a selected path, for which the tree has no safe place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// The way to an entry leads over something that holds no names.
    #[error("{path} cannot be applied: {parent} is not a directory")]
    ParentNotDirectory {
        /// The entry.
        path: EntryPath,
        /// What is in the way.
        parent: EntryPath,
    },
    /// A path leads over too many symlinks, in a circle for instance.
    #[error("{path} leads over too many symbolic links")]
    TooManySymlinks {
        /// The entry, or the path that was looked for.
        path: EntryPath,
    },
    /// Something other than a directory would replace the root.
    #[error("an entry would replace the root by something that is not a directory")]
    RootReplaced,
    /// A hard link to nothing, as yet.
    #[error("{path} is a hard link to {target}, which does not exist")]
    HardLinkToMissing {
        /// The link.
        path: EntryPath,
        /// What it names.
        target: EntryPath,
    },
    /// A hard link to its own name.
    #[error("{path} is a hard link to itself")]
    HardLinkToItself {
        /// The link.
        path: EntryPath,
    },
    /// A hard link to a directory.
    #[error("{path} is a hard link to the directory {target}")]
    HardLinkToDirectory {
        /// The link.
        path: EntryPath,
        /// What it names.
        target: EntryPath,
    },
    /// A place that is too deep, perhaps behind a symlink.
    #[error("{path} lies deeper than {limit} directories")]
    PathDepth {
        /// The entry.
        path: EntryPath,
        /// [`Limits::path_depth`](crate::limits::Limits::path_depth).
        limit: u32,
    },
    /// A name, of the entry or of a symlink on its way, that Windows cannot hold.
    #[error("{path} needs the name \"{}\", which Windows cannot hold: {reason}", name.escape_ascii())]
    NameNotPortable {
        /// The entry.
        path: EntryPath,
        /// The name.
        name: Box<[u8]>,
        /// Why not.
        reason: Unportable,
    },
    /// A selected path that the merged tree does not have.
    #[error("the image holds no {path}")]
    PathNotFound {
        /// The path as it was asked for.
        path: EntryPath,
    },
}

impl Explain for TreeError {
    fn class(&self) -> Class {
        match self {
            Self::PathNotFound { .. } => Class::NotFound,
            Self::ParentNotDirectory { .. }
            | Self::TooManySymlinks { .. }
            | Self::RootReplaced
            | Self::HardLinkToMissing { .. }
            | Self::HardLinkToItself { .. }
            | Self::HardLinkToDirectory { .. }
            | Self::NameNotPortable { .. }
            | Self::PathDepth { .. } => Class::Refused,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::ParentNotDirectory { .. } => "parent-not-directory",
            Self::TooManySymlinks { .. } => "too-many-symlinks",
            Self::RootReplaced => "root-replaced",
            Self::HardLinkToMissing { .. } => "hard-link-to-missing",
            Self::HardLinkToItself { .. } => "hard-link-to-itself",
            Self::HardLinkToDirectory { .. } => "hard-link-to-directory",
            Self::NameNotPortable { .. } => "name-not-portable",
            Self::PathDepth { .. } => "limit-path-depth",
            Self::PathNotFound { .. } => "path-not-found",
        }
    }

    fn advice(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::PathDepth { .. } => {
                Some("raise Limits::path_depth (--max-path-depth) if the image is to be trusted".into())
            }
            Self::NameNotPortable { .. } => Some("unpack it on another system, or into memory".into()),
            Self::ParentNotDirectory { .. }
            | Self::TooManySymlinks { .. }
            | Self::RootReplaced
            | Self::HardLinkToMissing { .. }
            | Self::HardLinkToItself { .. }
            | Self::HardLinkToDirectory { .. } => None,
            Self::PathNotFound { .. } => Some(
                "check the path, which starts at the image's root as in usr/bin; `pull SOURCE --tar - | tar t` lists all"
                    .into(),
            ),
        }
    }
}

/// An entry that was not applied: the tree refused it, or the file system failed.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError<E> {
    /// The tree has no safe place for it.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The file system failed.
    #[error(transparent)]
    FileSystem(E),
}
