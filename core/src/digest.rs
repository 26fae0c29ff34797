//! Content digests (OCI image-spec 1.1, descriptor.md, "Digests").

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256, Sha512};

use crate::error::{Class, Explain};

/// A digest algorithm that this library can compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256, 64 lower-case hexadecimal digits.
    Sha256,
    /// SHA-512, 128 lower-case hexadecimal digits.
    Sha512,
}

impl Algorithm {
    /// Returns the registered identifier.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    const fn encoded_len(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

/// A well-formed digest, `algorithm ":" encoded`.
///
/// A registered algorithm's encoded part has exactly its length, in lower-case hexadecimal, so that
/// it is safe as a file name. An unregistered algorithm is well-formed by the specification's
/// grammar: it may stand in an index, but content cannot be checked against it
/// ([`algorithm`](Self::algorithm) is `None`).
///
/// ```
/// use oci_fetcher_core::digest::{Algorithm, Digest};
///
/// let empty = Digest::of(Algorithm::Sha256, b"");
/// assert_eq!(
///     empty.to_string(),
///     "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
/// );
/// assert!("sha256:../../etc/passwd".parse::<Digest>().is_err());
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    text: Box<str>,
    colon: usize,
}

impl Digest {
    /// Computes the digest of `bytes`.
    #[must_use]
    pub fn of(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    /// Returns the algorithm, or `None` where it is one that cannot be computed here.
    #[must_use]
    pub fn algorithm(&self) -> Option<Algorithm> {
        [Algorithm::Sha256, Algorithm::Sha512].into_iter().find(|algorithm| algorithm.name() == self.algorithm_name())
    }

    /// Returns the part before the colon.
    #[must_use]
    pub fn algorithm_name(&self) -> &str {
        &self.text[..self.colon]
    }

    /// Returns the part after the colon.
    #[must_use]
    pub fn encoded(&self) -> &str {
        &self.text[self.colon + 1..]
    }

    /// Returns the whole, `algorithm:encoded`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let malformed = |reason| DigestError { text: excerpt(text), reason };
        let colon = text.find(':').ok_or_else(|| malformed("there is no colon"))?;
        let digest = Self { text: text.into(), colon };
        let well_formed = !digest.algorithm_name().is_empty()
            && digest.algorithm_name().split(['+', '.', '_', '-']).all(|component| {
                !component.is_empty()
                    && component.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            });
        if !well_formed {
            return Err(malformed("the algorithm is malformed"));
        }
        let encoded = digest.encoded();
        match digest.algorithm() {
            Some(algorithm) if encoded.len() != algorithm.encoded_len() => {
                Err(malformed("the length is wrong for its algorithm"))
            }
            Some(_) if !encoded.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) => {
                Err(malformed("the encoded part is not lower-case hexadecimal"))
            }
            None if encoded.is_empty() || text.len() > MAX_LEN => {
                Err(malformed("the encoded part is empty or too long"))
            }
            None if !encoded.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'=' | b'_' | b'-')) => {
                Err(malformed("the encoded part has a character outside [a-zA-Z0-9=_-]"))
            }
            Some(_) | None => Ok(digest),
        }
    }
}

/// Longest accepted digest: twice SHA-512's, far above every registered algorithm.
const MAX_LEN: usize = 256;

fn excerpt(text: &str) -> String {
    text.chars().take(MAX_LEN).collect::<String>().escape_debug().to_string()
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

/// Text that is not a digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed digest \"{text}\": {reason}")]
pub struct DigestError {
    text: String,
    reason: &'static str,
}

impl Explain for DigestError {
    fn class(&self) -> Class {
        Class::Integrity
    }

    fn code(&self) -> &'static str {
        "malformed-digest"
    }
}

/// Computes a digest incrementally.
#[derive(Clone)]
pub struct Hasher(State);

#[derive(Clone)]
enum State {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    /// Starts a digest of nothing.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        Self(match algorithm {
            Algorithm::Sha256 => State::Sha256(Sha256::new()),
            Algorithm::Sha512 => State::Sha512(Sha512::new()),
        })
    }

    /// Appends `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha256(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
        }
    }

    /// Returns the digest of everything appended.
    #[must_use]
    pub fn finish(self) -> Digest {
        let (algorithm, bytes): (_, Vec<u8>) = match self.0 {
            State::Sha256(state) => (Algorithm::Sha256, state.finalize().to_vec()),
            State::Sha512(state) => (Algorithm::Sha512, state.finalize().to_vec()),
        };
        let mut text = String::with_capacity(algorithm.name().len() + 1 + algorithm.encoded_len());
        text.push_str(algorithm.name());
        text.push(':');
        for byte in bytes {
            const HEXADECIMAL: &[u8; 16] = b"0123456789abcdef";
            text.push(char::from(HEXADECIMAL[usize::from(byte >> 4)]));
            text.push(char::from(HEXADECIMAL[usize::from(byte & 15)]));
        }
        Digest { text: text.into(), colon: algorithm.name().len() }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_registered_and_well_formed_unknown_algorithms() {
        let sha512 = format!("sha512:{}", "0a".repeat(64));
        for text in [sha512.as_str(), "multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8", "blake3:ab"] {
            let digest: Digest = text.parse().expect(text);
            assert_eq!(digest.as_str(), text);
        }
        assert_eq!("blake3:ab".parse::<Digest>().expect("well-formed").algorithm(), None);
    }

    #[test]
    fn refuses_what_could_be_a_path_or_another_spelling() {
        let upper = format!("sha256:{}", "AB".repeat(32));
        let short = format!("sha256:{}", "ab".repeat(31));
        for text in [
            "",
            ":",
            "sha256",
            "sha256:",
            "sha256:../../x",
            &upper,
            &short,
            "Sha256:ab",
            "a..b:cd",
            "+a:cd",
            "a:b/c",
            "a:b.c",
            "a:\u{0}",
        ] {
            assert!(text.parse::<Digest>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn hashing_in_pieces_equals_hashing_the_whole() {
        let bytes: Vec<u8> = (0..=255).collect();
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            for split in 0..bytes.len() {
                let mut hasher = Hasher::new(algorithm);
                hasher.update(&bytes[..split]);
                hasher.update(&bytes[split..]);
                assert_eq!(hasher.finish(), Digest::of(algorithm, &bytes));
            }
        }
    }
}
