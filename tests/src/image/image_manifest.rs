//! The builder of images.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Edit, Layer, Manifest, PackedLayer, Types, annotate, serialize, store};

/// Builds an image: its config and its manifest.
///
/// ```
/// use oci_fetcher_tests::image::{Image, Layer};
///
/// let image = Image::new().platform("linux/arm64/v8").layer(Layer::new().file("hello", b"world\n")).env("LANG=C");
/// assert_eq!(image.pack().media_type, "application/vnd.oci.image.manifest.v1+json");
/// assert_eq!(image.pack().digest(), image.pack().digest());
/// ```
#[derive(Clone, Debug)]
pub struct Image {
    types: Types,
    platform: Value,
    layers: Vec<Content>,
    configuration: BTreeMap<&'static str, Value>,
    annotations: Vec<(String, String)>,
    subject: Option<Value>,
    config_edits: Vec<Edit>,
    manifest_edits: Vec<Edit>,
}

#[derive(Clone, Debug)]
enum Content {
    Layer(Layer),
    Packed(PackedLayer),
}

impl Default for Image {
    fn default() -> Self {
        Self::new()
    }
}

impl Image {
    /// Starts an OCI image for linux/amd64 without layers.
    #[must_use]
    pub fn new() -> Self {
        Self {
            types: Types::Oci,
            platform: parse_platform("linux/amd64"),
            layers: Vec::new(),
            configuration: BTreeMap::new(),
            annotations: Vec::new(),
            subject: None,
            config_edits: Vec::new(),
            manifest_edits: Vec::new(),
        }
    }

    /// Chooses the media types.
    #[must_use]
    pub fn types(mut self, types: Types) -> Self {
        self.types = types;
        self
    }

    /// Sets the platform, `os/architecture` or `os/architecture/variant`.
    #[must_use]
    pub fn platform(mut self, platform: &str) -> Self {
        self.platform = parse_platform(platform);
        self
    }

    /// Sets the version of the operating system.
    #[must_use]
    pub fn os_version(mut self, version: &str) -> Self {
        self.platform["os.version"] = json!(version);
        self
    }

    /// Adds a layer on top.
    #[must_use]
    pub fn layer(mut self, layer: Layer) -> Self {
        self.layers.push(Content::Layer(layer));
        self
    }

    /// Adds a layer that is packed already.
    #[must_use]
    pub fn packed_layer(mut self, layer: PackedLayer) -> Self {
        self.layers.push(Content::Packed(layer));
        self
    }

    /// Adds a variable, `NAME=value`.
    #[must_use]
    pub fn env(self, variable: &str) -> Self {
        self.append("Env", variable)
    }

    /// Adds a label.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.configuration.entry("Labels").or_insert_with(|| json!({}))[key] = json!(value);
        self
    }

    /// Adds a word to the entry point.
    #[must_use]
    pub fn entrypoint(self, word: &str) -> Self {
        self.append("Entrypoint", word)
    }

    /// Adds a word to the default arguments.
    #[must_use]
    pub fn command(self, word: &str) -> Self {
        self.append("Cmd", word)
    }

    /// Sets the user.
    #[must_use]
    pub fn user(mut self, user: &str) -> Self {
        self.configuration.insert("User", json!(user));
        self
    }

    /// Sets the working directory.
    #[must_use]
    pub fn working_directory(mut self, path: &str) -> Self {
        self.configuration.insert("WorkingDir", json!(path));
        self
    }

    /// Adds an annotation to the manifest.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Makes the image refer to another manifest.
    #[must_use]
    pub fn subject(mut self, subject: &Manifest) -> Self {
        self.subject = Some(subject.descriptor());
        self
    }

    /// Changes the config's JSON before it is hashed.
    #[must_use]
    pub fn edit_config(mut self, edit: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        self.config_edits.push(Edit(Arc::new(edit)));
        self
    }

    /// Changes the manifest's JSON before it is hashed.
    #[must_use]
    pub fn edit_manifest(mut self, edit: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        self.manifest_edits.push(Edit(Arc::new(edit)));
        self
    }

    /// Packs config, manifest and layers.
    #[must_use]
    pub fn pack(&self) -> Manifest {
        let layers: Vec<PackedLayer> = self.layers.iter().map(|content| content.pack(self.types)).collect();
        let (manifest_type, config_type) = match self.types {
            Types::Oci => ("application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.config.v1+json"),
            Types::Docker => (
                "application/vnd.docker.distribution.manifest.v2+json",
                "application/vnd.docker.container.image.v1+json",
            ),
        };
        let mut config = self.platform.clone();
        config["created"] = json!("2023-11-14T22:13:20Z");
        config["config"] = json!(self.configuration);
        config["rootfs"] =
            json!({ "type": "layers", "diff_ids": layers.iter().map(|layer| &layer.diff_id).collect::<Vec<_>>() });
        config["history"] = layers.iter().map(|_| json!({ "created_by": "oci-fetcher-tests" })).collect();
        for edit in &self.config_edits {
            edit.0(&mut config);
        }
        let mut blobs = Vec::new();
        let mut manifest = json!({ "schemaVersion": 2, "mediaType": manifest_type });
        manifest["config"] = store(&mut blobs, config_type, serialize(&config));
        manifest["layers"] = layers.iter().map(|layer| layer.descriptor.clone()).collect();
        if let Some(subject) = &self.subject {
            manifest["subject"] = subject.clone();
        }
        annotate(&mut manifest, &self.annotations);
        for edit in &self.manifest_edits {
            edit.0(&mut manifest);
        }
        blobs.extend(layers.into_iter().map(|layer| (layer.digest, layer.blob)));
        let platform = Some(self.platform.clone());
        Manifest { blobs, platform, ..Manifest::raw(manifest_type, serialize(&manifest)) }
    }

    fn append(mut self, key: &'static str, word: &str) -> Self {
        let words = self.configuration.entry(key).or_insert_with(|| json!([]));
        words.as_array_mut().expect("the list above").push(json!(word));
        self
    }
}

impl Content {
    fn pack(&self, types: Types) -> PackedLayer {
        match self {
            Self::Layer(layer) => layer.pack(types),
            Self::Packed(packed) => packed.clone(),
        }
    }
}

impl From<Image> for Manifest {
    fn from(image: Image) -> Self {
        image.pack()
    }
}

impl From<&Image> for Manifest {
    fn from(image: &Image) -> Self {
        image.pack()
    }
}

fn parse_platform(text: &str) -> Value {
    let mut parts = text.split('/');
    let mut platform = json!({ "os": parts.next(), "architecture": parts.next() });
    if let Some(variant) = parts.next() {
        platform["variant"] = json!(variant);
    }
    platform
}
