//! The merged tree: the authority over every path.

use crate::entry::EntryPath;

/// The in-memory tree of an image while its layers are applied in order.
#[derive(Debug, Default)]
pub struct Tree {
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    parent: NodeId,
    name: Box<[u8]>,
}

/// A node of a [`Tree`]; the number may be used again after its node was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

impl NodeId {
    /// The root directory.
    pub const ROOT: Self = Self(0);
}

/// A resolved place for one name: a directory of the tree, reached through directories alone, and
/// a safe component in it.
#[derive(Clone, Copy, Debug)]
pub struct Place<'t> {
    tree: &'t Tree,
    node: NodeId,
}

impl<'t> Place<'t> {
    /// Returns the node that stands, or is about to stand, at this place.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// Returns the directory that holds the name; the root's is the root.
    #[must_use]
    pub fn parent(&self) -> NodeId {
        self.tree.nodes[self.node.0 as usize].parent
    }

    /// Returns the name in that directory: one component, never `.` or `..`; empty for the root.
    #[must_use]
    pub fn name(&self) -> &'t [u8] {
        &self.tree.nodes[self.node.0 as usize].name
    }

    /// Returns the directories that hold the place, from [`parent`](Self::parent) up; without the root.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> {
        let place = |node| Self { tree: self.tree, node };
        std::iter::successors(Some(place(self.parent())), move |at| Some(place(at.parent())))
            .take_while(|at| at.node != NodeId::ROOT)
    }

    /// Returns the whole path, for messages and reports.
    #[must_use]
    pub fn path(&self) -> EntryPath {
        EntryPath::root()
    }
}
