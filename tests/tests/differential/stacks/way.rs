//! Where a path leads in a tree, told without the code that is tested.

use oci_fetcher_core::entry::EntryPath;
use oci_fetcher_core::memory::{Kind, MemoryFs};

/// Where the components of a path lead.
#[derive(Clone, Debug, Default)]
pub(crate) struct Way {
    /// The end, free of symlinks; it need not exist.
    pub(crate) end: Vec<u8>,
    /// Every place on the way, links too, each free of symlinks up to its last component.
    pub(crate) places: Vec<Vec<u8>>,
    /// Those of them that are symlinks.
    pub(crate) links: Vec<Vec<u8>>,
    /// Whether a symlink leads to what does not exist.
    pub(crate) dangles: bool,
}

impl Way {
    /// Follows all components, symlinks inside the root; `None` for a circle, or where something on
    /// the way is neither a directory nor missing.
    pub(crate) fn of(fs: &MemoryFs, path: &[u8]) -> Option<Self> {
        let mut way = Self::default();
        let mut ahead: Vec<(Vec<u8>, bool)> = components(path).map(|name| (name.to_vec(), false)).rev().collect();
        let mut followed = 0;
        while let Some((name, from_link)) = ahead.pop() {
            if name == b".." {
                let parent = way.end.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
                way.end.truncate(parent);
                continue;
            }
            let place = join(&way.end, &name);
            way.places.push(place.clone());
            match fs.stat(&clean(&place)).map(|stat| stat.kind) {
                None => {
                    way.dangles |= from_link;
                    way.end = place;
                }
                Some(Kind::Directory) => way.end = place,
                Some(Kind::Symlink { target }) => {
                    followed += 1;
                    if followed > 30 {
                        return None;
                    }
                    way.links.push(place);
                    if target.starts_with(b"/") {
                        way.end.clear();
                    }
                    ahead.extend(components(target).map(|name| (name.to_vec(), true)).rev().collect::<Vec<_>>());
                }
                Some(Kind::File(_) | Kind::Special(_)) => return None,
            }
        }
        Some(way)
    }
}

fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|name| !matches!(*name, b"" | b"."))
}

pub(crate) fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() { name.to_vec() } else { [directory, name].join(&b'/') }
}

/// Splits a path into directory and name.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

/// Makes a path for the core; the empty one is the root.
pub(crate) fn clean(path: &[u8]) -> EntryPath {
    if path.is_empty() { EntryPath::root() } else { EntryPath::clean(path).expect("only safe paths are planned") }
}
