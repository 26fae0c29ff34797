//! OCI image layouts and docker archives, as pure functions over the bytes of their files.
//!
//! Implements OCI image-spec 1.1, image-layout.md and the reference names of annotations.md, and the
//! `manifest.json` of `docker save`. Hosts read and write the files, and guard `index.json` against
//! other writers.
//!
//! Deviations: a name may also be found by its tag alone or by the name that containerd records,
//! where that is unambiguous, since tools differ in what they take for the reference name; and a
//! docker archive, which holds no manifest, gets one that is [synthesised](synthesise).

mod archive;
mod error;
mod index;
mod name;

pub use archive::{ArchivedImage, DockerArchive, Synthesised, synthesise};
pub use error::LayoutError;
pub use index::{Merged, Names, find, merge, parse_index};
pub use name::{RefName, RefNameError};

use crate::digest::Digest;
use crate::manifest::json;

/// The file that marks a directory as a layout.
pub const MARKER_FILE: &str = "oci-layout";

/// What a new layout's [`MARKER_FILE`] holds.
pub const MARKER: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// The file that names a layout's images.
pub const INDEX_FILE: &str = "index.json";

/// Checks the content of a layout's [`MARKER_FILE`].
///
/// ```
/// use oci_fetcher_core::layout::{MARKER, check_marker};
///
/// assert!(check_marker(MARKER).is_ok());
/// assert!(check_marker(br#"{"imageLayoutVersion": "2.0.0"}"#).is_err());
/// ```
///
/// # Errors
/// [`LayoutError::Malformed`], or [`LayoutError::Version`] for a version other than 1.0.0.
pub fn check_marker(bytes: &[u8]) -> Result<(), LayoutError> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Marker {
        image_layout_version: String,
    }

    let json::Object(marker): json::Object<Marker> =
        json::parse(bytes).map_err(|source| LayoutError::Malformed { file: MARKER_FILE, source })?;
    match marker.image_layout_version.as_str() {
        "1.0.0" => Ok(()),
        _ => Err(LayoutError::Version(marker.image_layout_version)),
    }
}

/// Returns a blob's path in a layout, with `/` between its three components.
///
/// A digest is made of characters that are safe in file names, so the path stays in the layout.
///
/// ```
/// use oci_fetcher_core::digest::{Algorithm, Digest};
/// use oci_fetcher_core::layout::blob_path;
///
/// let path = blob_path(&Digest::of(Algorithm::Sha256, b""));
/// assert_eq!(path, "blobs/sha256/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
/// ```
#[must_use]
pub fn blob_path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm_name(), digest.encoded())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Class, Explain as _};

    #[test]
    fn checks_the_marker() {
        for (bytes, class) in [
            (MARKER, None),
            (b"{\"imageLayoutVersion\": \"1.0.0\", \"x\": null}\n", None),
            (br#"{"imageLayoutVersion":"1.1.0"}"#, Some(Class::Unsupported)),
            (br#"{"imageLayoutVersion":null}"#, Some(Class::Integrity)),
            (br#"{"imageLayoutVersion":"1.0.0","imageLayoutVersion":"1.0.0"}"#, Some(Class::Integrity)),
            (br#"["1.0.0"]"#, Some(Class::Integrity)),
            (b"{}", Some(Class::Integrity)),
            (b"", Some(Class::Integrity)),
        ] {
            let found = check_marker(bytes).err().map(|error| error.class());
            assert_eq!(found, class, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn blob_paths_have_three_plain_components() {
        for text in ["blake3:ab", "multihash+base58:QmRZ", "a.b_c-d+e:A=_-"] {
            let path = blob_path(&text.parse().expect(text));
            let components: Vec<&str> = path.split('/').collect();
            assert_eq!(components.len(), 3, "{path}");
            assert!(components.iter().all(|component| !matches!(*component, "" | "." | "..")), "{path}");
        }
    }
}
