//! The file system of a Unix host.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci_fetcher_core::entry::{EntryPath, Metadata};
use oci_fetcher_core::fs::{Created, FileSystem, Special};
use oci_fetcher_core::report::{Reason, Report, What};
use oci_fetcher_core::tree::Place;
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use super::error::{DiskError, Operation};
use super::handles::{DIRECTORY, Handles, Resolver};
use super::metadata::{Applier, Failure, Privilege, set_mode_of_name};
use crate::spool::{Content, LayerSpool, Spooled};

/// A directory of this machine as the destination of a merged tree.
///
/// The directory should be private and empty ([`Staging`](crate::staging::Staging) makes such a
/// one): whoever can write to it can change what is written, though never lead a write out of it.
///
/// ```
/// use oci_fetcher_core::{entry::{Entry, EntryKind, EntryPath, Metadata}, tree::{Selection, Tree}};
/// # use oci_fetcher::disk::DiskFs;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let root = tempfile::tempdir()?;
/// let mut fs = DiskFs::open(root.path())?;
/// let mut tree = Tree::new(Selection::everything(), 100);
/// tree.begin_layer();
/// let etc = Entry { path: EntryPath::clean(b"etc")?, kind: EntryKind::Directory, metadata: Metadata::IMPLIED };
/// let _ = tree.apply(&etc, &mut fs)?;
/// tree.finish(&mut fs)?;
/// assert!(root.path().join("etc").is_dir());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct DiskFs {
    path: PathBuf,
    handles: Handles,
    applier: Applier,
    umask: Umask,
}

/// A regular file being written. Everything not written yet is a hole.
#[derive(Debug)]
pub struct DiskFile {
    fd: OwnedFd,
    path: EntryPath,
    size: u64,
    /// Where the content ends that was written so far.
    end: u64,
}

/// Whether a new directory can be entered, whatever the process's umask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Umask {
    Unknown,
    Harmless,
    /// It takes away permissions of the owner, which have to be given back.
    TakesOwners,
}

impl DiskFs {
    /// Opens a directory and makes it private (mode 0700) until its metadata comes.
    ///
    /// Whether owners and capabilities are applied depends on the effective user: root's are.
    ///
    /// # Errors
    /// [`DiskError`] if it is no directory, or not the caller's.
    pub fn open(root: &Path) -> Result<Self, DiskError> {
        let privilege = if rustix::process::geteuid().is_root() { Privilege::Root } else { Privilege::Caller };
        Self::open_with(root, privilege, Resolver::BEST)
    }

    pub(super) fn open_with(root: &Path, privilege: Privilege, resolver: Resolver) -> Result<Self, DiskError> {
        let failed = |operation| move |errno: Errno| DiskError::new(operation, root, errno);
        let directory = retry_on_intr(|| rustix::fs::openat(CWD, root, DIRECTORY, Mode::empty()))
            .map_err(failed(Operation::OpenDirectory))?;
        retry_on_intr(|| rustix::fs::fchmod(&directory, PRIVATE)).map_err(failed(Operation::SetMode))?;
        forget_inherited_access(&directory);
        Ok(Self {
            path: root.to_owned(),
            handles: Handles::new(directory, resolver),
            applier: Applier::new(privilege),
            umask: Umask::Unknown,
        })
    }

    /// Creates a file from content that was decoded before its turn, and applies its metadata:
    /// content on disk is renamed into place, content in memory is written.
    ///
    /// # Errors
    /// [`DiskError`] if the system refuses.
    pub fn adopt(
        &mut self,
        at: &Place<'_>,
        spool: &LayerSpool,
        spooled: Spooled,
        metadata: &Metadata,
    ) -> Result<(), DiskError> {
        let size = spooled.size();
        let file = match spool.content(&spooled) {
            Content::Memory(bytes) => {
                let mut file = self.create_file(at, size)?;
                self.write(&mut file, 0, bytes)?;
                file
            }
            Content::Disk(content) => {
                let failed = |errno| self.failed(at, (Operation::Rename, errno));
                let fd = content.open().map_err(failed)?;
                let parent = self.parent(at)?;
                content
                    .move_to(parent.as_fd(), at.name())
                    .map_err(|errno| self.failed(at, (Operation::Rename, errno)))?;
                DiskFile { fd, path: at.path(), size, end: size }
            }
        };
        self.finish_file(file, at, metadata)
    }

    /// Bounds the memory that the report may take, in bytes; passing it is an error.
    #[must_use]
    pub fn limit_report(mut self, bytes: u64) -> Self {
        self.applier.limit_report(bytes);
        self
    }

    /// Returns what could not be applied so far.
    #[must_use]
    pub fn report(&self) -> &Report {
        self.applier.report()
    }

    /// Closes every handle and returns what could not be applied.
    #[must_use]
    pub fn into_report(self) -> Report {
        self.applier.into_report()
    }

    fn parent(&mut self, at: &Place<'_>) -> Result<Arc<OwnedFd>, DiskError> {
        self.handles.parent(at).map_err(|errno| {
            let holder = at.path().split_last().map_or_else(EntryPath::root, |(holder, _)| holder);
            DiskError::new(Operation::OpenDirectory, self.host_path(&holder), errno)
        })
    }

    /// Finishes an operation of the applier.
    fn applied(&self, at: &Place<'_>, applied: Result<(), Failure>) -> Result<(), DiskError> {
        applied.map_err(|failure| self.failed(at, failure))?;
        self.applier.passed_limit().map_or(Ok(()), |limit| Err(DiskError::ReportBytes { limit }))
    }

    fn host_path(&self, path: &EntryPath) -> PathBuf {
        self.path.join(OsStr::from_bytes(path.as_bytes()))
    }

    fn failed(&self, at: &Place<'_>, (operation, errno): Failure) -> DiskError {
        let path = self.host_path(&at.path());
        // The tree has removed what stood here, so the file system takes another name for this one.
        if errno == Errno::EXIST {
            DiskError::Collision { operation, path }
        } else {
            DiskError::new(operation, path, errno)
        }
    }
}

impl FileSystem for DiskFs {
    type File = DiskFile;
    type Error = DiskError;

    fn create_directory(&mut self, at: &Place<'_>) -> Result<(), DiskError> {
        self.handles.forget(at.node());
        let parent = self.parent(at)?;
        let failed = |errno| self.failed(at, (Operation::CreateDirectory, errno));
        retry_on_intr(|| rustix::fs::mkdirat(&parent, at.name(), PRIVATE)).map_err(failed)?;
        if self.umask == Umask::Unknown {
            let made = rustix::fs::statat(&parent, at.name(), AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
            let entered = Mode::from_raw_mode(made.st_mode).contains(PRIVATE);
            self.umask = if entered { Umask::Harmless } else { Umask::TakesOwners };
        }
        if self.umask == Umask::TakesOwners {
            set_mode_of_name(parent.as_fd(), at.name(), PRIVATE)
                .map_err(|errno| self.failed(at, (Operation::SetMode, errno)))?;
        }
        Ok(())
    }

    fn create_file(&mut self, at: &Place<'_>, size: u64) -> Result<DiskFile, DiskError> {
        let parent = self.parent(at)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let create = || retry_on_intr(|| rustix::fs::openat(&parent, at.name(), flags, PRIVATE_FILE));
        let created = match create() {
            Err(Errno::MFILE | Errno::NFILE) => {
                self.handles.clear();
                create()
            }
            created => created,
        };
        let fd = created.map_err(|errno| self.failed(at, (Operation::CreateFile, errno)))?;
        Ok(DiskFile { fd, path: at.path(), size, end: 0 })
    }

    fn write(&mut self, file: &mut DiskFile, mut offset: u64, mut bytes: &[u8]) -> Result<(), DiskError> {
        while !bytes.is_empty() {
            let written = match retry_on_intr(|| rustix::io::pwrite(&file.fd, bytes, offset)) {
                Ok(0) => Err(std::io::ErrorKind::WriteZero.into()),
                Ok(written) => Ok(written),
                Err(errno) => Err(std::io::Error::from(errno)),
            };
            let written =
                written.map_err(|error| DiskError::new(Operation::Write, self.host_path(&file.path), error))?;
            bytes = &bytes[written..];
            offset += written as u64;
        }
        file.end = file.end.max(offset);
        Ok(())
    }

    fn finish_file(&mut self, file: DiskFile, at: &Place<'_>, metadata: &Metadata) -> Result<(), DiskError> {
        if file.end != file.size {
            retry_on_intr(|| rustix::fs::ftruncate(&file.fd, file.size))
                .map_err(|errno| self.failed(at, (Operation::SetSize, errno)))?;
        }
        let applied = self.applier.file(at, metadata, file.fd.as_fd());
        self.applied(at, applied)
    }

    fn create_symlink(&mut self, at: &Place<'_>, target: &[u8], metadata: &Metadata) -> Result<Created, DiskError> {
        let parent = self.parent(at)?;
        retry_on_intr(|| rustix::fs::symlinkat(target, &parent, at.name()))
            .map_err(|errno| self.failed(at, (Operation::CreateSymlink, errno)))?;
        let applied = self.applier.symlink(at, metadata, parent.as_fd());
        self.applied(at, applied)?;
        Ok(Created::Made)
    }

    fn create_hard_link(&mut self, at: &Place<'_>, existing: &Place<'_>) -> Result<Created, DiskError> {
        let from = self.parent(existing)?;
        let to = self.parent(at)?;
        // Without `AT_SYMLINK_FOLLOW` a link to a symbolic link links that itself.
        retry_on_intr(|| rustix::fs::linkat(&from, existing.name(), &to, at.name(), AtFlags::empty()))
            .map_err(|errno| self.failed(at, (Operation::CreateHardLink, errno)))?;
        Ok(Created::Made)
    }

    fn create_special(&mut self, at: &Place<'_>, special: Special, metadata: &Metadata) -> Result<Created, DiskError> {
        let parent = self.parent(at)?;
        let what = match special {
            Special::Fifo => What::Fifo,
            Special::CharacterDevice(_) | Special::BlockDevice(_) => What::Device,
        };
        let reason = match make_special(&parent, at.name(), special) {
            Ok(()) => {
                let applied = self.applier.special(at, metadata, parent.as_fd());
                self.applied(at, applied)?;
                return Ok(Created::Made);
            }
            Err(Errno::PERM | Errno::ACCESS) => Reason::NotPermitted,
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::OVERFLOW) => Reason::NotSupported,
            Err(errno) => return Err(self.failed(at, (Operation::CreateSpecial, errno))),
        };
        self.applier.skip(at, what, reason);
        self.applied(at, Ok(()))?;
        Ok(Created::Skipped)
    }

    fn remove(&mut self, at: &Place<'_>) -> Result<(), DiskError> {
        let parent = self.parent(at)?;
        retry_on_intr(|| rustix::fs::unlinkat(&parent, at.name(), AtFlags::empty()))
            .map_err(|errno| self.failed(at, (Operation::Remove, errno)))
    }

    fn remove_directory(&mut self, at: &Place<'_>) -> Result<(), DiskError> {
        self.handles.forget(at.node());
        let parent = self.parent(at)?;
        retry_on_intr(|| rustix::fs::unlinkat(&parent, at.name(), AtFlags::REMOVEDIR))
            .map_err(|errno| DiskError::new(Operation::Remove, self.host_path(&at.path()), errno))
    }

    fn finish_directory(&mut self, at: &Place<'_>, metadata: &Metadata) -> Result<(), DiskError> {
        let directory =
            self.handles.directory(at).map_err(|errno| self.failed(at, (Operation::OpenDirectory, errno)))?;
        self.handles.forget(at.node());
        let applied = self.applier.directory(at, metadata, directory.as_fd());
        self.applied(at, applied)
    }
}

/// The mode of a directory until its metadata comes.
const PRIVATE: Mode = Mode::RWXU;

/// The mode of a file until its metadata comes.
const PRIVATE_FILE: Mode = Mode::RUSR.union(Mode::WUSR);

#[cfg(not(target_vendor = "apple"))]
fn make_special(directory: &OwnedFd, name: &[u8], special: Special) -> Result<(), Errno> {
    use oci_fetcher_core::entry::DeviceNumber;
    use rustix::fs::FileType;

    let (kind, number) = match special {
        Special::Fifo => (FileType::Fifo, DeviceNumber { major: 0, minor: 0 }),
        Special::CharacterDevice(number) => (FileType::CharacterDevice, number),
        Special::BlockDevice(number) => (FileType::BlockDevice, number),
    };
    // The kernel would cut off the rest, and name another device.
    if number.major > LARGEST_MAJOR || number.minor > LARGEST_MINOR {
        return Err(Errno::OVERFLOW);
    }
    let device = rustix::fs::makedev(number.major, number.minor);
    retry_on_intr(|| rustix::fs::mknodat(directory, name, kind, PRIVATE_FILE, device))
}

/// Linux keeps 12 bits of a device's major number.
#[cfg(not(target_vendor = "apple"))]
const LARGEST_MAJOR: u32 = (1 << 12) - 1;

/// Linux keeps 20 bits of a device's minor number.
#[cfg(not(target_vendor = "apple"))]
const LARGEST_MINOR: u32 = (1 << 20) - 1;

/// Darwin has no `mknodat` for what is not root's, and nothing that a handle could be given to.
#[cfg(target_vendor = "apple")]
fn make_special(_: &OwnedFd, _: &[u8], _: Special) -> Result<(), Errno> {
    Err(Errno::OPNOTSUPP)
}

/// Drops access lists that the directory got from its parent and would hand on to everything in it.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn forget_inherited_access(directory: &OwnedFd) {
    for name in ["system.posix_acl_default", "system.posix_acl_access"] {
        // Fails where there is none, or where the file system knows none.
        let _ = rustix::fs::fremovexattr(directory, name);
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn forget_inherited_access(_: &OwnedFd) {}
