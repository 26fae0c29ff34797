//! 44: members of gzip (RFC 1952), right and wrong, and what the magic bytes decide.

use oci_fetcher_tests::image::{Compression, Layer};

use crate::archives::row::{Row, Start, row};

const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
const PLAIN: &str = "application/vnd.oci.image.layer.v1.tar";

fn layer() -> Layer {
    Layer::new().file("a", "x")
}

fn blob(name: &'static str, blob: impl Into<Vec<u8>>) -> Start {
    row(44, name, &[], [layer().replace_blob(blob)])
}

/// A member with extra fields behind its flags: what stands between the fixed header and the content.
fn with_fields(flags: u8, fields: &[u8]) -> Vec<u8> {
    let mut member = layer().blob();
    member[3] = flags;
    member.splice(10..10, fields.iter().copied());
    member
}

pub(crate) fn rows() -> Vec<Row> {
    let good = layer().blob();
    let end = good.len();
    let empty = Compression::Gzip.apply(b"");
    let edited = |at: usize, change: u8| {
        let mut member = layer().blob();
        member[at] ^= change;
        member
    };
    let extra = [&u16::MAX.to_le_bytes()[..], &[b'e'; 65535]].concat();
    let file = ["f a =x"];
    let mut rows = vec![
        blob("a thousand empty members before it", [&empty.repeat(1000)[..], &good].concat()).gives(file),
        blob("a thousand empty members after it", [&good[..], &empty.repeat(1000)].concat()).gives(file),
        row(44, "seven members, split anywhere", &[], [layer().compress(Compression::GzipMembers(7))]).gives(file),
        row(44, "2,048 members, most of a byte", &[], [layer().compress(Compression::GzipMembers(2048))]).gives(file),
        blob("an extra field of 64 KiB", with_fields(1 << 2, &extra)).gives(file),
        blob("a name and a comment", with_fields(1 << 3 | 1 << 4, b"../../name\0comment\x1b[31m\0")).gives(file),
        blob("a name of 1 MB", with_fields(1 << 3, &[&[b'n'; 1_000_000][..], &[0]].concat())).gives(file),
        blob(
            "a name without an end",
            with_fields(1 << 3, b"")[..10].iter().copied().chain([b'n'; 5000]).collect::<Vec<_>>(),
        )
        .malformed("truncated-layer"),
        blob("the flag that it is text", with_fields(1, b"")).gives(file),
        blob("zeros after it", [&good[..], &[0; 512]].concat()).gives(file),
        blob("a mebibyte of zeros after it", [&good[..], &vec![0; 1 << 20]].concat()).gives(file),
        blob("one other byte after it", [&good[..], b"x"].concat()).malformed("malformed-gzip"),
        blob("zeros, then a byte", [&good[..], &[0; 512], b"x"].concat()).malformed("malformed-gzip"),
        blob("zeros, then a member", [&good[..], &[0; 512], &empty].concat()).malformed("malformed-gzip"),
        blob("half a header after it", [&good[..], &empty[..5]].concat()).malformed("truncated-layer"),
        blob("a wrong CRC", edited(end - 8, 1)).malformed("malformed-gzip"),
        blob("a wrong length", edited(end - 4, 1)).malformed("malformed-gzip"),
        blob("a wrong header CRC", with_fields(1 << 1, &[0, 0])).malformed("malformed-gzip"),
        blob("reserved flags", edited(3, 1 << 6)).malformed("malformed-gzip"),
        blob("another method", edited(2, 1)).malformed("malformed-gzip"),
        blob("a reserved block type", {
            let mut member = good[..10].to_vec();
            member.push(0b111);
            member
        })
        .malformed("malformed-gzip"),
        blob("a distance before the beginning", [&good[..10], &[0x03, 0x02, 0x00, 0x00][..], &[0; 8]].concat())
            .malformed("malformed-gzip"),
        blob("nothing but the header", &good[..10]).malformed("truncated-layer"),
        blob("one byte", &good[..1]).malformed("truncated-layer"),
        blob("an empty member alone: no tar", empty.clone()).malformed("diff-id-mismatch"),
    ];
    for cut in [2, 9, end / 2, end - 9, end - 8, end - 4, end - 1] {
        rows.push(
            row(44, format!("cut after {cut} of {end} bytes"), &[], [layer().replace_blob(&good[..cut])])
                .malformed("truncated-layer"),
        );
    }
    rows.extend([
        row(44, "gzip, and said to be zstd", &[], [layer().media_type(ZSTD)]).gives(file).warns("gzip"),
        row(44, "gzip, and said to be plain", &[], [layer().media_type(PLAIN)]).gives(file).warns("gzip"),
        row(44, "zstd, and said to be gzip", &[], [layer().compress(Compression::Zstd).media_type(GZIP)])
            .gives(file)
            .warns("zstd"),
        row(44, "plain, and said to be gzip", &[], [layer().compress(Compression::None).media_type(GZIP)])
            .gives(file)
            .warns("gzip"),
        row(
            44,
            "zstd behind a skippable frame, said to be gzip",
            &[],
            [layer()
                .replace_blob(
                    [&[0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, b'x'][..], &Compression::Zstd.apply(&layer().tar())]
                        .concat(),
                )
                .media_type(GZIP)],
        )
        .gives(file)
        .warns("zstd"),
        row(
            44,
            "gzip, whose diff_id is of other bytes",
            &[],
            [layer().replace_blob(Layer::new().file("b", "x").blob())],
        )
        .malformed("diff-id-mismatch"),
        row(44, "xz", &[], [layer().replace_blob([&b"\xfd7zXZ\0"[..], &[7; 600]].concat())]).malformed("tar-checksum"),
        row(44, "bzip2", &[], [layer().replace_blob([&b"BZh9"[..], &[7; 600]].concat())]).malformed("tar-checksum"),
        row(44, "compress", &[], [layer().replace_blob([&b"\x1f\x9d"[..], &[7; 600]].concat())])
            .malformed("tar-checksum"),
    ]);
    rows
}
