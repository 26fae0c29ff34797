//! A file that is written before it gets its name.

use std::ffi::OsStr;
use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::leftover::{RANDOM_CHARACTERS, prefix, remove_dead_files};

/// A file without a final name, removed when it is dropped.
#[derive(Debug)]
pub(crate) struct TemporaryFile(NamedTempFile);

/// Who may open a file that is not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Its owner alone.
    Private,
    /// Whoever may open any other new file of this process.
    Usual,
}

impl Access {
    #[cfg(unix)]
    fn apply(self, builder: &mut tempfile::Builder<'_, '_>) {
        match self {
            // As they are made without a word.
            Self::Private => {}
            Self::Usual => {
                builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
            }
        }
    }

    /// Elsewhere, files inherit their permissions.
    #[cfg(not(unix))]
    fn apply(self, _: &mut tempfile::Builder<'_, '_>) {}
}

impl TemporaryFile {
    /// Creates an empty one in `folder`, whose name begins with `prefix`.
    pub(crate) fn create(folder: &Path, prefix: &OsStr, access: Access) -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(prefix).rand_bytes(RANDOM_CHARACTERS);
        access.apply(&mut builder);
        loop {
            let file = builder.tempfile_in(folder)?;
            let is_taken = match file.as_file().try_lock() {
                // Some file systems have no locks; there, age decides.
                Ok(()) | Err(TryLockError::Error(_)) => std::fs::symlink_metadata(file.path()).is_err(),
                Err(TryLockError::WouldBlock) => true,
            };
            // Between its creation and its lock, a file looks as if nobody owned it.
            if !is_taken {
                return Ok(Self(file));
            }
        }
    }

    /// Returns the file.
    pub(crate) fn file(&self) -> &File {
        self.0.as_file()
    }

    /// Returns where it is.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Makes its content safe, and gives it its final name, where it replaces what was there.
    pub(crate) fn replace(self, path: &Path) -> io::Result<()> {
        self.file().sync_all()?;
        self.0.persist(path).map_err(|error| error.error)?;
        Ok(())
    }

    /// Makes its content safe, and gives it its final name, unless something has that.
    pub(crate) fn appear(self, path: &Path) -> io::Result<()> {
        self.file().sync_all()?;
        self.0.persist_noclobber(path).map_err(|error| error.error)?;
        Ok(())
    }
}

/// A file that is absent or complete: it gets its name when all of it has been written.
///
/// Until then it lies beside its place under a hidden name. Dropped unfinished, it is removed; after a
/// kill, the next one for the same place removes what was left.
///
/// ```
/// use std::io::Write;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("image.tar");
/// let output = oci_fetcher::AtomicFile::begin(&path)?;
/// output.file().write_all(b"content")?;
/// assert!(!path.exists());
/// output.appear()?;
/// assert_eq!(std::fs::read(&path)?, b"content");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct AtomicFile {
    temporary: TemporaryFile,
    path: PathBuf,
}

impl AtomicFile {
    /// Begins a file that will be named `path`, with the usual permissions.
    ///
    /// # Errors
    /// The system's, if no file can be made there.
    pub fn begin(path: &Path) -> io::Result<Self> {
        let (folder, name) = place(path).ok_or(ErrorKind::InvalidInput)?;
        let prefix = prefix(name);
        remove_dead_files(folder, &prefix);
        Ok(Self { temporary: TemporaryFile::create(folder, &prefix, Access::Usual)?, path: path.to_owned() })
    }

    /// Removes what killed processes left of files that would have been named `path`.
    pub fn reclaim(path: &Path) {
        if let Some((folder, name)) = place(path) {
            remove_dead_files(folder, &prefix(name));
        }
    }

    /// Returns the file, to be written to.
    #[must_use]
    pub fn file(&self) -> &File {
        self.temporary.file()
    }

    /// Gives the file its name, unless something has that.
    ///
    /// # Errors
    /// The system's, [`ErrorKind::AlreadyExists`] among them.
    pub fn appear(self) -> io::Result<()> {
        self.temporary.appear(&self.path)
    }

    /// Gives the file its name, and puts it in the place of another that has it.
    ///
    /// # Errors
    /// The system's.
    pub fn replace(self) -> io::Result<()> {
        self.temporary.replace(&self.path)
    }
}

/// Takes a path apart into folder and name.
fn place(path: &Path) -> Option<(&Path, &OsStr)> {
    let folder = match path.parent()? {
        folder if folder.as_os_str().is_empty() => Path::new("."),
        folder => folder,
    };
    Some((folder, path.file_name()?))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::Write;

    use super::super::ANONYMOUS;
    use super::*;

    fn names(folder: &Path) -> BTreeSet<String> {
        let entries = std::fs::read_dir(folder).expect("readable");
        entries.map(|entry| entry.expect("readable").file_name().into_string().expect("plain")).collect()
    }

    #[test]
    fn only_what_nobody_writes_is_reclaimed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("out");
        let alive = AtomicFile::begin(&path).expect("writable");
        let kept = ["other", ".out.oci-fetcher-dead000", ".out.oci-fetcher-dea", ".out.oci-fetcher-dead00.old"];
        let kept = [&kept[..], &[".other.oci-fetcher-dead00", ".oci-fetcher-dead00"]].concat();
        for name in [&kept[..], &[".out.oci-fetcher-dead00"]].concat() {
            std::fs::write(folder.path().join(name), b"x").expect("writable");
        }
        std::fs::create_dir(folder.path().join(".out.oci-fetcher-folder")).expect("writable");
        AtomicFile::begin(&path).expect("writable").replace().expect("named");
        let left = names(folder.path());
        assert!(!left.contains(".out.oci-fetcher-dead00"), "{left:?}");
        assert!(kept.iter().all(|name| left.contains(*name)), "{left:?}");
        // Those, the folder, the living one and the finished one.
        assert_eq!(left.len(), kept.len() + 3, "{left:?}");
        drop(alive);
        assert_eq!(names(folder.path()).len(), kept.len() + 2);
    }

    #[test]
    fn creating_wins_against_reclaiming() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    remove_dead_files(folder.path(), ANONYMOUS.as_ref());
                }
            });
            for number in 0..200 {
                let path = folder.path().join(number.to_string());
                let created = TemporaryFile::create(folder.path(), ANONYMOUS.as_ref(), Access::Private);
                created.and_then(|file| file.replace(&path)).expect("kept");
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        assert_eq!(names(folder.path()).len(), 200);
    }

    #[test]
    fn a_file_that_appeared_meanwhile_stays_unless_it_is_to_be_replaced() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("out");
        let begin = || {
            let file = AtomicFile::begin(&path).expect("writable");
            file.file().write_all(b"ours").expect("writable");
            file
        };
        let (one, other) = (begin(), begin());
        std::fs::write(&path, b"another's").expect("writable");
        assert_eq!(one.appear().expect_err("taken").kind(), ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).expect("there"), b"another's");
        other.replace().expect("named");
        assert_eq!(std::fs::read(&path).expect("there"), b"ours");
        assert_eq!(names(folder.path()), BTreeSet::from(["out".to_owned()]));
    }

    #[test]
    fn what_names_no_file_is_refused() {
        for path in ["", "/", "..", "a/.."] {
            assert!(AtomicFile::begin(Path::new(path)).is_err(), "{path:?}");
        }
    }
}
