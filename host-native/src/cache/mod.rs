//! The cache: blobs by digest, downloads under way, and what tags were.
//!
//! ```text
//! blobs/<algorithm>/<encoded>     whole and verified; hashed again whenever they are decoded
//! partial/<algorithm>-<encoded>   the beginning of a blob; owned through <name>.lock
//! partial/.tmp-XXXXXX             anything else on its way to its name; its owner holds a lock on it
//! tags/<sha256 of the reference>  reference, digest and time, as JSON
//! ```
//!
//! Any number of processes share it. A blob needs no lock: it is written under another name and
//! renamed, and whoever renames last renames the same bytes.

mod partial;
mod remembered;

use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use oci_fetcher_core::digest::Digest;
use oci_fetcher_core::error::{Class, Explain};

use crate::blob::{Blob, open_regular};
use crate::error::is_full;
use crate::lock::{self, LockFile};
use crate::temporary::{Access, Scratch, TemporaryFile, is_temporary, remove_dead_files};

pub(crate) use partial::{Opened, Partial};

/// How the names of files begin that are on their way to their final ones.
const TEMPORARY: &str = ".tmp-";

/// A cache in a folder.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
    /// Removed with the last one who uses it.
    _scratch: Option<Arc<Scratch>>,
}

/// A blob in the cache.
#[derive(Clone, Debug)]
pub struct CachedBlob {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last used.
    pub used: SystemTime,
    path: PathBuf,
}

/// What pruning did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Blobs and abandoned downloads that were removed.
    pub removed: u64,
    /// Their bytes.
    pub freed: u64,
    /// Bytes of the blobs that are left.
    pub kept: u64,
}

/// A cache that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {}", path.display())]
pub struct CacheError {
    operation: &'static str,
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

impl Explain for CacheError {
    fn class(&self) -> Class {
        Class::Local
    }

    fn code(&self) -> &'static str {
        if is_full(&self.source) { "disk-full" } else { "cache" }
    }

    fn advice(&self) -> Option<std::borrow::Cow<'static, str>> {
        Some(if is_full(&self.source) {
            "free space (`cache prune --keep SIZE`), or choose another place with --cache-dir (TMPDIR with --no-cache)"
                .into()
        } else {
            "choose another place with --cache-dir, or pass --no-cache".into()
        })
    }
}

impl Cache {
    /// Uses the cache in `root`, which is created when something is stored.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), _scratch: None }
    }

    /// Makes a cache that goes with its last user.
    pub(crate) fn temporary() -> Result<Self, CacheError> {
        let scratch = Scratch::create("blobs");
        let scratch = scratch.map_err(|source| error("create a folder in", &std::env::temp_dir(), source))?;
        Ok(Self { root: scratch.path().to_owned(), _scratch: Some(Arc::new(scratch)) })
    }

    /// Returns the platform's place: `$XDG_CACHE_HOME/oci-fetcher`, `~/.cache/oci-fetcher`,
    /// `~/Library/Caches/oci-fetcher` or `%LOCALAPPDATA%\oci-fetcher`; `None` without a home.
    #[must_use]
    pub fn default_root() -> Option<PathBuf> {
        let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let base = if cfg!(windows) {
            folder("LOCALAPPDATA")
        } else {
            folder("XDG_CACHE_HOME").or_else(|| {
                let below = if cfg!(target_os = "macos") { "Library/Caches" } else { ".cache" };
                folder("HOME").map(|home| home.join(below))
            })
        };
        base.map(|base| base.join("oci-fetcher"))
    }

    /// Returns the folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Lists the blobs, the least recently used first.
    ///
    /// # Errors
    /// [`CacheError`] if the folder cannot be read.
    pub fn blobs(&self) -> Result<Vec<CachedBlob>, CacheError> {
        let mut blobs = Vec::new();
        for algorithm in list(&self.root.join("blobs"))? {
            for path in list(&algorithm)? {
                let name = |path: &Path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
                let digest =
                    name(&algorithm).zip(name(&path)).map(|(algorithm, encoded)| format!("{algorithm}:{encoded}"));
                let Some(Ok(digest)) = digest.map(|digest| digest.parse::<Digest>()) else { continue };
                // Another process may have pruned it.
                let Ok(metadata) = std::fs::symlink_metadata(&path) else { continue };
                if metadata.is_file() {
                    let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                    blobs.push(CachedBlob { digest, size: metadata.len(), used, path });
                }
            }
        }
        blobs.sort_by(|one, other| one.used.cmp(&other.used).then_with(|| one.digest.cmp(&other.digest)));
        Ok(blobs)
    }

    /// Removes the least recently used blobs until at most `keep` bytes are left, and downloads
    /// that nobody works on.
    ///
    /// Pulls under way are safe: what they have opened stays readable, the rest is fetched again.
    ///
    /// # Errors
    /// [`CacheError`] if the folder cannot be read or a blob not be removed.
    pub fn prune(&self, keep: u64) -> Result<Pruned, CacheError> {
        let blobs = self.blobs()?;
        let mut pruned = Pruned { kept: blobs.iter().map(|blob| blob.size).sum(), ..Pruned::default() };
        for blob in blobs {
            if pruned.kept <= keep {
                break;
            }
            remove(&blob.path)?;
            pruned.removed += 1;
            pruned.freed += blob.size;
            pruned.kept -= blob.size;
        }
        self.reclaim();
        for path in list(&self.partials())? {
            let name = path.file_name().unwrap_or_default();
            if is_temporary(name, TEMPORARY.as_ref()) || lock::is_lock(name) {
                continue;
            }
            let Ok(metadata) = std::fs::symlink_metadata(&path) else { continue };
            let lock =
                LockFile::try_acquire(&partial::lock_path(&path)).map_err(|source| error("lock", &path, source))?;
            if lock.is_some() {
                remove(&path)?;
                pruned.removed += 1;
                pruned.freed += metadata.len();
            }
        }
        Ok(pruned)
    }

    /// Opens a whole blob for reading, and notes that it was used.
    pub(crate) fn open(&self, digest: &Digest) -> Result<Option<Blob>, CacheError> {
        let path = self.blob_path(digest);
        match open_regular(&path) {
            Ok(file) => {
                // Only the order of pruning depends on it.
                let _ = file.set_modified(SystemTime::now());
                Blob::whole(file).map(Some).map_err(|source| error("open", &path, source))
            }
            Err(source) if source.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(error("open", &path, source)),
        }
    }

    /// Reads a small blob whole; one that is longer than `limit` is as good as missing.
    pub(crate) fn read(&self, digest: &Digest, limit: u64) -> Result<Option<Vec<u8>>, CacheError> {
        let Some(blob) = self.open(digest)? else { return Ok(None) };
        let mut bytes = Vec::new();
        blob.reader()
            .take(limit + 1)
            .read_to_end(&mut bytes)
            .map_err(|source| error("read", &self.blob_path(digest), source))?;
        Ok((bytes.len() as u64 <= limit).then_some(bytes))
    }

    /// Stores a small blob that has been verified.
    pub(crate) fn keep(&self, digest: &Digest, bytes: &[u8]) -> Result<(), CacheError> {
        self.write(&self.blob_path(digest), bytes)
    }

    /// Writes a whole file under its name or not at all.
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), CacheError> {
        create_folder(path.parent().expect("every file lies in a folder of the cache"))?;
        let temporary = self.temporary_file()?;
        let written = temporary.file().write_all(bytes).and_then(|()| temporary.replace(path));
        written.map_err(|source| error("write", path, source))
    }

    fn temporary_file(&self) -> Result<TemporaryFile, CacheError> {
        let folder = self.partials();
        create_folder(&folder)?;
        TemporaryFile::create(&folder, TEMPORARY.as_ref(), Access::Private)
            .map_err(|source| error("create a file in", &folder, source))
    }

    /// Removes files that killed processes were writing, and their locks. What downloads left stays
    /// for a later one.
    pub(crate) fn reclaim(&self) {
        lock::reclaim(&self.partials());
        remove_dead_files(&self.partials(), TEMPORARY.as_ref());
    }

    fn partials(&self) -> PathBuf {
        self.root.join("partial")
    }

    /// Removes a blob, if it is there.
    pub(crate) fn discard(&self, digest: &Digest) -> Result<(), CacheError> {
        remove(&self.blob_path(digest))
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs").join(digest.algorithm_name()).join(digest.encoded())
    }
}

/// Creates a folder that only its owner may look into.
fn create_folder(path: &Path) -> Result<(), CacheError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|source| error("create", path, source))
}

#[cfg(unix)]
pub(crate) fn no_follow(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    options.custom_flags(flags.bits().cast_signed()).mode(0o600);
}

#[cfg(not(unix))]
pub(crate) fn no_follow(_options: &mut OpenOptions) {}

/// Lists a folder; one that does not exist is empty.
fn list(folder: &Path) -> Result<Vec<PathBuf>, CacheError> {
    let read = || -> std::io::Result<Vec<PathBuf>> {
        std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect()
    };
    match read() {
        Ok(paths) => Ok(paths),
        Err(source) if source.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(error("list", folder, source)),
    }
}

fn remove(path: &Path) -> Result<(), CacheError> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(error("remove", path, source)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn error(operation: &'static str, path: &Path, source: std::io::Error) -> CacheError {
    CacheError { operation, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
