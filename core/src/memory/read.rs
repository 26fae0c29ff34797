//! Looking at what a file system in memory holds.

use super::{ContentStore, Data, FileContent, Inode, InodeId, MemoryFs};
use crate::entry::{EntryPath, Metadata};
use crate::fs::Special;

/// What stands at a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat<'f> {
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
        Some(self.inode(self.find(path)?).stat())
    }

    /// Returns the names in a directory in byte order, with what stands there; `None` if no
    /// directory stands at the path.
    #[must_use]
    pub fn read_dir(&self, path: &EntryPath) -> Option<impl Iterator<Item = (&[u8], Stat<'_>)>> {
        let Data::Directory(children) = &self.inode(self.find(path)?).data else { return None };
        Some(children.iter().map(|(name, &id)| (name.as_ref(), self.inode(id).stat())))
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
    pub(super) fn stat(&self) -> Stat<'_> {
        let kind = match &self.data {
            Data::Directory(_) => Kind::Directory,
            Data::File { size, extents } => Kind::File(FileContent { size: *size, extents }),
            Data::Symlink(target) => Kind::Symlink { target },
            Data::Special(special) => Kind::Special(*special),
            Data::Vacant => unreachable!("no name leads to a free inode"),
        };
        Stat { kind, metadata: &self.metadata, links: self.links }
    }
}
