//! Image manifests, which describe images and artifacts alike (OCI image-spec 1.1, manifest.md;
//! Docker schema 2).

use std::collections::BTreeMap;

use super::{Descriptor, LayerType, ManifestError, MediaType};

/// A checked image manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageManifest {
    /// [`OciManifest`](MediaType::OciManifest) or [`DockerManifest`](MediaType::DockerManifest).
    pub media_type: MediaType,
    /// The config; an image's only by its type.
    pub config: Descriptor,
    /// The layers, the base first. A digest may repeat.
    pub layers: Vec<Descriptor>,
    /// The artifact's type as the manifest says it.
    pub artifact_type: Option<String>,
    /// The manifest that this one refers to.
    pub subject: Option<Descriptor>,
    /// Free texts; escape them before they are shown.
    pub annotations: BTreeMap<String, String>,
}

/// What an image manifest describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind<'m> {
    /// An image: its config lists diff_ids, whatever its layers are.
    Image,
    /// An artifact, whose config is never parsed.
    Artifact {
        /// Its type; escape it before it is shown.
        artifact_type: &'m str,
    },
}

impl ImageManifest {
    /// Tells images from artifacts by the type of the config, as runtimes do.
    #[must_use]
    pub fn kind(&self) -> Kind<'_> {
        if self.config.media_type.is_image_config() {
            Kind::Image
        } else {
            Kind::Artifact { artifact_type: self.artifact_type() }
        }
    }

    /// Returns the artifact's type: the manifest's `artifactType`, or else the config's type.
    #[must_use]
    pub fn artifact_type(&self) -> &str {
        self.artifact_type.as_deref().unwrap_or_else(|| self.config.media_type.as_str())
    }

    /// Tells whether there is no config, only the placeholder `{}` of artifacts.
    #[must_use]
    pub fn has_empty_config(&self) -> bool {
        self.config.media_type == MediaType::OciEmpty
    }

    /// Checks that this is an image whose layers can all be unpacked, and returns their types in
    /// the layers' order.
    ///
    /// Signatures and attestations are stored with an image's config but layers of their own, so
    /// only config and layers together make an image.
    ///
    /// # Errors
    /// [`ManifestError::NotAnImage`], [`ManifestError::UnknownLayer`] or
    /// [`ManifestError::EncryptedLayer`].
    pub fn check_unpackable(&self) -> Result<Vec<LayerType>, ManifestError> {
        match self.kind() {
            Kind::Image => {}
            Kind::Artifact { artifact_type } => {
                return Err(ManifestError::NotAnImage { artifact_type: artifact_type.to_owned() });
            }
        }
        let layer_type = |(position, layer): (usize, &Descriptor)| {
            layer.media_type.layer_type().ok_or_else(|| {
                let media_type = layer.media_type.clone();
                if media_type.is_encrypted() {
                    ManifestError::EncryptedLayer { position, media_type }
                } else {
                    ManifestError::UnknownLayer { position, media_type }
                }
            })
        };
        self.layers.iter().enumerate().map(layer_type).collect()
    }
}
