//! A tree held in memory, with its content in an append-only store.
//!
//! All kinds of entries and all metadata are held, nothing is skipped. It serves tests and
//! documentation with content in a `Vec<u8>`, and flattening with content in a temporary file.

mod content;
mod read;
mod walk;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

pub use content::{ContentStore, Extent, FileContent};
pub use read::{Kind, Stat};
pub use walk::{FirstNames, Walk, Walked};

use crate::entry::Metadata;
use crate::fs::{Created, FileSystem, Special};
use crate::tree::{NodeId, Place};

/// A file system in memory.
///
/// ```
/// use oci_fetcher_core::entry::{Entry, EntryKind, EntryPath, Metadata};
/// use oci_fetcher_core::layer::Op;
/// use oci_fetcher_core::memory::MemoryFs;
/// use oci_fetcher_core::unpack::{Options, Outcome, Unpacker};
///
/// let mut unpacker = Unpacker::new(MemoryFs::default(), Options::default());
/// unpacker.begin_layer();
/// let path = EntryPath::clean(b"etc/motd")?;
/// let metadata = Metadata { mode: 0o644, ..Metadata::IMPLIED };
/// unpacker.op(Op::Entry(Entry { path: path.clone(), kind: EntryKind::File { size: 6 }, metadata }))?;
/// unpacker.op(Op::Data { offset: 0, bytes: b"hello\n" })?;
/// unpacker.op(Op::FileEnd)?;
///
/// let Outcome::Complete(unpacked) = unpacker.finish()? else { unreachable!("everything is selected") };
/// assert_eq!(unpacked.fs.read(&path)?.as_deref(), Some(&b"hello\n"[..]));
/// assert_eq!(unpacked.fs.walk().map(|walked| walked.path.to_string()).collect::<Vec<_>>(), ["/", "/etc", "/etc/motd"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct MemoryFs<C = Vec<u8>> {
    /// What stands at each of the tree's nodes.
    nodes: Vec<Option<InodeId>>,
    inodes: Vec<Inode>,
    free: Vec<InodeId>,
    content: C,
}

/// Names what stands at one or, with hard links, several names of one [`MemoryFs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InodeId(pub u32);

impl InodeId {
    const ROOT: Self = Self(0);
}

/// What stands at one or, with hard links, several names.
#[derive(Debug)]
struct Inode {
    links: u32,
    metadata: Metadata,
    data: Data,
}

#[derive(Debug)]
enum Data {
    Directory(BTreeMap<Box<[u8]>, InodeId>),
    File {
        size: u64,
        extents: Vec<Extent>,
    },
    Symlink(Box<[u8]>),
    Special(Special),
    /// Nothing: the number is free.
    Vacant,
}

/// A regular file that is being written to a [`MemoryFs`].
#[derive(Debug)]
pub struct MemoryFile {
    size: u64,
    extents: Vec<Extent>,
}

/// With content in memory too.
impl Default for MemoryFs {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl<C> MemoryFs<C> {
    /// Makes a file system that holds an empty root, with content going to `content`.
    #[must_use]
    pub fn new(content: C) -> Self {
        let root = Inode { links: 1, metadata: Metadata::IMPLIED, data: Data::Directory(BTreeMap::new()) };
        Self { nodes: vec![Some(InodeId::ROOT)], inodes: vec![root], free: Vec::new(), content }
    }

    /// Returns the store of content.
    #[must_use]
    pub fn content(&self) -> &C {
        &self.content
    }

    /// Returns the store of content, for a host that appends to it by itself.
    pub fn content_mut(&mut self) -> &mut C {
        &mut self.content
    }

    /// Puts a regular file of `size` bytes in its place, whose content is in the store already.
    ///
    /// Extents are in the order of their offsets in the file, and do not overlap.
    ///
    /// # Panics
    /// If the place is not of the tree that directs this file system.
    pub fn place_file(&mut self, at: &Place<'_>, size: u64, extents: Vec<Extent>, metadata: &Metadata) {
        self.put(at, Data::File { size, extents }, metadata);
    }

    /// Adds an inode with one name.
    fn put(&mut self, at: &Place<'_>, data: Data, metadata: &Metadata) {
        let inode = Inode { links: 0, metadata: metadata.clone(), data };
        let id = match self.free.pop() {
            Some(id) => {
                *self.inode_mut(id) = inode;
                id
            }
            None => {
                self.inodes.push(inode);
                InodeId(u32::try_from(self.inodes.len() - 1).expect("memory ends before 2^32 inodes"))
            }
        };
        self.link(at, id);
    }

    /// Adds a name to an inode.
    fn link(&mut self, at: &Place<'_>, id: InodeId) {
        self.children_of(at).insert(at.name().into(), id);
        self.inode_mut(id).links += 1;
        let index = at.node().index();
        if self.nodes.len() <= index {
            self.nodes.resize(index + 1, None);
        }
        self.nodes[index] = Some(id);
    }

    /// Takes a name from an inode, and the inode away with its last name.
    fn unlink(&mut self, at: &Place<'_>) {
        let id = self.standing(at.node());
        self.children_of(at).remove(at.name());
        self.nodes[at.node().index()] = None;
        let inode = self.inode_mut(id);
        inode.links -= 1;
        if inode.links == 0 {
            *inode = Inode { links: 0, metadata: Metadata::IMPLIED, data: Data::Vacant };
            self.free.push(id);
        }
    }

    /// Returns the names in the directory that holds a place.
    fn children_of(&mut self, at: &Place<'_>) -> &mut BTreeMap<Box<[u8]>, InodeId> {
        let parent = self.standing(at.parent());
        match &mut self.inode_mut(parent).data {
            Data::Directory(children) => children,
            Data::File { .. } | Data::Symlink(_) | Data::Special(_) | Data::Vacant => {
                unreachable!("the tree puts names into directories only")
            }
        }
    }

    /// Returns what stands at a node.
    fn standing(&self, node: NodeId) -> InodeId {
        self.nodes.get(node.index()).copied().flatten().expect("the tree speaks of what it had created here")
    }

    fn inode(&self, id: InodeId) -> &Inode {
        &self.inodes[id.0 as usize]
    }

    fn inode_mut(&mut self, id: InodeId) -> &mut Inode {
        &mut self.inodes[id.0 as usize]
    }
}

impl<C: ContentStore> FileSystem for MemoryFs<C> {
    type File = MemoryFile;
    type Error = C::Error;

    fn create_directory(&mut self, at: &Place<'_>) -> Result<(), Self::Error> {
        self.put(at, Data::Directory(BTreeMap::new()), &Metadata::IMPLIED);
        Ok(())
    }

    fn create_file(&mut self, _at: &Place<'_>, size: u64) -> Result<MemoryFile, Self::Error> {
        Ok(MemoryFile { size, extents: Vec::new() })
    }

    fn write(&mut self, file: &mut MemoryFile, offset: u64, bytes: &[u8]) -> Result<(), Self::Error> {
        let added = Extent { offset, stored_at: self.content.append(bytes)?, length: bytes.len() as u64 };
        match file.extents.last_mut() {
            Some(last) if last.is_continued_by(&added) => last.length += added.length,
            Some(_) | None => file.extents.push(added),
        }
        Ok(())
    }

    fn finish_file(&mut self, file: MemoryFile, at: &Place<'_>, metadata: &Metadata) -> Result<(), Self::Error> {
        self.place_file(at, file.size, file.extents, metadata);
        Ok(())
    }

    fn create_symlink(&mut self, at: &Place<'_>, target: &[u8], metadata: &Metadata) -> Result<Created, Self::Error> {
        self.put(at, Data::Symlink(target.into()), metadata);
        Ok(Created::Made)
    }

    fn create_hard_link(&mut self, at: &Place<'_>, existing: &Place<'_>) -> Result<Created, Self::Error> {
        self.link(at, self.standing(existing.node()));
        Ok(Created::Made)
    }

    fn create_special(
        &mut self,
        at: &Place<'_>,
        special: Special,
        metadata: &Metadata,
    ) -> Result<Created, Self::Error> {
        self.put(at, Data::Special(special), metadata);
        Ok(Created::Made)
    }

    fn remove(&mut self, at: &Place<'_>) -> Result<(), Self::Error> {
        self.unlink(at);
        Ok(())
    }

    fn remove_directory(&mut self, at: &Place<'_>) -> Result<(), Self::Error> {
        self.unlink(at);
        Ok(())
    }

    fn finish_directory(&mut self, at: &Place<'_>, metadata: &Metadata) -> Result<(), Self::Error> {
        let id = self.standing(at.node());
        self.inode_mut(id).metadata = metadata.clone();
        Ok(())
    }
}

impl<C> fmt::Debug for MemoryFs<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inodes = self.inodes.len() - self.free.len();
        f.debug_struct("MemoryFs").field("inodes", &inodes).finish_non_exhaustive()
    }
}
