//! Both formats, in every split, cut short, damaged and beyond the limits.

use std::io::Write as _;

use flate2::write::GzEncoder;
use flate2::{Crc, GzBuilder};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::*;

fn text() -> Vec<u8> {
    (0..12).flat_map(|n| format!("layer {} of the image, verified and unpacked; ", n * n).into_bytes()).collect()
}

/// Pushes pieces through a new `Inflate`, then nothing, then finishes.
fn inflate<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, limits: &Limits) -> Result<Vec<u8>, InflateError> {
    let mut inflate = Inflate::new(limits);
    let mut plain = Vec::new();
    for piece in pieces.into_iter().chain([&[][..]]) {
        let mut input = piece;
        loop {
            let before = input;
            match inflate.step(&mut input)? {
                Output::NeedInput => break,
                Output::Passed(len) => plain.extend_from_slice(&before[..len]),
                Output::Buffered(len) => {
                    assert_eq!(len, inflate.buffered().len());
                    plain.extend_from_slice(inflate.buffered());
                }
            }
        }
        assert!(input.is_empty(), "input was left");
    }
    assert_eq!(inflate.produced(), plain.len() as u64);
    inflate.finish().map(|()| plain)
}

fn whole(bytes: &[u8]) -> Result<Vec<u8>, InflateError> {
    inflate([bytes], &Limits::default())
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(plain).expect("memory");
    encoder.finish().expect("memory")
}

/// A member with every optional header field, its checksum included.
fn gzip_with_all_fields(plain: &[u8], extra: Vec<u8>) -> Vec<u8> {
    let builder = GzBuilder::new().extra(extra).filename("name").comment("comment").mtime(1);
    let mut encoder = builder.write(Vec::new(), flate2::Compression::best());
    encoder.write_all(plain).expect("memory");
    let mut member = encoder.finish().expect("memory");
    member[3] |= 1 << 1;
    let extra_len = usize::from(u16::from_le_bytes([member[10], member[11]]));
    let header_len = 12 + extra_len + b"name\0comment\0".len();
    let mut crc = Crc::new();
    crc.update(&member[..header_len]);
    member.splice(header_len..header_len, (crc.sum() as u16).to_le_bytes());
    member
}

/// [`text`] as one block, by `zstd -19`: Huffman literals and sequences.
const ZSTD_BLOCK: &[u8] =
    b"\xdd\x02\x00\xf2\x43\x0e\x11\x90\x7d\x80\x27\xa4\x0d\xe9\xe7\xee\xd3\x69\x97\xe4\xe5\xfa\x63\
    \x0e\x23\x08\x81\xca\x49\xe5\x10\x33\x8e\x48\x45\xbc\x6a\x6e\xb2\x85\xed\xfe\x66\xd7\x37\x27\x9f\xcc\x8e\x3f\x70\
    \x70\x55\xf9\x2e\xea\x7f\xf7\xc3\x67\xd7\x17\x0d\x0c\xa0\x10\x48\xbc\xff\xef\x60\x33\xc6\x38\x42\x96\x37\x33\x67\
    \xd6\x54\x73\x66\x30\x15\xcd\x6b\x16\xb3\x34\x28\xc4\xb4\x0c";
const ZSTD_CHECKSUM: &[u8] = b"\xe5\x07\x4a\xd0";
const ZSTD_MAGIC: &[u8] = b"\x28\xb5\x2f\xfd";
const EMPTY_LAST_BLOCK: &[u8] = b"\x01\0\0";

/// Frame header fields after the magic number, as the command line writes them.
const WITH_CHECKSUM_8_MIB: &[u8] = b"\x04\x68";
const WITH_CHECKSUM_128_MIB: &[u8] = b"\x04\x88";
const SINGLE_SEGMENT_550: &[u8] = b"\x60\x26\x01";

fn zstd(header: &[u8], blocks: &[u8], checksum: &[u8]) -> Vec<u8> {
    [ZSTD_MAGIC, header, blocks, checksum].concat()
}

fn zstd_text() -> Vec<u8> {
    zstd(WITH_CHECKSUM_8_MIB, ZSTD_BLOCK, ZSTD_CHECKSUM)
}

fn skippable(number: u8, len: u32) -> Vec<u8> {
    let mut frame = vec![0x50 | number, 0x2a, 0x4d, 0x18];
    frame.extend_from_slice(&len.to_le_bytes());
    frame.resize(8 + len as usize, 0x28);
    frame
}

/// A block that is not compressed, or one byte repeated.
fn zstd_block(kind: u32, last: u32, size: u32, content: &[u8]) -> Vec<u8> {
    [&(size << 3 | kind << 1 | last).to_le_bytes()[..3], content].concat()
}

fn gzip_cases() -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    let text = text();
    let (member, empty) = (gzip(&text), gzip(b""));
    let all_fields = gzip_with_all_fields(&text, b"ab\x02\0cd".to_vec());
    let mut stored = GzEncoder::new(Vec::new(), flate2::Compression::none());
    stored.write_all(&text).expect("memory");
    vec![
        ("one member", member.clone(), text.clone()),
        ("an empty member", empty.clone(), Vec::new()),
        ("stored", stored.finish().expect("memory"), text.clone()),
        ("all header fields", all_fields.clone(), text.clone()),
        ("two members", [&member[..], &all_fields].concat(), text.repeat(2)),
        ("three members", [&member[..], &gzip(b"middle"), &member].concat(), [&text[..], b"middle", &text].concat()),
        ("empty members", [&empty[..], &empty, &member, &empty].concat(), text.clone()),
        ("trailing zeros", [&member[..], &[0; 40]].concat(), text.clone()),
        ("an empty field each", gzip_with_all_fields(&text, Vec::new()), text),
    ]
}

fn zstd_cases() -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    let text = text();
    let frame = zstd_text();
    let (first, other) = (skippable(0, 3), skippable(15, 0));
    let run = zstd(b"\x00\x58", &[zstd_block(1, 0, 70_000, b"x"), zstd_block(0, 1, 3, b"yyz")].concat(), b"");
    let run_plain = [&[b'x'; 70_000][..], b"yyz"].concat();
    vec![
        ("one frame", frame.clone(), text.clone()),
        ("single segment", zstd(SINGLE_SEGMENT_550, ZSTD_BLOCK, b""), text.clone()),
        ("long distance", zstd(WITH_CHECKSUM_128_MIB, ZSTD_BLOCK, ZSTD_CHECKSUM), text.clone()),
        ("two frames", frame.repeat(2), text.repeat(2)),
        ("of the encoder", compress_to_vec(&text[..], CompressionLevel::Fastest), text.clone()),
        ("raw and run-length blocks", run, run_plain),
        ("an empty frame", zstd(b"\x20\x00", EMPTY_LAST_BLOCK, b""), Vec::new()),
        ("skippable first", [&first[..], &frame].concat(), text.clone()),
        ("skippable between", [&frame[..], &other, &first, &frame].concat(), text.repeat(2)),
        ("skippable last", [&frame[..], &first].concat(), text.clone()),
        ("skippable only", other, Vec::new()),
        ("dictionary zero", zstd(b"\x05\x68\x00", ZSTD_BLOCK, ZSTD_CHECKSUM), text),
    ]
}

fn plain_cases() -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    [&b""[..], b"ab", b"\x1fab", b"P*M.", b"(\xb5/.", b"_", b"a longer one"]
        .into_iter()
        .filter(|bytes| Compression::detect(bytes).is_some() || bytes.is_empty())
        .map(|bytes| ("plain", bytes.to_vec(), bytes.to_vec()))
        .collect()
}

fn all_cases() -> impl Iterator<Item = (&'static str, Vec<u8>, Vec<u8>)> {
    gzip_cases().into_iter().chain(zstd_cases()).chain(plain_cases())
}

#[test]
fn chunked_equals_whole() {
    for (name, bytes, plain) in all_cases() {
        assert_eq!(whole(&bytes).expect(name), plain, "{name}");
        assert_eq!(inflate(bytes.chunks(1), &Limits::default()).expect(name), plain, "{name}, byte by byte");
        for split in 0..=bytes.len() {
            let (first, second) = bytes.split_at(split);
            let made = inflate([first, &[], second], &Limits::default());
            assert_eq!(made.expect(name), plain, "{name}, split at {split}");
        }
    }
}

#[test]
fn every_cut_is_noticed_except_between_members_and_frames() {
    for (name, bytes, plain) in gzip_cases().into_iter().chain(zstd_cases()) {
        for len in 1..bytes.len() {
            match whole(&bytes[..len]) {
                Ok(made) => {
                    // What is left is itself a series: its parts decode alone.
                    assert!(plain.starts_with(&made), "{name}, cut at {len}");
                    let rest = &bytes[len..];
                    let padding = rest.iter().all(|&byte| byte == 0);
                    assert!(padding || whole(rest).is_ok(), "{name}, cut at {len}");
                }
                Err(error) => assert!(matches!(error, InflateError::Truncated { .. }), "{name}, {len}: {error:?}"),
            }
        }
    }
    let (gzip, zstd) = (gzip(&text()), zstd_text());
    for cut in (1..gzip.len()).map(|len| &gzip[..len]).chain((1..zstd.len()).map(|len| &zstd[..len])) {
        assert_eq!(whole(cut).expect_err("one part, cut").code(), "truncated-layer");
    }
}

#[test]
fn a_flipped_bit_never_changes_the_content_unnoticed() {
    let text = text();
    for (name, bytes) in [("gzip", gzip_with_all_fields(&text, b"ab".to_vec())), ("zstd", zstd_text())] {
        let claimed = Compression::detect(&bytes);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if Compression::detect(&flipped) != claimed {
                continue;
            }
            if let Ok(made) = whole(&flipped) {
                assert_eq!(made, text, "{name}, bit {bit}");
            }
        }
    }
}

#[test]
fn large_content_survives_every_size_of_chunk() {
    let mut state = 1_u32;
    let mut plain: Vec<u8> = Vec::new();
    while plain.len() < 1_500_000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        plain.push((state >> 24) as u8);
        if state.is_multiple_of(64) {
            let from = plain.len().saturating_sub(5_000);
            plain.extend_from_within(from..);
        }
        if state.is_multiple_of(4_096) {
            plain.resize(plain.len() + 200_000, 0);
        }
    }
    let zstd = compress_to_vec(&plain[..], CompressionLevel::Fastest);
    for compressed in [gzip(&plain), zstd.clone(), [zstd.clone(), zstd].concat()] {
        for size in [977, 16 << 10, 1 << 17, compressed.len()] {
            let made = inflate(compressed.chunks(size), &Limits::default()).expect("well-formed");
            assert!(made.chunks(plain.len()).all(|copy| copy == plain), "chunks of {size}");
        }
    }
}

#[test]
fn gzip_names_what_is_wrong() {
    let member = gzip(&text());
    let with = |at: usize, byte: u8| {
        let mut bytes = member.clone();
        bytes[at] = byte;
        bytes
    };
    let end = member.len();
    let mut header_checksum = gzip_with_all_fields(b"", Vec::new());
    header_checksum[12] ^= 1;
    let cases: [(&str, Vec<u8>, &str); 10] = [
        ("method", with(2, 7), "the compression method is 7"),
        ("reserved flags", with(3, 0x20), "the header has reserved flags"),
        ("header checksum", header_checksum, "the header does not match its checksum"),
        ("deflate", with(10, 0xff), "the deflate data is malformed"),
        ("checksum", with(end - 8, !member[end - 8]), "the content does not match its checksum"),
        ("length", with(end - 1, 1), "the content does not match its length"),
        ("tail", [&member[..], b"tail"].concat(), "what follows the last member is neither"),
        ("a tail like magic", [&member[..], b"\x1f-tail-tail"].concat(), "what follows the last member is neither"),
        ("zeros, then a tail", [&member[..], b"\0\0\0a"].concat(), "what follows the last member is neither"),
        ("zeros, then a member", [&member[..], b"\0", &member].concat(), "what follows the last member is neither"),
    ];
    for (name, bytes, expected) in cases {
        for size in [1, bytes.len()] {
            match inflate(bytes.chunks(size), &Limits::default()) {
                Err(InflateError::Gzip { offset, fault }) => {
                    assert!(
                        fault.to_string().starts_with(expected) && offset <= bytes.len() as u64,
                        "{name}: {fault:?} at {offset}"
                    );
                }
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}

#[test]
fn zstd_names_what_is_wrong() {
    let text = text();
    let frame = zstd_text();
    let mut other_checksum = frame.clone();
    *other_checksum.last_mut().expect("not empty") ^= 1;
    let empty = EMPTY_LAST_BLOCK;
    let cases: [(&str, Vec<u8>, &str); 14] = [
        ("checksum", other_checksum, "the content does not match its checksum"),
        ("reserved bit", zstd(b"\x08\x68", empty, b""), "the frame header has the reserved bit"),
        ("reserved block", zstd(b"\x00\x68", b"\x07\0\0", b""), "the block has the reserved type"),
        (
            "block above 128 KiB",
            zstd(b"\x00\x68", &zstd_block(1, 1, (128 << 10) + 1, b"x"), b""),
            "the block is larger than its frame allows",
        ),
        (
            "block above the window",
            zstd(b"\x20\x02", &zstd_block(0, 1, 3, b"abc"), b""),
            "the block is larger than its frame allows",
        ),
        // Run-length literals of 1 MiB - 1 without sequences.
        (
            "literals above the window",
            zstd(b"\x00\x00", &zstd_block(2, 1, 5, b"\xfd\xff\xffx\0"), b""),
            "the block is larger than its frame allows",
        ),
        ("size too large", zstd(b"\x60\x27\x01", ZSTD_BLOCK, b""), "the content does not have the size"),
        ("size too small", zstd(b"\x80\x68\x25\x02\0\0", ZSTD_BLOCK, b""), "the content does not have the size"),
        ("size without content", zstd(b"\x20\x01", empty, b""), "the content does not have the size"),
        ("dictionary", zstd(b"\x01\x68\x07", ZSTD_BLOCK, b""), "the frame needs the dictionary 7"),
        (
            "window of 256 MiB",
            zstd(b"\x04\x90", ZSTD_BLOCK, ZSTD_CHECKSUM),
            "the frame needs a window of 268435456 bytes",
        ),
        (
            "segment of 2^64 - 1",
            zstd(b"\xe0\xff\xff\xff\xff\xff\xff\xff\xff", empty, b""),
            "the frame needs a window of 18446744073709551615 bytes",
        ),
        ("block", zstd(b"\x00\x68", &zstd_block(2, 1, 4, &text[..4]), b""), "the block is malformed"),
        ("tail", [&frame[..], b"\0\0\0\0"].concat(), "what follows the last frame is not a frame"),
    ];
    for (name, bytes, expected) in cases {
        for size in [1, bytes.len()] {
            match inflate(bytes.chunks(size), &Limits::default()) {
                Err(InflateError::Zstd { offset, fault }) => {
                    assert!(
                        fault.to_string().starts_with(expected) && offset <= bytes.len() as u64,
                        "{name}: {fault:?} at {offset}"
                    );
                }
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}

#[test]
fn the_window_limit_is_exact() {
    for (window, accepted) in [(8 << 20, true), ((8 << 20) - 1, false)] {
        let limits = Limits { zstd_window: window, ..Limits::default() };
        assert_eq!(inflate([&zstd_text()[..]], &limits).is_ok(), accepted);
    }
}

#[test]
fn a_layer_may_reach_its_limit_and_not_exceed_it() {
    for (name, bytes, plain) in all_cases().filter(|(_, _, plain)| !plain.is_empty()) {
        let limit = plain.len() as u64;
        assert!(inflate([&bytes[..]], &Limits { layer_bytes: limit, ..Limits::default() }).is_ok(), "{name}");
        let error = inflate([&bytes[..]], &Limits { layer_bytes: limit - 1, ..Limits::default() }).expect_err(name);
        assert!(matches!(error, InflateError::LayerBytes { .. }), "{name}: {error:?}");
        assert!(error.to_string().contains("--max-layer-bytes") && error.class() == Class::Refused);
    }
}

#[test]
fn bombs_end_at_the_ratio() {
    let free = usize::try_from(RATIO_FREE_BYTES).expect("64 MiB");
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let zeros = vec![0; 1 << 20];
    for _ in 0..(free >> 20) + 8 {
        encoder.write_all(&zeros).expect("memory");
    }
    let gzip = encoder.finish().expect("memory");
    let limits = |ratio| Limits { ratio, ..Limits::default() };
    let made = |limits: &Limits| {
        let mut inflate = Inflate::new(limits);
        let mut input = &gzip[..];
        while inflate.step(&mut input)? != Output::NeedInput {}
        Ok::<_, InflateError>(inflate.produced())
    };
    assert_eq!(made(&limits(2_000)).expect("what gzip reaches legitimately"), (free + (8 << 20)) as u64);
    assert!(matches!(made(&limits(10)), Err(InflateError::Ratio { limit: 10 })));

    // Four bytes for each 128 KiB.
    let mut inflate = Inflate::new(&limits(2_000));
    let header = zstd(b"\x00\x68", b"", b"");
    let blocks = zstd_block(1, 0, 128 << 10, b"x").repeat(1_000);
    let mut input = &[header, blocks].concat()[..];
    let error = loop {
        match inflate.step(&mut input) {
            Ok(Output::NeedInput) => panic!("all of the bomb was accepted"),
            Ok(Output::Passed(_) | Output::Buffered(_)) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(error, InflateError::Ratio { limit: 2_000 }) && inflate.produced() < 96 << 20);
}

#[test]
fn headers_without_end_are_not_held() {
    let mut member = gzip_with_all_fields(b"content", vec![b'e'; 65_535]);
    assert_eq!(whole(&member).expect("the largest extra field"), b"content");

    // A name of 16 MiB, and a skippable frame as large, leave nothing but the output buffer behind.
    member = gzip(b"content");
    member[3] |= 1 << 3;
    let name = [vec![b'n'; 16 << 20], vec![0]].concat();
    member.splice(10..10, name);
    assert_eq!(inflate(member.chunks(1 << 20), &Limits::default()).expect("a long name"), b"content");
    let skipped = [skippable(7, 16 << 20), zstd_text()].concat();
    assert_eq!(inflate(skipped.chunks(1 << 20), &Limits::default()).expect("a long frame"), text());

    assert!(whole(&gzip(b"").repeat(20_000)).expect("empty members").is_empty());
}

#[test]
fn media_types_claim_a_compression() {
    for (media_type, claimed) in [
        ("application/vnd.oci.image.layer.v1.tar", Some(Compression::Uncompressed)),
        ("application/vnd.oci.image.layer.v1.tar+gzip", Some(Compression::Gzip)),
        ("application/vnd.oci.image.layer.v1.tar+zstd", Some(Compression::Zstd)),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", Some(Compression::Gzip)),
        ("application/vnd.docker.image.rootfs.diff.tar", Some(Compression::Uncompressed)),
        ("application/vnd.docker.image.rootfs.diff.tar.gzip; a=b", Some(Compression::Gzip)),
        ("Application/vnd.docker.image.rootfs.foreign.diff.TAR.gzip", Some(Compression::Gzip)),
        ("application/vnd.oci.image.layer.v1.tar+encrypted", None),
        ("application/wasm", None),
        ("", None),
    ] {
        assert_eq!(Compression::claimed(media_type), claimed, "{media_type}");
    }
}

#[test]
fn can_move_to_another_thread() {
    fn sendable<T: Send + 'static>() {}
    sendable::<Inflate>();
    sendable::<InflateError>();
}
