//! Lock files that every host can take, and that a killed owner does not leave behind for ever.
//!
//! A lock is a file created with `O_EXCL`; its text names the owner. The owner refreshes the
//! file's time while it holds the lock. Another process may take a lock over when its owner is
//! known to be dead (same boot and process namespace, and no such process), has not refreshed it
//! for [`STALE`], or has not even written its name within [`NAMELESS`]. Taking over renames the file first, so that of several processes that see the
//! same dead owner only one wins; a process that is killed in between leaves the renamed file. Both
//! kinds are removed by [`reclaim`], since a lock that nobody needs any more is never taken over.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::cache::no_follow;

/// A lock without a sign of life for this long belongs to nobody. Owners refresh theirs far more
/// often, and hold them for seconds.
pub(crate) const STALE: Duration = Duration::from_secs(60);

/// A lock without a name belongs to nobody after this long: owners write theirs at once, unless they
/// are killed in between.
const NAMELESS: Duration = Duration::from_secs(2);

/// How often a waiting process looks again.
const POLL: Duration = Duration::from_millis(20);

/// A lock that is held; dropping it gives it up.
#[derive(Debug)]
pub(crate) struct LockFile {
    path: PathBuf,
    file: File,
    #[cfg(not(unix))]
    text: String,
    refreshed: SystemTime,
}

impl LockFile {
    /// Takes the lock if nobody alive holds it.
    pub(crate) fn try_acquire(path: &Path) -> std::io::Result<Option<Self>> {
        // First: a lock without a whole name would outlive its owner.
        let text = owner()?;
        for _ in 0..2 {
            match OpenOptions::new().write(true).create_new(true).open(path) {
                Ok(mut file) => {
                    if let Err(error) = file.write_all(text.as_bytes()) {
                        std::fs::remove_file(path)?;
                        return Err(error);
                    }
                    return Ok(Some(Self {
                        path: path.to_owned(),
                        file,
                        #[cfg(not(unix))]
                        text,
                        refreshed: SystemTime::now(),
                    }));
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    if !clear_stale(path)? {
                        return Ok(None);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Takes a lock that does not exist, without writing to it: for what takes no time and has to be
    /// done on a full disk, too.
    pub(crate) fn try_acquire_nameless(path: &Path) -> std::io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            #[cfg(not(unix))]
            text: String::new(),
            refreshed: SystemTime::now(),
        })
    }

    /// Takes the lock, waiting for its owner at most `patience`.
    pub(crate) fn acquire(path: &Path, patience: Duration) -> std::io::Result<Option<Self>> {
        let begun = std::time::Instant::now();
        loop {
            if let Some(lock) = Self::try_acquire(path)? {
                return Ok(Some(lock));
            }
            if begun.elapsed() >= patience {
                return Ok(None);
            }
            std::thread::sleep(POLL);
        }
    }

    /// Shows that the owner lives; call it while work goes on.
    pub(crate) fn refresh(&mut self) {
        let now = SystemTime::now();
        if now.duration_since(self.refreshed).is_ok_and(|since| since > STALE / 6) {
            self.refreshed = now;
            // A lock that cannot be refreshed is at the worst taken over; what it guards is
            // verified before it counts.
            let _ = self.file.set_modified(now);
        }
    }

    /// Tells whether the lock is still this owner's.
    #[cfg(unix)]
    pub(crate) fn is_held(&self) -> bool {
        use std::os::unix::fs::MetadataExt;
        // Opens nothing: there may be no descriptor left.
        let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
        let mine = self.file.metadata().map(identity);
        let found = std::fs::symlink_metadata(&self.path).map(identity);
        matches!((mine, found), (Ok(mine), Ok(found)) if mine == found)
    }

    /// Tells whether the lock is still this owner's.
    #[cfg(not(unix))]
    pub(crate) fn is_held(&self) -> bool {
        read(&self.path).is_ok_and(|text| text == self.text)
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        if self.is_held() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Removes the locks in a folder whose owners are gone. What cannot be removed stays: it is taken over
/// by whoever needs it.
pub(crate) fn reclaim(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let (name, path) = (entry.file_name(), entry.path());
        if is_aside(&name) {
            if abandoned(&path).is_ok_and(|text| text.is_some()) {
                let _ = std::fs::remove_file(&path);
            }
        } else if name.as_encoded_bytes().ends_with(LOCK) {
            let _ = clear_stale(&path);
        }
    }
}

/// How the names of locks that are reclaimed end.
const LOCK: &[u8] = b".lock";

/// Tells whether a name is that of a lock, or of one that was on its way out.
pub(crate) fn is_lock(name: &OsStr) -> bool {
    name.as_encoded_bytes().ends_with(LOCK) || is_aside(name)
}

/// What stands in the names of locks that are being taken over, after their own.
const ASIDE: &str = ".stale-";

fn is_aside(name: &OsStr) -> bool {
    name.to_str().and_then(|name| name.rsplit_once(ASIDE)).is_some_and(|(lock, _)| lock.as_bytes().ends_with(LOCK))
}

/// Removes a lock whose owner is gone; returns whether the way may be free.
fn clear_stale(path: &Path) -> std::io::Result<bool> {
    let gone = |error: std::io::Error| if error.kind() == ErrorKind::NotFound { Ok(true) } else { Err(error) };
    let text = match abandoned(path) {
        Ok(Some(text)) => text,
        Ok(None) => return Ok(false),
        Err(error) => return gone(error),
    };
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!("{ASIDE}{}-{}", std::process::id(), count()));
    match std::fs::rename(path, &aside) {
        Ok(()) => {}
        Err(error) => return gone(error),
    }
    let was_taken = read(Path::new(&aside)).is_ok_and(|found| found != text);
    if was_taken {
        // Somebody else had taken it over in between: theirs goes back.
        let _ = std::fs::hard_link(&aside, path);
    }
    // Another process may have found it abandoned, too.
    std::fs::remove_file(&aside).or_else(|error| gone(error).map(drop))?;
    Ok(!was_taken)
}

/// Returns what a lock says, if its owner is gone.
fn abandoned(path: &Path) -> std::io::Result<Option<String>> {
    let text = read(path)?;
    let modified = std::fs::symlink_metadata(path)?.modified()?;
    let patience = if text.is_empty() { NAMELESS } else { STALE };
    let silent = SystemTime::now().duration_since(modified).is_ok_and(|since| since > patience);
    Ok((silent || is_dead(&text)).then_some(text))
}

/// Reads the owner's name, without following a link or waiting for a FIFO: neither names an owner.
fn read(path: &Path) -> std::io::Result<String> {
    let mut options = OpenOptions::new();
    no_follow(options.read(true));
    let mut bytes = Vec::new();
    match options.open(path).and_then(|file: File| file.take(1024).read_to_end(&mut bytes)) {
        Ok(_) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(error),
        Err(_) => Ok(String::new()),
    }
}

/// Names this process: number, and the boot and namespace within which that number means something.
fn owner() -> std::io::Result<String> {
    Ok(format!("{} {} {}\n", std::process::id(), scope()?, count()))
}

/// Returns a number that this process has not had yet.
fn count() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    COUNT.fetch_add(1, Ordering::Relaxed)
}

#[cfg(target_os = "linux")]
fn scope() -> std::io::Result<String> {
    let boot = known(std::fs::read_to_string("/proc/sys/kernel/random/boot_id"))?;
    let namespace = known(std::fs::read_link("/proc/self/ns/pid"))?;
    Ok(format!("{}/{}", boot.trim(), namespace.display()))
}

/// Lets a system without these files go without; others have them, and always say the same.
#[cfg(target_os = "linux")]
fn known<T: Default>(read: std::io::Result<T>) -> std::io::Result<T> {
    match read {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => Ok(T::default()),
        result => result,
    }
}

#[cfg(not(target_os = "linux"))]
fn scope() -> std::io::Result<String> {
    // Without a name for the namespace only silence shows that an owner is gone.
    Ok("unknown".to_owned())
}

#[cfg(target_os = "linux")]
fn is_dead(text: &str) -> bool {
    let mut words = text.split_ascii_whitespace();
    let (Some(process), Some(within)) = (words.next(), words.next()) else {
        // The owner has created the file and not yet written to it.
        return false;
    };
    scope().is_ok_and(|scope| scope == within)
        && process.parse::<u32>().is_ok_and(|process| !Path::new(&format!("/proc/{process}")).exists())
}

#[cfg(not(target_os = "linux"))]
fn is_dead(_text: &str) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_holds_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("lock");
        let first = LockFile::try_acquire(&path).expect("no fault").expect("free");
        assert!(LockFile::try_acquire(&path).expect("no fault").is_none());
        drop(first);
        assert!(LockFile::try_acquire(&path).expect("no fault").is_some());
        assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_dead_owners_lock_is_taken_over_at_once() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("lock");
        let mut child = std::process::Command::new("true").spawn().expect("true runs");
        let process = child.id();
        child.wait().expect("it ends");
        std::fs::write(&path, format!("{process} {} 0\n", scope().expect("readable"))).expect("writable");
        assert!(LockFile::try_acquire(&path).expect("no fault").is_some());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn locks_that_nobody_needs_any_more_go_too() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut child = std::process::Command::new("true").spawn().expect("true runs");
        let process = child.id();
        child.wait().expect("it ends");
        let dead = format!("{process} {} 0\n", scope().expect("readable"));
        let path = folder.path().join("mine.lock");
        let mine = LockFile::try_acquire(&path).expect("no fault").expect("free");
        let living = read(&path).expect("readable");
        for (name, text) in [
            ("a.lock", &*dead),
            ("a.lock.stale-1-2", &dead),
            ("b.lock.stale-1-2", &living),
            ("c.lock.stale-1-2", ""),
            ("unlocked", &dead),
            ("d.stale-1-2", &dead),
        ] {
            std::fs::write(folder.path().join(name), text).expect("writable");
        }
        reclaim(folder.path());
        let entries = std::fs::read_dir(folder.path()).expect("readable");
        let left = entries.map(|entry| entry.expect("readable").file_name().into_string().expect("plain"));
        let left: std::collections::BTreeSet<String> = left.collect();
        let expected = ["b.lock.stale-1-2", "c.lock.stale-1-2", "d.stale-1-2", "mine.lock", "unlocked"];
        assert_eq!(left, expected.map(String::from).into());
        assert!(mine.is_held());
    }

    #[test]
    fn an_owner_killed_before_it_wrote_its_name_loses_it_soon() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("lock");
        let file = File::create_new(&path).expect("writable");
        assert!(LockFile::try_acquire(&path).expect("no fault").is_none());
        file.set_modified(SystemTime::now() - NAMELESS * 2).expect("settable");
        assert!(LockFile::try_acquire(&path).expect("no fault").is_some());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_no_file_names_no_owner() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (link, pipe) = (folder.path().join("link"), folder.path().join("pipe"));
        std::os::unix::fs::symlink("/dev/zero", &link).expect("writable");
        let mode = rustix::fs::Mode::RUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).expect("writable");
        for path in [link, pipe] {
            assert!(LockFile::try_acquire(&path).expect("no fault").is_none());
        }
    }

    #[test]
    fn a_silent_owner_of_another_machine_loses_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("lock");
        std::fs::write(&path, "1 elsewhere 0\n").expect("writable");
        assert!(LockFile::try_acquire(&path).expect("no fault").is_none());
        let long_ago = SystemTime::now() - STALE * 2;
        File::options().write(true).open(&path).expect("there").set_modified(long_ago).expect("settable");
        assert!(LockFile::try_acquire(&path).expect("no fault").is_some());
    }
}
