//! Layers into a tree: nothing leaves the root, and the tree survives being written and read again.

use oci_fetcher_core::entry::{DeviceNumber, EntryKind, EntryPath, Metadata, Timestamp, Xattr};
use oci_fetcher_core::layer::Op;
use oci_fetcher_core::memory::MemoryFs;
use oci_fetcher_core::unpack::{Options, UnpackError, Unpacker};

use super::error;
use super::tree::{check, complete, entry, unpack, write};

/// Reads the bytes as a list of operations on few names, so that they meet, and applies those that
/// can be.
pub(super) fn target(data: &[u8]) {
    let mut operations = operations(data);
    for _ in 0..8 {
        match apply(&operations) {
            Ok(unpacker) => return check_tree(unpacker, &operations),
            Err((at, error)) => {
                error::check(&error);
                operations.remove(at);
            }
        }
    }
}

fn check_tree(unpacker: Unpacker<MemoryFs>, operations: &[Operation]) {
    let unpacked = complete(unpacker);
    let lines = check(&unpacked.fs, &unpacked.standing);
    let Ok(again) = apply(operations) else { panic!("it cannot be applied again") };
    let again = complete(again);
    assert_eq!(check(&again.fs, &again.standing), lines, "applied again");
    let flattened = unpack(&write(&lines));
    assert_eq!(check(&flattened.fs, &flattened.standing), lines, "written and read again");
}

#[derive(Debug)]
enum Operation {
    NextLayer,
    Entry { path: EntryPath, kind: EntryKind, metadata: Metadata, content: Vec<u8> },
}

fn operations(data: &[u8]) -> Vec<Operation> {
    data.chunks_exact(3).take(96).filter_map(|code| operation([code[0], code[1], code[2]])).collect()
}

fn operation([kind, path, more]: [u8; 3]) -> Option<Operation> {
    let (path, other) = (path_of(path), path_of(more));
    let mut content = Vec::new();
    let mut metadata = Metadata { mode: u32::from(more) * 8, uid: more.into(), ..Metadata::IMPLIED };
    let kind = match kind % 16 {
        0 => return Some(Operation::NextLayer),
        1..4 => {
            content = vec![more; usize::from(more % 32)];
            EntryKind::File { size: content.len() as u64 }
        }
        4..6 => EntryKind::Directory,
        6..9 => EntryKind::Symlink { target: LINKS[usize::from(more) % LINKS.len()].as_bytes().into() },
        9..11 if other.is_root() => return None,
        9..11 => EntryKind::HardLink { target: other },
        11 => EntryKind::Fifo,
        12 => EntryKind::CharacterDevice(DeviceNumber { major: more.into(), minor: 1 }),
        13 => EntryKind::Opaque,
        14 => EntryKind::Whiteout,
        _ => {
            metadata.mtime = Timestamp { seconds: i64::from(more) - 128, nanoseconds: u32::from(more) };
            metadata.xattrs = vec![Xattr { name: b"user.a".as_slice().into(), value: vec![more; 3].into() }];
            EntryKind::Directory
        }
    };
    // No archive makes the root anything else.
    let fits = !path.is_root() || matches!(kind, EntryKind::Directory | EntryKind::Opaque);
    fits.then_some(Operation::Entry { path, kind, metadata, content })
}

/// One to three of four names; now and then the root.
fn path_of(code: u8) -> EntryPath {
    let name = |shift: u8| [&b"a"[..], b"b", b"c", b"d"][usize::from(code >> shift & 3)];
    let names = [name(2), name(4), name(6)];
    match code & 3 {
        0 if code == 0 => EntryPath::root(),
        depth => EntryPath::clean(&names[..usize::from(depth).max(1)].join(&b'/')).expect("plain names"),
    }
}

/// Where symbolic links lead: around, out, nowhere, and in circles.
const LINKS: [&str; 16] = [
    "a",
    "b",
    "/b",
    "../c",
    "a/b",
    "..",
    "/c/a",
    "./b/..",
    "a/a",
    "/",
    "../../../../x",
    "c/",
    "./d",
    "/../a",
    "x/y/z",
    ".",
];

type Failure = (usize, UnpackError<std::convert::Infallible>);

/// Applies operations, or says at which one it stopped.
fn apply(operations: &[Operation]) -> Result<Unpacker<MemoryFs>, Failure> {
    let mut unpacker = Unpacker::new(MemoryFs::default(), Options { limits: super::limits(), ..Options::default() });
    unpacker.begin_layer();
    for (at, operation) in operations.iter().enumerate() {
        match operation {
            Operation::NextLayer => unpacker.begin_layer(),
            Operation::Entry { path, kind, metadata, content } => {
                let is_file = matches!(kind, EntryKind::File { .. });
                let failed = |error| (at, error);
                unpacker.op(Op::Entry(entry(path.clone(), kind.clone(), metadata.clone()))).map_err(failed)?;
                if !content.is_empty() {
                    unpacker.op(Op::Data { offset: 0, bytes: content }).map_err(failed)?;
                }
                if is_file {
                    unpacker.op(Op::FileEnd).map_err(failed)?;
                }
            }
        }
    }
    Ok(unpacker)
}
