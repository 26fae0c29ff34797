//! 36: forms that real images depend on, and those just beside them.

use oci_fetcher_tests::image::{Compression, Layer};
use tar::EntryType;

use crate::archives::row::{Row, row};

pub(crate) fn rows() -> Vec<Row> {
    [ends(), cuts(), formats(), flags()].into_iter().flatten().collect()
}

fn layer() -> Layer {
    Layer::new()
}

fn file() -> Layer {
    layer().file("a", "x")
}

const FILE: [&str; 1] = ["f a =x"];

fn ends() -> Vec<Row> {
    let plain = |bytes: Vec<u8>| [Layer::from_tar(bytes).compress(Compression::None)];
    vec![
        row(36, "a layer of 0 bytes", &[], plain(Vec::new())).gives([""; 0]),
        row(36, "0 bytes in gzip", &[], [Layer::from_tar(b"")]).gives([""; 0]),
        row(36, "0 bytes in zstd", &[], [Layer::from_tar(b"").compress(Compression::Zstd)]).gives([""; 0]),
        row(36, "1,024 zeros, the empty layer", &[], plain(vec![0; 1024])).gives([""; 0]),
        row(36, "the empty layer in gzip", &[], [layer()]).gives([""; 0]),
        row(36, "no layer at all", &[], Vec::new()).gives([""; 0]),
        row(36, "no trailer", &[], [file().trailer(b"")]).gives(FILE),
        row(36, "one final zero block", &[], [file().trailer([0; 512])]).gives(FILE),
        row(36, "zeros up to 10 KiB", &[], [file().trailer([0; 10_240 - 1024])]).gives(FILE),
        row(36, "bytes after the trailer", &[], [file().trailer([&[0; 1024][..], b"ignored and hashed"].concat())])
            .gives(FILE)
            .warns("after the end"),
        row(
            36,
            "a member after the trailer",
            &[],
            [file().trailer([&[0; 1024][..], &layer().file("../victim/secret", "x").tar()].concat())],
        )
        .gives(FILE)
        .warns("after the end"),
        row(
            36,
            "a zero block and then a member",
            &[],
            [file().trailer([&[0; 512][..], &layer().file("b", "x").tar()].concat())],
        )
        .malformed("tar-data-after-zero-block"),
        row(36, "a zero block and then a byte", &[], [file().trailer([&[0; 512][..], &[0; 511], b"x"].concat())])
            .malformed("tar-data-after-zero-block"),
        row(36, "a zero block, and half of one", &[], [file().trailer([0; 700])]).malformed("tar-truncated"),
        row(36, "half a zero block", &[], [file().trailer([0; 300])]).malformed("tar-truncated"),
        row(36, "extensions of nothing", &[], [file().pax("comment", "c").gnu_long_name("b")])
            .malformed("tar-orphan-extension"),
        row(36, "extensions of nothing, and no trailer", &[], [file().gnu_long_name("b").trailer(b"")])
            .malformed("tar-orphan-extension"),
    ]
}

/// Cuts anywhere but between members are errors.
fn cuts() -> Vec<Row> {
    let tar = layer().directory("d", 0o755).file("a", [b'x'; 600]).file("b", "y").pax("comment", "c").tar();
    let mut rows = Vec::new();
    for cut in [1, 100, 511, 513, 1023, 1025, 1100, 1623, 1624, 1700, 2047, 2049, 2600, 3000, 3100, 3580] {
        let layers = [Layer::from_tar(&tar[..cut])];
        rows.push(row(36, format!("cut after {cut} bytes"), &[], layers).malformed("tar-truncated"));
    }
    for cut in [512, 2048] {
        let mut lines = vec!["d d".to_owned()];
        if cut > 512 {
            lines.push(format!("f a ={}", "x".repeat(600)));
        }
        rows.push(
            row(36, format!("cut after {cut} bytes, between members"), &[], [Layer::from_tar(&tar[..cut])])
                .gives(lines),
        );
    }
    rows.push(
        row(36, "cut after a pax header", &[], [Layer::from_tar(&tar[..3072])]).malformed("tar-orphan-extension"),
    );
    rows
}

fn formats() -> Vec<Row> {
    let file = EntryType::Regular;
    let signed = || {
        let mut bytes = layer().raw_member(file, b"\xff\xfe", |_| {}, b"x").trailer(b"").tar();
        bytes[148..156].fill(b' ');
        let sum: i32 = bytes[..512].iter().map(|&byte| i32::from(byte.cast_signed())).sum();
        bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        bytes
    };
    let magic = |magic: &'static [u8; 8]| {
        move |header: &mut tar::Header| header.as_mut_bytes()[257..265].copy_from_slice(magic)
    };
    let v7 = |header: &mut tar::Header| {
        header.as_old_mut().linkflag = [0];
        magic(&[0; 8])(header);
    };
    let prefixed = |name: &'static [u8], prefix: &'static [u8]| {
        layer().raw_member(
            file,
            name,
            move |header| header.as_mut_bytes()[345..][..prefix.len()].copy_from_slice(prefix),
            b"x",
        )
    };
    vec![
        row(
            36,
            "V7 headers",
            &[],
            [layer().raw_member(file, "d/", v7, b"").raw_member(EntryType::new(0), "f", magic(&[0; 8]), b"x")],
        )
        .gives(["d d 644", "f f =x"]),
        row(36, "GNU headers", &[], [layer().raw_member(file, "f", magic(b"ustar  \0"), b"x")]).gives(["f f =x"]),
        row(36, "a signed checksum, a name that is not UTF-8", &[], [Layer::from_tar(signed())])
            .gives([r"f \xff\xfe =x"]),
        row(36, "names of every byte", &[], [every_byte()]).gives(every_byte_lines()),
        row(36, "ustar's prefix", &[], [prefixed(b"name", b"a/pre/fix")]).gives([
            "D a",
            "D a/pre",
            "D a/pre/fix",
            "f a/pre/fix/name =x",
        ]),
        row(1, "ustar's prefix that leads out", &[], [prefixed(b"secret", b"../victim")]).refused("unsafe-name"),
        row(1, "ustar's prefix and name that lead out together", &[], [prefixed(b"../../victim/secret", b"a")])
            .refused("unsafe-name"),
        row(36, "a regular file whose name ends in a slash", &[], [layer().file("a/", "x")]).gives(["f a =x"]),
        row(36, "a directory without a slash", &[], [layer().raw_member(EntryType::Directory, "d", |_| {}, b"")])
            .gives(["d d 644"]),
        row(
            36,
            "file type bits in the mode",
            &[],
            [layer().raw_member(file, "f", |header| header.set_mode(0o100_755), b"x")],
        )
        .gives(["f f 755 =x"]),
        row(
            36,
            "blank numbers",
            &[],
            [layer().raw_member(
                file,
                "f",
                |header| {
                    header.as_old_mut().uid = [b' '; 8];
                    header.as_old_mut().gid = [0; 8];
                },
                b"x",
            )],
        )
        .gives(["f f =x"]),
        row(36, "a bad checksum", &[], [layer().file("a", "x").raw(damaged())]).malformed("tar-checksum"),
        row(
            36,
            "a blank checksum",
            &[],
            [layer().raw({
                let mut bytes = layer().raw_member(file, "b", |_| {}, b"").trailer(b"").tar();
                bytes[148..156].fill(b' ');
                bytes
            })],
        )
        .malformed("tar-checksum"),
        row(36, "text, and no tar", &[], [Layer::from_tar([b'x'; 1024])]).malformed("tar-checksum"),
    ]
}

fn damaged() -> Vec<u8> {
    let mut bytes = layer().raw_member(EntryType::Regular, "b", |_| {}, b"").trailer(b"").tar();
    bytes[0] ^= 1;
    bytes
}

/// Every byte that a name can hold, some to a name.
fn every_byte() -> Layer {
    chunks().into_iter().fold(layer(), |layer, name| layer.file(name, "x"))
}

fn every_byte_lines() -> Vec<String> {
    chunks().iter().map(|name| format!("f {} =x", crate::archives::node::escaped(name))).collect()
}

fn chunks() -> Vec<Vec<u8>> {
    let bytes: Vec<u8> = (1..=255).filter(|byte| *byte != b'/').collect();
    bytes.chunks(16).map(<[u8]>::to_vec).collect()
}

fn flags() -> Vec<Row> {
    let mut rows = Vec::new();
    for flag in [b'7', b'8', b'A', b'D', b'M', b'N', b'V', b'X', b'Z', b' ', b'\x1b', 0xff] {
        let layers = [file().raw_member(EntryType::new(flag), "b", |_| {}, b"")];
        rows.push(row(36, format!("type flag {}", flag.escape_ascii()), &[], layers).fails(9, "tar-type-flag"));
    }
    rows
}
