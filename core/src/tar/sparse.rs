//! Sparse files: maps of where their content lies ("Storing Sparse Files" in GNU tar's manual: pax
//! formats 0.0, 0.1 and 1.0; the old GNU format is in [`gnu`](super::gnu)).
//!
//! Whatever the format, extents must be in order, apart, inside the file, and add up to what is
//! stored. What they leave out are holes.

use std::vec;

use super::error::TarError;
use super::header::BLOCK;
use super::pax::decimal;

/// A run of content: `len` bytes at logical `offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) offset: u64,
    pub(super) len: u64,
}

/// Content that is still to come.
#[derive(Debug)]
pub(super) struct Extents {
    current: Extent,
    rest: vec::IntoIter<Extent>,
    stored: u64,
}

impl Extents {
    /// Returns the extents of a file without holes.
    pub(super) fn whole(size: u64) -> Self {
        Self { current: Extent { offset: 0, len: size }, rest: Vec::new().into_iter(), stored: size }
    }

    /// Returns how many bytes are to come, holes not counted.
    pub(super) fn stored(&self) -> u64 {
        self.stored
    }

    /// Takes up to `most` bytes from the front of the first extent: their logical offset, and how
    /// many; `None` at the end.
    pub(super) fn take(&mut self, most: u64) -> Option<(u64, u64)> {
        while self.current.len == 0 {
            self.current = self.rest.next()?;
        }
        let Extent { offset, len } = self.current;
        let taken = len.min(most);
        self.current = Extent { offset: offset + taken, len: len - taken };
        self.stored -= taken;
        Some((offset, taken))
    }

    /// Passes over up to `most` bytes, and returns over how many.
    pub(super) fn skip(&mut self, most: u64) -> u64 {
        let mut left = most;
        while left > 0
            && let Some((_, taken)) = self.take(left)
        {
            left -= taken;
        }
        most - left
    }
}

/// A map being read.
#[derive(Debug)]
pub(super) struct SparseMap {
    position: u64,
    size: u64,
    stored: u64,
    end: u64,
    extents: Vec<Extent>,
}

impl SparseMap {
    /// Starts the map of a file of `size` bytes whose header is at `position`.
    pub(super) fn new(size: u64, position: u64) -> Self {
        Self { position, size, stored: 0, end: 0, extents: Vec::new() }
    }

    /// Adds an extent.
    pub(super) fn push(&mut self, offset: u64, len: u64) -> Result<(), TarError> {
        if offset < self.end {
            return Err(self.error("its extents overlap or are out of order"));
        }
        match offset.checked_add(len) {
            Some(end) if end <= self.size => self.end = end,
            Some(_) | None => return Err(self.error("an extent lies beyond its size")),
        }
        if len > 0 {
            self.extents.push(Extent { offset, len });
            self.stored += len;
        }
        Ok(())
    }

    /// Ends the map of a file that has `stored` bytes in the archive.
    pub(super) fn finish(self, stored: u64) -> Result<Extents, TarError> {
        if self.stored != stored {
            return Err(self.error("its extents do not add up to the stored bytes"));
        }
        Ok(Extents { current: Extent { offset: 0, len: 0 }, rest: self.extents.into_iter(), stored })
    }

    fn error(&self, reason: &'static str) -> TarError {
        TarError::Sparse { position: self.position, reason }
    }
}

/// The `GNU.sparse.*` records before a member.
#[derive(Debug, Default)]
pub(super) struct PaxSparse {
    present: bool,
    major: Option<u64>,
    minor: Option<u64>,
    name: Option<Box<[u8]>>,
    size: Option<u64>,
    count: Option<u64>,
    map: Vec<(u64, u64)>,
    /// An offset whose length is still to come (format 0.0).
    offset: Option<u64>,
}

/// What the records amount to.
#[derive(Debug)]
pub(super) enum PaxSparseMap {
    /// Formats 0.0 and 0.1.
    Complete { size: u64, map: SparseMap },
    /// Format 1.0: the map stands before the content.
    InContent { size: u64, map: SparseMap },
}

impl PaxSparse {
    /// Reads the record `GNU.sparse.KEY` of the pax header at `position`.
    pub(super) fn read(&mut self, key: &[u8], value: &[u8], position: u64) -> Result<(), TarError> {
        let number = || decimal(value).ok_or(TarError::Number { position, field: "GNU.sparse" });
        let error = |reason| Err(TarError::Sparse { position, reason });
        self.present = true;
        match key {
            b"major" => self.major = Some(number()?),
            b"minor" => self.minor = Some(number()?),
            b"name" => self.name = Some(value.into()),
            b"size" | b"realsize" => self.size = Some(number()?),
            b"numblocks" => self.count = Some(number()?),
            b"offset" if self.offset.is_some() => return error("two offsets without a length"),
            b"offset" => self.offset = Some(number()?),
            b"numbytes" => match self.offset.take() {
                Some(offset) => self.map.push((offset, number()?)),
                None => return error("a length without an offset"),
            },
            b"map" if !self.map.is_empty() => return error("two maps"),
            b"map" => {
                let mut numbers = value.split(|&byte| byte == b',').map(decimal);
                while let Some(offset) = numbers.next() {
                    let (Some(offset), Some(Some(len))) = (offset, numbers.next()) else {
                        return error("its map is no list of offsets and lengths");
                    };
                    self.map.push((offset, len));
                }
            }
            _ => return error("an unknown record"),
        }
        Ok(())
    }

    /// Tells whether there were any records.
    pub(super) fn is_present(&self) -> bool {
        self.present
    }

    /// Returns the file's real name, which formats 0.1 and 1.0 move here.
    pub(super) fn name(&self) -> Option<&[u8]> {
        self.name.as_deref()
    }

    /// Checks that the records make one format, for the member at `position`.
    pub(super) fn resolve(self, position: u64) -> Result<PaxSparseMap, TarError> {
        let error = |reason| Err(TarError::Sparse { position, reason });
        let Some(size) = self.size else { return error("records of a sparse file without its size") };
        match (self.major.unwrap_or(0), self.minor) {
            (1, Some(0)) if self.map.is_empty() && self.offset.is_none() => {
                Ok(PaxSparseMap::InContent { size, map: SparseMap::new(size, position) })
            }
            (1, Some(0)) => error("two maps"),
            (0, None | Some(0 | 1)) => {
                if self.offset.is_some() {
                    return error("an offset without a length");
                }
                if self.map.is_empty() && self.count != Some(0) {
                    return error("records of a sparse file without its map");
                }
                if self.count.is_some_and(|count| count != self.map.len() as u64) {
                    return error("its map does not have as many extents as it says");
                }
                let mut map = SparseMap::new(size, position);
                for (offset, len) in self.map {
                    map.push(offset, len)?;
                }
                Ok(PaxSparseMap::Complete { size, map })
            }
            _ => error("an unknown version"),
        }
    }
}

/// The map of format 1.0, being read from the blocks before the content: the number of extents,
/// then offset and length of each, in decimal lines.
#[derive(Debug)]
pub(super) struct TextMap {
    map: SparseMap,
    stored: u64,
    read: u64,
    limit: u32,
    number: Option<u64>,
    offset: Option<u64>,
    /// Extents to come, once known.
    left: Option<u64>,
}

impl TextMap {
    /// Starts with an empty `map` for a file that has `stored` bytes in the archive, the text
    /// included, of which at most `limit` bytes.
    pub(super) fn new(map: SparseMap, stored: u64, limit: u32) -> Self {
        Self { map, stored, read: 0, limit, number: None, offset: None, left: None }
    }

    /// Reads the next block, and tells whether the map is complete.
    pub(super) fn block(&mut self, block: &[u8; BLOCK]) -> Result<bool, TarError> {
        self.read += BLOCK as u64;
        if self.read > self.stored {
            return Err(self.map.error("its map is longer than what is stored"));
        }
        if self.read > self.limit.into() {
            let position = self.map.position;
            return Err(TarError::Limit { position, field: "extension_bytes", limit: self.limit.into() });
        }
        for &byte in block {
            if byte == b'\n' {
                let number = self.number.take().ok_or_else(|| self.map.error("its map has an empty line"))?;
                if self.line(number)? {
                    return Ok(true);
                }
            } else {
                let digit = char::from(byte).to_digit(10).map(u64::from);
                let number = digit.and_then(|digit| self.number.unwrap_or(0).checked_mul(10)?.checked_add(digit));
                self.number = Some(number.ok_or_else(|| self.map.error("its map holds what is no number"))?);
            }
        }
        Ok(false)
    }

    fn line(&mut self, number: u64) -> Result<bool, TarError> {
        let left = match (self.left, self.offset.take()) {
            (None, _) => number,
            (Some(left), None) => {
                self.offset = Some(number);
                left
            }
            (Some(left), Some(offset)) => {
                self.map.push(offset, number)?;
                left - 1
            }
        };
        self.left = Some(left);
        Ok(left == 0)
    }

    /// Returns the extents, and the bytes stored for them.
    pub(super) fn finish(self) -> Result<(Extents, u64), TarError> {
        let stored = self.stored - self.read;
        Ok((self.map.finish(stored)?, stored))
    }
}
