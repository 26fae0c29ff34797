//! GNU tar's own extensions: long names (`L`, `K`) and the old sparse format (`S`), as its manual's
//! "Basic Tar Format" lays them out.

use tar::{GnuExtSparseHeader, GnuSparseHeader};

use super::error::TarError;
use super::header::{BLOCK, Checked, unsigned};
use super::sparse::{Extents, SparseMap};

/// Returns the name that an `L` or `K` member holds: all of it but the NULs at its end. One that is
/// left inside makes the name an unsafe one.
pub(super) fn long_name(content: &[u8]) -> Box<[u8]> {
    let end = content.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    content[..end].into()
}

/// The map of an `S` member being read: four extents in the header, then 21 a block.
#[derive(Debug)]
pub(super) struct BlockMap {
    map: SparseMap,
    position: u64,
    stored: u64,
    read: u64,
    limit: u32,
    /// Whether a further block follows.
    extended: bool,
}

impl BlockMap {
    /// Starts with the header of a member that has `stored` bytes of content, and returns the
    /// file's size too.
    pub(super) fn new(header: &Checked<'_>, stored: u64, limit: u32) -> Result<(u64, Self), TarError> {
        let position = header.position();
        let Some(gnu) = header.as_gnu() else {
            return Err(TarError::Sparse { position, reason: "its header is not GNU's" });
        };
        let size = header.unsigned(&gnu.realsize, "realsize")?;
        let extended = gnu.isextended[0] != 0;
        let mut map = Self { map: SparseMap::new(size, position), position, stored, read: 0, limit, extended };
        map.extents(&gnu.sparse)?;
        Ok((size, map))
    }

    /// Tells whether no further block follows.
    pub(super) fn is_complete(&self) -> bool {
        !self.extended
    }

    /// Reads the next block, and tells whether the map is complete.
    pub(super) fn block(&mut self, block: &[u8; BLOCK]) -> Result<bool, TarError> {
        self.read += BLOCK as u64;
        if self.read > self.limit.into() {
            let limit = self.limit.into();
            return Err(TarError::Limit { position: self.position, field: "extension_bytes", limit });
        }
        let mut extension = GnuExtSparseHeader::new();
        extension.as_mut_bytes().copy_from_slice(block);
        self.extended = extension.isextended[0] != 0;
        self.extents(extension.sparse())?;
        Ok(self.is_complete())
    }

    /// Reads extents up to the first that is not there.
    fn extents(&mut self, extents: &[GnuSparseHeader]) -> Result<(), TarError> {
        for extent in extents.iter().take_while(|extent| extent.offset[0] != 0 && extent.numbytes[0] != 0) {
            let number = |field| unsigned(field).ok_or(TarError::Number { position: self.position, field: "sparse" });
            let (offset, len) = (number(&extent.offset)?, number(&extent.numbytes)?);
            self.map.push(offset, len)?;
        }
        Ok(())
    }

    /// Returns the extents, and the bytes stored for them.
    pub(super) fn finish(self) -> Result<(Extents, u64), TarError> {
        Ok((self.map.finish(self.stored)?, self.stored))
    }
}
