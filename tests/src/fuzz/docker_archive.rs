//! A docker archive's `manifest.json`: only safe members, and a manifest that can be read.

use oci_fetcher_core::digest::{Algorithm, Digest};
use oci_fetcher_core::layout::{DockerArchive, synthesise};
use oci_fetcher_core::manifest::{Declared, Descriptor, Manifest, MediaType};

use super::entry::check_path;
use super::error;

/// Reads the bytes as a `manifest.json`, and as a config that a manifest is made for.
pub(super) fn target(data: &[u8]) {
    let limits = super::limits();
    if let Ok(archive) = DockerArchive::parse(data, &limits).inspect_err(|error| error::check(error)) {
        for image in &archive.images {
            for path in std::iter::once(&image.config).chain(&image.layers) {
                check_path(path);
                assert!(!path.is_root(), "the root as a member");
            }
            for tag in &image.repo_tags {
                if let Ok(found) = archive.find(Some(tag)) {
                    let named = archive.images.iter().filter(|image| image.repo_tags.contains(tag));
                    assert!(named.clone().all(|image| image.config == found.config), "{tag:?} names several");
                }
            }
        }
        let found = archive.find(None).inspect_err(|error| error::check(error));
        assert!(found.is_err() || !archive.images.is_empty(), "an image of none");
    }
    let layer = Descriptor::new(MediaType::parse(LAYER), Digest::of(Algorithm::Sha256, data), data.len() as u64);
    let made = synthesise(data, &[layer.clone(), layer]);
    let declared = Declared::Described(&made.descriptor.media_type);
    let Ok(Manifest::Image(image)) = Manifest::parse(&made.bytes, declared, &limits) else { panic!("unreadable") };
    assert_eq!((image.layers.len(), image.config.digest), (2, Digest::of(Algorithm::Sha256, data)));
}

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
