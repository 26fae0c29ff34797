//! The file system of a host that is no Unix, by path and as well as it can.
//!
//! Kept are content, holes, hard links, times, and symbolic links where the user may make them;
//! the rest is reported. There are no handles to hold on to: the directory has to be private.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use oci_fetcher_core::entry::{Metadata, Timestamp};
use oci_fetcher_core::fs::{Created, FileSystem, Special};
use oci_fetcher_core::report::{Reason, Report, Skipped, What};
use oci_fetcher_core::tree::Place;

use super::error::{DiskError, Operation};
use crate::spool::{Content, LayerSpool, Spooled};

/// A directory of this machine as the destination of a merged tree.
#[derive(Debug)]
pub struct DiskFs {
    root: PathBuf,
    report: Report,
    report_bytes: u64,
    report_limit: u64,
}

/// A regular file being written. Everything not written yet is a hole.
#[derive(Debug)]
pub struct DiskFile {
    file: File,
    path: PathBuf,
    size: u64,
}

impl DiskFs {
    /// Opens a directory.
    ///
    /// # Errors
    /// [`DiskError`] if it is none.
    pub fn open(root: &Path) -> Result<Self, DiskError> {
        fs::read_dir(root).map_err(|error| DiskError::new(Operation::OpenDirectory, root, error))?;
        Ok(Self { root: root.to_owned(), report: Report::default(), report_bytes: 0, report_limit: REPORT_BYTES })
    }

    /// Creates a file from content that was decoded before its turn, and applies its metadata.
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
        let file = match spool.content(&spooled) {
            Content::Memory(bytes) => {
                let mut file = self.create_file(at, spooled.size())?;
                self.write(&mut file, 0, bytes)?;
                file
            }
            Content::Disk(content) => {
                let path = self.path(at, Operation::Rename)?;
                content.move_to(&path).map_err(|error| failed(Operation::Rename, &path, error))?;
                let opened = File::options().write(true).open(&path);
                let file = opened.map_err(|error| failed(Operation::Rename, &path, error))?;
                DiskFile { file, path, size: spooled.size() }
            }
        };
        self.finish_file(file, at, metadata)
    }

    /// Bounds the memory that the report may take, in bytes; passing it is an error.
    #[must_use]
    pub fn limit_report(mut self, bytes: u64) -> Self {
        self.report_limit = bytes;
        self
    }

    /// Returns what could not be applied so far.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Returns what could not be applied.
    #[must_use]
    pub fn into_report(self) -> Report {
        self.report
    }

    /// Returns the path of a place. Names that this system would read as something else (drives,
    /// streams, devices, `\`) are refused before they come here; names that are not UTF-8 here.
    fn path(&self, at: &Place<'_>, operation: Operation) -> Result<PathBuf, DiskError> {
        let path = at.path();
        let mut whole = self.root.clone();
        for component in path.components() {
            let name = std::str::from_utf8(component)
                .map_err(|_| DiskError::new(operation, path.to_string(), io::ErrorKind::InvalidFilename))?;
            whole.push(name);
        }
        Ok(whole)
    }

    /// Reports what this system has no notion of.
    fn skip_foreign(&mut self, at: &Place<'_>, metadata: &Metadata) -> Result<(), DiskError> {
        self.skip(at, What::Ownership { uid: metadata.uid, gid: metadata.gid })?;
        for xattr in &metadata.xattrs {
            self.skip(at, What::Xattr { name: xattr.name.clone() })?;
        }
        if metadata.mode & 0o7000 == 0 { Ok(()) } else { self.skip(at, What::SpecialMode { mode: metadata.mode }) }
    }

    fn skip(&mut self, at: &Place<'_>, what: What) -> Result<(), DiskError> {
        let path = at.path();
        self.report_bytes += (size_of::<Skipped>() + path.as_bytes().len()) as u64;
        if self.report_bytes > self.report_limit {
            return Err(DiskError::ReportBytes { limit: self.report_limit });
        }
        self.report.skip(path, what, Reason::NotSupported);
        Ok(())
    }
}

impl FileSystem for DiskFs {
    type File = DiskFile;
    type Error = DiskError;

    fn create_directory(&mut self, at: &Place<'_>) -> Result<(), DiskError> {
        let path = self.path(at, Operation::CreateDirectory)?;
        fs::create_dir(&path).map_err(|error| failed(Operation::CreateDirectory, &path, error))
    }

    fn create_file(&mut self, at: &Place<'_>, size: u64) -> Result<DiskFile, DiskError> {
        let path = self.path(at, Operation::CreateFile)?;
        let file = File::create_new(&path).map_err(|error| failed(Operation::CreateFile, &path, error))?;
        Ok(DiskFile { file, path, size })
    }

    fn write(&mut self, file: &mut DiskFile, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let written = file.file.seek(SeekFrom::Start(offset)).and_then(|_| file.file.write_all(bytes));
        written.map_err(|error| failed(Operation::Write, &file.path, error))
    }

    fn finish_file(&mut self, file: DiskFile, at: &Place<'_>, metadata: &Metadata) -> Result<(), DiskError> {
        file.file.set_len(file.size).map_err(|error| failed(Operation::SetSize, &file.path, error))?;
        let timed = system_time(metadata.mtime).is_some_and(|time| file.file.set_modified(time).is_ok());
        if !timed {
            self.skip(at, What::ModificationTime)?;
        }
        self.skip_foreign(at, metadata)
    }

    fn create_symlink(&mut self, at: &Place<'_>, target: &[u8], metadata: &Metadata) -> Result<Created, DiskError> {
        let path = self.path(at, Operation::CreateSymlink)?;
        let made = match std::str::from_utf8(target) {
            Ok(target) => symlink(OsStr::new(target), &path),
            Err(_) => Err(io::ErrorKind::Unsupported.into()),
        };
        // There is no kind of skipped item for a link: an image without its links would not work.
        made.map_err(|error| failed(Operation::CreateSymlink, &path, error))?;
        self.skip_foreign(at, metadata)?;
        Ok(Created::Made)
    }

    fn create_hard_link(&mut self, at: &Place<'_>, existing: &Place<'_>) -> Result<Created, DiskError> {
        let path = self.path(at, Operation::CreateHardLink)?;
        let existing = self.path(existing, Operation::CreateHardLink)?;
        fs::hard_link(existing, &path).map_err(|error| failed(Operation::CreateHardLink, &path, error))?;
        Ok(Created::Made)
    }

    fn create_special(&mut self, at: &Place<'_>, special: Special, _: &Metadata) -> Result<Created, DiskError> {
        let what = match special {
            Special::Fifo => What::Fifo,
            Special::CharacterDevice(_) | Special::BlockDevice(_) => What::Device,
        };
        self.skip(at, what)?;
        Ok(Created::Skipped)
    }

    fn remove(&mut self, at: &Place<'_>) -> Result<(), DiskError> {
        let path = self.path(at, Operation::Remove)?;
        fs::remove_file(&path).map_err(|error| failed(Operation::Remove, &path, error))
    }

    fn remove_directory(&mut self, at: &Place<'_>) -> Result<(), DiskError> {
        let path = self.path(at, Operation::Remove)?;
        fs::remove_dir(&path).map_err(|error| failed(Operation::Remove, &path, error))
    }

    fn finish_directory(&mut self, at: &Place<'_>, metadata: &Metadata) -> Result<(), DiskError> {
        self.skip_foreign(at, metadata)
    }
}

/// What the report may take unless told otherwise.
const REPORT_BYTES: u64 = 256 << 20;

fn failed(operation: Operation, path: &Path, error: io::Error) -> DiskError {
    if error.kind() == io::ErrorKind::AlreadyExists {
        DiskError::Collision { operation, path: path.to_owned() }
    } else {
        DiskError::new(operation, path, error)
    }
}

fn system_time(time: Timestamp) -> Option<SystemTime> {
    let whole = Duration::from_secs(time.seconds.unsigned_abs());
    let rounded = if time.seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(whole)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(whole)
    };
    rounded?.checked_add(Duration::from_nanos(time.nanoseconds.into()))
}

#[cfg(windows)]
fn symlink(target: &OsStr, path: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, path)
}

#[cfg(not(windows))]
fn symlink(_: &OsStr, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Removes a file, a link, or a directory with everything in it. A missing one is removed already.
///
/// # Errors
/// [`DiskError`] if something could not be removed.
pub fn remove_tree(path: &Path) -> Result<(), DiskError> {
    let removed = match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(DiskError::new(Operation::Remove, path, error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Removes everything in a directory but the entry of one name.
pub(crate) fn remove_contents(path: &Path, except: Option<&OsStr>) -> Result<(), DiskError> {
    let failed = |error| DiskError::new(Operation::Inspect, path, error);
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if Some(&*entry.file_name()) != except {
            remove_tree(&entry.path())?;
        }
    }
    Ok(())
}
