//! Which part of the tree the file system sees.
//!
//! The tree tracks everything, the file system sees what lies at or under a selected path, and the
//! directories and symlinks on the way there. Two things show only once all layers were applied:
//! where a selected path leads over symlinks, and which selected hard links name what was not
//! selected. Their content has gone by then, so that a second pass is made, with a selection that
//! has grown by them. It never takes a third: where paths lead does not depend on the selection,
//! and a link's origins are added with the origins of those.

use std::collections::BTreeMap;

use super::node::{Kind, Node, Presence};
use super::resolve::{Resolved, Stop};
use super::{NodeId, Origin, OriginId, Tree, TreeError};
use crate::entry::EntryPath;

/// The paths of a tree that are wanted.
///
/// ```
/// use oci_fetcher_core::{entry::EntryPath, tree::Selection};
///
/// let selection = Selection::paths([EntryPath::clean(b"usr/bin")?]);
/// assert!(selection.covers(&EntryPath::clean(b"usr/bin/env")?));
/// assert!(!selection.covers(&EntryPath::clean(b"usr")?));
/// # Ok::<(), oci_fetcher_core::entry::PathError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Selection {
    /// The ways to the selected paths; the first is the root.
    ways: Vec<Way>,
    /// What the caller asked for.
    asked: Vec<EntryPath>,
}

/// A component on the way to a selected path, or its end.
#[derive(Clone, Debug, Default)]
struct Way {
    next: BTreeMap<Box<[u8]>, u32>,
    /// All that lies here is wanted.
    wanted: bool,
    /// Something wanted lies here or below.
    leads_to_wanted: bool,
    /// A file that lies here is needed to make hard links to it.
    helper: bool,
}

/// Where a path leads.
struct Trace {
    symlinks: Vec<NodeId>,
    end: NodeId,
}

/// Where a node lies to a selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// At or under a wanted path.
    Whole,
    /// On a way, which has this number.
    On(u32),
    /// Elsewhere.
    Outside,
}

impl Default for Selection {
    fn default() -> Self {
        Self::everything()
    }
}

impl Selection {
    /// Selects the whole tree.
    #[must_use]
    pub fn everything() -> Self {
        Self::paths([EntryPath::root()])
    }

    /// Selects these paths with all that lies below them; none at all selects everything.
    ///
    /// Where a path leads over symlinks, the symlinks and what they lead to are selected.
    #[must_use]
    pub fn paths(paths: impl IntoIterator<Item = EntryPath>) -> Self {
        let mut asked: Vec<EntryPath> = paths.into_iter().collect();
        if asked.is_empty() {
            asked.push(EntryPath::root());
        }
        let mut selection = Self { ways: vec![Way::default()], asked: Vec::new() };
        for path in &asked {
            selection.want(path);
        }
        Self { asked, ..selection }
    }

    /// Tells whether the whole tree is selected.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.ways[0].wanted
    }

    /// Tells whether a path, taken literally, lies at or under one that is selected.
    #[must_use]
    pub fn covers(&self, path: &EntryPath) -> bool {
        match self.scope(path) {
            Scope::Whole => true,
            Scope::On(way) => self.ways[way as usize].helper,
            Scope::Outside => false,
        }
    }

    pub(super) fn root_scope(&self) -> Scope {
        if self.is_everything() { Scope::Whole } else { Scope::On(0) }
    }

    /// Returns where a name in a directory lies.
    pub(super) fn below(&self, directory: Scope, name: &[u8]) -> Scope {
        let Scope::On(way) = directory else { return directory };
        match self.ways[way as usize].next.get(name) {
            Some(&next) if self.ways[next as usize].wanted => Scope::Whole,
            Some(&next) => Scope::On(next),
            None => Scope::Outside,
        }
    }

    /// Tells whether the file system sees something of this kind.
    pub(super) fn shows(&self, scope: Scope, kind: &Kind) -> bool {
        match scope {
            Scope::Whole => true,
            Scope::Outside => false,
            Scope::On(way) => match kind {
                Kind::Directory(_) => way == 0 || !self.ways[way as usize].next.is_empty(),
                Kind::Symlink(_) => true,
                Kind::File | Kind::Special => self.ways[way as usize].helper,
                Kind::Vacant => false,
            },
        }
    }

    /// Tells whether something wanted lies at a way's end or beside it.
    pub(super) fn leads_to_wanted(&self, way: u32) -> bool {
        self.ways[way as usize].leads_to_wanted
    }

    /// Returns the names by which a way goes on.
    pub(super) fn names(&self, way: u32) -> impl Iterator<Item = &[u8]> {
        self.ways[way as usize].next.keys().map(AsRef::as_ref)
    }

    /// Tells whether what stands at a path stays in the file system.
    fn keeps(&self, path: &EntryPath, kind: &Kind) -> bool {
        match self.scope(path) {
            Scope::Whole => true,
            scope @ Scope::On(way) => self.leads_to_wanted(way) && self.shows(scope, kind),
            Scope::Outside => false,
        }
    }

    fn scope(&self, path: &EntryPath) -> Scope {
        path.components().fold(self.root_scope(), |scope, name| self.below(scope, name))
    }

    /// Adds a path with all that lies below it.
    fn want(&mut self, path: &EntryPath) {
        let end = self.lay(path, |way| way.leads_to_wanted = true);
        end.wanted = true;
    }

    /// Adds what hard links to this very path need.
    fn help(&mut self, path: &EntryPath) {
        self.lay(path, |_| {}).helper = true;
    }

    /// Makes the way to a path, touching each part of it, and returns its end.
    fn lay(&mut self, path: &EntryPath, touch: impl Fn(&mut Way)) -> &mut Way {
        let mut at = 0;
        touch(&mut self.ways[at]);
        for name in path.components() {
            at = match self.ways[at].next.get(name) {
                Some(&next) => next as usize,
                None => {
                    let next = self.ways.len();
                    let number = u32::try_from(next).expect("memory ends before 2^32 components");
                    self.ways[at].next.insert(name.into(), number);
                    self.ways.push(Way::default());
                    next
                }
            };
            touch(&mut self.ways[at]);
        }
        &mut self.ways[at]
    }
}

impl Tree {
    /// Returns the selection with which all layers must be applied again to an empty file system,
    /// or `None` if this pass has shown all that is selected.
    ///
    /// # Errors
    /// [`TreeError::PathNotFound`] if the tree does not have a path that was asked for,
    /// [`TreeError::TooManySymlinks`] and [`TreeError::ParentNotDirectory`] if it leads nowhere.
    pub fn grown_selection(&self) -> Result<Option<Selection>, TreeError> {
        if self.selection.is_everything() {
            return Ok(None);
        }
        let mut grown = self.selection.clone();
        let mut has_grown = false;
        for path in &self.selection.asked {
            let Trace { symlinks, end } = self.trace(path)?;
            let unseen = symlinks.into_iter().filter(|&symlink| {
                let Node { kind, scope, .. } = self.nodes.at(symlink);
                !self.selection.shows(*scope, kind)
            });
            let beyond = Some(end).filter(|&end| self.nodes.at(end).scope != Scope::Whole);
            for node in unseen.chain(beyond) {
                grown.want(&self.place(node).path());
                has_grown = true;
            }
        }
        let mut added = vec![false; self.origins.len()];
        for node in self.nodes.ids() {
            let Node { presence, kind, origin: Some(origin), .. } = self.nodes.at(node) else { continue };
            if *presence != Presence::Outside || !grown.keeps(&self.place(node).path(), kind) {
                continue;
            }
            let mut next = Some(*origin);
            while let Some(id) = next
                && !std::mem::replace(&mut added[id.index()], true)
            {
                let origin = &self.origins[id.index()];
                if !grown.covers(&origin.path) {
                    grown.help(&origin.path);
                    has_grown = true;
                }
                next = origin.earlier;
            }
        }
        Ok(has_grown.then_some(grown))
    }

    /// Follows a path to its end. A last symlink that leads nowhere is the end itself.
    fn trace(&self, path: &EntryPath) -> Result<Trace, TreeError> {
        let missing = || TreeError::PathNotFound { path: path.clone() };
        let mut components = path.components();
        let Some(name) = components.next_back() else {
            return Ok(Trace { symlinks: Vec::new(), end: NodeId::ROOT });
        };
        let mut symlinks = Vec::new();
        let parent = match self.resolve(components, Some(&mut symlinks)) {
            Ok(parent) => parent,
            Err(Stop::NotDirectory(_) | Stop::EndsAt(_)) => return Err(missing()),
            Err(stop @ Stop::TooManySymlinks) => return Err(self.refuse(path, stop)),
        };
        let named = self.existing(&parent, name).ok_or_else(missing)?;
        let Kind::Symlink(_) = self.nodes.at(named).kind else { return Ok(Trace { symlinks, end: named }) };
        let mut further = Vec::new();
        match self.resolve(path.components(), Some(&mut further)) {
            Ok(Resolved { at, missing }) if missing.is_empty() => Ok(Trace { symlinks: further, end: at }),
            Err(Stop::EndsAt(end)) => Ok(Trace { symlinks: further, end }),
            Ok(_) | Err(Stop::NotDirectory(_) | Stop::TooManySymlinks) => Ok(Trace { symlinks, end: named }),
        }
    }

    /// Tells whether what an entry's path names, or will name, is wanted.
    pub(crate) fn selects(&self, path: &EntryPath) -> bool {
        let mut components = path.components();
        let (Some(name), false) = (components.next_back(), self.selection.is_everything()) else {
            return self.selection.is_everything();
        };
        let Ok(Resolved { at, missing }) = self.resolve(components, None) else { return false };
        let names = missing.iter().map(AsRef::as_ref).chain([name]);
        names.fold(self.nodes.at(at).scope, |scope, name| self.selection.below(scope, name)) == Scope::Whole
    }

    /// Notes what a hard link is made from, while the selection may have to grow by it.
    pub(super) fn origin_of(&mut self, target: NodeId) -> Option<OriginId> {
        if self.selection.is_everything() {
            return None;
        }
        let origin = Origin { path: self.place(target).path(), earlier: self.nodes.at(target).origin };
        self.origin_bytes += (size_of::<Origin>() + origin.path.as_bytes().len()) as u64;
        self.origins.push(origin);
        Some(OriginId::last_of(&self.origins))
    }
}

impl OriginId {
    fn last_of(origins: &[Origin]) -> Self {
        let number = u32::try_from(origins.len()).ok().and_then(std::num::NonZeroU32::new);
        Self(number.expect("memory ends before 2^32 hard links, and one was just noted"))
    }

    fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}
