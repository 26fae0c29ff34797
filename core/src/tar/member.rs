//! From a header and what extends it to one checked entry.
//!
//! Deviations from POSIX, as the runtimes that consume layers read them:
//! - Only regular files have content, whatever size a header of another type gives.
//! - Old archives' directories (no type flag, a name ending in `/`) are directories; a regular file
//!   by flag is one, whatever its name ends in.
//! - A number that a pax record gives is not read from the header, where it may not fit.

use std::borrow::Cow;
use std::vec;

use super::error::TarError;
use super::gnu::BlockMap;
use super::header::{BLOCK, Checked, MemberKind};
use super::pax::PaxRecords;
use super::sparse::{Extents, PaxSparseMap, TextMap};
use crate::entry::{DeviceNumber, Entry, EntryKind, EntryPath, Mark, Metadata, Timestamp, Xattr, XattrPolicy};
use crate::limits::Limits;
use crate::report::{Reason, Skipped, What};

/// What extension headers say about the member that follows them.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    /// How many there were, global ones included.
    pub(super) count: u32,
    /// The records of all pax headers, if there was one.
    pub(super) pax: Option<PaxRecords>,
    /// The last `L`.
    pub(super) long_name: Option<Box<[u8]>>,
    /// The last `K`.
    pub(super) long_link: Option<Box<[u8]>>,
}

impl Extensions {
    /// Tells whether they need a member.
    pub(super) fn are_orphans(&self) -> bool {
        self.pax.is_some() || self.long_name.is_some() || self.long_link.is_some()
    }
}

/// A member whose content is still to come.
#[derive(Debug)]
pub(super) struct Member {
    /// Names of the attributes that policy leaves out of the entry.
    pub(super) skipped: vec::IntoIter<Box<[u8]>>,
    /// What it is.
    pub(super) outcome: Outcome,
}

/// What becomes of a member.
#[derive(Debug)]
pub(super) enum Outcome {
    Entry(Entry),
    Skipped(Skipped),
}

/// What follows a member's header.
#[derive(Debug)]
pub(super) enum Content {
    /// Another header.
    Nothing,
    /// Bytes for these extents.
    Stored { extents: Extents, stored: u64 },
    /// Blocks with a sparse file's map, then bytes.
    Unmapped(Map),
}

impl Content {
    /// Ends a map that is complete.
    pub(super) fn from_map(map: Map) -> Result<Self, TarError> {
        let (extents, stored) = match map {
            Map::Gnu(map) => map.finish()?,
            Map::Pax(map) => map.finish()?,
        };
        Ok(Self::Stored { extents, stored })
    }
}

/// A sparse file's map that stands in blocks after the header.
#[derive(Debug)]
pub(super) enum Map {
    /// In binary, in the old GNU format.
    Gnu(BlockMap),
    /// As text, in format 1.0.
    Pax(TextMap),
}

impl Map {
    /// Reads the next block, and tells whether the map is complete.
    pub(super) fn block(&mut self, block: &[u8; BLOCK]) -> Result<bool, TarError> {
        match self {
            Self::Gnu(map) => map.block(block),
            Self::Pax(map) => map.block(block),
        }
    }
}

/// Reads the member that `header` starts.
pub(super) fn read(
    header: &Checked<'_>,
    flag: MemberKind,
    extensions: Extensions,
    limits: &Limits,
) -> Result<(Member, Content), TarError> {
    let reader = Reader { header, position: header.position(), limits };
    let mut pax = extensions.pax.unwrap_or_default();
    let name = reader.name("path", pax.path.take(), extensions.long_name, header.name())?;
    let name = pax.sparse.name().unwrap_or(&name);
    let old_directory = flag == MemberKind::OldRegular && name.ends_with(b"/");
    let flag = if old_directory { MemberKind::Directory } else { flag };
    let path = reader.path(name)?;
    let link = reader.name("linkpath", pax.link_path.take(), extensions.long_link, header.link_name().into())?;
    let (size, content) = reader.content(flag, &mut pax)?;

    header.check_numbers(&pax)?;

    let position = reader.position;
    let marked = |path, kind| Outcome::Entry(Entry { path, kind, metadata: Metadata::IMPLIED });
    let mut skipped = Vec::new();
    let outcome = match Mark::of(&path).map_err(|source| TarError::Whiteout { position, source })? {
        Mark::Whiteout(hidden) => marked(hidden, EntryKind::Whiteout),
        Mark::Opaque(directory) => marked(directory, EntryKind::Opaque),
        Mark::Union => Outcome::Skipped(Skipped { path, what: What::UnionMark, reason: Reason::Policy }),
        Mark::Plain => match reader.kind(flag, size, &link, &pax)? {
            Some(kind) if path.is_root() && kind != EntryKind::Directory => return Err(TarError::Root { position }),
            Some(kind @ EntryKind::HardLink { .. }) => marked(path, kind),
            Some(kind) => Outcome::Entry(Entry { path, kind, metadata: reader.metadata(pax, &mut skipped)? }),
            None => Outcome::Skipped(Skipped { path, what: What::Device, reason: Reason::NotSupported }),
        },
    };
    Ok((Member { skipped: skipped.into_iter(), outcome }, content))
}

struct Reader<'a> {
    header: &'a Checked<'a>,
    position: u64,
    limits: &'a Limits,
}

impl Reader<'_> {
    /// Chooses among a pax record, a GNU long name and the header's own name.
    fn name<'a>(
        &self,
        key: &'static str,
        pax: Option<Box<[u8]>>,
        gnu: Option<Box<[u8]>>,
        header: Cow<'a, [u8]>,
    ) -> Result<Cow<'a, [u8]>, TarError> {
        match (pax, gnu) {
            (Some(pax), Some(gnu)) if pax != gnu => Err(TarError::Conflict { position: self.position, key }),
            (Some(name), Some(_) | None) | (None, Some(name)) => Ok(Cow::Owned(name.into_vec())),
            (None, None) => Ok(header),
        }
    }

    fn path(&self, name: &[u8]) -> Result<EntryPath, TarError> {
        let position = self.position;
        self.at_most(name.len() as u64, "path_bytes", self.limits.path_bytes.into())?;
        let path = EntryPath::clean(name).map_err(|source| TarError::Name { position, source })?;
        self.at_most(path.components().count() as u64, "path_depth", self.limits.path_depth.into())?;
        Ok(path)
    }

    /// Returns the file's size, holes included, and what is stored for it.
    fn content(&self, flag: MemberKind, pax: &mut PaxRecords) -> Result<(u64, Content), TarError> {
        let position = self.position;
        let sparse = std::mem::take(&mut pax.sparse);
        let is_file = matches!(flag, MemberKind::Regular | MemberKind::OldRegular);
        if !is_file && sparse.is_present() {
            return Err(TarError::Sparse { position, reason: "records of a sparse file for another kind of member" });
        }
        if !is_file && flag != MemberKind::GnuSparse {
            // It counts for nothing, but what is no number is no header.
            pax.size.map_or_else(|| self.header.size(), Ok)?;
            return Ok((0, Content::Nothing));
        }
        let stored = pax.size.map_or_else(|| self.header.size(), Ok)?;
        self.at_most(stored, "layer_bytes", self.limits.layer_bytes)?;
        let limit = self.limits.extension_bytes;
        let (size, content) = if flag == MemberKind::GnuSparse {
            let (size, map) = BlockMap::new(self.header, stored, limit)?;
            let complete = map.is_complete();
            let map = Map::Gnu(map);
            (size, if complete { Content::from_map(map)? } else { Content::Unmapped(map) })
        } else if sparse.is_present() {
            match sparse.resolve(position)? {
                PaxSparseMap::Complete { size, map } => {
                    (size, Content::Stored { extents: map.finish(stored)?, stored })
                }
                PaxSparseMap::InContent { size, map } => {
                    (size, Content::Unmapped(Map::Pax(TextMap::new(map, stored, limit))))
                }
            }
        } else {
            (stored, Content::Stored { extents: Extents::whole(stored), stored })
        };
        // Holes cost nothing here, but whoever copies the file may have to write them.
        self.at_most(size, "layer_bytes", self.limits.layer_bytes)?;
        Ok((size, content))
    }

    /// Returns the kind, or `None` for a device whose number no system has.
    fn kind(&self, flag: MemberKind, size: u64, link: &[u8], pax: &PaxRecords) -> Result<Option<EntryKind>, TarError> {
        Ok(Some(match flag {
            MemberKind::Regular | MemberKind::OldRegular | MemberKind::GnuSparse => EntryKind::File { size },
            MemberKind::Directory => EntryKind::Directory,
            MemberKind::HardLink => EntryKind::HardLink { target: self.hard_link_target(link)? },
            MemberKind::Symlink => EntryKind::Symlink { target: self.symlink_target(link)? },
            MemberKind::Fifo => EntryKind::Fifo,
            MemberKind::CharacterDevice => return Ok(self.device(pax)?.map(EntryKind::CharacterDevice)),
            MemberKind::BlockDevice => return Ok(self.device(pax)?.map(EntryKind::BlockDevice)),
        }))
    }

    fn symlink_target(&self, link: &[u8]) -> Result<Box<[u8]>, TarError> {
        self.at_most(link.len() as u64, "path_bytes", self.limits.path_bytes.into())?;
        if link.is_empty() {
            return self.refuse_target("a symbolic link's target is empty");
        }
        if link.contains(&0) {
            return self.refuse_target("a symbolic link's target holds a NUL");
        }
        Ok(link.into())
    }

    fn hard_link_target(&self, link: &[u8]) -> Result<EntryPath, TarError> {
        if link.is_empty() {
            return self.refuse_target("a hard link's target is empty");
        }
        if link.ends_with(b"/") {
            return self.refuse_target("a hard link's target is a directory");
        }
        let target = self.path(link)?;
        if target.is_root() {
            return self.refuse_target("a hard link's target is the root");
        }
        Ok(target)
    }

    fn refuse_target<T>(&self, reason: &'static str) -> Result<T, TarError> {
        Err(TarError::LinkTarget { position: self.position, reason })
    }

    fn device(&self, pax: &PaxRecords) -> Result<Option<DeviceNumber>, TarError> {
        let (major, minor) = self.header.device()?;
        let major = u32::try_from(pax.device_major.unwrap_or(major));
        let minor = u32::try_from(pax.device_minor.unwrap_or(minor));
        Ok(major.ok().zip(minor.ok()).map(|(major, minor)| DeviceNumber { major, minor }))
    }

    fn metadata(&self, pax: PaxRecords, skipped: &mut Vec<Box<[u8]>>) -> Result<Metadata, TarError> {
        let uid = pax.uid.map_or_else(|| self.header.uid(), Ok)?;
        let gid = pax.gid.map_or_else(|| self.header.gid(), Ok)?;
        let mtime = match pax.mtime {
            Some(mtime) => mtime,
            None => Timestamp { seconds: self.header.mtime()?, nanoseconds: 0 },
        };
        let mut xattrs = Vec::new();
        for (name, value) in pax.xattrs {
            match XattrPolicy::of(&name) {
                XattrPolicy::Apply => xattrs.push(Xattr { name, value }),
                XattrPolicy::Skip => skipped.push(name),
            }
        }
        Ok(Metadata {
            mode: self.header.mode()?,
            uid: self.owner(uid, "uid")?,
            gid: self.owner(gid, "gid")?,
            mtime,
            xattrs,
        })
    }

    fn owner(&self, id: u64, field: &'static str) -> Result<u32, TarError> {
        let id = u32::try_from(id).ok().filter(|&id| id != u32::MAX);
        id.ok_or(TarError::Owner { position: self.position, field })
    }

    fn at_most(&self, value: u64, field: &'static str, limit: u64) -> Result<(), TarError> {
        if value > limit {
            return Err(TarError::Limit { position: self.position, field, limit });
        }
        Ok(())
    }
}
