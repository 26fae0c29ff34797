//! An image that is small and hard to hold: what merging can get wrong, and what hosts cannot keep.

use tar::EntryType;

use crate::image::{Compression, Image, Layer};

/// Returns the image: four layers, each compressed in another way.
#[must_use]
pub fn image() -> Image {
    Image::new()
        .platform("linux/amd64")
        .layer(base().compress(Compression::Gzip))
        .layer(names().compress(Compression::Zstd))
        .layer(changes().compress(Compression::GzipMembers(3)))
        .layer(last().compress(Compression::None))
        .env("PATH=/usr/bin")
        .label("org.example.awkward", "yes")
        .command("sh")
        .working_directory("/srv")
}

/// What later layers change, and attributes of every kind.
fn base() -> Layer {
    Layer::new()
        .directory("./", 0o755)
        .modified(1_500_000_000, 7)
        .directory("etc", 0o755)
        .file("etc/hostname", b"one\n")
        .file("etc/gone", b"gone\n")
        .file("etc/again", b"first\n")
        .directory("usr", 0o755)
        .directory("usr/bin", 0o755)
        .file("usr/bin/tool", b"#!/bin/sh\nexec true\n")
        .mode(0o4755)
        .owner(0, 50)
        .hard_link("usr/bin/other-tool", "usr/bin/tool")
        .symlink("bin", "usr/bin")
        .symlink("absolute", "/etc/hostname")
        .symlink("dangling", "nowhere/at/all")
        .symlink("beyond", "../../../etc/hostname")
        .symlink("loop-a", "loop-b")
        .symlink("loop-b", "loop-a")
        .directory("opaque-after", 0o755)
        .file("opaque-after/old", b"old")
        .directory("opaque-before", 0o755)
        .directory("opaque-before/below", 0o755)
        .file("opaque-before/below/old", b"old")
        .directory("removed", 0o700)
        .directory("removed/deep", 0o700)
        .file("removed/deep/er", b"deep")
        .file("file-to-directory", b"file")
        .directory("directory-to-file", 0o755)
        .file("directory-to-file/inside", b"inside")
        .directory("directory-to-symlink", 0o755)
        .file("directory-to-symlink/inside", b"inside")
        .symlink("symlink-to-directory", "etc")
        .symlink("symlink-to-file", "etc/hostname")
        .file("file-to-fifo", b"file")
        .file("linked", b"one content under several names")
        .hard_link("linked-too", "linked")
        .directory("tmp", 0o1777)
        .directory("srv", 0o2775)
        .owner(1000, 3_000_000)
        .file("empty", b"")
        .file("large", (0..300_000_u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect::<Vec<_>>())
        .directory("dev", 0o755)
        .fifo("dev/pipe")
        .character_device("dev/null", 1, 3)
        .mode(0o666)
        .block_device("dev/disk", 259, 70_000)
        .mode(0o660)
        .file("attributed", b"x")
        .xattr("user.origin", b"a\0=\nb")
        .xattr("user.empty", b"")
        .file("capable", b"x")
        .xattr("security.capability", b"\x01\0\0\x02\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")
        .file("early", b"before 1970")
        .modified(-2, 500_000_000)
        .file("precise", b"to the nanosecond")
        .modified(1_600_000_000, 123_456_789)
        .file("late", b"after 2038")
        .modified(4_000_000_000, 999_999_999)
}

/// Names that file systems, shells, URLs and strings of UTF-16 take badly.
fn names() -> Layer {
    let names: [&[u8]; 26] = [
        b"a space",
        b" leading and trailing ",
        b"tab\tname",
        b"new\nline",
        b"carriage\rreturn",
        b"escape\x1b[31m",
        b"back\\slash",
        b"quotes\"'`",
        b"question?mark",
        b"hash#fragment",
        b"per%20cent",
        b"colon:star*pipe|less<more>",
        b"-dash",
        b"~tilde",
        b"...dots",
        b"dot.",
        b"CON",
        b"case",
        b"Case",
        "é composed".as_bytes(),
        "e\u{301} decomposed".as_bytes(),
        "\u{1f980} crab".as_bytes(),
        "\u{202e}reversed".as_bytes(),
        b"latin-1 \xe9",
        b"not utf-8 \xff\xfe",
        // How UTF-8 would encode a lone surrogate.
        b"surrogate \xed\xb3\xbf",
    ];
    let layer = Layer::new().directory("names", 0o755);
    let layer = names.iter().fold(layer, |layer, name| layer.file([b"names/", *name].concat(), name));
    let component = "n".repeat(255);
    layer
        .file(format!("names/{component}"), b"as long as a name can be")
        .file(format!("names/{}/end", "deep/".repeat(60).trim_end_matches('/')), b"deep")
        .symlink("names/link", b"not utf-8 \xff\xfe")
        .symlink("names/far", format!("../names/{component}"))
        .gnu_long_name(format!("names/{}/gnu", "g".repeat(120)))
        .file("short", b"under a GNU long name")
        .file("names/sparse", b"")
}

/// Removals, replacements and links across layers.
fn changes() -> Layer {
    Layer::new()
        .directory("etc", 0o711)
        .file("etc/hostname", b"two\n")
        .owner(1000, 1000)
        .whiteout("etc/gone")
        .whiteout("removed")
        // A link to what a lower layer holds, by a path through a symlink.
        .hard_link("usr/bin/linked-later", "bin/tool")
        // One name goes, the content stays under the other.
        .whiteout("linked")
        .hard_link("linked-last", "linked-too")
        .directory("opaque-after", 0o750)
        .file("opaque-after/new", b"new")
        .opaque("opaque-after")
        .opaque("opaque-before")
        .file("opaque-before/new", b"new")
        .directory("file-to-directory", 0o755)
        .file("file-to-directory/inside", b"inside")
        .file("directory-to-file", b"file")
        .symlink("directory-to-symlink", "etc")
        .directory("symlink-to-directory", 0o755)
        .file("symlink-to-directory/inside", b"inside")
        .file("symlink-to-file", b"file")
        .fifo("file-to-fifo")
        // Written through a symlink of a lower layer.
        .file("bin/through", b"through a link")
        .whiteout("etc/again")
        .file("implied/parents/without/entries", b"implied")
}

/// Sparse files, and what was removed a layer before.
fn last() -> Layer {
    Layer::new()
        .file("etc/again", b"second\n")
        .directory("removed", 0o755)
        .file("removed/anew", b"anew")
        .raw(sparse("sparse", 1_000_000, &[(0, &[1; 512]), (500_000, &[7; 5120]), (999_990, b"0123456789")]))
        .raw(sparse("sparse-end", 100_000, &[(10_000, b"in the middle"), (100_000, b"")]))
        .raw(sparse("sparse-empty", 50_000, &[(50_000, b"")]))
        .symlink("names/again", "sparse")
        .whiteout("names/sparse")
}

/// Returns a sparse file in GNU tar's pax format 1.0: the map stands before the content.
///
/// As GNU tar writes them, and insists on reading them: extents with others after them are whole
/// blocks, and a hole at the end is followed by an empty one.
fn sparse(path: &str, size: u64, extents: &[(u64, &[u8])]) -> Vec<u8> {
    let mut map = format!("{}\n", extents.len());
    for (offset, bytes) in extents {
        map.push_str(&format!("{offset}\n{}\n", bytes.len()));
    }
    let mut payload = map.into_bytes();
    payload.resize(payload.len().next_multiple_of(512), 0);
    payload.extend(extents.iter().flat_map(|(_, bytes)| bytes.iter()));
    Layer::new()
        .file(format!("GNUSparseFile.0/{path}"), payload)
        .pax("GNU.sparse.major", "1")
        .pax("GNU.sparse.minor", "0")
        .pax("GNU.sparse.name", path)
        .pax("GNU.sparse.realsize", size.to_string())
        .trailer(b"")
        .tar()
}

/// Returns layers that each must be refused, by the name of what is wrong with them.
#[must_use]
pub fn refused() -> Vec<(&'static str, Layer)> {
    let file = Layer::new().file("before", b"complete before the fault");
    vec![
        ("outside", file.clone().file("../outside", b"x")),
        ("link-outside", file.clone().hard_link("link", "../../etc/passwd")),
        ("link-missing", file.clone().hard_link("link", "nowhere")),
        ("bad-checksum", file.raw(bad_checksum())),
    ]
}

fn bad_checksum() -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_size(0);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes[0] = b'x';
    bytes
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;
    use crate::process::{measure, required};

    #[test]
    fn gnu_tar_reads_the_sparse_files() {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let archive = directory.path().join("layer.tar");
        fs::write(&archive, last().tar()).expect("written");
        let mut tar = Command::new(required("tar", "tar"));
        let _ = measure(tar.arg("-xf").arg(&archive).arg("-C").arg(directory.path())).expect_code(0);
        let read = |name: &str| fs::read(directory.path().join(name)).expect("extracted");
        let sparse = read("sparse");
        assert_eq!((sparse.len(), &sparse[999_990..]), (1_000_000, &b"0123456789"[..]));
        let count = |byte: u8| sparse.iter().filter(|it| **it == byte).count();
        assert_eq!((count(1), count(7), sparse[500_000]), (512, 5120, 7));
        assert_eq!(read("sparse-end").len(), 100_000);
        assert_eq!(read("sparse-empty"), vec![0; 50_000]);
    }
}
