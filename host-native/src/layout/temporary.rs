//! Files on their way to their final names, and those that a killed process left behind.
//!
//! Each lies in the layout's root, under a name of its own, created with `O_EXCL` and mode 0600. Its
//! writer holds a lock on it that the system drops when the process ends in whatever way, so that
//! others can tell what nobody will finish.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tempfile::NamedTempFile;

use crate::blob::open_regular;

/// How the names start.
pub(super) const PREFIX: &str = ".oci-fetcher-";

/// A file without a final name, removed when it is dropped.
#[derive(Debug)]
pub(super) struct Temporary(NamedTempFile);

impl Temporary {
    /// Creates an empty one in `root`.
    pub(super) fn create(root: &Path) -> io::Result<Self> {
        loop {
            let file = builder().tempfile_in(root)?;
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

    pub(super) fn file(&self) -> &File {
        self.0.as_file()
    }

    /// Makes its content safe, and gives it its final name, where it replaces what was there.
    pub(super) fn persist(self, path: &Path, mode: &FileMode) -> io::Result<()> {
        if let Some(permissions) = &mode.0 {
            self.file().set_permissions(permissions.clone())?;
        }
        self.file().sync_all()?;
        self.0.persist(path).map_err(|error| error.error)?;
        Ok(())
    }
}

fn builder() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX);
    builder
}

/// The permissions of finished files: 0644 as far as the process's umask and the directory's
/// defaults allow. Elsewhere than on Unix, files simply inherit theirs.
#[derive(Debug)]
pub(super) struct FileMode(Option<std::fs::Permissions>);

impl FileMode {
    /// Learns them by creating a file in `root`, since asking for the umask changes it for a moment
    /// in all threads. It also shows that files can be created there at all.
    pub(super) fn probe(root: &Path) -> io::Result<Self> {
        let mut builder = builder();
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
        let file = builder.tempfile_in(root)?;
        let permissions = file.as_file().metadata()?.permissions();
        Ok(Self(cfg!(unix).then_some(permissions)))
    }
}

/// Removes what killed processes left behind in `root`. What cannot be removed stays: it harms
/// nobody.
pub(super) fn reclaim(root: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(root)? {
        let entry = entry?;
        if !is_temporary(&entry.file_name()) {
            continue;
        }
        let path = entry.path();
        let Ok(file) = open_regular(&path) else { continue };
        let is_abandoned = match file.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(_)) => is_old(&file),
        };
        if is_abandoned {
            let _ = std::fs::remove_file(&path);
        }
    }
    Ok(())
}

/// Tells whether a name is one that this module gives.
pub(super) fn is_temporary(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().starts_with(PREFIX.as_bytes())
}

fn is_old(file: &File) -> bool {
    let modified = file.metadata().and_then(|metadata| metadata.modified());
    modified.is_ok_and(|modified| SystemTime::now().duration_since(modified).is_ok_and(|age| age > OLD))
}

/// Where there are no locks: a file that is being written changes far more often.
const OLD: Duration = Duration::from_secs(60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    fn count(folder: &Path) -> usize {
        std::fs::read_dir(folder).expect("readable").count()
    }

    #[test]
    fn only_what_nobody_writes_is_reclaimed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let alive = Temporary::create(folder.path()).expect("writable");
        std::fs::write(folder.path().join(format!("{PREFIX}dead")), b"x").expect("writable");
        std::fs::write(folder.path().join("other"), b"x").expect("writable");
        reclaim(folder.path()).expect("readable");
        assert_eq!(count(folder.path()), 2);
        drop(alive);
        assert_eq!(count(folder.path()), 1);
    }

    #[test]
    fn creating_wins_against_reclaiming() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    reclaim(folder.path()).expect("readable");
                }
            });
            let mode = FileMode::probe(folder.path()).expect("writable");
            for number in 0..200 {
                let path = folder.path().join(number.to_string());
                Temporary::create(folder.path()).and_then(|file| file.persist(&path, &mode)).expect("kept");
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        assert_eq!(count(folder.path()), 200);
    }

    #[cfg(unix)]
    #[test]
    fn files_are_private_until_they_are_finished() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mode = |file: &File| file.metadata().expect("there").permissions().mode() & 0o7777;
        let reference = folder.path().join("reference");
        let expected = mode(&File::create(&reference).expect("writable")) & 0o644;
        let finished = FileMode::probe(folder.path()).expect("writable");
        let temporary = Temporary::create(folder.path()).expect("writable");
        assert_eq!(mode(temporary.file()), 0o600);
        temporary.persist(&reference, &finished).expect("writable");
        assert_eq!(mode(&File::open(&reference).expect("there")), expected);
    }
}
