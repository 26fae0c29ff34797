//! 46 and 47: marks by the thousand, and programs that nobody may call.

use oci_fetcher_tests::image::{Compression, Layer};

use crate::archives::row::{Row, row};

pub(crate) fn rows() -> Vec<Row> {
    let layer = |compression| Layer::new().file("a", "x").compress(compression);
    let other = |magic: &[u8]| Layer::new().replace_blob([magic, &[7; 2000]].concat());
    let ids = &["CVE-2014-9357"];
    let mut rows = marks();
    // Each case of this table runs with such programs first on PATH, and fails if one is called.
    rows.extend([
        row(47, "gzip, with a gzip on PATH", ids, [layer(Compression::Gzip)]).gives(["f a =x"]),
        row(47, "zstd, with a zstd on PATH", ids, [layer(Compression::Zstd)]).gives(["f a =x"]),
        row(47, "a plain tar, with a tar on PATH", ids, [layer(Compression::None)]).gives(["f a =x"]),
        row(47, "xz, with an xz on PATH", ids, [other(b"\xfd7zXZ\0")]).malformed("tar-checksum"),
        row(47, "bzip2, with a bzip2 on PATH", ids, [other(b"BZh91AY")]).malformed("tar-checksum"),
        row(47, "bad gzip, with a gzip on PATH", ids, [other(b"\x1f\x8b\x08")]).malformed("malformed-gzip"),
    ]);
    rows
}

/// A scan of the whole directory for each mark would be hundreds of millions of steps.
fn marks() -> Vec<Row> {
    let many = 10_000;
    let files = (0..many).fold(Layer::new(), |layer, n| layer.file(format!("d/{n}"), ""));
    let opaque = (0..many).fold(Layer::new(), |layer, n| layer.file(format!("d/new{n}"), "").opaque("d").whiteout("d"));
    let whiteouts = (0..many).rev().fold(Layer::new(), |layer, n| layer.whiteout(format!("d/{n}")));
    let lines = || (0..many).map(|n| format!("f d/new{n} =")).chain(["D d".to_owned()]);
    vec![
        row(46, "10,000 files, each with an opaque mark and a whiteout after it", &[], [files.clone(), opaque])
            .gives(lines()),
        row(46, "10,000 whiteouts in one directory, backwards", &[], [files, whiteouts]).gives(["D d"]),
    ]
}
