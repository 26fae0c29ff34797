//! 34: sparse files, whose maps can lie.

use oci_fetcher_tests::image::{Layer, MODIFIED};
use tar::{EntryType, GnuExtSparseHeader, GnuSparseHeader, Header};

use super::headers::pax;
use crate::archives::row::{Row, row};

pub(crate) fn rows() -> Vec<Row> {
    let parts = [accepted(), maps(), records(), texts(), old(), bombs()];
    parts.into_iter().flatten().collect()
}

fn layer() -> Layer {
    Layer::new()
}

fn sparse(records: &[(&str, &str)], payload: impl AsRef<[u8]>) -> Layer {
    layer().extension(EntryType::XHeader, pax(records)).file("s", payload).file("after", "z")
}

/// Format 0.1.
fn map(size: &str, map: &str, stored: &str) -> Layer {
    sparse(&[("GNU.sparse.size", size), ("GNU.sparse.map", map)], stored)
}

/// Format 1.0: a map of text in whole blocks, then what is stored.
fn text(size: &str, map: &str, stored: &str) -> Layer {
    let mut payload = map.as_bytes().to_vec();
    payload.resize(payload.len().next_multiple_of(512), 0);
    payload.extend_from_slice(stored.as_bytes());
    let records = [("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", size)];
    sparse(&records, payload)
}

/// The old format of GNU tar: its map in the header, and in blocks after it.
fn gnu(size: &[u8; 12], stored: &str, maps: &[&[(u64, u64)]]) -> Layer {
    let (first, rest) = maps.split_first().expect("the header's map");
    let mut header = Header::new_gnu();
    header.as_old_mut().name[0] = b's';
    header.set_entry_type(EntryType::GNUSparse);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(MODIFIED.unsigned_abs());
    header.set_size(stored.len() as u64);
    let fields = header.as_gnu_mut().expect("it is GNU's");
    fields.realsize = *size;
    fields.isextended[0] = u8::from(!rest.is_empty());
    fill(&mut fields.sparse, first);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    for (index, map) in rest.iter().enumerate() {
        let mut block = GnuExtSparseHeader::new();
        fill(block.sparse_mut(), map);
        block.as_mut_bytes()[504] = u8::from(index + 1 < rest.len());
        bytes.extend_from_slice(block.as_bytes());
    }
    bytes.extend_from_slice(stored.as_bytes());
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    layer().raw(bytes).file("after", "z")
}

fn fill(fields: &mut [GnuSparseHeader], map: &[(u64, u64)]) {
    for (field, (offset, length)) in fields.iter_mut().zip(map) {
        field.offset.copy_from_slice(format!("{offset:011o}\0").as_bytes());
        field.numbytes.copy_from_slice(format!("{length:011o}\0").as_bytes());
    }
}

/// Returns the line of a file of zeros but for some pieces.
fn line(size: usize, pieces: &[(usize, &str)]) -> String {
    let mut content = vec![0; size];
    for (offset, piece) in pieces {
        content[*offset..][..piece.len()].copy_from_slice(piece.as_bytes());
    }
    format!("f s ={}", String::from_utf8(content).expect("text and zeros"))
}

const AFTER: &str = "f after =z";

fn accepted() -> Vec<Row> {
    let zero = [
        ("GNU.sparse.size", "1000000"),
        ("GNU.sparse.numblocks", "2"),
        ("GNU.sparse.offset", "3"),
        ("GNU.sparse.numbytes", "2"),
        ("GNU.sparse.offset", "900000"),
        ("GNU.sparse.numbytes", "1"),
    ];
    let one = [
        ("GNU.sparse.size", "1000000"),
        ("GNU.sparse.numblocks", "3"),
        ("GNU.sparse.name", "s"),
        ("GNU.sparse.map", "0,1,500000,2,1000000,0"),
    ];
    let many: Vec<(u64, u64)> = (0..21).map(|extent| (10 + 2 * extent, 1)).collect();
    let letters = "abcdefghijklmnopqrstuvwxyz";
    let mut pieces: Vec<(usize, &str)> = vec![(0, "a"), (2, "b"), (4, "c"), (6, "d")];
    pieces.extend((0..21).map(|extent| (10 + 2 * extent, &letters[4 + extent..][..1])));
    pieces.push((900, "z"));
    vec![
        row(34, "pax 0.0", &[], [sparse(&zero, "xyz")])
            .gives([&*line(1_000_000, &[(3, "xy"), (900_000, "z")]), AFTER])
            .holes(),
        row(
            34,
            "pax 0.1, with its name",
            &[],
            [layer().extension(EntryType::XHeader, pax(&one)).file("GNUSparseFile.1/s", "xyz").file("after", "z")],
        )
        .gives([&*line(1_000_000, &[(0, "x"), (500_000, "yz")]), AFTER])
        .holes(),
        row(34, "pax 1.0", &[], [text("1000000", "2\n1000\n3\n500000\n4\n", "abcdefg")])
            .gives([&*line(1_000_000, &[(1000, "abc"), (500_000, "defg")]), AFTER])
            .holes(),
        row(
            34,
            "old GNU, with blocks of maps",
            &[],
            [gnu(b"00000001750\0", letters, &[&[(0, 1), (2, 1), (4, 1), (6, 1)], &many, &[(900, 1), (1000, 0)]])],
        )
        .gives([&*line(1000, &pieces), AFTER]),
        row(34, "old GNU, a hole alone", &[], [gnu(b"00004000000\0", "", &[&[(1 << 20, 0)]])])
            .gives([&*line(1 << 20, &[]), AFTER])
            .holes(),
        row(
            34,
            "a hole alone, pax 0.0",
            &[],
            [sparse(&[("GNU.sparse.size", "200000"), ("GNU.sparse.numblocks", "0")], "")],
        )
        .gives([&*line(200_000, &[]), AFTER])
        .holes(),
        row(34, "extents that touch", &[], [map("9", "0,2,2,2", "abcd")]).gives([&*line(9, &[(0, "abcd")]), AFTER]),
        row(
            34,
            "a sparse file over a link",
            &[],
            [layer()
                .symlink("s", "../../victim/secret")
                .extension(EntryType::XHeader, pax(&[("GNU.sparse.size", "9"), ("GNU.sparse.map", "0,2")]))
                .file("s", "ab")],
        )
        .gives([line(9, &[(0, "ab")])]),
    ]
}

fn malformed(name: &'static str, layer: Layer) -> Row {
    row(34, name, &["CVE-2025-58183", "CVE-2026-32288"], [layer]).malformed("tar-sparse")
}

fn maps() -> Vec<Row> {
    vec![
        malformed("overlapping", map("9", "0,2,1,2", "abcd")),
        malformed("unordered", map("9", "4,2,0,2", "abcd")),
        malformed("beyond the size", map("9", "8,2", "ab")),
        malformed("an empty extent beyond the size", map("9", "0,2,10,0", "ab")),
        malformed("an extent that overflows", map("9", "18446744073709551615,2", "ab")),
        malformed("more in the map than stored", map("9", "0,2", "a")),
        malformed("less in the map than stored", map("9", "0,2", "abc")),
        malformed("an odd map", map("9", "0,2,3", "ab")),
        malformed("a negative number in the map", map("9", "0,-2", "ab")),
        malformed("an empty map", map("9", "", "")),
    ]
}

fn records() -> Vec<Row> {
    let of = |records: &[(&str, &str)]| sparse(records, "xy");
    vec![
        malformed(
            "a wrong count",
            of(&[("GNU.sparse.size", "9"), ("GNU.sparse.numblocks", "2"), ("GNU.sparse.map", "0,2")]),
        ),
        malformed("an orphan name", of(&[("GNU.sparse.name", "b")])),
        malformed("an orphan size", of(&[("GNU.sparse.size", "9")])),
        malformed("an orphan offset", of(&[("GNU.sparse.size", "9"), ("GNU.sparse.offset", "0")])),
        malformed("an orphan length", of(&[("GNU.sparse.size", "9"), ("GNU.sparse.numbytes", "2")])),
        malformed("an orphan map", of(&[("GNU.sparse.map", "0,2")])),
        malformed("two offsets", of(&[("GNU.sparse.offset", "0"), ("GNU.sparse.offset", "1")])),
        malformed("two maps", of(&[("GNU.sparse.size", "9"), ("GNU.sparse.map", "0,2"), ("GNU.sparse.map", "0,2")])),
        malformed(
            "an unknown version",
            of(&[("GNU.sparse.major", "2"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "9")]),
        ),
        malformed("an unknown record", of(&[("GNU.sparse.size", "9"), ("GNU.sparse.more", "0")])),
        malformed(
            "of a directory",
            layer()
                .extension(EntryType::XHeader, pax(&[("GNU.sparse.size", "9"), ("GNU.sparse.map", "0,2")]))
                .directory("s", 0o755),
        ),
        malformed(
            "of a symlink",
            layer()
                .extension(EntryType::XHeader, pax(&[("GNU.sparse.size", "9"), ("GNU.sparse.map", "0,2")]))
                .symlink("s", "x"),
        ),
        row(
            34,
            "a name that leads out",
            &[],
            [layer()
                .extension(
                    EntryType::XHeader,
                    pax(&[
                        ("GNU.sparse.size", "9"),
                        ("GNU.sparse.map", "0,2"),
                        ("GNU.sparse.name", "../../victim/secret"),
                    ]),
                )
                .file("s", "xy")],
        )
        .refused("unsafe-name"),
        row(34, "a size that is no number", &[], [of(&[("GNU.sparse.size", "-9"), ("GNU.sparse.map", "0,2")])])
            .malformed("tar-number"),
    ]
}

fn texts() -> Vec<Row> {
    vec![
        malformed("text with an empty line", text("20", "1\n\n", "x")),
        malformed("text that is no number", text("20", "1\n0x\n", "x")),
        malformed("text with a minus", text("20", "1\n-1\n1\n", "x")),
        malformed("text with a number that overflows", text("20", "99999999999999999999\n", "x")),
        malformed("text without an end", text("20", "3\n0\n1\n", "")),
        malformed("text that goes on into the content", text("20", &"0".repeat(700), "")),
        malformed("text with extents that overlap", text("20", "2\n0\n2\n1\n1\n", "xyz")),
        malformed("text with extents beyond what is stored", text("20", "1\n0\n2\n", "x")),
        malformed("text with extents beyond the size", text("20", "1\n19\n2\n", "xy")),
        malformed(
            "text and records",
            sparse(
                &[
                    ("GNU.sparse.major", "1"),
                    ("GNU.sparse.minor", "0"),
                    ("GNU.sparse.realsize", "9"),
                    ("GNU.sparse.map", "0,2"),
                ],
                "xy",
            ),
        ),
    ]
}

fn old() -> Vec<Row> {
    let size = b"00000001750\0";
    let plain = layer().raw_member(EntryType::GNUSparse, "s", |_| {}, b"");
    vec![
        malformed("old GNU, overlapping", gnu(size, "abcd", &[&[(0, 2), (1, 2)]])),
        malformed("old GNU, beyond the size", gnu(b"00000000003\0", "abcd", &[&[(0, 4)]])),
        malformed("old GNU, overlapping over blocks", gnu(size, "abcd", &[&[(0, 2)], &[(1, 2)]])),
        malformed("old GNU, stored and not mapped", gnu(size, "abcd", &[&[]])),
        malformed("old GNU's flag without GNU's header", plain),
        row(34, "old GNU, a negative size", &[], [gnu(&[0xff; 12], "abcd", &[&[(0, 4)]])]).malformed("tar-number"),
        row(
            34,
            "old GNU, cut in its map",
            &[],
            [Layer::from_tar(gnu(size, "abcd", &[&[(0, 2)], &[(2, 2)]]).tar()[..700].to_vec())],
        )
        .malformed("tar-truncated"),
    ]
}

fn bombs() -> Vec<Row> {
    let ids = &["CVE-2025-58183", "CVE-2026-32288"];
    let many = "9".repeat(7);
    let empty: [&[(u64, u64)]; 2100] = [&[]; 2100];
    vec![
        row(34, "a bomb of extents in text", ids, [text("20", &format!("{many}\n{}", "0\n0\n".repeat(300_000)), "")])
            .refused("limit-exceeded"),
        row(34, "a bomb of extents in blocks", ids, [gnu(b"00000001750\0", "", &empty)]).refused("limit-exceeded"),
        row(34, "a bomb of extents in records", ids, [map("9", &"0,0,".repeat(300_000), "")]).refused("limit-exceeded"),
        row(34, "a hole of 2^60 bytes", ids, [map("1152921504606846976", "0,2", "ab")]).refused("limit-exceeded"),
        row(
            34,
            "a hole of 2^40 + 1 bytes over layers",
            ids,
            (0..5).map(|step| {
                layer()
                    .extension(
                        EntryType::XHeader,
                        pax(&[("GNU.sparse.size", "274877906944"), ("GNU.sparse.map", "0,2")]),
                    )
                    .file(format!("s{step}"), "ab")
            }),
        )
        .refused("limit-output-bytes"),
    ]
}
