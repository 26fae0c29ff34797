//! What no layer may hold.

use super::*;
use crate::error::{Class, Explain};

/// Reads each archive every way, and compares the error's code.
fn check(limits: &Limits, cases: Vec<(&str, Vec<Vec<u8>>, &str)>) {
    for (name, parts, code) in cases {
        match read_each_way(name, limits, &parts.concat()) {
            Ok(seen) => panic!("{name} was accepted: {seen:?}"),
            Err(error) => assert_eq!(error.code(), code, "{name}: {error}"),
        }
    }
}

#[test]
fn refuses_unsafe_names_and_links() {
    let mut cases = Vec::new();
    for name in ["..", "../e", "/../e", "a/../../e", ""] {
        cases.push(("1 a name that leads out", vec![file(name, "")], "unsafe-name"));
        cases.push(("1 the same of a directory", vec![header(b'5', name, 0).into()], "unsafe-name"));
        let code = if name.is_empty() { "unsafe-link-target" } else { "unsafe-name" };
        cases.push(("3 10 13 a hard link that leads out", vec![link(b'1', "a", name).into()], code));
    }
    for target in ["", "a/", "/", ".", "a/.."] {
        cases.push((
            "13 a hard link to a directory or nothing",
            vec![link(b'1', "b", target).into()],
            "unsafe-link-target",
        ));
    }
    cases.push(("13 a symlink without a target", vec![link(b'2', "a", "").into()], "unsafe-link-target"));
    for (flag, target) in [(b'0', ""), (b'2', "x"), (b'1', "x"), (b'6', ""), (b'3', "")] {
        cases.push(("14 the root as something else", vec![link(flag, "./", target).into()], "root-replaced"));
    }
    for name in [".wh.", ".wh..", ".wh...", "d/.wh..", ".wh.d/a", ".wh..wh..opq/a"] {
        cases.push(("17 21 whiteouts", vec![file(name, "")], "unsafe-whiteout"));
    }
    cases.push(("29 a NUL in a pax path", vec![pax(&[("path", "a\0b")]), file("a", "")], "unsafe-name"));
    cases.push(("29 a NUL in a long name", vec![member(b'L', "L", b"a\0b\0"), file("a", "")], "unsafe-name"));
    cases.push((
        "29 a NUL in a symlink's target",
        vec![pax(&[("linkpath", "a\0b")]), link(b'2', "a", "x").into()],
        "unsafe-link-target",
    ));
    cases.push(("29 an empty long name", vec![member(b'L', "L", b"\0"), file("a", "")], "unsafe-name"));
    check(&Limits::default(), cases);
}

#[test]
fn refuses_ambiguous_extensions() {
    let cases = vec![
        (
            "27 pax path and GNU long name differ",
            vec![pax(&[("path", "b")]), member(b'L', "L", b"c\0"), file("a", "")],
            "tar-two-names",
        ),
        (
            "27 in the other order",
            vec![member(b'L', "L", b"c\0"), pax(&[("path", "b")]), file("a", "")],
            "tar-two-names",
        ),
        (
            "27 link targets differ",
            vec![member(b'K', "K", b"c\0"), pax(&[("linkpath", "b")]), link(b'2', "a", "x").into()],
            "tar-two-names",
        ),
        ("30 a global path", vec![member(b'g', "g", b"9 path=b\n"), file("a", "")], "tar-global-record"),
        ("30 a global size", vec![member(b'g', "g", b"9 size=1\n"), file("a", "")], "tar-global-record"),
        ("30 a malformed global header", vec![member(b'g', "g", b"9 comm\n"), file("a", "")], "tar-pax-record"),
        ("31 a dangling tail", vec![member(b'x', "x", b"9 path=b\n9 pa"), file("a", "")], "tar-pax-record"),
        ("31 a signed size", vec![pax(&[("size", "+1")]), file("a", "x")], "tar-number"),
        ("31 a negative size", vec![pax(&[("size", "-1")]), file("a", "x")], "tar-number"),
        ("31 an attribute without a name", vec![pax(&[("SCHILY.xattr.", "x")]), file("a", "")], "tar-pax-record"),
        (
            "35 seventeen extensions",
            vec![member(b'L', "L", b"b\0").repeat(17), file("a", "")],
            "tar-stacked-extensions",
        ),
        ("36 extensions of nothing", vec![pax(&[]), END.into()], "tar-orphan-extension"),
        ("36 a long name of nothing", vec![member(b'L', "L", b"b\0")], "tar-orphan-extension"),
    ];
    check(&Limits::default(), cases);
}

#[test]
fn refuses_malformed_headers() {
    let large = |field: &[u8]| with(header(b'0', "a", 0), SIZE, field).to_vec();
    let mut flipped = header(b'0', "a", 0);
    flipped[0] ^= 1;
    let mut cases = vec![
        ("32 a negative size", vec![large(&[0xff; 12])], "tar-number"),
        ("32 a size over 64 bits", vec![large(b"\x80\0\0\x01\0\0\0\0\0\0\0\0")], "tar-number"),
        ("32 the largest size", vec![large(b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff")], "limit-exceeded"),
        ("32 a size that is no number", vec![large(b"0000000001x\0")], "tar-number"),
        (
            "33 a payload after a symlink",
            vec![with(link(b'2', "a", "x"), SIZE, b"00000000004\0").into(), padded(b"data")],
            "tar-checksum",
        ),
        ("33 a payload after a directory", vec![header(b'5', "a", 4).into(), padded(b"data")], "tar-checksum"),
        (
            "12 a hard link with a payload",
            vec![with(link(b'1', "b", "a"), SIZE, b"00000000004\0").into(), padded(b"data")],
            "tar-checksum",
        ),
        (
            "33 a symlink's size that is no number",
            vec![with(link(b'2', "a", "x"), SIZE, b"@\0\0\0\0\0\0\0\0\0\0\x05").into()],
            "tar-number",
        ),
        (
            "10 a hard link's time that is no number",
            vec![file("a", ""), with(link(b'1', "b", "a"), MTIME, b"00000000008\0").into()],
            "tar-number",
        ),
        (
            "an extension's time that is no number",
            vec![with(header(b'x', "x", 9), MTIME, b"00000000008\0").into(), padded(b"9 path=b\n"), file("a", "")],
            "tar-number",
        ),
        (
            "21 a whiteout's user that is no number",
            vec![with(header(b'0', ".wh.a", 0), UID, b"root\0\0\0\0").into()],
            "tar-number",
        ),
        (
            "36 a zero block and then data",
            vec![file("a", ""), END[..BLOCK].into(), file("b", "")],
            "tar-data-after-zero-block",
        ),
        ("36 a bad checksum", vec![flipped.into()], "tar-checksum"),
        ("36 no tar at all", vec![vec![b'x'; 1024]], "tar-checksum"),
        (
            "38 the user that means none",
            vec![with(header(b'0', "a", 0), UID, b"\x80\0\0\0\xff\xff\xff\xff").into()],
            "owner-out-of-range",
        ),
        ("38 a group beyond", vec![pax(&[("gid", "4294967296")]), file("a", "")], "owner-out-of-range"),
        ("38 a negative user", vec![with(header(b'5', "a", 0), UID, &[0xff; 8]).into()], "tar-number"),
        ("40 a time that is none", vec![pax(&[("mtime", "NaN")]), file("a", "")], "tar-number"),
        ("40 a time that overflows", vec![pax(&[("mtime", "9223372036854775808")]), file("a", "")], "tar-number"),
        ("37 a major that is no number", vec![with(header(b'3', "a", 0), MAJOR, b"x").into()], "tar-number"),
    ];
    for flag in [b'7', b'8', b'A', b'D', b'M', b'N', b'V', b'X', b'Z', b' ', 0xff] {
        cases.push(("36 an unknown type", vec![member(flag, "a", b"")], "tar-type-flag"));
    }
    check(&Limits::default(), cases);
}

#[test]
fn refuses_sparse_maps_that_cannot_be_meant() {
    let v0 = |map: &str, size: &str, stored: &str| {
        vec![pax(&[("GNU.sparse.size", size), ("GNU.sparse.map", map)]), file("a", stored)]
    };
    let v1 = |content: &str| {
        vec![
            pax(&[("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "20")]),
            file("a", content),
        ]
    };
    let records = |records: &[(&str, &str)]| vec![pax(records), file("a", "xy")];
    let text = |map: &str, stored: &str| v1(&format!("{map}{}{stored}", "\0".repeat(512 - map.len())));
    let cases = vec![
        ("34 overlapping", v0("0,2,1,2", "9", "xxxx")),
        ("34 unordered", v0("4,2,0,2", "9", "xxxx")),
        ("34 beyond the size", v0("8,2", "9", "xx")),
        ("34 an empty extent beyond the size", v0("0,2,10,0", "9", "xx")),
        ("34 an overflowing extent", v0("18446744073709551615,2", "9", "xx")),
        ("34 more than stored", v0("0,2", "9", "x")),
        ("34 less than stored", v0("0,2", "9", "xxx")),
        ("34 odd", v0("0,2,3", "9", "xx")),
        ("34 no numbers", v0("0,-2", "9", "xx")),
        ("34 an empty map", v0("", "9", "")),
        (
            "34 a wrong count",
            records(&[("GNU.sparse.size", "9"), ("GNU.sparse.numblocks", "2"), ("GNU.sparse.map", "0,2")]),
        ),
        ("34 an orphan name", records(&[("GNU.sparse.name", "b")])),
        ("34 an orphan size", records(&[("GNU.sparse.size", "9")])),
        ("34 an orphan offset", records(&[("GNU.sparse.size", "9"), ("GNU.sparse.offset", "0")])),
        ("34 an orphan length", records(&[("GNU.sparse.size", "9"), ("GNU.sparse.numbytes", "2")])),
        (
            "34 an unknown version",
            records(&[("GNU.sparse.major", "2"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "9")]),
        ),
        (
            "34 two maps",
            records(&[
                ("GNU.sparse.major", "1"),
                ("GNU.sparse.minor", "0"),
                ("GNU.sparse.realsize", "9"),
                ("GNU.sparse.map", "0,2"),
            ]),
        ),
        (
            "34 of a directory",
            vec![pax(&[("GNU.sparse.size", "9"), ("GNU.sparse.map", "0,2")]), header(b'5', "a", 0).into()],
        ),
        ("34 text without a number", text("1\n\n", "x")),
        ("34 text that is none", text("1\n0x\n", "x")),
        ("34 an overflowing number", text("99999999999999999999\n", "x")),
        ("34 a text map without an end", v1("1\n0\n")),
        ("34 more text than stored", v1(&"0".repeat(700))),
        ("34 text extents that overlap", text("2\n0\n2\n1\n1\n", "xxx")),
        ("34 text extents beyond what is stored", text("1\n0\n2\n", "x")),
        ("34 old GNU, overlapping", vec![gnu_sparse("a", "1000", 4, &[(0, 2), (1, 2)], 0).into(), padded(b"xxxx")]),
        ("34 old GNU, beyond the size", vec![gnu_sparse("a", "3", 4, &[(0, 4)], 0).into(), padded(b"xxxx")]),
        (
            "34 old GNU, overlapping over blocks",
            vec![gnu_sparse("a", "1000", 4, &[(0, 2)], 1).into(), gnu_block(&[(1, 2)], 0), padded(b"xxxx")],
        ),
        ("34 old GNU, stored but not mapped", vec![gnu_sparse("a", "1000", 4, &[], 0).into(), padded(b"xxxx")]),
        ("34 its flag without GNU's header", vec![header(b'S', "a", 0).into()]),
    ];
    check(&Limits::default(), cases.into_iter().map(|(name, parts)| (name, parts, "tar-sparse")).collect());
}

#[test]
fn names_the_limit() {
    let limits = Limits {
        entries: 2,
        path_depth: 3,
        path_bytes: 20,
        xattr_bytes: 10,
        extension_bytes: 1024,
        layer_bytes: 5000,
        ..Limits::default()
    };
    let long = "n".repeat(21);
    let gigabytes = |flag| with(header(flag, "x", 0), SIZE, b"77777777777\0").to_vec();
    let v1 = |content: &str| {
        vec![
            pax(&[("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "20")]),
            file("a", content),
        ]
    };
    let cases = vec![
        ("43 entries", vec![file("a", ""), file(".wh.b", ""), file("c", "")], "entries"),
        ("43 depth", vec![file("a/b/c/d", "")], "path_depth"),
        ("43 a name", vec![file(&long, "")], "path_bytes"),
        ("43 a symlink's target", vec![link(b'2', "a", &long).into()], "path_bytes"),
        ("43 a hard link's target", vec![link(b'1', "a", &long).into()], "path_bytes"),
        ("43 a hard link's depth", vec![link(b'1', "a", "a/b/c/d").into()], "path_depth"),
        ("39 attributes", vec![pax(&[("SCHILY.xattr.user.a", "12345")]), file("a", "")], "xattr_bytes"),
        ("35 gigabytes of pax", vec![gigabytes(b'x')], "extension_bytes"),
        ("35 gigabytes of global pax", vec![gigabytes(b'g')], "extension_bytes"),
        ("35 gigabytes of name", vec![gigabytes(b'L')], "extension_bytes"),
        ("35 gigabytes of link target", vec![gigabytes(b'K')], "extension_bytes"),
        (
            "34 a bomb of blocks",
            vec![gnu_sparse("a", "1000", 0, &[], 1).into(), gnu_block(&[], 1).repeat(3)],
            "extension_bytes",
        ),
        ("34 a bomb of text", v1(&"0\n".repeat(2000).replacen('0', "9999", 1)), "extension_bytes"),
        ("34 a hole", vec![gnu_sparse("a", "77777", 0, &[], 0).into()], "layer_bytes"),
        ("43 a size", vec![header(b'0', "a", 5001).into()], "layer_bytes"),
    ];
    for (name, parts, field) in cases {
        let error = read_each_way(name, &limits, &parts.concat()).expect_err(name);
        assert_eq!(error.class(), Class::Refused, "{name}");
        let option = format!("--max-{}", field.replace('_', "-"));
        assert!(error.advice().is_some_and(|advice| advice.contains(&option)), "{name}: {error:?}");
        assert!(error.to_string().contains(field), "{name}: {error}");
    }
    let accepted = [file("a/b/c", ""), pax(&[("SCHILY.xattr.user.a", "1234")]), file(&long[1..], "x")].concat();
    read(&limits, [&accepted[..]]).expect("limits are inclusive");
}

#[test]
fn stays_failed() {
    let mut reader = TarReader::new(&Limits::default());
    let tar = [file("../e", ""), file("a", "")].concat();
    let mut input = &tar[..];
    let position = 0;
    assert!(matches!(reader.step(&mut input), Err(TarError::Name { position: 0, .. })));
    assert_eq!(reader.step(&mut input), Err(TarError::Failed { position: position + 512 }));
    assert_eq!(reader.finish(), Err(TarError::Failed { position: 512 }));
}

#[test]
fn escapes_what_it_quotes() {
    let tar = [member(b'g', "g", b"19 GNU.sparse.\x1b[=1\n"), file("a", "")].concat();
    let error = read(&Limits::default(), [&tar[..]]).expect_err("a global sparse record");
    assert!(error.to_string().contains(r"GNU.sparse.\x1b["), "{error}");
    let tar = member(0x1b, "a", b"");
    let error = read(&Limits::default(), [&tar[..]]).expect_err("an unknown type");
    assert!(error.to_string().contains(r"'\x1b'"), "{error}");
}
