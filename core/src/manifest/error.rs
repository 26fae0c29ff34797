//! What can be wrong with a manifest, an index or a config.

use std::borrow::Cow;

use super::{JsonError, MediaType};
use crate::error::{Class, Explain};

/// Why a manifest, index or config cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// A manifest or index that is not what its type says.
    #[error("malformed manifest")]
    MalformedManifest(#[source] JsonError),
    /// An image config that is not what its type says.
    #[error("malformed image config")]
    MalformedConfig(#[source] JsonError),
    /// A property that the manifest's type requires is absent.
    #[error("malformed manifest: {media_type} without \"{property}\"")]
    MissingProperty {
        /// The type it was read as.
        media_type: MediaType,
        /// The property.
        property: &'static str,
    },
    /// Neither a type nor a property tells what the document is.
    #[error("malformed manifest: neither an index nor an image manifest")]
    Shapeless,
    /// Both `manifests` and `layers`: two readers could take it for different things.
    #[error("ambiguous manifest: both \"manifests\" and \"layers\" are present")]
    Ambiguous,
    /// The document and the server name different manifest types.
    #[error("ambiguous manifest: it was served as {served} but says it is {body}")]
    TypeMismatch {
        /// The `Content-Type`.
        served: MediaType,
        /// The document's own `mediaType`.
        body: MediaType,
    },
    /// Docker's schema 1, which registries have stopped accepting.
    #[error("the manifest uses Docker's schema 1")]
    Schema1,
    /// A `schemaVersion` other than 2.
    #[error("unknown manifest schema version {0}")]
    SchemaVersion(i64),
    /// A type that is no manifest's.
    #[error("unknown manifest type {0}")]
    UnknownManifest(MediaType),
    /// More than a [limit](crate::limits::Limits) allows.
    #[error("{found} {what}, which is over the limit of {limit}")]
    Limit {
        /// What was counted.
        what: &'static str,
        /// How many there are.
        found: u64,
        /// How many there may be.
        limit: u64,
        /// The field of `Limits`.
        field: &'static str,
    },
    /// An artifact where an image is needed.
    #[error("not an image but an artifact of type {}", super::listing::excerpt(artifact_type))]
    NotAnImage {
        /// Its type.
        artifact_type: String,
    },
    /// A layer that is no change set of a root file system.
    #[error("layer {position} has the unknown type {media_type}")]
    UnknownLayer {
        /// Counted from 0.
        position: usize,
        /// Its type.
        media_type: MediaType,
    },
    /// An encrypted layer.
    #[error("layer {position} is encrypted ({media_type})")]
    EncryptedLayer {
        /// Counted from 0.
        position: usize,
        /// Its type.
        media_type: MediaType,
    },
    /// A `rootfs.type` other than `layers`.
    #[error("unknown root file system type \"{}\" in the image config", super::listing::excerpt(.0))]
    RootfsType(String),
    /// The config and the manifest disagree about the number of layers.
    #[error("the image config lists {diff_ids} diff_ids for {layers} layers")]
    LayerCount {
        /// Layers in the manifest.
        layers: usize,
        /// diff_ids in the config.
        diff_ids: usize,
    },
    /// No entry of an index is for the platform.
    #[error("no image for the platform {wanted} (available: {available})")]
    PlatformNotFound {
        /// The platform.
        wanted: String,
        /// The index's platforms, escaped and bounded.
        available: String,
    },
    /// Several versions of Windows would do, and none was named.
    #[error("the platform {wanted} needs an os.version (available: {available})")]
    WindowsVersion {
        /// The platform.
        wanted: String,
        /// The index's fitting platforms, escaped and bounded.
        available: String,
    },
    /// A single image is for another platform than the one asked for.
    #[error("the image is for the platform {offered}, not for {wanted}")]
    PlatformMismatch {
        /// The platform asked for.
        wanted: String,
        /// What the image's config says.
        offered: String,
    },
}

impl ManifestError {
    /// Checks a count against a limit.
    pub(super) fn limit(what: &'static str, found: u64, limit: u64, field: &'static str) -> Result<(), Self> {
        if found <= limit { Ok(()) } else { Err(Self::Limit { what, found, limit, field }) }
    }
}

impl Explain for ManifestError {
    fn class(&self) -> Class {
        match self {
            Self::MalformedManifest(_)
            | Self::MalformedConfig(_)
            | Self::MissingProperty { .. }
            | Self::Shapeless
            | Self::Ambiguous
            | Self::TypeMismatch { .. }
            | Self::LayerCount { .. } => Class::Integrity,
            Self::Limit { .. } => Class::Refused,
            Self::Schema1
            | Self::SchemaVersion(_)
            | Self::UnknownManifest(_)
            | Self::NotAnImage { .. }
            | Self::UnknownLayer { .. }
            | Self::EncryptedLayer { .. }
            | Self::RootfsType(_) => Class::Unsupported,
            Self::PlatformNotFound { .. } | Self::PlatformMismatch { .. } => Class::NotFound,
            Self::WindowsVersion { .. } => Class::Usage,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::MalformedManifest(_) | Self::MissingProperty { .. } | Self::Shapeless => "malformed-manifest",
            Self::MalformedConfig(_) => "malformed-config",
            Self::Ambiguous | Self::TypeMismatch { .. } => "ambiguous-manifest",
            Self::Schema1 => "schema-1",
            Self::SchemaVersion(_) | Self::UnknownManifest(_) => "unknown-manifest-type",
            Self::Limit { .. } => "limit-exceeded",
            Self::NotAnImage { .. } => "not-an-image",
            Self::UnknownLayer { .. } => "unknown-layer-type",
            Self::EncryptedLayer { .. } => "encrypted-layer",
            Self::RootfsType(_) => "unknown-rootfs-type",
            Self::LayerCount { .. } => "layer-count-mismatch",
            Self::PlatformNotFound { .. } => "platform-not-found",
            Self::WindowsVersion { .. } => "windows-version-needed",
            Self::PlatformMismatch { .. } => "platform-mismatch",
        }
    }

    fn advice(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Schema1 => Some("push the image again with a current tool, which writes OCI manifests".into()),
            Self::Limit { field, .. } => Some(
                format!("raise Limits::{field} (--max-{}) if the source is trusted", field.replace('_', "-")).into(),
            ),
            Self::NotAnImage { .. } | Self::UnknownLayer { .. } => {
                Some("use `get`, which writes layers as they are".into())
            }
            Self::EncryptedLayer { .. } => Some("pull an image that is not encrypted".into()),
            Self::PlatformNotFound { .. } => Some("choose one of the available platforms with --platform".into()),
            Self::WindowsVersion { .. } => {
                Some("add the version after a colon, as in --platform windows/amd64:10.0.20348".into())
            }
            Self::PlatformMismatch { .. } => Some("leave out --platform to take the image as it is".into()),
            Self::MalformedManifest(_)
            | Self::MalformedConfig(_)
            | Self::MissingProperty { .. }
            | Self::Shapeless
            | Self::Ambiguous
            | Self::TypeMismatch { .. }
            | Self::SchemaVersion(_)
            | Self::UnknownManifest(_)
            | Self::RootfsType(_)
            | Self::LayerCount { .. } => None,
        }
    }
}
