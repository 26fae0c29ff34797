//! Hiding what lower layers left, and removing.
//!
//! Image-spec 1.1, layer.md, "Whiteouts": a whiteout applies to lower layers only, wherever it
//! stands among its layer's entries. Everything here works on nodes, not on paths, and so never
//! follows a symlink inside what it removes; nothing recurses, and no directory is scanned twice
//! for one layer.

use super::node::Presence;
use super::resolve::{Resolved, Stop};
use super::{ApplyError, NodeId, Tree, TreeError};
use crate::entry::EntryPath;
use crate::fs::FileSystem;

impl Tree {
    /// Hides a path in lower layers.
    pub(super) fn apply_whiteout<F: FileSystem>(
        &mut self,
        path: &EntryPath,
        fs: &mut F,
    ) -> Result<(), ApplyError<F::Error>> {
        let mut components = path.components();
        let Some(name) = components.next_back() else { return Err(TreeError::RootReplaced.into()) };
        let Some(directory) = self.whiteout_directory(path, components)? else { return Ok(()) };
        let Some(hidden) = self.nodes.child(directory, name) else { return Ok(()) };
        let candidates = self.candidates(hidden);
        self.hide(&candidates, fs)
    }

    /// Hides everything in a directory that comes from lower layers; the directory stays.
    pub(super) fn apply_opaque<F: FileSystem>(
        &mut self,
        path: &EntryPath,
        fs: &mut F,
    ) -> Result<(), ApplyError<F::Error>> {
        let Some(directory) = self.whiteout_directory(path, path.components())? else { return Ok(()) };
        let candidates = self.candidates(directory);
        self.hide(&candidates[1..], fs)
    }

    /// Finds the directory in which a whiteout hides something; where there is none, nothing is
    /// there to hide.
    fn whiteout_directory<'p>(
        &self,
        path: &EntryPath,
        components: impl Iterator<Item = &'p [u8]>,
    ) -> Result<Option<NodeId>, TreeError> {
        match self.resolve(components, None) {
            Ok(Resolved { at, missing }) => Ok(missing.is_empty().then_some(at)),
            Err(Stop::NotDirectory(_) | Stop::EndsAt(_)) => Ok(None),
            Err(stop @ Stop::TooManySymlinks) => Err(self.refuse(path, stop)),
        }
    }

    /// Lists a node and what below it may have to go, each after its parent: what is lower and all
    /// directories, but nothing in those that were cleared for this layer before.
    fn candidates(&mut self, node: NodeId) -> Vec<NodeId> {
        let mut listed = vec![node];
        let mut next = 0;
        while let Some(&node) = listed.get(next) {
            next += 1;
            let layer = self.layer;
            let Some(directory) = self.nodes.directory_mut(node) else { continue };
            if std::mem::replace(&mut directory.cleared, layer) == layer {
                continue;
            }
            let children: Vec<NodeId> = directory.children.values().copied().collect();
            listed.extend(
                children
                    .into_iter()
                    .filter(|&child| self.nodes.at(child).layer < layer || self.nodes.directory(child).is_some()),
            );
        }
        listed
    }

    /// Removes the lower ones among candidates. A lower directory stays where something of this
    /// layer is left in it, but loses its recorded metadata: this layer implies it anew.
    fn hide<F: FileSystem>(&mut self, candidates: &[NodeId], fs: &mut F) -> Result<(), ApplyError<F::Error>> {
        for &node in candidates.iter().rev() {
            if self.nodes.at(node).layer == self.layer {
                continue;
            }
            if self.nodes.directory(node).is_none_or(|directory| directory.children.is_empty()) {
                self.remove_one(node, fs)?;
            } else {
                self.nodes.record(node, None);
                self.nodes.at_mut(node).layer = self.layer;
            }
        }
        Ok(())
    }

    /// Removes a node and all below it, whatever layer it is from.
    pub(super) fn remove_tree<F: FileSystem>(&mut self, node: NodeId, fs: &mut F) -> Result<(), ApplyError<F::Error>> {
        for node in self.nodes.below(node).into_iter().rev() {
            self.remove_one(node, fs)?;
        }
        Ok(())
    }

    /// Removes a node that holds no children.
    pub(super) fn remove_one<F: FileSystem>(&mut self, node: NodeId, fs: &mut F) -> Result<(), ApplyError<F::Error>> {
        self.unmake(node, fs).map_err(ApplyError::FileSystem)?;
        self.nodes.remove(node);
        Ok(())
    }

    /// Removes a node's name from the file system only.
    pub(super) fn unmake<F: FileSystem>(&mut self, node: NodeId, fs: &mut F) -> Result<(), F::Error> {
        if std::mem::replace(&mut self.nodes.at_mut(node).presence, Presence::Outside) != Presence::Made {
            return Ok(());
        }
        match self.nodes.directory(node) {
            Some(_) => fs.remove_directory(&self.place(node)),
            None => fs.remove(&self.place(node)),
        }
    }
}
