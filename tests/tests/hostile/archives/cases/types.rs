//! 22 and 23: what stands in the way, and names that change what they are.

use oci_fetcher_tests::image::Layer;

use crate::archives::row::{Row, row};

pub(crate) fn rows() -> Vec<Row> {
    [parents(), changes(), modes()].into_iter().flatten().collect()
}

fn layer() -> Layer {
    Layer::new()
}

fn parents() -> Vec<Row> {
    let f = || layer().file("f", "x");
    vec![
        row(22, "the parent is a file", &[], [f().file("f/a", "y")]).refused("parent-not-directory"),
        row(22, "the parent is a lower layer's file", &[], [f(), layer().file("f/a", "y")])
            .refused("parent-not-directory"),
        row(22, "the parent's parent is a file", &[], [f().directory("f/a/b", 0o755)]).refused("parent-not-directory"),
        row(22, "the parent is a FIFO", &[], [layer().fifo("p").file("p/a", "x")]).refused("parent-not-directory"),
        row(22, "the parent is a device", &[], [layer().character_device("c", 1, 3).file("c/a", "x")])
            .refused("parent-not-directory"),
        row(22, "the parent is a link to a file", &[], [f().symlink("l", "f").file("l/a", "y")])
            .refused("parent-not-directory"),
        row(22, "a link over a file and back", &[], [f().symlink("l", "f/..").file("l/a", "y")])
            .refused("parent-not-directory"),
        row(22, "the parent is a hard link to a file", &[], [f().hard_link("h", "f").file("h/a", "y")])
            .refused("parent-not-directory"),
        row(
            22,
            "the parent is a dangling link: made where it leads",
            &[],
            [layer().symlink("l", "no/such").file("l/a", "x")],
        )
        .gives(["l l ->no/such", "D no", "D no/such", "f no/such/a =x"]),
        row(
            22,
            "a dangling link that takes back what is missing",
            &[],
            [layer().symlink("d/l", "x/../y/z").file("d/l/f", "x")],
        )
        .gives(["D d", "l d/l ->x/../y/z", "D d/y", "D d/y/z", "f d/y/z/f =x"]),
        row(22, "a loop of two links", &[], [layer().symlink("a", "b").symlink("b", "a").file("a/x", "x")])
            .refused("too-many-symlinks"),
        row(22, "a link to itself", &[], [layer().symlink("a", "a").file("a/x", "x")]).refused("too-many-symlinks"),
        row(22, "a link into itself", &[], [layer().symlink("a", "a/b").file("a/x", "x")]).refused("too-many-symlinks"),
        row(22, "loops that nothing goes through", &[], [layer().symlink("a", "b").symlink("b", "a")])
            .gives(["l a ->b", "l b ->a"]),
        row(22, "a hard link by a loop", &[], [layer().symlink("a", "a").hard_link("h", "a/x")])
            .refused("too-many-symlinks"),
        row(22, "links that multiply", &[], [multiplying()]).refused("too-many-symlinks"),
    ]
}

/// Thirty short links that would be 8^29 steps.
fn multiplying() -> Layer {
    let links = (1..30).fold(layer().symlink("0", "."), |layer, step| {
        layer.symlink(step.to_string(), format!("{}/", step - 1).repeat(8))
    });
    links.file("29/x", "x")
}

/// A kind, an entry `a` of it, and its line.
type Kind = (&'static str, fn(Layer) -> Layer, &'static str);

fn changes() -> Vec<Row> {
    let mut rows = vec![
        row(
            23,
            "file, symlink, file",
            &[],
            [layer().file("a", "1").symlink("a", "../../victim/secret").file("a", "2")],
        )
        .gives(["f a =2"]),
        row(
            23,
            "the same in three layers",
            &[],
            [layer().file("a", "1"), layer().symlink("a", "../../victim/secret"), layer().file("a", "2")],
        )
        .gives(["f a =2"]),
        row(
            23,
            "symlink, file, symlink",
            &[],
            [layer().symlink("a", "../../victim/secret").file("a", "1").symlink("a", "../../victim")],
        )
        .gives(["l a ->../../victim"]),
        row(
            23,
            "directory, file, directory",
            &[],
            [layer().directory("a", 0o700).file("a/b/c", "x"), layer().file("a", "1"), layer().directory("a", 0o711)],
        )
        .gives(["d a 711"]),
        row(
            23,
            "a directory over a directory",
            &[],
            [layer().directory("a", 0o700).file("a/b", "x"), layer().directory("a", 0o555).owner(7, 8).modified(5, 0)],
        )
        .gives(["d a 555 own=7:8 @5", "f a/b =x"]),
        row(
            23,
            "a directory that a further layer does not name",
            &[],
            [layer().directory("a", 0o750).owner(7, 8).modified(5, 0), layer().file("a/new", "x")],
        )
        .gives(["d a 750 own=7:8 @5", "f a/new =x"]),
        row(23, "FIFO, file, FIFO", &[], [layer().fifo("a").file("a", "x").fifo("a")]).gives(["p a"]),
        row(
            23,
            "the same file a hundred times",
            &[],
            [(0..100).fold(layer(), |layer, turn| layer.file("a", turn.to_string()))],
        )
        .gives(["f a =99"]),
        row(
            23,
            "a full directory that becomes a hard link",
            &[],
            [layer().file("f", "x").file("d/a/b", "y").hard_link("d", "f")],
        )
        .gives(["f d =x", "h f d"]),
    ];
    let kinds: [Kind; 5] = [
        ("file", |layer| layer.file("a", "x"), "f a =x"),
        ("directory", |layer| layer.directory("a", 0o700), "d a 700"),
        ("symlink", |layer| layer.symlink("a", "../../victim"), "l a ->../../victim"),
        ("FIFO", |layer| layer.fifo("a"), "p a"),
        ("hard link", |layer| layer.hard_link("a", "z"), "h z a"),
    ];
    for (from, make, _) in kinds {
        for (to, change, line) in kinds {
            if from != to {
                let lines: &[&str] = if to == "hard link" { &["f a =z", line] } else { &["f z =z", line] };
                let lower = make(layer().file("z", "z"));
                rows.push(row(23, format!("{from} to {to}"), &[], [lower, change(layer())]).gives(lines));
            }
        }
    }
    rows
}

fn modes() -> Vec<Row> {
    vec![
        row(
            23,
            "directories of mode 555 and 000 with children",
            &[],
            [layer()
                .directory("a", 0o555)
                .file("a/f", "x")
                .directory("b", 0)
                .directory("b/c", 0)
                .file("b/c/f", "x")
                .mode(0)],
        )
        .gives(["d a 555", "f a/f =x", "d b 000", "d b/c 000", "f b/c/f 000 =x"])
        .twice(),
        row(
            23,
            "more children in a further layer",
            &[],
            [layer().directory("a", 0o555).directory("b", 0), layer().file("a/f", "x").file("b/f", "x")],
        )
        .gives(["d a 555", "f a/f =x", "d b 000", "f b/f =x"])
        .twice(),
        row(
            23,
            "removed by a further layer",
            &[],
            [layer().directory("b", 0).directory("b/c", 0).file("b/c/f", "x").mode(0), layer().whiteout("b")],
        )
        .gives([""; 0]),
        row(23, "a root of mode 000", &[], [layer().directory("./", 0).file("f", "x")])
            .gives(["d . 000", "f f =x"])
            .twice(),
        row(
            23,
            "a failure after them leaves nothing",
            &[],
            [layer().directory("b", 0).file("b/f", "x").directory("c", 0o555).file("../e", "x")],
        )
        .refused("unsafe-name"),
    ]
}
