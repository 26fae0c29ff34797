//! Checks a blob's bytes against its descriptor (OCI image-spec 1.1, descriptor.md, "Verification").

use crate::digest::{Digest, Hasher};
use crate::error::{Class, Explain};

/// Checks that bytes have the size and digest that a descriptor claims.
///
/// It holds no bytes. Content counts only once [`finish`](Self::finish) has returned `Ok`.
///
/// ```
/// use oci_fetcher_core::digest::{Algorithm, Digest};
/// use oci_fetcher_core::layer::Verifier;
///
/// let digest = Digest::of(Algorithm::Sha256, b"an artifact");
/// let mut verifier = Verifier::new(&digest, 11)?;
/// verifier.update(b"an ")?;
/// verifier.update(b"artifact")?;
/// assert_eq!(verifier.finish()?, digest);
/// # Ok::<(), oci_fetcher_core::layer::VerifyError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Verifier {
    expected: Digest,
    size: u64,
    seen: u64,
    hasher: Hasher,
}

impl Verifier {
    /// Starts a check of `size` bytes against `digest`.
    ///
    /// # Errors
    /// [`VerifyError::Unsupported`] if the digest's algorithm cannot be computed here.
    pub fn new(digest: &Digest, size: u64) -> Result<Self, VerifyError> {
        let algorithm = digest.algorithm().ok_or_else(|| VerifyError::Unsupported { digest: digest.clone() })?;
        Ok(Self { expected: digest.clone(), size, seen: 0, hasher: Hasher::new(algorithm) })
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`VerifyError::TooLong`] as soon as more came than the descriptor claims.
    pub fn update(&mut self, bytes: &[u8]) -> Result<(), VerifyError> {
        self.seen = self.seen.saturating_add(bytes.len() as u64);
        if self.seen > self.size {
            return Err(VerifyError::TooLong { size: self.size });
        }
        self.hasher.update(bytes);
        Ok(())
    }

    /// Checks the whole, and returns the digest as computed.
    ///
    /// # Errors
    /// [`VerifyError::TooShort`] or [`VerifyError::TooLong`] if the size differs, otherwise
    /// [`VerifyError::Mismatch`] if the digest does.
    pub fn finish(self) -> Result<Digest, VerifyError> {
        if self.seen < self.size {
            return Err(VerifyError::TooShort { size: self.size, seen: self.seen });
        }
        if self.seen > self.size {
            return Err(VerifyError::TooLong { size: self.size });
        }
        let actual = self.hasher.finish();
        if actual != self.expected {
            return Err(VerifyError::Mismatch { expected: self.expected, actual });
        }
        Ok(actual)
    }
}

/// A blob that is not what its descriptor claims.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The algorithm is well-formed but not one that can be computed here.
    #[error("cannot compute the digest {digest}")]
    Unsupported {
        /// The claimed digest.
        digest: Digest,
    },
    /// There are fewer bytes than claimed.
    #[error("the blob ends after {seen} of {size} bytes")]
    TooShort {
        /// The claimed size in bytes.
        size: u64,
        /// The bytes that came.
        seen: u64,
    },
    /// There are more bytes than claimed.
    #[error("the blob is longer than its {size} bytes")]
    TooLong {
        /// The claimed size in bytes.
        size: u64,
    },
    /// The bytes are others.
    #[error("the blob has the digest {actual}, not {expected}")]
    Mismatch {
        /// The claimed digest.
        expected: Digest,
        /// The computed digest.
        actual: Digest,
    },
}

impl Explain for VerifyError {
    fn class(&self) -> Class {
        match self {
            Self::Unsupported { .. } => Class::Unsupported,
            Self::TooShort { .. } | Self::TooLong { .. } | Self::Mismatch { .. } => Class::Integrity,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Unsupported { .. } => "unsupported-digest",
            Self::TooShort { .. } | Self::TooLong { .. } => "size-mismatch",
            Self::Mismatch { .. } => "digest-mismatch",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Algorithm;

    const CONTENT: &[u8] = b"some content";

    fn verify(digest: &Digest, size: u64, pieces: &[&[u8]]) -> Result<Digest, VerifyError> {
        let mut verifier = Verifier::new(digest, size)?;
        for piece in pieces {
            verifier.update(piece)?;
        }
        verifier.finish()
    }

    #[test]
    fn accepts_exactly_the_content_in_every_split() {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let digest = Digest::of(algorithm, CONTENT);
            for split in 0..=CONTENT.len() {
                let pieces = [&CONTENT[..split], &CONTENT[split..]];
                assert_eq!(verify(&digest, CONTENT.len() as u64, &pieces), Ok(digest.clone()));
            }
        }
        let empty = Digest::of(Algorithm::Sha256, b"");
        assert_eq!(verify(&empty, 0, &[]), Ok(empty.clone()));
    }

    #[test]
    fn refuses_short_long_and_other_content() {
        let digest = Digest::of(Algorithm::Sha256, CONTENT);
        let len = CONTENT.len() as u64;
        for size in [len + 1, u64::MAX, i64::MAX as u64] {
            assert_eq!(verify(&digest, size, &[CONTENT]), Err(VerifyError::TooShort { size, seen: len }));
        }
        for size in [0, len - 1] {
            assert_eq!(verify(&digest, size, &[CONTENT]), Err(VerifyError::TooLong { size }));
        }
        for index in 0..CONTENT.len() {
            let mut flipped = CONTENT.to_vec();
            flipped[index] ^= 1;
            assert!(matches!(verify(&digest, len, &[&flipped]), Err(VerifyError::Mismatch { .. })));
        }
    }

    #[test]
    fn stays_too_long_after_the_first_error() {
        let digest = Digest::of(Algorithm::Sha256, b"a");
        let mut verifier = Verifier::new(&digest, 1).expect("sha256");
        verifier.update(b"a").expect("within the size");
        assert_eq!(verifier.update(b"b"), Err(VerifyError::TooLong { size: 1 }));
        assert_eq!(verifier.finish(), Err(VerifyError::TooLong { size: 1 }));
    }

    #[test]
    fn names_an_algorithm_that_it_cannot_compute() {
        let digest: Digest = "blake3:abcd".parse().expect("well-formed");
        let error = Verifier::new(&digest, 0).expect_err("unknown algorithm");
        assert_eq!((error.class(), error.to_string().contains("blake3:abcd")), (Class::Unsupported, true));
    }
}
