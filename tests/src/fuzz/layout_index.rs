//! A layout's `index.json`: what is added is found, and what was there stays.

use oci_fetcher_core::digest::{Algorithm, Digest};
use oci_fetcher_core::layout::{Names, check_marker, find, merge, parse_index};
use oci_fetcher_core::manifest::{Descriptor, MediaType};

use super::error;

/// Reads the bytes as an `index.json`, and adds an image to it.
pub(super) fn target(data: &[u8]) {
    let _ = check_marker(data).inspect_err(|error| error::check(error));
    let limits = super::limits();
    let before = parse_index(data, &limits).inspect_err(|error| error::check(error));
    let image = Descriptor::new(MediaType::OciManifest, Digest::of(Algorithm::Sha256, b"image"), 5);
    let names = Names { reference: Some("app:1"), image: Some("registry.example/app:1") };
    let merged = merge(Some(data), &image, &names, &limits);
    let Ok(before) = before else {
        assert!(merged.is_err(), "something was added to what is no index");
        return;
    };
    for entry in &before.manifests {
        if let Ok(found) = find(&before, Some(entry.digest.as_str())) {
            assert!(
                found.digest == entry.digest || found.annotations.values().any(|name| name == entry.digest.as_str())
            );
        }
    }
    let found = find(&before, None).inspect_err(|error| error::check(error));
    assert!(found.is_err() || !before.manifests.is_empty(), "an image of none");
    let Ok(merged) = merged else { return };
    if before.manifests.iter().any(|entry| entry.digest.as_str() == "app:1") {
        // A digest of an unknown algorithm, which is as good a name.
        return;
    }
    let after = parse_index(&merged.bytes, &limits).expect("what was written reads");
    let has = |digest: &Digest| after.manifests.iter().any(|entry| entry.digest == *digest);
    assert!(before.manifests.iter().all(|entry| has(&entry.digest)), "an entry was lost");
    assert!(after.manifests.len() - before.manifests.len() <= 1, "several were added");
    assert_eq!(find(&after, Some("app:1")).expect("it was added").digest, image.digest);
    let again = merge(Some(&merged.bytes), &image, &names, &limits).expect("it has room");
    assert_eq!(again.bytes, merged.bytes, "adding it again changes something");
}
