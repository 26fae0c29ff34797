//! A small language for images: a tree over a disk, with shorthand for entries.

use std::path::{Path, PathBuf};

use oci_fetcher_core::entry::{Entry, EntryKind, EntryPath, Metadata, Timestamp, Xattr};
use oci_fetcher_core::fs::FileSystem;
use oci_fetcher_core::report::Report;
use oci_fetcher_core::tree::{Applied, ApplyError, Selection, Tree};
use tempfile::TempDir;

use crate::disk::handles::Resolver;
use crate::disk::metadata::Privilege;
use crate::disk::{DiskError, DiskFs};

pub(in crate::disk) type Applying = Result<(), ApplyError<DiskError>>;

/// An image being unpacked into a directory of its own, beside victims.
pub(in crate::disk) struct Image {
    pub(in crate::disk) parent: TempDir,
    pub(in crate::disk) tree: Tree,
    pub(in crate::disk) fs: DiskFs,
}

impl Image {
    pub(in crate::disk) fn new() -> Self {
        let privilege = if rustix::process::geteuid().is_root() { Privilege::Root } else { Privilege::Caller };
        Self::with(privilege, Resolver::BEST)
    }

    pub(in crate::disk) fn with(privilege: Privilege, resolver: Resolver) -> Self {
        let parent = tempfile::tempdir().expect("a directory");
        let root = parent.path().join("root");
        std::fs::create_dir(&root).expect("made");
        let fs = DiskFs::open_with(&root, privilege, resolver).expect("opened");
        let mut tree = Tree::new(Selection::everything(), 100_000);
        tree.begin_layer();
        Self { parent, tree, fs }
    }

    pub(in crate::disk) fn path(&self, name: &str) -> PathBuf {
        self.parent.path().join("root").join(name)
    }

    pub(in crate::disk) fn file(&mut self, path: &str, content: &[u8], metadata: &Metadata) -> Applying {
        self.sparse(path, content.len() as u64, &[(0, content)], metadata)
    }

    pub(in crate::disk) fn sparse(
        &mut self,
        path: &str,
        size: u64,
        parts: &[(u64, &[u8])],
        metadata: &Metadata,
    ) -> Applying {
        let entry = entry(path, EntryKind::File { size }, metadata);
        let Applied::File(node) = self.tree.apply(&entry, &mut self.fs)? else { panic!("no file") };
        let place = self.tree.place(node);
        let mut write = || {
            let mut file = self.fs.create_file(&place, size)?;
            for (offset, bytes) in parts {
                self.fs.write(&mut file, *offset, bytes)?;
            }
            self.fs.finish_file(file, &place, metadata)
        };
        write().map_err(ApplyError::FileSystem)
    }

    pub(in crate::disk) fn directory(&mut self, path: &str, metadata: &Metadata) -> Applying {
        self.other(path, EntryKind::Directory, metadata)
    }

    pub(in crate::disk) fn symlink(&mut self, path: &str, target: &str, metadata: &Metadata) -> Applying {
        self.other(path, EntryKind::Symlink { target: target.as_bytes().into() }, metadata)
    }

    pub(in crate::disk) fn hard_link(&mut self, path: &str, target: &str) -> Applying {
        let target = EntryPath::clean(target.as_bytes()).expect("a safe path");
        self.other(path, EntryKind::HardLink { target }, &Metadata::IMPLIED)
    }

    pub(in crate::disk) fn other(&mut self, path: &str, kind: EntryKind, metadata: &Metadata) -> Applying {
        self.tree.apply(&entry(path, kind, metadata), &mut self.fs).map(|_| ())
    }

    /// Applies the directories' metadata; the parent directory lives on.
    pub(in crate::disk) fn finish(mut self) -> (TempDir, Report) {
        self.tree.finish(&mut self.fs).expect("finished");
        (self.parent, self.fs.into_report())
    }
}

pub(in crate::disk) fn entry(path: &str, kind: EntryKind, metadata: &Metadata) -> Entry {
    Entry { path: EntryPath::clean(path.as_bytes()).expect("a safe path"), kind, metadata: metadata.clone() }
}

/// Metadata of the caller's own, so that nothing of it has to be skipped.
pub(in crate::disk) fn own(mode: u32) -> Metadata {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    Metadata { mode, uid, gid, mtime: Timestamp { seconds: 1_000_000_000, nanoseconds: 5 }, xattrs: Vec::new() }
}

pub(in crate::disk) fn xattr(name: &str, value: &[u8]) -> Xattr {
    Xattr { name: name.as_bytes().into(), value: value.into() }
}

/// Entries, mode, times of content and state, links, names of extended attributes.
type State = (Vec<PathBuf>, u32, [i64; 4], u64, Vec<u8>);

/// Everything that an attack could change of a file or directory that is not its own.
pub(in crate::disk) fn state(path: &Path) -> State {
    use std::os::unix::fs::MetadataExt;
    let found = path.symlink_metadata().expect("it stands");
    let mut entries: Vec<PathBuf> = match std::fs::read_dir(path) {
        Ok(entries) => entries.map(|entry| entry.expect("readable").path()).collect(),
        Err(_) => Vec::new(),
    };
    entries.sort();
    let mut names = Vec::with_capacity(4096);
    let _ = rustix::fs::llistxattr(path, rustix::buffer::spare_capacity(&mut names));
    let times = [found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()];
    (entries, found.mode(), times, found.nlink(), names)
}
