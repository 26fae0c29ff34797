//! The one error of the library, over those of every stage.

use std::borrow::Cow;
use std::io::ErrorKind;

use oci_fetcher_core::digest::Digest;
use oci_fetcher_core::entry::PathError;
use oci_fetcher_core::error::{Class, Explain};
use oci_fetcher_core::layer::{LayerError, VerifyError};
use oci_fetcher_core::manifest::{Descriptor, ManifestError};
use oci_fetcher_core::pull::PullError;
use oci_fetcher_core::tree::TreeError;
use oci_fetcher_core::unpack::UnpackError;

use crate::artifact::ArtifactError;
use crate::cache::CacheError;
use crate::credentials::{CredentialError, Lookup};
use crate::disk::DiskError;
use crate::http::TlsError;
use crate::layout::LayoutError;
use crate::local::LocalError;
use crate::staging::StagingError;

/// Why an operation of a [`Client`](crate::Client) failed.
///
/// [`class`](Explain::class) is the class of the process's exit code, [`code`](Explain::code) a
/// stable name, [`advice`](Explain::advice) what to do; the chain of sources says why.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Resolving or transferring failed.
    #[error(transparent)]
    Pull(#[from] PullError),
    /// The registry wants other credentials than there were.
    #[error("{source}; {tried}")]
    Denied {
        /// The registry's refusal.
        source: Box<PullError>,
        /// Where credentials were looked for, and what was found.
        tried: Box<Lookup>,
    },
    /// Credentials could not be had, and the registry wanted some.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// TLS material cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The cache failed.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// There is no place for the cache.
    #[error("there is no place for the cache: neither XDG_CACHE_HOME nor HOME is set")]
    NoCachePlace,
    /// A local source failed.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// A layer is wrong, unsafe or too costly.
    #[error("the layer {digest} cannot be used")]
    Layer {
        /// The layer's blob.
        digest: Digest,
        /// Why.
        #[source]
        source: LayerError,
    },
    /// A blob is not what its descriptor says.
    #[error(transparent)]
    Blob(#[from] VerifyError),
    /// An entry has no safe place in the tree.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// Too much for the limits.
    #[error("{what} exceed the limit of {limit}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: u64,
        /// The command line's option that raises it.
        option: &'static str,
        /// The stable code, which is the core's.
        code: &'static str,
    },
    /// What was pulled as an image cannot be unpacked.
    #[error("{digest} cannot be unpacked")]
    NotUnpackable {
        /// The manifest.
        digest: Digest,
        /// Why.
        #[source]
        source: ManifestError,
    },
    /// A path asked for cannot be one of an image.
    #[error("the path {path:?} cannot be selected")]
    Path {
        /// The path, as it was asked for.
        path: String,
        /// Why.
        #[source]
        source: PathError,
    },
    /// An artifact cannot be written.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The file system failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The destination cannot be used.
    #[error(transparent)]
    Staging(#[from] StagingError),
    /// The layout cannot be used.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The writer failed, or a stored blob could not be read.
    #[error("{operation}")]
    Stream {
        /// What was done.
        operation: &'static str,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// Several sources where one is possible, or none.
    #[error("{0}")]
    Usage(&'static str),
    /// A fault of this library.
    #[error("internal error: {0}")]
    Internal(String),
}

impl Error {
    pub(crate) fn internal(what: &str) -> Self {
        Self::Internal(what.to_owned())
    }

    pub(crate) fn layer(descriptor: &Descriptor, source: LayerError) -> Self {
        Self::Layer { digest: descriptor.digest.clone(), source }
    }

    pub(crate) fn read_back(source: std::io::Error) -> Self {
        Self::Stream { operation: "cannot read a stored blob", source }
    }

    pub(crate) fn write(source: std::io::Error) -> Self {
        Self::Stream { operation: "cannot write the output", source }
    }

    /// Turns the error of unpacking into any file system into this one.
    pub(crate) fn from_unpack<E: Into<Self>>(error: UnpackError<E>) -> Self {
        let (what, limit, option, code) = match error {
            UnpackError::Tree(error) => return error.into(),
            UnpackError::FileSystem(error) => return error.into(),
            UnpackError::Entries { limit } => ("the entries of all layers", limit, "--max-entries", "limit-entries"),
            UnpackError::OutputBytes { limit } => {
                ("the bytes of all layers' files", limit, "--max-output-bytes", "limit-output-bytes")
            }
            UnpackError::TreeBytes { limit } => {
                ("the bytes of the merged tree in memory", limit, "--max-tree-bytes", "limit-tree-bytes")
            }
            UnpackError::OutOfOrder { what } => return Self::Internal(format!("operations came out of order: {what}")),
            _ => return Self::internal("unpacking failed in a new way"),
        };
        Self::Limit { what, limit, option, code }
    }

    /// Returns the blob whose stored bytes were wrong and have been discarded.
    pub(crate) fn stale(&self) -> Option<&Digest> {
        if let Self::Pull(PullError::Stale { digest }) = self { Some(digest) } else { None }
    }

    /// Tells whether bytes were wrong that fetching them anew could set right.
    pub(crate) fn is_wrong_bytes(&self) -> bool {
        matches!(self, Self::Layer { .. } | Self::Blob(_)) && self.class() == Class::Integrity && !self.is_wrong_claim()
    }

    /// Tells whether a blob is what its digest says, and only its image's config says otherwise.
    pub(crate) fn is_wrong_claim(&self) -> bool {
        matches!(self, Self::Layer { source: LayerError::DiffId { .. }, .. })
    }

    fn explain(&self) -> Option<&dyn Explain> {
        Some(match self {
            Self::Pull(error) => error,
            Self::Denied { source, .. } => &**source,
            Self::Credential(error) => error,
            Self::Tls(error) => error,
            Self::Cache(error) => error,
            Self::Local(error) => error,
            Self::Layer { source, .. } => source,
            Self::Blob(error) => error,
            Self::Tree(error) => error,
            Self::NotUnpackable { source, .. } => source,
            Self::Path { source, .. } => source,
            Self::Artifact(error) => error,
            Self::Disk(error) => error,
            Self::Staging(error) => error,
            Self::Layout(error) => error,
            Self::NoCachePlace | Self::Limit { .. } | Self::Stream { .. } | Self::Usage(_) | Self::Internal(_) => {
                return None;
            }
        })
    }
}

impl Explain for Error {
    fn class(&self) -> Class {
        match (self.explain(), self) {
            // What was asked for is wrong, not what an image holds.
            (_, Self::Path { .. } | Self::Usage(_)) => Class::Usage,
            (_, Self::Limit { .. }) => Class::Refused,
            (_, Self::NoCachePlace | Self::Stream { .. }) => Class::Local,
            (explained, _) => explained.map_or(Class::Internal, Explain::class),
        }
    }

    fn code(&self) -> &'static str {
        match (self.explain(), self) {
            (_, Self::NoCachePlace) => "no-cache-place",
            (_, Self::Limit { code, .. }) => code,
            (_, Self::Stream { source, .. }) if is_full(source) => "disk-full",
            (_, Self::Stream { .. }) => "stream",
            (_, Self::Usage(_)) => "usage",
            (explained, _) => explained.map_or("internal", Explain::code),
        }
    }

    fn advice(&self) -> Option<Cow<'static, str>> {
        match (self.explain(), self) {
            (_, Self::NoCachePlace) => Some("pass --cache-dir or --no-cache".into()),
            (_, Self::Limit { option, .. }) => Some(format!("raise it with {option} if the content is trusted").into()),
            (_, Self::Stream { source, .. }) => Some(local_advice(source).into()),
            (_, Self::Denied { tried, .. }) if let Some(found) = &tried.found => Some(
                format!(
                    "log in anew (docker login, podman login): the credentials from {} were refused, or may not read this repository",
                    found.origin
                )
                .into(),
            ),
            (_, Self::Internal(_)) => Some("please report it, with the command and its output".into()),
            (explained, _) => explained.and_then(Explain::advice).or_else(|| general_advice(self.class())),
        }
    }
}

/// Returns what can be done where this machine failed while it read or wrote.
#[must_use]
pub fn local_advice(error: &std::io::Error) -> &'static str {
    if is_full(error) {
        return "free some space, or choose another place";
    }
    let kind = error.kind();
    if matches!(kind, ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) {
        "choose a place where you may write"
    } else if matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory) {
        "check the path: its folder has to exist"
    } else {
        CHECK_DISK
    }
}

const CHECK_DISK: &str = "check the disk and its file system, and try again";

/// Tells whether there is no room left.
#[must_use]
pub fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// Returns what can be done about any error of a class, where nothing more exact is known.
fn general_advice(class: Class) -> Option<Cow<'static, str>> {
    let advice = [
        (Class::NotFound, "check the name"),
        (Class::Integrity, "the content was damaged, or was made wrong: tell who runs the registry, and do not use it"),
        (Class::Refused, "the content is unsafe: do not use it unless you trust who made it"),
        (Class::Network, "try again later; what was fetched is kept"),
        (Class::Authentication, "check the credentials"),
        (Class::Local, CHECK_DISK),
        (Class::Unsupported, "use another image, or another tool for this one"),
    ];
    advice.into_iter().find(|(of, _)| *of == class).map(|(_, advice)| advice.into())
}
