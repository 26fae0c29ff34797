//! Lock files that every host can take, and that a killed owner does not leave behind for ever.
//!
//! A lock is a file created with `O_EXCL`; its text names the owner. The owner refreshes the
//! file's time while it holds the lock. Another process may take a lock over when its owner is
//! known to be dead (same boot and process namespace, and no such process), has not refreshed it
//! for [`STALE`], or has not even written its name within [`NAMELESS`]. Taking over renames the file first, so that of several processes that see the
//! same dead owner only one wins.

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
    text: String,
    refreshed: SystemTime,
}

impl LockFile {
    /// Takes the lock if nobody alive holds it.
    pub(crate) fn try_acquire(path: &Path) -> std::io::Result<Option<Self>> {
        for _ in 0..2 {
            match OpenOptions::new().write(true).create_new(true).open(path) {
                Ok(mut file) => {
                    let text = owner();
                    if let Err(error) = file.write_all(text.as_bytes()) {
                        std::fs::remove_file(path)?;
                        return Err(error);
                    }
                    return Ok(Some(Self { path: path.to_owned(), file, text, refreshed: SystemTime::now() }));
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

/// Removes a lock whose owner is gone; returns whether the way may be free.
fn clear_stale(path: &Path) -> std::io::Result<bool> {
    let gone = |error: std::io::Error| if error.kind() == ErrorKind::NotFound { Ok(true) } else { Err(error) };
    let text = match read(path) {
        Ok(text) => text,
        Err(error) => return gone(error),
    };
    let modified = match std::fs::symlink_metadata(path).and_then(|metadata| metadata.modified()) {
        Ok(modified) => modified,
        Err(error) => return gone(error),
    };
    let patience = if text.is_empty() { NAMELESS } else { STALE };
    let silent = SystemTime::now().duration_since(modified).is_ok_and(|since| since > patience);
    if !silent && !is_dead(&text) {
        return Ok(false);
    }
    let aside = path.with_extension(format!("stale-{}-{}", std::process::id(), count()));
    match std::fs::rename(path, &aside) {
        Ok(()) => {}
        Err(error) => return gone(error),
    }
    if read(&aside).is_ok_and(|found| found != text) {
        // Somebody else had taken it over in between: theirs goes back.
        let _ = std::fs::hard_link(&aside, path);
        std::fs::remove_file(&aside)?;
        return Ok(false);
    }
    std::fs::remove_file(&aside)?;
    Ok(true)
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
fn owner() -> String {
    format!("{} {} {}\n", std::process::id(), scope(), count())
}

/// Returns a number that this process has not had yet.
fn count() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    COUNT.fetch_add(1, Ordering::Relaxed)
}

#[cfg(target_os = "linux")]
fn scope() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("{}/{}", boot.trim(), namespace.display())
}

#[cfg(not(target_os = "linux"))]
fn scope() -> String {
    // Without a name for the namespace only silence shows that an owner is gone.
    "unknown".to_owned()
}

#[cfg(target_os = "linux")]
fn is_dead(text: &str) -> bool {
    let mut words = text.split_ascii_whitespace();
    let (Some(process), Some(within)) = (words.next(), words.next()) else {
        // The owner has created the file and not yet written to it.
        return false;
    };
    within == scope() && process.parse::<u32>().is_ok_and(|process| !Path::new(&format!("/proc/{process}")).exists())
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
        std::fs::write(&path, format!("{process} {} 0\n", scope())).expect("writable");
        assert!(LockFile::try_acquire(&path).expect("no fault").is_some());
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

    #[cfg(unix)]
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
