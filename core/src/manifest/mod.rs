//! From the bytes of a manifest to a checked index, image or artifact, and its config.
//!
//! Implements OCI image-spec 1.1 (manifest.md, image-index.md, descriptor.md, config.md) and Docker's
//! manifest version 2, schema 2. All types here are read leniently, since registries hold what
//! many tools wrote over ten years: unknown properties, annotations and media types never fail, and
//! `null` is as good as absent. They are read strictly where two readers could see different
//! things in the same bytes:
//!
//! - a repeated key is an error at every depth;
//! - a document with both `manifests` and `layers` is an error, whatever its type (CVE-2021-41190);
//! - the type that a descriptor names wins over the document's own; the types that a server and the
//!   document name must agree.
//!
//! Deviations from the specification: `schemaVersion` may be absent, and a document that nobody
//! names a type for is told by its properties.

mod config;
mod descriptor;
mod error;
mod image;
mod index;
pub(crate) mod json;
pub(crate) mod listing;
mod media_type;
mod platform;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::de::IgnoredAny;

pub use config::{ImageConfig, RuntimeConfig};
pub use descriptor::{Descriptor, MAX_SIZE};
pub use error::ManifestError;
pub use image::{ImageManifest, Kind};
pub(crate) use index::no_match;
pub use index::{Candidate, Index};
pub use json::JsonError;
pub use media_type::{ACCEPT, ACCEPT_OCI, Compression, Distribution, Family, LayerType, MediaType};
pub use platform::{Platform, PlatformError, Preference};

use crate::limits::Limits;

/// A checked manifest of one of the two shapes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "a pull holds a handful of them, and takes each apart at once")]
pub enum Manifest {
    /// A list of manifests, mostly one for each platform.
    Index(Index),
    /// An image or an artifact.
    Image(ImageManifest),
}

/// Who said what a document is before it was read.
#[derive(Clone, Copy, Debug)]
pub enum Declared<'a> {
    /// A descriptor, by whose digest it was fetched.
    Described(&'a MediaType),
    /// A server, by the `Content-Type` that it sent, if any.
    Served(Option<&'a str>),
}

impl Manifest {
    /// Reads and checks a manifest.
    ///
    /// ```
    /// use oci_fetcher_core::error::{Class, Explain};
    /// use oci_fetcher_core::limits::Limits;
    /// use oci_fetcher_core::manifest::{Declared, Manifest};
    ///
    /// let bytes = br#"{"schemaVersion": 2, "manifests": [], "layers": []}"#;
    /// let error = Manifest::parse(bytes, Declared::Served(Some("application/json")), &Limits::default())
    ///     .expect_err("it could be taken for an index and for an image");
    /// assert_eq!(error.class(), Class::Integrity);
    /// ```
    ///
    /// # Errors
    /// [`ManifestError`] for what is malformed or ambiguous, of another kind, or over
    /// `manifest_bytes`, `index_entries` or `layers` of the limits.
    pub fn parse(bytes: &[u8], declared: Declared<'_>, limits: &Limits) -> Result<Self, ManifestError> {
        ManifestError::limit("bytes of a manifest", bytes.len() as u64, limits.manifest_bytes, "manifest_bytes")?;
        let json::Object(document): json::Object<Document> =
            json::parse(bytes).map_err(ManifestError::MalformedManifest)?;
        let media_type = document.media_type(declared)?;
        if media_type.is_index() { document.index(media_type, limits) } else { document.image(media_type, limits) }
    }
}

/// Everything that either shape has, and what betrays others.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: Option<i64>,
    media_type: Option<MediaType>,
    #[serde(default, deserialize_with = "json::present")]
    manifests: Option<Option<Vec<Descriptor>>>,
    #[serde(default, deserialize_with = "json::present")]
    layers: Option<Option<Vec<Descriptor>>>,
    config: Option<Descriptor>,
    artifact_type: Option<String>,
    subject: Option<Descriptor>,
    #[serde(default, deserialize_with = "json::texts")]
    annotations: BTreeMap<String, String>,
    fs_layers: Option<IgnoredAny>,
}

impl Document {
    /// Settles what the document is: an index or image manifest of either family.
    fn media_type(&self, declared: Declared<'_>) -> Result<MediaType, ManifestError> {
        if let (Some(Some(_)), Some(Some(_))) = (&self.manifests, &self.layers) {
            return Err(ManifestError::Ambiguous);
        }
        let body = self.media_type.clone().filter(|body| !body.is_generic());
        let media_type = match declared {
            Declared::Described(described) if !described.is_generic() => Some(described.clone()),
            Declared::Described(_) => body,
            Declared::Served(content_type) => {
                let served = content_type.map(MediaType::parse).filter(|served| !served.is_generic());
                match (served, body) {
                    (Some(served), Some(body)) if served != body => {
                        return Err(ManifestError::TypeMismatch { served, body });
                    }
                    (served, body) => served.or(body),
                }
            }
        };
        let is_schema_1 = matches!(media_type, Some(MediaType::DockerSchema1 | MediaType::DockerSchema1Signed));
        match self.schema_version {
            _ if is_schema_1 => return Err(ManifestError::Schema1),
            Some(1) => return Err(ManifestError::Schema1),
            Some(2) | None => {}
            Some(other) => return Err(ManifestError::SchemaVersion(other)),
        }
        match media_type {
            Some(known) if known.is_index() || known.is_image_manifest() => Ok(known),
            Some(other) => Err(ManifestError::UnknownManifest(other)),
            None if self.fs_layers.is_some() => Err(ManifestError::Schema1),
            None if matches!(self.manifests, Some(Some(_))) => Ok(MediaType::OciIndex),
            None if self.config.is_some() || matches!(self.layers, Some(Some(_))) => Ok(MediaType::OciManifest),
            None if self.manifests.is_some() => Ok(MediaType::OciIndex),
            None => Err(ManifestError::Shapeless),
        }
    }

    fn index(self, media_type: MediaType, limits: &Limits) -> Result<Manifest, ManifestError> {
        let Some(manifests) = self.manifests else {
            return Err(ManifestError::MissingProperty { media_type, property: "manifests" });
        };
        let manifests = manifests.unwrap_or_default();
        ManifestError::limit(
            "entries in an index",
            manifests.len() as u64,
            limits.index_entries.into(),
            "index_entries",
        )?;
        Ok(Manifest::Index(Index {
            media_type,
            manifests,
            artifact_type: self.artifact_type.filter(|text| !text.is_empty()),
            subject: self.subject,
            annotations: self.annotations,
        }))
    }

    fn image(self, media_type: MediaType, limits: &Limits) -> Result<Manifest, ManifestError> {
        let Some(config) = self.config else {
            return Err(ManifestError::MissingProperty { media_type, property: "config" });
        };
        let Some(layers) = self.layers else {
            return Err(ManifestError::MissingProperty { media_type, property: "layers" });
        };
        let layers = layers.unwrap_or_default();
        ManifestError::limit("layers of an image", layers.len() as u64, limits.layers.into(), "layers")?;
        Ok(Manifest::Image(ImageManifest {
            media_type,
            config,
            layers,
            artifact_type: self.artifact_type.filter(|text| !text.is_empty()),
            subject: self.subject,
            annotations: self.annotations,
        }))
    }
}
