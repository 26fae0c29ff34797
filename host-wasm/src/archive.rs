//! Archives that are read in place: where files lie in a tar, and which of them make a docker image.

use js_sys::Uint8Array;
use oci_fetcher_core::entry::EntryPath;
use oci_fetcher_core::layout::DockerArchive as CoreArchive;
use oci_fetcher_core::limits::Limits;
use oci_fetcher_core::tar::{TarIndex, TarIndexer};
use serde::Serialize;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::buffer::InputBuffer;
use crate::error::Failure;
use crate::json;
use crate::number::{number, size};

/// Finds where the files of a plain tar lie.
#[wasm_bindgen]
#[derive(Debug)]
pub struct ArchiveIndexer {
    input: InputBuffer,
    indexer: Option<TarIndexer>,
}

#[wasm_bindgen]
impl ArchiveIndexer {
    /// Starts at a tar's first byte.
    #[wasm_bindgen(constructor)]
    #[expect(clippy::new_without_default, reason = "JavaScript has constructors only")]
    #[must_use]
    pub fn new() -> Self {
        Self { input: InputBuffer::new(), indexer: Some(TarIndexer::new(&Limits::default())) }
    }

    /// Lends the buffer that the next bytes go to, until the next call.
    pub fn input(&mut self) -> Uint8Array {
        self.input.lend()
    }

    /// Takes the first `length` bytes of the input buffer; returns how many of the bytes after them
    /// need not be read, but may be passed over with `skip`.
    pub fn push(&mut self, length: u32) -> Result<f64, Failure> {
        let Self { input, indexer: Some(indexer) } = self else { return Err(finished()) };
        number(indexer.push(input.filled(length)?)?)
    }

    /// Passes over bytes, at most as many as the last `push` returned.
    pub fn skip(&mut self, bytes: f64) -> Result<(), Failure> {
        let bytes = size(bytes)?;
        self.indexer.as_mut().ok_or_else(finished)?.skip(bytes);
        Ok(())
    }

    /// Ends the tar.
    pub fn finish(&mut self) -> Result<ArchiveIndex, Failure> {
        Ok(ArchiveIndex(self.indexer.take().ok_or_else(finished)?.finish()?))
    }
}

fn finished() -> Failure {
    Failure::misuse("the archive is finished")
}

/// Where the files of a plain tar lie.
#[wasm_bindgen]
#[derive(Debug)]
pub struct ArchiveIndex(TarIndex);

#[wasm_bindgen]
impl ArchiveIndex {
    /// Returns where a file's content lies, as JSON of `offset` and `size`; links are followed once.
    pub fn locate(&self, path: &str) -> Result<Option<String>, Failure> {
        #[derive(Serialize)]
        struct Location {
            offset: u64,
            size: u64,
        }

        let Some(found) = self.0.locate(&EntryPath::clean(path.as_bytes())?) else { return Ok(None) };
        number(found.offset.saturating_add(found.size))?;
        Ok(Some(json::text(&Location { offset: found.offset, size: found.size })))
    }

    /// Returns the names of files and links as a JSON array, in byte order; those that are no UTF-8 are
    /// left out.
    #[must_use]
    pub fn paths(&self) -> String {
        let paths: Vec<_> = self.0.paths().filter_map(|path| str::from_utf8(path.as_bytes()).ok()).collect();
        json::text(&paths)
    }
}

/// The images that the `manifest.json` of `docker save` lists.
#[wasm_bindgen]
#[derive(Debug)]
pub struct DockerArchive(CoreArchive);

#[wasm_bindgen]
impl DockerArchive {
    /// Reads an archive's `manifest.json`.
    #[wasm_bindgen(constructor)]
    pub fn new(manifest: &[u8]) -> Result<Self, Failure> {
        Ok(Self(CoreArchive::parse(manifest, &Limits::default())?))
    }

    /// Finds an image by name, or the only one; returns JSON of `config`, a path, and `layers`, paths.
    pub fn find(&self, name: Option<String>) -> Result<String, Failure> {
        #[derive(Serialize)]
        struct Image<'i> {
            config: std::borrow::Cow<'i, str>,
            layers: Vec<std::borrow::Cow<'i, str>>,
        }

        let image = self.0.find(name.as_deref())?;
        // The names come from JSON, and so are text.
        let text = |path| String::from_utf8_lossy(EntryPath::as_bytes(path));
        Ok(json::text(&Image { config: text(&image.config), layers: image.layers.iter().map(text).collect() }))
    }
}
