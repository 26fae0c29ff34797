//! Open directories, by node: opened without following a link, kept open in a bounded number.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use oci_fetcher_core::tree::{NodeId, Place};
use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

/// The root's handle and a cache of handles below it.
#[derive(Debug)]
pub(super) struct Handles {
    root: Arc<OwnedFd>,
    resolver: Resolver,
    /// Where each cached node's slot is.
    index: HashMap<NodeId, usize>,
    slots: Vec<Slot>,
    /// The slot that is looked at first when one must go.
    hand: usize,
}

#[derive(Debug)]
struct Slot {
    node: NodeId,
    directory: Arc<OwnedFd>,
    /// Whether it was used since the hand last passed: it is spared once.
    used: bool,
}

impl Handles {
    pub(super) fn new(root: OwnedFd, resolver: Resolver) -> Self {
        Self { root: Arc::new(root), resolver, index: HashMap::new(), slots: Vec::new(), hand: 0 }
    }

    /// Returns the open directory that holds `at`'s name.
    pub(super) fn parent(&mut self, at: &Place<'_>) -> Result<Arc<OwnedFd>, Errno> {
        if let Some(directory) = self.cached(at.parent()) {
            return Ok(directory);
        }
        let mut base = Arc::clone(&self.root);
        let mut missing = Vec::new();
        for ancestor in at.ancestors() {
            if let Some(directory) = self.cached(ancestor.node()) {
                base = directory;
                break;
            }
            missing.push((ancestor.node(), ancestor.name()));
        }
        let mut path = Vec::new();
        let mut components = 0;
        while let Some((node, name)) = missing.pop() {
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name);
            components += 1;
            let room = missing.last().is_some_and(|(_, next)| path.len() + 1 + next.len() < PATH_BYTES);
            if components < STRIDE && room {
                continue;
            }
            base = Arc::new(self.open(&base, &path)?);
            self.keep(node, &base);
            path.clear();
            components = 0;
        }
        Ok(base)
    }

    /// Returns `at` itself, an open directory.
    pub(super) fn directory(&mut self, at: &Place<'_>) -> Result<Arc<OwnedFd>, Errno> {
        if let Some(directory) = self.cached(at.node()) {
            return Ok(directory);
        }
        let parent = self.parent(at)?;
        Ok(Arc::new(self.open(&parent, at.name())?))
    }

    /// Closes a node's handle: its directory goes away, or will not be needed again.
    pub(super) fn forget(&mut self, node: NodeId) {
        let Some(slot) = self.index.remove(&node) else { return };
        self.slots.swap_remove(slot);
        if let Some(moved) = self.slots.get(slot) {
            self.index.insert(moved.node, slot);
        }
    }

    /// Closes every handle but the root's: descriptors are needed elsewhere.
    pub(super) fn clear(&mut self) {
        self.index.clear();
        self.slots.clear();
    }

    fn cached(&mut self, node: NodeId) -> Option<Arc<OwnedFd>> {
        if node == NodeId::ROOT {
            return Some(Arc::clone(&self.root));
        }
        let slot = &mut self.slots[*self.index.get(&node)?];
        slot.used = true;
        Some(Arc::clone(&slot.directory))
    }

    fn open(&mut self, base: &OwnedFd, path: &[u8]) -> Result<OwnedFd, Errno> {
        let opened = self.resolver.open(base.as_fd(), path);
        if !matches!(opened, Err(Errno::MFILE | Errno::NFILE)) || self.slots.is_empty() {
            return opened;
        }
        self.clear();
        self.resolver.open(base.as_fd(), path)
    }

    fn keep(&mut self, node: NodeId, directory: &Arc<OwnedFd>) {
        let slot = Slot { node, directory: Arc::clone(directory), used: true };
        if self.slots.len() < OPEN_DIRECTORIES {
            self.index.insert(node, self.slots.len());
            self.slots.push(slot);
            return;
        }
        loop {
            self.hand = (self.hand + 1) % self.slots.len();
            let candidate = &mut self.slots[self.hand];
            if std::mem::take(&mut candidate.used) {
                continue;
            }
            self.index.remove(&candidate.node);
            *candidate = slot;
            self.index.insert(node, self.hand);
            return;
        }
    }
}

/// Handles kept open beside the root's. A layer's entries are sorted closely enough that more gain
/// nothing, and this leaves room below the usual limits (256 descriptors on macOS, 1024 on Linux).
pub(super) const OPEN_DIRECTORIES: usize = 128;

/// Components opened in one go. The last of each go is cached, so that a walk up a deep chain,
/// as metadata is applied, never opens more than this many components again.
const STRIDE: usize = 64;

/// Below `PATH_MAX` with its NUL on every Unix (1,024 on macOS); a single name is at most 255.
const PATH_BYTES: usize = 1_000;

/// How a directory below another is reached without following a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resolver {
    /// One `openat2` for the whole path (Linux 5.6 and later).
    #[cfg(any(target_os = "linux", target_os = "android"))]
    Openat2,
    /// One `openat` with `O_NOFOLLOW` for each component.
    Walk,
}

impl Resolver {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) const BEST: Self = Self::Openat2;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(super) const BEST: Self = Self::Walk;

    /// Opens a directory by a relative path of plain names; falls back for good where the kernel
    /// or a sandbox's filter does not know `openat2`.
    pub(super) fn open(&mut self, base: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
        match self {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Self::Openat2 => match openat2(base, path, rustix::fs::ResolveFlags::empty()) {
                Err(Errno::NOSYS | Errno::PERM | Errno::TOOBIG | Errno::INVAL) => {
                    *self = Self::Walk;
                    walk(base, path)
                }
                // A rename at the same time made the kernel unsure, again and again.
                Err(Errno::AGAIN) => walk(base, path),
                opened => opened,
            },
            Self::Walk => walk(base, path),
        }
    }
}

/// What every directory is opened with: readable, so that its own metadata can be set through it.
pub(super) const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens a directory below `base`, beneath which the path stays, through directories alone.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn openat2(base: BorrowedFd<'_>, path: &[u8], further: rustix::fs::ResolveFlags) -> Result<OwnedFd, Errno> {
    use rustix::fs::ResolveFlags;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | further;
    let mut attempts = 0;
    loop {
        attempts += 1;
        match retry_on_intr(|| rustix::fs::openat2(base, path, DIRECTORY, Mode::empty(), resolve)) {
            Err(Errno::AGAIN) if attempts < ATTEMPTS => {}
            opened => return opened,
        }
    }
}

/// Tries of an `openat2` that a rename elsewhere disturbs.
#[cfg(any(target_os = "linux", target_os = "android"))]
const ATTEMPTS: u32 = 8;

fn walk(base: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
    let mut components = path.split(|&byte| byte == b'/');
    let step =
        |base: BorrowedFd<'_>, name: &[u8]| retry_on_intr(|| rustix::fs::openat(base, name, DIRECTORY, Mode::empty()));
    let mut directory = step(base, components.next().unwrap_or_default())?;
    for name in components {
        directory = step(directory.as_fd(), name)?;
    }
    Ok(directory)
}
