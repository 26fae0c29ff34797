//! An unpacked tree read back from the disk, for the [canonical listing](oci_fetcher_core::listing).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use oci_fetcher_core::digest::{Algorithm, Digest, Hasher};
use oci_fetcher_core::entry::{DeviceNumber, EntryPath, Metadata, Timestamp, Xattr, XattrPolicy};
use oci_fetcher_core::fs::Special;
use oci_fetcher_core::listing::{Attribute, Listed, Listing, What};
use rustix::fs::{AtFlags, Dev, Dir, FileType, Mode, OFlags, Stat, fgetxattr, flistxattr, openat, readlinkat, statat};

use super::error::{DiskError, Operation};

/// Lists what stands below a directory, hands on each line, and returns the digest of them all.
///
/// Everything is read back from the file system: content, owners, modes, times, links, and those
/// extended attributes that pulls apply. Symbolic links are never followed.
///
/// ```
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("motd"), "hello\n")?;
/// let mut lines = Vec::new();
/// oci_fetcher::list_tree(folder.path(), &[], |line| lines.push(line.to_owned()))?;
/// assert!(lines[1].starts_with("file /motd mode="));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`DiskError`] for what cannot be read.
pub fn list_tree(directory: &Path, without: &[Attribute], mut take: impl FnMut(&str)) -> Result<Digest, DiskError> {
    let root = rustix::fs::open(directory, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| DiskError::new(Operation::OpenDirectory, directory, errno))?;
    let lists_links = !without.contains(&Attribute::HardLinks);
    let mut reader = Reader { root, at: directory, firsts: BTreeMap::new(), lists_links, buffer: vec![0; PIECE] };
    let mut listing = Listing::without(without.iter().copied());
    let mut pending = vec![Event::Name(Vec::new())];
    while let Some(event) = pending.pop() {
        match event {
            Event::Below(path) => {
                let from = pending.len();
                for (name, is_directory) in reader.names(&path)? {
                    let path = [&path[..], if path.is_empty() { b"" } else { b"/" }, &name].concat();
                    if is_directory {
                        pending.push(Event::Below(path.clone()));
                    }
                    pending.push(Event::Name(path));
                }
                // The last is the next to come.
                pending[from..].sort_unstable_by(|left, right| right.bytes().cmp(left.bytes()));
            }
            Event::Name(path) => {
                if path.is_empty() {
                    pending.push(Event::Below(Vec::new()));
                }
                if let Some(line) = reader.read(&path, &mut listing)? {
                    take(&line);
                }
            }
        }
    }
    Ok(listing.finish())
}

/// A directory is met twice: for its own name, and for what lies below it.
enum Event {
    Name(Vec<u8>),
    Below(Vec<u8>),
}

impl Event {
    /// Returns what paths of this event begin with: in their order `a-b` comes before `a/b`.
    fn bytes(&self) -> impl Iterator<Item = &u8> {
        let (path, slash): (_, &[u8]) = match self {
            Self::Name(path) => (path, b""),
            Self::Below(path) => (path, b"/"),
        };
        path.iter().chain(slash)
    }
}

/// Bytes of content that are read at once.
const PIECE: usize = 128 << 10;

/// Reads one tree.
struct Reader<'r> {
    root: OwnedFd,
    /// The root's path, for messages.
    at: &'r Path,
    /// The first name of each file that has several, by device and inode.
    firsts: BTreeMap<(Dev, u64), EntryPath>,
    /// Whether later names of a file have lines that name the first.
    lists_links: bool,
    buffer: Vec<u8>,
}

impl Reader<'_> {
    /// Lists a directory, and tells which names are directories.
    fn names(&self, path: &[u8]) -> Result<Vec<(Vec<u8>, bool)>, DiskError> {
        let failed = |errno| self.failed(Operation::OpenDirectory, path, errno);
        let directory = self.open(path, OFlags::DIRECTORY).map_err(failed)?;
        let mut names = Vec::new();
        for entry in Dir::read_from(&directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_bytes();
            if !matches!(name, b"." | b"..") {
                let stat = statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
                let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
                names.push((name.to_vec(), is_directory));
            }
        }
        Ok(names)
    }

    /// Reads what stands at a name, and adds it to the listing.
    fn read(&mut self, path: &[u8], listing: &mut Listing) -> Result<Option<String>, DiskError> {
        let stat = if path.is_empty() {
            rustix::fs::fstat(&self.root)
        } else {
            statat(&self.root, path, AtFlags::SYMLINK_NOFOLLOW)
        };
        let stat = stat.map_err(|errno| self.failed(Operation::Inspect, path, errno))?;
        let clean =
            if path.is_empty() { EntryPath::root() } else { EntryPath::clean(path).map_err(|_| self.odd(path))? };
        let kind = FileType::from_raw_mode(stat.st_mode);
        let first = self.first_name(&stat, kind, &clean);
        let mut metadata = Metadata {
            mode: widened(Mode::from_raw_mode(stat.st_mode).as_raw_mode()) & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            mtime: Timestamp { seconds: stat.st_mtime, nanoseconds: u32::try_from(stat.st_mtime_nsec).unwrap_or(0) },
            xattrs: Vec::new(),
        };
        let device = || DeviceNumber { major: rustix::fs::major(stat.st_rdev), minor: rustix::fs::minor(stat.st_rdev) };
        let (content, target);
        let own = match kind {
            FileType::Directory => {
                metadata.xattrs = self.xattrs(path, OFlags::DIRECTORY)?;
                What::Directory
            }
            FileType::RegularFile => {
                metadata.xattrs = self.xattrs(path, OFlags::empty())?;
                content = match &first {
                    // Its line names the first name alone.
                    Some(_) if self.lists_links => Digest::of(Algorithm::Sha256, b""),
                    Some(_) | None => self.content(path)?,
                };
                What::File { size: u64::try_from(stat.st_size).unwrap_or(0), content: &content }
            }
            FileType::Symlink => {
                target = readlinkat(&self.root, path, Vec::new())
                    .map_err(|errno| self.failed(Operation::Inspect, path, errno))?;
                What::Symlink { target: target.as_bytes() }
            }
            FileType::CharacterDevice => What::Special(Special::CharacterDevice(device())),
            FileType::BlockDevice => What::Special(Special::BlockDevice(device())),
            FileType::Fifo => What::Special(Special::Fifo),
            FileType::Socket | FileType::Unknown => return Err(self.odd(path)),
        };
        let what = match &first {
            Some(first) => What::HardLink { of: &own, first },
            None => own,
        };
        Ok(listing.add(&Listed { path: &clean, what, metadata: &metadata }))
    }

    /// Returns the first name of a file, unless this is it.
    fn first_name(&mut self, stat: &Stat, kind: FileType, path: &EntryPath) -> Option<EntryPath> {
        if kind == FileType::Directory || stat.st_nlink < 2 {
            return None;
        }
        let key = (stat.st_dev, stat.st_ino);
        let first = self.firsts.get(&key).cloned();
        self.firsts.entry(key).or_insert_with(|| path.clone());
        first
    }

    fn content(&mut self, path: &[u8]) -> Result<Digest, DiskError> {
        let mut file =
            File::from(self.open(path, OFlags::empty()).map_err(|errno| self.failed(Operation::Inspect, path, errno))?);
        let mut hasher = Hasher::new(Algorithm::Sha256);
        loop {
            match file.read(&mut self.buffer) {
                Ok(0) => return Ok(hasher.finish()),
                Ok(length) => hasher.update(&self.buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(Operation::Inspect, path, error)),
            }
        }
    }

    /// Returns the extended attributes that a pull would have applied.
    fn xattrs(&self, path: &[u8], flags: OFlags) -> Result<Vec<Xattr>, DiskError> {
        let failed = |errno| self.failed(Operation::Inspect, path, errno);
        let file = self.open(path, flags).map_err(failed)?;
        let mut names = vec![0; XATTR_BYTES];
        let length = match flistxattr(&file, &mut names) {
            Ok(length) => length,
            Err(rustix::io::Errno::NOTSUP) => return Ok(Vec::new()),
            Err(errno) => return Err(failed(errno)),
        };
        let names = names[..length].split(|&byte| byte == 0);
        names
            .filter(|name| XattrPolicy::of(name) == XattrPolicy::Apply)
            .map(|name| {
                let mut value = vec![0; XATTR_BYTES];
                let length = fgetxattr(&file, name, &mut value).map_err(failed)?;
                Ok(Xattr { name: name.into(), value: value[..length].into() })
            })
            .collect()
    }

    fn open(&self, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let path = if path.is_empty() { b"." } else { path };
        let flags = flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        openat(self.root.as_fd(), path, flags, Mode::empty())
    }

    fn failed(&self, operation: Operation, path: &[u8], source: impl Into<io::Error>) -> DiskError {
        DiskError::new(operation, self.full(path), source)
    }

    /// Says that no image could have brought what stands there.
    fn odd(&self, path: &[u8]) -> DiskError {
        self.failed(Operation::Inspect, path, io::Error::new(io::ErrorKind::InvalidData, "no image holds such a thing"))
    }

    fn full(&self, path: &[u8]) -> PathBuf {
        self.at.join(std::ffi::OsStr::from_bytes(path))
    }
}

/// Linux's `XATTR_LIST_MAX` and `XATTR_SIZE_MAX`.
const XATTR_BYTES: usize = 64 << 10;

/// Systems differ in how wide a mode is.
fn widened(mode: impl Into<u32>) -> u32 {
    mode.into()
}
