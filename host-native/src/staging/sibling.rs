//! Work directories beside a destination, or in it: their names, their locks, and what killed runs
//! left of them.
//!
//! A name says whose work directory it is, a lock says that its owner lives. An owner makes the
//! directory, locks it, and looks whether it is still there; who finds one that is not locked locks
//! it, looks whether it still is what it found, and removes it. So one of two that meet always
//! sees the other.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Permissions, TryLockError};
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::path::{Path, PathBuf};

use super::destination::Destination;
use crate::disk::{remove_contents, remove_tree};

/// A work directory that is ours.
#[derive(Debug)]
pub(super) struct Sibling {
    path: PathBuf,
    /// Unlocked when it is closed, by a kill too; `None` where there are no locks.
    _lock: Option<File>,
}

impl Sibling {
    pub(super) fn create(parent: &Path, prefix: &OsStr) -> io::Result<Self> {
        for _ in 0..ATTEMPTS {
            let path = parent.join(random_name(prefix));
            match create_private(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                created => created?,
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

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Marks the directory around this one as being filled: if we are killed, all in it is ours.
    ///
    /// The mark is a socket, which no archive can hold, so that no image can bring one.
    pub(super) fn mark_in_place(&self) {
        // Without a mark a killed run is not recognised, and the next says that the directory is not empty.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            use rustix::fs::{CWD, FileType, Mode, mknodat};
            let _ = mknodat(CWD, self.path.join(MARK), FileType::Socket, Mode::RUSR, 0);
        }
    }
}

/// Names tried until one is free.
const ATTEMPTS: u32 = 64;

/// The name of the mark in a work directory that lies in its destination.
const MARK: &str = "filling";

/// What the name of a work directory in its destination begins with.
pub(super) const IN_PLACE: &str = ".oci-fetcher-";

/// Returns what the names of work directories beside a destination begin with.
pub(super) fn prefix(name: &OsStr) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(shortened(name));
    prefix.push(IN_PLACE);
    prefix
}

/// Leaves room in the 255 bytes of a name for what goes around this one. Destinations that
/// agree so far share their leftovers, which does no harm: only dead ones are touched.
#[cfg(unix)]
fn shortened(name: &OsStr) -> OsString {
    use std::os::unix::ffi::OsStrExt;
    let bytes = name.as_bytes();
    OsStr::from_bytes(&bytes[..bytes.len().min(LONGEST_NAME)]).to_owned()
}

#[cfg(not(unix))]
fn shortened(name: &OsStr) -> OsString {
    name.to_string_lossy().chars().take(LONGEST_NAME).collect::<String>().into()
}

const LONGEST_NAME: usize = 200;

fn random_name(prefix: &OsStr) -> OsString {
    // Keyed by the operating system's randomness.
    let mut random = RandomState::new().hash_one(std::process::id());
    let mut name = prefix.to_owned();
    for _ in 0..RANDOM_CHARACTERS {
        let digit = u32::try_from(random % 36).expect("below 36");
        name.push(char::from_digit(digit, 36).expect("below 36").encode_utf8(&mut [0; 4]));
        random /= 36;
    }
    name
}

const RANDOM_CHARACTERS: usize = 6;

/// The end of the name of an old destination that was moved aside.
const ASIDE: &str = ".old";

/// Removes what killed runs for the same destination left beside it. What cannot be removed, or
/// whose owner may live, stays.
pub(super) fn reclaim(destination: &Destination) {
    let prefix = destination.prefix();
    for_each_dead(destination.parent(), &prefix, |path| {
        let aside = path.as_os_str().as_encoded_bytes().ends_with(ASIDE.as_bytes());
        let target = destination.path();
        if aside && fs::symlink_metadata(&target).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            // Killed between two renames: what stood there comes back.
            let _ = fs::rename(path, &target);
        } else {
            let _ = remove_tree(path);
        }
    });
}

/// Empties a directory that a killed run was filling.
pub(super) fn reclaim_in_place(directory: &Path) {
    for_each_dead(directory, IN_PLACE.as_ref(), |marker| {
        if is_mark(&marker.join(MARK)) {
            let emptied = remove_contents(directory, marker.file_name());
            let _ = emptied.and_then(|()| remove_tree(marker));
        } else {
            // Killed before it was marked; anything else is not empty, and not ours.
            let _ = fs::remove_dir(marker);
        }
    });
}

#[cfg(unix)]
fn is_mark(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

#[cfg(not(unix))]
fn is_mark(_: &Path) -> bool {
    false
}

/// Visits work directories that nobody owns any more, locked, so that nobody else removes them.
fn for_each_dead(parent: &Path, prefix: &OsStr, mut visit: impl FnMut(&Path)) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let is_ours = |metadata: fs::Metadata| (metadata.is_dir() || metadata.is_file()) && is_own(&metadata);
        if !is_work_name(&entry.file_name(), prefix) || !entry.metadata().is_ok_and(is_ours) {
            continue;
        }
        let path = entry.path();
        if let Ok(Lock::Held(_lock)) = lock(&path) {
            visit(&path);
        }
    }
}

fn is_work_name(name: &OsStr, prefix: &OsStr) -> bool {
    let Some(random) = name.as_encoded_bytes().strip_prefix(prefix.as_encoded_bytes()) else { return false };
    let random = random.strip_suffix(ASIDE.as_bytes()).unwrap_or(random);
    random.len() == RANDOM_CHARACTERS && random.iter().all(u8::is_ascii_alphanumeric)
}

#[cfg(unix)]
fn is_own(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    metadata.uid() == rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn is_own(_: &fs::Metadata) -> bool {
    true
}

enum Lock {
    Held(File),
    /// Somebody else's, or no longer what was locked.
    Taken,
    /// The file system has no locks.
    Unknown,
}

fn lock(path: &Path) -> io::Result<Lock> {
    let file = open_lock(path)?;
    Ok(match file.try_lock() {
        Ok(()) if is_still(&file, path) => Lock::Held(file),
        Ok(()) | Err(TryLockError::WouldBlock) => Lock::Taken,
        Err(TryLockError::Error(_)) => Lock::Unknown,
    })
}

/// Opens what is locked for a path: itself, where a directory can be.
#[cfg(unix)]
fn open_lock(path: &Path) -> io::Result<File> {
    open(path)
}

#[cfg(not(unix))]
fn open_lock(path: &Path) -> io::Result<File> {
    File::options().create(true).truncate(false).write(true).open(path.join("lock"))
}

/// Opens a directory or regular file for what it is, without following a link.
#[cfg(unix)]
pub(super) fn open(path: &Path) -> io::Result<File> {
    use rustix::fs::{CWD, Mode, OFlags, openat};
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(rustix::io::retry_on_intr(|| openat(CWD, path, flags, Mode::empty()))?.into())
}

#[cfg(not(unix))]
pub(super) fn open(_: &Path) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(unix)]
fn is_still(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    let (Ok(locked), Ok(found)) = (file.metadata(), fs::symlink_metadata(path)) else { return false };
    identity(locked) == identity(found)
}

#[cfg(not(unix))]
fn is_still(_: &File, _: &Path) -> bool {
    true
}

/// Locks a tree that leaves the work directory, and with it the cover of that one's lock.
pub(super) fn lock_tree(tree: Option<&File>) {
    if let Some(tree) = tree {
        let _ = tree.try_lock();
    }
}

/// Creates a directory for our eyes alone, whatever the umask and the parent hand on.
pub(super) fn create_private(path: &Path) -> io::Result<()> {
    fs::create_dir(path)?;
    make_private(path)
}

#[cfg(unix)]
pub(super) fn make_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    for name in ["system.posix_acl_default", "system.posix_acl_access"] {
        // Fails where there is none, or where the file system knows none.
        let _ = rustix::fs::lremovexattr(path, name);
    }
    fs::set_permissions(path, Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
pub(super) fn make_private(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Lets the owner write to a directory, and returns the permissions it had if that was a change.
#[cfg(unix)]
pub(super) fn lend_write(directory: Option<&File>) -> io::Result<Option<Permissions>> {
    use std::os::unix::fs::PermissionsExt;
    let Some(directory) = directory else { return Ok(None) };
    let permissions = directory.metadata()?.permissions();
    let mode = permissions.mode();
    if mode & 0o300 == 0o300 || rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    directory.set_permissions(Permissions::from_mode(mode | 0o300))?;
    Ok(Some(permissions))
}

#[cfg(not(unix))]
pub(super) fn lend_write(_: Option<&File>) -> io::Result<Option<Permissions>> {
    Ok(None)
}

/// Renames a tree to a work directory's name in the parent.
pub(super) fn move_to_hidden(tree: &Path, parent: &Path, prefix: &OsStr) -> io::Result<PathBuf> {
    rename_to_free(tree, || parent.join(random_name(prefix)))
}

/// Renames an old destination to a name from which it can come back.
pub(super) fn move_aside(destination: &Path, prefix: &OsStr) -> io::Result<PathBuf> {
    let lock = open(destination).ok();
    lock_tree(lock.as_ref());
    rename_to_free(destination, || {
        let mut name = random_name(prefix);
        name.push(ASIDE);
        destination.with_file_name(name)
    })
}

fn rename_to_free(from: &Path, name: impl Fn() -> PathBuf) -> io::Result<PathBuf> {
    for _ in 0..ATTEMPTS {
        let to = name();
        if fs::symlink_metadata(&to).is_ok() {
            continue;
        }
        return fs::rename(from, &to).map(|()| to);
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Swaps two names in one step; false where the system cannot.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
pub(super) fn exchange(one: &Path, other: &Path) -> io::Result<bool> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;
    match rustix::io::retry_on_intr(|| renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)) {
        Ok(()) => Ok(true),
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
pub(super) fn exchange(_: &Path, _: &Path) -> io::Result<bool> {
    Ok(false)
}
