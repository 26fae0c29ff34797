use super::*;
use crate::entry::{DeviceNumber, Entry, EntryKind, EntryPath, Timestamp, Xattr};
use crate::error::{Class, Explain};
use crate::layer::Op;
use crate::tree::{LastSymlink, Tree};
use crate::unpack::{Options, Outcome, UnpackError, Unpacker};

fn clean(path: &str) -> EntryPath {
    EntryPath::clean(path.as_bytes()).expect("a safe path")
}

fn entry(path: &str, kind: EntryKind) -> Op<'static> {
    Op::Entry(Entry { path: clean(path), kind, metadata: Metadata::IMPLIED })
}

/// Writes one file by pieces, and returns it.
fn written(size: u64, pieces: &[(u64, &[u8])]) -> MemoryFs {
    let mut unpacker = Unpacker::new(MemoryFs::default(), Options::default());
    unpacker.op(entry("f", EntryKind::File { size })).expect("a file");
    for &(offset, bytes) in pieces {
        unpacker.op(Op::Data { offset, bytes }).expect("content");
    }
    unpacker.op(Op::FileEnd).expect("an end");
    let Ok(Outcome::Complete(unpacked)) = unpacker.finish() else { panic!("all is selected") };
    unpacked.fs
}

fn content<C>(fs: &MemoryFs<C>) -> FileContent<'_> {
    let Some(Stat { kind: Kind::File(content), .. }) = fs.stat(&clean("f")) else { panic!("a file") };
    content
}

#[test]
fn content_is_the_same_however_it_was_split() {
    let whole = b"some content of a file";
    for first in 0..whole.len() {
        for second in first..whole.len() {
            let cuts = [0, first, second, whole.len()];
            let pieces: Vec<_> = cuts.windows(2).map(|cut| (cut[0] as u64, &whole[cut[0]..cut[1]])).collect();
            let pieces: Vec<_> = pieces.into_iter().filter(|(_, bytes)| !bytes.is_empty()).collect();
            let fs = written(whole.len() as u64, &pieces);
            assert_eq!(fs.read(&clean("f")), Ok(Some(whole.to_vec())), "cut at {first} and {second}");
            assert_eq!(content(&fs).extents.len(), 1, "pieces that follow each other are one extent");
        }
    }
}

#[test]
fn holes_read_as_zeros_and_are_not_stored() {
    let fs = written(20, &[(3, b"abc"), (6, b"de"), (12, b"f"), (14, b"gh")]);
    let whole = *b"\0\0\0abcde\0\0\0\0f\0gh\0\0\0\0";
    assert_eq!(fs.read(&clean("f")), Ok(Some(whole.to_vec())));
    assert_eq!(fs.content().as_slice(), b"abcdefgh");
    let extents: Vec<_> = content(&fs).extents.iter().map(|at| (at.offset, at.stored_at, at.length)).collect();
    assert_eq!(extents, [(3, 0, 5), (12, 5, 1), (14, 6, 2)]);
    for offset in 0..=22 {
        for length in 0..=22 {
            let mut buffer = vec![b'?'; length];
            let Ok(read) = content(&fs).read_at(fs.content(), offset as u64, &mut buffer);
            let expected = &whole[offset.min(20)..(offset + length).min(20).max(offset.min(20))];
            assert_eq!(&buffer[..read], expected, "{length} bytes from {offset}");
            assert!(buffer[read..].iter().all(|&byte| byte == b'?'), "nothing beyond is touched");
        }
    }
}

/// A claim of size costs nothing, and can be read in part.
#[test]
fn a_hole_of_terabytes_costs_nothing() {
    let fs = written(1 << 40, &[((1 << 40) - 1, b"x")]);
    let mut buffer = [0; 4];
    assert_eq!(content(&fs).read_at(fs.content(), (1 << 40) - 2, &mut buffer), Ok(2));
    assert_eq!(buffer[..2], *b"\0x");
    assert_eq!(fs.content().len(), 1);
}

#[test]
fn all_kinds_and_all_metadata_are_held() {
    let metadata = Metadata {
        mode: 0o6755,
        uid: 1,
        gid: 2,
        mtime: Timestamp { seconds: -3, nanoseconds: 4 },
        xattrs: vec![Xattr { name: (*b"security.capability").into(), value: (*b"\x01").into() }],
    };
    let number = DeviceNumber { major: u32::MAX, minor: 7 };
    let kinds = [
        ("a", EntryKind::Directory, Kind::Directory),
        ("b", EntryKind::File { size: 0 }, Kind::File(FileContent { size: 0, extents: &[] })),
        ("c", EntryKind::Symlink { target: (*b"/x/\xff/").into() }, Kind::Symlink { target: b"/x/\xff/" }),
        ("d", EntryKind::Fifo, Kind::Special(Special::Fifo)),
        ("e", EntryKind::CharacterDevice(number), Kind::Special(Special::CharacterDevice(number))),
        ("f", EntryKind::BlockDevice(number), Kind::Special(Special::BlockDevice(number))),
    ];
    let mut unpacker = Unpacker::new(MemoryFs::default(), Options::default());
    for (path, kind, _) in &kinds {
        let entry = Entry { path: clean(path), kind: kind.clone(), metadata: metadata.clone() };
        unpacker.op(Op::Entry(entry)).expect("an entry");
        if let EntryKind::File { .. } = kind {
            unpacker.op(Op::FileEnd).expect("an end");
        }
    }
    unpacker.op(entry("g", EntryKind::HardLink { target: clean("d") })).expect("a link");
    let Ok(Outcome::Complete(unpacked)) = unpacker.finish() else { panic!("all is selected") };
    let fs = unpacked.fs;
    for (path, _, kind) in kinds {
        let links = if path == "d" { 2 } else { 1 };
        let stat = fs.stat(&clean(path)).expect(path);
        assert_eq!((stat.kind, stat.metadata, stat.links), (kind, &metadata, links), "{path}");
    }
    assert_eq!(fs.stat(&clean("g")).map(|stat| stat.metadata.uid), Some(1), "a link has what it names");
    assert_eq!(fs.read_link(&clean("c")), Some(&b"/x/\xff/"[..]));
    assert_eq!(fs.read_link(&clean("b")), None);
    assert_eq!(fs.read(&clean("c")), Ok(None), "symlinks are not followed");
    let names: Vec<_> = fs.read_dir(&EntryPath::root()).expect("a directory").map(|(name, _)| name[0]).collect();
    assert_eq!(names, *b"abcdefg");
    assert!(fs.read_dir(&clean("b")).is_none() && fs.stat(&clean("b/x")).is_none() && fs.stat(&clean("x")).is_none());
    let linked: Vec<_> = fs.walk().filter_map(|at| Some((at.path, at.hard_link_to?))).collect();
    assert_eq!(linked, [(clean("g"), clean("d"))]);
}

/// The order of a walk is that of the paths' bytes, whatever is in the names.
#[test]
fn a_walk_is_in_byte_order() {
    let names = ["a", "a-", "a.", "a0", "A", "a\u{e9}", " ", "!"];
    let mut unpacker = Unpacker::new(MemoryFs::default(), Options::default());
    let mut paths = vec![EntryPath::root()];
    for one in names {
        paths.push(clean(one));
        for two in names {
            paths.push(clean(&format!("{one}/{two}")));
            paths.extend(names.map(|three| clean(&format!("{one}/{two}/{three}"))));
        }
    }
    for path in paths.iter().rev() {
        let entry = Entry { path: path.clone(), kind: EntryKind::Directory, metadata: Metadata::IMPLIED };
        unpacker.op(Op::Entry(entry)).expect("a directory");
    }
    paths.sort_by(|left, right| left.as_bytes().cmp(right.as_bytes()));
    let Ok(Outcome::Complete(unpacked)) = unpacker.finish() else { panic!("all is selected") };
    assert_eq!(unpacked.fs.walk().map(|at| at.path).collect::<Vec<_>>(), paths);
}

/// A walk in pieces is the walk as a whole, wherever it is cut, and from paths that do not exist.
#[test]
fn a_walk_goes_on_after_any_path() {
    let mut unpacker = Unpacker::new(MemoryFs::default(), Options::default());
    for path in ["a", "a-b", "a/b", "a/b/c", "a/b-c", "ab", "b/c"] {
        unpacker.op(entry(path, EntryKind::Directory)).expect("a directory");
    }
    unpacker.op(entry("b/f", EntryKind::Fifo)).expect("a FIFO");
    for path in ["z", "a/b/z", "a/z"] {
        unpacker.op(entry(path, EntryKind::HardLink { target: clean("b/f") })).expect("a link");
    }
    let Ok(Outcome::Complete(unpacked)) = unpacker.finish() else { panic!("all is selected") };
    let fs = unpacked.fs;
    let whole: Vec<_> = fs.walk().collect();
    let firsts = fs.first_names();
    assert_eq!(fs.walk_after(None, &firsts).collect::<Vec<_>>(), whole);
    for (at, walked) in whole.iter().enumerate() {
        let rest: Vec<_> = fs.walk_after(Some(&walked.path), &firsts).collect();
        assert_eq!(rest, whole[at + 1..], "after {}", walked.path);
        assert_eq!(firsts.before(&walked.path, walked.stat.inode), walked.hard_link_to.as_ref(), "{}", walked.path);
    }
    for nothing in ["a!", "a/a", "a/b/c/d/e", "a/b/zz", "a0", "b/", "c", "zz", "a/b-c/x"] {
        let after = clean(nothing);
        let rest: Vec<_> = whole.iter().filter(|walked| walked.path.as_bytes() > after.as_bytes()).cloned().collect();
        assert_eq!(fs.walk_after(Some(&after), &firsts).collect::<Vec<_>>(), rest, "after {nothing}");
    }
}

/// What the tree finds over symlinks is what the file system holds there.
#[test]
fn paths_are_found_over_symlinks_inside_the_root() {
    let mut unpacker = Unpacker::new(MemoryFs::default(), Options::default());
    let symlink = |target: &str| EntryKind::Symlink { target: target.as_bytes().into() };
    unpacker.op(entry("usr/bin/tool", EntryKind::Fifo)).expect("a FIFO");
    for (path, target) in [
        ("bin", "../../usr/bin"),
        ("abs", "/bin/tool"),
        ("loop", "loop"),
        ("gone", "nowhere"),
        ("round", "usr/../bin"),
        ("past", "abs/x"),
    ] {
        unpacker.op(entry(path, symlink(target))).expect("a symlink");
    }
    let Ok(Outcome::Complete(unpacked)) = unpacker.finish() else { panic!("all is selected") };
    for (path, kept, followed) in [
        ("bin", Some("bin"), Some("usr/bin")),
        ("bin/tool", Some("usr/bin/tool"), Some("usr/bin/tool")),
        ("abs", Some("abs"), Some("usr/bin/tool")),
        ("round/tool", Some("usr/bin/tool"), Some("usr/bin/tool")),
        ("gone", Some("gone"), None),
        ("gone/x", None, None),
        ("abs/x", None, None),
        ("past", Some("past"), None),
        ("nothing", None, None),
    ] {
        for (last, expected) in [(LastSymlink::Keep, kept), (LastSymlink::Follow, followed)] {
            let found = unpacked.tree.find(&clean(path), last).expect("no circle");
            assert_eq!(found.map(|node| unpacked.tree.place(node).path()), expected.map(clean), "{path} {last:?}");
            let stat = found.and_then(|node| unpacked.fs.stat_node(node));
            assert_eq!(stat, expected.and_then(|path| unpacked.fs.stat(&clean(path))), "{path} {last:?}");
        }
    }
    assert_eq!(unpacked.tree.find(&EntryPath::root(), LastSymlink::Keep), Ok(Some(NodeId::ROOT)));
    assert!(unpacked.tree.find(&clean("loop"), LastSymlink::Keep).expect("it is kept").is_some());
    let circle = unpacked.tree.find(&clean("loop"), LastSymlink::Follow).expect_err("a circle");
    assert_eq!(circle.code(), "too-many-symlinks");
}

/// Inodes go with their last name, and their numbers are used again.
#[test]
fn what_has_no_name_is_forgotten() {
    let mut fs = MemoryFs::default();
    let mut tree = Tree::default();
    for _ in 0..3 {
        for (path, kind) in [
            ("d/p", EntryKind::Fifo),
            ("d/q", EntryKind::HardLink { target: clean("d/p") }),
            ("d/p", EntryKind::Symlink { target: (*b"x").into() }),
        ] {
            let entry = Entry { path: clean(path), kind, metadata: Metadata::IMPLIED };
            let _ = tree.apply(&entry, &mut fs).expect("applied");
        }
    }
    assert_eq!(format!("{fs:?}"), "MemoryFs { inodes: 4, .. }");
    tree.begin_layer();
    let whiteout = Entry { path: clean("d"), kind: EntryKind::Whiteout, metadata: Metadata::IMPLIED };
    let _ = tree.apply(&whiteout, &mut fs).expect("applied");
    assert_eq!(format!("{fs:?}"), "MemoryFs { inodes: 1, .. }");
    assert!(fs.inodes.len() <= 5, "numbers are used again");
}

/// A store that holds so much and no more, as a disk does.
#[derive(Debug, Default)]
struct Small(Vec<u8>);

#[derive(Debug, thiserror::Error)]
#[error("the store is full")]
struct Full;

impl Explain for Full {
    fn class(&self) -> Class {
        Class::Local
    }

    fn code(&self) -> &'static str {
        "store-full"
    }
}

impl ContentStore for Small {
    type Error = Full;

    fn append(&mut self, bytes: &[u8]) -> Result<u64, Full> {
        if self.0.len() + bytes.len() > 4 {
            return Err(Full);
        }
        let Ok(offset) = ContentStore::append(&mut self.0, bytes);
        Ok(offset)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Full> {
        let Ok(()) = self.0.read_at(offset, buffer);
        Ok(())
    }
}

#[test]
fn the_stores_errors_come_through() {
    let mut unpacker = Unpacker::new(MemoryFs::new(Small::default()), Options::default());
    unpacker.op(entry("f", EntryKind::File { size: 6 })).expect("a file");
    unpacker.op(Op::Data { offset: 0, bytes: b"abc" }).expect("there is room");
    let error = unpacker.op(Op::Data { offset: 3, bytes: b"def" }).expect_err("there is none");
    assert!(matches!(error, UnpackError::FileSystem(Full)));
    assert_eq!(
        (error.class(), error.code(), error.to_string().as_str()),
        (Class::Local, "store-full", "the store is full")
    );
}
