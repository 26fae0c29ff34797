//! zstd: frames of any shape, whatever the chunks.

use super::inflate::check;

/// Inflates the bytes as they are, as a frame without its magic bytes, and after a skippable frame.
pub(super) fn target(data: &[u8]) {
    let alone = check(data);
    let _ = check(&[MAGIC, data].concat());
    if data.starts_with(MAGIC) {
        let skippable: &[u8] = b"\x5a\x2a\x4d\x18\x03\0\0\0abc";
        let skipped = check(&[skippable, data].concat());
        match (alone, skipped) {
            (Ok(alone), Ok(skipped)) => assert!(alone == skipped, "a skippable frame changes what follows"),
            (alone, skipped) => assert!(alone.is_err() && skipped.is_err(), "a skippable frame decides"),
        }
    }
}

const MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
