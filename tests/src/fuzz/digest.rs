//! Digests: what is well-formed is a safe name, and hashing does not depend on pieces.

use oci_fetcher_core::digest::{Algorithm, Digest, Hasher};
use oci_fetcher_core::layer::Verifier;
use oci_fetcher_core::layout::blob_path;

use super::error;
use super::pieces::pieces;

/// Reads the bytes as a digest, and hashes them.
pub(super) fn target(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(digest) = text.parse::<Digest>().inspect_err(|error| error::check(error))
    {
        assert_eq!(digest.to_string(), text);
        let path = blob_path(&digest);
        let components: Vec<&str> = path.split('/').collect();
        assert_eq!((components.len(), components[0]), (3, "blobs"), "{path}");
        assert!(components.iter().all(|component| !matches!(*component, "" | "." | "..")), "{path}");
        assert!(!path.contains(|character: char| character.is_control() || matches!(character, '\\' | ':')), "{path}");
        let empty = digest.algorithm().map(|algorithm| Digest::of(algorithm, b""));
        let verified = Verifier::new(&digest, 0).and_then(Verifier::finish).inspect_err(|error| error::check(error));
        assert_eq!(verified.is_ok(), empty == Some(digest), "what counts as verified");
    }
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let whole = Digest::of(algorithm, data);
        let mut hasher = Hasher::new(algorithm);
        pieces(data).into_iter().for_each(|piece| hasher.update(piece));
        assert_eq!(hasher.finish(), whole, "pieces differ from the whole");
        assert_eq!(whole.as_str().parse::<Digest>().expect("well-formed"), whole);
    }
}
