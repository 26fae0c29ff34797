//! Image configs (OCI image-spec 1.1, config.md; Docker image spec 1.2 and 1.3).
//!
//! Deviation: architecture and operating system, which the specification requires, may be absent or
//! empty, as they are in signatures. History is not read: it need not match the layers.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::platform::WirePlatform;
use super::{ImageManifest, ManifestError, Platform, json};
use crate::digest::Digest;

/// A checked image config. It serializes, under the specification's names, to what was read of it.
///
/// ```
/// use oci_fetcher_core::manifest::ImageConfig;
///
/// let config = ImageConfig::parse(br#"{
///     "os": "linux", "architecture": "arm64", "variant": "v8",
///     "config": {"Cmd": ["/bin/sh"], "Env": null},
///     "rootfs": {"type": "layers", "diff_ids": []}
/// }"#)?;
/// assert_eq!(config.platform().expect("it names one").to_string(), "linux/arm64");
/// assert_eq!(config.runtime.cmd, ["/bin/sh"]);
/// # Ok::<(), oci_fetcher_core::manifest::ManifestError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImageConfig {
    /// The processor as it is written; see [`platform`](Self::platform).
    pub architecture: String,
    /// The operating system as it is written.
    pub os: String,
    /// The processor's variant as it is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The operating system's version.
    #[serde(rename = "os.version", skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// What the operating system must offer.
    #[serde(rename = "os.features", skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    /// When the image was built: RFC 3339 by the specification, not checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Who built the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// How a container of the image is run.
    #[serde(rename = "config")]
    pub runtime: RuntimeConfig,
    /// The digests of the layers' plain tars, the base first.
    #[serde(rename = "rootfs", serialize_with = "rootfs")]
    pub diff_ids: Vec<Digest>,
}

/// How a container of an image is run. All of it is text from the image: escape it before it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct RuntimeConfig {
    /// User and group, by name or number.
    #[serde(default, deserialize_with = "json::or_default", skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// Ports with protocol, for example `8080/tcp`.
    #[serde(
        default,
        deserialize_with = "keys",
        serialize_with = "as_keys",
        skip_serializing_if = "BTreeSet::is_empty"
    )]
    pub exposed_ports: BTreeSet<String>,
    /// The environment, `NAME=value` each.
    #[serde(default, deserialize_with = "json::list", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// The program and its first arguments.
    #[serde(default, deserialize_with = "json::list", skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    /// The arguments that a caller may replace, or the program if there is no entry point.
    #[serde(default, deserialize_with = "json::list", skip_serializing_if = "Vec::is_empty")]
    pub cmd: Vec<String>,
    /// Where data outlives a container.
    #[serde(
        default,
        deserialize_with = "keys",
        serialize_with = "as_keys",
        skip_serializing_if = "BTreeSet::is_empty"
    )]
    pub volumes: BTreeSet<String>,
    /// The directory that the program starts in.
    #[serde(default, deserialize_with = "json::or_default", skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    /// Labels.
    #[serde(default, deserialize_with = "json::texts", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The signal that ends the program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
}

impl ImageConfig {
    /// Reads the config of an image. Unknown properties are ignored, and `null` is as good as
    /// absent everywhere.
    ///
    /// # Errors
    /// [`ManifestError::MalformedConfig`], or [`ManifestError::RootfsType`] for a root file system
    /// that does not consist of layers.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let json::Object(wire): json::Object<Wire> = json::parse(bytes).map_err(ManifestError::MalformedConfig)?;
        let rootfs = wire.rootfs.map(|json::Object(rootfs)| rootfs).unwrap_or_default();
        match rootfs.kind {
            Some(kind) if kind != LAYERS && !kind.is_empty() => return Err(ManifestError::RootfsType(kind)),
            Some(_) | None => {}
        }
        Ok(Self {
            architecture: wire.platform.architecture,
            os: wire.platform.os,
            variant: wire.platform.variant,
            os_version: wire.platform.os_version,
            os_features: wire.platform.os_features,
            created: wire.created,
            author: wire.author,
            runtime: wire.config.map(|json::Object(runtime)| runtime).unwrap_or_default(),
            diff_ids: rootfs.diff_ids,
        })
    }

    /// Returns what the image runs on, normalised; `None` if the config does not say.
    #[must_use]
    pub fn platform(&self) -> Option<Platform> {
        let wire = WirePlatform {
            os: self.os.clone(),
            architecture: self.architecture.clone(),
            variant: self.variant.clone(),
            os_version: self.os_version.clone(),
            os_features: self.os_features.clone(),
        };
        wire.complete()
    }

    /// Checks that there is one diff_id for each layer of the manifest.
    ///
    /// # Errors
    /// [`ManifestError::LayerCount`]
    pub fn check_layers(&self, manifest: &ImageManifest) -> Result<(), ManifestError> {
        match (manifest.layers.len(), self.diff_ids.len()) {
            (layers, diff_ids) if layers == diff_ids => Ok(()),
            (layers, diff_ids) => Err(ManifestError::LayerCount { layers, diff_ids }),
        }
    }
}

#[derive(Deserialize)]
struct Wire {
    #[serde(flatten)]
    platform: WirePlatform,
    created: Option<String>,
    author: Option<String>,
    config: Option<json::Object<RuntimeConfig>>,
    rootfs: Option<json::Object<Rootfs>>,
}

#[derive(Default, Serialize, Deserialize)]
struct Rootfs {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "json::or_default")]
    diff_ids: Vec<Digest>,
}

/// The only kind of root file system that the specification knows.
const LAYERS: &str = "layers";

fn rootfs<S: Serializer>(diff_ids: &[Digest], serializer: S) -> Result<S::Ok, S::Error> {
    Rootfs { kind: Some(LAYERS.to_owned()), diff_ids: diff_ids.to_vec() }.serialize(serializer)
}

/// Reads a set as Go writes one: an object whose values are empty objects.
fn keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<String>, D::Error> {
    let members: serde_json::Map<String, serde_json::Value> = json::or_default(deserializer)?;
    let mut keys = BTreeSet::new();
    keys.extend(members.into_iter().map(|(key, _)| key));
    Ok(keys)
}

fn as_keys<S: Serializer>(keys: &BTreeSet<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(keys.iter().map(|key| (key, BTreeMap::<(), ()>::new())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Explain as _;
    use crate::manifest::{Descriptor, MediaType};

    const BUSYBOX: &str = r#"{
        "architecture": "arm", "variant": "v7", "os": "linux", "created": "2024-09-26T21:31:42Z", "author": null,
        "config": {
            "User": "", "AttachStdin": false, "OnBuild": null, "Hostname": "", "WorkingDir": "/", "Image": null,
            "Env": ["PATH=/bin", "EMPTY="], "Cmd": ["sh"], "Entrypoint": null, "Volumes": {"/data": {}},
            "ExposedPorts": {"80/tcp": {}, "53/udp": {}}, "StopSignal": "SIGQUIT", "ArgsEscaped": true,
            "Labels": {"org.opencontainers.image.title": "busybox", "n": null}
        },
        "container_config": {"Env": null},
        "history": [{"created_by": "a"}, {"created_by": "b", "empty_layer": true}, {"created_by": "c"}],
        "rootfs": {"type": "layers", "diff_ids":
            ["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]}
    }"#;

    #[test]
    fn reads_what_docker_writes_and_writes_what_it_read() {
        let config = ImageConfig::parse(BUSYBOX.as_bytes()).expect("well-formed");
        assert_eq!(config.platform().map(|platform| platform.to_string()).as_deref(), Some("linux/arm/v7"));
        let runtime = &config.runtime;
        assert_eq!(runtime.env, ["PATH=/bin", "EMPTY="]);
        assert_eq!((runtime.cmd.as_slice(), runtime.entrypoint.len()), (["sh".to_owned()].as_slice(), 0));
        assert_eq!(runtime.exposed_ports, BTreeSet::from(["53/udp".to_owned(), "80/tcp".to_owned()]));
        assert_eq!(runtime.volumes.first().map(String::as_str), Some("/data"));
        assert_eq!((runtime.working_dir.as_str(), runtime.stop_signal.as_deref()), ("/", Some("SIGQUIT")));
        assert_eq!(runtime.labels.len(), 1);
        let written = serde_json::to_vec(&config).expect("serializable");
        assert_eq!(ImageConfig::parse(&written), Ok(config));
    }

    #[test]
    fn null_is_absent_everywhere() {
        let nulls = r#"{"architecture":null,"os":null,"variant":null,"os.version":null,"os.features":null,
            "created":null,"author":null,"history":null,"rootfs":{"type":null,"diff_ids":null},
            "config":{"User":null,"ExposedPorts":null,"Env":null,"Entrypoint":null,"Cmd":null,"Volumes":null,
            "WorkingDir":null,"Labels":null,"StopSignal":null}}"#;
        for text in [nulls, "{}", r#"{"config":null,"rootfs":null}"#, r#"{"config":{},"rootfs":{}}"#] {
            assert_eq!(ImageConfig::parse(text.as_bytes()), Ok(ImageConfig::default()), "{text}");
        }
        assert_eq!(ImageConfig::default().platform(), None);
    }

    #[test]
    fn refuses_what_is_malformed() {
        for (text, code) in [
            ("[]", "malformed-config"),
            (r#"{"rootfs":["layers",[]]}"#, "malformed-config"),
            (r#"{"config":["root"]}"#, "malformed-config"),
            (r#"{"os":"linux","os":"linux"}"#, "malformed-config"),
            (r#"{"config":{"Labels":{"a":"1","a":"2"}}}"#, "malformed-config"),
            (r#"{"rootfs":{"type":"layers","diff_ids":["sha256:../../x"]}}"#, "malformed-config"),
            (r#"{"rootfs":{"type":"layers","diff_ids":[null]}}"#, "malformed-config"),
            (r#"{"rootfs":{"type":"layers+base","diff_ids":[]}}"#, "unknown-rootfs-type"),
        ] {
            assert_eq!(ImageConfig::parse(text.as_bytes()).expect_err(text).code(), code, "{text}");
        }
    }

    #[test]
    fn counts_diff_ids_but_not_history() {
        let config = ImageConfig::parse(BUSYBOX.as_bytes()).expect("well-formed");
        let blob = || Descriptor::new(MediaType::OciConfig, Digest::of(crate::digest::Algorithm::Sha256, b""), 0);
        for layers in 0..4 {
            let manifest = ImageManifest {
                media_type: MediaType::OciManifest,
                config: blob(),
                layers: vec![blob(); layers],
                artifact_type: None,
                subject: None,
                annotations: BTreeMap::new(),
            };
            let expected = if layers == 1 { Ok(()) } else { Err(ManifestError::LayerCount { layers, diff_ids: 1 }) };
            assert_eq!(config.check_layers(&manifest), expected);
        }
    }
}
