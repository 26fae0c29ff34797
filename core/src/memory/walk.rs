//! Everything that a file system in memory holds, in byte order of full paths.

use std::collections::BTreeMap;
use std::fmt;

use super::{Data, InodeId, MemoryFs, Stat};
use crate::entry::EntryPath;

impl<C> MemoryFs<C> {
    /// Goes through all names, the root first, in byte order of their full paths: `a`, `a-b`,
    /// `a/b`, `ab`, because `-` sorts before `/`.
    #[must_use]
    pub fn walk(&self) -> Walk<'_, C> {
        let root = Event { name: b"", inode: InodeId::ROOT, turn: Turn::Name };
        Walk { fs: self, open: vec![(vec![root].into_iter(), 0)], path: Vec::new(), firsts: BTreeMap::new() }
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
    /// The first name of each inode that has several.
    firsts: BTreeMap<InodeId, EntryPath>,
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
                    return Some(self.walked(event.inode, EntryPath::root()));
                }
                Turn::Name => {
                    let path = EntryPath::clean(&self.path).expect("names in the tree are safe components");
                    return Some(self.walked(event.inode, path));
                }
            }
        }
    }
}

impl<'f, C> Walk<'f, C> {
    fn walked(&mut self, inode: InodeId, path: EntryPath) -> Walked<'f> {
        let stat = self.fs.inode(inode).stat();
        let mut hard_link_to = None;
        if stat.links > 1 {
            hard_link_to = self.firsts.get(&inode).cloned();
            self.firsts.entry(inode).or_insert_with(|| path.clone());
        }
        Walked { path, stat, hard_link_to }
    }
}

impl<C> fmt::Debug for Walk<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Walk").field("path", &self.path.escape_ascii().to_string()).finish_non_exhaustive()
    }
}
