//! 24 to 33: headers that contradict one another, and numbers that are none.

use oci_fetcher_tests::image::{Layer, pax_record};
use tar::{EntryType, Header};

use crate::archives::row::{Row, row};

pub(crate) fn rows() -> Vec<Row> {
    let parts = [sizes(), order(), duplicates(), nuls(), global(), records(), numbers(), payloads()];
    parts.into_iter().flatten().collect()
}

fn layer() -> Layer {
    Layer::new()
}

/// Returns pax records, one after another.
pub(super) fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    records.iter().flat_map(|(key, value)| pax_record(key.as_bytes(), value.as_bytes())).collect()
}

fn extended(records: &[(&str, &str)]) -> Layer {
    layer().extension(EntryType::XHeader, pax(records))
}

/// A header that nobody may see: it is another file's content.
fn hidden() -> Vec<u8> {
    layer().raw_member(EntryType::Regular, "hidden", |_| {}, b"").trailer(b"").tar()
}

fn hidden_file(path: &str) -> String {
    format!("f {path} ={}", String::from_utf8(hidden()).expect("a header of ASCII"))
}

fn sized(size: u64) -> impl Fn(&mut Header) {
    move |header| header.set_size(size)
}

fn sizes() -> Vec<Row> {
    let (zero, one) = (&["CVE-2025-62518"], &["CVE-2026-33055"]);
    let file = EntryType::Regular;
    vec![
        row(
            24,
            "pax size 512, ustar size 0",
            zero,
            [extended(&[("size", "512")]).raw_member(file, "a", sized(0), hidden()).file("b", "x")],
        )
        .gives([&*hidden_file("a"), "f b =x"]),
        row(
            24,
            "the same by an old regular file",
            zero,
            [extended(&[("size", "512")]).raw_member(EntryType::new(0), "a", sized(0), hidden()).file("b", "x")],
        )
        .gives([&*hidden_file("a"), "f b =x"]),
        row(
            24,
            "pax size of a mark",
            zero,
            [
                layer().file("a", "x").file("c", "x"),
                extended(&[("size", "512")]).raw_member(file, ".wh.a", sized(0), hidden()).file("b", "x"),
            ],
        )
        .gives(["f b =x", "f c =x"]),
        row(
            25,
            "pax size 1, ustar size 1024",
            one,
            [extended(&[("size", "1")]).raw_member(file, "a", sized(1024), b"x").file("b", "y")],
        )
        .gives(["f a =x", "f b =y"]),
        row(
            25,
            "pax size 0, ustar size 512",
            one,
            [extended(&[("size", "0")]).raw_member(file, "a", sized(512), b"").file("b", "y")],
        )
        .gives(["f a =", "f b =y"]),
        row(
            25,
            "pax size 512, ustar size 1",
            one,
            [extended(&[("size", "512")]).raw_member(file, "a", sized(1), hidden()).file("b", "y")],
        )
        .gives([&*hidden_file("a"), "f b =y"]),
        row(25, "pax size beyond what comes", one, [extended(&[("size", "2000")]).file("a", "x")])
            .malformed("tar-truncated"),
    ]
}

fn order() -> Vec<Row> {
    let ids = &["RUSTSEC-2026-0112", "RUSTSEC-2026-0145"];
    let long = "n".repeat(120);
    let size = || extended(&[("size", "512")]);
    let file = EntryType::Regular;
    let link = EntryType::Symlink;
    vec![
        row(
            26,
            "x, L, file: both are the file's",
            ids,
            [size().gnu_long_name(&long).raw_member(file, "a", sized(0), hidden()).file("b", "x")],
        )
        .gives([&*hidden_file(&long), "f b =x"]),
        row(
            26,
            "L, x, file",
            ids,
            [layer()
                .gnu_long_name(&long)
                .extension(EntryType::XHeader, pax(&[("size", "512")]))
                .raw_member(file, "a", sized(0), hidden())
                .file("b", "x")],
        )
        .gives([&*hidden_file(&long), "f b =x"]),
        row(
            26,
            "x, g, file",
            ids,
            [size().global_pax("comment", "between").raw_member(file, "a", sized(0), hidden()).file("b", "x")],
        )
        .gives([&*hidden_file("a"), "f b =x"]),
        row(
            26,
            "x, K, symlink, then a file of its own size",
            ids,
            [size().gnu_long_link(&long).raw_member(link, "a", sized(0), b"").file("b", "x")],
        )
        .gives([&*format!("l a ->{long}"), "f b =x"]),
        row(26, "x is one member's, not the next's", ids, [extended(&[("mtime", "5")]).file("a", "x").file("b", "x")])
            .gives(["f a @5 =x", "f b =x"]),
        row(27, "pax path and long name differ", &[], [extended(&[("path", "p")]).gnu_long_name("q").file("a", "x")])
            .refused("tar-two-names"),
        row(
            27,
            "in the other order",
            &[],
            [layer().gnu_long_name("q").extension(EntryType::XHeader, pax(&[("path", "p")])).file("a", "x")],
        )
        .refused("tar-two-names"),
        row(
            27,
            "their link targets differ",
            &[],
            [extended(&[("linkpath", "p")]).gnu_long_link("q").symlink("a", "x")],
        )
        .refused("tar-two-names"),
        row(
            27,
            "equal, as Commons Compress writes them",
            &[],
            [extended(&[("path", &long), ("linkpath", &long)])
                .gnu_long_name(&long)
                .gnu_long_link(&long)
                .symlink("a", "x")],
        )
        .gives([format!("l {long} ->{long}")]),
        row(27, "a pax path and the header's own", &[], [extended(&[("path", "p")]).file("a", "x")]).gives(["f p =x"]),
    ]
}

fn duplicates() -> Vec<Row> {
    vec![
        row(28, "path twice: the last wins", &[], [extended(&[("path", "p"), ("path", "q")]).file("a", "x")])
            .gives(["f q =x"]),
        row(28, "path twice, the last leads out", &[], [extended(&[("path", "p"), ("path", "../q")]).file("a", "x")])
            .refused("unsafe-name"),
        row(
            28,
            "path in two headers",
            &[],
            [extended(&[("path", "p")]).extension(EntryType::XHeader, pax(&[("path", "q")])).file("a", "x")],
        )
        .gives(["f q =x"]),
        row(
            28,
            "size twice",
            &[],
            [extended(&[("size", "512"), ("size", "1")])
                .raw_member(EntryType::Regular, "a", sized(0), b"x")
                .file("b", "y")],
        )
        .gives(["f a =x", "f b =y"]),
        row(28, "two long names", &[], [layer().gnu_long_name("p").gnu_long_name("q").file("a", "x")])
            .gives(["f q =x"]),
        row(28, "an attribute twice", &[], [layer().file("a", "x").xattr("user.k", "1").xattr("user.k", "2")])
            .gives(["f a x:user.k=32 =x"]),
    ]
}

fn nuls() -> Vec<Row> {
    vec![
        row(29, "in a pax path", &[], [extended(&[("path", "a\0b")]).file("a", "x")]).refused("unsafe-name"),
        row(29, "at the end of a pax path", &[], [extended(&[("path", "a\0")]).file("a", "x")]).refused("unsafe-name"),
        row(29, "in a long name", &[], [layer().gnu_long_name("a\0../b").file("a", "x")]).refused("unsafe-name"),
        row(29, "in a long link target", &[], [layer().gnu_long_link("a\0b").symlink("a", "x")])
            .refused("unsafe-link-target"),
        row(29, "in a symlink's pax target", &[], [extended(&[("linkpath", "a\0b")]).symlink("a", "x")])
            .refused("unsafe-link-target"),
        row(29, "in a hard link's pax target", &[], [extended(&[("linkpath", "a\0b")]).hard_link("a", "x")])
            .refused("unsafe-name"),
        row(29, "in a pax key", &[], [layer().extension(EntryType::XHeader, b"9 pa\0h=a\n").file("a", "x")])
            .malformed("tar-pax-record"),
        row(
            29,
            "in an attribute's name",
            &[],
            [layer().extension(EntryType::XHeader, pax_record(b"SCHILY.xattr.user.a\0b", b"x")).file("a", "x")],
        )
        .malformed("tar-pax-record"),
        row(29, "in the header ends the name", &[], [layer().raw_member(EntryType::Regular, b"a\0b", |_| {}, b"x")])
            .gives(["f a =x"]),
    ]
}

fn global() -> Vec<Row> {
    let mut rows = Vec::new();
    for key in ["path", "linkpath", "size", "GNU.sparse.name", "GNU.sparse.map"] {
        let layers = [layer().global_pax(key, "1").file("a", "x")];
        rows.push(row(30, format!("a global {key}"), &[], layers).refused("tar-global-record"));
    }
    rows.extend([
        row(30, "a comment, as git archive writes", &[], [layer().global_pax("comment", "0123abcd").file("a", "x")])
            .gives(["f a =x"]),
        row(30, "a comment makes no file", &[], [layer().global_pax("comment", "0123abcd")]).gives([""; 0]),
        row(
            30,
            "a global time, owner, attribute",
            &[],
            [layer()
                .global_pax("mtime", "5")
                .global_pax("uid", "7")
                .global_pax("SCHILY.xattr.user.a", "b")
                .file("a", "x")],
        )
        .gives(["f a =x"])
        .warns("global pax records were ignored"),
        row(
            30,
            "a malformed global header",
            &[],
            [layer().extension(EntryType::XGlobalHeader, b"9 comm\n").file("a", "x")],
        )
        .malformed("tar-pax-record"),
    ]);
    rows
}

fn records() -> Vec<Row> {
    let ids = &["CVE-2026-32766"];
    let mut rows = Vec::new();
    for (name, bytes) in [
        ("a length too short", &b"8 path=a\n"[..]),
        ("a length too long", b"11 path=a\n"),
        ("a length of 0", b"0 path=a\n"),
        ("a length with a zero in front", b"010 path=a\n"),
        ("a length with a space in front", b" 9 path=a\n"),
        ("a length of +9", b"+9 path=a\n"),
        ("a length of -9", b"-9 path=a\n"),
        ("a length in hexadecimal", b"0x9 path=a\n"),
        ("a length that overflows", b"99999999999999999999999 path=a\n"),
        ("a length inside itself", b"1 path=a\n"),
        ("no length", b"path=a\n"),
        ("no newline", b"9 path=aX"),
        ("no equals sign", b"8 patha\n"),
        ("no key", b"5 =a\n"),
        ("a dangling tail", b"9 path=a\nx"),
        ("dangling NULs", b"9 path=a\n\0\0\0"),
        ("a second record cut short", b"9 path=a\n9 pa"),
        ("a tab for the space", b"9\tpath=a\n"),
    ] {
        let layers = [layer().extension(EntryType::XHeader, bytes).file("a", "x")];
        rows.push(row(31, name, ids, layers).malformed("tar-pax-record"));
    }
    for value in ["+1", "-1", " 1", "1 ", "0x1", "1.0", "1e3", "18446744073709551616"] {
        let layers = [extended(&[("size", value)]).file("a", "x")];
        rows.push(row(31, format!("a size of {value:?}"), ids, layers).malformed("tar-number"));
    }
    rows.extend([
        row(31, "an embedded newline in a path", ids, [extended(&[("path", "a\n9 path=b\n")]).file("a", "x")])
            .gives([r"f a\x0a9\x20path\x3db\x0a =x"]),
        row(31, "a numeric path", ids, [extended(&[("path", "7")]).file("a", "x")]).gives(["f 7 =x"]),
        row(31, "an equals sign in a value", ids, [extended(&[("path", "a=b=c")]).file("a", "x")])
            .gives([r"f a\x3db\x3dc =x"]),
        row(
            31,
            "empty path, size, uid, mtime: the header's stay",
            ids,
            [extended(&[("path", ""), ("size", ""), ("uid", ""), ("mtime", "")]).file("a", "x")],
        )
        .gives(["f a =x"]),
        row(
            31,
            "an empty value takes back one before it",
            ids,
            [extended(&[("path", "p"), ("path", "")]).file("a", "x")],
        )
        .gives(["f a =x"]),
        row(31, "an empty attribute", ids, [layer().file("a", "x").xattr("user.k", "")]).gives(["f a x:user.k= =x"]),
        row(31, "an attribute with newline and equals sign", ids, [layer().file("a", "x").xattr("user.k", "a=\nb")])
            .gives(["f a x:user.k=613d0a62 =x"]),
        row(31, "an attribute without a name", ids, [extended(&[("SCHILY.xattr.", "x")]).file("a", "x")])
            .malformed("tar-pax-record"),
        row(31, "a pax header without records", ids, [extended(&[]).file("a", "x")]).gives(["f a =x"]),
        row(31, "unknown keys", ids, [extended(&[("org.example.x", "y"), ("hdrcharset", "BINARY")]).file("a", "x")])
            .gives(["f a =x"]),
        row(
            31,
            "a path that is not UTF-8",
            ids,
            [layer().extension(EntryType::XHeader, pax_record(b"path", b"\xff\xfe")).file("a", "x")],
        )
        .gives([r"f \xff\xfe =x"]),
    ]);
    rows
}

fn numbers() -> Vec<Row> {
    let ids = &["CVE-2025-8194"];
    let file = EntryType::Regular;
    let with_size = |field: [u8; 12]| {
        [layer().raw_member(file, "a", move |header| header.as_old_mut().size = field, b"x").file("b", "y")]
    };
    let with_uid =
        |field: [u8; 8]| [layer().raw_member(file, "a", move |header| header.as_old_mut().uid = field, b"x")];
    let with_time =
        |field: [u8; 12]| [layer().raw_member(file, "a", move |header| header.as_old_mut().mtime = field, b"x")];
    vec![
        row(32, "a size of -1", ids, with_size([0xff; 12])).malformed("tar-number"),
        row(32, "a size of -512", ids, with_size(*b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe\0"))
            .malformed("tar-number"),
        row(32, "a size of 2^64", ids, with_size(*b"\x80\0\0\x01\0\0\0\0\0\0\0\0")).malformed("tar-number"),
        row(32, "a size of 2^64 - 1", ids, with_size(*b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"))
            .refused("limit-exceeded"),
        row(32, "a size of 2^63", ids, with_size(*b"\x80\0\0\0\x80\0\0\0\0\0\0\0")).refused("limit-exceeded"),
        row(32, "a size of 8 GiB - 1 in octal, and a byte", ids, with_size(*b"77777777777\0"))
            .malformed("tar-truncated"),
        row(32, "a size in base 256 that is right", &[], with_size(*b"\x80\0\0\0\0\0\0\0\0\0\0\x01"))
            .gives(["f a =x", "f b =y"]),
        row(32, "a size without a NUL", &[], with_size(*b"000000000001")).gives(["f a =x", "f b =y"]),
        row(32, "a size with spaces around", &[], with_size(*b"         1 \0")).gives(["f a =x", "f b =y"]),
        row(32, "a size in decimal", ids, with_size(*b"0000000009\0\0")).malformed("tar-number"),
        row(32, "a size with a minus", ids, with_size(*b"-0000000001\0")).malformed("tar-number"),
        row(32, "a size with a plus", ids, with_size(*b"+0000000001\0")).malformed("tar-number"),
        row(32, "a size with something after it", ids, with_size(*b"00000000001x")).malformed("tar-number"),
        row(32, "digits after a NUL", ids, with_size(*b"0000001\x00001\0")).malformed("tar-number"),
        row(32, "an owner in base 256", &[], with_uid(*b"\x80\0\0\0\0\x01\0\0")).gives(["f a own=65536:0 =x"]),
        row(32, "an owner of -1", ids, with_uid([0xff; 8])).malformed("tar-number"),
        row(32, "a time of -1 in base 256", &[], with_time([0xff; 12])).gives(["f a @-1 =x"]),
        row(32, "a time beyond 64 bits", ids, with_time(*b"\x80\0\0\x01\0\0\0\0\0\0\0\0")).malformed("tar-number"),
    ]
}

/// A size where no payload can be: none follows, so the next block has to be a header.
fn payloads() -> Vec<Row> {
    let mut rows = Vec::new();
    let link = |header: &mut Header| header.as_old_mut().linkname[0] = b'f';
    for (name, kind, line) in [
        ("a symlink", EntryType::Symlink, "l a ->f"),
        ("a hard link", EntryType::Link, "h f a"),
        ("a directory", EntryType::Directory, "d a 644"),
        ("a device", EntryType::Char, "c a dev=0:0"),
        ("a FIFO", EntryType::Fifo, "p a"),
    ] {
        let change = move |header: &mut Header| {
            if matches!(kind, EntryType::Symlink | EntryType::Link) {
                link(header);
            }
            header.set_size(512);
        };
        let base = || layer().file("f", "y");
        let lines: &[&str] =
            if kind == EntryType::Link { &["f a =y", line, "f b =z"] } else { &[line, "f f =y", "f b =z"] };
        rows.push(
            row(
                33,
                format!("{name} of 512 bytes, and a header next"),
                &[],
                [base().raw_member(kind, "a", change, b"").file("b", "z")],
            )
            .gives(lines),
        );
        rows.push(
            row(33, format!("{name} with a payload"), &[], [base().raw_member(kind, "a", change, [b'p'; 512])])
                .malformed("tar-checksum"),
        );
    }
    rows.push(
        row(
            33,
            "a directory with a pax size",
            &[],
            [extended(&[("size", "9999")]).raw_member(EntryType::Directory, "a", |_| {}, b"").file("b", "z")],
        )
        .gives(["d a 644", "f b =z"]),
    );
    rows
}
