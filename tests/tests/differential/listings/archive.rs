//! Random archives: every kind of header, sound and in every order.

use oci_fetcher_tests::image::pax_record;

use super::header::{self, BLOCK, Dialect, Header};
use crate::random::Random;

/// Makes the archive of a seed, not yet damaged.
pub(crate) fn sound(random: &mut Random) -> Vec<u8> {
    let mut archive = Vec::new();
    for _ in 0..random.within(1, 8) {
        member(&mut archive, random);
    }
    match random.below(8) {
        0 => {}
        1 => archive.resize(archive.len() + BLOCK, 0),
        2 => {
            archive.resize(archive.len() + 2 * BLOCK, 0);
            archive.extend(random.bytes(700));
        }
        3 => archive.resize((archive.len() + 2 * BLOCK).next_multiple_of(20 * BLOCK), 0),
        _ => archive.resize(archive.len() + 2 * BLOCK, 0),
    }
    archive
}

/// Key and value of a pax record.
type Record = (Vec<u8>, Vec<u8>);

fn member(archive: &mut Vec<u8>, random: &mut Random) {
    let dialect = *random.pick(&[Dialect::V7, Dialect::Ustar, Dialect::Ustar, Dialect::Gnu, Dialect::Gnu]);
    let mut header = plain(dialect, random);
    let mut content = Vec::new();
    let mut records = Vec::new();
    let kinds: &[u8] = if dialect == Dialect::V7 { b"0012" } else { b"00000011223456SS!!" };
    match *random.pick(kinds) {
        b'0' => {
            content = contents(random);
            header.flag = *random.pick(b"000\0");
        }
        b'1' => {
            header.flag = b'1';
            header.link = name(random);
        }
        b'2' => {
            header.flag = b'2';
            header.link = [&b"../"[..], b"", b"", b"/"][random.below(4)].to_vec();
            header.link.extend(name(random));
        }
        b'5' => {
            header.flag = b'5';
            if random.percent(70) {
                header.name.push(b'/');
            }
        }
        b'S' => return gnu_sparse(archive, header, random),
        b'!' => (records, content) = pax_sparse(&mut header, random),
        flag => {
            header.flag = flag;
            header.device = (random.below(300) as u64, random.below(70_000) as u64);
        }
    }
    header.size = content.len() as u64;
    // Only files have content, and still some producers write a size.
    if !matches!(header.flag, b'0' | 0) && random.percent(10) {
        header.size = *random.pick(&[1, 512, 4_096]);
    }
    if dialect == Dialect::V7 && header.flag == 0 && random.percent(20) {
        header.name.push(b'/');
        (header.size, content) = (0, Vec::new());
    }
    extensions(archive, &mut header, records, &content, random);
    block(archive, &header, random);
    padded(archive, &content);
}

fn plain(dialect: Dialect, random: &mut Random) -> Header {
    let prefix = if dialect == Dialect::Ustar && random.percent(20) { name(random) } else { Vec::new() };
    Header {
        dialect,
        flag: b'0',
        name: name(random),
        prefix,
        link: Vec::new(),
        mode: *random.pick(&[0o644, 0o755, 0, 0o4755, 0o7777, 0o100_644, 0o40_755]),
        owner: *random.pick(&[(0, 0), (1000, 1000), (0o7_777_777, 0), (0o77_777_777, 5)]),
        size: 0,
        modified: *random.pick(&[1_700_000_000, 0, 1, 0o77_777_777_777, 1_234_567_890]),
        device: (0, 0),
    }
}

/// Writes extension headers before a member, for values that fit and for those that do not.
fn extensions(
    archive: &mut Vec<u8>,
    header: &mut Header,
    mut records: Vec<Record>,
    content: &[u8],
    random: &mut Random,
) {
    if random.percent(8) {
        let key = *random.pick(&["comment", "comment", "mtime", "uid"]);
        let global = pax_record(key.as_bytes(), b"1234567890");
        extension(archive, b'g', &global, random);
    }
    let is_pax_sparse = !records.is_empty();
    let mut record = |key: &str, value: &[u8]| records.push((key.as_bytes().to_vec(), value.to_vec()));
    if random.percent(35) {
        for _ in 0..random.within(1, 4) {
            match random.below(11) {
                0 if !is_pax_sparse => record("path", &long_name(random)),
                1 if matches!(header.flag, b'1' | b'2') => record("linkpath", &long_name(random)),
                2 => record("mtime", random.pick(TIMES).as_bytes()),
                3 => record("uid", b"3000000000"),
                4 => record("gid", b""),
                5 => record("SCHILY.xattr.user.a", b"v=\n\0w"),
                6 => record("comment", &random.bytes(30)),
                7 => record("uname", "r\u{f6}\u{f6}t".as_bytes()),
                8 => record("atime", b"1600000000.5"),
                9 if matches!(header.flag, b'0' | 0) => {
                    record("size", content.len().to_string().as_bytes());
                    if random.percent(50) {
                        header.size = *random.pick(&[0, 1, 512, 1_024]);
                    }
                }
                _ => record("LIBARCHIVE.creationtime", b"1600000000"),
            }
        }
    }
    let mut order: Vec<u8> = Vec::new();
    if !records.is_empty() {
        order.push(b'x');
    }
    let names_in_pax = records.iter().any(|(key, _)| key.ends_with(b"path") || key.ends_with(b"name"));
    if header.dialect == Dialect::Gnu && !names_in_pax {
        if random.percent(20) {
            order.push(b'L');
        }
        if matches!(header.flag, b'1' | b'2') && random.percent(30) {
            order.push(b'K');
        }
    }
    while !order.is_empty() {
        match order.remove(random.below(order.len())) {
            b'x' => {
                let records: Vec<u8> = records.iter().flat_map(|(key, value)| pax_record(key, value)).collect();
                extension(archive, b'x', &records, random);
            }
            flag => {
                let mut long = long_name(random);
                long.push(0);
                extension(archive, flag, &long, random);
            }
        }
    }
}

fn extension(archive: &mut Vec<u8>, flag: u8, content: &[u8], random: &mut Random) {
    let gnu = matches!(flag, b'L' | b'K');
    let header = Header {
        dialect: if gnu { Dialect::Gnu } else { Dialect::Ustar },
        flag,
        name: if gnu { b"././@LongLink".to_vec() } else { b"PaxHeaders/x".to_vec() },
        prefix: Vec::new(),
        link: Vec::new(),
        mode: 0o644,
        owner: (0, 0),
        size: content.len() as u64,
        modified: 0,
        device: (0, 0),
    };
    block(archive, &header, random);
    padded(archive, content);
}

/// Writes an `S` member: four extents in the header, and up to 21 in each block behind it.
fn gnu_sparse(archive: &mut Vec<u8>, mut header: Header, random: &mut Random) {
    let (extents, size) = extents(random);
    let stored: usize = extents.iter().map(|(_, length)| length).sum();
    header.dialect = Dialect::Gnu;
    header.flag = b'S';
    header.size = stored as u64;
    let mut block = header.write(random);
    let mut rest = &extents[..];
    let mut write = |block: &mut [u8], at: usize, count: usize, random: &mut Random| {
        let (these, after) = rest.split_at(rest.len().min(count));
        for (index, (offset, length)) in these.iter().enumerate() {
            let at = at + index * 24;
            header::number(&mut block[at..at + 12], *offset as i128, true, random);
            header::number(&mut block[at + 12..at + 24], *length as i128, true, random);
        }
        rest = after;
        u8::from(!after.is_empty())
    };
    block[482] = write(&mut block, 386, 4, random);
    header::number(&mut block[483..495], size as i128, true, random);
    header::sum(&mut block, random);
    archive.extend(block);
    let mut more = block[482];
    while more != 0 {
        let mut block = [0; BLOCK];
        more = write(&mut block, 0, 21, random);
        block[504] = more;
        archive.extend(block);
    }
    let content = random.bytes(stored);
    padded(archive, &content);
}

/// Makes the records and the content of a sparse file in one of the pax formats.
fn pax_sparse(header: &mut Header, random: &mut Random) -> (Vec<Record>, Vec<u8>) {
    let (extents, size) = extents(random);
    let stored: usize = extents.iter().map(|(_, length)| length).sum();
    let mut records = Vec::new();
    let mut record = |key: &str, value: &str| {
        records.push((format!("GNU.sparse.{key}").into_bytes(), value.as_bytes().to_vec()));
    };
    let mut content = Vec::new();
    header.dialect = Dialect::Ustar;
    match random.below(3) {
        0 => {
            record("size", &size.to_string());
            record("numblocks", &extents.len().to_string());
            for (offset, length) in &extents {
                record("offset", &offset.to_string());
                record("numbytes", &length.to_string());
            }
        }
        1 => {
            record("size", &size.to_string());
            record("numblocks", &extents.len().to_string());
            let map: Vec<String> = extents.iter().map(|(offset, length)| format!("{offset},{length}")).collect();
            record("map", &map.join(","));
            record("name", "sparse/0.1");
        }
        _ => {
            record("major", "1");
            record("minor", "0");
            record("name", "sparse/1.0");
            record("realsize", &size.to_string());
            let mut map = format!("{}\n", extents.len());
            for (offset, length) in &extents {
                map.push_str(&format!("{offset}\n{length}\n"));
            }
            content = map.into_bytes();
            content.resize(content.len().next_multiple_of(BLOCK), 0);
        }
    }
    content.extend(random.bytes(stored));
    (records, content)
}

/// Chooses extents in order and apart, and the size of the file that they are in.
fn extents(random: &mut Random) -> (Vec<(usize, usize)>, usize) {
    let mut extents = Vec::new();
    let mut at = 0;
    for _ in 0..*random.pick(&[1, 2, 3, 5, 30]) {
        at += 512 * random.within(0, 9);
        let length = 512 * random.within(1, 3);
        extents.push((at, length));
        at += length;
    }
    if random.percent(50) {
        at += random.below(10_000);
        // A hole at the end is written as an extent of nothing.
        extents.push((at, 0));
    }
    (extents, at)
}

fn contents(random: &mut Random) -> Vec<u8> {
    let length = *random.pick(&[0, 0, 1, 511, 512, 513, 3_000]);
    random.bytes(length)
}

fn name(random: &mut Random) -> Vec<u8> {
    random.pick(NAMES).to_vec()
}

fn long_name(random: &mut Random) -> Vec<u8> {
    let mut long = name(random);
    if random.percent(70) {
        long.extend(format!("/{}", "long/".repeat(random.within(20, 60))).into_bytes());
        long.extend(name(random));
    }
    long
}

const TIMES: &[&str] = &["1600000000.123456789", "-1.5", "12", "0.000000001", ""];

/// The last one fills its field, and ends without a NUL.
const NAMES: &[&[u8]] = &[
    b"a",
    b"b/c",
    b"./d",
    b"./e/f",
    b"/g",
    b"sp ace",
    b"new\nline",
    "\u{fc}ml\u{e4}ut".as_bytes(),
    b"h//i",
    b"j/./k",
    b"quote\"'",
    b"back\\slash",
    b"-x",
    &[b'n'; 99],
];

fn block(archive: &mut Vec<u8>, header: &Header, random: &mut Random) {
    let mut block = header.write(random);
    header::sum(&mut block, random);
    archive.extend(block);
}

fn padded(archive: &mut Vec<u8>, content: &[u8]) {
    archive.extend(content);
    archive.resize(archive.len().next_multiple_of(BLOCK), 0);
}
