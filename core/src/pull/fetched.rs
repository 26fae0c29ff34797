//! Small blobs, verified and kept byte for byte.

use std::sync::Arc;

use super::error::PullError;
use crate::digest::{Algorithm, Digest};
use crate::limits::Limits;
use crate::manifest::{Declared, Manifest, ManifestError, MediaType};

/// A manifest or index exactly as served, verified against its digest.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The digest that its bytes have.
    pub digest: Digest,
    /// The bytes, as served.
    pub bytes: Arc<[u8]>,
    /// What the bytes say.
    pub manifest: Manifest,
}

impl Fetched {
    /// Returns the media type that a descriptor of it bears.
    #[must_use]
    pub fn media_type(&self) -> &MediaType {
        match &self.manifest {
            Manifest::Index(index) => &index.media_type,
            Manifest::Image(image) => &image.media_type,
        }
    }
}

/// Checks bytes against the digest they were asked for by.
pub(super) fn verify(what: &str, expected: &Digest, bytes: &[u8]) -> Result<(), PullError> {
    let algorithm = expected.algorithm().ok_or_else(|| PullError::Algorithm { digest: expected.clone() })?;
    let found = Digest::of(algorithm, bytes);
    if found != *expected {
        return Err(PullError::DigestMismatch { what: what.to_owned(), expected: expected.clone(), found });
    }
    Ok(())
}

/// Reads a manifest; `digest` is the one it was verified against, or `None` for a tag's.
pub(super) fn read(
    what: &str,
    digest: Option<Digest>,
    bytes: Arc<[u8]>,
    declared: Declared<'_>,
    limits: &Limits,
) -> Result<Fetched, PullError> {
    let manifest = Manifest::parse(&bytes, declared, limits).map_err(|source| unusable(what, source))?;
    let digest = digest.unwrap_or_else(|| Digest::of(Algorithm::Sha256, &bytes));
    Ok(Fetched { digest, bytes, manifest })
}

/// Says that a manifest, index or config cannot be used.
pub(super) fn unusable(what: &str, source: ManifestError) -> PullError {
    PullError::Manifest { what: what.to_owned(), source }
}
