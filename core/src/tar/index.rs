//! Where the members of a plain tar lie, for archives that are read in place (`oci-archive:`,
//! `docker-archive:`).

use std::collections::BTreeMap;

use super::{TarError, TarEvent, TarReader};
use crate::entry::{EntryKind, EntryPath};
use crate::limits::Limits;

/// Builds a [`TarIndex`] from a tar that is pushed through it.
///
/// ```
/// # use oci_fetcher_core::entry::{EntryKind, EntryPath, Metadata};
/// # use oci_fetcher_core::limits::Limits;
/// use oci_fetcher_core::tar::{TarIndexer, write};
///
/// let name = EntryPath::clean(b"./oci-layout")?;
/// let mut tar = Vec::new();
/// write::header(&name, &EntryKind::File { size: 2 }, &Metadata::IMPLIED, &mut tar);
/// let mut indexer = TarIndexer::new(&Limits::default());
/// let skippable = indexer.push(&tar)?;
/// assert_eq!(skippable, 2);
/// indexer.skip(skippable);
/// let mut rest = Vec::new();
/// write::padding(2, &mut rest);
/// indexer.push(&rest)?;
/// let location = indexer.finish()?.locate(&name).expect("it is there");
/// assert_eq!((location.offset, location.size), (512, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TarIndexer {
    reader: TarReader,
    members: BTreeMap<EntryPath, Member>,
}

/// Where a file's content lies in the tar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TarLocation {
    /// Bytes from the tar's start.
    pub offset: u64,
    /// Bytes of content.
    pub size: u64,
}

impl TarIndexer {
    /// Starts at the first byte of a tar.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self { reader: TarReader::new(limits), members: BTreeMap::new() }
    }

    /// Consumes all of `input`, and returns how many of the bytes after it are content, which need
    /// not be pushed but may be [skipped](Self::skip).
    ///
    /// # Errors
    /// Those of [`TarReader::step`].
    pub fn push(&mut self, mut input: &[u8]) -> Result<u64, TarError> {
        loop {
            match self.reader.step(&mut input)? {
                TarEvent::NeedInput => return Ok(self.reader.content_ahead()),
                TarEvent::Entry(entry) => {
                    let member = match entry.kind {
                        EntryKind::File { size } if size == self.reader.content_ahead() => {
                            Member::File(TarLocation { offset: self.reader.position, size })
                        }
                        EntryKind::Symlink { target } => Member::link(&entry.path, &target),
                        EntryKind::HardLink { target } => Member::Link(target),
                        EntryKind::File { .. }
                        | EntryKind::Directory
                        | EntryKind::Fifo
                        | EntryKind::CharacterDevice(_)
                        | EntryKind::BlockDevice(_)
                        | EntryKind::Whiteout
                        | EntryKind::Opaque => Member::Other,
                    };
                    self.members.insert(entry.path, member);
                }
                TarEvent::Data { .. } | TarEvent::FileEnd | TarEvent::Skipped(_) => {}
            }
        }
    }

    /// Passes over `bytes` bytes of content that are not pushed: at most as many as the last
    /// [`push`](Self::push) returned; more count for nothing. Only the caller knows that they are
    /// there.
    pub fn skip(&mut self, bytes: u64) {
        self.reader.skip_content(bytes);
    }

    /// Ends the tar.
    ///
    /// # Errors
    /// Those of [`TarReader::finish`].
    pub fn finish(self) -> Result<TarIndex, TarError> {
        self.reader.finish()?;
        Ok(TarIndex { members: self.members })
    }
}

/// The members of a tar by name; of equal names the last counts.
#[derive(Clone, Debug)]
pub struct TarIndex {
    members: BTreeMap<EntryPath, Member>,
}

impl TarIndex {
    /// Returns where the file at `path` lies. A symbolic or hard link is followed once: `docker save`
    /// writes links for layers that repeat. A sparse file is not found.
    #[must_use]
    pub fn locate(&self, path: &EntryPath) -> Option<TarLocation> {
        match self.members.get(path)? {
            Member::File(location) => Some(*location),
            Member::Link(target) => match self.members.get(target)? {
                Member::File(location) => Some(*location),
                Member::Link(_) | Member::Other => None,
            },
            Member::Other => None,
        }
    }

    /// Iterates over the names of files and links, in byte order.
    pub fn paths(&self) -> impl Iterator<Item = &EntryPath> {
        self.members.iter().filter(|(_, member)| !matches!(member, Member::Other)).map(|(path, _)| path)
    }
}

#[derive(Clone, Debug)]
enum Member {
    File(TarLocation),
    Link(EntryPath),
    Other,
}

impl Member {
    /// Resolves a symbolic link's target lexically; one that leads out leads nowhere.
    fn link(path: &EntryPath, target: &[u8]) -> Self {
        let directory = path.split_last().map(|(directory, _)| directory);
        let target = match directory {
            Some(directory) if !target.starts_with(b"/") => [directory.as_bytes(), target].join(&b'/'),
            Some(_) | None => target.to_vec(),
        };
        EntryPath::clean(&target).map_or(Self::Other, Self::Link)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Metadata;
    use crate::tar::write;

    fn path(name: &str) -> EntryPath {
        EntryPath::clean(name.as_bytes()).expect("a safe name")
    }

    /// A docker archive: two files, links between them, links that lead out or nowhere.
    fn archive() -> Vec<u8> {
        let mut tar = Vec::new();
        let symlink = |target: &str| EntryKind::Symlink { target: target.as_bytes().into() };
        for (name, kind) in [
            ("a", EntryKind::Directory),
            ("a/layer.tar", EntryKind::File { size: 1000 }),
            ("b/layer.tar", symlink("../a/layer.tar")),
            ("c/layer.tar", EntryKind::HardLink { target: path("a/layer.tar") }),
            ("d", symlink("/a/layer.tar")),
            ("out", symlink("../a/layer.tar")),
            ("two", symlink("d")),
            ("loop", symlink("loop")),
            ("manifest.json", EntryKind::File { size: 512 }),
            ("empty", EntryKind::File { size: 0 }),
            ("a/layer.tar", EntryKind::File { size: 700 }),
        ] {
            write::header(&path(name), &kind, &Metadata::IMPLIED, &mut tar);
            if let EntryKind::File { size } = kind {
                tar.extend(std::iter::repeat_n(b'x', size.try_into().expect("small")));
                write::padding(size, &mut tar);
            }
        }
        write::trailer(&mut tar);
        tar
    }

    #[test]
    fn finds_files_and_follows_one_link() {
        let tar = archive();
        for (chunk, skips) in [(tar.len(), false), (1, false), (7, true), (512, true), (513, true)] {
            let mut indexer = TarIndexer::new(&Limits::default());
            let (mut at, mut pushed) = (0, 0);
            while at < tar.len() {
                let end = tar.len().min(at + chunk);
                let ahead = usize::try_from(indexer.push(&tar[at..end]).expect("a sound tar")).expect("small");
                pushed += end - at;
                at = end;
                if skips {
                    // In two parts, since hosts may skip less than they can.
                    indexer.skip((ahead / 2) as u64);
                    indexer.skip((ahead - ahead / 2) as u64);
                    at += ahead;
                }
            }
            assert!(!skips || pushed <= tar.len() - 2 * (512 - 7), "content was pushed");
            let index = indexer.finish().expect("a sound tar");
            let layer = index.locate(&path("a/layer.tar")).expect("the last of two");
            assert_eq!(layer.size, 700);
            assert_eq!(&tar[usize::try_from(layer.offset).expect("small")..][..701], [&[b'x'; 700][..], &[0]].concat());
            for link in ["b/layer.tar", "c/layer.tar", "d"] {
                assert_eq!(index.locate(&path(link)), Some(layer), "{link}");
            }
            assert_eq!(index.locate(&path("manifest.json")).map(|location| location.size), Some(512));
            assert_eq!(index.locate(&path("empty")).map(|location| location.size), Some(0));
            for nothing in ["a", "out", "two", "loop", "nothing"] {
                assert_eq!(index.locate(&path(nothing)), None, "{nothing}");
            }
            assert_eq!(index.paths().count(), 8);
        }
    }
}
