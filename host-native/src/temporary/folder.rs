//! A directory that is filled before it, or what is in it, gets its name.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::leftover::{ATTEMPTS, Lock, for_each_dead, lock, prefix, random_name};
use crate::disk::remove_tree;

/// A work directory that is ours; whoever made it removes it.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// Unlocked when it is closed, by a kill too; `None` where there are no locks.
    _lock: Option<File>,
}

impl Folder {
    /// Creates one in `parent`.
    pub(crate) fn create(parent: &Path, prefix: &OsStr) -> io::Result<Self> {
        for _ in 0..ATTEMPTS {
            let path = parent.join(random_name(prefix));
            match fs::create_dir(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                created => created?,
            }
            match make_private(&path) {
                // As below.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                private => private?,
            }
            match lock(&path) {
                Ok(Lock::Held(lock)) => return Ok(Self { path, _lock: Some(lock) }),
                Ok(Lock::Unknown) => return Ok(Self { path, _lock: None }),
                // Somebody took it for a leftover in the moment before it was locked.
                Ok(Lock::Taken) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let _ = fs::remove_dir(&path);
                    return Err(error);
                }
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Returns where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// A directory in the system's place for temporary ones, removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Scratch(Folder);

impl Scratch {
    /// Creates an empty one, and removes those for `name` that killed processes left there.
    pub(crate) fn create(name: &str) -> io::Result<Self> {
        let (parent, prefix) = (std::env::temp_dir(), prefix(name.as_ref()));
        for_each_dead(&parent, &prefix, |path| drop(remove_tree(path)));
        Folder::create(&parent, &prefix).map(Self)
    }

    /// Returns where it is.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nobody is left to be told; the next one tries again.
        let _ = remove_tree(self.path());
    }
}

/// Creates a directory for our eyes alone, whatever the umask and the parent hand on.
pub(crate) fn create_private(path: &Path) -> io::Result<()> {
    fs::create_dir(path)?;
    make_private(path)
}

#[cfg(unix)]
pub(crate) fn make_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    for name in ["system.posix_acl_default", "system.posix_acl_access"] {
        // Fails where there is none, or where the file system knows none.
        let _ = rustix::fs::lremovexattr(path, name);
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
pub(crate) fn make_private(_: &Path) -> io::Result<()> {
    Ok(())
}
