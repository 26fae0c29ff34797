//! 35 and 43: names, headers and contents without end.

use std::io::Write as _;

use flate2::write::GzEncoder;
use oci_fetcher_tests::image::{Layer, pax_record};
use tar::{EntryType, Header};

use super::headers::pax;
use crate::archives::node::Node;
use crate::archives::row::{Expected, Host, Row, row};

pub(crate) fn rows() -> Vec<Row> {
    [names(), stacks(), claims(), limits(), bombs()].into_iter().flatten().collect()
}

fn layer() -> Layer {
    Layer::new()
}

/// A name of 1 MiB, by each way to say it.
fn names() -> Vec<Row> {
    let name = "n".repeat(1 << 20);
    let short = "n".repeat(300);
    let extended = |key: &str, value: &str| layer().extension(EntryType::XHeader, pax(&[(key, value)]));
    let component = "n".repeat(255);
    vec![
        row(35, "a pax path of 1 MiB", &[], [extended("path", &name).file("a", "x")]).refused("limit-exceeded"),
        row(35, "a long name of 1 MiB", &[], [layer().gnu_long_name(&name).file("a", "x")]).refused("limit-exceeded"),
        row(35, "a pax link target of 1 MiB", &[], [extended("linkpath", &name).symlink("a", "x")])
            .refused("limit-exceeded"),
        row(35, "a long link target of 1 MiB", &[], [layer().gnu_long_link(&name).hard_link("a", "x")])
            .refused("limit-exceeded"),
        row(35, "a pax path of 4,097 bytes", &[], [extended("path", &"d/".repeat(2049)[..4097]).file("a", "x")])
            .refused("limit-exceeded"),
        row(35, "a name of 255 bytes", &[], [layer().file(&component, "x")]).gives([format!("f {component} =x")]),
        row(
            35,
            "sixteen names of 254 bytes, one in another",
            &[],
            [layer().directory("n".repeat(254) + &format!("/{}", "n".repeat(254)).repeat(15), 0o700)],
        )
        .gives(nested())
        // Node has no call that opens below a directory, and the whole path is beyond PATH_MAX.
        .on(Host::Node, Expected::Error { exit: 8, code: "name-not-supported" }),
        row(35, "a name of 300 bytes, which no disk holds", &[], [layer().file(&short, "x")])
            .fails(8, "name-not-supported")
            .on(Host::Memory, tree([format!("f {short} =x")]))
            .on(Host::Wasm, tree([format!("f {short} =x")])),
    ]
}

fn tree(lines: [String; 1]) -> Expected {
    Expected::Tree(Node::read_tree(lines.into()))
}

fn nested() -> Vec<String> {
    let name = "n".repeat(254);
    let mut path = name.clone();
    let mut lines = Vec::new();
    for _ in 0..15 {
        lines.push(format!("D {path}"));
        path = format!("{path}/{name}");
    }
    lines.push(format!("d {path} 700"));
    lines
}

fn stacks() -> Vec<Row> {
    let stack = |count: usize| {
        (0..count).fold(layer(), |layer, _| layer.extension(EntryType::XHeader, pax(&[("comment", "c")])))
    };
    let mixed = |count: usize| {
        (0..count).fold(layer(), |layer, turn| match turn % 4 {
            0 => layer.gnu_long_name("a"),
            1 => layer.gnu_long_link("a"),
            2 => layer.global_pax("comment", "c"),
            _ => layer.extension(EntryType::XHeader, pax(&[("comment", "c")])),
        })
    };
    vec![
        row(35, "sixteen pax headers before one member", &[], [stack(16).file("a", "x")]).gives(["f a =x"]),
        row(35, "seventeen pax headers", &[], [stack(17).file("a", "x")]).refused("tar-stacked-extensions"),
        row(35, "seventeen of x, g, L and K", &[], [mixed(17).file("a", "x")]).refused("tar-stacked-extensions"),
        row(
            35,
            "100,000 long names",
            &[],
            [Layer::from_tar(layer().gnu_long_name("a").trailer(b"").tar().repeat(100_000))],
        )
        .refused("tar-stacked-extensions"),
        row(
            35,
            "sixteen headers of 1 MB each",
            &[],
            [(0..16)
                .fold(layer(), |layer, turn| {
                    layer.extension(
                        EntryType::XHeader,
                        pax_record(format!("comment{turn}").as_bytes(), &[b'c'; 1_000_000]),
                    )
                })
                .file("a", "x")],
        )
        .gives(["f a =x"]),
    ]
}

/// Claims of gigabytes, with nothing behind them.
fn claims() -> Vec<Row> {
    let ids = &["CVE-2022-2879"];
    let claim = |kind: EntryType, size: u64| {
        let change = move |header: &mut Header| header.set_size(size);
        [layer().raw_member(kind, "a", change, b"").file("b", "x")]
    };
    vec![
        row(35, "gigabytes of pax", ids, claim(EntryType::XHeader, 8_589_934_591)).refused("limit-exceeded"),
        row(35, "gigabytes of global pax", ids, claim(EntryType::XGlobalHeader, 8_589_934_591))
            .refused("limit-exceeded"),
        row(35, "gigabytes of name", ids, claim(EntryType::GNULongName, 8_589_934_591)).refused("limit-exceeded"),
        row(35, "gigabytes of link target", ids, claim(EntryType::GNULongLink, 8_589_934_591))
            .refused("limit-exceeded"),
        row(35, "gigabytes of content, which do not come", ids, claim(EntryType::Regular, 8_589_934_591))
            .malformed("tar-truncated"),
        row(35, "a MiB of pax, which does not come", ids, claim(EntryType::XHeader, 1 << 20))
            .malformed("tar-truncated"),
        row(35, "a MiB and a byte of pax", ids, claim(EntryType::XHeader, (1 << 20) + 1)).refused("limit-exceeded"),
        row(
            35,
            "more than a layer may hold",
            ids,
            [layer().extension(EntryType::XHeader, pax(&[("size", "274877906945")])).file("a", "x")],
        )
        .refused("limit-exceeded"),
    ]
}

fn limits() -> Vec<Row> {
    let three = || layer().file("a", "x").file("b", "x").file("c", "x");
    vec![
        row(43, "entries, at the limit", &[], [three()]).gives(["f a =x", "f b =x", "f c =x"]).limit("entries", 3),
        row(43, "entries, one more", &[], [three()]).refused("limit-exceeded").limit("entries", 2),
        row(43, "entries of two layers", &[], [three(), layer().file("d", "x")])
            .refused("limit-entries")
            .limit("entries", 3),
        row(43, "entries, marks too", &[], [three(), layer().whiteout("a")])
            .refused("limit-entries")
            .limit("entries", 3),
        row(43, "bytes of a layer", &[], [layer().file("a", "x")])
            .refused("layer-bytes-limit")
            .limit("layer_bytes", 2047),
        row(43, "bytes of all files", &[], [layer().file("a", "12345"), layer().file("b", "12345")])
            .refused("limit-output-bytes")
            .limit("output_bytes", 9),
        row(43, "bytes of files that replace each other", &[], [layer().file("a", "12345").file("a", "12345")])
            .refused("limit-output-bytes")
            .limit("output_bytes", 9),
        row(43, "depth, at the limit", &[], [layer().file("a/b/c", "x")])
            .gives(["D a", "D a/b", "f a/b/c =x"])
            .limit("path_depth", 3),
        row(43, "depth, one more", &[], [layer().file("a/b/c/d", "x")])
            .refused("limit-exceeded")
            .limit("path_depth", 3),
        row(43, "depth by a link", &[], [layer().directory("a/b/c", 0o755).symlink("l", "a/b/c").file("l/d", "x")])
            .refused("limit-path-depth")
            .limit("path_depth", 3),
        row(43, "depth by a dangling link", &[], [layer().symlink("l", "a/b/c/d").file("l/e", "x")])
            .refused("limit-path-depth")
            .limit("path_depth", 3),
        row(43, "bytes of a path", &[], [layer().file("abcdef", "x")]).refused("limit-exceeded").limit("path_bytes", 5),
        row(43, "bytes of a link target", &[], [layer().symlink("a", "abcdef")])
            .refused("limit-exceeded")
            .limit("path_bytes", 5),
        row(
            43,
            "bytes of the tree in memory",
            &[],
            [(0..1000).fold(layer(), |layer, n| layer.file(format!("f{n}"), ""))],
        )
        .refused("limit-tree-bytes")
        .limit("tree_bytes", 50_000),
        row(
            43,
            "bytes of the tree, by short entries with long links",
            &[],
            [(0..1000).fold(layer(), |layer, n| layer.symlink(format!("l{n}"), "t".repeat(4000)))],
        )
        .refused("limit-tree-bytes")
        .limit("tree_bytes", 1 << 20),
    ]
}

fn bombs() -> Vec<Row> {
    // Beyond the first 64 MiB, zeros come to some 1,000 for each byte of gzip, and that is legitimate.
    let zeros = |mebibytes: usize| zeros_in_gzip(mebibytes);
    let file = format!("f zeros ={}", "\0".repeat(96 << 20));
    vec![
        row(43, "96 MiB of zeros in gzip", &[], [zeros(96)]).gives([file]).memory(320),
        row(43, "gzip beyond a ratio of 300", &[], [zeros(96)]).refused("ratio-limit").limit("ratio", 300),
        row(43, "zstd of zeros, 30,000 for a byte", &[], [zeros_in_zstd(256)]).refused("ratio-limit"),
        row(43, "gzip in gzip is opened once", &[], [Layer::from_tar(layer().file("a", "x").blob())])
            .malformed("tar-truncated"),
    ]
}

/// A file of zeros in the best that gzip can do.
fn zeros_in_gzip(mebibytes: usize) -> Layer {
    let layer = layer().file("zeros", vec![0; mebibytes << 20]);
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&layer.tar()).expect("memory takes it");
    layer.replace_blob(encoder.finish().expect("memory takes it"))
}

/// A tar of a file of zeros, as one frame of run-length blocks, each of four bytes for 128 KiB.
fn zeros_in_zstd(mebibytes: usize) -> Layer {
    let size = mebibytes << 20;
    let tar = layer().file("zeros", vec![0; size]).tar();
    let (header, zeros) = tar.split_at(512);
    let mut blob = super::zstd::frame_header(None, 17);
    super::zstd::raw_block(&mut blob, header, false);
    let blocks = zeros.len().div_ceil(128 << 10);
    for block in 0..blocks {
        let length = (zeros.len() - block * (128 << 10)).min(128 << 10);
        super::zstd::run_block(&mut blob, 0, length, block + 1 == blocks);
    }
    layer().file("zeros", vec![0; size]).replace_blob(blob)
}
