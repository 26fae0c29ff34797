//! Whole layers: every split, flip and cut; sizes and digests that lie; tails.

use std::io::Write as _;

use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::*;
use crate::digest::Algorithm;
use crate::entry::EntryKind;
use crate::limits::Limits;

/// What the operations say of each entry.
#[derive(Debug, PartialEq, Eq)]
struct Member {
    path: String,
    content: Option<Vec<u8>>,
    ended: bool,
}

fn tar() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, kind, content) in [
        ("etc/", tar::EntryType::Directory, vec![]),
        ("etc/motd", tar::EntryType::Regular, b"welcome ".repeat(80)),
        ("etc/empty", tar::EntryType::Regular, vec![]),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        builder.append_data(&mut header, path, &content[..]).expect("memory");
    }
    builder.into_inner().expect("memory")
}

fn members() -> Vec<Member> {
    let file = |path: &str, content| Member { path: path.into(), content: Some(content), ended: true };
    vec![
        Member { path: "/etc".into(), content: None, ended: false },
        file("/etc/motd", b"welcome ".repeat(80)),
        file("/etc/empty", Vec::new()),
    ]
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(plain).expect("memory");
    encoder.finish().expect("memory")
}

fn blobs() -> [(Compression, Vec<u8>); 3] {
    let tar = tar();
    let zstd = compress_to_vec(&tar[..], CompressionLevel::Fastest);
    [(Compression::Gzip, gzip(&tar)), (Compression::Zstd, zstd), (Compression::Uncompressed, tar)]
}

fn spec(blob: &[u8], tar: &[u8]) -> LayerSpec {
    LayerSpec {
        digest: Digest::of(Algorithm::Sha256, blob),
        size: blob.len() as u64,
        diff_id: Digest::of(Algorithm::Sha256, tar),
        media_type: String::new(),
        limits: Limits::default(),
    }
}

fn decode<'a>(
    spec: LayerSpec,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(Vec<Member>, LayerReport), LayerError> {
    let mut decoder = LayerDecoder::new(spec)?;
    let mut members: Vec<Member> = Vec::new();
    for piece in pieces.into_iter().chain([&[][..]]) {
        let mut input = piece;
        while let Step::Op(op) = decoder.step(&mut input)? {
            match op {
                Op::Entry(entry) => members.push(Member {
                    path: entry.path.to_string(),
                    content: matches!(entry.kind, EntryKind::File { .. }).then(Vec::new),
                    ended: false,
                }),
                Op::Data { offset, bytes } => {
                    let content = members.last_mut().and_then(|member| member.content.as_mut()).expect("a file");
                    assert_eq!(offset, content.len() as u64);
                    content.extend_from_slice(bytes);
                }
                Op::FileEnd => members.last_mut().expect("a file").ended = true,
                Op::Skipped(skipped) => panic!("{skipped:?}"),
            }
        }
        assert!(input.is_empty(), "input was left");
    }
    decoder.finish().map(|report| (members, report))
}

#[test]
fn chunked_equals_whole() {
    let tar = tar();
    for (compression, blob) in blobs() {
        for split in 0..=blob.len() {
            let (first, second) = blob.split_at(split);
            let (made, report) = decode(spec(&blob, &tar), [first, second]).expect("well-formed");
            assert_eq!(made, members(), "{compression}, split at {split}");
            assert_eq!((report.size, report.tar_size, report.entries), (blob.len() as u64, tar.len() as u64, 3));
        }
        let (made, report) = decode(spec(&blob, &tar), blob.chunks(1)).expect("well-formed");
        assert_eq!((made, report.warnings), (members(), Vec::<String>::new()), "{compression}, byte by byte");
    }
}

/// The name of a pax header, and other names, begin as a skippable zstd frame does.
#[test]
fn a_plain_tar_may_begin_like_a_magic_number() {
    for name in ["PaxHeaders/x", "P*M", "(\u{b5}", "_"] {
        let mut header = tar::Header::new_ustar();
        header.set_path(name).expect("short");
        header.set_size(5);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_cksum();
        let mut tar = header.as_bytes().to_vec();
        tar.extend_from_slice(b"hello");
        tar.resize(4 * 512, 0);
        let whole = decode(spec(&tar, &tar), [&tar[..]]).expect("well-formed");
        for first in 0..6 {
            let (first, rest) = tar.split_at(first);
            let after = rest.split_at(512 - first.len());
            let split = decode(spec(&tar, &tar), [first, after.0, after.1]).expect("well-formed");
            assert_eq!(split, whole, "{name}, {} bytes first", first.len());
        }
        assert_eq!(decode(spec(&tar, &tar), tar.chunks(1)).expect("well-formed"), whole, "{name}, byte by byte");
    }
}

#[test]
fn a_plain_layer_may_begin_as_compressed_ones_do() {
    for name in ["Program", "README", "(a", "\u{1f}"] {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(3);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, &b"abc"[..]).expect("memory");
        let tar = builder.into_inner().expect("memory");
        for (split, second) in (1..=4).flat_map(|split| (split..=tar.len()).map(move |second| (split, second))) {
            let pieces = [&tar[..split], &tar[split..second], &tar[second..]];
            let (made, _) = decode(spec(&tar, &tar), pieces).expect("well-formed");
            assert_eq!(made[0].content.as_deref(), Some(&b"abc"[..]), "{name}, split at {split} and {second}");
        }
    }
}

#[test]
fn every_flip_and_every_cut_is_an_error() {
    let tar = tar();
    for (compression, blob) in blobs() {
        for at in 0..blob.len() {
            let mut flipped = blob.clone();
            flipped[at] ^= 1 << (at % 8);
            assert!(decode(spec(&blob, &tar), [&flipped[..]]).is_err(), "{compression}, flipped at {at}");
            assert!(decode(spec(&blob, &tar), [&blob[..at]]).is_err(), "{compression}, cut at {at}");
            // Also where the descriptor was made for the cut blob.
            let error = decode(spec(&blob[..at], &tar), [&blob[..at]]).expect_err("the diff_id is another");
            assert_eq!(error.class(), Class::Integrity, "{compression}, cut at {at}: {error}");
        }
    }
}

#[test]
fn sizes_that_lie_are_errors() {
    let tar = tar();
    for (_, blob) in blobs() {
        let len = blob.len() as u64;
        for size in [0, 1, len - 1, len + 1, i64::MAX as u64, u64::MAX] {
            let error = decode(LayerSpec { size, ..spec(&blob, &tar) }, [&blob[..]]).expect_err("another size");
            let expected = if size < len { "longer" } else { "ends after" };
            assert!(matches!(&error, LayerError::Blob(_)) && error.to_string().contains(expected), "{error}");
        }
    }
}

#[test]
fn what_follows_the_trailer_is_hashed_to_the_end() {
    let tail = b"a tail that no reader looks at".repeat(20_000);
    let longer = [tar(), tail.to_vec()].concat();
    let padded = [gzip(&longer), vec![0; 300_000]].concat();
    for blob in [longer.clone(), gzip(&longer), padded] {
        let (made, report) = decode(spec(&blob, &longer), blob.chunks(50_000)).expect("a tail is accepted");
        assert_eq!((made, report.tar_size), (members(), longer.len() as u64));
        let mut flipped = blob.clone();
        *flipped.last_mut().expect("not empty") ^= 1;
        assert!(decode(spec(&blob, &longer), [&flipped[..]]).is_err());
        assert!(decode(spec(&blob, &tar()), [&blob[..]]).is_err(), "the tail is part of the diff_id");
    }
}

#[test]
fn layers_without_entries_are_accepted() {
    for tar in [&[][..], &[0; 512], &[0; 1024]] {
        for blob in [tar.to_vec(), gzip(tar), compress_to_vec(tar, CompressionLevel::Fastest)] {
            let (made, report) = decode(spec(&blob, tar), [&blob[..]]).expect("an empty layer");
            assert_eq!((made.len(), report.entries, report.tar_size), (0, 0, tar.len() as u64));
        }
    }
}

#[test]
fn the_magic_decides_and_another_media_type_is_a_warning() {
    let tar = tar();
    for (compression, blob) in blobs() {
        for (suffix, claimed) in
            [("", Compression::Uncompressed), ("+gzip", Compression::Gzip), ("+zstd", Compression::Zstd)]
        {
            let media_type = format!("application/vnd.oci.image.layer.v1.tar{suffix}");
            let spec = LayerSpec { media_type, ..spec(&blob, &tar) };
            let (made, report) = decode(spec, [&blob[..]]).expect("well-formed");
            assert_eq!((made, report.warnings.is_empty()), (members(), claimed == compression));
        }
    }
}

#[test]
fn digests_that_do_not_match_or_cannot_be_computed_are_errors() {
    let tar = tar();
    let blob = gzip(&tar);
    let other = Digest::of(Algorithm::Sha256, b"other");
    let unknown: Digest = "blake3:ab".parse().expect("well-formed");
    for (digest, diff_id, code) in [
        (Some(&other), None, "digest-mismatch"),
        (None, Some(&other), "diff-id-mismatch"),
        (Some(&unknown), None, "unsupported-digest"),
        (None, Some(&unknown), "unsupported-digest"),
    ] {
        let mut spec = spec(&blob, &tar);
        spec.digest = digest.unwrap_or(&spec.digest).clone();
        spec.diff_id = diff_id.unwrap_or(&spec.diff_id).clone();
        assert_eq!(decode(spec, [&blob[..]]).expect_err(code).code(), code);
    }
    let sha512 = LayerSpec { diff_id: Digest::of(Algorithm::Sha512, &tar), ..spec(&blob, &tar) };
    assert!(decode(sha512, [&blob[..]]).is_ok());
}

#[test]
fn after_an_error_the_verifier_tells_damage_from_a_bad_layer() {
    let tar = tar();
    let mut bad = gzip(&tar);
    let middle = bad.len() / 2;
    bad[middle] ^= 0x55;
    for (spec, damaged) in [(spec(&bad, &tar), false), (spec(&gzip(&tar), &tar), true)] {
        let mut decoder = LayerDecoder::new(spec).expect("sha256");
        let mut input = &bad[..];
        while let Ok(Step::Op(_)) = decoder.step(&mut input) {}
        let mut verifier = decoder.into_verifier();
        verifier.update(input).expect("the size is right");
        assert_eq!(verifier.finish().is_err(), damaged);
    }
}

#[test]
fn operations_left_behind_fail_the_layer() {
    let tar = tar();
    for (compression, blob) in blobs() {
        let mut decoder = LayerDecoder::new(spec(&blob, &tar)).expect("sha256");
        let mut input = &blob[..];
        assert!(matches!(decoder.step(&mut input), Ok(Step::Op(Op::Entry(_)))));
        assert!(decoder.finish().is_err(), "{compression}");
    }
}

#[test]
fn can_move_to_another_thread() {
    fn sendable<T: Send + 'static>() {}
    sendable::<LayerDecoder>();
    sendable::<LayerError>();
}
