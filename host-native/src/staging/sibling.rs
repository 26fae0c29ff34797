//! Work directories beside a destination, or in it: the mark of the second, and what killed runs left
//! of both.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io;
use std::path::{Path, PathBuf};

use super::destination::Destination;
use crate::disk::{remove_contents, remove_tree};
use crate::temporary::{ANONYMOUS, ASIDE, for_each_dead, open, random_name, rename_to_free};

/// Marks the directory around this one as being filled: if we are killed, all in it is ours.
///
/// The mark is a socket, which no archive can hold, so that no image can bring one. Without a mark a
/// killed run is not recognised, and the next says that the directory is not empty.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn mark_in_place(marker: &Path) {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let _ = mknodat(CWD, marker.join(MARK), FileType::Socket, Mode::RUSR, 0);
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn mark_in_place(_: &Path) {}

/// The name of the mark in a work directory that lies in its destination.
const MARK: &str = "filling";

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
    for_each_dead(directory, ANONYMOUS.as_ref(), |marker| {
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

/// Locks a tree that leaves the work directory, and with it the cover of that one's lock.
pub(super) fn lock_tree(tree: Option<&File>) {
    if let Some(tree) = tree {
        let _ = tree.try_lock();
    }
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
