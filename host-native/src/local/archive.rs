//! Tar archives whose members are read in place.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci_fetcher_core::entry::EntryPath;
use oci_fetcher_core::layer::inflate::{Compression, Inflate, Output};
use oci_fetcher_core::limits::Limits;
use oci_fetcher_core::tar::{TarIndex, TarIndexer};

use super::LocalError;
use crate::blob::Blob;

/// An archive that lies in a file; of members with one name the last counts.
#[derive(Debug)]
pub(super) struct Archive {
    path: PathBuf,
    file: Arc<File>,
    index: TarIndex,
}

impl Archive {
    /// Opens and indexes an archive. A compressed one, or one that comes through a pipe, is first
    /// unpacked into a temporary file without a name.
    pub(super) fn open(path: &Path, limits: &Limits) -> Result<Self, LocalError> {
        let file = File::open(path).map_err(LocalError::io("open", path))?;
        let metadata = file.metadata().map_err(LocalError::io("open", path))?;
        let file = if metadata.is_file() && is_plain(&file).map_err(LocalError::io("read", path))? {
            file
        } else {
            unpack(path, file, limits)?
        };
        let tar = Blob::whole(file).map_err(LocalError::io("read", path))?;
        let index = index(path, &tar, limits)?;
        Ok(Self { path: path.to_owned(), file: Arc::clone(tar.file()), index })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns a file's content; a link leads there, too.
    pub(super) fn blob(&self, file: &EntryPath) -> Option<Blob> {
        let location = self.index.locate(file)?;
        Some(Blob::new(Arc::clone(&self.file), location.offset, location.size))
    }

    /// Reads the first `limit` bytes of a file; `None` if it is missing.
    pub(super) fn read(&self, file: &EntryPath, limit: u64) -> Result<Option<Vec<u8>>, LocalError> {
        let Some(blob) = self.blob(file) else { return Ok(None) };
        read_up_to(&blob, limit).map(Some).map_err(LocalError::io("read", &self.path))
    }
}

/// Reads the first `limit` bytes of a blob.
pub(super) fn read_up_to(blob: &Blob, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    blob.reader().take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn is_plain(file: &File) -> std::io::Result<bool> {
    let beginning = read_up_to(&Blob::whole(file.try_clone()?)?, MAGIC_BYTES)?;
    Ok(Compression::detect(&beginning) == Some(Compression::Uncompressed))
}

/// The longest magic number that [`Compression::detect`] looks at.
pub(super) const MAGIC_BYTES: u64 = 4;

/// Decompresses an archive once, since its members are read in no order.
fn unpack(path: &Path, mut source: File, limits: &Limits) -> Result<File, LocalError> {
    let directory = std::env::temp_dir();
    let mut target = tempfile::tempfile_in(&directory).map_err(LocalError::io("create a file in", &directory))?;
    let inflated = |source| LocalError::Inflate { path: path.to_owned(), source };
    let mut inflate = Inflate::new(limits);
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let mut input = match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(len) => &buffer[..len],
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(LocalError::io("read", path)(error)),
        };
        loop {
            let before = input;
            let plain = match inflate.step(&mut input).map_err(inflated)? {
                Output::NeedInput => break,
                Output::Passed(len) => &before[..len],
                Output::Buffered(_) => inflate.buffered(),
            };
            target.write_all(plain).map_err(LocalError::io("write to a file in", &directory))?;
        }
    }
    inflate.finish().map_err(inflated)?;
    Ok(target)
}

/// Reads the headers and skips the content.
fn index(path: &Path, tar: &Blob, limits: &Limits) -> Result<TarIndex, LocalError> {
    let malformed = |source| LocalError::Tar { path: path.to_owned(), source };
    let mut indexer = TarIndexer::new(limits);
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut offset = 0;
    loop {
        let len = tar.read_at(offset, &mut buffer).map_err(LocalError::io("read", path))?;
        if len == 0 {
            return indexer.finish().map_err(malformed);
        }
        offset += len as u64;
        let ahead = indexer.push(&buffer[..len]).map_err(malformed)?;
        // What the file does not hold must not be skipped, or a cut would go unnoticed.
        let skipped = ahead.min(tar.length() - offset);
        indexer.skip(skipped);
        offset += skipped;
    }
}

/// Enough for many small members at once, and little to throw away before each large one.
const CHUNK_BYTES: usize = 64 << 10;
