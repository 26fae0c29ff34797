//! A blob that lies in a file, or in a stretch of one.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

use oci_fetcher_core::digest::{Algorithm, Digest, Hasher};

/// Bytes in a file, not necessarily those that a digest names.
///
/// They are read by position, so that one blob, or many in one archive, can be read by any number of
/// threads through one descriptor.
///
/// ```
/// use std::io::{Read, Write};
///
/// let mut file = tempfile::tempfile()?;
/// file.write_all(b"before content after")?;
/// let blob = oci_fetcher::blob::Blob::new(file, 7, 7);
///
/// let mut text = String::new();
/// blob.reader().read_to_string(&mut text)?;
/// assert_eq!(text, "content");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Blob {
    file: Arc<File>,
    start: u64,
    length: u64,
}

impl Blob {
    /// Names `length` bytes of a file from byte `start` on. Whether they are there shows when they
    /// are read.
    #[must_use]
    pub fn new(file: impl Into<Arc<File>>, start: u64, length: u64) -> Self {
        Self { file: file.into(), start, length }
    }

    /// Names all bytes that a file has now.
    ///
    /// # Errors
    /// The system's, if it does not tell the file's size.
    pub fn whole(file: impl Into<Arc<File>>) -> io::Result<Self> {
        let file = file.into();
        let length = file.metadata()?.len();
        Ok(Self { file, start: 0, length })
    }

    /// Returns how many bytes it has.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Reads into `buffer` from byte `offset` of the blob on, and returns how many bytes that were:
    /// 0 at the blob's end, where the file was cut, or for an empty buffer.
    ///
    /// # Errors
    /// The system's.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let len = buffer.len().min(left);
        let Some(position) = self.start.checked_add(offset).filter(|_| len > 0) else { return Ok(0) };
        loop {
            match read_file_at(&self.file, position, &mut buffer[..len]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// Returns a reader of its own that starts at the blob's beginning.
    #[must_use]
    pub fn reader(&self) -> BlobReader {
        BlobReader { blob: self.clone(), offset: 0 }
    }

    /// Computes the digest of its bytes.
    ///
    /// # Errors
    /// The system's, and [`ErrorKind::UnexpectedEof`] if there are fewer bytes than it should have.
    pub fn digest(&self, algorithm: Algorithm) -> io::Result<Digest> {
        let mut hasher = Hasher::new(algorithm);
        self.for_each_chunk(|chunk| {
            hasher.update(chunk);
            Ok(())
        })?;
        Ok(hasher.finish())
    }

    /// Hands on all of its bytes, in order.
    pub(crate) fn for_each_chunk(&self, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut buffer = vec![0; usize::try_from(self.length).map_or(CHUNK_BYTES, |length| length.min(CHUNK_BYTES))];
        let mut offset = 0;
        while offset < self.length {
            match self.read_at(offset, &mut buffer)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                len => {
                    take(&buffer[..len])?;
                    offset += len as u64;
                }
            }
        }
        Ok(())
    }

    /// Returns what follows the first `offset` bytes.
    pub(crate) fn tail(&self, offset: u64) -> Self {
        let offset = offset.min(self.length);
        Self { start: self.start.saturating_add(offset), length: self.length - offset, ..self.clone() }
    }

    /// Returns where in its file it starts.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    pub(crate) fn file(&self) -> &Arc<File> {
        &self.file
    }
}

/// Large enough that hashing, not the calls, takes the time.
const CHUNK_BYTES: usize = 256 << 10;

#[cfg(unix)]
fn read_file_at(file: &File, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, position)
}

#[cfg(windows)]
fn read_file_at(file: &File, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
    match std::os::windows::fs::FileExt::seek_read(file, buffer, position) {
        // ERROR_HANDLE_EOF: a position beyond the end is no error elsewhere.
        Err(error) if error.raw_os_error() == Some(38) => Ok(0),
        result => result,
    }
}

/// Reads a [`Blob`] from its beginning to its end.
#[derive(Clone, Debug)]
pub struct BlobReader {
    blob: Blob,
    offset: u64,
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.blob.read_at(self.offset, buffer)?;
        self.offset += len as u64;
        Ok(len)
    }
}

/// Opens a regular file for reading, never through a symbolic link in the path's last component, and
/// never waiting for a pipe's other end. Anything else is [`ErrorKind::InvalidData`], which the
/// system itself does not use.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    let irregular = || io::Error::new(ErrorKind::InvalidData, "not a regular file");
    if !std::fs::symlink_metadata(path)?.is_file() {
        return Err(irregular());
    }
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags.bits().cast_signed());
    }
    let file = options.open(path)?;
    // What was looked at need not be what was opened.
    if file.metadata()?.is_file() { Ok(file) } else { Err(irregular()) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(content: &[u8]) -> File {
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(content).expect("writable");
        file
    }

    #[test]
    fn a_blob_ends_where_its_stretch_ends() {
        let file = Arc::new(file(b"0123456789"));
        for (start, length, offset, size, expected) in [
            (0, 10, 0, 20, &b"0123456789"[..]),
            (2, 5, 0, 20, b"23456"),
            (2, 5, 3, 20, b"56"),
            (2, 5, 1, 2, b"34"),
            (2, 5, 5, 20, b""),
            (2, 5, u64::MAX, 20, b""),
            (u64::MAX, 5, 1, 20, b""),
            (8, 5, 0, 20, b"89"),
            (20, 5, 0, 20, b""),
            (0, 10, 0, 0, b""),
        ] {
            let mut buffer = vec![0; size];
            let blob = Blob::new(Arc::clone(&file), start, length);
            let len = blob.read_at(offset, &mut buffer).expect("readable");
            assert_eq!(&buffer[..len], expected, "{start} {length} {offset} {size}");
        }
    }

    #[test]
    fn digests_are_of_the_stretch_and_a_cut_file_is_an_error() {
        let content: Vec<u8> = (0..u32::try_from(CHUNK_BYTES).expect("small")).flat_map(u32::to_le_bytes).collect();
        let file = Arc::new(file(&content));
        for (start, end) in [(0, content.len()), (1, content.len() - 1), (7, 7), (5, CHUNK_BYTES + 5)] {
            let blob = Blob::new(Arc::clone(&file), start as u64, (end - start) as u64);
            let digest = blob.digest(Algorithm::Sha256).expect("readable");
            assert_eq!(digest, Digest::of(Algorithm::Sha256, &content[start..end]), "{start} {end}");
        }
        let cut = Blob::new(file, 1, content.len() as u64);
        assert_eq!(cut.digest(Algorithm::Sha256).expect_err("cut").kind(), ErrorKind::UnexpectedEof);
    }

    #[cfg(unix)]
    #[test]
    fn only_regular_files_are_opened() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("file"), b"x").expect("writable");
        std::os::unix::fs::symlink("file", path("link")).expect("writable");
        std::os::unix::fs::symlink("nothing", path("dangling")).expect("writable");
        let pipe = std::process::Command::new("mkfifo").arg(path("pipe")).status().expect("mkfifo runs");
        assert!(pipe.success());
        assert!(open_regular(&path("file")).is_ok());
        assert_eq!(open_regular(&path("nothing")).expect_err("missing").kind(), ErrorKind::NotFound);
        for name in ["link", "dangling", "pipe", "."] {
            assert_eq!(open_regular(&path(name)).expect_err(name).kind(), ErrorKind::InvalidData, "{name}");
        }
    }
}
