//! The builder of artifacts.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Edit, Manifest, annotate, serialize, store};

/// Builds an artifact: an image manifest whose config is empty or of a type of its own.
///
/// ```
/// use oci_fetcher_tests::image::{Artifact, wasm_module};
///
/// let plugin = Artifact::new("application/vnd.example.plugin").file("plugin.bin", b"\x01\x02");
/// let module = Artifact::wasm(&wasm_module());
/// assert_eq!(plugin.pack().artifact_type.as_deref(), Some("application/vnd.example.plugin"));
/// assert_eq!(module.pack().artifact_type, None);
/// ```
#[derive(Clone, Debug)]
pub struct Artifact {
    artifact_type: Option<String>,
    config: (String, Vec<u8>),
    layers: Vec<(String, Vec<u8>, Option<String>)>,
    annotations: Vec<(String, String)>,
    subject: Option<Value>,
    edits: Vec<Edit>,
}

impl Artifact {
    /// Starts an artifact of this type, with the empty config.
    #[must_use]
    pub fn new(artifact_type: &str) -> Self {
        Self {
            artifact_type: Some(artifact_type.to_owned()),
            config: ("application/vnd.oci.empty.v1+json".to_owned(), b"{}".to_vec()),
            layers: Vec::new(),
            annotations: Vec::new(),
            subject: None,
            edits: Vec::new(),
        }
    }

    /// Starts an artifact as the WebAssembly working group of the CNCF lays it out: one module, and
    /// a config whose media type says so.
    #[must_use]
    pub fn wasm(module: &[u8]) -> Self {
        let config = json!({ "architecture": "wasm", "os": "wasip1", "layerDigests": [] });
        let artifact = Self { artifact_type: None, ..Self::new("") };
        artifact.config("application/vnd.wasm.config.v0+json", serialize(&config)).layer("application/wasm", module)
    }

    /// Sets the config.
    #[must_use]
    pub fn config(mut self, media_type: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.config = (media_type.to_owned(), bytes.into());
        self
    }

    /// Adds a file: a layer with a title.
    #[must_use]
    pub fn file(mut self, title: &str, bytes: impl AsRef<[u8]>) -> Self {
        let media_type = "application/octet-stream".to_owned();
        self.layers.push((media_type, bytes.as_ref().to_vec(), Some(title.to_owned())));
        self
    }

    /// Adds a layer without a title.
    #[must_use]
    pub fn layer(mut self, media_type: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.layers.push((media_type.to_owned(), bytes.as_ref().to_vec(), None));
        self
    }

    /// Adds an annotation to the manifest.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Makes the artifact refer to another manifest: a signature, an SBOM.
    #[must_use]
    pub fn subject(mut self, subject: &Manifest) -> Self {
        self.subject = Some(subject.descriptor());
        self
    }

    /// Changes the manifest's JSON before it is hashed.
    #[must_use]
    pub fn edit(mut self, edit: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        self.edits.push(Edit(Arc::new(edit)));
        self
    }

    /// Packs manifest, config and layers.
    #[must_use]
    pub fn pack(&self) -> Manifest {
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let mut blobs = Vec::new();
        let mut manifest = json!({ "schemaVersion": 2, "mediaType": media_type });
        if let Some(artifact_type) = &self.artifact_type {
            manifest["artifactType"] = json!(artifact_type);
        }
        manifest["config"] = store(&mut blobs, &self.config.0, self.config.1.clone());
        let layers = self.layers.iter().map(|(media_type, bytes, title)| {
            let mut layer = store(&mut blobs, media_type, bytes.clone());
            if let Some(title) = title {
                layer["annotations"] = json!({ "org.opencontainers.image.title": title });
            }
            layer
        });
        manifest["layers"] = layers.collect();
        if let Some(subject) = &self.subject {
            manifest["subject"] = subject.clone();
        }
        annotate(&mut manifest, &self.annotations);
        for edit in &self.edits {
            edit.0(&mut manifest);
        }
        Manifest {
            artifact_type: self.artifact_type.clone(),
            annotations: self.annotations.clone(),
            blobs,
            ..Manifest::raw(media_type, serialize(&manifest))
        }
    }
}

impl From<Artifact> for Manifest {
    fn from(artifact: Artifact) -> Self {
        artifact.pack()
    }
}

impl From<&Artifact> for Manifest {
    fn from(artifact: &Artifact) -> Self {
        artifact.pack()
    }
}

/// Returns the smallest WebAssembly module: its magic number and version.
#[must_use]
pub fn wasm_module() -> Vec<u8> {
    b"\0asm\x01\0\0\0".to_vec()
}
