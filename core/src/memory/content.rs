//! Where the content of files is kept.

use std::convert::Infallible;

use crate::error::{Class, Explain};

/// An append-only store of bytes: memory, a temporary file, a file of the browser's private file
/// system.
pub trait ContentStore {
    /// What can go wrong.
    type Error: Explain + Send + Sync + 'static;

    /// Appends bytes, and returns the offset of the first.
    ///
    /// # Errors
    /// What keeps the store from holding them.
    fn append(&mut self, bytes: &[u8]) -> Result<u64, Self::Error>;

    /// Fills `buffer` with the bytes from `offset` on, all of which were appended before.
    ///
    /// # Errors
    /// What keeps the store from returning them.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Self::Error>;
}

impl ContentStore for Vec<u8> {
    type Error = Infallible;

    fn append(&mut self, bytes: &[u8]) -> Result<u64, Infallible> {
        let offset = self.len() as u64;
        self.extend_from_slice(bytes);
        Ok(offset)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Infallible> {
        let start = usize::try_from(offset).expect("what was appended lies in memory");
        buffer.copy_from_slice(&self[start..start + buffer.len()]);
        Ok(())
    }
}

impl Explain for Infallible {
    fn class(&self) -> Class {
        match *self {}
    }

    fn code(&self) -> &'static str {
        match *self {}
    }
}

/// A stretch of a file's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Bytes from the file's start.
    pub offset: u64,
    /// Bytes from the store's start.
    pub stored_at: u64,
    /// In bytes; never 0.
    pub length: u64,
}

impl Extent {
    pub(super) fn is_continued_by(&self, next: &Self) -> bool {
        self.offset + self.length == next.offset && self.stored_at + self.length == next.stored_at
    }
}

/// The content of a regular file: what lies between its extents are holes, which read as zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileContent<'f> {
    /// Logical size in bytes, holes included.
    pub size: u64,
    /// In the order of their offsets, without overlaps.
    pub extents: &'f [Extent],
}

impl FileContent<'_> {
    /// Reads from `offset` on, until `buffer` is full or the file ends, and returns how much.
    ///
    /// # Errors
    /// What the store answers.
    pub fn read_at<C: ContentStore>(&self, store: &C, offset: u64, buffer: &mut [u8]) -> Result<usize, C::Error> {
        let left = self.size.saturating_sub(offset);
        let length = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let buffer = &mut buffer[..length];
        let end = offset + length as u64;
        buffer.fill(0);
        let first = self.extents.partition_point(|extent| extent.offset + extent.length <= offset);
        for extent in self.extents[first..].iter().take_while(|extent| extent.offset < end) {
            let from = extent.offset.max(offset);
            let to = (extent.offset + extent.length).min(end);
            // Both lie within the buffer, whose length is a usize.
            let part = &mut buffer[(from - offset) as usize..(to - offset) as usize];
            store.read_at(extent.stored_at + (from - extent.offset), part)?;
        }
        Ok(length)
    }
}
