//! What plans come to, as JSON.

use std::collections::BTreeMap;

use oci_fetcher_core::digest::Digest;
use oci_fetcher_core::manifest::{ImageConfig, Manifest, MediaType};
use oci_fetcher_core::pull::{BlobOutcome, ClosureOutcome, Fetched, Image, ImageKind, Resolved};
use serde::Serialize;

use super::effect::Described;
use crate::error::Failure;
use crate::json;

/// What any plan came to.
#[derive(Debug)]
pub(super) enum Outcome {
    Resolved(Box<Resolved>),
    Closure(ClosureOutcome),
    Blobs(BlobOutcome),
    Tags(Vec<String>),
    Size(u64),
}

impl Outcome {
    pub(super) fn resolved(&self) -> Result<&Resolved, Failure> {
        match self {
            Self::Resolved(resolved) => Ok(resolved),
            Self::Closure(_) | Self::Blobs(_) | Self::Tags(_) | Self::Size(_) => {
                Err(Failure::misuse("the machine has resolved nothing"))
            }
        }
    }

    pub(super) fn to_json(&self) -> Result<String, Failure> {
        Ok(match self {
            Self::Resolved(resolved) => json::text(&ResolvedJson::new(resolved)?),
            Self::Closure(closure) => {
                let configs = closure.configs.iter().map(|config| Described::from(&**config));
                let others = closure
                    .blobs
                    .iter()
                    .map(|blob| Described::from(&*blob.descriptor).with_diff_id(blob.diff_id.as_ref()));
                json::text(&ClosureJson {
                    manifests: closure.manifests.iter().map(FetchedJson::from).collect(),
                    blobs: configs.chain(others).collect(),
                })
            }
            Self::Blobs(BlobOutcome { fetched, stored }) => {
                json::text(&BlobsJson { fetched: *fetched, stored: *stored })
            }
            Self::Tags(tags) => json::text(tags),
            Self::Size(size) => json::text(size),
        })
    }

    pub(super) fn bytes(&self, what: &str) -> Result<Vec<u8>, Failure> {
        let Resolved { top, image } = self.resolved()?;
        let bytes = match (what, image) {
            ("top", _) => &top.bytes,
            ("manifest", Some(image)) => &image.manifest.bytes,
            ("config", Some(image)) => &image.config,
            _ => return Err(Failure::usage(format!("nothing was resolved that is called {what}"))),
        };
        Ok(bytes.to_vec())
    }

    pub(super) fn manifest_bytes(&self, index: u32) -> Result<Vec<u8>, Failure> {
        let manifests = match self {
            Self::Closure(closure) => closure.manifests.as_slice(),
            Self::Resolved(_) | Self::Blobs(_) | Self::Tags(_) | Self::Size(_) => &[],
        };
        let manifest = usize::try_from(index).ok().and_then(|index| manifests.get(index));
        manifest.map(|manifest| manifest.bytes.to_vec()).ok_or_else(|| Failure::misuse("there is no such manifest"))
    }

    pub(super) fn check_unpackable(&self) -> Result<(), Failure> {
        let Some(image) = &self.resolved()?.image else { return Err(Failure::misuse("no image was resolved")) };
        if let Manifest::Image(manifest) = &image.manifest.manifest {
            manifest.check_unpackable()?;
        }
        Ok(())
    }
}

impl From<Resolved> for Outcome {
    fn from(resolved: Resolved) -> Self {
        Self::Resolved(Box::new(resolved))
    }
}

impl From<ClosureOutcome> for Outcome {
    fn from(closure: ClosureOutcome) -> Self {
        Self::Closure(closure)
    }
}

impl From<BlobOutcome> for Outcome {
    fn from(blobs: BlobOutcome) -> Self {
        Self::Blobs(blobs)
    }
}

impl From<Vec<String>> for Outcome {
    fn from(tags: Vec<String>) -> Self {
        Self::Tags(tags)
    }
}

impl From<u64> for Outcome {
    fn from(size: u64) -> Self {
        Self::Size(size)
    }
}

#[derive(Serialize)]
struct BlobsJson {
    fetched: usize,
    stored: usize,
}

#[derive(Serialize)]
struct ClosureJson<'c> {
    manifests: Vec<FetchedJson<'c>>,
    blobs: Vec<Described<'c>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FetchedJson<'f> {
    digest: &'f Digest,
    media_type: &'f MediaType,
    size: usize,
    /// `image` or `index`.
    kind: &'static str,
}

impl<'f> From<&'f Fetched> for FetchedJson<'f> {
    fn from(fetched: &'f Fetched) -> Self {
        let kind = match fetched.manifest {
            Manifest::Index(_) => "index",
            Manifest::Image(_) => "image",
        };
        Self { digest: &fetched.digest, media_type: fetched.media_type(), size: fetched.bytes.len(), kind }
    }
}

#[derive(Serialize)]
struct ResolvedJson<'r> {
    top: FetchedJson<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<ImageJson<'r>>,
}

impl<'r> ResolvedJson<'r> {
    fn new(resolved: &'r Resolved) -> Result<Self, Failure> {
        let image = resolved.image.as_ref().map(ImageJson::new).transpose()?;
        Ok(Self { top: FetchedJson::from(&resolved.top), image })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ImageJson<'i> {
    manifest: FetchedJson<'i>,
    config: Described<'i>,
    /// `image` or `artifact`.
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<&'i str>,
    layers: Vec<Described<'i>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_config: Option<ConfigJson<'i>>,
}

impl<'i> ImageJson<'i> {
    fn new(image: &'i Image) -> Result<Self, Failure> {
        let Manifest::Image(manifest) = &image.manifest.manifest else {
            return Err(Failure::misuse("an image's manifest is an index"));
        };
        let (kind, artifact_type, config) = match &image.kind {
            ImageKind::Image(config) => ("image", None, Some(&**config)),
            ImageKind::Artifact { artifact_type } => ("artifact", Some(artifact_type.as_str()), None),
        };
        let diff_ids = config.map(|config| config.diff_ids.as_slice()).unwrap_or_default();
        let diff_ids = diff_ids.iter().map(Some).chain(std::iter::repeat(None));
        let layers = manifest.layers.iter().zip(diff_ids);
        let layers = layers.map(|(layer, diff_id)| Described::from(layer).with_diff_id(diff_id)).collect();
        Ok(Self {
            manifest: FetchedJson::from(&image.manifest),
            config: Described::from(&manifest.config),
            kind,
            artifact_type,
            layers,
            image_config: config.map(ConfigJson::from),
        })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConfigJson<'c> {
    os: &'c str,
    architecture: &'c str,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<&'c str>,
    env: &'c [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    command: &'c [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    entrypoint: &'c [String],
    working_directory: &'c str,
    user: &'c str,
    labels: &'c BTreeMap<String, String>,
}

impl<'c> From<&'c ImageConfig> for ConfigJson<'c> {
    fn from(config: &'c ImageConfig) -> Self {
        let runtime = &config.runtime;
        Self {
            os: &config.os,
            architecture: &config.architecture,
            variant: config.variant.as_deref(),
            env: &runtime.env,
            command: &runtime.cmd,
            entrypoint: &runtime.entrypoint,
            working_directory: &runtime.working_dir,
            user: &runtime.user,
            labels: &runtime.labels,
        }
    }
}
