//! Compression of layers.

use std::io::Write;

use flate2::{GzBuilder, write::GzEncoder};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

/// How a layer's archive is packed into its blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// One gzip member.
    Gzip,
    /// This many gzip members, one after another.
    GzipMembers(usize),
    /// One zstd frame.
    Zstd,
    /// This many zstd frames, one after another.
    ZstdFrames(usize),
}

impl Compression {
    /// Compresses `bytes`; always into the same ones.
    #[must_use]
    pub fn apply(&self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::None => bytes.to_vec(),
            Self::Gzip => gzip(bytes),
            Self::GzipMembers(count) => pieces(bytes, *count).flat_map(gzip).collect(),
            Self::Zstd => zstd(bytes),
            Self::ZstdFrames(count) => pieces(bytes, *count).flat_map(zstd).collect(),
        }
    }

    /// Returns what a layer's media type ends in after `tar`, with `separator` before it.
    pub(super) fn suffix(&self, separator: char) -> String {
        match self {
            Self::None => String::new(),
            Self::Gzip | Self::GzipMembers(_) => format!("{separator}gzip"),
            Self::Zstd | Self::ZstdFrames(_) => format!("{separator}zstd"),
        }
    }
}

/// Cuts `bytes` into exactly `count` pieces; the last ones may be empty.
fn pieces(bytes: &[u8], count: usize) -> impl Iterator<Item = &[u8]> {
    let size = bytes.len().div_ceil(count.max(1)).max(1);
    (0..count).map(move |piece| &bytes[(piece * size).min(bytes.len())..((piece + 1) * size).min(bytes.len())])
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder: GzEncoder<_> = GzBuilder::new().write(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("a vector takes every byte");
    encoder.finish().expect("a vector takes every byte")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}
