//! The merged tree: the authority over every path.
//!
//! The tree of an image while its layers are applied in order (image-spec 1.1, layer.md, "Applying
//! Changesets"). It resolves every path inside the root, holds the one copy of the merge rules, and
//! tells a [`FileSystem`] what to do at [`Place`]s that hold no symlink, `..` or absolute part.
//!
//! ```text
//! resolve    path -> directory, symlinks followed inside the root
//! merge      entry -> what stands at a name afterwards
//! whiteout   what lower layers left, hidden
//! selection  which part of the tree the file system sees
//! node       the arena beneath them
//! ```
//!
//! Where layer.md is silent:
//! - A parent that no entry names is made, with [`Metadata::IMPLIED`]; also where a dangling
//!   symlink leads, as a runtime would find it after `mkdir -p`.
//! - A whiteout whose directory is missing, or is a file, hides nothing.
//! - A lower directory that a whiteout hides, but in which the same layer wrote, stays with implied
//!   metadata: as if the whiteout had come first.
//! - A hard link is resolved when it is met, so a whiteout of its target may only follow it.

mod error;
mod merge;
mod node;
mod place;
mod resolve;
mod selection;
mod whiteout;

use std::num::NonZeroU32;

pub use error::{ApplyError, TreeError};
pub use merge::Applied;
pub use place::{NodeId, Place};
pub use resolve::LastSymlink;
pub use selection::Selection;

use crate::entry::{EntryPath, Metadata, NamePolicy, Unportable};
use crate::fs::FileSystem;
use crate::limits::PATH_DEPTH;
use node::{Arena, Kind, Presence};
use selection::Scope;

/// The in-memory tree of an image while its layers are applied in order.
///
/// It takes about 150 bytes an entry (measured: 147 to 156); [`held_bytes`](Self::held_bytes) estimates the sum.
#[derive(Debug)]
pub struct Tree {
    nodes: Arena,
    /// The layer being applied; the first is 1.
    layer: u32,
    path_depth: u32,
    names: NamePolicy,
    selection: Selection,
    /// What hard links were made from; kept only while a selection may have to grow by them.
    origins: Vec<Origin>,
    origin_bytes: u64,
}

/// The existing name that a hard link was made from, and what that was made from itself.
#[derive(Debug)]
struct Origin {
    path: EntryPath,
    earlier: Option<OriginId>,
}

/// One more than an index into the tree's origins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OriginId(NonZeroU32);

impl Tree {
    /// Starts an empty tree of which a file system sees `selection`. No node lies deeper than
    /// `path_depth` components, also where symlinks lead.
    #[must_use]
    pub fn new(selection: Selection, path_depth: u32) -> Self {
        let nodes = Arena::new(selection.root_scope());
        let names = NamePolicy::Any;
        Self { nodes, layer: 0, path_depth, names, selection, origins: Vec::new(), origin_bytes: 0 }
    }

    /// Sets what becomes of names that Windows cannot hold, also of those that only a symlink's target
    /// brings.
    #[must_use]
    pub fn with_names(mut self, names: NamePolicy) -> Self {
        self.names = names;
        self
    }

    /// Begins the next layer; what was applied before is lower from now on.
    pub fn begin_layer(&mut self) {
        self.layer = self.layer.checked_add(1).expect("an image has fewer than 2^32 layers");
    }

    /// Returns the place of a node.
    #[must_use]
    pub fn place(&self, node: NodeId) -> Place<'_> {
        Place::new(&self.nodes, node)
    }

    /// Estimates the bytes of memory that the tree holds, names, link targets and attributes
    /// included.
    #[must_use]
    pub fn held_bytes(&self) -> u64 {
        self.nodes.held_bytes() + self.origin_bytes
    }

    /// Returns which part of the tree the file system sees.
    #[must_use]
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// Returns what the file system holds now.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let mut standing = Standing::default();
        for node in self.nodes.ids().map(|id| self.nodes.at(id)) {
            if node.presence != Presence::Made {
                continue;
            }
            match node.kind {
                Kind::Directory(_) => standing.directories += 1,
                Kind::File | Kind::Symlink(_) | Kind::Special if node.hard_link => standing.hard_links += 1,
                Kind::File => standing.files += 1,
                Kind::Symlink(_) => standing.symlinks += 1,
                Kind::Special => standing.specials += 1,
                Kind::Vacant => {}
            }
        }
        standing
    }

    /// Lists, in byte order of paths, what the file system holds under names that Windows cannot hold, if
    /// such are to be reported.
    pub(crate) fn unportable(&self) -> Vec<(EntryPath, Unportable)> {
        if self.names != NamePolicy::Report {
            return Vec::new();
        }
        let made = self.nodes.ids().filter(|&id| id != NodeId::ROOT && self.nodes.at(id).presence == Presence::Made);
        let mut found: Vec<_> =
            made.filter_map(|id| Some((self.place(id).path(), Unportable::of(&self.nodes.at(id).name)?))).collect();
        found.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
        found
    }

    /// Removes from the file system what only had to be there while layers were applied, then gives
    /// every directory its metadata, children before parents and the root last.
    ///
    /// # Errors
    /// What the file system answers.
    pub fn finish<F: FileSystem>(&mut self, fs: &mut F) -> Result<(), F::Error> {
        for helper in self.helpers() {
            for node in self.nodes.below(helper).into_iter().rev() {
                self.unmake(node, fs)?;
            }
        }
        let implied = Metadata::IMPLIED;
        for node in self.nodes.below(NodeId::ROOT).into_iter().rev() {
            let Kind::Directory(directory) = &self.nodes.at(node).kind else { continue };
            if self.nodes.at(node).presence == Presence::Made {
                let metadata = directory.metadata.as_deref().unwrap_or(&implied);
                fs.finish_directory(&self.place(node), metadata)?;
            }
        }
        Ok(())
    }

    /// Returns the topmost nodes that the file system holds for hard links' sake alone.
    fn helpers(&self) -> Vec<NodeId> {
        let mut helpers = Vec::new();
        let mut ways = vec![NodeId::ROOT];
        while let Some(node) = ways.pop() {
            let Scope::On(way) = self.nodes.at(node).scope else { continue };
            if !self.selection.leads_to_wanted(way) {
                helpers.push(node);
            } else if let Kind::Directory(directory) = &self.nodes.at(node).kind {
                ways.extend(self.selection.names(way).filter_map(|name| directory.children.get(name).copied()));
            }
        }
        helpers
    }
}

impl Default for Tree {
    fn default() -> Self {
        Self::new(Selection::everything(), PATH_DEPTH)
    }
}

/// What a tree's file system holds, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Directories, the root included.
    pub directories: u64,
    /// Regular files.
    pub files: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// FIFOs and devices.
    pub specials: u64,
    /// Names that a hard-link entry made, whatever they name.
    pub hard_links: u64,
}
