//! Stub.
use crate::blob::Blob;
use oci_fetcher_core::digest::Digest;
use oci_fetcher_core::error::{Class, Explain};
use oci_fetcher_core::limits::Limits;
use oci_fetcher_core::manifest::Descriptor;
use oci_fetcher_core::source::Source;
#[derive(Debug)]
pub(crate) struct LocalSource;
/// Stub.
#[derive(Debug, thiserror::Error)]
#[error("stub")]
pub struct LocalError;
impl Explain for LocalError {
    fn class(&self) -> Class {
        Class::Local
    }
    fn code(&self) -> &'static str {
        "stub"
    }
}
impl LocalSource {
    pub(crate) fn open(_: &Source, _: &Limits) -> Result<Self, LocalError> {
        Err(LocalError)
    }
    pub(crate) fn descriptor(&self) -> &Descriptor {
        panic!()
    }
    pub(crate) fn read(&self, _: &Digest, _: u64) -> Result<Option<Vec<u8>>, LocalError> {
        Err(LocalError)
    }
    pub(crate) fn open_blob(&self, _: &Digest) -> Result<Option<Blob>, LocalError> {
        Err(LocalError)
    }
    pub(crate) fn is_synthesised(&self) -> bool {
        false
    }
}
