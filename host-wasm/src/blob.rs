//! Sizes and digests of any bytes.

use js_sys::Uint8Array;
use oci_fetcher_core::digest::{Algorithm, Digest, Hasher};
use oci_fetcher_core::layer::Verifier;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::buffer::InputBuffer;
use crate::error::Failure;
use crate::number::size;

/// Checks that bytes have the size and digest that a descriptor claims.
#[wasm_bindgen]
#[derive(Debug)]
pub struct BlobVerifier {
    input: InputBuffer,
    verifier: Option<Verifier>,
}

#[wasm_bindgen]
impl BlobVerifier {
    /// Starts a check.
    #[wasm_bindgen(constructor)]
    pub fn new(digest: &str, length: f64) -> Result<Self, Failure> {
        let verifier = Verifier::new(&digest.parse::<Digest>()?, size(length)?)?;
        Ok(Self { input: InputBuffer::new(), verifier: Some(verifier) })
    }

    /// Lends the buffer that the next bytes go to, until the next call.
    pub fn input(&mut self) -> Uint8Array {
        self.input.lend()
    }

    /// Takes the first `length` bytes of the input buffer.
    pub fn update(&mut self, length: u32) -> Result<(), Failure> {
        let Self { input, verifier: Some(verifier) } = self else { return Err(finished()) };
        Ok(verifier.update(input.filled(length)?)?)
    }

    /// Checks the whole; throws where size or digest disagree.
    pub fn finish(&mut self) -> Result<(), Failure> {
        self.verifier.take().ok_or_else(finished)?.finish()?;
        Ok(())
    }
}

/// Computes a SHA-256.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Sha256 {
    input: InputBuffer,
    hasher: Option<Hasher>,
}

#[wasm_bindgen]
impl Sha256 {
    /// Starts a digest of nothing.
    #[wasm_bindgen(constructor)]
    #[expect(clippy::new_without_default, reason = "JavaScript has constructors only")]
    #[must_use]
    pub fn new() -> Self {
        Self { input: InputBuffer::new(), hasher: Some(Hasher::new(Algorithm::Sha256)) }
    }

    /// Lends the buffer that the next bytes go to, until the next call.
    pub fn input(&mut self) -> Uint8Array {
        self.input.lend()
    }

    /// Takes the first `length` bytes of the input buffer.
    pub fn update(&mut self, length: u32) -> Result<(), Failure> {
        let Self { input, hasher: Some(hasher) } = self else { return Err(finished()) };
        hasher.update(input.filled(length)?);
        Ok(())
    }

    /// Returns the digest, `sha256:...`.
    pub fn finish(&mut self) -> Result<String, Failure> {
        Ok(self.hasher.take().ok_or_else(finished)?.finish().to_string())
    }
}

fn finished() -> Failure {
    Failure::misuse("it has been finished already")
}
