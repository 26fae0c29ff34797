//! Decodes one layer's blob: contents go out end to end, everything else into the layer's index.

use js_sys::Uint8Array;
use oci_fetcher_core::digest::Digest;
use oci_fetcher_core::layer::{LayerDecoder as CoreDecoder, LayerReport, LayerSpec, Op, Step};
use oci_fetcher_core::limits::Limits;
use oci_fetcher_core::unpack::UnpackError;
use serde::Serialize;
use wasm_bindgen::prelude::wasm_bindgen;

use super::index::IndexWriter;
use crate::buffer::{InputBuffer, lend};
use crate::error::Failure;
use crate::json::{self, Object};
use crate::number::number;

/// Decodes and verifies one layer.
///
/// Write to `input()`, call `step(length)`; while it returns `false`, take `output()`, `clearOutput()`
/// and `step(0)`. At the end `finish()`, take what output is left, and `index()`. Nothing that came
/// out counts unless `finish` returns.
#[wasm_bindgen]
#[derive(Debug)]
pub struct LayerDecoder {
    input: InputBuffer,
    /// Of the input that was announced, what was not decoded yet.
    pending: (u32, u32),
    sink: Sink,
    decoder: Option<CoreDecoder>,
    consumed: u64,
    index: Vec<u8>,
}

#[wasm_bindgen]
impl LayerDecoder {
    /// Starts a layer. `spec` is JSON of `digest`, `size`, `diffId`, `mediaType` and perhaps `limits`.
    #[wasm_bindgen(constructor)]
    pub fn new(spec: &str) -> Result<Self, Failure> {
        let spec = Object::parse("spec", spec)?;
        let limits = spec.limits()?;
        let sink = Sink::new(&limits);
        let decoder = CoreDecoder::new(LayerSpec {
            digest: spec.required("digest")?.parse()?,
            size: spec.number("size")?.ok_or_else(|| spec.missing("size"))?,
            diff_id: spec.required("diffId")?.parse()?,
            media_type: spec.required("mediaType")?.to_owned(),
            limits,
        })?;
        let input = InputBuffer::new();
        Ok(Self { input, pending: (0, 0), sink, decoder: Some(decoder), consumed: 0, index: Vec::new() })
    }

    /// Lends the buffer that the next bytes of the blob go to, until the next call.
    pub fn input(&mut self) -> Uint8Array {
        self.input.lend()
    }

    /// Decodes `length` new bytes of the input buffer, or with 0 goes on. Returns `false` if the
    /// output is to be taken first, `true` once all input was used.
    pub fn step(&mut self, length: u32) -> Result<bool, Failure> {
        let Some(decoder) = &mut self.decoder else { return Err(Failure::misuse("the layer is finished")) };
        if length > 0 {
            if self.pending.0 < self.pending.1 {
                return Err(Failure::misuse("input is left from the last step"));
            }
            self.pending = (0, length);
        }
        let filled = self.input.filled(self.pending.1)?;
        let mut input = &filled[usize::try_from(self.pending.0).unwrap_or(filled.len())..];
        let before = input.len();
        let all_used = self.sink.drain(decoder, &mut input)?;
        self.consumed += (before - input.len()) as u64;
        self.pending.0 = self.pending.1 - u32::try_from(input.len()).expect("the buffer is small");
        Ok(all_used)
    }

    /// Lends the contents of files, end to end, that came since the output was cleared.
    #[must_use]
    pub fn output(&self) -> Uint8Array {
        lend(&self.sink.output)
    }

    /// Forgets the output, which was taken.
    #[wasm_bindgen(js_name = clearOutput)]
    pub fn clear_output(&mut self) {
        self.sink.output.clear();
    }

    /// Verifies the layer: size and digest of the blob, the archive's end, the diff_id. Returns a
    /// report as JSON; throws where anything disagrees.
    pub fn finish(&mut self) -> Result<String, Failure> {
        let Some(mut decoder) = self.decoder.take() else { return Err(Failure::misuse("the layer is finished")) };
        if self.pending.0 < self.pending.1 {
            return Err(Failure::misuse("input is left from the last step"));
        }
        while !self.sink.drain(&mut decoder, &mut &[][..])? {}
        let report = decoder.finish()?;
        self.index = std::mem::take(&mut self.sink.index).finish();
        Report::text(&report)
    }

    /// Returns the layer's index, once, after `finish`.
    #[must_use]
    pub fn index(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.index)
    }

    /// Returns how many bytes of the blob were consumed.
    pub fn progress(&self) -> Result<f64, Failure> {
        number(self.consumed)
    }
}

/// Where operations go.
#[derive(Debug)]
struct Sink {
    output: Vec<u8>,
    index: IndexWriter,
    entries: u64,
    limits: Limits,
}

impl Sink {
    fn new(limits: &Limits) -> Self {
        Self {
            output: Vec::with_capacity(FULL + PIECE),
            index: IndexWriter::default(),
            entries: 0,
            limits: limits.clone(),
        }
    }

    /// Takes operations until all input was used (`true`) or the output is full.
    fn drain(&mut self, decoder: &mut CoreDecoder, input: &mut &[u8]) -> Result<bool, Failure> {
        while self.output.len() < FULL {
            match decoder.step(input)? {
                Step::NeedInput => return Ok(true),
                Step::Op(Op::Data { offset, bytes }) => {
                    self.index.data(offset, bytes.len() as u64);
                    self.output.extend_from_slice(bytes);
                }
                Step::Op(Op::Entry(entry)) => {
                    self.index.entry(entry);
                    self.count()?;
                }
                Step::Op(Op::FileEnd) => self.index.file_end(),
                Step::Op(Op::Skipped(skipped)) => {
                    self.index.skipped(&skipped)?;
                    self.count()?;
                }
            }
        }
        Ok(false)
    }

    /// Bounds what the index may grow to; the merged tree would refuse more in any case.
    fn count(&mut self) -> Result<(), UnpackError<std::convert::Infallible>> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(UnpackError::Entries { limit: self.limits.entries });
        }
        if self.index.len() > self.limits.tree_bytes {
            return Err(UnpackError::TreeBytes { limit: self.limits.tree_bytes });
        }
        Ok(())
    }
}

/// Bytes of output at which it has to be taken: few large pieces cost storage the least.
const FULL: usize = 512 << 10;
/// The most that one operation brings.
const PIECE: usize = 128 << 10;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'r> {
    digest: &'r Digest,
    size: u64,
    diff_id: &'r Digest,
    tar_size: u64,
    entries: u64,
    warnings: &'r [String],
}

impl Report<'_> {
    fn text(report: &LayerReport) -> Result<String, Failure> {
        number(report.tar_size)?;
        Ok(json::text(&Report {
            digest: &report.digest,
            size: report.size,
            diff_id: &report.diff_id,
            tar_size: report.tar_size,
            entries: report.entries,
            warnings: &report.warnings,
        }))
    }
}
