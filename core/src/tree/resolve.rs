//! From paths to directories: symlinks are followed inside the root.

use std::sync::Arc;

use super::node::Kind;
use super::{ApplyError, NodeId, Tree, TreeError};
use crate::entry::EntryPath;
use crate::fs::FileSystem;

/// How far a path exists.
pub(super) struct Resolved {
    /// The last that exists.
    pub(super) at: NodeId,
    /// The components from there on, for which nothing stands.
    pub(super) missing: Vec<Arc<[u8]>>,
}

/// Why a path cannot be followed.
pub(super) enum Stop {
    /// This is on the way and holds no names.
    NotDirectory(NodeId),
    /// This is the end of the way, but no directory.
    EndsAt(NodeId),
    /// Symlinks lead on and on.
    TooManySymlinks,
}

/// What happens to a symlink that a path ends at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastSymlink {
    /// It is followed, as `stat` does.
    Follow,
    /// It is what was looked for, as `lstat` does.
    Keep,
}

impl Tree {
    /// Finds what stands at a path, with symlinks followed inside the root; `None` if nothing does,
    /// or a symlink leads nowhere.
    ///
    /// ```
    /// use oci_fetcher_core::entry::{Entry, EntryKind, EntryPath, Metadata};
    /// use oci_fetcher_core::layer::Op;
    /// use oci_fetcher_core::memory::MemoryFs;
    /// use oci_fetcher_core::tree::LastSymlink;
    /// use oci_fetcher_core::unpack::{Options, Outcome, Unpacker};
    ///
    /// let mut unpacker = Unpacker::new(MemoryFs::default(), Options::default());
    /// unpacker.begin_layer();
    /// let directory = Entry { path: EntryPath::clean(b"usr/bin")?, kind: EntryKind::Directory, metadata: Metadata::IMPLIED };
    /// let target = (*b"/usr/bin").into();
    /// let symlink = Entry { path: EntryPath::clean(b"bin")?, kind: EntryKind::Symlink { target }, ..directory.clone() };
    /// unpacker.op(Op::Entry(directory))?;
    /// unpacker.op(Op::Entry(symlink))?;
    ///
    /// let Outcome::Complete(unpacked) = unpacker.finish()? else { unreachable!("everything is selected") };
    /// let found = unpacked.tree.find(&EntryPath::clean(b"bin")?, LastSymlink::Follow)?.expect("it is there");
    /// assert_eq!(unpacked.tree.place(found).path().as_bytes(), b"usr/bin");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`TreeError::TooManySymlinks`]
    pub fn find(&self, path: &EntryPath, last: LastSymlink) -> Result<Option<NodeId>, TreeError> {
        let mut components = path.components();
        let Some(name) = components.next_back() else { return Ok(Some(NodeId::ROOT)) };
        let Some(directory) = self.reach(path, components)? else { return Ok(None) };
        let Some(found) = self.nodes.child(directory, name) else { return Ok(None) };
        if matches!(self.nodes.at(found).kind, Kind::Symlink(_)) && last == LastSymlink::Follow {
            return self.reach(path, path.components());
        }
        Ok(Some(found))
    }

    /// Follows components to what stands at their end.
    fn reach<'p>(
        &self,
        path: &EntryPath,
        components: impl Iterator<Item = &'p [u8]>,
    ) -> Result<Option<NodeId>, TreeError> {
        match self.resolve(components, None) {
            Ok(Resolved { at, missing }) => Ok(missing.is_empty().then_some(at)),
            Err(Stop::EndsAt(end)) => Ok(Some(end)),
            Err(Stop::NotDirectory(_)) => Ok(None),
            Err(stop @ Stop::TooManySymlinks) => Err(self.refuse(path, stop)),
        }
    }

    /// Follows components from the root, all symlinks included. An absolute target counts from the
    /// root, and `..` stops there. Symlinks that are met are added to `links`.
    pub(super) fn resolve<'p>(
        &self,
        mut path: impl Iterator<Item = &'p [u8]>,
        mut links: Option<&mut Vec<NodeId>>,
    ) -> Result<Resolved, Stop> {
        let mut resolved = Resolved { at: NodeId::ROOT, missing: Vec::new() };
        // What symlinks added, the next component last; it comes before the rest of the path.
        let mut added: Vec<&[u8]> = Vec::new();
        let (mut followed, mut components) = (0, 0);
        while let Some(name) = added.pop().or_else(|| path.next()) {
            if name == b".." {
                if resolved.missing.pop().is_none() {
                    resolved.at = self.nodes.at(resolved.at).parent;
                }
                continue;
            }
            let Some(child) = self.existing(&resolved, name) else {
                resolved.missing.push(name.into());
                continue;
            };
            match &self.nodes.at(child).kind {
                Kind::Directory(_) => resolved.at = child,
                Kind::Symlink(target) => {
                    if target.first() == Some(&b'/') {
                        resolved.at = NodeId::ROOT;
                    }
                    let before = added.len();
                    let names = target.rsplit(|&byte| byte == b'/');
                    added.extend(names.filter(|name| !matches!(name, [] | [b'.'])));
                    followed += 1;
                    components += added.len() - before;
                    if followed > SYMLINKS || components > SYMLINK_COMPONENTS {
                        return Err(Stop::TooManySymlinks);
                    }
                    if let Some(links) = links.as_deref_mut() {
                        links.push(child);
                    }
                }
                Kind::File | Kind::Special | Kind::Vacant => {
                    let is_last = added.is_empty() && path.next().is_none();
                    return Err(if is_last { Stop::EndsAt(child) } else { Stop::NotDirectory(child) });
                }
            }
        }
        Ok(resolved)
    }

    /// Returns what stands at a name in a directory that was looked for.
    pub(super) fn existing(&self, directory: &Resolved, name: &[u8]) -> Option<NodeId> {
        if directory.missing.is_empty() { self.nodes.child(directory.at, name) } else { None }
    }

    /// Resolves a directory for an entry at `path`, and makes what is missing of it.
    pub(super) fn resolve_or_make<'p, F: FileSystem>(
        &mut self,
        path: &EntryPath,
        components: impl Iterator<Item = &'p [u8]>,
        fs: &mut F,
    ) -> Result<NodeId, ApplyError<F::Error>> {
        let resolved = self.resolve(components, None).map_err(|stop| self.refuse(path, stop))?;
        let Resolved { mut at, missing } = resolved;
        for name in missing {
            at = self.make_directory(path, at, name, fs)?;
        }
        Ok(at)
    }

    /// Says in an entry's name why its way stopped.
    pub(super) fn refuse(&self, path: &EntryPath, stop: Stop) -> TreeError {
        let path = path.clone();
        match stop {
            Stop::NotDirectory(node) | Stop::EndsAt(node) => {
                TreeError::ParentNotDirectory { path, parent: self.place(node).path() }
            }
            Stop::TooManySymlinks => TreeError::TooManySymlinks { path },
        }
    }
}

/// Symlinks in one path: Linux's `MAXSYMLINKS`, after which it answers ELOOP.
pub(super) const SYMLINKS: u32 = 40;
/// Components that the symlinks of one path add: as many as Linux's `PATH_MAX` can hold. It bounds
/// the work that a short entry can cause.
pub(super) const SYMLINK_COMPONENTS: usize = 2_048;
