//! What every entry promises, and what an archive's events come to.

use oci_fetcher_core::entry::{Entry, EntryKind, EntryPath, XattrPolicy};
use oci_fetcher_core::limits::Limits;
use oci_fetcher_core::report::Skipped;

/// An entry or something left out, with the content of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Entry(Entry),
    File { entry: Entry, extents: Vec<(u64, Vec<u8>)>, ended: bool },
    Skipped(Skipped),
}

/// Collects events, and checks their order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Listing(pub(super) Vec<Seen>);

impl Listing {
    pub(super) fn entry(&mut self, entry: Entry, limits: &Limits) {
        self.outside_of_file();
        check(&entry, limits);
        self.0.push(if let EntryKind::File { .. } = entry.kind {
            Seen::File { entry, extents: Vec::new(), ended: false }
        } else {
            Seen::Entry(entry)
        });
    }

    pub(super) fn data(&mut self, offset: u64, bytes: &[u8]) {
        let Some(Seen::File { entry, extents, ended: false }) = self.0.last_mut() else {
            panic!("content without a file")
        };
        let EntryKind::File { size } = entry.kind else { panic!("content of what is no file") };
        assert!(!bytes.is_empty(), "content of no bytes");
        assert!(offset.checked_add(bytes.len() as u64).is_some_and(|end| end <= size), "content beyond the file's end");
        match extents.last_mut() {
            Some((start, held)) if *start + held.len() as u64 == offset => held.extend_from_slice(bytes),
            Some((start, held)) => {
                assert!(offset > *start + held.len() as u64, "content that goes back");
                extents.push((offset, bytes.to_vec()));
            }
            None => extents.push((offset, bytes.to_vec())),
        }
    }

    pub(super) fn file_end(&mut self) {
        let Some(Seen::File { ended, .. }) = self.0.last_mut() else { panic!("the end of no file") };
        assert!(!std::mem::replace(ended, true), "a file that ends twice");
    }

    pub(super) fn skipped(&mut self, skipped: Skipped) {
        self.outside_of_file();
        check_path(&skipped.path);
        self.0.push(Seen::Skipped(skipped));
    }

    fn outside_of_file(&self) {
        assert!(!matches!(self.0.last(), Some(Seen::File { ended: false, .. })), "something within a file");
    }
}

fn check(entry: &Entry, limits: &Limits) {
    check_path(&entry.path);
    assert!(entry.path.as_bytes().len() <= limits.path_bytes as usize, "a path over the limit");
    assert!(entry.path.components().count() <= limits.path_depth as usize, "a path too deep");
    match &entry.kind {
        EntryKind::File { size } => assert!(*size <= limits.layer_bytes, "a file larger than a layer"),
        EntryKind::Symlink { target } => assert!(!target.is_empty() && !target.contains(&0), "an unsafe target"),
        EntryKind::HardLink { target } => check_path(target),
        EntryKind::Directory => {}
        EntryKind::Opaque => return,
        EntryKind::Fifo | EntryKind::CharacterDevice(_) | EntryKind::BlockDevice(_) | EntryKind::Whiteout => {}
    }
    if entry.path.is_root() {
        assert_eq!(entry.kind, EntryKind::Directory, "the root is something else");
    }
    let metadata = &entry.metadata;
    assert!(metadata.mode <= 0o7777, "mode {:o}", metadata.mode);
    assert!(metadata.uid != u32::MAX && metadata.gid != u32::MAX, "an owner that means unchanged");
    assert!(metadata.mtime.nanoseconds < 1_000_000_000, "{:?}", metadata.mtime);
    let attributes: usize = metadata.xattrs.iter().map(|xattr| xattr.name.len() + xattr.value.len()).sum();
    assert!(attributes <= limits.xattr_bytes as usize, "attributes over the limit");
    for (index, xattr) in metadata.xattrs.iter().enumerate() {
        assert_eq!(XattrPolicy::of(&xattr.name), XattrPolicy::Apply, "an attribute that policy leaves out");
        assert!(metadata.xattrs[..index].iter().all(|before| before.name != xattr.name), "an attribute twice");
    }
}

/// Checks that a path stays below its root, whoever reads it.
pub(super) fn check_path(path: &EntryPath) {
    let bytes = path.as_bytes();
    assert!(!bytes.contains(&0) && !bytes.starts_with(b"/"), "{path}");
    if !path.is_root() {
        for component in bytes.split(|&byte| byte == b'/') {
            assert!(!matches!(component, b"" | b"." | b".."), "{path}");
        }
    }
}
