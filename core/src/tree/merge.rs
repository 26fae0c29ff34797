//! The merge rules: what stands at a name after an entry.

use std::sync::Arc;

use super::node::{Directory, Kind, Node, Presence};
use super::{ApplyError, NodeId, Place, Tree, TreeError};
use crate::entry::{Entry, EntryKind, EntryPath, Metadata, NamePolicy, Unportable};
use crate::fs::{Created, FileSystem, Special};

/// What is left to do after an entry was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Applied {
    /// Nothing.
    Done,
    /// A regular file is to be created at this node's place.
    File(NodeId),
    /// A regular file lies outside the selection: its content is to be passed over.
    FileOutside,
    /// A hard link is to be reported: it names what the file system could not hold.
    HardLinkSkipped(NodeId),
}

impl Tree {
    /// Applies an entry of the current layer.
    ///
    /// # Errors
    /// [`ApplyError`] if there is no safe place for the entry or the file system fails. The tree
    /// and the file system may hold a part of what the entry asked for then.
    pub fn apply<F: FileSystem>(&mut self, entry: &Entry, fs: &mut F) -> Result<Applied, ApplyError<F::Error>> {
        let path = &entry.path;
        match &entry.kind {
            EntryKind::File { .. } => {
                let node = self.replace(path, Kind::File, fs)?;
                Ok(match self.nodes.at(node).presence {
                    Presence::Made => Applied::File(node),
                    Presence::Skipped | Presence::Outside => Applied::FileOutside,
                })
            }
            EntryKind::Directory => self.apply_directory(path, &entry.metadata, fs),
            EntryKind::Symlink { target } => {
                let node = self.replace(path, Kind::Symlink(target.as_ref().into()), fs)?;
                self.create(node, fs, |_, fs, at| fs.create_symlink(at, target, &entry.metadata))
            }
            EntryKind::HardLink { target } => self.apply_hard_link(path, target, fs),
            EntryKind::Fifo => self.apply_special(path, Special::Fifo, &entry.metadata, fs),
            EntryKind::CharacterDevice(number) => {
                self.apply_special(path, Special::CharacterDevice(*number), &entry.metadata, fs)
            }
            EntryKind::BlockDevice(number) => {
                self.apply_special(path, Special::BlockDevice(*number), &entry.metadata, fs)
            }
            EntryKind::Whiteout => self.apply_whiteout(path, fs).map(|()| Applied::Done),
            EntryKind::Opaque => self.apply_opaque(path, fs).map(|()| Applied::Done),
        }
    }

    /// Gives a directory its metadata; anything else that stands there makes way for one.
    fn apply_directory<F: FileSystem>(
        &mut self,
        path: &EntryPath,
        metadata: &Metadata,
        fs: &mut F,
    ) -> Result<Applied, ApplyError<F::Error>> {
        let mut components = path.components();
        let node = match components.next_back() {
            None => NodeId::ROOT,
            Some(name) => {
                let parent = self.resolve_or_make(path, components, fs)?;
                match self.nodes.child(parent, name) {
                    Some(node) if self.nodes.directory(node).is_some() => node,
                    other => {
                        if let Some(node) = other {
                            self.remove_one(node, fs)?;
                        }
                        self.make_directory(path, parent, name.into(), fs)?
                    }
                }
            }
        };
        self.nodes.at_mut(node).layer = self.layer;
        self.nodes.record(node, Some(metadata));
        Ok(Applied::Done)
    }

    fn apply_special<F: FileSystem>(
        &mut self,
        path: &EntryPath,
        special: Special,
        metadata: &Metadata,
        fs: &mut F,
    ) -> Result<Applied, ApplyError<F::Error>> {
        let node = self.replace(path, Kind::Special, fs)?;
        self.create(node, fs, |_, fs, at| fs.create_special(at, special, metadata))
    }

    /// Gives a further name to what stands at `target`, whose own symlink is not followed.
    fn apply_hard_link<F: FileSystem>(
        &mut self,
        path: &EntryPath,
        target: &EntryPath,
        fs: &mut F,
    ) -> Result<Applied, ApplyError<F::Error>> {
        let existing = self.hard_link_target(path, target)?;
        let mut components = path.components();
        let name = components.next_back().ok_or(TreeError::RootReplaced)?;
        let parent = self.resolve_or_make(path, components, fs)?;
        if let Some(replaced) = self.nodes.child(parent, name) {
            if replaced == existing {
                return Err(TreeError::HardLinkToItself { path: path.clone() }.into());
            }
            if self.place(existing).ancestors().any(|at| at.node() == replaced) {
                // It would be gone by the time that it is linked to.
                return Err(TreeError::HardLinkToMissing { path: path.clone(), target: target.clone() }.into());
            }
            self.remove_tree(replaced, fs)?;
        }
        let origin = self.origin_of(existing);
        let link = self.add(path, parent, name.into(), self.nodes.at(existing).kind.clone())?;
        let target_presence = self.nodes.at(existing).presence;
        let node = self.nodes.at_mut(link);
        node.hard_link = true;
        node.origin = origin;
        if node.presence != Presence::Made {
            return Ok(Applied::Done);
        }
        // What lies outside the selection is linked by a further pass, if it matters in the end.
        node.presence = target_presence;
        match target_presence {
            Presence::Made => self.create(link, fs, |tree, fs, at| fs.create_hard_link(at, &tree.place(existing))),
            Presence::Skipped => Ok(Applied::HardLinkSkipped(link)),
            Presence::Outside => Ok(Applied::Done),
        }
    }

    /// Returns what a hard link names.
    fn hard_link_target(&self, path: &EntryPath, target: &EntryPath) -> Result<NodeId, TreeError> {
        let to_directory = || TreeError::HardLinkToDirectory { path: path.clone(), target: target.clone() };
        let mut components = target.components();
        let name = components.next_back().ok_or_else(to_directory)?;
        let parent = self.resolve(components, None).map_err(|stop| self.refuse(path, stop))?;
        match self.existing(&parent, name) {
            Some(node) if self.nodes.directory(node).is_some() => Err(to_directory()),
            Some(node) => Ok(node),
            None if path == target => Err(TreeError::HardLinkToItself { path: path.clone() }),
            None => Err(TreeError::HardLinkToMissing { path: path.clone(), target: target.clone() }),
        }
    }

    /// Removes what stands at a path, with all below it, and adds a node that is no directory.
    fn replace<F: FileSystem>(
        &mut self,
        path: &EntryPath,
        kind: Kind,
        fs: &mut F,
    ) -> Result<NodeId, ApplyError<F::Error>> {
        let mut components = path.components();
        let name = components.next_back().ok_or(TreeError::RootReplaced)?;
        let parent = self.resolve_or_make(path, components, fs)?;
        if let Some(replaced) = self.nodes.child(parent, name) {
            self.remove_tree(replaced, fs)?;
        }
        Ok(self.add(path, parent, name.into(), kind)?)
    }

    /// Makes a directory, without metadata, where nothing stands.
    pub(super) fn make_directory<F: FileSystem>(
        &mut self,
        path: &EntryPath,
        parent: NodeId,
        name: Arc<[u8]>,
        fs: &mut F,
    ) -> Result<NodeId, ApplyError<F::Error>> {
        let depth = self.depth_below(path, parent)?;
        let directory = Directory { depth, cleared: self.layer, ..Directory::default() };
        let node = self.add(path, parent, name, Kind::Directory(Box::new(directory)))?;
        if self.nodes.at(node).presence == Presence::Made {
            fs.create_directory(&self.place(node)).map_err(ApplyError::FileSystem)?;
        }
        Ok(node)
    }

    /// Adds a node where nothing stands.
    fn add(&mut self, path: &EntryPath, parent: NodeId, name: Arc<[u8]>, kind: Kind) -> Result<NodeId, TreeError> {
        self.depth_below(path, parent)?;
        if self.names == NamePolicy::Refuse
            && let Some(reason) = Unportable::of(&name)
        {
            return Err(TreeError::NameNotPortable { path: path.clone(), name: (*name).into(), reason });
        }
        let scope = self.selection.below(self.nodes.at(parent).scope, &name);
        let presence = if self.selection.shows(scope, &kind) { Presence::Made } else { Presence::Outside };
        let layer = self.layer;
        Ok(self.nodes.insert(Node { name, kind, parent, layer, scope, origin: None, presence, hard_link: false }))
    }

    fn depth_below(&self, path: &EntryPath, parent: NodeId) -> Result<u32, TreeError> {
        let parent = self.nodes.directory(parent).expect("parents are directories");
        let limit = self.path_depth;
        if parent.depth >= limit {
            Err(TreeError::PathDepth { path: path.clone(), limit })
        } else {
            Ok(parent.depth + 1)
        }
    }

    /// Has the file system create what it sees of a node, and notes whether it did.
    fn create<F: FileSystem>(
        &mut self,
        node: NodeId,
        fs: &mut F,
        create: impl FnOnce(&Self, &mut F, &Place<'_>) -> Result<Created, F::Error>,
    ) -> Result<Applied, ApplyError<F::Error>> {
        if self.nodes.at(node).presence == Presence::Made {
            let created = create(self, fs, &self.place(node)).map_err(ApplyError::FileSystem)?;
            self.nodes.at_mut(node).presence = match created {
                Created::Made => Presence::Made,
                Created::Skipped => Presence::Skipped,
            };
        }
        Ok(Applied::Done)
    }
}
