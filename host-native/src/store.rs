//! Where blobs are looked for, and kept: the cache, or a source on this machine.

use std::sync::Arc;

use oci_fetcher_core::digest::Digest;

use crate::blob::Blob;
use crate::cache::{Cache, Opened, Partial};
use crate::error::Error;
use crate::local::LocalSource;

/// A place for blobs.
#[derive(Debug)]
pub(crate) enum Store {
    /// The cache, shared or of this pull alone.
    Cache(Cache),
    /// A layout or archive, which is only read.
    Local(Arc<LocalSource>),
}

/// What a store has of a blob.
pub(crate) enum Holding {
    /// All of it, not verified in this run.
    Whole(Blob),
    /// Its beginning, which can be appended to.
    Partial(Partial),
    /// Nothing, and it cannot be stored either.
    Nothing,
}

impl Store {
    /// Reads a small blob whole; the caller verifies it.
    pub(crate) fn read(&self, digest: &Digest, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        match self {
            Self::Cache(cache) => Ok(cache.read(digest, limit)?),
            Self::Local(source) => Ok(source.read(digest, limit)?),
        }
    }

    /// Opens a blob of `size` bytes.
    pub(crate) fn open(&self, digest: &Digest, size: u64) -> Result<Holding, Error> {
        match self {
            Self::Cache(cache) => Ok(match cache.open_or_begin(digest, size)? {
                Opened::Whole(blob) => Holding::Whole(blob),
                Opened::Partial(partial) => Holding::Partial(partial),
            }),
            Self::Local(source) => Ok(source.open_blob(digest)?.map_or(Holding::Nothing, Holding::Whole)),
        }
    }

    /// Returns the size of a whole blob, if it is here.
    pub(crate) fn stored_size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        let blob = match self {
            Self::Cache(cache) => cache.open(digest)?,
            Self::Local(source) => source.open_blob(digest)?,
        };
        Ok(blob.map(|blob| blob.length()))
    }

    /// Keeps a small blob that has been verified.
    pub(crate) fn keep(&self, digest: &Digest, bytes: &[u8]) -> Result<(), Error> {
        match self {
            Self::Cache(cache) => Ok(cache.keep(digest, bytes)?),
            Self::Local(_) => Ok(()),
        }
    }

    /// Forgets a blob that is not what its name says.
    pub(crate) fn discard(&self, digest: &Digest) -> Result<(), Error> {
        match self {
            Self::Cache(cache) => Ok(cache.discard(digest)?),
            Self::Local(_) => Ok(()),
        }
    }

    /// Returns what a tag was when it was last resolved.
    pub(crate) fn recall(&self, reference: &str) -> Result<Option<Digest>, Error> {
        match self {
            Self::Cache(cache) => Ok(cache.recall(reference)?),
            Self::Local(_) => Ok(None),
        }
    }

    /// Keeps what a tag is now.
    pub(crate) fn remember(&self, reference: &str, digest: &Digest) -> Result<(), Error> {
        match self {
            Self::Cache(cache) => Ok(cache.remember(reference, digest)?),
            Self::Local(_) => Ok(()),
        }
    }
}
