//! Content of layers that are decoded before their turn.
//!
//! A layer is applied only after all layers below it, but can be decoded at any time. Until its
//! turn the content of its files waits here: larger files in a flat directory, named by number, to
//! be renamed into place; small ones in memory, since a file's creation costs more than a copy of
//! its bytes. All layers together share one bound on that memory; beyond it small files go to the
//! directory too. No metadata is kept here: it comes with the layer's list of entries.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::disk::{DiskError, Operation};

/// A place for content, shared by the layers that are decoded at the same time.
#[derive(Clone, Debug)]
pub struct Spool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    directory: platform::Directory,
    path: PathBuf,
    next: AtomicU64,
    /// Bytes that may still be held in memory.
    memory_left: AtomicUsize,
}

impl Spool {
    /// Opens an empty, private directory on the same file system as the tree.
    ///
    /// # Errors
    /// [`DiskError`] if it is no directory.
    pub fn open(directory: &Path) -> Result<Self, DiskError> {
        Self::with_memory(directory, MEMORY_BYTES)
    }

    fn with_memory(directory: &Path, memory: usize) -> Result<Self, DiskError> {
        let opened = platform::Directory::open(directory)
            .map_err(|error| DiskError::new(Operation::OpenDirectory, directory, error))?;
        Ok(Self {
            shared: Arc::new(Shared {
                directory: opened,
                path: directory.to_owned(),
                next: AtomicU64::new(0),
                memory_left: AtomicUsize::new(memory),
            }),
        })
    }

    /// Starts the content of one layer.
    #[must_use]
    pub fn layer(&self) -> LayerSpool {
        LayerSpool { shared: Arc::clone(&self.shared), chunks: Vec::new() }
    }
}

/// What all layers that wait hold in memory together, at the most.
const MEMORY_BYTES: usize = 8 << 20;

/// The largest content kept in memory: nine in ten files of a distribution's image are smaller.
const SMALL_BYTES: usize = 32 << 10;

/// The unit in which memory is taken. Content never straddles two, so a chunk never has to grow.
const CHUNK_BYTES: usize = 256 << 10;

/// The content of one layer's files, until they are adopted. Its memory is given back when it is
/// dropped; content on disk that nobody adopted goes with the directory.
///
/// Contents are written one after another, as [`FileSystem`](oci_fetcher_core::fs::FileSystem)s'
/// files are: [`create`](Self::create), [`write`](Self::write) at offsets that never decrease,
/// [`finish`](Self::finish).
#[derive(Debug)]
pub struct LayerSpool {
    shared: Arc<Shared>,
    /// Small contents, end to end.
    chunks: Vec<Vec<u8>>,
}

/// Content being written.
#[derive(Debug)]
pub struct SpoolFile {
    size: u64,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// From here to the end of the last chunk.
    Memory {
        start: usize,
    },
    Disk(DiskPlace),
}

#[derive(Debug)]
struct DiskPlace {
    file: std::fs::File,
    number: u64,
    end: u64,
}

/// Content that is complete: a ticket for the [`LayerSpool`] that issued it.
#[derive(Debug)]
pub struct Spooled {
    size: u64,
    place: Kept,
}

#[derive(Debug)]
enum Kept {
    Memory { chunk: usize, range: Range<usize> },
    Disk { number: u64 },
}

impl Spooled {
    /// Returns the logical size in bytes, a hole at the end included.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl LayerSpool {
    /// Begins content that will hold `size` bytes; bytes never written are holes.
    ///
    /// # Errors
    /// [`DiskError`] if it has to be a file and cannot.
    pub fn create(&mut self, size: u64) -> Result<SpoolFile, DiskError> {
        let place = match usize::try_from(size) {
            Ok(small) if small <= SMALL_BYTES && self.reserve(small) => {
                Place::Memory { start: self.chunks.last().map_or(0, Vec::len) }
            }
            Ok(_) | Err(_) => Place::Disk(self.create_on_disk()?),
        };
        Ok(SpoolFile { size, place })
    }

    /// Writes content at `offset`; offsets never decrease.
    ///
    /// # Errors
    /// [`DiskError`] if the disk refuses.
    pub fn write(&mut self, file: &mut SpoolFile, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        if let Place::Memory { start } = file.place {
            if let Some(chunk) = self.chunks.last_mut() {
                let end = (chunk.len() - start) as u64;
                if offset == end && end + bytes.len() as u64 <= file.size {
                    chunk.extend_from_slice(bytes);
                    return Ok(());
                }
            }
            self.move_to_disk(file, start)?;
        }
        match &mut file.place {
            Place::Memory { .. } => Ok(()),
            Place::Disk(place) => place.write(&self.shared, offset, bytes),
        }
    }

    /// Completes content; its tickets are good for this layer alone.
    ///
    /// # Errors
    /// [`DiskError`] if the disk refuses.
    pub fn finish(&mut self, file: SpoolFile) -> Result<Spooled, DiskError> {
        let place = match file.place {
            Place::Memory { start } => {
                let chunk = self.chunks.len().saturating_sub(1);
                Kept::Memory { chunk, range: start..self.chunks.last().map_or(start, Vec::len) }
            }
            Place::Disk(place) => {
                if place.end != file.size {
                    place
                        .file
                        .set_len(file.size)
                        .map_err(|error| self.shared.failed(Operation::SetSize, place.number, error))?;
                }
                Kept::Disk { number: place.number }
            }
        };
        Ok(Spooled { size: file.size, place })
    }

    /// Returns where complete content is.
    ///
    /// # Panics
    /// If another layer's spool issued the ticket.
    pub(crate) fn content(&self, spooled: &Spooled) -> Content<'_> {
        match &spooled.place {
            Kept::Memory { range, .. } if range.is_empty() => Content::Memory(&[]),
            Kept::Memory { chunk, range } => Content::Memory(&self.chunks[*chunk][range.clone()]),
            Kept::Disk { number } => Content::Disk(OnDisk { shared: &self.shared, number: *number }),
        }
    }

    /// Makes room in the last chunk, or takes another if the common bound allows it.
    fn reserve(&mut self, bytes: usize) -> bool {
        if bytes == 0 || self.chunks.last().is_some_and(|chunk| chunk.capacity() - chunk.len() >= bytes) {
            return true;
        }
        let take = |left: usize| left.checked_sub(CHUNK_BYTES);
        if self.shared.memory_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err() {
            return false;
        }
        self.chunks.push(Vec::with_capacity(CHUNK_BYTES));
        true
    }

    fn create_on_disk(&self) -> Result<DiskPlace, DiskError> {
        let number = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let created = self.shared.directory.create(number);
        let file = created.map_err(|error| self.shared.failed(Operation::CreateFile, number, error))?;
        Ok(DiskPlace { file, number, end: 0 })
    }

    /// Gives content with a hole, which memory would fill with zeros, a file.
    fn move_to_disk(&mut self, file: &mut SpoolFile, start: usize) -> Result<(), DiskError> {
        let mut place = self.create_on_disk()?;
        if let Some(chunk) = self.chunks.last_mut() {
            place.write(&self.shared, 0, &chunk[start..])?;
            chunk.truncate(start);
        }
        file.place = Place::Disk(place);
        Ok(())
    }
}

impl Drop for LayerSpool {
    fn drop(&mut self) {
        self.shared.memory_left.fetch_add(self.chunks.len() * CHUNK_BYTES, Ordering::Relaxed);
    }
}

impl DiskPlace {
    fn write(&mut self, shared: &Shared, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        platform::write_all_at(&mut self.file, offset, bytes)
            .map_err(|error| shared.failed(Operation::Write, self.number, error))?;
        self.end = self.end.max(offset + bytes.len() as u64);
        Ok(())
    }
}

impl Shared {
    fn failed(&self, operation: Operation, number: u64, error: std::io::Error) -> DiskError {
        DiskError::new(operation, self.path.join(number.to_string()), error)
    }
}

/// Where complete content is.
#[derive(Debug)]
pub(crate) enum Content<'s> {
    /// Here, to be copied; a hole at its end is missing.
    Memory(&'s [u8]),
    /// In a file of full size, to be renamed.
    Disk(OnDisk<'s>),
}

/// A file in the spool's directory.
#[derive(Debug)]
pub(crate) struct OnDisk<'s> {
    shared: &'s Shared,
    number: u64,
}

#[cfg(unix)]
mod platform {
    use std::fs::File;
    use std::io;
    use std::os::fd::{BorrowedFd, OwnedFd};
    use std::os::unix::fs::FileExt;
    use std::path::Path;

    use rustix::fs::{AtFlags, CWD, Mode, OFlags};
    use rustix::io::{Errno, retry_on_intr};

    /// The spool's directory, held open so that nobody can put another in its place.
    #[derive(Debug)]
    pub(super) struct Directory(OwnedFd);

    impl Directory {
        pub(super) fn open(path: &Path) -> io::Result<Self> {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            Ok(Self(retry_on_intr(|| rustix::fs::openat(CWD, path, flags, Mode::empty()))?))
        }

        pub(super) fn create(&self, number: u64) -> io::Result<File> {
            let name = number.to_string();
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mode = Mode::RUSR | Mode::WUSR;
            Ok(retry_on_intr(|| rustix::fs::openat(&self.0, &name, flags, mode))?.into())
        }
    }

    /// Writes everything; `write_all_at` goes on after interruptions and short writes.
    pub(super) fn write_all_at(file: &mut File, offset: u64, bytes: &[u8]) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }

    impl super::OnDisk<'_> {
        /// Opens the file for its metadata to be set.
        pub(crate) fn open(&self) -> Result<OwnedFd, Errno> {
            let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let Directory(directory) = &self.shared.directory;
            retry_on_intr(|| rustix::fs::openat(directory, self.number.to_string(), flags, Mode::empty()))
        }

        /// Renames the file to a name that must be free.
        pub(crate) fn move_to(&self, directory: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
            let Directory(from) = &self.shared.directory;
            let number = self.number.to_string();
            match rename_to_free(from, &number, directory, name) {
                // Older kernels and some file systems know no such rename.
                Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                    retry_on_intr(|| rustix::fs::linkat(from, &number, directory, name, AtFlags::empty()))?;
                    retry_on_intr(|| rustix::fs::unlinkat(from, &number, AtFlags::empty()))
                }
                renamed => renamed,
            }
        }
    }

    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    fn rename_to_free(from: &OwnedFd, number: &str, to: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
        let flags = rustix::fs::RenameFlags::NOREPLACE;
        retry_on_intr(|| rustix::fs::renameat_with(from, number, to, name, flags))
    }

    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
    fn rename_to_free(_: &OwnedFd, _: &str, _: BorrowedFd<'_>, _: &[u8]) -> Result<(), Errno> {
        Err(Errno::NOSYS)
    }
}

#[cfg(not(unix))]
mod platform {
    use std::fs::File;
    use std::io::{self, Seek as _, SeekFrom, Write as _};
    use std::path::{Path, PathBuf};

    #[derive(Debug)]
    pub(super) struct Directory(PathBuf);

    impl Directory {
        pub(super) fn open(path: &Path) -> io::Result<Self> {
            Ok(Self(path.to_owned()))
        }

        pub(super) fn create(&self, number: u64) -> io::Result<File> {
            File::create_new(self.0.join(number.to_string()))
        }
    }

    pub(super) fn write_all_at(file: &mut File, offset: u64, bytes: &[u8]) -> io::Result<()> {
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(bytes)
    }

    impl super::OnDisk<'_> {
        /// Renames the file to a name that must be free.
        pub(crate) fn move_to(&self, path: &Path) -> io::Result<()> {
            if path.symlink_metadata().is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            std::fs::rename(self.shared.directory.0.join(self.number.to_string()), path)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Reads content back from where it is kept, holes filled.
    fn read(spool: &LayerSpool, spooled: &Spooled) -> Vec<u8> {
        let mut bytes = match spool.content(spooled) {
            Content::Memory(bytes) => bytes.to_vec(),
            Content::Disk(file) => fs::read(file.shared.path.join(file.number.to_string())).expect("readable"),
        };
        bytes.resize(usize::try_from(spooled.size()).expect("small"), 0);
        bytes
    }

    fn on_disk(directory: &Path) -> usize {
        fs::read_dir(directory).expect("a directory").count()
    }

    #[test]
    fn small_content_stays_in_memory_however_it_is_cut() {
        let directory = tempfile::tempdir().expect("a directory");
        let spool = Spool::open(directory.path()).expect("a spool");
        let whole: Vec<u8> = (0..=255).collect();
        let mut layer = spool.layer();
        let kept: Vec<Spooled> = (0..=whole.len())
            .map(|cut| {
                let mut file = layer.create(whole.len() as u64).expect("created");
                layer.write(&mut file, 0, &whole[..cut]).expect("written");
                layer.write(&mut file, cut as u64, &whole[cut..]).expect("written");
                layer.finish(file).expect("finished")
            })
            .collect();
        assert!(kept.iter().all(|spooled| read(&layer, spooled) == whole));
        assert_eq!(on_disk(directory.path()), 0);
    }

    #[test]
    fn sizes_around_the_bound_and_holes_are_kept() {
        let directory = tempfile::tempdir().expect("a directory");
        let spool = Spool::open(directory.path()).expect("a spool");
        let small = SMALL_BYTES as u64;
        // Size, writes, whether it becomes a file.
        for (size, writes, file) in [
            (0, vec![], false),
            (5, vec![], false),
            (5, vec![(0, "ab")], false),
            (5, vec![(0, "ab"), (4, "e")], true),
            (5, vec![(3, "de")], true),
            (small, vec![(0, "a")], false),
            (small + 1, vec![(0, "a")], true),
            (u64::from(u32::MAX) + 10, vec![], true),
        ] {
            let before = on_disk(directory.path());
            let mut layer = spool.layer();
            // Something stands before it in the chunk.
            let mut earlier = layer.create(3).expect("created");
            layer.write(&mut earlier, 0, b"xyz").expect("written");
            let earlier = layer.finish(earlier).expect("finished");
            let mut content = layer.create(size).expect("created");
            for (offset, bytes) in &writes {
                layer.write(&mut content, *offset, bytes.as_bytes()).expect("written");
            }
            let content = layer.finish(content).expect("finished");
            assert_eq!(content.size(), size);
            assert_eq!(on_disk(directory.path()) - before, usize::from(file), "{size} {writes:?}");
            if size < 1 << 20 {
                let mut expected = vec![0; usize::try_from(size).expect("small")];
                for (offset, bytes) in writes {
                    let offset = usize::try_from(offset).expect("small");
                    expected[offset..offset + bytes.len()].copy_from_slice(bytes.as_bytes());
                }
                assert_eq!(read(&layer, &content), expected);
            }
            assert_eq!(read(&layer, &earlier), b"xyz");
        }
    }

    #[test]
    fn memory_is_bounded_for_all_layers_and_given_back() {
        let directory = tempfile::tempdir().expect("a directory");
        let spool = Spool::with_memory(directory.path(), 2 * CHUNK_BYTES).expect("a spool");
        let content = vec![7; SMALL_BYTES];
        let fill = |layer: &mut LayerSpool, count: usize| {
            for _ in 0..count {
                let mut file = layer.create(SMALL_BYTES as u64).expect("created");
                layer.write(&mut file, 0, &content).expect("written");
                let spooled = layer.finish(file).expect("finished");
                assert_eq!(read(layer, &spooled), content);
            }
        };
        let a_chunk = CHUNK_BYTES / SMALL_BYTES;
        let (mut first, mut second) = (spool.layer(), spool.layer());
        fill(&mut first, a_chunk);
        fill(&mut second, a_chunk);
        assert_eq!(on_disk(directory.path()), 0);
        fill(&mut second, 3);
        assert_eq!(on_disk(directory.path()), 3);
        drop(first);
        fill(&mut second, a_chunk);
        assert_eq!(on_disk(directory.path()), 3, "the memory was not given back");
    }
}
