//! Docker archives, as `docker save` and others write them: a tar of a `manifest.json`, configs and
//! layers, without any manifest or descriptor.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::LayoutError;
use super::name::{Closeness, Item, select};
use crate::digest::{Algorithm, Digest};
use crate::entry::EntryPath;
use crate::limits::Limits;
use crate::manifest::json::{self, Object};
use crate::manifest::{Descriptor, MediaType};

/// The images that an archive's `manifest.json` lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DockerArchive {
    /// The images in their order.
    pub images: Vec<ArchivedImage>,
}

/// One image of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivedImage {
    /// The member that holds the config.
    pub config: EntryPath,
    /// The members that hold the layers, the base first. A member may repeat, and older writers
    /// made some of them symbolic links to others.
    pub layers: Vec<EntryPath>,
    /// The image's names with tags; escape them before they are shown.
    pub repo_tags: Vec<String>,
}

impl DockerArchive {
    /// The member that lists the images.
    pub const MANIFEST_FILE: &'static str = "manifest.json";

    /// Reads the content of an archive's [`MANIFEST_FILE`](Self::MANIFEST_FILE).
    ///
    /// ```
    /// use oci_fetcher_core::layout::DockerArchive;
    /// use oci_fetcher_core::limits::Limits;
    ///
    /// let bytes = br#"[{"Config": "c.json", "RepoTags": ["alpine:3"], "Layers": ["l/layer.tar"]}]"#;
    /// let archive = DockerArchive::parse(bytes, &Limits::default())?;
    /// assert_eq!(archive.find(Some("docker.io/library/alpine:3"))?.config.as_bytes(), b"c.json");
    /// # Ok::<(), oci_fetcher_core::layout::LayoutError>(())
    /// ```
    ///
    /// # Errors
    /// [`LayoutError::Malformed`], [`LayoutError::Path`] for a path that leads out of the archive,
    /// and [`LayoutError::Limit`] for more than `index_entries` images or `layers` layers.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, LayoutError> {
        let images: Vec<Object<Wire>> =
            json::parse(bytes).map_err(|source| LayoutError::Malformed { file: Self::MANIFEST_FILE, source })?;
        LayoutError::limit("images in an archive", images.len(), limits.index_entries, "index_entries")?;
        let image = |Object(wire): Object<Wire>| {
            LayoutError::limit("layers of an image", wire.layers.len(), limits.layers, "layers")?;
            Ok(ArchivedImage {
                config: member(&wire.config)?,
                layers: wire.layers.iter().map(|path| member(path)).collect::<Result<_, _>>()?,
                repo_tags: wire.repo_tags,
            })
        };
        Ok(Self { images: images.into_iter().map(image).collect::<Result<_, _>>()? })
    }

    /// Finds an image by name, or the only one. Names answer as in [`find`](super::find).
    ///
    /// # Errors
    /// [`LayoutError::NotFound`] or [`LayoutError::Empty`]; [`LayoutError::Several`] without a name,
    /// and [`LayoutError::Ambiguous`] with one that fits several images equally well.
    pub fn find(&self, name: Option<&str>) -> Result<&ArchivedImage, LayoutError> {
        let items: Vec<_> = self
            .images
            .iter()
            .map(|image| Item {
                item: image,
                identity: &image.config,
                label: match image.repo_tags.first() {
                    Some(tag) => Cow::Borrowed(tag.as_str()),
                    None => Cow::Owned(image.config.to_string()),
                },
                closeness: name
                    .and_then(|wanted| image.repo_tags.iter().filter_map(|tag| Closeness::between(wanted, tag)).min()),
            })
            .collect();
        select(&items, name)
    }
}

fn member(path: &str) -> Result<EntryPath, LayoutError> {
    let path = EntryPath::clean(path.as_bytes()).map_err(LayoutError::Path)?;
    if path.is_root() { Err(LayoutError::RootAsFile) } else { Ok(path) }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire {
    config: String,
    #[serde(default, deserialize_with = "json::list")]
    repo_tags: Vec<String>,
    #[serde(default, deserialize_with = "json::or_default")]
    layers: Vec<String>,
}

/// A manifest that stands for an image that came without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synthesised {
    /// The manifest's bytes.
    pub bytes: Vec<u8>,
    /// Their descriptor.
    pub descriptor: Descriptor,
}

/// Writes the OCI manifest of an image from its config and the facts of its layers, the base first.
///
/// Equal images get equal bytes, so that the digest is as good a name as a registry's. Of the
/// layers' descriptors only type, digest and size are used.
#[must_use]
pub fn synthesise(config: &[u8], layers: &[Descriptor]) -> Synthesised {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Written {
        schema_version: u8,
        media_type: MediaType,
        config: Descriptor,
        layers: Vec<Descriptor>,
    }

    let described = |media_type, bytes: &[u8]| {
        Descriptor::new(media_type, Digest::of(Algorithm::Sha256, bytes), bytes.len() as u64)
    };
    let facts = |layer: &Descriptor| Descriptor::new(layer.media_type.clone(), layer.digest.clone(), layer.size);
    let manifest = Written {
        schema_version: 2,
        media_type: MediaType::OciManifest,
        config: described(MediaType::OciConfig, config),
        layers: layers.iter().map(facts).collect(),
    };
    let bytes = serde_json::to_vec(&manifest).expect("structs with text keys always serialize");
    let descriptor = described(MediaType::OciManifest, &bytes);
    Synthesised { bytes, descriptor }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Class, Explain as _};
    use crate::manifest::{Declared, Manifest};

    fn parse(text: &str) -> Result<DockerArchive, LayoutError> {
        DockerArchive::parse(text.as_bytes(), &Limits::default())
    }

    #[test]
    fn reads_what_savers_write() {
        let text = r#"[
            {"Config": "1f2e.json", "RepoTags": ["busybox:1", "docker.io/library/busybox:latest"],
             "Layers": ["a/layer.tar", "./b/layer.tar", "a/layer.tar"]},
            {"Config": "blobs/sha256/3d", "RepoTags": null, "Layers": null, "Parent": "x", "LayerSources": {}},
            {"Config": "e.json", "RepoTags": ["quay.io/x/y:1"], "Layers": []}
        ]"#;
        let archive = parse(text).expect("well-formed");
        let layers: Vec<_> = archive.images[0].layers.iter().map(EntryPath::as_bytes).collect();
        assert_eq!(layers, [&b"a/layer.tar"[..], b"b/layer.tar", b"a/layer.tar"]);
        for (wanted, position) in [
            ("busybox:1", Ok(0)),
            ("busybox", Ok(0)),
            ("docker.io/library/busybox:1", Ok(0)),
            ("latest", Ok(0)),
            ("quay.io/x/y:1", Ok(2)),
            ("1", Err(Class::Usage)),
            ("alpine:1", Err(Class::NotFound)),
        ] {
            let found = archive.find(Some(wanted)).map_err(|error| error.class());
            assert_eq!(found, position.map(|position: usize| &archive.images[position]), "{wanted}");
        }
        let error = archive.find(None).expect_err("three images").to_string();
        assert_eq!(error, "there are several images (available: busybox:1, /blobs/sha256/3d, quay.io/x/y:1)");
        let one = parse(r#"[{"Config":"c","RepoTags":["a:1","a:2"],"Layers":[]}]"#).expect("well-formed");
        assert_eq!(one.find(None), Ok(&one.images[0]));
        assert_eq!(parse("[]").expect("well-formed").find(None), Err(LayoutError::Empty));
    }

    #[test]
    fn refuses_what_is_unsafe_or_malformed() {
        for (text, class) in [
            (r#"[{"Config":"../c","Layers":[]}]"#, Class::Refused),
            (r#"[{"Config":"c","Layers":["a/../../l"]}]"#, Class::Refused),
            (r#"[{"Config":"c","Layers":["a\u0000"]}]"#, Class::Refused),
            (r#"[{"Config":"","Layers":[]}]"#, Class::Refused),
            (r#"[{"Config":".","Layers":[]}]"#, Class::Integrity),
            (r#"[{"Config":"c","Layers":[null]}]"#, Class::Integrity),
            (r#"[{"Config":null}]"#, Class::Integrity),
            (r#"[{"Config":"c","Config":"d"}]"#, Class::Integrity),
            (r#"[["c",[],[]]]"#, Class::Integrity),
            (r#"{"Config":"c"}"#, Class::Integrity),
        ] {
            assert_eq!(parse(text).expect_err(text).class(), class, "{text}");
        }
        let limits = Limits { layers: 1, index_entries: 1, ..Limits::default() };
        for text in [r#"[{"Config":"c","Layers":["a","b"]}]"#, r#"[{"Config":"c"},{"Config":"d"}]"#] {
            let error = DockerArchive::parse(text.as_bytes(), &limits).expect_err(text);
            assert_eq!(error.class(), Class::Refused, "{text}");
        }
    }

    #[test]
    fn synthesised_manifests_are_deterministic_and_sound() {
        let config = br#"{"rootfs":{"type":"layers","diff_ids":[]}}"#;
        let tar = MediaType::parse("application/vnd.oci.image.layer.v1.tar");
        let mut layer = Descriptor::new(tar, Digest::of(Algorithm::Sha256, b"tar"), 3);
        let plain = synthesise(config, &[layer.clone(), layer.clone()]);
        layer.annotations.insert("from".to_owned(), "elsewhere".to_owned());
        assert_eq!(synthesise(config, &[layer.clone(), layer]), plain);
        assert_eq!(
            String::from_utf8_lossy(&plain.bytes),
            concat!(
                r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","#,
                r#""config":{"mediaType":"application/vnd.oci.image.config.v1+json","#,
                r#""digest":"sha256:bf3ddafc43cd121d9f11fc7b47e1d9f24aa8038b0d7eff8f9b2da8d6328a0550","size":42},"layers":["#,
                r#"{"mediaType":"application/vnd.oci.image.layer.v1.tar","#,
                r#""digest":"sha256:90aebae315675cbf04612de4f7d5874850f48e0b8dd82becbeaa47ca93f5ebfb","size":3},"#,
                r#"{"mediaType":"application/vnd.oci.image.layer.v1.tar","#,
                r#""digest":"sha256:90aebae315675cbf04612de4f7d5874850f48e0b8dd82becbeaa47ca93f5ebfb","size":3}]}"#
            )
        );
        let parsed =
            Manifest::parse(&plain.bytes, Declared::Described(&plain.descriptor.media_type), &Limits::default());
        let Ok(Manifest::Image(image)) = parsed else { panic!("{parsed:?}") };
        assert_eq!((image.layers.len(), image.config.size), (2, 42));
        assert!(image.check_unpackable().is_ok());
        assert_eq!(plain.descriptor.digest, Digest::of(Algorithm::Sha256, &plain.bytes));
    }
}
