//! The arena of nodes beneath the tree.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::selection::Scope;
use super::{NodeId, OriginId};
use crate::entry::Metadata;

/// All nodes, by number, with the numbers that are free.
#[derive(Debug)]
pub(super) struct Arena {
    nodes: Vec<Node>,
    free: Vec<NodeId>,
    held_bytes: u64,
}

/// One name of the tree and what stands at it.
#[derive(Debug)]
pub(super) struct Node {
    /// Shared with the key among the parent's children.
    pub(super) name: Arc<[u8]>,
    pub(super) kind: Kind,
    pub(super) parent: NodeId,
    /// The layer that this is from: that last wrote it, or implied it.
    pub(super) layer: u32,
    /// Where it lies to the selection.
    pub(super) scope: Scope,
    /// What it was linked from; only for hard links under a selection.
    pub(super) origin: Option<OriginId>,
    pub(super) presence: Presence,
    /// Whether a hard-link entry made the name.
    pub(super) hard_link: bool,
}

/// What stands at a name, as far as merging needs to know.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Directory(Box<Directory>),
    File,
    Symlink(Arc<[u8]>),
    /// A FIFO or device.
    Special,
    /// Nothing: the number is free.
    Vacant,
}

/// What only directories have.
#[derive(Debug, Clone, Default)]
pub(super) struct Directory {
    pub(super) children: BTreeMap<Arc<[u8]>, NodeId>,
    /// `None` if no entry named the directory since it came to be.
    pub(super) metadata: Option<Box<Metadata>>,
    /// Components below the root.
    pub(super) depth: u32,
    /// The last layer from which on nothing from lower layers is in here: the layer that made the
    /// directory, or the last that hid its lower content. Nothing is scanned twice for one layer.
    pub(super) cleared: u32,
}

/// Whether a node stands in the file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// It does.
    Made,
    /// The file system could not hold it, and reported that.
    Skipped,
    /// It lies outside the selection, or is a hard link to what does.
    Outside,
}

impl Arena {
    /// Makes the arena of a tree that holds its root alone.
    pub(super) fn new(scope: Scope) -> Self {
        let root = Node {
            name: Arc::default(),
            kind: Kind::Directory(Box::default()),
            parent: NodeId::ROOT,
            layer: 0,
            scope,
            origin: None,
            presence: Presence::Made,
            hard_link: false,
        };
        Self { held_bytes: root.held_bytes(), nodes: vec![root], free: Vec::new() }
    }

    pub(super) fn at(&self, node: NodeId) -> &Node {
        &self.nodes[node.index()]
    }

    /// Gives a node for changes that leave its size as it is.
    pub(super) fn at_mut(&mut self, node: NodeId) -> &mut Node {
        &mut self.nodes[node.index()]
    }

    /// Returns the directory at a node, if it is one.
    pub(super) fn directory(&self, node: NodeId) -> Option<&Directory> {
        match &self.at(node).kind {
            Kind::Directory(directory) => Some(directory),
            Kind::File | Kind::Symlink(_) | Kind::Special | Kind::Vacant => None,
        }
    }

    /// Returns the directory at a node, if it is one, for changes that leave its size as it is.
    pub(super) fn directory_mut(&mut self, node: NodeId) -> Option<&mut Directory> {
        match &mut self.at_mut(node).kind {
            Kind::Directory(directory) => Some(directory),
            Kind::File | Kind::Symlink(_) | Kind::Special | Kind::Vacant => None,
        }
    }

    pub(super) fn child(&self, directory: NodeId, name: &[u8]) -> Option<NodeId> {
        self.directory(directory)?.children.get(name).copied()
    }

    /// Adds a node under its parent, which is a directory without that name.
    pub(super) fn insert(&mut self, node: Node) -> NodeId {
        self.held_bytes += node.held_bytes();
        let (parent, name) = (node.parent, Arc::clone(&node.name));
        let id = match self.free.pop() {
            Some(id) => {
                self.nodes[id.index()] = node;
                id
            }
            None => {
                self.nodes.push(node);
                NodeId(u32::try_from(self.nodes.len() - 1).expect("memory ends before 2^32 nodes"))
            }
        };
        let previous = self.directory_mut(parent).expect("parents are directories").children.insert(name, id);
        debug_assert_eq!(previous, None, "the name was free");
        id
    }

    /// Takes out a node that holds no children.
    pub(super) fn remove(&mut self, node: NodeId) {
        debug_assert!(node != NodeId::ROOT && self.directory(node).is_none_or(|at| at.children.is_empty()));
        let (parent, name) = (self.at(node).parent, Arc::clone(&self.at(node).name));
        self.directory_mut(parent).expect("parents are directories").children.remove(&name);
        self.held_bytes -= self.at(node).held_bytes();
        let empty_name = Arc::clone(&self.at(NodeId::ROOT).name);
        let vacated = self.at_mut(node);
        vacated.kind = Kind::Vacant;
        vacated.name = empty_name;
        self.free.push(node);
    }

    /// Gives a directory its recorded metadata, or takes it away.
    pub(super) fn record(&mut self, node: NodeId, metadata: Option<&Metadata>) {
        self.held_bytes -= self.at(node).held_bytes();
        if let Some(directory) = self.directory_mut(node) {
            directory.metadata = metadata.map(|metadata| Box::new(metadata.clone()));
        }
        self.held_bytes += self.at(node).held_bytes();
    }

    /// Lists a node and all below it, each after its parent.
    pub(super) fn below(&self, node: NodeId) -> Vec<NodeId> {
        let mut listed = vec![node];
        let mut next = 0;
        while let Some(&node) = listed.get(next) {
            if let Some(directory) = self.directory(node) {
                listed.extend(directory.children.values());
            }
            next += 1;
        }
        listed
    }

    /// Returns the numbers of all nodes in use.
    pub(super) fn ids(&self) -> impl Iterator<Item = NodeId> {
        (0..).map(NodeId).zip(&self.nodes).filter(|(_, node)| !matches!(node.kind, Kind::Vacant)).map(|(id, _)| id)
    }

    pub(super) fn held_bytes(&self) -> u64 {
        self.held_bytes
    }
}

impl Node {
    /// Estimates the node's share of memory: itself, its name, its place among the children of its
    /// parent, and what it points to.
    fn held_bytes(&self) -> u64 {
        let held = match &self.kind {
            Kind::Directory(directory) => {
                let metadata = directory.metadata.as_deref().map_or(0, |metadata| {
                    let attributes = metadata.xattrs.iter();
                    size_of::<Metadata>()
                        + attributes.map(|at| size_of_val(at) + at.name.len() + at.value.len()).sum::<usize>()
                });
                size_of::<Directory>() + LEAF + metadata
            }
            // A hard link shares its symlink's target, and is still counted: the last one pays.
            Kind::Symlink(target) => target.len(),
            Kind::File | Kind::Special | Kind::Vacant => 0,
        };
        (size_of::<Self>() + SHARED_NAME + self.name.len() + CHILD + held) as u64
    }
}

/// The counts in front of a shared name.
const SHARED_NAME: usize = 2 * size_of::<usize>();
/// What the first child takes beside that: room for eleven.
const LEAF: usize = (size_of::<Arc<[u8]>>() + size_of::<NodeId>()) * 11;
/// A key and value among the children of a directory, in leaves that are a little over half full.
const CHILD: usize = (size_of::<Arc<[u8]>>() + size_of::<NodeId>()) * 9 / 5;
