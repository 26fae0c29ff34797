//! What a tree in memory promises, however it came about.

use oci_fetcher_core::entry::{Entry, EntryKind, EntryPath, Metadata};
use oci_fetcher_core::layer::Op;
use oci_fetcher_core::memory::{Kind, MemoryFs};
use oci_fetcher_core::tar::{TarEvent, TarReader, write};
use oci_fetcher_core::tree::Standing;
use oci_fetcher_core::unpack::{Options, Outcome, Unpacked, Unpacker};

use super::entry::check_path;

/// A name, what stands there, and what it holds.
pub(super) type Line = (EntryPath, EntryKind, Metadata, Option<Vec<u8>>);

/// Lists a tree, and checks that names are in order, below directories, and as many as counted.
pub(super) fn check(fs: &MemoryFs, standing: &Standing) -> Vec<Line> {
    let (mut lines, mut found) = (Vec::<Line>::new(), Standing::default());
    for walked in fs.walk() {
        check_path(&walked.path);
        if let Some((before, ..)) = lines.last() {
            assert!(before < &walked.path, "names out of order");
        }
        match walked.path.split_last() {
            None => assert_eq!(walked.stat.kind, Kind::Directory, "the root"),
            Some((parent, _)) => {
                let parent = fs.stat(&parent).expect("a parent is there");
                assert_eq!(parent.kind, Kind::Directory, "a parent of {}", walked.path);
            }
        }
        match (&walked.hard_link_to, walked.stat.kind) {
            (Some(first), kind) => {
                assert_ne!(kind, Kind::Directory, "a hard link to a directory");
                let first = fs.stat(first).expect("the first name is there");
                assert_eq!(first.inode, walked.stat.inode, "one thing under two names");
                found.hard_links += 1;
            }
            (None, Kind::Directory) => found.directories += 1,
            (None, Kind::File(_)) => found.files += 1,
            (None, Kind::Symlink { .. }) => found.symlinks += 1,
            (None, Kind::Special(_)) => found.specials += 1,
        }
        let kind = walked.entry_kind();
        let content = matches!(kind, EntryKind::File { .. }).then(|| match fs.read(&walked.path) {
            Ok(content) => content.expect("a file"),
            Err(never) => match never {},
        });
        // Whoever unpacks a hard link takes the metadata of the first name.
        let metadata = if walked.hard_link_to.is_some() { Metadata::IMPLIED } else { walked.stat.metadata.clone() };
        lines.push((walked.path, kind, metadata, content));
    }
    let names = |standing: &Standing| standing.files + standing.symlinks + standing.specials + standing.hard_links;
    assert_eq!((found.directories, names(&found)), (standing.directories, names(standing)), "what is counted");
    lines
}

/// Writes a tree as a tar.
pub(super) fn write(lines: &[Line]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (path, kind, metadata, content) in lines {
        write::header(path, kind, metadata, &mut tar);
        if let Some(content) = content {
            tar.extend_from_slice(content);
            write::padding(content.len() as u64, &mut tar);
        }
    }
    write::trailer(&mut tar);
    tar
}

/// Unpacks one layer, which must be sound.
pub(super) fn unpack(tar: &[u8]) -> Unpacked<MemoryFs> {
    let limits = super::limits();
    let mut unpacker = Unpacker::new(MemoryFs::default(), Options { limits: limits.clone(), ..Options::default() });
    let (mut reader, mut input) = (TarReader::new(&limits), tar);
    unpacker.begin_layer();
    loop {
        let before = input;
        let op = match reader.step(&mut input).expect("a tar that was written here") {
            TarEvent::NeedInput => break,
            TarEvent::Entry(entry) => Op::Entry(entry),
            TarEvent::Data { offset, len } => Op::Data { offset, bytes: &before[..len] },
            TarEvent::FileEnd => Op::FileEnd,
            TarEvent::Skipped(skipped) => Op::Skipped(skipped),
        };
        unpacker.op(op).expect("a layer that was written here");
    }
    reader.finish().expect("it was written whole");
    complete(unpacker)
}

/// Ends, where nothing was selected.
pub(super) fn complete(unpacker: Unpacker<MemoryFs>) -> Unpacked<MemoryFs> {
    match unpacker.finish().expect("all was applied") {
        Outcome::Complete(unpacked) => unpacked,
        Outcome::NeedsAnotherPass { .. } => panic!("everything was selected"),
    }
}

/// Makes an entry.
pub(super) fn entry(path: EntryPath, kind: EntryKind, metadata: Metadata) -> Entry {
    Entry { path, kind, metadata }
}
