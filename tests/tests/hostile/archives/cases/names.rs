//! 1 to 3: names that lead out of the root, or look as if they did.

use oci_fetcher_tests::image::Layer;

use crate::archives::row::{Row, row};

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    rows.extend(leading_out());
    rows.extend(staying_inside());
    rows
}

const LEAD_OUT: &[&str] = &["CVE-2018-1002207", "CVE-2007-4559"];

fn leading_out() -> Vec<Row> {
    let mut rows = Vec::new();
    for name in [
        "../e",
        "a/../../e",
        "..",
        "../",
        "/../e",
        "/..",
        "./../e",
        "a/b/../../../e",
        ".//..//e",
        "a/./../../e",
        "../root/e",
        "../root-evil/e",
        "../victim/secret",
    ] {
        rows.push(row(1, name, LEAD_OUT, [Layer::new().file("before", "x").file(name, "x")]).refused("unsafe-name"));
    }
    let layer = Layer::new;
    rows.extend([
        row(1, "../d/ as a directory", LEAD_OUT, [layer().directory("../d", 0o777)]).refused("unsafe-name"),
        row(1, ".. as a directory", LEAD_OUT, [layer().directory("..", 0o777)]).refused("unsafe-name"),
        row(1, "../l as a symlink", LEAD_OUT, [layer().symlink("../l", "x")]).refused("unsafe-name"),
        row(1, "../h as a hard link", LEAD_OUT, [layer().file("f", "x").hard_link("../h", "f")]).refused("unsafe-name"),
        row(1, "../p as a FIFO", LEAD_OUT, [layer().fifo("../p")]).refused("unsafe-name"),
        row(1, "../.wh.victim as a whiteout", LEAD_OUT, [layer().whiteout("../victim")]).refused("unsafe-name"),
        row(1, "../victim/.wh..wh..opq", LEAD_OUT, [layer().opaque("../victim")]).refused("unsafe-name"),
        row(1, "../e in a pax path", LEAD_OUT, [layer().file("e", "x").pax("path", "../e")]).refused("unsafe-name"),
        row(1, "../e in a GNU long name", LEAD_OUT, [layer().gnu_long_name("../e").file("e", "x")])
            .refused("unsafe-name"),
        row(1, "../e in the second layer", LEAD_OUT, [layer().file("a", "x"), layer().file("../e", "x")])
            .refused("unsafe-name"),
        row(1, "an empty name", LEAD_OUT, [layer().file("", "x")]).refused("unsafe-name"),
    ]);
    rows
}

fn staying_inside() -> Vec<Row> {
    let layer = Layer::new;
    vec![
        row(1, "a/../b is b", &[], [layer().file("a/../b", "x")]).gives(["f b =x"]),
        row(1, "a/../b is b though a is a symlink", &[], [layer().symlink("a", "d/e").file("a/../b", "x")])
            .gives(["l a ->d/e", "f b =x"]),
        row(1, "./a//./b", &[], [layer().file("./a//./b", "x")]).gives(["D a", "f a/b =x"]),
        row(1, "a/.. is the root, of a directory", &[], [layer().directory("a/..", 0o711)]).gives(["d . 711"]),
        row(1, "..a and a.. and ... are names", &[], [layer().file("..a", "1").file("a..", "2").file("...", "3")])
            .gives(["f ... =3", "f ..a =1", "f a.. =2"]),
        row(2, "/e", &[], [layer().file("/e", "x")]).gives(["f e =x"]),
        row(2, "//e/f", &[], [layer().file("//e/f", "x")]).gives(["D e", "f e/f =x"]),
        row(2, "/ as a directory", &[], [layer().directory("/", 0o700)]).gives(["d . 700"]),
        row(2, "/etc/passwd", &[], [layer().file("/etc/passwd", "x")]).gives(["D etc", "f etc/passwd =x"]),
        row(2, "/e as a symlink", &[], [layer().symlink("/e", "/f")]).gives(["l e ->/f"]),
    ]
}
