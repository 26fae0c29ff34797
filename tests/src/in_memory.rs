//! Lists what a file system in memory holds.

use std::convert::Infallible;

use oci_fetcher_core::digest::{Algorithm, Digest};
use oci_fetcher_core::listing::{Listed, Listing, What};
use oci_fetcher_core::memory::MemoryFs;

/// Adds every path to a listing, and returns the lines.
///
/// # Panics
///
/// Panics if a file that is listed cannot be read.
#[must_use]
pub fn list(files: &MemoryFs, listing: &mut Listing) -> Vec<String> {
    let mut lines = Vec::new();
    for walked in files.walk() {
        let bytes = files.read(&walked.path).expect("in memory").unwrap_or_default();
        let content = Digest::of(Algorithm::Sha256, &bytes);
        let found = What::found(&walked, || Ok::<_, Infallible>(&content)).unwrap_or_else(|never| match never {});
        let what = match &walked.hard_link_to {
            Some(first) => What::HardLink { of: &found, first },
            None => found,
        };
        lines.extend(listing.add(&Listed { path: &walked.path, what, metadata: walked.stat.metadata }));
    }
    lines
}
