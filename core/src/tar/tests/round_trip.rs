//! What is written reads back the same.

use super::*;
use crate::entry::{DeviceNumber, EntryPath, Timestamp, Xattr};
use crate::tar::write;

fn path(name: &[u8]) -> EntryPath {
    EntryPath::clean(name).expect("a safe name")
}

/// Writes entries with content that fits their sizes.
fn write(entries: &[Entry]) -> Vec<u8> {
    let mut tar = Vec::new();
    for entry in entries {
        write::header(&entry.path, &entry.kind, &entry.metadata, &mut tar);
        if let EntryKind::File { size } = entry.kind {
            tar.extend(std::iter::repeat_n(b'x', size.try_into().expect("small")));
            write::padding(size, &mut tar);
        }
    }
    write::trailer(&mut tar);
    tar
}

fn round_trip(entries: &[Entry]) -> Vec<u8> {
    let tar = write(entries);
    assert_eq!(tar.len() % BLOCK, 0);
    let seen = read(&Limits::default(), [&tar[..]]).expect("a sound tar");
    assert_eq!(seen.entries, entries);
    assert_eq!(tar, write(&seen.entries), "the same bytes for the same entries");
    tar
}

fn kinds() -> Vec<EntryKind> {
    vec![
        EntryKind::File { size: 0 },
        EntryKind::File { size: 700 },
        EntryKind::Directory,
        EntryKind::Symlink { target: b"../x/"[..].into() },
        EntryKind::Symlink { target: b"\xff".repeat(101).into() },
        EntryKind::HardLink { target: path(b"a/b") },
        EntryKind::HardLink { target: path("h".repeat(200).as_bytes()) },
        EntryKind::Fifo,
        EntryKind::CharacterDevice(DeviceNumber { major: 1, minor: 0o7_777_777 }),
        EntryKind::BlockDevice(DeviceNumber { major: 0o10_000_000, minor: u32::MAX }),
        EntryKind::Whiteout,
        EntryKind::Opaque,
    ]
}

#[test]
fn every_kind_under_every_length_of_name() {
    let plain =
        Metadata { mode: 0o6755, uid: 1000, gid: 7, mtime: Timestamp { seconds: 3, nanoseconds: 0 }, xattrs: vec![] };
    let mut names: Vec<Vec<u8>> = (90..110).chain(250..262).map(|len| "n".repeat(len).into_bytes()).collect();
    names.extend((90..270).map(|len| "0123456789/".repeat(30).as_bytes()[..len].to_vec()));
    names.extend([b"a".to_vec(), b"\xff\xfe".to_vec(), b"\xff".repeat(300), b"new\nline=1".repeat(30)]);
    for kind in kinds() {
        for name in &names {
            let marked = matches!(kind, EntryKind::HardLink { .. } | EntryKind::Whiteout | EntryKind::Opaque);
            let metadata = if marked { Metadata::IMPLIED } else { plain.clone() };
            round_trip(&[Entry { path: path(name), kind: kind.clone(), metadata }]);
        }
    }
    round_trip(&[Entry { path: EntryPath::root(), kind: EntryKind::Directory, metadata: plain }]);
    round_trip(&[Entry { path: EntryPath::root(), kind: EntryKind::Opaque, metadata: Metadata::IMPLIED }]);
}

#[test]
fn every_number_and_attribute() {
    let times = [
        (0, 0),
        (0, 1),
        (1, 500_000_000),
        (-1, 0),
        (-1, 1),
        (-2, 999_999_999),
        (0o77_777_777_777, 0),
        (0o100_000_000_000, 0),
        (i64::MAX, 999_999_999),
        (i64::MIN + 1, 0),
        (i64::MIN, 1),
    ];
    for (seconds, nanoseconds) in times {
        for owner in [0, 0o7_777_777, 0o10_000_000, u32::MAX - 1] {
            let xattr = |name: &str, value: &[u8]| Xattr { name: name.as_bytes().into(), value: value.into() };
            let xattrs = vec![
                xattr("security.capability", &[0, 1, b'\n', 255]),
                xattr("user.a", b""),
                xattr("user.b", &[b'v'; 989]),
            ];
            let metadata =
                Metadata { mode: 0o7777, uid: owner, gid: owner, mtime: Timestamp { seconds, nanoseconds }, xattrs };
            round_trip(&[Entry { path: path(b"a"), kind: EntryKind::File { size: 1 }, metadata }]);
        }
    }
}

#[test]
fn needs_no_pax_where_ustar_will_do() {
    let entries: Vec<Entry> = [
        "a",
        "0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789",
    ]
    .map(|name| Entry { path: path(name.as_bytes()), kind: EntryKind::File { size: 0 }, metadata: Metadata::IMPLIED })
    .into();
    assert_eq!(write(&entries).len(), 4 * BLOCK);
    let mut large = Vec::new();
    write::header(&path(b"a"), &EntryKind::File { size: 1 << 33 }, &Metadata::IMPLIED, &mut large);
    assert_eq!(large.len(), 3 * BLOCK, "a size over ustar's");
    let event = TarReader::new(&Limits::default()).step(&mut &large[..]).expect("a sound header");
    assert!(matches!(event, TarEvent::Entry(Entry { kind: EntryKind::File { size: 0x2_0000_0000 }, .. })));
}
