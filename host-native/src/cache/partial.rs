//! A blob on its way into the cache.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use oci_fetcher_core::digest::Digest;

use super::{Cache, CacheError, create_folder, error, no_follow, remove};
use crate::blob::{Blob, open_regular};
use crate::lock::LockFile;
use crate::temporary::TemporaryFile;

/// How long a download that another process works on is waited for, before it is done here too.
const PATIENCE: Duration = Duration::from_secs(10);

/// What there is of a blob.
#[derive(Debug)]
pub(crate) enum Opened {
    /// All of it.
    Whole(Blob),
    /// Its beginning, perhaps nothing.
    Partial(Partial),
}

/// The beginning of a blob, which this process alone appends to.
#[derive(Debug)]
pub(crate) struct Partial {
    cache: Cache,
    digest: Digest,
    file: File,
    path: PathBuf,
    length: u64,
    owned: Owned,
}

#[derive(Debug)]
enum Owned {
    /// Under the blob's own name, so that a later run can go on.
    Shared(LockFile),
    /// Under a name of its own, since another process works on the same blob.
    Private(#[expect(dead_code, reason = "it is held for its drop alone")] TemporaryFile),
}

impl Cache {
    /// Opens a blob of `size` bytes for reading, or what is there of it for appending.
    ///
    /// Waits a bounded time where another process is fetching it.
    pub(crate) fn open_or_begin(&self, digest: &Digest, size: u64) -> Result<Opened, CacheError> {
        let folder = self.partials();
        let path = folder.join(format!("{}-{}", digest.algorithm_name(), digest.encoded()));
        let lock_path = lock_path(&path);
        let begun = Instant::now();
        loop {
            if let Some(blob) = self.open(digest)? {
                return Ok(Opened::Whole(blob));
            }
            create_folder(&folder)?;
            let lock = LockFile::try_acquire(&lock_path).map_err(|source| error("lock", &lock_path, source))?;
            if let Some(lock) = lock {
                // It may have been finished between the look and the lock.
                if let Some(blob) = self.open(digest)? {
                    return Ok(Opened::Whole(blob));
                }
                return self.begin(digest, size, path, lock).map(Opened::Partial);
            }
            if begun.elapsed() >= PATIENCE {
                return self.begin_privately(digest).map(Opened::Partial);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn begin(&self, digest: &Digest, size: u64, path: PathBuf, lock: LockFile) -> Result<Partial, CacheError> {
        let open = || {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            no_follow(&mut options);
            options.open(&path)
        };
        let usable = |file: &File| {
            let metadata = file.metadata();
            metadata.is_ok_and(|metadata| metadata.is_file() && metadata.len() <= size && has_one_name(&metadata))
        };
        let mut file = match open() {
            Ok(file) if usable(&file) => file,
            // Longer than the blob, a symlink, another file's second name or something stranger: no
            // beginning of it, and nothing to append to.
            Ok(_) | Err(_) => {
                remove(&path)?;
                open().map_err(|source| error("open", &path, source))?
            }
        };
        let length = file.seek(SeekFrom::End(0)).map_err(|source| error("read", &path, source))?;
        Ok(Partial { cache: self.clone(), digest: digest.clone(), file, path, length, owned: Owned::Shared(lock) })
    }

    fn begin_privately(&self, digest: &Digest) -> Result<Partial, CacheError> {
        let temporary = self.temporary_file()?;
        let path = temporary.path().to_owned();
        let file = temporary.file().try_clone().map_err(|source| error("open", &path, source))?;
        let owned = Owned::Private(temporary);
        Ok(Partial { cache: self.clone(), digest: digest.clone(), file, path, length: 0, owned })
    }
}

impl Partial {
    /// Returns how many bytes of the blob there are.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Opens it for reading from the beginning.
    pub(crate) fn reader(&self) -> Result<File, CacheError> {
        open_regular(&self.path).map_err(|source| error("open", &self.path, source))
    }

    /// Appends the bytes that follow.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), CacheError> {
        self.file.write_all(bytes).map_err(|source| error("write", &self.path, source))?;
        self.length += bytes.len() as u64;
        if let Owned::Shared(lock) = &mut self.owned {
            lock.refresh();
        }
        Ok(())
    }

    /// Gives the blob, which has been verified, its final name.
    pub(crate) fn commit(self) -> Result<(), CacheError> {
        let path = self.cache.blob_path(&self.digest);
        create_folder(path.parent().expect("a blob lies in its algorithm's folder"))?;
        self.file.sync_data().map_err(|source| error("write", &self.path, source))?;
        std::fs::rename(&self.path, &path).map_err(|source| error("write", &path, source))
    }

    /// Removes it: it is no beginning of the blob.
    pub(crate) fn discard(self) -> Result<(), CacheError> {
        remove(&self.path)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        match &self.owned {
            // Nothing of use to a later run, it goes by itself.
            Owned::Private(_) => {}
            Owned::Shared(_) if self.length == 0 => drop(std::fs::remove_file(&self.path)),
            Owned::Shared(_) => {}
        }
    }
}

/// Tells whether a file is known by this name alone, so that nothing else changes with it.
#[cfg(unix)]
fn has_one_name(metadata: &std::fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::nlink(metadata) == 1
}

#[cfg(not(unix))]
fn has_one_name(_: &std::fs::Metadata) -> bool {
    true
}

/// Returns the lock of a download.
pub(super) fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}
