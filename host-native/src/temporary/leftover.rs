//! Names and locks of temporaries, and finding those that nobody owns any more.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, TryLockError};
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What names in a folder that is all ours begin with.
pub(crate) const ANONYMOUS: &str = ".oci-fetcher-";

/// Returns what the names of temporaries beside `name` begin with.
pub(crate) fn prefix(name: &OsStr) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(shortened(name));
    prefix.push(ANONYMOUS);
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

/// Returns a name that is not likely to be taken.
pub(crate) fn random_name(prefix: &OsStr) -> OsString {
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

pub(super) const RANDOM_CHARACTERS: usize = 6;

/// Names tried until one is free.
pub(super) const ATTEMPTS: u32 = 64;

/// The end of the name of an old destination that was moved aside.
pub(crate) const ASIDE: &str = ".old";

/// Visits temporaries that nobody owns any more, locked, so that nobody else removes them.
pub(crate) fn for_each_dead(parent: &Path, prefix: &OsStr, mut visit: impl FnMut(&Path)) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        if !is_temporary(&entry.file_name(), prefix) {
            continue;
        }
        let Ok(metadata) = entry.metadata() else { continue };
        if !(metadata.is_dir() || metadata.is_file()) || !is_own(&metadata) {
            continue;
        }
        let path = entry.path();
        match lock(&path) {
            Ok(Lock::Held(_lock)) => visit(&path),
            Ok(Lock::Unknown) if metadata.is_file() && is_old(&metadata) => visit(&path),
            Ok(Lock::Unknown | Lock::Taken) | Err(_) => {}
        }
    }
}

/// Removes files without a final name that nobody owns any more. What cannot be removed stays: it
/// harms nobody.
pub(crate) fn remove_dead_files(parent: &Path, prefix: &OsStr) {
    for_each_dead(parent, prefix, |path| {
        let aside = path.as_os_str().as_encoded_bytes().ends_with(ASIDE.as_bytes());
        // Fails for directories, whose owners see to them.
        let _ = if aside { Ok(()) } else { fs::remove_file(path) };
    });
}

/// Where there are no locks: a file that is being written changes far more often.
fn is_old(metadata: &fs::Metadata) -> bool {
    let modified = metadata.modified();
    modified.is_ok_and(|modified| SystemTime::now().duration_since(modified).is_ok_and(|age| age > OLD))
}

const OLD: Duration = Duration::from_secs(60 * 60);

/// Tells whether a name is one that is given here.
pub(crate) fn is_temporary(name: &OsStr, prefix: &OsStr) -> bool {
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

/// What came of locking a temporary.
pub(super) enum Lock {
    /// It is ours.
    Held(File),
    /// Somebody else's, or no longer what was locked.
    Taken,
    /// The file system has no locks.
    Unknown,
}

/// Locks a temporary, and looks whether it is still there.
pub(super) fn lock(path: &Path) -> io::Result<Lock> {
    let file = open_lock(path)?;
    Ok(match file.try_lock() {
        Ok(()) if is_still(&file, path) => Lock::Held(file),
        Ok(()) | Err(TryLockError::WouldBlock) => Lock::Taken,
        Err(TryLockError::Error(_)) => Lock::Unknown,
    })
}

/// Opens what is locked for a path: itself, where that can be opened.
#[cfg(unix)]
fn open_lock(path: &Path) -> io::Result<File> {
    open(path)
}

#[cfg(not(unix))]
fn open_lock(path: &Path) -> io::Result<File> {
    if path.is_dir() {
        File::options().create(true).truncate(false).write(true).open(path.join("lock"))
    } else {
        File::open(path)
    }
}

/// Opens a directory or regular file for what it is, without following a link.
#[cfg(unix)]
pub(crate) fn open(path: &Path) -> io::Result<File> {
    use rustix::fs::{CWD, Mode, OFlags, openat};
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(rustix::io::retry_on_intr(|| openat(CWD, path, flags, Mode::empty()))?.into())
}

#[cfg(not(unix))]
pub(crate) fn open(_: &Path) -> io::Result<File> {
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

/// Renames something to the first of these names that is free.
pub(crate) fn rename_to_free(from: &Path, name: impl Fn() -> PathBuf) -> io::Result<PathBuf> {
    for _ in 0..ATTEMPTS {
        let to = name();
        if fs::symlink_metadata(&to).is_ok() {
            continue;
        }
        return fs::rename(from, &to).map(|()| to);
    }
    Err(io::ErrorKind::AlreadyExists.into())
}
