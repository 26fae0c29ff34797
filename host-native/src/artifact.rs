//! What can be wrong with an artifact's files, and how they are called.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use oci_fetcher_core::artifact::{self as core, WasmKind};
use oci_fetcher_core::digest::Digest;
use oci_fetcher_core::entry::EntryPath;
use oci_fetcher_core::error::{Class, Explain};
use oci_fetcher_core::manifest::Descriptor;

use crate::error::{is_full, local_advice};

/// Why an artifact's files cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArtifactError {
    /// A title that is no safe name, or is claimed twice.
    #[error(transparent)]
    Name(#[from] core::ArtifactError),
    /// Something stands there already.
    #[error("{} exists already", path.display())]
    Exists {
        /// What stands there.
        path: PathBuf,
    },
    /// A symbolic link, or a file, where a directory is needed.
    #[error("{} is not a directory", path.display())]
    NotADirectory {
        /// What stands there.
        path: PathBuf,
    },
    /// One file was wanted of an artifact that has none or several.
    #[error("the artifact has {count} files, not one")]
    NotOne {
        /// How many it has.
        count: usize,
    },
    /// Content of a WebAssembly type that is no WebAssembly binary.
    #[error("{digest} claims to be WebAssembly")]
    NotWasm {
        /// The blob.
        digest: Digest,
        /// How it begins.
        #[source]
        source: core::ArtifactError,
    },
    /// The file system failed.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// What was done.
        operation: &'static str,
        /// With what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
}

impl Explain for ArtifactError {
    fn class(&self) -> Class {
        match self {
            Self::Name(error) | Self::NotWasm { source: error, .. } => error.class(),
            Self::Exists { .. } | Self::NotADirectory { .. } | Self::NotOne { .. } => Class::Usage,
            Self::Io { .. } => Class::Local,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Name(error) | Self::NotWasm { source: error, .. } => error.code(),
            Self::Exists { .. } => "file-exists",
            Self::NotADirectory { .. } => "not-a-directory",
            Self::NotOne { .. } => "not-one-file",
            Self::Io { source, .. } if is_full(source) => "disk-full",
            Self::Io { .. } => "io",
        }
    }

    fn advice(&self) -> Option<Cow<'static, str>> {
        Some(match self {
            Self::Name(_) => "fetch the files one by one with the command `blob`".into(),
            Self::Exists { .. } => "choose another directory, or pass --force to overwrite".into(),
            Self::NotADirectory { .. } => "choose another directory".into(),
            Self::NotOne { .. } => "give a directory instead of a single file".into(),
            Self::Io { source, .. } => local_advice(source).into(),
            Self::NotWasm { .. } => return None,
        })
    }
}

/// Returns the safe names of an artifact's files, in manifest order.
pub(crate) fn names(files: &[Arc<Descriptor>]) -> Result<Vec<EntryPath>, ArtifactError> {
    Ok(core::file_names(files.iter().map(|file| (&file.digest, file.title())))?)
}

/// Tells whether a blob is of a WebAssembly type, and so has to begin as a binary does.
pub(crate) fn claims_wasm(descriptor: &Descriptor) -> bool {
    WasmKind::is_claimed_by(&descriptor.media_type)
}

/// Reads the first bytes of a WebAssembly binary.
pub(crate) fn wasm_kind(digest: &Digest, beginning: &[u8]) -> Result<WasmKind, ArtifactError> {
    WasmKind::of(beginning).map_err(|source| ArtifactError::NotWasm { digest: digest.clone(), source })
}
