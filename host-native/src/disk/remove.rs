//! The safe removal of a tree.
//!
//! Nothing is ever followed: neither links nor mounts. Directories that refuse their owner
//! (mode 0555, 0000) are opened up first. The walk is iterative and keeps a bounded number of
//! directories open; those above it are found again by `..`, and taken only if they are the
//! same ones. Whatever disappears meanwhile is taken as removed.

use std::collections::HashSet;
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::{Errno, retry_on_intr};

use super::error::{DiskError, Operation};
use super::handles::DIRECTORY;
use super::metadata::set_mode_of_name;

/// Removes a file, a link, or a directory with everything in it. A missing one is removed already.
///
/// ```
/// let parent = tempfile::tempdir()?;
/// let tree = parent.path().join("tree");
/// std::fs::create_dir_all(tree.join("usr/bin"))?;
/// oci_fetcher::disk::remove_tree(&tree).expect("removed");
/// assert!(!tree.exists());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// [`DiskError`] with the first that could not be removed, after everything else was; a mount
/// point is one.
pub fn remove_tree(path: &Path) -> Result<(), DiskError> {
    let failed = |operation| move |errno: Errno| DiskError::new(operation, path, errno);
    let Some(name) = path.file_name() else { return Err(failed(Operation::Remove)(Errno::INVAL)) };
    let name = CString::new(name.as_bytes()).map_err(|_| failed(Operation::Remove)(Errno::INVAL))?;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | SEARCH;
    let parent = match retry_on_intr(|| rustix::fs::openat(CWD, parent, flags, Mode::empty())) {
        Err(Errno::NOENT) => return Ok(()),
        opened => opened.map_err(failed(Operation::OpenDirectory))?,
    };
    let refused = match unlink(parent.as_fd(), &name) {
        Unlinked::Gone => return Ok(()),
        Unlinked::Refused(errno) => errno,
        Unlinked::Failed(errno) => return Err(failed(Operation::Remove)(errno)),
    };
    let top = match open_to_empty(parent.as_fd(), &name) {
        Err(Errno::NOENT) => return Ok(()),
        Err(Errno::NOTDIR | Errno::LOOP) => return Err(failed(Operation::Remove)(refused)),
        opened => opened.map_err(|errno| failed(Operation::Remove)(as_mount_point(errno)))?,
    };
    empty(&top, path, None)?;
    match retry_on_intr(|| rustix::fs::unlinkat(&parent, &*name, AtFlags::REMOVEDIR)) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(failed(Operation::Remove)(errno)),
    }
}

/// Removes everything in a directory but the entry of one name. The directory itself stays, and
/// may be a mount point.
pub(crate) fn remove_contents(path: &Path, except: Option<&OsStr>) -> Result<(), DiskError> {
    let failed = |errno| DiskError::new(Operation::OpenDirectory, path, errno);
    let open = || retry_on_intr(|| rustix::fs::openat(CWD, path, DIRECTORY, Mode::empty()));
    let top = match open() {
        Err(Errno::ACCESS) => {
            set_mode_of_name(CWD, path.as_os_str().as_bytes(), Mode::RWXU).map_err(failed)?;
            open().map_err(failed)?
        }
        opened => opened.map_err(failed)?,
    };
    open_up(&top).map_err(failed)?;
    empty(&top, path, except)
}

fn empty(top: &OwnedFd, path: &Path, except: Option<&OsStr>) -> Result<(), DiskError> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let failed = |errno| DiskError::new(Operation::Remove, path, errno);
        // With a position of its own.
        let again = retry_on_intr(|| rustix::fs::openat(top, ".", DIRECTORY, Mode::empty())).map_err(failed)?;
        match Removal::new(again, path, except).map_err(failed)?.run() {
            Err(Stop::Moved) if attempts < ATTEMPTS => {}
            Err(Stop::Moved) => return Err(failed(Errno::BUSY)),
            Err(Stop::Failed(error)) => return Err(error),
            Ok(()) => return Ok(()),
        }
    }
}

/// How often a removal starts again because somebody moved a directory that it was in, and how
/// often a directory is read again because somebody added to it.
const ATTEMPTS: u32 = 8;

/// Enough to pass through a directory; reading it may be forbidden.
#[cfg(any(target_os = "linux", target_os = "android"))]
const SEARCH: OFlags = OFlags::PATH;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const SEARCH: OFlags = OFlags::RDONLY;

/// The way from the top down to where the removal is.
struct Removal<'p> {
    path: &'p Path,
    except: Option<&'p OsStr>,
    levels: Vec<Level>,
    first_error: Option<DiskError>,
}

struct Level {
    /// The name in the level above; empty for the top.
    name: CString,
    /// `None` while too many below are open.
    directory: Option<Dir>,
    /// What it was when it was entered, to know it again.
    entered: Stat,
    /// Subdirectories read but not entered yet.
    pending: Vec<CString>,
    /// How often it was read to its end.
    passes: u32,
    /// What could not be removed, so that it is not tried for ever.
    stays: HashSet<CString>,
}

/// Tells whether two states are of the same directory.
fn is_same(one: &Stat, other: &Stat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

enum Stop {
    /// Where the removal came from is somewhere else now.
    Moved,
    Failed(DiskError),
}

/// Directories open at a time.
const OPEN_LEVELS: usize = 32;

/// Subdirectories read ahead of their removal.
const PENDING: usize = 128;

impl<'p> Removal<'p> {
    fn new(top: OwnedFd, path: &'p Path, except: Option<&'p OsStr>) -> Result<Self, Errno> {
        let level = Level::new(CString::default(), top)?;
        Ok(Self { path, except, levels: vec![level], first_error: None })
    }

    fn run(mut self) -> Result<(), Stop> {
        while let Some(level) = self.levels.last_mut() {
            if let Some(name) = level.pending.pop() {
                self.enter(name)?;
            } else if !self.read()? {
                self.leave()?;
            }
        }
        self.first_error.map_or(Ok(()), |error| Err(Stop::Failed(error)))
    }

    /// Removes what is no directory and collects some directories; false at the end.
    fn read(&mut self) -> Result<bool, Stop> {
        let top = self.levels.len() == 1;
        let except = self.except.filter(|_| top).map(OsStrExt::as_bytes);
        let level = self.levels.last_mut().expect("the removal is somewhere");
        let directory = level.directory.as_mut().expect("the lowest level is open");
        let mut failures = Vec::new();
        while level.pending.len() < PENDING {
            let entry = match directory.read() {
                None => break,
                Some(Err(errno)) => {
                    failures.push((CString::default(), errno));
                    break;
                }
                Some(Ok(entry)) => entry,
            };
            let name = entry.file_name();
            let passed_over = matches!(name.to_bytes(), b"." | b"..") || except == Some(name.to_bytes());
            if passed_over || level.stays.contains(name) {
                continue;
            }
            if entry.file_type() == FileType::Directory {
                level.pending.push(name.to_owned());
                continue;
            }
            let parent = match directory.fd() {
                Ok(parent) => parent,
                Err(errno) => {
                    failures.push((name.to_owned(), errno));
                    break;
                }
            };
            match unlink(parent, name) {
                Unlinked::Gone => {}
                Unlinked::Refused(_) => level.pending.push(name.to_owned()),
                Unlinked::Failed(errno) => failures.push((name.to_owned(), errno)),
            }
        }
        let more = !level.pending.is_empty();
        for (name, errno) in failures {
            self.fail(&name, errno);
        }
        Ok(more)
    }

    fn enter(&mut self, name: CString) -> Result<(), Stop> {
        let parent = self.lowest().map_err(|errno| self.give_up(errno))?;
        let opened = open_to_empty(parent, &name);
        let level = match opened {
            Ok(directory) => Level::new(name.clone(), directory),
            Err(errno) => Err(errno),
        };
        match level {
            Ok(level) => {
                self.levels.push(level);
                if let Some(far) = self.levels.len().checked_sub(OPEN_LEVELS + 1) {
                    self.levels[far].directory = None;
                }
            }
            Err(Errno::NOENT) => {}
            // Something else has its name now.
            Err(Errno::NOTDIR | Errno::LOOP) => self.unlink_replaced(&name)?,
            Err(errno) => self.fail(&name, as_mount_point(errno)),
        }
        Ok(())
    }

    /// Removes what took a directory's name in the lowest one.
    fn unlink_replaced(&mut self, name: &CStr) -> Result<(), Stop> {
        let parent = self.lowest().map_err(|errno| self.give_up(errno))?;
        match unlink(parent, name) {
            Unlinked::Gone => {}
            Unlinked::Refused(errno) | Unlinked::Failed(errno) => self.fail(name, errno),
        }
        Ok(())
    }

    /// Removes the lowest directory itself and goes up.
    fn leave(&mut self) -> Result<(), Stop> {
        let depth = self.levels.len();
        if depth == 1 {
            self.levels.pop();
            return Ok(());
        }
        if self.levels[depth - 2].directory.is_none() {
            self.reopen(depth - 2)?;
        }
        let level = &self.levels[depth - 1];
        let removed = match self.levels[depth - 2].fd() {
            Ok(parent) => retry_on_intr(|| rustix::fs::unlinkat(parent, &*level.name, AtFlags::REMOVEDIR)),
            Err(errno) => Err(errno),
        };
        match removed {
            Err(Errno::NOTEMPTY | Errno::EXIST) if level.stays.is_empty() && level.passes < ATTEMPTS => {
                let level = &mut self.levels[depth - 1];
                level.passes += 1;
                level.directory.as_mut().expect("the lowest level is open").rewind();
            }
            Ok(()) | Err(Errno::NOENT) => drop(self.levels.pop()),
            // Something else has its name now.
            Err(Errno::NOTDIR) => {
                let level = self.levels.pop().expect("the removal is somewhere");
                self.unlink_replaced(&level.name)?;
            }
            Err(errno) => {
                let level = self.levels.pop().expect("the removal is somewhere");
                self.fail(&level.name, errno);
            }
        }
        Ok(())
    }

    /// Opens a level again from the one below, if it still is the one above that.
    fn reopen(&mut self, above: usize) -> Result<(), Stop> {
        let reopen = |below: &Level| -> Result<(OwnedFd, Stat), Errno> {
            let directory = retry_on_intr(|| rustix::fs::openat(below.fd()?, "..", DIRECTORY, Mode::empty()))?;
            let found = rustix::fs::fstat(&directory)?;
            Ok((directory, found))
        };
        let (directory, found) = reopen(&self.levels[above + 1]).map_err(|errno| self.give_up(errno))?;
        if !is_same(&found, &self.levels[above].entered) {
            return Err(Stop::Moved);
        }
        let directory = Dir::new(directory).map_err(|errno| self.give_up(errno))?;
        self.levels[above].directory = Some(directory);
        Ok(())
    }

    fn lowest(&self) -> Result<BorrowedFd<'_>, Errno> {
        self.levels.last().expect("the removal is somewhere").fd()
    }

    /// Notes that a name in the lowest directory stays.
    fn fail(&mut self, name: &CStr, errno: Errno) {
        if self.first_error.is_none() {
            let path = self.path_of(name);
            self.first_error = Some(DiskError::new(Operation::Remove, path, errno));
        }
        self.levels.last_mut().expect("the removal is somewhere").stays.insert(name.to_owned());
    }

    fn give_up(&self, errno: Errno) -> Stop {
        Stop::Failed(DiskError::new(Operation::Remove, self.path_of(c""), errno))
    }

    fn path_of(&self, name: &CStr) -> PathBuf {
        let mut path = self.path.as_os_str().as_bytes().to_vec();
        for name in self.levels.iter().map(|level| &*level.name).chain([name]).filter(|name| !name.is_empty()) {
            path.push(b'/');
            path.extend_from_slice(name.to_bytes());
        }
        OsStr::from_bytes(&path).into()
    }
}

impl Level {
    fn new(name: CString, directory: OwnedFd) -> Result<Self, Errno> {
        let entered = rustix::fs::fstat(&directory)?;
        let directory = Some(Dir::new(directory)?);
        Ok(Self { name, directory, entered, pending: Vec::new(), passes: 0, stays: HashSet::new() })
    }

    fn fd(&self) -> Result<BorrowedFd<'_>, Errno> {
        self.directory.as_ref().expect("a level is open while it is worked in").fd()
    }
}

enum Unlinked {
    Gone,
    /// It may be a directory: some systems say the same of a file that must stay.
    Refused(Errno),
    Failed(Errno),
}

fn unlink(directory: BorrowedFd<'_>, name: &CStr) -> Unlinked {
    match retry_on_intr(|| rustix::fs::unlinkat(directory, name, AtFlags::empty())) {
        Ok(()) | Err(Errno::NOENT) => Unlinked::Gone,
        Err(errno @ (Errno::ISDIR | Errno::PERM)) => Unlinked::Refused(errno),
        Err(errno) => Unlinked::Failed(errno),
    }
}

/// Opens a directory that is no link and no mount point, so that everything in it can be removed.
fn open_to_empty(parent: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    let directory = match open_within_mount(parent, name) {
        Err(Errno::ACCESS) => {
            set_mode_of_name(parent, name.to_bytes(), Mode::RWXU)?;
            open_within_mount(parent, name)?
        }
        opened => opened?,
    };
    open_up(&directory)?;
    Ok(directory)
}

/// Gives the owner back what a mode takes from him. What is needed and refused fails by itself.
fn open_up(directory: &OwnedFd) -> Result<(), Errno> {
    if !Mode::from_raw_mode(rustix::fs::fstat(directory)?.st_mode).contains(Mode::RWXU) {
        let _ = rustix::fs::fchmod(directory, Mode::RWXU);
    }
    Ok(())
}

fn open_within_mount(parent: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    match super::handles::openat2(parent, name.to_bytes(), rustix::fs::ResolveFlags::NO_XDEV) {
        Err(Errno::NOSYS | Errno::PERM | Errno::TOOBIG | Errno::INVAL | Errno::AGAIN) => {}
        opened => return opened,
    }
    let directory = retry_on_intr(|| rustix::fs::openat(parent, name, DIRECTORY, Mode::empty()))?;
    if rustix::fs::fstat(parent)?.st_dev != rustix::fs::fstat(&directory)?.st_dev {
        return Err(Errno::XDEV);
    }
    Ok(directory)
}

/// Says of a mount point what `rmdir` would.
fn as_mount_point(errno: Errno) -> Errno {
    if errno == Errno::XDEV { Errno::BUSY } else { errno }
}
