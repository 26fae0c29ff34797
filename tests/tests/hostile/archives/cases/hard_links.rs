//! 3 and 10 to 13: hard links, what they share, and the targets of links of both kinds.

use oci_fetcher_tests::image::Layer;

use crate::archives::row::{Row, row};

pub(crate) fn rows() -> Vec<Row> {
    [hard_links(), shared(), targets()].into_iter().flatten().collect()
}

fn layer() -> Layer {
    Layer::new()
}

const HARD: &[&str] = &["CVE-2018-20990", "CVE-2026-50163"];

fn hard_links() -> Vec<Row> {
    let mut rows = Vec::new();
    for target in
        ["../root-evil/secret", "../../victim/secret", "a/../../../victim/secret", "..", "/../../victim/secret"]
    {
        let number = if target.contains("root-evil") { 3 } else { 10 };
        let ids = if number == 3 { &["CVE-2025-59343"][..] } else { HARD };
        rows.push(
            row(number, format!("a hard link to {target}"), ids, [layer().hard_link("h", target)])
                .refused("unsafe-name"),
        );
    }
    let f = || layer().file("d/f", "x");
    for target in ["/d/f", "./d/f", "d/./f", "//d//f", "d/e/../f"] {
        rows.push(
            row(10, format!("a hard link to {target}"), &[], [f().hard_link("h", target)])
                .gives(["D d", "f d/f =x", "h h d/f"]),
        );
    }
    rows.extend([
        row(10, "to what the system has, not the root", HARD, [layer().hard_link("h", "/etc/passwd")])
            .refused("hard-link-to-missing"),
        row(10, "to what the working directory has", HARD, [layer().hard_link("h", "root-evil/secret")])
            .refused("hard-link-to-missing"),
        row(10, "by a link to the outside", HARD, [layer().symlink("l", "../../victim").hard_link("h", "l/secret")])
            .refused("hard-link-to-missing"),
        row(10, "by an absolute link", HARD, [layer().symlink("l", "/etc").hard_link("h", "l/passwd")])
            .refused("hard-link-to-missing"),
        row(10, "to a link: the link itself", HARD, [layer().symlink("l", "../../victim/secret").hard_link("h", "l")])
            .gives(["l h ->../../victim/secret", "h l h"]),
        row(
            10,
            "then a write over it",
            HARD,
            [layer().symlink("l", "../../victim/secret").hard_link("h", "l").file("h", "x")],
        )
        .gives(["f h =x", "l l ->../../victim/secret"]),
        row(10, "to a lower layer's", &[], [f(), layer().hard_link("h", "d/f")]).gives(["D d", "f d/f =x", "h h d/f"]),
        row(10, "to a lower layer's, which is then removed", &[], [f(), layer().hard_link("h", "d/f").whiteout("d/f")])
            .gives(["D d", "f h =x"]),
        row(10, "forward", &[], [layer().hard_link("h", "f").file("f", "x")]).refused("hard-link-to-missing"),
        row(10, "to itself", &[], [layer().hard_link("h", "h")]).refused("hard-link-to-itself"),
        row(10, "to itself, of a lower layer", &[], [layer().file("h", "x"), layer().hard_link("h", "./h")])
            .refused("hard-link-to-itself"),
        row(10, "to a directory", &[], [layer().directory("d", 0o755).hard_link("h", "d")])
            .refused("hard-link-to-directory"),
        row(10, "to what it would replace", &[], [f().hard_link("d", "d/f")]).refused("hard-link-to-missing"),
        row(
            10,
            "its own mode, owner, time and attributes",
            &[],
            [f().hard_link("h", "d/f").mode(0o4777).owner(7, 8).modified(5, 0).xattr("user.a", "b")],
        )
        .gives(["D d", "f d/f =x", "h h d/f"]),
        row(
            11,
            "a deep link, hard-linked at a shallower place",
            &["CVE-2026-11940"],
            [layer().symlink("a/b/l", "../../../victim").hard_link("l", "a/b/l").file("l/secret", "x")],
        )
        .gives(["D a", "D a/b", "l a/b/l ->../../../victim", "h l a/b/l", "D victim", "f victim/secret =x"]),
        row(
            11,
            "the same in a further layer",
            &["CVE-2026-11940"],
            [layer().symlink("a/b/l", "../../../victim").hard_link("l", "a/b/l"), layer().file("l/secret", "x")],
        )
        .gives(["D a", "D a/b", "l a/b/l ->../../../victim", "h l a/b/l", "D victim", "f victim/secret =x"]),
    ]);
    rows
}

fn shared() -> Vec<Row> {
    let two = || layer().file("a", "first").hard_link("b", "a");
    vec![
        row(12, "a hard-linked file overwritten", &[], [two().file("a", "other")]).gives(["f a =other", "f b =first"]),
        row(12, "by a further layer", &[], [two(), layer().file("b", "2")]).gives(["f a =first", "f b =2"]),
        row(12, "by a file of no bytes", &[], [two(), layer().file("b", "")]).gives(["f a =first", "f b ="]),
        row(12, "by a link", &[], [two(), layer().symlink("a", "../../victim/secret")])
            .gives(["l a ->../../victim/secret", "f b =first"]),
        row(12, "by a directory", &[], [two(), layer().directory("a", 0o700)]).gives(["d a 700", "f b =first"]),
        row(12, "a hard link with a payload", &[], [layer().file("a", "first").hard_link("b", "a").payload("other")])
            .malformed("tar-checksum"),
        row(12, "pulled again over the first", &[], [two()]).gives(["f a =first", "h b a"]).twice(),
    ]
}

fn targets() -> Vec<Row> {
    let mut rows = Vec::new();
    for target in ["", "d/", "/", ".", "d/.."] {
        let layers = [layer().directory("d", 0o755).hard_link("h", target)];
        rows.push(row(13, format!("a hard link to {target:?}"), &[], layers).refused("unsafe-link-target"));
    }
    for target in ["d/", "/", "..", "a//b/./..", "../../../etc/shadow"] {
        let layers = [layer().symlink("l", target)];
        rows.push(
            row(13, format!("a symlink to {target:?}, byte for byte"), &[], layers).gives([format!("l l ->{target}")]),
        );
    }
    rows.extend([
        row(13, "a symlink to nothing", &[], [layer().symlink("l", "")]).refused("unsafe-link-target"),
        row(13, "a symlink's target of odd bytes", &[], [layer().symlink("l", b"\xff \n\x1b[31m\\")])
            .gives([r"l l ->\xff\x20\x0a\x1b[31m\x5c"]),
    ]);
    rows
}
