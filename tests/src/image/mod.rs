//! Builders of layers, images, indexes and artifacts.
//!
//! Each builder packs into a [`Manifest`]: the exact bytes a registry serves, with the blobs and
//! manifests beneath it. The same calls always give the same bytes.

mod archive;
mod artifact;
mod compress;
mod image_manifest;
mod index;
mod layer;

pub use archive::pax_record;
pub use artifact::{Artifact, wasm_module};
pub use compress::Compression;
pub use image_manifest::Image;
pub use index::Index;
pub use layer::{Layer, MODIFIED, PackedLayer};

use oci_fetcher_core::digest::{Algorithm, Digest};
use serde_json::{Value, json};

use crate::content::Blob;

/// The media types a manifest and its descriptors carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Types {
    /// Those of the OCI image specification.
    Oci,
    /// Those of Docker's image manifest, version 2, schema 2.
    Docker,
}

/// A manifest or index, packed: its bytes and everything they name.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The media type it is served with.
    pub media_type: String,
    /// The bytes it is served as.
    pub bytes: Vec<u8>,
    /// The platform an index lists it under.
    pub platform: Option<Value>,
    /// The artifact type that descriptors of it carry.
    pub artifact_type: Option<String>,
    /// The annotations that descriptors of it carry.
    pub annotations: Vec<(String, String)>,
    /// The blobs it names, each under its digest.
    pub blobs: Vec<(Digest, Blob)>,
    /// The manifests it names.
    pub children: Vec<Self>,
}

impl Manifest {
    /// Makes a manifest of bytes as they are, which name nothing.
    pub fn raw(media_type: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            media_type: media_type.to_owned(),
            bytes: bytes.into(),
            platform: None,
            artifact_type: None,
            annotations: Vec::new(),
            blobs: Vec::new(),
            children: Vec::new(),
        }
    }

    /// Computes the SHA-256 digest of its bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(Algorithm::Sha256, &self.bytes)
    }

    /// Returns the descriptor under which an index, a subject or a list of referrers names it.
    #[must_use]
    pub fn descriptor(&self) -> Value {
        let mut descriptor = descriptor(&self.media_type, &self.digest(), self.bytes.len() as u64);
        if let Some(platform) = &self.platform {
            descriptor["platform"] = platform.clone();
        }
        if let Some(artifact_type) = &self.artifact_type {
            descriptor["artifactType"] = json!(artifact_type);
        }
        annotate(&mut descriptor, &self.annotations);
        descriptor
    }
}

/// Returns the descriptor of something with this media type, digest and size in bytes.
#[must_use]
pub fn descriptor(media_type: &str, digest: &Digest, size: u64) -> Value {
    json!({ "mediaType": media_type, "digest": digest.as_str(), "size": size })
}

/// Adds annotations to a manifest or descriptor, and no empty object.
fn annotate(value: &mut Value, annotations: &[(String, String)]) {
    for (key, text) in annotations {
        value["annotations"][key] = json!(text);
    }
}

/// Stores bytes under their digest, and returns their descriptor.
fn store(blobs: &mut Vec<(Digest, Blob)>, media_type: &str, bytes: Vec<u8>) -> Value {
    let digest = Digest::of(Algorithm::Sha256, &bytes);
    let descriptor = descriptor(media_type, &digest, bytes.len() as u64);
    blobs.push((digest, Blob::from(bytes)));
    descriptor
}

/// Serialises JSON as registries hold it: compact, keys in byte order.
fn serialize(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).expect("a JSON value always serialises")
}

/// What a test does to a JSON document before it is packed.
#[derive(Clone)]
struct Edit(std::sync::Arc<dyn Fn(&mut Value) + Send + Sync>);

impl std::fmt::Debug for Edit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Edit(..)")
    }
}

#[cfg(test)]
mod tests;
