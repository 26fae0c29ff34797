//! One layer's whole route: verify, inflate, verify again, read the tar (OCI image-spec 1.1,
//! layer.md and config.md, "Layer DiffID").

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ops::Range;

use super::inflate::{Compression, Inflate, InflateError};
use super::verify::{Verifier, VerifyError};
use super::{LayerReport, LayerSpec, Op, Step};
use crate::digest::{Digest, Hasher};
use crate::error::{Class, Explain};
use crate::tar::{TarError, TarEvent, TarReader};

/// Turns a layer's blob, pushed in, into provisional operations, and verifies it.
///
/// Feed input until [`Step::NeedInput`]; after the last input, step once more with nothing until
/// `NeedInput`; then [`finish`](Self::finish). Operations count only if that returns `Ok`. It holds
/// no input: memory is [`Inflate`]'s and a tar header's.
///
/// ```
/// use oci_fetcher_core::digest::{Algorithm, Digest};
/// use oci_fetcher_core::layer::{LayerDecoder, LayerSpec, Op, Step};
///
/// // The empty layer: an archive without entries.
/// let blob = [0; 1024];
/// let digest = Digest::of(Algorithm::Sha256, &blob);
/// let mut decoder = LayerDecoder::new(LayerSpec {
///     digest: digest.clone(),
///     size: 1024,
///     diff_id: digest,
///     media_type: "application/vnd.oci.image.layer.v1.tar".into(),
///     limits: Default::default(),
/// })?;
/// for chunk in blob.chunks(1000).chain([&[][..]]) {
///     let mut input = chunk;
///     while let Step::Op(op) = decoder.step(&mut input)? {
///         match op {
///             Op::Entry(entry) => println!("{}", entry.path),
///             Op::Data { .. } | Op::FileEnd | Op::Skipped(_) => {}
///         }
///     }
/// }
/// assert_eq!(decoder.finish()?.entries, 0);
/// # Ok::<(), oci_fetcher_core::layer::LayerError>(())
/// ```
#[derive(Debug)]
pub struct LayerDecoder {
    size: u64,
    claimed: Option<Compression>,
    blob: Verifier,
    inflate: Inflate,
    /// What the tar reader has not seen yet of the inflater's buffer.
    pending: Range<usize>,
    diff_id: Digest,
    tar_hasher: Hasher,
    tar: TarReader,
    /// Whether the tar reader has no event left to give without more bytes.
    tar_waits: bool,
}

impl LayerDecoder {
    /// Starts a layer.
    ///
    /// # Errors
    /// [`LayerError::Blob`] or [`LayerError::UnsupportedDiffId`] if a digest's algorithm cannot be
    /// computed here.
    pub fn new(spec: LayerSpec) -> Result<Self, LayerError> {
        let Some(algorithm) = spec.diff_id.algorithm() else {
            return Err(LayerError::UnsupportedDiffId { diff_id: spec.diff_id });
        };
        Ok(Self {
            size: spec.size,
            claimed: Compression::claimed(&spec.media_type),
            blob: Verifier::new(&spec.digest, spec.size)?,
            inflate: Inflate::new(&spec.limits),
            pending: 0..0,
            diff_id: spec.diff_id,
            tar_hasher: Hasher::new(algorithm),
            tar: TarReader::new(&spec.limits),
            tar_waits: false,
        })
    }

    /// Consumes from the front of `input` until there is an operation, or all of it.
    ///
    /// # Errors
    /// [`LayerError`] as soon as something is wrong. After an error only
    /// [`into_verifier`](Self::into_verifier) is of use.
    pub fn step<'d, 'i: 'd>(&'d mut self, input: &mut &'i [u8]) -> Result<Step<'d>, LayerError> {
        loop {
            // What is not compressed goes past the inflater, straight out of the input.
            let passed: &'i [u8] = if self.pending.is_empty() && self.inflate.passes(input) {
                &input[..input.len().min(SLICE_LEN)]
            } else {
                &[]
            };
            if passed.is_empty() && self.pending.is_empty() && self.tar_waits {
                match self.fill(input)? {
                    0 => return Ok(Step::NeedInput),
                    len => self.pending = 0..len,
                }
            }
            let at = self.pending.start;
            let event = if passed.is_empty() { self.read_buffered()? } else { self.read_passed(passed, input)? };
            self.tar_waits = matches!(event, TarEvent::NeedInput);
            let op = match event {
                TarEvent::NeedInput => continue,
                TarEvent::Entry(entry) => Op::Entry(entry),
                TarEvent::Data { offset, len } if passed.is_empty() => {
                    Op::Data { offset, bytes: &self.inflate.buffered()[at..][..len] }
                }
                TarEvent::Data { offset, len } => Op::Data { offset, bytes: &passed[..len] },
                TarEvent::FileEnd => Op::FileEnd,
                TarEvent::Skipped(skipped) => Op::Skipped(skipped),
            };
            return Ok(Step::Op(op));
        }
    }

    /// Decompresses a slice, and hashes what that used while it is in the cache.
    fn fill(&mut self, input: &mut &[u8]) -> Result<usize, LayerError> {
        loop {
            let slice = &input[..input.len().min(SLICE_LEN)];
            let mut rest = slice;
            let filled = self.inflate.fill(&mut rest);
            let used = slice.len() - rest.len();
            *input = &input[used..];
            self.blob.update(&slice[..used])?;
            match filled? {
                0 if !input.is_empty() => {}
                len => return Ok(len),
            }
        }
    }

    /// Lets the tar reader see the inflater's buffer, which is hashed once it has seen the whole:
    /// the diff_id covers exactly what was read.
    fn read_buffered(&mut self) -> Result<TarEvent, LayerError> {
        let mut rest = &self.inflate.buffered()[self.pending.clone()];
        let event = self.tar.step(&mut rest)?;
        let left = rest.len();
        if left == 0 && !self.pending.is_empty() {
            self.tar_hasher.update(self.inflate.buffered());
        }
        // What passes by empties the buffer, so nothing may point behind its start then.
        self.pending = if left == 0 { 0..0 } else { self.pending.end - left..self.pending.end };
        Ok(event)
    }

    /// Lets the tar reader see input that is plain as it stands.
    fn read_passed(&mut self, passed: &[u8], input: &mut &[u8]) -> Result<TarEvent, LayerError> {
        let mut rest = passed;
        let event = self.tar.step(&mut rest);
        let read = &passed[..passed.len() - rest.len()];
        *input = &input[read.len()..];
        self.blob.update(read)?;
        self.inflate.pass(read.len())?;
        self.tar_hasher.update(read);
        Ok(event?)
    }

    /// Verifies the layer: size and digest of the blob, the ends of the compressed data and of the
    /// archive, and the diff_id.
    ///
    /// # Errors
    /// [`LayerError`]; nothing that came from the layer may be kept then.
    pub fn finish(self) -> Result<LayerReport, LayerError> {
        let digest = self.blob.finish()?;
        let compression = self.inflate.compression().unwrap_or(Compression::Uncompressed);
        let tar_size = self.inflate.produced();
        self.inflate.finish()?;
        let summary = self.tar.finish()?;
        let diff_id = self.tar_hasher.finish();
        if diff_id != self.diff_id {
            return Err(LayerError::DiffId { expected: self.diff_id, actual: diff_id });
        }
        let mut warnings = summary.warnings;
        if let Some(claimed) = self.claimed.filter(|&claimed| claimed != compression) {
            warnings.push(format!("the media type claims the compression {claimed}, the content has {compression}"));
        }
        Ok(LayerReport { digest, size: self.size, diff_id, tar_size, entries: summary.entries, warnings })
    }

    /// Gives up decoding and returns the blob's verifier, which has seen exactly the input that was
    /// consumed. Fed the rest, it tells a damaged blob from one that was made wrong.
    #[must_use]
    pub fn into_verifier(self) -> Verifier {
        self.blob
    }
}

/// What is hashed and decompressed at a time: small enough that the second stage finds it in the
/// cache.
const SLICE_LEN: usize = 128 << 10;

/// A layer that is not what was promised, or may not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {
    /// The blob is not what its descriptor claims.
    #[error(transparent)]
    Blob(#[from] VerifyError),
    /// The compressed data is malformed, or costs too much.
    #[error(transparent)]
    Inflate(#[from] InflateError),
    /// The archive is malformed, unsafe, or costs too much.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// The decompressed layer is not the one that the image's config names.
    #[error("the decompressed layer has the diff_id {actual}, not {expected}")]
    DiffId {
        /// The config's.
        expected: Digest,
        /// The computed one.
        actual: Digest,
    },
    /// The diff_id's algorithm is well-formed but not one that can be computed here.
    #[error("cannot compute the diff_id {diff_id}")]
    UnsupportedDiffId {
        /// The config's.
        diff_id: Digest,
    },
}

impl Explain for LayerError {
    fn class(&self) -> Class {
        match self {
            Self::Blob(error) => error.class(),
            Self::Inflate(error) => error.class(),
            Self::Tar(error) => error.class(),
            Self::DiffId { .. } => Class::Integrity,
            Self::UnsupportedDiffId { .. } => Class::Unsupported,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Blob(error) => error.code(),
            Self::Inflate(error) => error.code(),
            Self::Tar(error) => error.code(),
            Self::DiffId { .. } => "diff-id-mismatch",
            Self::UnsupportedDiffId { .. } => "unsupported-digest",
        }
    }

    fn advice(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Blob(error) => error.advice(),
            Self::Inflate(error) => error.advice(),
            Self::Tar(error) => error.advice(),
            Self::DiffId { .. } | Self::UnsupportedDiffId { .. } => None,
        }
    }
}
