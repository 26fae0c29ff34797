//! From compressed bytes to verified, safe entries, in bounded memory.

mod decoder;
pub mod inflate;
mod verify;

pub use self::decoder::{LayerDecoder, LayerError};
pub use self::verify::{Verifier, VerifyError};
use crate::digest::Digest;
use crate::entry::Entry;
use crate::limits::Limits;
use crate::report::Skipped;

/// What is known of a layer before its first byte, enough to build a decoder anywhere.
#[derive(Clone, Debug)]
pub struct LayerSpec {
    /// The blob's digest.
    pub digest: Digest,
    /// The blob's size in bytes.
    pub size: u64,
    /// The digest of the decompressed tar, from the image's config.
    pub diff_id: Digest,
    /// The descriptor's media type; it never decides, but a disagreement is a warning.
    pub media_type: String,
    /// What the layer may cost.
    pub limits: Limits,
}

/// One provisional operation: it counts only once [`LayerDecoder::finish`] has verified the layer.
#[derive(Debug)]
pub enum Op<'d> {
    /// An entry. A file with `size > 0` is followed by its data, every file by [`Op::FileEnd`].
    Entry(Entry),
    /// Content of the file just named, at a logical offset; what lies between is a hole.
    Data {
        /// Bytes from the file's start; never decreases within a file.
        offset: u64,
        /// Never empty.
        bytes: &'d [u8],
    },
    /// The file just named is complete.
    FileEnd,
    /// Something that policy leaves out, for the report.
    Skipped(Skipped),
}

/// What a step made.
#[derive(Debug)]
pub enum Step<'d> {
    /// All input was used; feed more, or finish.
    NeedInput,
    /// An operation; step again with the input that is left.
    Op(Op<'d>),
}

/// What a verified layer was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerReport {
    /// The blob's digest, as computed.
    pub digest: Digest,
    /// The blob's size in bytes.
    pub size: u64,
    /// The decompressed tar's digest, as computed.
    pub diff_id: Digest,
    /// The decompressed tar's size in bytes.
    pub tar_size: u64,
    /// Tar entries, whiteouts included.
    pub entries: u64,
    /// What was odd but accepted, as sentences for a reader.
    pub warnings: Vec<String>,
}
