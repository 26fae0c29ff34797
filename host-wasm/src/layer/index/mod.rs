//! The index of a layer: every entry, what was skipped, and where each file's content lies in the
//! layer's pack.
//!
//! A format of our own, compact and strict, since it comes back from storage. Numbers are varints
//! (LEB128, shortest form; signed ones zigzag), bytes are a length and as many bytes.
//!
//! ```text
//! index    "OCFL" version(1) item* 0x00 pack-length sha256(all before, 32 bytes)
//! item     tag path entry | 10 path skipped
//! path     bytes shared with the path before, then the other bytes
//! entry    metadata kind
//! metadata mode uid gid seconds nanoseconds count (name value)*
//! kind     1 directory | 2 file: size count (hole length)* | 3 symlink: target | 4 hard link: target
//!          | 5 FIFO | 6 character device: major minor | 7 block device | 8 whiteout | 9 opaque
//! skipped  what (values) reason
//! ```
//!
//! Contents lie in the pack in the order of the items, end to end, so that only lengths are written,
//! and for each run the hole before it.

mod read;
#[cfg(test)]
mod tests;
mod write;

use oci_fetcher_core::entry::Entry;
use oci_fetcher_core::error::{Class, Explain};
use oci_fetcher_core::memory::Extent;
use oci_fetcher_core::report::Skipped;

pub(crate) use read::IndexReader;
pub(crate) use write::IndexWriter;

/// One item of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// An entry; a file's extents count from the pack's start.
    Entry(Entry, Vec<Extent>),
    /// Something that policy left out.
    Skipped(Skipped),
}

const MAGIC: &[u8] = b"OCFL";
const VERSION: u8 = 1;
/// Bytes of the digest at the end.
const SUM: usize = 32;

/// An index that cannot be used: damaged, or of another version. The layer has to be decoded anew.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IndexError {
    /// It begins otherwise.
    #[error("the layer's index is of another version")]
    Version,
    /// Its bytes are not what was written.
    #[error("the layer's index is damaged near byte {offset}: {reason}")]
    Damaged {
        /// Bytes from its start.
        offset: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// The pack beside it is not the one that it was written for.
    #[error("the layer's pack holds {found} bytes, and its index is of one with {expected}")]
    Pack {
        /// The index's.
        expected: u64,
        /// The pack's.
        found: u64,
    },
}

impl Explain for IndexError {
    fn class(&self) -> Class {
        match self {
            Self::Version => Class::Unsupported,
            Self::Damaged { .. } | Self::Pack { .. } => Class::Integrity,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Version => "layer-index-version",
            Self::Damaged { .. } => "malformed-layer-index",
            Self::Pack { .. } => "layer-pack-mismatch",
        }
    }
}
