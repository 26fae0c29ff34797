//! The builder of indexes.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Edit, Manifest, Types, annotate, serialize, store};

/// Builds an index over images, artifacts and further indexes.
///
/// ```
/// use oci_fetcher_tests::image::{Image, Index};
///
/// let index = Index::new()
///     .manifest(Image::new().platform("linux/amd64"))
///     .attested(Image::new().platform("linux/arm64/v8"))
///     .manifest(Index::new().manifest(Image::new().platform("linux/s390x")));
/// assert_eq!(index.pack().children.len(), 4);
/// ```
#[derive(Clone, Debug)]
pub struct Index {
    types: Types,
    children: Vec<Manifest>,
    descriptors: Vec<Value>,
    annotations: Vec<(String, String)>,
    edits: Vec<Edit>,
}

impl Default for Index {
    fn default() -> Self {
        Self::new()
    }
}

impl Index {
    /// Starts an OCI index that lists nothing.
    #[must_use]
    pub fn new() -> Self {
        Self {
            types: Types::Oci,
            children: Vec::new(),
            descriptors: Vec::new(),
            annotations: Vec::new(),
            edits: Vec::new(),
        }
    }

    /// Chooses the media type: an OCI index or Docker's manifest list.
    #[must_use]
    pub fn types(mut self, types: Types) -> Self {
        self.types = types;
        self
    }

    /// Lists an image, an artifact or an index.
    #[must_use]
    pub fn manifest(mut self, manifest: impl Into<Manifest>) -> Self {
        let manifest = manifest.into();
        self.descriptors.push(manifest.descriptor());
        self.children.push(manifest);
        self
    }

    /// Lists an image, and an attestation of its making the way BuildKit does: under the platform
    /// `unknown/unknown`.
    #[must_use]
    pub fn attested(self, image: impl Into<Manifest>) -> Self {
        let image = image.into();
        let attestation = attestation(&image);
        self.manifest(image).manifest(attestation)
    }

    /// Lists something that need not exist.
    #[must_use]
    pub fn descriptor(mut self, descriptor: Value) -> Self {
        self.descriptors.push(descriptor);
        self
    }

    /// Adds an annotation.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Changes the JSON before it is hashed.
    #[must_use]
    pub fn edit(mut self, edit: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        self.edits.push(Edit(Arc::new(edit)));
        self
    }

    /// Packs the index and everything beneath.
    #[must_use]
    pub fn pack(&self) -> Manifest {
        let media_type = match self.types {
            Types::Oci => "application/vnd.oci.image.index.v1+json",
            Types::Docker => "application/vnd.docker.distribution.manifest.list.v2+json",
        };
        let mut index = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": self.descriptors });
        annotate(&mut index, &self.annotations);
        for edit in &self.edits {
            edit.0(&mut index);
        }
        Manifest { children: self.children.clone(), ..Manifest::raw(media_type, serialize(&index)) }
    }
}

impl From<Index> for Manifest {
    fn from(index: Index) -> Self {
        index.pack()
    }
}

impl From<&Index> for Manifest {
    fn from(index: &Index) -> Self {
        index.pack()
    }
}

fn attestation(image: &Manifest) -> Manifest {
    let mut blobs = Vec::new();
    let config = json!({
        "architecture": "unknown", "os": "unknown", "config": {},
        "rootfs": { "type": "layers", "diff_ids": [] },
    });
    let statement = json!({ "_type": "https://in-toto.io/Statement/v0.1", "subject": [], "predicate": {} });
    let mut layer = store(&mut blobs, "application/vnd.in-toto+json", serialize(&statement));
    layer["annotations"] = json!({ "in-toto.io/predicate-type": "https://slsa.dev/provenance/v0.2" });
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": store(&mut blobs, "application/vnd.oci.image.config.v1+json", serialize(&config)),
        "layers": [layer],
    });
    Manifest {
        platform: Some(json!({ "os": "unknown", "architecture": "unknown" })),
        annotations: vec![
            ("vnd.docker.reference.type".to_owned(), "attestation-manifest".to_owned()),
            ("vnd.docker.reference.digest".to_owned(), image.digest().to_string()),
        ],
        blobs,
        ..Manifest::raw(media_type, serialize(&manifest))
    }
}
