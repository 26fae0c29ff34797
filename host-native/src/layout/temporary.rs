//! Files of a layout on their way to their final names.
//!
//! Each lies in the layout's root, under a name of its own, created with `O_EXCL` and mode 0600.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::temporary::{self, ANONYMOUS, Access, TemporaryFile};

/// A file without a final name, removed when it is dropped.
#[derive(Debug)]
pub(super) struct Temporary(TemporaryFile);

impl Temporary {
    /// Creates an empty one in `root`.
    pub(super) fn create(root: &Path) -> io::Result<Self> {
        TemporaryFile::create(root, ANONYMOUS.as_ref(), Access::Private).map(Self)
    }

    pub(super) fn file(&self) -> &File {
        self.0.file()
    }

    /// Makes its content safe, and gives it its final name, where it replaces what was there.
    pub(super) fn persist(self, path: &Path, mode: &FileMode) -> io::Result<()> {
        if let Some(permissions) = &mode.0 {
            self.file().set_permissions(permissions.clone())?;
        }
        self.0.replace(path)
    }
}

/// The permissions of finished files: 0644 as far as the process's umask and the directory's
/// defaults allow. Elsewhere than on Unix, files simply inherit theirs.
#[derive(Debug)]
pub(super) struct FileMode(Option<std::fs::Permissions>);

impl FileMode {
    /// Learns them by creating a file in `root`, since asking for the umask changes it for a moment
    /// in all threads. It also shows that files can be created there at all, and whoever keeps the
    /// file shows that the directory is in use.
    pub(super) fn probe(root: &Path) -> io::Result<(Self, Temporary)> {
        let file = TemporaryFile::create(root, ANONYMOUS.as_ref(), Access::Usual)?;
        let permissions = file.file().metadata()?.permissions();
        Ok((Self(finished(permissions)), Temporary(file)))
    }
}

#[cfg(unix)]
fn finished(usual: std::fs::Permissions) -> Option<std::fs::Permissions> {
    use std::os::unix::fs::PermissionsExt;
    Some(std::fs::Permissions::from_mode(usual.mode() & 0o644))
}

#[cfg(not(unix))]
fn finished(_: std::fs::Permissions) -> Option<std::fs::Permissions> {
    None
}

/// Removes what killed processes left behind in `root`.
pub(super) fn reclaim(root: &Path) {
    temporary::remove_dead_files(root, ANONYMOUS.as_ref());
}

/// Tells whether a name is one that this module gives.
pub(super) fn is_temporary(name: &std::ffi::OsStr) -> bool {
    temporary::is_temporary(name, ANONYMOUS.as_ref())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn files_are_private_until_they_are_finished() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mode = |file: &File| file.metadata().expect("there").permissions().mode() & 0o7777;
        let reference = folder.path().join("reference");
        let expected = mode(&File::create(&reference).expect("writable")) & 0o644;
        let (finished, _) = FileMode::probe(folder.path()).expect("writable");
        let temporary = Temporary::create(folder.path()).expect("writable");
        assert_eq!(mode(temporary.file()), 0o600);
        temporary.persist(&reference, &finished).expect("writable");
        assert_eq!(mode(&File::open(&reference).expect("there")), expected);
    }
}
