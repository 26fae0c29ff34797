//! The rules for what stands at a destination already.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::{Protected, StagingError};
use crate::disk::{DiskError, Operation};
use crate::temporary;

/// A destination by a name in a directory that exists.
#[derive(Debug)]
pub(super) struct Destination {
    parent: PathBuf,
    name: OsString,
}

/// Directories made on the way to a destination; dropped, they are removed again.
#[derive(Debug, Default)]
pub(super) struct CreatedParents(Vec<PathBuf>);

impl CreatedParents {
    pub(super) fn keep(&mut self) {
        self.0.clear();
    }

    pub(super) fn remove(&mut self) {
        for directory in self.0.drain(..).rev() {
            // Stays if somebody else has put something in it.
            let _ = fs::remove_dir(directory);
        }
    }

    fn create(&mut self, directory: &Path) -> Result<(), StagingError> {
        let missing: Vec<&Path> =
            directory.ancestors().take_while(|at| !at.as_os_str().is_empty() && !at.exists()).collect();
        for at in missing.into_iter().rev() {
            match fs::create_dir(at) {
                Ok(()) => self.0.push(at.to_owned()),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) if is_refusal(&source) => {
                    let parent = at.parent().unwrap_or(at).to_owned();
                    return Err(StagingError::ParentUnwritable { parent, source });
                }
                Err(error) => return Err(DiskError::new(Operation::CreateDirectory, at, error).into()),
            }
        }
        Ok(())
    }
}

impl Drop for CreatedParents {
    fn drop(&mut self) {
        self.remove();
    }
}

impl Destination {
    /// Finds the parent, or makes it.
    pub(super) fn resolve(path: &Path, created: &mut CreatedParents) -> Result<Self, StagingError> {
        let Some(name) = path.file_name() else {
            // `.`, `..`, `/` and their like name a directory that has another name elsewhere.
            let real = real(if path.as_os_str().is_empty() { Path::new(".") } else { path })?;
            let (Some(parent), Some(name)) = (real.parent(), real.file_name()) else {
                return Err(StagingError::Protected { path: real, what: Protected::Root });
            };
            return Ok(Self { parent: parent.to_owned(), name: name.to_owned() });
        };
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            Some(_) | None => Path::new("."),
        };
        created.create(parent)?;
        Ok(Self { parent: real(parent)?, name: name.to_owned() })
    }

    /// Finds the directory that will be filled, through a symbolic link too, or makes it.
    pub(super) fn resolve_in_place(path: &Path, created: &mut CreatedParents) -> Result<Self, StagingError> {
        created.create(path)?;
        let real = real(path)?;
        if !real.is_dir() {
            return Err(StagingError::NotDirectory { path: real });
        }
        Ok(match (real.parent(), real.file_name()) {
            (Some(parent), Some(name)) => Self { parent: parent.to_owned(), name: name.to_owned() },
            _ => Self { parent: real, name: OsString::new() },
        })
    }

    pub(super) fn parent(&self) -> &Path {
        &self.parent
    }

    pub(super) fn path(&self) -> PathBuf {
        if self.name.is_empty() { self.parent.clone() } else { self.parent.join(&self.name) }
    }

    /// Returns what the names of its siblings begin with.
    pub(super) fn prefix(&self) -> OsString {
        temporary::prefix(&self.name)
    }

    /// Refuses everything but nothing and an empty directory.
    pub(super) fn must_be_free(&self) -> Result<(), StagingError> {
        let path = self.path();
        match self.standing()? {
            Standing::Nothing => Ok(()),
            Standing::Directory if is_occupied(&path) => Err(StagingError::NotEmpty { path }),
            Standing::Directory => self.must_be_replaceable(&path),
            Standing::File | Standing::Other => Err(StagingError::NotDirectory { path }),
        }
    }

    /// Tells whether something has to be swapped away, and refuses what never is.
    pub(super) fn may_be_replaced(&self) -> Result<bool, StagingError> {
        let path = self.path();
        match self.standing()? {
            Standing::Nothing => Ok(false),
            Standing::Directory => self.must_be_replaceable(&path).map(|()| is_occupied(&path)),
            Standing::File => self.must_be_renameable(&path).map(|()| true),
            Standing::Other => Err(StagingError::NotDirectory { path }),
        }
    }

    /// Refuses a directory that something is in.
    pub(super) fn must_be_empty(&self) -> Result<(), StagingError> {
        let path = self.path();
        if is_occupied(&path) { Err(StagingError::NotEmpty { path }) } else { Ok(()) }
    }

    /// Says why no work directory could be made.
    pub(super) fn no_place(&self, error: io::Error) -> StagingError {
        if is_refusal(&error) {
            StagingError::ParentUnwritable { parent: self.parent.clone(), source: error }
        } else {
            DiskError::new(Operation::CreateDirectory, &self.parent, error).into()
        }
    }

    /// Says why the tree could not get its name.
    pub(super) fn not_renamed(&self, error: io::Error) -> StagingError {
        let path = self.path();
        let kind = error.kind();
        if [io::ErrorKind::DirectoryNotEmpty, io::ErrorKind::AlreadyExists].contains(&kind) {
            StagingError::NotEmpty { path }
        } else if kind == io::ErrorKind::NotADirectory {
            StagingError::NotDirectory { path }
        } else if kind == io::ErrorKind::ResourceBusy {
            StagingError::MountPoint { path }
        } else {
            DiskError::new(Operation::Rename, path, error).into()
        }
    }

    fn standing(&self) -> Result<Standing, StagingError> {
        let path = self.path();
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Standing::Nothing),
            Err(error) => return Err(DiskError::new(Operation::Inspect, path, error).into()),
        };
        if metadata.is_symlink() {
            return Err(StagingError::Symlink { path });
        }
        if is_mount_point(&path, &self.parent) {
            return Err(StagingError::MountPoint { path });
        }
        Ok(match metadata.file_type() {
            kind if kind.is_dir() => Standing::Directory,
            kind if kind.is_file() => Standing::File,
            _ => Standing::Other,
        })
    }

    fn must_be_replaceable(&self, path: &Path) -> Result<(), StagingError> {
        let protected = |what| Err(StagingError::Protected { path: path.to_owned(), what });
        if is_or_holds(path, Path::new("/")) {
            return protected(Protected::Root);
        }
        if std::env::current_dir().is_ok_and(|working| is_or_holds(path, &working)) {
            return protected(Protected::WorkingDirectory);
        }
        if std::env::home_dir().is_some_and(|home| is_or_holds(path, &home)) {
            return protected(Protected::Home);
        }
        self.must_be_renameable(path)
    }

    fn must_be_renameable(&self, path: &Path) -> Result<(), StagingError> {
        if belongs_to_another_in_sticky_parent(path, &self.parent) {
            let source = io::ErrorKind::PermissionDenied.into();
            return Err(StagingError::ParentUnwritable { parent: self.parent.clone(), source });
        }
        Ok(())
    }
}

enum Standing {
    Nothing,
    Directory,
    File,
    /// A device, FIFO or socket.
    Other,
}

fn real(path: &Path) -> Result<PathBuf, StagingError> {
    fs::canonicalize(path).map_err(|error| DiskError::new(Operation::Inspect, path, error).into())
}

/// Tells whether the system does not let us write there, which another place would.
fn is_refusal(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

/// Tells whether something is in a directory. One that cannot be read may hold anything.
fn is_occupied(directory: &Path) -> bool {
    fs::read_dir(directory).map_or(true, |mut entries| entries.next().is_some())
}

/// Tells whether `inner` is `outer`, or lies below it, whatever names lead to them.
fn is_or_holds(outer: &Path, inner: &Path) -> bool {
    fs::canonicalize(inner).is_ok_and(|inner| inner.ancestors().any(|at| is_same(at, outer)))
}

#[cfg(unix)]
fn is_same(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |path| fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()));
    one == other || matches!((identity(one), identity(other)), (Ok(one), Ok(other)) if one == other)
}

#[cfg(not(unix))]
fn is_same(one: &Path, other: &Path) -> bool {
    one == other
}

#[cfg(unix)]
fn is_mount_point(path: &Path, parent: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    // A bind mount can have its parent's device; only Linux tells.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
        if let Ok(found) = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty())
            && found.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT)
        {
            return found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT);
        }
    }
    let device = |path: &Path| fs::symlink_metadata(path).map(|metadata| metadata.dev());
    matches!((device(path), device(parent)), (Ok(path), Ok(parent)) if path != parent)
}

#[cfg(not(unix))]
fn is_mount_point(_: &Path, _: &Path) -> bool {
    false
}

/// Tells whether the parent is one like `/tmp`, in which only owners rename what stands there.
#[cfg(unix)]
fn belongs_to_another_in_sticky_parent(path: &Path, parent: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let user = rustix::process::geteuid();
    let (Ok(found), Ok(parent)) = (fs::symlink_metadata(path), fs::metadata(parent)) else { return false };
    let sticky = parent.mode() & 0o1000 != 0;
    sticky && !user.is_root() && ![found.uid(), parent.uid()].contains(&user.as_raw())
}

#[cfg(not(unix))]
fn belongs_to_another_in_sticky_parent(_: &Path, _: &Path) -> bool {
    false
}
