//! Names that the tree has resolved.

use super::node::Arena;
use crate::entry::EntryPath;

/// A node of a [`Tree`](super::Tree); the number may be used again after its node was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(super) u32);

impl NodeId {
    /// The root directory.
    pub const ROOT: Self = Self(0);

    /// Returns the node's number, for tables that are indexed by node: nodes are numbered densely,
    /// from 0 for the root.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A resolved place for one name: a directory of the tree, reached through directories alone, and
/// a safe component in it.
#[derive(Clone, Copy, Debug)]
pub struct Place<'t> {
    nodes: &'t Arena,
    node: NodeId,
}

impl<'t> Place<'t> {
    pub(super) fn new(nodes: &'t Arena, node: NodeId) -> Self {
        Self { nodes, node }
    }

    /// Returns the node that stands, or is about to stand, at this place.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// Returns the directory that holds the name; the root's is the root.
    #[must_use]
    pub fn parent(&self) -> NodeId {
        self.nodes.at(self.node).parent
    }

    /// Returns the name in that directory: one component, never `.` or `..`; empty for the root.
    #[must_use]
    pub fn name(&self) -> &'t [u8] {
        &self.nodes.at(self.node).name
    }

    /// Returns the directories that hold the place, from [`parent`](Self::parent) up; without the root.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> {
        let place = |node| Self { nodes: self.nodes, node };
        std::iter::successors(Some(place(self.parent())), move |at| Some(place(at.parent())))
            .take_while(|at| at.node != NodeId::ROOT)
    }

    /// Returns the whole path, for messages and reports.
    #[must_use]
    pub fn path(&self) -> EntryPath {
        if self.node == NodeId::ROOT {
            return EntryPath::root();
        }
        let mut names: Vec<&[u8]> = self.ancestors().map(|at| at.name()).collect();
        names.reverse();
        names.push(self.name());
        EntryPath::clean(&names.join(&b'/')).expect("names in the tree are safe components")
    }
}
