//! Everything that a file system in memory holds, in byte order of full paths.

use std::collections::BTreeMap;
use std::fmt;

use super::{Data, InodeId, Kind, MemoryFs, Stat};
use crate::entry::{EntryKind, EntryPath};
use crate::fs::Special;

impl<C> MemoryFs<C> {
    /// Goes through all names, the root first, in byte order of their full paths: `a`, `a-b`,
    /// `a/b`, `ab`, because `-` sorts before `/`.
    #[must_use]
    pub fn walk(&self) -> Walk<'_, C> {
        self.walk_from_root(Firsts::Learned(FirstNames::default()))
    }

    /// Goes on with a [`walk`](Self::walk) after a path, which need not exist; `None` begins it.
    ///
    /// For those who cannot keep an iterator: with the same `firsts`, pieces of a walk are what
    /// the whole is.
    #[must_use]
    pub fn walk_after<'f>(&'f self, after: Option<&EntryPath>, firsts: &'f FirstNames) -> Walk<'f, C> {
        let Some(after) = after else { return self.walk_from_root(Firsts::Known(firsts)) };
        let after = after.as_bytes();
        let mut walk = Walk { fs: self, open: Vec::new(), path: Vec::new(), firsts: Firsts::Known(firsts) };
        let mut directory = Some(InodeId::ROOT);
        while let Some(inode) = directory.take() {
            let length = walk.path.len();
            let mut events = self.events(inode);
            let rest = &after[length..];
            let passed = events.partition_point(|event| event.bytes().le(rest));
            // What lies below a name that the path goes through is passed only in part.
            if let Some(Event { name, inode, turn: Turn::Below }) = events[..passed].last()
                && rest.strip_prefix(*name).is_some_and(|below| below.starts_with(b"/"))
            {
                walk.path.extend_from_slice(name);
                walk.path.push(b'/');
                directory = Some(*inode);
            }
            walk.open.push((events.split_off(passed).into_iter(), length));
        }
        walk
    }

    /// Returns the first names, in the order of a walk, of everything that has several.
    #[must_use]
    pub fn first_names(&self) -> FirstNames {
        let mut walk = self.walk();
        walk.by_ref().for_each(drop);
        match walk.firsts {
            Firsts::Learned(firsts) => firsts,
            Firsts::Known(firsts) => firsts.clone(),
        }
    }

    fn walk_from_root<'f>(&'f self, firsts: Firsts<'f>) -> Walk<'f, C> {
        let root = Event { name: b"", inode: InodeId::ROOT, turn: Turn::Name };
        Walk { fs: self, open: vec![(vec![root].into_iter(), 0)], path: Vec::new(), firsts }
    }

    /// Lists what happens in a directory, in the order of the paths that come of it.
    fn events(&self, directory: InodeId) -> Vec<Event<'_>> {
        let Data::Directory(children) = &self.inode(directory).data else { return Vec::new() };
        let mut events = Vec::with_capacity(children.len());
        for (name, &inode) in children {
            events.push(Event { name, inode, turn: Turn::Name });
            if let Data::Directory(below) = &self.inode(inode).data
                && !below.is_empty()
            {
                events.push(Event { name, inode, turn: Turn::Below });
            }
        }
        events.sort_by(|left, right| left.bytes().cmp(right.bytes()));
        events
    }
}

/// The names of a [`MemoryFs`] in byte order of their full paths; made by [`MemoryFs::walk`].
pub struct Walk<'f, C> {
    fs: &'f MemoryFs<C>,
    /// The directories that are open, with the length of their paths.
    open: Vec<(std::vec::IntoIter<Event<'f>>, usize)>,
    /// Of the innermost open directory, with a slash at the end, and maybe a name.
    path: Vec<u8>,
    firsts: Firsts<'f>,
}

/// The first name of everything that has several, in the order of a walk.
#[derive(Clone, Debug, Default)]
pub struct FirstNames(BTreeMap<InodeId, EntryPath>);

impl FirstNames {
    /// Returns the first name of what stands at a path; `None` if that is the first, or the only one.
    #[must_use]
    pub fn before(&self, path: &EntryPath, inode: InodeId) -> Option<&EntryPath> {
        self.0.get(&inode).filter(|&first| first != path)
    }
}

enum Firsts<'f> {
    /// By this very walk, as far as it has come.
    Learned(FirstNames),
    Known(&'f FirstNames),
}

/// One name of a [`MemoryFs`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walked<'f> {
    /// The path.
    pub path: EntryPath,
    /// What stands there.
    pub stat: Stat<'f>,
    /// The first path in this order that names the same thing, unless this is the first.
    pub hard_link_to: Option<EntryPath>,
}

impl Walked<'_> {
    /// Returns what a tar's entry for the name is: every name of a file but its first is a hard link.
    #[must_use]
    pub fn entry_kind(&self) -> EntryKind {
        match (self.stat.kind, &self.hard_link_to) {
            (Kind::File(_) | Kind::Symlink { .. } | Kind::Special(_), Some(target)) => {
                EntryKind::HardLink { target: target.clone() }
            }
            (Kind::File(content), None) => EntryKind::File { size: content.size },
            (Kind::Directory, _) => EntryKind::Directory,
            (Kind::Symlink { target }, None) => EntryKind::Symlink { target: target.into() },
            (Kind::Special(Special::Fifo), None) => EntryKind::Fifo,
            (Kind::Special(Special::CharacterDevice(number)), None) => EntryKind::CharacterDevice(number),
            (Kind::Special(Special::BlockDevice(number)), None) => EntryKind::BlockDevice(number),
        }
    }
}

/// A name in a directory is passed twice: for itself, and for what lies below it.
struct Event<'f> {
    name: &'f [u8],
    inode: InodeId,
    turn: Turn,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Name,
    Below,
}

impl Event<'_> {
    /// Returns what paths of this event begin with.
    fn bytes(&self) -> impl Iterator<Item = &u8> {
        let slash: &[u8] = match self.turn {
            Turn::Name => b"",
            Turn::Below => b"/",
        };
        self.name.iter().chain(slash)
    }
}

impl<'f, C> Iterator for Walk<'f, C> {
    type Item = Walked<'f>;

    fn next(&mut self) -> Option<Walked<'f>> {
        loop {
            let (events, length) = self.open.last_mut()?;
            self.path.truncate(*length);
            let Some(event) = events.next() else {
                self.open.pop();
                continue;
            };
            self.path.extend_from_slice(event.name);
            match event.turn {
                Turn::Below => {
                    self.path.push(b'/');
                    self.open.push((self.fs.events(event.inode).into_iter(), self.path.len()));
                }
                Turn::Name if event.inode == InodeId::ROOT => {
                    self.open.push((self.fs.events(event.inode).into_iter(), 0));
                    return self.walked(event.inode, EntryPath::root());
                }
                Turn::Name => {
                    let path = EntryPath::clean(&self.path).expect("names in the tree are safe components");
                    return self.walked(event.inode, path);
                }
            }
        }
    }
}

impl<'f, C> Walk<'f, C> {
    /// Tells of a name, which always leads to something.
    fn walked(&mut self, inode: InodeId, path: EntryPath) -> Option<Walked<'f>> {
        let stat = self.fs.stat_inode(inode)?;
        let mut hard_link_to = None;
        if stat.links > 1 {
            let firsts = match &mut self.firsts {
                Firsts::Learned(firsts) => {
                    firsts.0.entry(inode).or_insert_with(|| path.clone());
                    &*firsts
                }
                Firsts::Known(firsts) => *firsts,
            };
            hard_link_to = firsts.before(&path, inode).cloned();
        }
        Some(Walked { path, stat, hard_link_to })
    }
}

impl<C> fmt::Debug for Walk<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Walk").field("path", &self.path.escape_ascii().to_string()).finish_non_exhaustive()
    }
}
