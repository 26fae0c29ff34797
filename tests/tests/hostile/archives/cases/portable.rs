//! 42: names that Windows cannot hold, or takes for something else.

use oci_fetcher_tests::image::Layer;

use crate::archives::node::escaped;
use crate::archives::row::{Host, Row, row};

/// Names, the first component of each being at fault.
const NAMES: &[&str] = &[
    "C:",
    "C:..",
    "C:x",
    "file:stream",
    "file::$DATA",
    "CON",
    "con.txt",
    "NUL",
    "nul.tar.gz",
    "AUX ",
    "PRN",
    "COM1",
    "lpt9.log",
    "COM\u{b2}",
    "CONIN$",
    "dot.",
    "dots...",
    "space ",
    "back\\slash",
    "..\\..\\victim",
    "\\\\?\\C:\\victim",
    "question?",
    "star*",
    "less<more>",
    "pipe|",
    "quote\"",
    "tab\t",
    "line\n",
];

/// Names beside them that are as good as any.
const FINE: &[&str] = &["console", "COM", "COM10", "nulls", ".hidden", "a.b", "a b", "\u{1f980}", "-", "~"];

pub(crate) fn rows() -> Vec<Row> {
    let layer = Layer::new;
    let windows = "the program refuses them where it runs on Windows, and reports them elsewhere";
    let mut rows = Vec::new();
    for name in NAMES {
        let line = format!("f {} =x", escaped(name.as_bytes()));
        let shown = name.escape_debug().to_string();
        let made = || [layer().file(name, "x")];
        rows.push(row(42, format!("{shown}, which is a name here"), &[], made()).gives([&line]));
        rows.push(
            row(42, format!("{shown} with --portable-names"), &[], made())
                .gives([&line])
                .names("report")
                .reports(format!("{name} name").leak()),
        );
        rows.push(
            row(42, format!("{shown}, refused as on Windows"), &[], made())
                .refused("name-not-portable")
                .names("refuse")
                .absent(&[Host::Root, Host::User], windows),
        );
    }
    let fine = || [FINE.iter().fold(layer(), |layer, name| layer.file(name, "x"))];
    let lines = || FINE.iter().map(|name| format!("f {} =x", escaped(name.as_bytes())));
    rows.extend([
        row(42, "names beside them, with --portable-names", &[], fine()).gives(lines()).names("report"),
        row(42, "names beside them, as on Windows", &[], fine())
            .gives(lines())
            .names("refuse")
            .absent(&[Host::Root, Host::User], windows),
        row(42, "a directory of such a name", &[], [layer().file("nul/x", "x")])
            .gives(["D nul", "f nul/x =x"])
            .names("report")
            .reports("nul name"),
        row(
            42,
            "a directory that only a link's target names",
            &[],
            [layer().symlink("l", "C:evil/x").file("l/f", "x")],
        )
        .gives([r"l l ->C\x3aevil/x", r"D C\x3aevil", r"D C\x3aevil/x", r"f C\x3aevil/x/f =x"])
        .names("report")
        .reports("C:evil name"),
        row(42, "the same, as on Windows", &[], [layer().symlink("l", "C:evil/x").file("l/f", "x")])
            .refused("name-not-portable")
            .names("refuse")
            .absent(&[Host::Root, Host::User], windows),
        row(42, "such a name in a link's target alone", &[], [layer().symlink("l", "C:evil")])
            .gives([r"l l ->C\x3aevil"])
            .names("refuse")
            .absent(&[Host::Root, Host::User], windows),
        row(42, "such a name, hidden by a further layer", &[], [layer().file("nul", "x"), layer().whiteout("nul")])
            .gives([""; 0])
            .names("report"),
    ]);
    rows
}
