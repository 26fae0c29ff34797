//! 4 to 9, 14 and 15: symbolic links that lead out of the root, or would if they were followed as they stand.

use oci_fetcher_tests::image::Layer;

use crate::archives::row::{Row, row};

pub(crate) fn rows() -> Vec<Row> {
    let parts = [through(), chains(), across_layers(), metadata(), root(), caches()];
    parts.into_iter().flatten().collect()
}

fn layer() -> Layer {
    Layer::new()
}

const THROUGH: &[&str] = &["CVE-2026-46703", "CVE-2026-42574", "CVE-2025-29787"];

/// A link, then a write through it: the tree says where inside the root the link leads.
///
/// While a tree is put together it lies one directory deeper than at its end, so it takes one more `..` to
/// reach the victim.
fn through() -> Vec<Row> {
    let mut rows = Vec::new();
    for target in [
        "../../victim",
        "../../../../../../../victim",
        "/victim",
        "//victim/",
        "./.././victim/.",
        "/../../victim",
        "missing/../../../victim",
    ] {
        let name = format!("l -> {target}, l/secret");
        let layers = [layer().symlink("l", target).file("l/secret", "x")];
        let link = format!("l l ->{target}");
        rows.push(row(4, name, THROUGH, layers).gives([&*link, "D victim", "f victim/secret =x"]));
    }
    for (target, lines) in [
        ("..", &["f secret =x"][..]),
        ("/", &["f secret =x"]),
        (".", &["f secret =x"]),
        ("/tmp", &["D tmp", "f tmp/secret =x"]),
        ("../../root-evil", &["D root-evil", "f root-evil/secret =x"]),
        ("../../root-evil/sub/..", &["D root-evil", "f root-evil/secret =x"]),
        ("/proc/self/cwd", &["D proc", "D proc/self", "D proc/self/cwd", "f proc/self/cwd/secret =x"]),
    ] {
        let layers = [layer().symlink("l", target).file("l/secret", "x")];
        let mut expected = vec![format!("l l ->{target}")];
        expected.extend(lines.iter().map(|&line| line.to_owned()));
        rows.push(row(4, format!("l -> {target}, l/secret"), THROUGH, layers).gives(expected));
    }
    rows.extend([
        row(4, "a file over its own link", THROUGH, [layer().symlink("l", "../../victim/secret").file("l", "x")])
            .gives(["f l =x"]),
        row(4, "an empty file over a link", THROUGH, [layer().symlink("l", "../../victim/secret").file("l", "")])
            .gives(["f l ="]),
        row(4, "a link through a link", THROUGH, [layer().symlink("l", "../../victim").symlink("l/m", "/etc/passwd")])
            .gives(["l l ->../../victim", "D victim", "l victim/m ->/etc/passwd"]),
        row(
            4,
            "a hard link through a link",
            THROUGH,
            [layer().file("f", "x").symlink("l", "../../victim").hard_link("l/secret", "f")],
        )
        .gives(["f f =x", "l l ->../../victim", "D victim", "h victim/secret f"]),
        row(4, "a FIFO through a link", THROUGH, [layer().symlink("l", "../../victim").fifo("l/p")]).gives([
            "l l ->../../victim",
            "D victim",
            "p victim/p",
        ]),
        row(
            4,
            "a link in a name with `..` after it",
            THROUGH,
            [layer().symlink("l", "../../victim").file("l/../secret", "x")],
        )
        .gives(["l l ->../../victim", "f secret =x"]),
    ]);
    rows
}

const CHAINS: &[&str] = &["CVE-2026-26960", "GHSA-m37j-52j7-pjw7", "CVE-2025-4517"];

fn chains() -> Vec<Row> {
    // Each link by itself stays inside; one through another would lead out, were `..` taken lexically.
    let stairs =
        layer().directory("a/b", 0o755).symlink("a/b/c", "..").symlink("a/b/d", "c/..").symlink("a/b/e", "d/../..");
    let mut long = layer().directory("d", 0o755);
    let (mut target, mut lines) = ("d".to_owned(), vec!["d d".to_owned()]);
    for step in 0..40 {
        let name = format!("l{step:02}");
        lines.push(format!("l {name} ->{target}"));
        long = long.symlink(&name, &target);
        target = name;
    }
    let ends = long.clone().file("l39/x", "x");
    let beyond = long.symlink("l40", "l39").file("l40/x", "x");
    let mut reached = lines.clone();
    reached.push("f d/x =x".to_owned());
    // The path grows beyond PATH_MAX for those who resolve it by text.
    let component = "d".repeat(247);
    let deep = (0..16).fold((layer(), String::new()), |(layer, path), step| {
        let path = format!("{path}{component}");
        let layer = layer.directory(&path, 0o755).symlink(format!("s{step:02}"), &path);
        (layer, format!("{path}/"))
    });
    vec![
        row(5, "c -> .., d -> c/.., e -> d/../..", CHAINS, [stairs.file("a/b/e/victim/secret", "x")]).gives([
            "D a",
            "d a/b",
            "l a/b/c ->..",
            "l a/b/d ->c/..",
            "l a/b/e ->d/../..",
            "D victim",
            "f victim/secret =x",
        ]),
        row(
            5,
            "a -> ., a/a/a/../../../victim",
            CHAINS,
            [layer().symlink("a", ".").symlink("b", "a/a/a/../../../victim").file("b/secret", "x")],
        )
        .gives(["l a ->.", "l b ->a/a/a/../../../victim", "D victim", "f victim/secret =x"]),
        row(
            5,
            "a link to a link to outside",
            CHAINS,
            [layer().symlink("a", "b").symlink("b", "../../victim").file("a/secret", "x")],
        )
        .gives(["l a ->b", "l b ->../../victim", "D victim", "f victim/secret =x"]),
        row(
            5,
            "a link replaced between two writes",
            CHAINS,
            [layer().symlink("a", "d").file("a/1", "1").symlink("a", "../../victim").file("a/2", "2")],
        )
        .gives(["l a ->../../victim", "D d", "f d/1 =1", "D victim", "f victim/2 =2"]),
        row(
            5,
            "a link's own directory replaced by a link",
            CHAINS,
            [layer().symlink("d/up", "..").symlink("e", "d/up/../../victim").symlink("d", "x/y").file("e/secret", "x")],
        )
        .gives(["l d ->x/y", "l e ->d/up/../../victim", "D x", "D x/victim", "f x/victim/secret =x"]),
        row(5, "a chain of 40 links", &[], [ends]).gives(reached),
        row(22, "a chain of 41 links", &[], [beyond]).refused("too-many-symlinks"),
        row(5, "a path longer than PATH_MAX by links", &["CVE-2025-4517"], [deep.0.file("s14/victim", "x")])
            .gives(deep_lines(&component)),
    ]
}

fn deep_lines(component: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut path = String::new();
    for step in 0..16 {
        path.push_str(component);
        lines.push(format!("d {path}"));
        lines.push(format!("l s{step:02} ->{path}"));
        if step == 14 {
            lines.push(format!("f {path}/victim =x"));
        }
        path.push('/');
    }
    lines
}

const ABSOLUTE: &[&str] = &["moby/go-archive#93", "moby/go-archive#99"];

fn across_layers() -> Vec<Row> {
    vec![
        row(6, "layer 1: l -> /t, layer 2: l/g", &[], [layer().symlink("l", "/t"), layer().file("l/g", "x")])
            .gives(["l l ->/t", "D t", "f t/g =x"]),
        row(
            6,
            "the same three layers apart",
            &[],
            [
                layer().symlink("l", "/t"),
                layer().file("other", "x"),
                layer().directory("t", 0o700),
                layer().file("l/g", "x"),
            ],
        )
        .gives(["l l ->/t", "f other =x", "d t 700", "f t/g =x"]),
        row(
            6,
            "layer 2 replaces the link by a file",
            &[],
            [layer().symlink("l", "../../victim/secret"), layer().file("l", "x")],
        )
        .gives(["f l =x"]),
        row(
            6,
            "layer 2 replaces the link by a directory",
            &[],
            [layer().symlink("l", "../../victim"), layer().directory("l", 0o700).file("l/secret", "x")],
        )
        .gives(["d l 700", "f l/secret =x"]),
        row(
            6,
            "layer 2 replaces a directory by a link",
            &[],
            [
                layer().directory("d", 0o755).file("d/a", "x"),
                layer().symlink("d", "../../victim").file("d/secret", "y"),
            ],
        )
        .gives(["l d ->../../victim", "D victim", "f victim/secret =y"]),
        row(
            6,
            "an absolute link from within a directory",
            ABSOLUTE,
            [layer().symlink("a/l", "/t/u").file("a/l/g", "x")],
        )
        .gives(["D a", "l a/l ->/t/u", "D t", "D t/u", "f t/u/g =x"]),
        row(
            6,
            "an absolute hard-link target by an absolute link",
            ABSOLUTE,
            [layer().file("t/f", "x").symlink("l", "/t"), layer().hard_link("h", "/l/f")],
        )
        .gives(["D t", "f h =x", "l l ->/t", "h t/f h"]),
        row(
            7,
            "a directory through a link",
            &["CVE-2021-38511"],
            [layer().symlink("l", "../../victim").directory("l/sub", 0o700)],
        )
        .gives(["l l ->../../victim", "D victim", "d victim/sub 700"]),
        row(
            7,
            "a directory through an absolute link",
            &["CVE-2021-38511"],
            [layer().symlink("l", "/tmp/oci-fetcher").directory("l/escaped", 0o777)],
        )
        .gives(["l l ->/tmp/oci-fetcher", "D tmp", "D tmp/oci-fetcher", "d tmp/oci-fetcher/escaped 777"]),
        row(
            7,
            "an implied directory through a link",
            &["CVE-2021-38511"],
            [layer().symlink("l", "../../victim").file("l/a/b", "x")],
        )
        .gives(["l l ->../../victim", "D victim", "D victim/a", "f victim/a/b =x"]),
        row(
            7,
            "a directory through a link of a lower layer",
            &["CVE-2021-38511"],
            [layer().symlink("l", "../../../victim"), layer().directory("l/sub", 0o700)],
        )
        .gives(["l l ->../../../victim", "D victim", "d victim/sub 700"]),
    ]
}

const FOLLOWED: &[&str] = &["CVE-2026-33056", "CVE-2021-32760", "CVE-2025-4330"];

fn metadata() -> Vec<Row> {
    let mut rows = Vec::new();
    for name in ["l", "l/", "l/.", "./l//"] {
        rows.push(
            row(
                8,
                format!("l -> ../../victim, then {name} as a directory of mode 777"),
                FOLLOWED,
                [layer().symlink("l", "../../victim").directory(name, 0o777).owner(7, 8).modified(5, 0)],
            )
            .gives(["d l 777 own=7:8 @5"]),
        );
    }
    rows.extend([
        row(
            8,
            "a link's own owner, time and mode",
            FOLLOWED,
            [layer().symlink("l", "../../victim/secret").mode(0o4777).owner(7, 8).modified(5, 0)],
        )
        .gives(["l l 777 own=7:8 @5 ->../../victim/secret"]),
        row(
            8,
            "a dangling link's owner and time",
            FOLLOWED,
            [layer().symlink("l", "nowhere").owner(7, 8).modified(5, 0)],
        )
        .gives(["l l own=7:8 @5 ->nowhere"]),
        row(
            8,
            "a link's extended attribute",
            FOLLOWED,
            [layer().symlink("l", "../../victim/secret").xattr("user.neighbour", "changed")],
        )
        .gives(["l l x:user.neighbour=6368616e676564 ->../../victim/secret"]),
        row(
            8,
            "a hard link to a link, with mode and owner",
            FOLLOWED,
            [layer().symlink("l", "../../victim/secret").hard_link("m", "l").mode(0o777).owner(7, 8).modified(5, 0)],
        )
        .gives(["l l ->../../victim/secret", "h m l"]),
        row(
            9,
            "a directory of mode 777 that becomes a link",
            &["CVE-2021-32804"],
            [layer().directory("d", 0o777).owner(7, 8).symlink("d", "../../victim")],
        )
        .gives(["l d ->../../victim"]),
        row(
            9,
            "so does one with something in it",
            &[],
            [layer()
                .directory("d", 0o777)
                .directory("d/sub", 0o777)
                .file("d/secret", "x")
                .symlink("d", "../../victim")],
        )
        .gives(["l d ->../../victim"]),
        row(
            9,
            "so does one of a lower layer",
            &[],
            [
                layer().directory("d", 0o777).directory("d/sub", 0o707).modified(5, 0),
                layer().symlink("d", "../../victim"),
            ],
        )
        .gives(["l d ->../../victim"]),
        row(
            9,
            "and back to a directory",
            &[],
            [layer().directory("d", 0o777).symlink("d", "../../victim").directory("d", 0o711)],
        )
        .gives(["d d 711"]),
        row(
            9,
            "its parent becomes a link",
            &[],
            [layer().directory("a", 0o755).directory("a/sub", 0o777).symlink("a", "../../victim")],
        )
        .gives(["l a ->../../victim"]),
    ]);
    rows
}

fn root() -> Vec<Row> {
    let mut rows = Vec::new();
    for name in [".", "./", "/", "a/.."] {
        let layers = [layer().file("a/f", "x").symlink(name, "../../victim")];
        rows.push(row(14, format!("{name} as a symlink"), &["CVE-2021-29136"], layers).refused("root-replaced"));
    }
    rows.extend([
        row(14, ". as a file", &["CVE-2021-29136"], [layer().file(".", "x")]).refused("root-replaced"),
        row(14, ". as a hard link", &["CVE-2021-29136"], [layer().file("f", "x").hard_link("./", "f")])
            .refused("root-replaced"),
        row(14, ". as a FIFO", &["CVE-2021-29136"], [layer().fifo("./")]).refused("root-replaced"),
        row(14, ". as a device", &["CVE-2021-29136"], [layer().character_device("./", 1, 3)]).refused("root-replaced"),
        row(14, ". as a file in layer 2", &["CVE-2021-29136"], [layer().file("f", "x"), layer().file("./", "x")])
            .refused("root-replaced"),
        row(14, ". as a directory", &[], [layer().directory("./", 0o711).owner(7, 8).modified(5, 0)])
            .gives(["d . 711 own=7:8 @5"]),
    ]);
    rows
}

/// A cache of "this directory was checked" must not outlive the directory, under whatever name.
fn caches() -> Vec<Row> {
    let ids = &["CVE-2026-44471", "CVE-2021-32803"];
    let swap = |one: &str, other: &str, third: &str| {
        [layer()
            .directory(one, 0o755)
            .file(format!("{one}/x"), "x")
            .symlink(other, "../../victim")
            .file(format!("{third}/y"), "y")]
    };
    vec![
        row(15, "d, d/x, d -> ../../victim, d/y", ids, swap("d", "d", "d")).gives([
            "l d ->../../victim",
            "D victim",
            "f victim/y =y",
        ]),
        row(15, "d, d/x, D -> ../../victim, d/y", ids, swap("d", "D", "d")).gives([
            "l D ->../../victim",
            "d d",
            "f d/x =x",
            "f d/y =y",
        ]),
        row(15, "d, d/x, d -> ../../victim, D/y", ids, swap("d", "d", "D")).gives([
            "D D",
            "f D/y =y",
            "l d ->../../victim",
        ]),
        row(15, "the same in composed and decomposed form", ids, swap("\u{e9}", "e\u{301}", "\u{e9}")).gives([
            r"l e\xcc\x81 ->../../victim",
            r"d \xc3\xa9",
            r"f \xc3\xa9/x =x",
            r"f \xc3\xa9/y =y",
        ]),
        row(15, "with ss and sharp s", ids, swap("ss", "\u{df}", "ss")).gives([
            "d ss",
            "f ss/x =x",
            "f ss/y =y",
            r"l \xc3\x9f ->../../victim",
        ]),
        row(
            15,
            "by way of a whiteout",
            ids,
            [
                layer().directory("d", 0o755).file("d/x", "x"),
                layer().whiteout("d").symlink("d", "../../victim").file("d/y", "y"),
            ],
        )
        .gives(["l d ->../../victim", "D victim", "f victim/y =y"]),
        row(
            15,
            "a directory two levels up",
            ids,
            [layer().directory("a/b/c", 0o755).file("a/b/c/x", "x").symlink("a", "../../victim").file("a/b/c/y", "y")],
        )
        .gives(["l a ->../../victim", "D victim", "D victim/b", "D victim/b/c", "f victim/b/c/y =y"]),
        row(
            15,
            "a hard link to the directory's file, then the swap",
            ids,
            [layer()
                .file("d/x", "x")
                .hard_link("h", "d/x")
                .symlink("d", "../../victim")
                .hard_link("i", "h")
                .file("d/x", "y")],
        )
        .gives(["l d ->../../victim", "f h =x", "h i h", "D victim", "f victim/x =y"]),
    ]
}
