//! An OCI image layout as a destination (OCI image-spec 1.1, image-layout.md).
//!
//! ```text
//! oci-layout                        written first: a directory without it is no layout yet
//! blobs/<algorithm>/<encoded>       each renamed here once its bytes were verified
//! index.json                        replaced as a whole, under index.json.lock
//! .oci-fetcher-XXXXXX               what is being written, see `temporary`
//! ```
//!
//! An image is named by `index.json` after all of its blobs are in place, and not at all if
//! anything failed. Any number of processes may export into one layout. Only `index.json` needs the
//! lock: whoever renames a blob last renames the same bytes. Each keeps a temporary file there as long
//! as it works, and so a writer that fails removes the layout that it created only if it was alone.
//!
//! Deviation: none from the specification; beyond it, a layout whose files or directories are
//! symbolic links is refused, since writing would lead out of it.

mod copy;
mod creation;
mod error;
mod folder;
mod temporary;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use oci_fetcher_core::digest::Digest;
use oci_fetcher_core::layout::{
    INDEX_FILE, MARKER, MARKER_FILE, Names, RefNameError, blob_path, check_marker, merge, parse_index,
};
use oci_fetcher_core::limits::Limits;
use oci_fetcher_core::manifest::Descriptor;

use self::creation::Creation;
pub use self::error::LayoutError;
pub(crate) use self::folder::{LayoutFolder, MARKER_BYTES};
use self::temporary::{FileMode, Temporary};
use crate::blob::Blob;
use crate::error::is_full;
use crate::lock::{self, LockFile};

/// Adds images to a layout, which is created if there is none.
///
/// Dropping it before anything was [published](Self::publish) removes what it created, if the layout
/// did not exist before and nobody else has begun to use it.
///
/// ```
/// use oci_fetcher::layout::{Content, LayoutWriter};
/// use oci_fetcher_core::digest::{Algorithm, Digest};
/// use oci_fetcher_core::layout::Names;
/// use oci_fetcher_core::limits::Limits;
/// use oci_fetcher_core::manifest::{Descriptor, MediaType};
///
/// let folder = tempfile::tempdir()?;
/// let layout = LayoutWriter::open(&folder.path().join("layout"), &Limits::default())?;
///
/// let manifest = br#"{"schemaVersion":2, "manifests":[]}"#;
/// let digest = Digest::of(Algorithm::Sha256, manifest);
/// layout.put_blob(&digest, Content::Bytes(manifest))?;
///
/// let entry = Descriptor::new(MediaType::OciIndex, digest, manifest.len() as u64);
/// let names = Names { reference: Some("example:1"), image: Some("docker.io/library/example:1") };
/// assert!(layout.publish(&entry, &names)?.left_out.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct LayoutWriter {
    folder: LayoutFolder,
    limits: Limits,
    mode: FileMode,
    /// Keeps a writer that fails from removing the layout that it created.
    presence: Option<Temporary>,
    patience: Duration,
    /// The blobs that are sure to hash to their names, with their sizes: written or hashed here.
    verified: Mutex<BTreeMap<Digest, u64>>,
    creation: Mutex<Creation>,
}

/// The bytes of a blob that is to be stored.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// These; they are hashed.
    Bytes(&'a [u8]),
    /// What lies there; it is hashed on the way.
    Blob(&'a Blob),
    /// What lies there, which the caller has hashed just now. It is not read if the file system can
    /// share or copy it by itself.
    Verified(&'a Blob),
}

/// What naming an image came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Why the reference name was left out, for a warning.
    pub left_out: Option<RefNameError>,
}

/// The lock's file in a layout: whoever replaces `index.json` holds it.
pub const LOCK_FILE: &str = "index.json.lock";

/// Naming an image takes milliseconds, so that a hundred others may go before.
const PATIENCE: Duration = Duration::from_secs(30);

impl LayoutWriter {
    /// Opens the layout in the directory `path`, or creates one there. Everything that is wrong with
    /// an existing one shows here, before anything is fetched or changed.
    ///
    /// # Errors
    /// [`LayoutError::NotALayout`] and [`LayoutError::NotADirectory`], which leave the destination
    /// untouched; [`LayoutError::Content`] for a layout of another version or with an unusable
    /// `index.json`; [`LayoutError::Irregular`] and [`LayoutError::Io`].
    pub fn open(path: &Path, limits: &Limits) -> Result<Self, LayoutError> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            match Self::open_once(path, limits) {
                // Other processes may have created the directory, failed, and removed it again, or
                // another just now makes a layout of it: the next look tells.
                Err(LayoutError::Removed { .. } | LayoutError::NotALayout { .. }) if attempts < ATTEMPTS => {
                    std::thread::sleep(BETWEEN_ATTEMPTS);
                }
                result => return result,
            }
        }
    }

    fn open_once(path: &Path, limits: &Limits) -> Result<Self, LayoutError> {
        let folder = LayoutFolder::new(path);
        let mut creation = Creation::begin(&folder)?;
        let vacant = || is_vacant(path).map_err(LayoutError::io("list", path));
        // Looked at before the marker, which other writers write first and remove last.
        let was_vacant = vacant()?;
        let marker = read(&folder, MARKER_FILE, MARKER_BYTES)?;
        match &marker {
            Some(marker) => {
                let content = |source| LayoutError::Content { path: folder.path(MARKER_FILE), source };
                check_marker(marker).map_err(content)?;
                creation.is_layout_new = false;
            }
            None if was_vacant => creation.is_layout_new = true,
            None if vacant()? => return Err(LayoutError::Removed { path: folder.path(MARKER_FILE) }),
            None => return Err(LayoutError::NotALayout { path: path.to_owned() }),
        }
        temporary::reclaim(path);
        lock::reclaim(path);
        let (mode, presence) = FileMode::probe(path).map_err(LayoutError::io("create a file in", path))?;
        let writer = Self {
            folder,
            limits: limits.clone(),
            mode,
            presence: Some(presence),
            patience: PATIENCE,
            verified: Mutex::default(),
            creation: Mutex::new(creation),
        };
        writer.ensure_marker()?;
        writer.read_index()?;
        Ok(writer)
    }

    /// Tells whether there is a regular file of the right size for a blob. Only
    /// [`verify_existing`](Self::verify_existing) tells whether it is the blob.
    #[must_use]
    pub fn has_blob(&self, digest: &Digest, size: u64) -> bool {
        let found = self.folder.open(&blob_path(digest));
        let metadata = found.map(|file| file.and_then(|file| file.metadata().ok()));
        matches!(metadata, Ok(Some(metadata)) if metadata.len() == size)
    }

    /// Tells whether a blob is in place already. Other tools write layouts too, so it is hashed,
    /// unless this writer has done so before. What is not the blob, whatever it is, counts as
    /// missing: [`put_blob`](Self::put_blob) replaces it.
    ///
    /// # Errors
    /// [`LayoutError::Io`] if it cannot be read.
    pub fn verify_existing(&self, digest: &Digest, size: u64) -> Result<bool, LayoutError> {
        if !self.has_blob(digest, size) {
            return Ok(false);
        }
        let Some(algorithm) = digest.algorithm() else { return Ok(false) };
        if lock(&self.verified).get(digest) == Some(&size) {
            return Ok(true);
        }
        let name = blob_path(digest);
        let found = match self.folder.open(&name).and_then(|file| {
            let file = file.ok_or(ErrorKind::NotFound)?;
            Blob::new(file, 0, size).digest(algorithm)
        }) {
            // It changed since it was looked at.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::UnexpectedEof) => return Ok(false),
            result => result.map_err(LayoutError::io("read", &self.folder.path(&name)))?,
        };
        if found == *digest {
            lock(&self.verified).insert(digest.clone(), size);
        }
        Ok(found == *digest)
    }

    /// Stores a blob under its final name, unless this writer has done so before.
    ///
    /// # Errors
    /// [`LayoutError::Mismatch`] if the bytes are not the blob's, and then nothing has changed;
    /// [`LayoutError::UnknownAlgorithm`], [`LayoutError::Irregular`] and [`LayoutError::Io`].
    pub fn put_blob(&self, digest: &Digest, content: Content<'_>) -> Result<(), LayoutError> {
        let algorithm = digest.algorithm().ok_or_else(|| LayoutError::UnknownAlgorithm { digest: digest.clone() })?;
        let size = match content {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Blob(blob) | Content::Verified(blob) => blob.length(),
        };
        let is_known = lock(&self.verified).get(digest) == Some(&size);
        if is_known && self.has_blob(digest, size) {
            return Ok(());
        }
        let path = self.folder.path(&blob_path(digest));
        let temporary = self.temporary()?;
        let written = match content {
            Content::Bytes(bytes) => temporary.file().write_all(bytes).map(|()| Some(Digest::of(algorithm, bytes))),
            Content::Blob(blob) => copy::copy_hashing(blob, temporary.file(), algorithm).map(Some),
            Content::Verified(blob) => copy::copy(blob, temporary.file()).map(|()| None),
        };
        match written.map_err(LayoutError::io("write", &path))? {
            Some(found) if found != *digest => {
                return Err(LayoutError::Mismatch { digest: digest.clone(), found });
            }
            Some(_) | None => {}
        }
        self.create_blob_directory(digest)?;
        let is_new = std::fs::symlink_metadata(&path).is_err();
        temporary.persist(&path, &self.mode).map_err(LayoutError::io("write", &path))?;
        if is_new {
            lock(&self.creation).blobs.insert(path);
        }
        lock(&self.verified).insert(digest.clone(), size);
        Ok(())
    }

    /// Names an image in `index.json`. Its blobs must be in place, each stored or verified by this
    /// writer. Other entries survive; names that they have move here.
    ///
    /// # Errors
    /// [`LayoutError::NotStored`] if not even the entry's own blob was stored,
    /// [`LayoutError::Locked`] if other processes do not give way for half a minute,
    /// [`LayoutError::Removed`] if one has removed a blob, [`LayoutError::Content`] if `index.json`
    /// cannot be added to, [`LayoutError::Irregular`] and [`LayoutError::Io`].
    pub fn publish(&self, entry: &Descriptor, names: &Names<'_>) -> Result<Published, LayoutError> {
        if lock(&self.verified).get(&entry.digest) != Some(&entry.size) {
            return Err(LayoutError::NotStored { digest: entry.digest.clone() });
        }
        let mut held = self.acquire()?;
        self.ensure_marker()?;
        self.check_in_place()?;
        let existing = self.read_index()?;
        let merged = merge(existing.as_deref(), entry, names, &self.limits)
            .map_err(|source| LayoutError::Content { path: self.folder.path(INDEX_FILE), source })?;
        held.refresh();
        if existing.as_ref() != Some(&merged.bytes) {
            if !held.is_held() {
                return Err(LayoutError::Locked { lock: self.folder.path(LOCK_FILE) });
            }
            self.write(INDEX_FILE, &merged.bytes)?;
            sync_directory(self.folder.root()).map_err(LayoutError::io("write", self.folder.root()))?;
        }
        lock(&self.creation).complete();
        Ok(Published { left_out: merged.left_out })
    }

    fn acquire(&self) -> Result<LockFile, LayoutError> {
        let path = self.folder.path(LOCK_FILE);
        let held = LockFile::acquire(&path, self.patience).map_err(LayoutError::io("create", &path))?;
        held.ok_or(LayoutError::Locked { lock: path })
    }

    fn try_acquire_to_undo(&self) -> Option<LockFile> {
        let path = self.folder.path(LOCK_FILE);
        match LockFile::try_acquire(&path) {
            Err(error) if is_full(&error) => LockFile::try_acquire_nameless(&path).ok(),
            result => result.ok().flatten(),
        }
    }

    /// Checks, under the lock, that nobody has removed what an image of this writer may need, and
    /// makes it durable before it is named: a writer that failed before this one
    /// showed its presence may have removed what this one found in place.
    fn check_in_place(&self) -> Result<(), LayoutError> {
        let mut directories = BTreeSet::from([self.folder.path(BLOBS)]);
        for (digest, size) in lock(&self.verified).iter() {
            let path = self.folder.path(&blob_path(digest));
            if !self.has_blob(digest, *size) {
                return Err(LayoutError::Removed { path });
            }
            directories.extend(path.parent().map(Path::to_owned));
        }
        directories.iter().try_for_each(|path| sync_directory(path).map_err(LayoutError::io("write", path)))
    }

    fn read_index(&self) -> Result<Option<Vec<u8>>, LayoutError> {
        // One byte too many is enough for the core to refuse it.
        let bytes = read(&self.folder, INDEX_FILE, self.limits.manifest_bytes.saturating_add(1))?;
        if let Some(bytes) = &bytes {
            parse_index(bytes, &self.limits)
                .map_err(|source| LayoutError::Content { path: self.folder.path(INDEX_FILE), source })?;
        }
        Ok(bytes)
    }

    /// Replaces a file as a whole.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), LayoutError> {
        let path = self.folder.path(name);
        let temporary = self.temporary()?;
        let written = temporary.file().write_all(bytes).and_then(|()| temporary.persist(&path, &self.mode));
        written.map_err(LayoutError::io("write", &path))
    }

    fn temporary(&self) -> Result<Temporary, LayoutError> {
        Temporary::create(self.folder.root()).map_err(LayoutError::io("create a file in", self.folder.root()))
    }

    fn create_blob_directory(&self, digest: &Digest) -> Result<(), LayoutError> {
        let name = format!("{BLOBS}/{}", digest.algorithm_name());
        for name in [BLOBS, &name] {
            let path = self.folder.path(name);
            match std::fs::create_dir(&path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    self.folder.check_directory(name).map_err(LayoutError::io("use", &path))?;
                }
                result => {
                    result.map_err(LayoutError::io("create", &path))?;
                    // A writer that failed may be removing the marker. It looks for blobs afterwards,
                    // and this one for the marker, so that one of the two sees the other.
                    self.ensure_marker()?;
                }
            }
        }
        Ok(())
    }

    /// Makes a layout of the directory, if it is none.
    fn ensure_marker(&self) -> Result<(), LayoutError> {
        let is_there = std::fs::symlink_metadata(self.folder.path(MARKER_FILE)).is_ok();
        if is_there { Ok(()) } else { self.write(MARKER_FILE, MARKER) }
    }
}

impl Drop for LayoutWriter {
    fn drop(&mut self) {
        drop(self.presence.take());
        let creation = lock(&self.creation);
        if creation.is_layout_new
            // Whoever holds the lock is about to use the layout.
            && let Some(_held) = self.try_acquire_to_undo()
        {
            creation.undo_content(&self.folder);
            if self.folder.path(BLOBS).exists() {
                // Another writer has begun to use it.
                let _ = self.ensure_marker();
            }
        }
    }
}

/// The directory that holds the blobs.
const BLOBS: &str = "blobs";

/// How often a destination that changes while it is looked at is looked at again.
const ATTEMPTS: u32 = 5;
/// Making a layout takes less.
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(2);

/// Tells whether a directory holds nothing but what killed exports leave behind.
fn is_vacant(path: &Path) -> io::Result<bool> {
    let entries = loop {
        match std::fs::read_dir(path) {
            // The standard library tries most calls again, and not this one.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            entries => break entries?,
        }
    };
    for entry in entries {
        let name = entry?.file_name();
        if !lock::is_lock(&name) && !temporary::is_temporary(&name) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn read(folder: &LayoutFolder, name: &str, limit: u64) -> Result<Option<Vec<u8>>, LayoutError> {
    folder.read(name, limit).map_err(LayoutError::io("read", &folder.path(name)))
}

/// Makes renames within a directory durable.
fn sync_directory(path: &Path) -> io::Result<()> {
    // Elsewhere, directories cannot be opened for this.
    if cfg!(unix) { std::fs::File::open(path)?.sync_all() } else { Ok(()) }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
