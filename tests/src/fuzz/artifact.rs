//! Names of an artifact's files: safe, and none in another's way.

use oci_fetcher_core::artifact::{WasmKind, file_names};
use oci_fetcher_core::digest::{Algorithm, Digest};
use oci_fetcher_core::error::{Class, Explain as _};

use super::entry::check_path;
use super::error;

/// Takes each line for a title; an empty one for none.
pub(super) fn target(data: &[u8]) {
    let _ = WasmKind::of(data).map(WasmKind::name).inspect_err(|error| error::check(error));
    let text = String::from_utf8_lossy(data);
    let titles: Vec<&str> = text.split('\n').take(64).collect();
    let digests: Vec<Digest> = titles.iter().map(|title| Digest::of(Algorithm::Sha256, title.as_bytes())).collect();
    let files = digests.iter().zip(titles.iter().map(|title| Some(*title).filter(|title| !title.is_empty())));
    match file_names(files) {
        Ok(names) => {
            assert_eq!(names.len(), titles.len());
            for (index, name) in names.iter().enumerate() {
                check_path(name);
                assert!(!name.is_root(), "the root for a file");
                let below = [name.as_bytes(), b"/"].concat();
                assert!(names.iter().all(|other| !other.as_bytes().starts_with(&below)), "{name} is a directory, too");
                let first = names.iter().position(|other| other == name).expect("itself");
                assert_eq!(digests[first], digests[index], "two files under one name");
            }
        }
        Err(error) => {
            error::check(&error);
            assert_eq!(error.class(), Class::Refused, "{error}");
        }
    }
}
