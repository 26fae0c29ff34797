//! 45: frames of zstd (RFC 8878), right and wrong.

use oci_fetcher_tests::image::{Compression, Layer};

use crate::archives::row::{Row, row};

/// Writes a frame's header with a window of 2^`window_log` bytes, without a checksum.
pub(super) fn frame_header(content_size: Option<u64>, window_log: u8) -> Vec<u8> {
    let mut bytes = vec![0x28, 0xb5, 0x2f, 0xfd];
    match content_size {
        Some(size) => {
            bytes.extend([0b1100_0000, (window_log - 10) << 3]);
            bytes.extend(size.to_le_bytes());
        }
        None => bytes.extend([0, (window_log - 10) << 3]),
    }
    bytes
}

/// Writes a block of bytes as they are.
pub(super) fn raw_block(frame: &mut Vec<u8>, bytes: &[u8], last: bool) {
    block_header(frame, 0, bytes.len(), last);
    frame.extend_from_slice(bytes);
}

/// Writes a block of one byte, so many times.
pub(super) fn run_block(frame: &mut Vec<u8>, byte: u8, times: usize, last: bool) {
    block_header(frame, 1, times, last);
    frame.push(byte);
}

fn block_header(frame: &mut Vec<u8>, kind: u32, size: usize, last: bool) {
    let header = u32::from(last) | kind << 1 | u32::try_from(size).expect("a block is small") << 3;
    frame.extend_from_slice(&header.to_le_bytes()[..3]);
}

fn layer() -> Layer {
    Layer::new().file("a", "x").compress(Compression::Zstd)
}

/// A frame that holds a tar as it is.
fn plain(content_size: Option<u64>, window_log: u8) -> Vec<u8> {
    let mut frame = frame_header(content_size, window_log);
    raw_block(&mut frame, &layer().tar(), true);
    frame
}

fn skippable(magic: u8, length: u32, content: &[u8]) -> Vec<u8> {
    [&[magic, 0x2a, 0x4d, 0x18][..], &length.to_le_bytes(), content].concat()
}

fn blob(name: &'static str, blob: impl Into<Vec<u8>>) -> crate::archives::row::Start {
    row(45, name, &[], [layer().replace_blob(blob)])
}

pub(crate) fn rows() -> Vec<Row> {
    let tar = layer().tar();
    let size = tar.len() as u64;
    let good = layer().blob();
    let file = ["f a =x"];
    let mut reserved_bit = plain(None, 17);
    reserved_bit[4] |= 1 << 3;
    let mut reserved_block = frame_header(None, 17);
    block_header(&mut reserved_block, 3, 0, true);
    let mut large_block = frame_header(None, 17);
    run_block(&mut large_block, 0, (128 << 10) + 1, true);
    let mut unended = frame_header(None, 17);
    raw_block(&mut unended, &tar, false);
    let mut dictionary = vec![0x28, 0xb5, 0x2f, 0xfd, 1, (17 - 10) << 3, 7];
    raw_block(&mut dictionary, &tar, true);
    let mut checksum = plain(None, 17);
    checksum[4] |= 1 << 2;
    checksum.extend([1, 2, 3, 4]);
    let mut small = frame_header(None, 10);
    raw_block(&mut small, &tar[..1024], false);
    raw_block(&mut small, &tar[1024..], true);
    let mut flipped = good.clone();
    *flipped.last_mut().expect("it holds something") ^= 1;
    vec![
        blob("a frame", good.clone()).gives(file),
        blob("blocks as they are", plain(None, 17)).gives(file),
        blob("a window of 1 KiB", small).gives(file),
        blob("a content size that is right", plain(Some(size), 17)).gives(file),
        blob("frames of no bytes around it", [&frame_empty()[..], &good, &frame_empty()].concat()).gives(file),
        blob(
            "skippable frames before and after",
            [&skippable(0x50, 3, b"abc")[..], &skippable(0x5f, 0, b""), &good, &skippable(0x5a, 1, b"x")].concat(),
        )
        .gives(file),
        row(45, "two frames", &[], [Layer::new().file("a", "x").compress(Compression::ZstdFrames(2))]).gives(file),
        row(45, "a thousand frames", &[], [Layer::new().file("a", "x").compress(Compression::ZstdFrames(1000))])
            .gives(file),
        blob("a window of 128 MiB", plain(None, 27)).gives(file).memory(400),
        blob("a window of 256 MiB", plain(None, 28)).refused("zstd-window-limit"),
        blob("a window of 2^41 bytes", plain(None, 41)).refused("zstd-window-limit"),
        blob("a window of 128 MiB over a limit of 8 MiB", plain(None, 27))
            .refused("zstd-window-limit")
            .limit("zstd_window", 8 << 20),
        blob(
            "a single segment of 2^63 bytes",
            [&[0x28, 0xb5, 0x2f, 0xfd, 0b1110_0000][..], &(1_u64 << 63).to_le_bytes(), &[1, 0, 0]].concat(),
        )
        .refused("zstd-window-limit"),
        blob("a dictionary", dictionary).fails(9, "zstd-dictionary"),
        blob("a content size too small", plain(Some(size - 1), 17)).malformed("malformed-zstd"),
        blob("a content size too large", plain(Some(size + 1), 17)).malformed("malformed-zstd"),
        blob("no last block", unended).malformed("truncated-layer"),
        blob("cut in a block", &good[..good.len() / 2]).malformed("truncated-layer"),
        blob("cut in the magic bytes", &good[..3]).malformed("truncated-layer"),
        blob("cut in a skippable frame", skippable(0x50, 100, b"abc")).malformed("truncated-layer"),
        blob("a skippable frame of 4 GiB that does not come", skippable(0x50, u32::MAX, b"abc"))
            .malformed("truncated-layer"),
        blob("a wrong checksum", checksum).malformed("malformed-zstd"),
        blob("the last byte flipped", flipped).malformed("malformed-zstd"),
        blob("the reserved bit", reserved_bit).malformed("malformed-zstd"),
        blob("a block of the reserved type", reserved_block).malformed("malformed-zstd"),
        blob("a block larger than its frame allows", large_block).malformed("malformed-zstd"),
        blob("bytes after the last frame", [&good[..], b"more"].concat()).malformed("malformed-zstd"),
        blob("zeros after the last frame", [&good[..], &[0; 512]].concat()).malformed("malformed-zstd"),
        blob("only skippable frames: no tar", skippable(0x50, 3, b"abc")).malformed("diff-id-mismatch"),
    ]
}

/// A frame that holds nothing.
fn frame_empty() -> Vec<u8> {
    let mut frame = frame_header(None, 17);
    raw_block(&mut frame, b"", true);
    frame
}
