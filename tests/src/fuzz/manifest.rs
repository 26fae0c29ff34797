//! Manifests and indexes: never two things at once, and nothing beyond what they say.

use oci_fetcher_core::digest::Digest;
use oci_fetcher_core::error::{Class, Explain as _};
use oci_fetcher_core::manifest::{Declared, Descriptor, Index, MAX_SIZE, Manifest, MediaType, Platform};
use serde_json::Value;

use super::config::check_platform;

/// Reads the bytes as a manifest, as whatever anybody may have called them.
pub(super) fn target(data: &[u8]) {
    let limits = super::limits();
    let described = [MediaType::OciIndex, MediaType::DockerManifest, MediaType::parse("application/json")];
    let served = [None, Some("application/vnd.oci.image.manifest.v1+json"), Some("text/plain; charset=utf-8")];
    let declared = described.iter().map(Declared::Described).chain(served.into_iter().map(Declared::Served));
    for declared in declared {
        match Manifest::parse(data, declared, &limits) {
            Ok(manifest) => check(&manifest, data),
            Err(error) => {
                super::error::check(&error);
                assert!(
                    matches!(error.class(), Class::Integrity | Class::Unsupported | Class::Refused),
                    "{error}: {:?}",
                    error.class()
                );
            }
        }
    }
}

fn check(manifest: &Manifest, data: &[u8]) {
    let limits = super::limits();
    let document: Value = serde_json::from_slice(data).expect("JSON");
    assert!(document.is_object() && (document["manifests"].is_null() || document["layers"].is_null()), "two at once");
    match manifest {
        Manifest::Index(index) => {
            assert!(index.media_type.is_index() && index.manifests.len() <= limits.index_entries as usize);
            index.manifests.iter().chain(&index.subject).for_each(check_descriptor);
            for platform in ["linux/amd64", "windows/amd64", "linux/arm/v7"] {
                check_choice(index, &platform.parse().expect("a platform"));
            }
        }
        Manifest::Image(image) => {
            assert!(image.media_type.is_image_manifest() && image.layers.len() <= limits.layers as usize);
            image.layers.iter().chain([&image.config]).chain(&image.subject).for_each(check_descriptor);
            assert!(
                image.check_unpackable().is_err()
                    || image.config.media_type.is_image_config()
                    || image.layers.is_empty()
            );
            let _ = (image.kind(), image.artifact_type());
        }
    }
}

fn check_descriptor(descriptor: &Descriptor) {
    assert!(descriptor.size <= MAX_SIZE, "a size of {}", descriptor.size);
    if let (Some(data), Some(algorithm)) = (&descriptor.data, descriptor.digest.algorithm()) {
        assert_eq!(data.len() as u64, descriptor.size, "embedded data of another size");
        assert_eq!(Digest::of(algorithm, data), descriptor.digest, "embedded data of another digest");
    }
    if let Some(platform) = &descriptor.platform {
        check_platform(platform);
    }
    let written = serde_json::to_vec(descriptor).expect("a descriptor serialises");
    let read: Descriptor = serde_json::from_slice(&written).expect("what was written reads");
    assert_eq!(read, *descriptor, "written and read again");
}

fn check_choice(index: &Index, wanted: &Platform) {
    let Ok(candidates) = index.choose(wanted) else { return };
    assert!(!candidates.is_empty(), "a choice of none");
    for (at, candidate) in candidates.iter().enumerate() {
        let entry = candidate.descriptor();
        assert!(index.manifests.contains(entry), "a candidate from elsewhere");
        assert!(entry.media_type.is_index() || entry.media_type.is_image_manifest(), "{:?}", entry.media_type);
        assert!(entry.platform.as_ref().is_none_or(|platform| wanted.preference(platform).is_some()), "{entry:?}");
        assert!(candidates[..at].iter().all(|before| before.descriptor().digest != entry.digest), "a candidate twice");
    }
}
