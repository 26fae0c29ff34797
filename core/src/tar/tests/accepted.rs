//! What real layers hold, and what must be read so that nothing hides in it.

use super::*;
use crate::entry::{Timestamp, Xattr};

#[test]
fn reads_each_form_the_same_under_any_chunking() {
    let long = "d/".repeat(80) + "name";
    let long_nul = format!("{long}\0");
    let cases = vec![
        ("36 a layer of 0 bytes", vec![], vec![]),
        ("36 the empty layer", vec![END.into()], vec![]),
        ("36 one final zero block", vec![file("a", "x"), END[..BLOCK].into()], vec!["file /a 1", "0+x", "end"]),
        ("36 no trailer", vec![file("a", "")], vec!["file /a 0", "end"]),
        ("36 after the trailer nothing counts", vec![END.into(), vec![7; 700]], vec![]),
        (
            "1 cleaned names",
            vec![file("a/../b", ""), file("./c//d/.", "")],
            vec!["file /b 0", "end", "file /c/d 0", "end"],
        ),
        ("2 an absolute name", vec![file("/e", "")], vec!["file /e 0", "end"]),
        (
            "10 hard-link targets",
            vec![link(b'1', "b", "/a").into(), link(b'1', "c", "./a").into()],
            vec!["hard /b -> /a", "hard /c -> /a"],
        ),
        (
            "13 symlink targets, byte for byte",
            vec![link(b'2', "b", "/a/../").into(), link(b'2', "c", "..//x/").into()],
            vec!["sym /b -> /a/../", "sym /c -> ..//x/"],
        ),
        ("14 the root", vec![header(b'5', "./", 0).into()], vec!["dir /"]),
        (
            "20 21 whiteouts",
            vec![
                file("a", ""),
                file(".wh.a", ""),
                file("d/.wh..wh..opq", ""),
                file(".wh..hid", ""),
                file(".wh..wh..opq", ""),
            ],
            vec!["file /a 0", "end", "white /a", "opaque /d", "white /.hid", "opaque /"],
        ),
        (
            "21 a whiteout of any type, with any payload",
            vec![
                file(".wh.a", "payload"),
                link(b'2', ".wh.b", "").into(),
                header(b'5', "d/.wh.c/", 0).into(),
                link(b'1', ".wh.d", "").into(),
                gnu_sparse(".wh.e", "7", 2, &[(5, 2)], 0).into(),
                padded(b"xy"),
                file("f", ""),
            ],
            vec!["white /a", "white /b", "white /d/c", "white /d", "white /e", "file /f 0", "end"],
        ),
        (
            "21 marks of aufs",
            vec![header(b'5', ".wh..wh.plnk/", 0).into(), file(".wh..wh.plnk/1.2", "content"), file("a", "")],
            vec!["skip /.wh..wh.plnk  union-mark", "skip /.wh..wh.plnk/1.2  union-mark", "file /a 0", "end"],
        ),
        (
            "24 pax size over zero ustar size: the header in the content stays content",
            vec![pax(&[("size", "512")]), header(b'0', "a", 0).into(), header(b'0', "hidden", 0).into(), file("b", "")],
            vec!["file /a 512", HIDDEN, "end", "file /b 0", "end"],
        ),
        (
            "25 pax size over a larger header size",
            vec![pax(&[("size", "1")]), header(b'0', "a", 1024).into(), padded(b"x"), file("b", "")],
            vec!["file /a 1", "0+x", "end", "file /b 0", "end"],
        ),
        (
            "26 pax, then a long name, then the file: both are the file's",
            vec![
                pax(&[("size", "1")]),
                member(b'L', "@LongLink", long_nul.as_bytes()),
                header(b'0', "a", 0).into(),
                padded(b"x"),
                file("b", ""),
            ],
            vec![LONG, "0+x", "end", "file /b 0", "end"],
        ),
        (
            "26 a global header between pax and the file",
            vec![pax(&[("path", "b")]), member(b'g', "pax_global_header", b"16 comment=abcd\n"), file("a", "")],
            vec!["file /b 0", "end"],
        ),
        (
            "27 pax path and GNU long name, equal",
            vec![pax(&[("path", &long)]), member(b'L', "@LongLink", long_nul.as_bytes()), file("a", "x")],
            vec![LONG, "0+x", "end"],
        ),
        (
            "27 the same of link targets",
            vec![member(b'K', "@LongLink", b"t/u\0"), pax(&[("linkpath", "t/u")]), link(b'2', "a", "t").into()],
            vec!["sym /a -> t/u"],
        ),
        (
            "28 duplicate keys",
            vec![pax(&[("path", "b"), ("path", "c")]), pax(&[("path", "d")]), file("a", "")],
            vec!["file /d 0", "end"],
        ),
        (
            "30 other global records",
            vec![member(b'g', "g", b"16 comment=abcd\n11 mtime=1\n"), file("a", "")],
            vec!["file /a 0", "end"],
        ),
        (
            "31 empty values, newlines and numbers in names",
            vec![
                pax(&[("path", ""), ("size", "")]),
                file("a", "x"),
                pax(&[("path", "b\nc=d")]),
                file("a", ""),
                pax(&[("path", "123")]),
                file("a", ""),
            ],
            vec!["file /a 1", "0+x", "end", "file /b\\nc=d 0", "end", "file /123 0", "end"],
        ),
        (
            "12 33 sizes of what has no payload",
            vec![
                with(link(b'1', "b", "a"), SIZE, b"00000001000\0").into(),
                with(link(b'2', "c", "a"), SIZE, b"00000001000\0").into(),
                header(b'5', "d", 600).into(),
                header(b'3', "e", 600).into(),
                header(b'6', "f", 600).into(),
                pax(&[("size", "9999")]),
                header(b'5', "g", 0).into(),
            ],
            vec!["hard /b -> /a", "sym /c -> a", "dir /d", "char /e 0:0", "fifo /f", "dir /g"],
        ),
        (
            "34 pax 0.0",
            vec![
                pax(&[
                    ("GNU.sparse.size", "20"),
                    ("GNU.sparse.numblocks", "2"),
                    ("GNU.sparse.offset", "3"),
                    ("GNU.sparse.numbytes", "2"),
                    ("GNU.sparse.offset", "10"),
                    ("GNU.sparse.numbytes", "1"),
                ]),
                file("a", "xyz"),
            ],
            vec!["file /a 20", "3+xy", "10+z", "end"],
        ),
        (
            "34 pax 0.1",
            vec![
                pax(&[
                    ("GNU.sparse.size", "20"),
                    ("GNU.sparse.numblocks", "3"),
                    ("GNU.sparse.name", "s"),
                    ("GNU.sparse.map", "0,1,4,2,20,0"),
                ]),
                file("a/GNUSparseFile.1/s", "xyz"),
            ],
            vec!["file /s 20", "0+x", "4+yz", "end"],
        ),
        (
            "34 pax 1.0, its map in content",
            vec![
                pax(&[
                    ("GNU.sparse.major", "1"),
                    ("GNU.sparse.minor", "0"),
                    ("GNU.sparse.name", "s"),
                    ("GNU.sparse.realsize", "2000"),
                ]),
                file("x", &format!("2\n1000\n3\n1500\n4\n{}abcdefg", "\0".repeat(512 - 16))),
                file("b", ""),
            ],
            vec!["file /s 2000", "1000+abc", "1500+defg", "end", "file /b 0", "end"],
        ),
        (
            "34 old GNU, with extension blocks",
            vec![
                gnu_sparse("s", "00000001750", 27, &[(0, 1), (2, 1), (4, 1), (6, 1)], 1).into(),
                gnu_block(&(0..21).map(|extent| (10 + 2 * extent, 1)).collect::<Vec<_>>(), 1),
                gnu_block(&[(900, 2), (1000, 0)], 0),
                padded(b"abcdefghijklmnopqrstuvwxyz!"),
                file("b", ""),
            ],
            vec![
                "file /s 1000",
                "0+a",
                "2+b",
                "4+c",
                "6+d",
                "10+e",
                "12+f",
                "14+g",
                "16+h",
                "18+i",
                "20+j",
                "22+k",
                "24+l",
                "26+m",
                "28+n",
                "30+o",
                "32+p",
                "34+q",
                "36+r",
                "38+s",
                "40+t",
                "42+u",
                "44+v",
                "46+w",
                "48+x",
                "50+y",
                "900+z!",
                "end",
                "file /b 0",
                "end",
            ],
        ),
        (
            "34 a hole alone",
            vec![gnu_sparse("s", "00000001750", 0, &[(1000, 0)], 0).into()],
            vec!["file /s 1000", "end"],
        ),
        ("35 sixteen extensions", vec![pax(&[("comment", "c")]).repeat(16), file("a", "")], vec!["file /a 0", "end"]),
        (
            "36 V7",
            vec![
                with(with(header(0, "d/", 0), MAGIC, &[0; 8]), PREFIX, b"junk").into(),
                with(header(0, "f", 0), MAGIC, &[0; 8]).into(),
            ],
            vec!["dir /d", "file /f 0", "end"],
        ),
        (
            "36 a signed checksum, a name that is not UTF-8",
            vec![signed(with(header(b'0', "a", 0), NAME, b"\xff\xfe")).into()],
            vec!["file /\\xff\\xfe 0", "end"],
        ),
        ("a regular file by flag", vec![file("a/", "x")], vec!["file /a 1", "0+x", "end"]),
        (
            "a prefix, star's shorter one",
            vec![
                with(header(b'0', "a", 0), PREFIX, b"p/q").into(),
                with(with(header(b'0', "b", 0), PREFIX + 131, b"00000000001 "), 508, b"tar\0").into(),
            ],
            vec!["file /p/q/a 0", "end", "file /b 0", "end"],
        ),
        (
            "GNU has times there, but old Go writes a prefix",
            vec![
                with(with(header(b'0', "a", 0), MAGIC, GNU_MAGIC), PREFIX, b"14001234567\x0014001234567\0").into(),
                with(with(header(b'0', "b", 0), MAGIC, GNU_MAGIC), PREFIX, b"usr/share").into(),
            ],
            vec!["file /a 0", "end", "file /usr/share/b 0", "end"],
        ),
        (
            "37 devices",
            vec![
                with(with(header(b'3', "c", 0), MAJOR, b"0000001\0"), MINOR, b"0000003\0").into(),
                with(header(b'4', "b", 0), MAJOR, b"\x80\0\0\x01\0\0\0\0").into(),
                pax(&[("SCHILY.devmajor", "300000"), ("SCHILY.devminor", "5")]),
                header(b'4', "d", 0).into(),
                header(b'6', "p", 0).into(),
            ],
            vec!["char /c 1:3", "skip /b  device", "block /d 300000:5", "fifo /p"],
        ),
        (
            "39 attributes",
            vec![
                pax(&[
                    ("SCHILY.xattr.user.a", "1"),
                    ("SCHILY.xattr.security.selinux", "l"),
                    ("SCHILY.xattr.trusted.x", ""),
                    ("SCHILY.xattr.user.overlay.opaque", "y"),
                    ("LIBARCHIVE.xattr.user.a", "MQ"),
                    ("SCHILY.acl.access", "u::rwx"),
                ]),
                file("a", ""),
            ],
            vec![
                "skip /a security.selinux xattr",
                "skip /a trusted.x xattr",
                "skip /a user.overlay.opaque xattr",
                "file /a 0",
                "end",
            ],
        ),
        (
            "39 none of a whiteout or hard link",
            vec![
                pax(&[("SCHILY.xattr.trusted.x", "")]),
                file(".wh.a", ""),
                pax(&[("SCHILY.xattr.trusted.x", ""), ("uid", "4294967295")]),
                link(b'1', "b", "a").into(),
            ],
            vec!["white /a", "hard /b -> /a"],
        ),
    ];
    let long_line = format!("file /{long} 1");
    let hidden_line = line(&(0, header(b'0', "hidden", 0).into()));
    for (name, parts, expected) in cases {
        let seen =
            read_each_way(name, &Limits::default(), &parts.concat()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let expected: Vec<&str> = expected
            .into_iter()
            .map(|line| match line {
                LONG => &long_line,
                HIDDEN => &hidden_line,
                _ => line,
            })
            .collect();
        assert_eq!(seen.lines, expected, "{name}");
    }
}

/// Stand for lines that are too long for the table.
const LONG: &str = "LONG";
const HIDDEN: &str = "HIDDEN";

/// Gives a header the checksum that compilers with signed characters made.
fn signed(mut header: [u8; BLOCK]) -> [u8; BLOCK] {
    header[CHECKSUM..CHECKSUM + 8].fill(b' ');
    let sum: i32 = header.iter().map(|&byte| i32::from(byte.cast_signed())).sum();
    header[CHECKSUM..CHECKSUM + 8].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

#[test]
fn keeps_metadata() {
    let base = with(with(header(b'0', "a", 0), UID, b"0001750\0"), GID, b"\x80\0\0\0\xff\xff\xff\xfe");
    let base = with(with(base, 100, b"0104755\0"), MTIME, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe");
    let from_header = metadata(&base);
    assert_eq!(from_header.mode, 0o4755, "38 file type bits go, setuid stays");
    assert_eq!((from_header.uid, from_header.gid), (1000, u32::MAX - 1), "38 the largest owner");
    assert_eq!(from_header.mtime, Timestamp { seconds: -2, nanoseconds: 0 }, "40 base-256 before 1970");

    let records = [
        ("uid", "7"),
        ("gid", "8"),
        ("mtime", "-1.5"),
        ("SCHILY.xattr.user.b", ""),
        ("SCHILY.xattr.user.a", "x\ny=\0"),
    ];
    let from_pax = metadata(&[pax(&records), with(base, UID, b"garbage\0").into()].concat());
    assert_eq!((from_pax.uid, from_pax.gid), (7, 8));
    assert_eq!(from_pax.mtime, Timestamp { seconds: -2, nanoseconds: 500_000_000 }, "40");
    let xattr = |name: &[u8], value: &[u8]| Xattr { name: name.into(), value: value.into() };
    assert_eq!(from_pax.xattrs, [xattr(b"user.a", b"x\ny=\0"), xattr(b"user.b", b"")], "39");
}

#[test]
fn ends_only_where_an_archive_may() {
    let parts = [
        file("a", "content"),
        [pax(&[("path", "b")]), file("x", "y")].concat(),
        link(b'2', "s", "t").into(),
        [&gnu_sparse("s", "1000", 2, &[(0, 1), (2, 1)], 1)[..], &gnu_block(&[], 0), &padded(b"xy")].concat(),
        END[..BLOCK].into(),
        END[..BLOCK].into(),
    ];
    let mut ends = vec![0];
    for part in &parts {
        ends.push(ends[ends.len() - 1] + part.len());
    }
    let tar = parts.concat();
    for at in 0..=tar.len() {
        match read(&Limits::default(), [&tar[..at]]) {
            Ok(_) => assert!(ends.contains(&at), "36 cut at {at}"),
            Err(TarError::Truncated { position }) => assert_eq!(position, at as u64),
            // The one end that is between headers, but not between members.
            Err(error) => assert_eq!(error, TarError::Orphan { position: 2048 }, "36 cut at {at}"),
        }
        assert_eq!(ends.contains(&at), read(&Limits::default(), [&tar[..at]]).is_ok(), "36 cut at {at}");
    }
}

#[test]
fn counts_and_warns() {
    let tar = [member(b'g', "g", b"11 mtime=1\n"), file("a", ""), file(".wh.b", ""), END.into(), vec![1]].concat();
    let summary = read(&Limits::default(), [&tar[..]]).expect("a sound tar").summary.expect("it ended");
    assert_eq!(summary.entries, 2);
    assert_eq!(summary.warnings, ["bytes after the end of the tar were ignored", "global pax records were ignored"]);
    let padded = [file("a", ""), vec![0; 20 * BLOCK]].concat();
    assert!(
        read(&Limits::default(), [&padded[..]]).expect("a sound tar").summary.expect("it ended").warnings.is_empty()
    );
}
