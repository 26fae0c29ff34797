//! What can be wrong with a layer's tar, and where.

use std::borrow::Cow;

use crate::entry::{PathError, WhiteoutError};
use crate::error::{Class, Explain};

/// A tar that is malformed, unsafe, over a limit or of an unknown kind.
///
/// `position` is the byte offset in the decompressed tar: of the header of the member or extension
/// at fault, or of the end of a tar that is too short.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TarError {
    /// The tar ends where it may not.
    #[error("the tar ends in the middle of a member, at byte {position}")]
    Truncated {
        /// Bytes that were there.
        position: u64,
    },
    /// A block that is neither a header nor zero stands where a header must.
    #[error("the block at byte {position} of the tar is no header: its checksum is wrong")]
    Checksum {
        /// Offset of the block.
        position: u64,
    },
    /// One zero block, and then data.
    #[error("data follows a zero block at byte {position} of the tar")]
    AfterZeroBlock {
        /// Offset of the data.
        position: u64,
    },
    /// A header's number, or a pax record's, is malformed or out of range.
    #[error("malformed number for {field} in the tar header at byte {position}")]
    Number {
        /// Offset of the header.
        position: u64,
        /// The field or pax key.
        field: &'static str,
    },
    /// A pax header is not a sequence of records.
    #[error("malformed pax record in the tar header at byte {position}: {reason}")]
    Pax {
        /// Offset of the header.
        position: u64,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A sparse file's map cannot be meant.
    #[error("malformed sparse file in the tar at byte {position}: {reason}")]
    Sparse {
        /// Offset of the header.
        position: u64,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Extension headers at the end of the archive, with no member that they could extend.
    #[error("the extension headers before byte {position} of the tar belong to no member")]
    Orphan {
        /// Offset of the end.
        position: u64,
    },
    /// A pax record and a GNU long name give one member two names.
    #[error("the tar member at byte {position} has two names: the pax {key} and the GNU long name differ")]
    Conflict {
        /// Offset of the member's header.
        position: u64,
        /// The pax key.
        key: &'static str,
    },
    /// A global pax record would rename or resize every member.
    #[error("the global pax header at byte {position} sets \"{}\" for all members", key.escape_ascii())]
    Global {
        /// Offset of the header.
        position: u64,
        /// The pax key.
        key: Box<[u8]>,
    },
    /// More extension headers before one member than any producer writes.
    #[error("more than {MAX_STACKED} extension headers for one member at byte {position} of the tar")]
    Stacked {
        /// Offset of the one too many.
        position: u64,
    },
    /// A name or hard-link target leads out of the root or is none.
    #[error("unsafe name in the tar header at byte {position}")]
    Name {
        /// Offset of the member's header.
        position: u64,
        /// Which name, and why.
        #[source]
        source: PathError,
    },
    /// A whiteout that hides what it may not.
    #[error("unsafe whiteout in the tar header at byte {position}")]
    Whiteout {
        /// Offset of the member's header.
        position: u64,
        /// Which whiteout, and why.
        #[source]
        source: WhiteoutError,
    },
    /// The root as something other than a directory.
    #[error("the tar member at byte {position} replaces the root by something that is no directory")]
    Root {
        /// Offset of the member's header.
        position: u64,
    },
    /// A link that leads nowhere.
    #[error("unsafe link target in the tar header at byte {position}: {reason}")]
    LinkTarget {
        /// Offset of the member's header.
        position: u64,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An owner that does not exist on Linux: 2^32 - 1 asks `chown` to change nothing.
    #[error("the {field} of the tar member at byte {position} is not below 4294967295")]
    Owner {
        /// Offset of the member's header.
        position: u64,
        /// `uid` or `gid`.
        field: &'static str,
    },
    /// A type flag that no layer may hold.
    #[error("unknown type flag '{}' in the tar header at byte {position}", flag.escape_ascii())]
    TypeFlag {
        /// Offset of the header.
        position: u64,
        /// The flag.
        flag: u8,
    },
    /// Over a limit.
    #[error("the tar member at byte {position} exceeds the limit {field} of {limit}")]
    Limit {
        /// Offset of the member's header.
        position: u64,
        /// The field of [`Limits`](crate::limits::Limits).
        field: &'static str,
        /// Its value.
        limit: u64,
    },
    /// The reader was used again after it had failed.
    #[error("the tar could not be read beyond byte {position}")]
    Failed {
        /// Where it failed.
        position: u64,
    },
}

/// Producers write at most four (global, pax, long name, long link); others accept about as many.
pub(super) const MAX_STACKED: u32 = 16;

impl Explain for TarError {
    fn class(&self) -> Class {
        match self {
            Self::Truncated { .. }
            | Self::Checksum { .. }
            | Self::AfterZeroBlock { .. }
            | Self::Number { .. }
            | Self::Pax { .. }
            | Self::Sparse { .. }
            | Self::Orphan { .. } => Class::Integrity,
            Self::Conflict { .. }
            | Self::Global { .. }
            | Self::Stacked { .. }
            | Self::Name { .. }
            | Self::Whiteout { .. }
            | Self::Root { .. }
            | Self::LinkTarget { .. }
            | Self::Owner { .. }
            | Self::Limit { .. } => Class::Refused,
            Self::TypeFlag { .. } => Class::Unsupported,
            Self::Failed { .. } => Class::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Truncated { .. } => "tar-truncated",
            Self::Checksum { .. } => "tar-checksum",
            Self::AfterZeroBlock { .. } => "tar-data-after-zero-block",
            Self::Number { .. } => "tar-number",
            Self::Pax { .. } => "tar-pax-record",
            Self::Sparse { .. } => "tar-sparse",
            Self::Orphan { .. } => "tar-orphan-extension",
            Self::Conflict { .. } => "tar-two-names",
            Self::Global { .. } => "tar-global-record",
            Self::Stacked { .. } => "tar-stacked-extensions",
            Self::Name { source, .. } => source.code(),
            Self::Whiteout { source, .. } => source.code(),
            Self::Root { .. } => "root-replaced",
            Self::LinkTarget { .. } => "unsafe-link-target",
            Self::Owner { .. } => "owner-out-of-range",
            Self::TypeFlag { .. } => "tar-type-flag",
            Self::Limit { .. } => "limit-exceeded",
            Self::Failed { .. } => "tar-reader-failed",
        }
    }

    fn advice(&self) -> Option<Cow<'static, str>> {
        if let Self::Limit { field, .. } = self {
            let option = field.replace('_', "-");
            return Some(format!("raise the limit with --max-{option} if the image is to be trusted").into());
        }
        None
    }
}
