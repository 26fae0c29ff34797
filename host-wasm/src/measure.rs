//! What a layer costs at least, to hold [`LayerDecoder`](crate::layer::LayerDecoder) against: built
//! with the feature `measure` only.

use js_sys::Uint8Array;
use oci_fetcher_core::digest::{Algorithm, Hasher};
use oci_fetcher_core::layer::inflate::{Inflate, Output};
use oci_fetcher_core::limits::Limits;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::buffer::InputBuffer;
use crate::error::Failure;

/// Inflates a blob and hashes it before and after, and keeps nothing.
#[wasm_bindgen]
#[derive(Debug)]
pub struct BareLayer {
    input: InputBuffer,
    inflate: Inflate,
    blob: Hasher,
    plain: Hasher,
}

#[wasm_bindgen]
impl BareLayer {
    /// Starts a blob.
    #[wasm_bindgen(constructor)]
    #[expect(clippy::new_without_default, reason = "JavaScript has constructors only")]
    #[must_use]
    pub fn new() -> Self {
        Self {
            input: InputBuffer::new(),
            inflate: Inflate::new(&Limits::default()),
            blob: Hasher::new(Algorithm::Sha256),
            plain: Hasher::new(Algorithm::Sha256),
        }
    }

    /// Lends the buffer that the next bytes go to, until the next call.
    pub fn input(&mut self) -> Uint8Array {
        self.input.lend()
    }

    /// Inflates and hashes the first `length` bytes of the input buffer.
    pub fn step(&mut self, length: u32) -> Result<(), Failure> {
        let mut input = self.input.filled(length)?;
        self.blob.update(input);
        loop {
            let before = input;
            match self.inflate.step(&mut input)? {
                Output::NeedInput => return Ok(()),
                Output::Passed(length) => self.plain.update(&before[..length]),
                Output::Buffered(_) => self.plain.update(self.inflate.buffered()),
            }
        }
    }

    /// Returns both digests.
    #[must_use]
    pub fn finish(self) -> String {
        format!("{} {}", self.blob.finish(), self.plain.finish())
    }
}
