use oci_fetcher_core::entry::{DeviceNumber, Entry, EntryKind, EntryPath, Metadata, Timestamp, Xattr};
use oci_fetcher_core::memory::Extent;
use oci_fetcher_core::report::{Reason, Skipped, What};

use super::write::sign;
use super::{IndexError, IndexReader, IndexWriter, Item, SUM};

fn path(text: &[u8]) -> EntryPath {
    EntryPath::clean(text).expect("a safe name")
}

fn xattr(name: &[u8], value: &[u8]) -> Xattr {
    Xattr { name: name.into(), value: value.into() }
}

/// Each kind of entry, with metadata at its bounds, and each thing that can be skipped.
fn items() -> Vec<Item> {
    let wide = Metadata {
        mode: 0o7777,
        uid: u32::MAX - 1,
        gid: 1000,
        mtime: Timestamp { seconds: i64::MIN, nanoseconds: 999_999_999 },
        xattrs: vec![xattr(b"security.capability", &[0xff; 20]), xattr(b"user.a", b"")],
    };
    let narrow = Metadata { mtime: Timestamp { seconds: -1, nanoseconds: 1 }, ..Metadata::IMPLIED };
    let device = DeviceNumber { major: u32::MAX, minor: 0 };
    let extents = vec![
        Extent { offset: 0, stored_at: 0, length: 512 },
        Extent { offset: 4096, stored_at: 512, length: 1 },
        Extent { offset: 1 << 40, stored_at: 513, length: 300 },
    ];
    let entries = [
        (&b"."[..], EntryKind::Directory, vec![]),
        (b"usr/bin", EntryKind::Directory, vec![]),
        (b"usr/bin/sparse", EntryKind::File { size: 1 << 41 }, extents),
        (b"usr/bin/empty", EntryKind::File { size: 0 }, vec![]),
        (b"usr/bin/hole", EntryKind::File { size: 7 }, vec![]),
        (b"usr/bin/whole", EntryKind::File { size: 5 }, vec![Extent { offset: 0, stored_at: 813, length: 5 }]),
        (b"usr/\xff\xfe", EntryKind::Symlink { target: (*b"../\xff").into() }, vec![]),
        (b"usr/bin/w", EntryKind::HardLink { target: path(b"usr/bin/whole") }, vec![]),
        (b"dev/pipe", EntryKind::Fifo, vec![]),
        (b"dev/null", EntryKind::CharacterDevice(device), vec![]),
        (b"dev/sda", EntryKind::BlockDevice(device), vec![]),
        (b"etc/gone", EntryKind::Whiteout, vec![]),
        (b".", EntryKind::Opaque, vec![]),
    ];
    let whats = [
        What::Ownership { uid: 1, gid: u32::MAX },
        What::SpecialMode { mode: 0o4755 },
        What::Xattr { name: (*b"security.selinux").into() },
        What::Device,
        What::Fifo,
        What::HardLink,
        What::ModificationTime,
        What::UnionMark,
    ];
    let reasons = [Reason::NotPermitted, Reason::NotSupported, Reason::Policy];
    let metadata = [wide, narrow, Metadata::IMPLIED];
    let entries = entries.into_iter().zip(metadata.into_iter().cycle());
    let entries = entries
        .map(|((name, kind, extents), metadata)| Item::Entry(Entry { path: path(name), kind, metadata }, extents));
    let skipped = whats.into_iter().zip(reasons.into_iter().cycle());
    let skipped = skipped.map(|(what, reason)| Item::Skipped(Skipped { path: path(b"usr/x"), what, reason }));
    entries.chain(skipped).collect()
}

const PACK: u64 = 818;

fn write(items: &[Item]) -> Vec<u8> {
    let mut writer = IndexWriter::default();
    for item in items {
        match item {
            Item::Entry(entry, extents) => {
                writer.entry(entry.clone());
                for Extent { offset, length, .. } in extents {
                    // In two parts, as a decoder may bring them.
                    writer.data(*offset, 1);
                    if *length > 1 {
                        writer.data(offset + 1, length - 1);
                    }
                }
                if let EntryKind::File { .. } = entry.kind {
                    writer.file_end();
                }
            }
            Item::Skipped(skipped) => writer.skipped(skipped).expect("a known kind"),
        }
    }
    writer.finish()
}

fn read(bytes: &[u8], pack: u64) -> Result<Vec<Item>, IndexError> {
    let mut reader = IndexReader::open(bytes, pack)?;
    let mut items = Vec::new();
    while let Some(item) = reader.next()? {
        items.push(item);
    }
    Ok(items)
}

#[test]
fn every_kind_comes_back_as_it_was() {
    let items = items();
    assert_eq!(read(&write(&items), PACK), Ok(items));
    assert_eq!(read(&write(&[]), 0), Ok(Vec::new()));
}

#[test]
fn a_pack_of_another_length_is_refused() {
    let bytes = write(&items());
    assert_eq!(read(&bytes, PACK + 1), Err(IndexError::Pack { expected: PACK, found: PACK + 1 }));
}

#[test]
fn another_version_is_told_apart_from_damage() {
    let mut bytes = write(&items());
    bytes[4] = 2;
    assert_eq!(read(&bytes, PACK), Err(IndexError::Version));
}

#[test]
fn every_cut_is_refused() {
    let bytes = write(&items());
    for length in 0..bytes.len() {
        assert!(matches!(read(&bytes[..length], PACK), Err(IndexError::Damaged { .. })), "{length}");
        // A cut that someone has signed again.
        let mut signed = bytes[..length].to_vec();
        sign(&mut signed);
        assert_eq!(read(&signed, PACK).is_ok(), length == bytes.len() - SUM, "{length}, signed");
    }
}

#[test]
fn every_flip_is_refused_by_the_digest() {
    let bytes = write(&items());
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            assert!(read(&flipped, PACK).is_err(), "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn every_flip_that_is_signed_again_ends_well() {
    let bytes = write(&items());
    for at in 0..bytes.len() - SUM {
        for change in 1..=255 {
            let mut flipped = bytes[..bytes.len() - SUM].to_vec();
            flipped[at] ^= change;
            sign(&mut flipped);
            // Whether it is refused depends on the byte; what is read holds what the types promise.
            for item in read(&flipped, PACK).into_iter().flatten() {
                let Item::Entry(entry, extents) = item else { continue };
                assert!(entry.metadata.mode <= 0o7777);
                if let EntryKind::File { size } = entry.kind {
                    let ends = extents.iter().map(|extent| extent.offset + extent.length);
                    assert!(ends.max().unwrap_or(0) <= size);
                }
            }
        }
    }
}

#[test]
fn numbers_are_read_in_their_shortest_form_only() {
    // An empty index, with the pack's length in two bytes or out of range.
    for (length, well) in [
        (&[0][..], true),
        (&[0x80, 0], false),
        (&[0xff; 9], false),
        (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], false),
        (&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1], false),
    ] {
        let mut bytes = [b"OCFL\x01\0".as_slice(), length].concat();
        sign(&mut bytes);
        assert_eq!(read(&bytes, 0).is_ok(), well, "{length:?}");
    }
}
