//! Reading an index, which may have been damaged in every way.

use oci_fetcher_core::entry::{DeviceNumber, Entry, EntryKind, EntryPath, Metadata, Timestamp, Xattr};
use oci_fetcher_core::memory::Extent;
use oci_fetcher_core::report::{Reason, Skipped, What};

use super::write::sum;
use super::{IndexError, Item, MAGIC, SUM, VERSION};

/// Reads the items of an index one after another.
#[derive(Debug)]
pub(crate) struct IndexReader<'b> {
    /// Without the digest.
    bytes: &'b [u8],
    at: usize,
    previous: Vec<u8>,
    /// Where the next file's content begins in the pack.
    pack: u64,
    pack_length: u64,
}

impl<'b> IndexReader<'b> {
    /// Opens an index that belongs to a pack of `pack_length` bytes, and checks its digest.
    pub(crate) fn open(bytes: &'b [u8], pack_length: u64) -> Result<Self, IndexError> {
        let damaged = |offset, reason| IndexError::Damaged { offset, reason };
        if !bytes.starts_with(MAGIC) {
            return Err(damaged(0, "it begins otherwise"));
        }
        match bytes.get(MAGIC.len()) {
            Some(&VERSION) => {}
            Some(_) => return Err(IndexError::Version),
            None => return Err(damaged(MAGIC.len(), "it ends early")),
        }
        let end = bytes.len().checked_sub(SUM).filter(|&end| end > MAGIC.len());
        let end = end.ok_or_else(|| damaged(bytes.len(), "it ends early"))?;
        let (bytes, found) = bytes.split_at(end);
        if !sum(bytes).eq(found.iter().copied()) {
            return Err(damaged(end, "the digest differs"));
        }
        Ok(Self { bytes, at: MAGIC.len() + 1, previous: Vec::new(), pack: 0, pack_length })
    }

    /// Returns the next item; `None` at the end, which is checked.
    pub(crate) fn next(&mut self) -> Result<Option<Item>, IndexError> {
        let tag = self.byte()?;
        match tag {
            0 => return self.end().map(|()| None),
            10 => return Ok(Some(Item::Skipped(self.skipped()?))),
            1..=9 => {}
            _ => return Err(self.damaged("an unknown tag")),
        }
        let path = self.path()?;
        let metadata = self.metadata()?;
        let mut extents = Vec::new();
        let kind = match tag {
            1 => EntryKind::Directory,
            2 => {
                let size = self.number()?;
                extents = self.extents(size)?;
                EntryKind::File { size }
            }
            3 => match self.text()? {
                [] => return Err(self.damaged("a symlink without a target")),
                target => EntryKind::Symlink { target: target.into() },
            },
            4 => {
                let target = self.text()?;
                EntryKind::HardLink { target: self.clean(target)? }
            }
            5 => EntryKind::Fifo,
            6 => EntryKind::CharacterDevice(self.device()?),
            7 => EntryKind::BlockDevice(self.device()?),
            8 if path.is_root() => return Err(self.damaged("a whiteout of the root")),
            8 => EntryKind::Whiteout,
            _ => EntryKind::Opaque,
        };
        Ok(Some(Item::Entry(Entry { path, kind, metadata }, extents)))
    }

    fn end(&mut self) -> Result<(), IndexError> {
        let expected = self.number()?;
        if self.at != self.bytes.len() {
            return Err(self.damaged("there is more after the end"));
        }
        if expected != self.pack {
            return Err(self.damaged("the contents are not as long as the pack"));
        }
        if expected != self.pack_length {
            return Err(IndexError::Pack { expected, found: self.pack_length });
        }
        Ok(())
    }

    fn extents(&mut self, size: u64) -> Result<Vec<Extent>, IndexError> {
        let count = self.number()?;
        // Each takes two bytes at least, so that damage cannot ask for much.
        let most = (self.bytes.len() - self.at) / 2;
        let Some(count) = usize::try_from(count).ok().filter(|&count| count <= most) else {
            return Err(self.damaged("more extents than bytes"));
        };
        let mut extents = Vec::with_capacity(count);
        let mut end = 0_u64;
        for _ in 0..count {
            let (hole, length) = (self.number()?, self.number()?);
            let offset = end.checked_add(hole);
            let after = offset.and_then(|offset| offset.checked_add(length)).filter(|&after| after <= size);
            let next = self.pack.checked_add(length);
            let (Some(offset), Some(after), Some(next), 1..) = (offset, after, next, length) else {
                return Err(self.damaged("an extent outside its file"));
            };
            extents.push(Extent { offset, stored_at: self.pack, length });
            (end, self.pack) = (after, next);
        }
        Ok(extents)
    }

    fn skipped(&mut self) -> Result<Skipped, IndexError> {
        let path = self.path()?;
        let what = match self.byte()? {
            0 => What::Ownership { uid: self.small()?, gid: self.small()? },
            1 => What::SpecialMode { mode: self.small()? },
            2 => What::Xattr { name: self.text()?.into() },
            3 => What::Device,
            4 => What::Fifo,
            5 => What::HardLink,
            6 => What::ModificationTime,
            7 => What::UnionMark,
            _ => return Err(self.damaged("something unknown was skipped")),
        };
        let reason = match self.byte()? {
            0 => Reason::NotPermitted,
            1 => Reason::NotSupported,
            2 => Reason::Policy,
            _ => return Err(self.damaged("something was skipped for an unknown reason")),
        };
        Ok(Skipped { path, what, reason })
    }

    fn path(&mut self) -> Result<EntryPath, IndexError> {
        let shared = self.number()?;
        let Some(shared) = usize::try_from(shared).ok().filter(|&shared| shared <= self.previous.len()) else {
            return Err(self.damaged("a path shares more than there was"));
        };
        let rest = self.text()?;
        self.previous.truncate(shared);
        self.previous.extend_from_slice(rest);
        if self.previous.is_empty() {
            return Ok(EntryPath::root());
        }
        self.clean(&self.previous)
    }

    /// Takes a path that is clean as it stands.
    fn clean(&self, text: &[u8]) -> Result<EntryPath, IndexError> {
        let path = EntryPath::clean(text).ok().filter(|path| path.as_bytes() == text);
        path.ok_or_else(|| self.damaged("a path that is not clean"))
    }

    fn metadata(&mut self) -> Result<Metadata, IndexError> {
        let (mode, uid, gid) = (self.small()?, self.small()?, self.small()?);
        let seconds = self.number()?;
        let seconds = (seconds >> 1).cast_signed() ^ -(seconds & 1).cast_signed();
        let nanoseconds = self.small()?;
        if mode > 0o7777 || uid == u32::MAX || gid == u32::MAX || nanoseconds >= 1_000_000_000 {
            return Err(self.damaged("metadata out of range"));
        }
        let mut xattrs: Vec<Xattr> = Vec::new();
        for _ in 0..self.number()? {
            let xattr = Xattr { name: self.text()?.into(), value: self.text()?.into() };
            if xattrs.last().is_some_and(|last| last.name >= xattr.name) {
                return Err(self.damaged("extended attributes out of order"));
            }
            xattrs.push(xattr);
        }
        Ok(Metadata { mode, uid, gid, mtime: Timestamp { seconds, nanoseconds }, xattrs })
    }

    fn device(&mut self) -> Result<DeviceNumber, IndexError> {
        Ok(DeviceNumber { major: self.small()?, minor: self.small()? })
    }

    fn text(&mut self) -> Result<&'b [u8], IndexError> {
        let length = self.number()?;
        let rest = &self.bytes[self.at..];
        let Some(text) = usize::try_from(length).ok().and_then(|length| rest.get(..length)) else {
            return Err(self.damaged("it ends early"));
        };
        self.at += text.len();
        Ok(text)
    }

    fn small(&mut self) -> Result<u32, IndexError> {
        let value = self.number()?;
        u32::try_from(value).map_err(|_| self.damaged("a number out of range"))
    }

    fn number(&mut self) -> Result<u64, IndexError> {
        let (mut value, mut shift) = (0_u64, 0);
        loop {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift > 63 || (bits << shift) >> shift != bits {
                return Err(self.damaged("a number out of range"));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                // Only the shortest form: equal layers have equal indexes.
                return if byte == 0 && shift > 0 { Err(self.damaged("a number that is too long")) } else { Ok(value) };
            }
            shift += 7;
        }
    }

    fn byte(&mut self) -> Result<u8, IndexError> {
        let byte = self.bytes.get(self.at).copied().ok_or_else(|| self.damaged("it ends early"))?;
        self.at += 1;
        Ok(byte)
    }

    fn damaged(&self, reason: &'static str) -> IndexError {
        IndexError::Damaged { offset: self.at, reason }
    }
}
