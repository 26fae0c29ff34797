//! Looking at what a file system in memory holds.

use super::{ContentStore, Data, FileContent, Inode, InodeId, MemoryFs};
use crate::entry::{EntryPath, Metadata};
use crate::fs::Special;
use crate::tree::NodeId;

/// What stands at a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat<'f> {
    /// The same for all names of one file.
    pub inode: InodeId,
    /// The kind, with what only that kind has.
    pub kind: Kind<'f>,
    /// Mode, owner, time and extended attributes.
    pub metadata: &'f Metadata,
    /// How many names it has; 1 for a directory.
    pub links: u32,
}

/// The kinds of what can stand at a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind<'f> {
    /// A directory.
    Directory,
    /// A regular file.
    File(FileContent<'f>),
    /// A symbolic link.
    Symlink {
        /// The target, byte for byte.
        target: &'f [u8],
    },
    /// A FIFO or device.
    Special(Special),
}

/// Paths are taken literally here: no symlink is followed.
impl<C> MemoryFs<C> {
    /// Returns what stands at a path.
    #[must_use]
    pub fn stat(&self, path: &EntryPath) -> Option<Stat<'_>> {
        self.stat_inode(self.find(path)?)
    }

    /// Returns what stands at a node of the tree that directed this file system; `None` if this
    /// file system does not hold it.
    #[must_use]
    pub fn stat_node(&self, node: NodeId) -> Option<Stat<'_>> {
        self.stat_inode(self.nodes.get(node.index()).copied().flatten()?)
    }

    /// Returns what a number stands for; `None` for a number that is not in use.
    #[must_use]
    pub fn stat_inode(&self, id: InodeId) -> Option<Stat<'_>> {
        self.inodes.get(usize::try_from(id.0).ok()?)?.stat(id)
    }

    /// Returns the names in a directory in byte order, with what stands there; `None` if no
    /// directory stands at the path.
    #[must_use]
    pub fn read_dir(&self, path: &EntryPath) -> Option<impl Iterator<Item = (&[u8], Stat<'_>)>> {
        self.read_dir_inode(self.find(path)?)
    }

    /// Returns the names in the directory that a number stands for, as [`read_dir`](Self::read_dir)
    /// does.
    #[must_use]
    pub fn read_dir_inode(&self, id: InodeId) -> Option<impl Iterator<Item = (&[u8], Stat<'_>)>> {
        let Data::Directory(children) = &self.inodes.get(usize::try_from(id.0).ok()?)?.data else { return None };
        Some(children.iter().filter_map(|(name, &id)| Some((name.as_ref(), self.stat_inode(id)?))))
    }

    /// Returns the target of a symlink; `None` if no symlink stands at the path.
    #[must_use]
    pub fn read_link(&self, path: &EntryPath) -> Option<&[u8]> {
        match self.stat(path)?.kind {
            Kind::Symlink { target } => Some(target),
            Kind::Directory | Kind::File(_) | Kind::Special(_) => None,
        }
    }

    /// Reads a regular file whole, holes included; `None` if no file stands at the path.
    ///
    /// Sparse files may be much larger than what the image took: look at the size first, with
    /// [`stat`](Self::stat), or read parts, with [`FileContent::read_at`].
    ///
    /// # Errors
    /// What the store of content answers.
    ///
    /// # Panics
    /// If memory cannot hold the size.
    pub fn read(&self, path: &EntryPath) -> Result<Option<Vec<u8>>, C::Error>
    where
        C: ContentStore,
    {
        let Some(Stat { kind: Kind::File(file), .. }) = self.stat(path) else { return Ok(None) };
        let mut bytes = vec![0; usize::try_from(file.size).expect("the caller has room for the file")];
        file.read_at(&self.content, 0, &mut bytes)?;
        Ok(Some(bytes))
    }

    fn find(&self, path: &EntryPath) -> Option<InodeId> {
        path.components().try_fold(InodeId::ROOT, |at, name| match &self.inode(at).data {
            Data::Directory(children) => children.get(name).copied(),
            Data::File { .. } | Data::Symlink(_) | Data::Special(_) | Data::Vacant => None,
        })
    }
}

impl Inode {
    fn stat(&self, inode: InodeId) -> Option<Stat<'_>> {
        let kind = match &self.data {
            Data::Directory(_) => Kind::Directory,
            Data::File { size, extents } => Kind::File(FileContent { size: *size, extents }),
            Data::Symlink(target) => Kind::Symlink { target },
            Data::Special(special) => Kind::Special(*special),
            Data::Vacant => return None,
        };
        Some(Stat { inode, kind, metadata: &self.metadata, links: self.links })
    }
}
