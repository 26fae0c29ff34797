//! 37 to 40: devices, modes, owners, extended attributes and times.

use oci_fetcher_tests::image::{Layer, MODIFIED};
use tar::EntryType;

use super::headers::pax;
use crate::archives::node::Node;
use crate::archives::row::{Expected, Host, Row, row};

pub(crate) fn rows() -> Vec<Row> {
    [specials(), modes(), owners(), xattrs(), times()].into_iter().flatten().collect()
}

fn layer() -> Layer {
    Layer::new()
}

fn extended(records: &[(&str, &str)]) -> Layer {
    layer().extension(EntryType::XHeader, pax(records))
}

fn specials() -> Vec<Row> {
    let device = |major: &str, minor: &str| {
        [extended(&[("SCHILY.devmajor", major), ("SCHILY.devminor", minor)]).character_device("c", 0, 0)]
    };
    vec![
        row(37, "a FIFO, which is never opened", &[], [layer().fifo("p").mode(0o600).owner(7, 8).modified(5, 0)])
            .gives(["p p 600 own=7:8 @5"]),
        row(37, "a FIFO replaced by a file", &[], [layer().fifo("p").file("p", "x")]).gives(["f p =x"]),
        row(37, "a FIFO with other names", &[], [layer().fifo("p").hard_link("q", "p"), layer().hard_link("r", "q")])
            .gives(["p p", "h q p", "h r p"]),
        row(37, "a FIFO removed", &[], [layer().fifo("p"), layer().whiteout("p")]).gives([""; 0]),
        row(37, "a character device", &[], [layer().character_device("c", 1, 3).mode(0o666)])
            .gives(["c c 666 dev=1:3"]),
        row(37, "a block device", &[], [layer().block_device("b", 8, 1).mode(0o660).owner(0, 6)])
            .gives(["b b 660 own=0:6 dev=8:1"]),
        row(37, "a device with another name", &[], [layer().character_device("c", 1, 3).hard_link("d", "c")])
            .gives(["c c dev=1:3", "h d c"]),
        row(37, "a device replaced by a directory", &[], [layer().block_device("d", 8, 0).file("d/f", "x"), layer()])
            .refused("parent-not-directory"),
        row(37, "the character device 0:0, which overlays read as a mark", &[], [layer().character_device("c", 0, 0)])
            .gives(["c c dev=0:0"]),
        row(37, "the largest numbers that Linux holds", &[], device("4095", "1048575")).gives(["c c dev=4095:1048575"]),
        row(37, "a major beyond what Linux holds", &[], device("4096", "0"))
            .gives(["c c dev=4096:0"])
            .on(Host::Root, nothing()),
        row(37, "a minor beyond what Linux holds", &[], device("1", "1048576"))
            .gives(["c c dev=1:1048576"])
            .on(Host::Root, nothing()),
        row(37, "a major of 2^32, which no system has", &[], device("4294967296", "0")).gives([""; 0]),
        row(37, "a negative major", &[], device("-1", "0")).malformed("tar-number"),
        row(
            37,
            "a major that is no number",
            &[],
            [layer().raw_member(EntryType::Char, "c", |header| header.as_mut_bytes()[329] = b'x', b"")],
        )
        .malformed("tar-number"),
    ]
}

fn nothing() -> Expected {
    Expected::Tree(Node::read_tree(Vec::new()))
}

fn modes() -> Vec<Row> {
    vec![
        row(
            38,
            "setuid, setgid and sticky",
            &[],
            [layer()
                .file("u", "x")
                .mode(0o4755)
                .file("g", "x")
                .mode(0o2755)
                .directory("t", 0o1777)
                .directory("s", 0o2775)
                .file("all", "x")
                .mode(0o7777)],
        )
        .gives(["f u 4755 =x", "f g 2755 =x", "d t 1777", "d s 2775", "f all 7777 =x"]),
        row(38, "setuid of another owner", &[], [layer().file("u", "x").mode(0o6755).owner(7, 8)])
            .gives(["f u 6755 own=7:8 =x"]),
        row(
            38,
            "group and others may write, whatever the umask",
            &[],
            [layer().file("f", "x").mode(0o666).directory("d", 0o777).file("i/f", "x").fifo("p").mode(0o777)],
        )
        .gives(["f f 666 =x", "d d 777", "D i", "f i/f =x", "p p 777"]),
        row(38, "modes of no permission", &[], [layer().file("f", "x").mode(0).directory("d", 0)])
            .gives(["f f 000 =x", "d d 000"]),
        row(
            38,
            "files in a setgid directory",
            &[],
            [layer().directory("s", 0o2775).owner(7, 8).file("s/f", "x").directory("s/d", 0o755)],
        )
        .gives(["d s 2775 own=7:8", "f s/f =x", "d s/d"]),
    ]
}

fn owners() -> Vec<Row> {
    let largest = u64::from(u32::MAX);
    let mut rows = vec![
        row(38, "the largest owner there is", &[], [layer().file("f", "x").owner(largest - 1, largest - 1)])
            .gives(["f f own=4294967294:4294967294 =x"]),
        row(
            38,
            "a user of -1 in base 256",
            &[],
            [layer().raw_member(
                EntryType::Regular,
                "f",
                |header| header.as_old_mut().uid = *b"\x80\0\0\0\xff\xff\xff\xff",
                b"x",
            )],
        )
        .refused("owner-out-of-range"),
        row(38, "an owner of a mark, which nobody reads", &[], [layer().file(".wh.f", "").owner(largest, largest)])
            .gives([""; 0]),
        row(
            38,
            "an owner of a hard link, which nobody reads",
            &[],
            [layer().file("f", "x").hard_link("h", "f").owner(largest, largest)],
        )
        .gives(["f f =x", "h h f"]),
    ];
    for (name, uid, gid) in [
        ("user 2^32 - 1", largest, 0),
        ("group 2^32 - 1", 0, largest),
        ("user 2^32, which is root in 32 bits", largest + 1, 0),
        ("group 2^32", 0, largest + 1),
        ("user 2^63", 1 << 63, 0),
    ] {
        let made = || [layer().file("f", "x").owner(uid, gid)];
        rows.push(row(38, name, &[], made()).refused("owner-out-of-range"));
        rows.push(
            row(38, format!("{name}, of a directory"), &[], [layer().directory("d", 0o755).owner(uid, gid)])
                .refused("owner-out-of-range"),
        );
    }
    rows
}

fn xattrs() -> Vec<Row> {
    let capability = "\u{1}\0\0\u{2}\0\u{4}\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let hexadecimal: String = capability.bytes().map(|byte| format!("{byte:02x}")).collect();
    let one = |name: &str| [layer().file("f", "x").xattr(name, "v")];
    let mut rows = vec![
        row(
            39,
            "user.*",
            &[],
            [layer().file("f", "x").xattr("user.a", "1").directory("d", 0o755).xattr("user.b", b"\0\xff")],
        )
        .gives(["f f x:user.a=31 =x", "d d x:user.b=00ff"]),
        row(
            39,
            "security.capability, after the owner and before the mode",
            &[],
            [layer().file("f", "x").mode(0o755).owner(7, 8).xattr("security.capability", capability)],
        )
        .gives([format!("f f 755 own=7:8 x:security.capability={hexadecimal} =x")]),
        row(
            39,
            "user.* of a file that nobody may write",
            &[],
            [layer().file("f", "x").mode(0o400).xattr("user.a", "1")],
        )
        .gives(["f f 400 x:user.a=31 =x"]),
        row(
            39,
            "the attributes of a lower layer's directory are replaced",
            &[],
            [layer().directory("d", 0o755).xattr("user.a", "1"), layer().directory("d", 0o755).xattr("user.b", "2")],
        )
        .gives(["d d x:user.b=32"]),
        row(39, "names as GNU tar escapes them stay so", &[], [layer().file("f", "x").xattr("user.a%3Db", "1")])
            .gives(["f f x:user.a%3Db=31 =x"]),
        row(
            39,
            "LIBARCHIVE.xattr.* and SCHILY.acl.*",
            &[],
            [layer()
                .file("f", "x")
                .pax("LIBARCHIVE.xattr.user.a", "MQ==")
                .pax("SCHILY.acl.access", "user::rwx,other::rwx")
                .pax("SCHILY.acl.default", "user::rwx")],
        )
        .gives(["f f =x"]),
        row(39, "an attribute of 64 KiB and more", &[], [layer().file("f", "x").xattr("user.a", vec![b'v'; 65_536])])
            .refused("limit-exceeded"),
        row(
            39,
            "many attributes of 64 KiB together",
            &[],
            [(0..700).fold(layer().file("f", "x"), |layer, n| layer.xattr(&format!("user.a{n}"), [b'v'; 100]))],
        )
        .refused("limit-exceeded"),
        row(39, "an attribute's name that leads out", &[], one("../../etc/passwd"))
            .gives(["f f =x"])
            .reports("f xattr ../../etc/passwd"),
    ];
    for (name, item) in [
        ("security.selinux", "f xattr security.selinux"),
        ("security.ima", "f xattr security.ima"),
        ("system.nfs4_acl", "f xattr system.nfs4_acl"),
        ("system.posix_acl_access", "f xattr system.posix_acl_access"),
        ("trusted.overlay.opaque", "f xattr trusted.overlay.opaque"),
        ("trusted.overlay.redirect", "f xattr trusted.overlay.redirect"),
        ("user.overlay.opaque", "f xattr user.overlay.opaque"),
        ("user.overlay.whiteout", "f xattr user.overlay.whiteout"),
        ("user.", "f xattr user."),
        ("nonsense", "f xattr nonsense"),
        ("com.apple.quarantine", "f xattr com.apple.quarantine"),
    ] {
        rows.push(row(39, name, &[], one(name)).gives(["f f =x"]).reports(item));
    }
    rows
}

fn times() -> Vec<Row> {
    let at = |seconds, nanoseconds| [layer().file("f", "x").modified(seconds, nanoseconds)];
    let pax_time = |value: &str| [layer().file("f", "x").pax("mtime", value)];
    let mut rows = vec![
        row(40, "before 1970", &[], at(-7, 0)).gives(["f f @-7 =x"]),
        row(40, "before 1970, with a fraction", &[], at(-2, 500_000_000)).gives(["f f @-2.500000000 =x"]),
        row(40, "nanoseconds", &[], at(MODIFIED, 123_456_789)).gives([format!("f f @{MODIFIED}.123456789 =x")]),
        row(40, "-0.25", &[], pax_time("-0.25")).gives(["f f @-1.750000000 =x"]),
        row(40, "more digits than nanoseconds", &[], pax_time("1.0000000019")).gives(["f f @1.1 =x"]),
        row(40, "after 2038", &[], at(4_000_000_000, 0)).gives(["f f @4000000000 =x"]),
        row(
            40,
            "a link's and a directory's",
            &[],
            [layer().symlink("l", "x").modified(-7, 0).directory("d", 0o755).modified(7, 0).file("d/f", "x")],
        )
        .gives(["l l @-7 ->x", "d d @7", "f d/f =x"]),
        row(
            40,
            "an own time, then a child in a further layer",
            &[],
            [layer().directory("d", 0o755).modified(7, 0).file("d/f", "x"), layer().file("d/g", "x").whiteout("d/f")],
        )
        .gives(["d d @7", "f d/g =x"]),
        row(40, "the latest that 64 bits hold", &[], pax_time("9223372036854775807"))
            .gives(["f f @9223372036854775807 =x"])
            .absent(
                &[Host::Root, Host::User, Host::Node],
                "each file system brings the time into a range of its own, and the report says so",
            ),
    ];
    for value in [
        "NaN",
        "nan",
        "inf",
        "-",
        "",
        "+1",
        "1e3",
        ".5",
        "--1",
        "1.-5",
        "1,5",
        "9223372036854775808",
        "-99999999999999999999",
    ] {
        let made = row(40, format!("a time of {value:?}"), &[], pax_time(value));
        rows.push(if value.is_empty() { made.gives(["f f =x"]) } else { made.malformed("tar-number") });
    }
    rows
}
