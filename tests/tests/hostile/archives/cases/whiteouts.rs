//! 17 to 21: what a layer says is gone.

use oci_fetcher_tests::image::Layer;
use tar::EntryType;

use crate::archives::row::{Row, row};

pub(crate) fn rows() -> Vec<Row> {
    let parts = [unsafe_names(), through_links(), of_the_same_layer(), oddities()];
    parts.into_iter().flatten().collect()
}

fn layer() -> Layer {
    Layer::new()
}

/// A lower layer with something to hide.
fn lower() -> Layer {
    layer()
        .directory("d", 0o711)
        .modified(5, 0)
        .file("d/a", "a")
        .directory("d/s", 0o700)
        .file("d/s/old", "old")
        .file(".hid", "h")
        .file("top", "t")
}

const LOWER: [&str; 6] = ["d d 711 @5", "f d/a =a", "d d/s 700", "f d/s/old =old", "f .hid =h", "f top =t"];

/// Returns the lower layer's lines without some.
fn without<'l>(gone: &[&str], more: &[&'l str]) -> Vec<&'l str> {
    let path = |line: &str| line.split(' ').nth(1).map(str::to_owned);
    let mut lines: Vec<&str> =
        LOWER.into_iter().filter(|line| !gone.iter().any(|gone| path(line).as_deref() == Some(gone))).collect();
    lines.extend(more);
    lines
}

fn unsafe_names() -> Vec<Row> {
    let mut rows = Vec::new();
    for name in [".wh.", ".wh..", ".wh...", "d/.wh.", "d/.wh..", "d/.wh...", "d/.wh./", "./.wh../"] {
        rows.push(row(17, name, &[], [lower(), layer().file(name, "")]).refused("unsafe-whiteout"));
    }
    for name in [".wh.d/a", "d/.wh.s/old", ".wh.d/.wh.a", ".wh..wh..opq/a", "d/.wh..wh..opq/.wh.a"] {
        rows.push(
            row(21, format!("{name}: a mark that is no last component"), &[], [lower(), layer().file(name, "")])
                .refused("unsafe-whiteout"),
        );
    }
    rows.push(
        row(17, ".wh...x hides ..x", &[], [layer().file("..x", "x").file(".x", "y"), layer().whiteout("..x")])
            .gives(["f .x =y"]),
    );
    rows
}

fn through_links() -> Vec<Row> {
    let outward = || {
        layer()
            .file("v/secret", "x")
            .symlink("d/out", "../../../victim")
            .symlink("d/e/abs", "/v")
            .hard_link("d/e/h", "v/secret")
            .file("d/f", "f")
    };
    vec![
        row(18, "the mark of a link", &[], [layer().symlink("l", "../../victim"), layer().whiteout("l")])
            .gives([""; 0]),
        row(
            18,
            "a mark through a link to outside",
            &[],
            [layer().symlink("l", "../../victim"), layer().whiteout("l/secret")],
        )
        .gives(["l l ->../../victim"]),
        row(18, "a mark through an absolute link", &[], [layer().symlink("l", "/etc"), layer().whiteout("l/passwd")])
            .gives(["l l ->/etc"]),
        row(
            18,
            "a mark through a link inside",
            &[],
            [layer().file("t/x", "x").file("t/y", "y").symlink("l", "t"), layer().whiteout("l/x")],
        )
        .gives(["l l ->t", "D t", "f t/y =y"]),
        row(
            18,
            "an opaque mark through a link to outside",
            &[],
            [layer().symlink("l", "../../victim"), layer().opaque("l")],
        )
        .gives(["l l ->../../victim"]),
        row(
            18,
            "an opaque mark through a link inside",
            &[],
            [layer().file("t/x", "x").symlink("l", "/t"), layer().opaque("l")],
        )
        .gives(["l l ->/t", "D t"]),
        row(18, "removing a tree with outward links", &[], [outward(), layer().whiteout("d")])
            .gives(["D v", "f v/secret =x"]),
        row(18, "emptying a tree with outward links", &[], [outward(), layer().opaque("d")]).gives([
            "D d",
            "D v",
            "f v/secret =x",
        ]),
        row(18, "replacing a tree with outward links by a file", &[], [outward(), layer().file("d", "x")]).gives([
            "f d =x",
            "D v",
            "f v/secret =x",
        ]),
        row(
            18,
            "replacing a tree with outward links by a link",
            &[],
            [outward(), layer().symlink("d", "../../victim")],
        )
        .gives(["l d ->../../victim", "D v", "f v/secret =x"]),
        row(18, "an opaque root over outward links", &[], [outward(), layer().opaque("").file("new", "n")])
            .gives(["f new =n"]),
        row(
            18,
            "a mark in a loop of links",
            &[],
            [layer().symlink("a", "b").symlink("b", "a"), layer().whiteout("a/x")],
        )
        .refused("too-many-symlinks"),
    ]
}

fn of_the_same_layer() -> Vec<Row> {
    let new = || layer().file("d/s/new", "new");
    // The directory itself is not hidden, and keeps what the lower layer says of it.
    let kept = ["d d 711 @5", "D d/s", "f d/s/new =new"];
    vec![
        row(19, "opaque after a sibling", &[], [lower(), new().opaque("d")])
            .gives([&kept[..], &["f .hid =h", "f top =t"]].concat()),
        row(19, "opaque before a sibling", &[], [lower(), layer().opaque("d").file("d/s/new", "new")])
            .gives([&kept[..], &["f .hid =h", "f top =t"]].concat()),
        row(
            19,
            "opaque twice, around siblings",
            &[],
            [lower(), layer().opaque("d").file("d/s/new", "new").opaque("d").opaque("d/s")],
        )
        .gives([&kept[..], &["f .hid =h", "f top =t"]].concat()),
        row(19, "opaque inside, then outside", &[], [lower(), new().opaque("d/s").opaque("d")])
            .gives([&kept[..], &["f .hid =h", "f top =t"]].concat()),
        row(
            19,
            "opaque with the directory's own entry after it",
            &[],
            [lower(), new().opaque("d").directory("d", 0o750).directory("d/s", 0o755)],
        )
        .gives(["d d 750", "d d/s", "f d/s/new =new", "f .hid =h", "f top =t"]),
        row(19, "opaque in the only layer", &[], [layer().file("d/a", "a").opaque("d")]).gives(["D d", "f d/a =a"]),
        row(19, "opaque keeps a file that replaced a lower one", &[], [lower(), layer().file("d/a", "2").opaque("d")])
            .gives(["d d 711 @5", "f d/a =2", "f .hid =h", "f top =t"]),
        row(20, "a, then .wh.a", &[], [layer().file("a", "x").whiteout("a")]).gives(["f a =x"]),
        row(20, ".wh.a, then a", &[], [layer().whiteout("a").file("a", "x")]).gives(["f a =x"]),
        row(20, "a, then .wh.a, over a lower a", &[], [layer().file("a", "1"), layer().file("a", "2").whiteout("a")])
            .gives(["f a =2"]),
        row(20, "a directory, then its mark", &[], [lower(), layer().file("d/new", "n").whiteout("d")]).gives([
            "D d",
            "f d/new =n",
            "f .hid =h",
            "f top =t",
        ]),
        row(20, "a link, then its mark", &[], [lower(), layer().symlink("top", "d").whiteout("top")])
            .gives(without(&["top"], &["l top ->d"])),
        row(20, "two marks of one name", &[], [lower(), layer().whiteout("top").whiteout("top")])
            .gives(without(&["top"], &[])),
        row(
            20,
            "a mark, and the name again in a third layer",
            &[],
            [lower(), layer().whiteout("d"), layer().file("d/again", "x")],
        )
        .gives(["D d", "f d/again =x", "f .hid =h", "f top =t"]),
        row(
            20,
            "a hard link to what the same layer hides",
            &[],
            [lower(), layer().hard_link("h", "top").whiteout("top")],
        )
        .gives(without(&["top"], &["f h =t"])),
    ]
}

fn oddities() -> Vec<Row> {
    let marks: [(&str, Layer); 6] = [
        ("a mark as a directory", layer().directory(".wh.top", 0o755)),
        ("a mark as a symlink", layer().symlink(".wh.top", "d")),
        ("a mark as a hard link", layer().hard_link(".wh.top", "d/a")),
        ("a mark as a FIFO", layer().fifo(".wh.top")),
        ("a mark as a device", layer().character_device(".wh.top", 0, 0)),
        ("a mark with a payload and a mode", layer().file(".wh.top", "payload").mode(0o4777).owner(7, 8)),
    ];
    let mut rows: Vec<Row> = marks
        .into_iter()
        .map(|(name, upper)| row(21, name, &[], [lower(), upper]).gives(without(&["top"], &[])))
        .collect();
    rows.extend([
        row(21, ".wh..wh..opq is no plain mark", &[], [lower(), layer().file("d/.wh..wh..opq", "x").mode(0o4777)])
            .gives(["d d 711 @5", "f .hid =h", "f top =t"]),
        row(
            21,
            ".wh..opq is a plain mark",
            &[],
            [layer().file("d/.opq", "x").file("d/a", "a"), layer().whiteout("d/.opq")],
        )
        .gives(["D d", "f d/a =a"]),
        row(21, ".wh..hid hides .hid", &[], [lower(), layer().whiteout(".hid")]).gives(without(&[".hid"], &[])),
        row(21, ".wh.d hides a directory and all in it", &[], [lower(), layer().whiteout("d")])
            .gives(["f .hid =h", "f top =t"]),
        row(21, "a mark in a missing directory", &[], [lower(), layer().whiteout("no/such/x").opaque("nor/this")])
            .gives(LOWER),
        row(21, "a mark of a missing name", &[], [lower(), layer().whiteout("d/missing")]).gives(LOWER),
        row(21, "a mark below a file", &[], [lower(), layer().whiteout("top/x").opaque("top")]).gives(LOWER),
        row(21, "a mark in the first layer", &[], [layer().whiteout("x").opaque("").file("y", "y")]).gives(["f y =y"]),
        row(21, "a mark with a slash at its end", &[], [lower(), layer().file("./.wh.top/", "")])
            .gives(without(&["top"], &[])),
        row(21, "a mark by a pax path", &[], [lower(), layer().file("x", "").pax("path", ".wh.top")])
            .gives(without(&["top"], &[])),
        row(21, "a mark by a GNU long name", &[], [lower(), layer().gnu_long_name(".wh.top").file("x", "")])
            .gives(without(&["top"], &[])),
        row(
            21,
            "a mark that is a symlink without a target",
            &[],
            [lower(), layer().raw_member(EntryType::Symlink, ".wh.top", |_| {}, b"")],
        )
        .gives(without(&["top"], &[])),
        row(
            21,
            "aufs's bookkeeping",
            &[],
            [lower(), layer().directory(".wh..wh.plnk", 0o700).file(".wh..wh.plnk/1.2", "x").file(".wh..wh.aufs", "")],
        )
        .gives(LOWER)
        .reports(".wh..wh.plnk union-mark")
        .reports(".wh..wh.plnk/1.2 union-mark")
        .reports(".wh..wh.aufs union-mark"),
        row(21, "aufs's bookkeeping below the root is a mark", &[], [lower(), layer().file("d/.wh..wh.plnk", "")])
            .gives(LOWER),
        row(21, ".WH.top and .wh as names", &[], [layer().file(".WH.top", "1").file(".wh", "2").file("x.wh.y", "3")])
            .gives(["f .WH.top =1", "f .wh =2", "f x.wh.y =3"]),
        row(21, "the root hidden by .wh. of nothing", &[], [lower(), layer().file("./.wh./", "")])
            .refused("unsafe-whiteout"),
        row(21, "an opaque root", &[], [lower(), layer().opaque("").file("new", "n")]).gives(["f new =n"]),
    ]);
    rows
}
