//! Owner, extended attributes, mode and times, in this order, and the report of what could not be
//! applied.
//!
//! The order matters: a change of owner clears setuid bits and capabilities, and any change but
//! that of the times could take away the right to make the next one.

use std::os::fd::{BorrowedFd, OwnedFd};

use oci_fetcher_core::entry::{Metadata, Timestamp, Xattr};
use oci_fetcher_core::report::{Reason, Report, Skipped, What};
use oci_fetcher_core::tree::Place;
use rustix::fs::{AtFlags, Gid, Mode, OFlags, RawMode, Stat, Timespec, Timestamps, Uid};
use rustix::io::{Errno, retry_on_intr};

use super::error::Operation;

/// What the process may do, decided once; the system may still refuse, and then it is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Privilege {
    /// Gives files to others, and sets capabilities.
    Root,
    /// Makes files that belong to the caller.
    Caller,
}

/// An operation that failed, for an error that names the path.
pub(super) type Failure = (Operation, Errno);

/// Applies metadata and keeps the report.
#[derive(Debug)]
pub(super) struct Applier {
    privilege: Privilege,
    /// Who a new file belongs to, once one was made. The same for all: directories get their own
    /// group only after everything in them was made, so that there is nothing else to inherit.
    natural: Option<Owner>,
    report: Report,
    /// Bytes that the report's items take.
    report_bytes: u64,
    report_limit: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    uid: u32,
    gid: u32,
}

impl Owner {
    fn recorded(metadata: &Metadata) -> Self {
        Self { uid: metadata.uid, gid: metadata.gid }
    }

    fn of(stat: &Stat) -> Self {
        Self { uid: stat.st_uid, gid: stat.st_gid }
    }
}

/// Whose permissions a mode's setuid and setgid bits would lend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lends {
    /// The recorded owner's.
    Recorded,
    /// The caller's, which is not what the image means.
    Caller,
}

impl Applier {
    pub(super) fn new(privilege: Privilege) -> Self {
        Self { privilege, natural: None, report: Report::default(), report_bytes: 0, report_limit: REPORT_BYTES }
    }

    pub(super) fn limit_report(&mut self, bytes: u64) {
        self.report_limit = bytes;
    }

    pub(super) fn report(&self) -> &Report {
        &self.report
    }

    pub(super) fn into_report(self) -> Report {
        self.report
    }

    /// Returns the limit if the report has grown beyond it.
    pub(super) fn passed_limit(&self) -> Option<u64> {
        (self.report_bytes > self.report_limit).then_some(self.report_limit)
    }

    /// Applies everything to an open, new regular file.
    pub(super) fn file(&mut self, at: &Place<'_>, metadata: &Metadata, file: BorrowedFd<'_>) -> Result<(), Failure> {
        let current = match self.natural {
            Some(owner) => owner,
            None => *self.natural.insert(inspect(file)?),
        };
        self.opened(at, metadata, file, current)
    }

    /// Applies everything to an open directory.
    pub(super) fn directory(
        &mut self,
        at: &Place<'_>,
        metadata: &Metadata,
        directory: BorrowedFd<'_>,
    ) -> Result<(), Failure> {
        // Not always ours: a destination that was there before has an owner of its own.
        let current = inspect(directory)?;
        self.opened(at, metadata, directory, current)
    }

    fn opened(
        &mut self,
        at: &Place<'_>,
        metadata: &Metadata,
        fd: BorrowedFd<'_>,
        current: Owner,
    ) -> Result<(), Failure> {
        let lends = self.own(at, metadata, current, |uid, gid| rustix::fs::fchown(fd, Some(uid), Some(gid)))?;
        self.set_xattrs(at, metadata, Some(fd), |xattr| set_xattr(fd, xattr))?;
        let mode = self.mode(at, metadata, lends);
        retry_on_intr(|| rustix::fs::fchmod(fd, mode)).map_err(|errno| (Operation::SetMode, errno))?;
        if mode.intersects(SET_ID) {
            let kept = Mode::from_raw_mode(stat(fd)?.st_mode);
            if !kept.contains(mode & SET_ID) {
                self.skip(at, What::SpecialMode { mode: metadata.mode }, Reason::NotPermitted);
            }
        }
        let times = times(metadata.mtime);
        retry_on_intr(|| rustix::fs::futimens(fd, &times)).map_err(|errno| (Operation::SetTime, errno))?;
        self.check_time(at, metadata, || stat(fd))
    }

    /// Applies what a symbolic link can have: owner, extended attributes, times.
    pub(super) fn symlink(
        &mut self,
        at: &Place<'_>,
        metadata: &Metadata,
        directory: BorrowedFd<'_>,
    ) -> Result<(), Failure> {
        let inspect = || stat_at(directory, at.name());
        let current = match self.natural {
            Some(owner) => owner,
            None => *self.natural.insert(Owner::of(&inspect()?)),
        };
        self.own(at, metadata, current, |uid, gid| {
            rustix::fs::chownat(directory, at.name(), Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
        })?;
        if !metadata.xattrs.is_empty() {
            let link = open_name(directory, at.name()).map_err(|errno| (Operation::SetXattr, errno))?;
            self.set_xattrs(at, metadata, None, |xattr| set_xattr_of_name(&link, xattr))?;
        }
        self.set_time_of_name(at, metadata, directory)
    }

    /// Applies everything to a FIFO or device, which must not be opened.
    pub(super) fn special(
        &mut self,
        at: &Place<'_>,
        metadata: &Metadata,
        directory: BorrowedFd<'_>,
    ) -> Result<(), Failure> {
        let current = Owner::of(&stat_at(directory, at.name())?);
        let lends = self.own(at, metadata, current, |uid, gid| {
            rustix::fs::chownat(directory, at.name(), Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
        })?;
        if !metadata.xattrs.is_empty() {
            let special = open_name(directory, at.name()).map_err(|errno| (Operation::SetXattr, errno))?;
            self.set_xattrs(at, metadata, None, |xattr| set_xattr_of_name(&special, xattr))?;
        }
        let mode = self.mode(at, metadata, lends);
        set_mode_of_name(directory, at.name(), mode).map_err(|errno| (Operation::SetMode, errno))?;
        self.set_time_of_name(at, metadata, directory)
    }

    pub(super) fn skip(&mut self, at: &Place<'_>, what: What, reason: Reason) {
        let path = at.path();
        let name = if let What::Xattr { name } = &what { name.len() } else { 0 };
        let items = self.report.skipped.len();
        let bytes = size_of::<Skipped>() + path.as_bytes().len() + name;
        self.report.skip(path, what, reason);
        if self.report.skipped.len() > items {
            self.report_bytes += bytes as u64;
        }
    }

    fn own(
        &mut self,
        at: &Place<'_>,
        metadata: &Metadata,
        current: Owner,
        mut change: impl FnMut(Uid, Gid) -> Result<(), Errno>,
    ) -> Result<Lends, Failure> {
        let recorded = Owner::recorded(metadata);
        if recorded == current {
            return Ok(Lends::Recorded);
        }
        let refused = match self.privilege {
            Privilege::Caller => Reason::NotPermitted,
            Privilege::Root => {
                let (uid, gid) = (Uid::from_raw(recorded.uid), Gid::from_raw(recorded.gid));
                match retry_on_intr(|| change(uid, gid)) {
                    Ok(()) => return Ok(Lends::Recorded),
                    Err(Errno::PERM | Errno::ACCESS) => Reason::NotPermitted,
                    // An id that the user namespace does not map, or a file system without owners.
                    Err(Errno::INVAL | Errno::OVERFLOW | Errno::OPNOTSUPP | Errno::NOSYS) => Reason::NotSupported,
                    Err(errno) => return Err((Operation::SetOwner, errno)),
                }
            }
        };
        self.skip(at, What::Ownership { uid: recorded.uid, gid: recorded.gid }, refused);
        Ok(Lends::Caller)
    }

    fn set_xattrs(
        &mut self,
        at: &Place<'_>,
        metadata: &Metadata,
        fd: Option<BorrowedFd<'_>>,
        set: impl Fn(&Xattr) -> Result<(), Errno>,
    ) -> Result<(), Failure> {
        for xattr in &metadata.xattrs {
            let for_root = !xattr.name.starts_with(b"user.");
            let reason = if for_root && self.privilege == Privilege::Caller {
                Reason::NotPermitted
            } else {
                match retry_on_intr(|| set(xattr)) {
                    Ok(()) => continue,
                    // The system keeps `user.` to files and directories, whoever asks.
                    Err(Errno::PERM | Errno::ACCESS) if for_root || fd.is_some() => Reason::NotPermitted,
                    Err(
                        Errno::PERM
                        | Errno::ACCESS
                        | Errno::OPNOTSUPP
                        | Errno::NOSYS
                        | Errno::INVAL
                        | Errno::RANGE
                        | Errno::TOOBIG
                        | Errno::NAMETOOLONG,
                    ) => Reason::NotSupported,
                    // Also what ext4 says when the attributes of one file outgrow their block.
                    Err(Errno::NOSPC) if fd.is_some_and(has_space) => Reason::NotSupported,
                    Err(errno) => return Err((Operation::SetXattr, errno)),
                }
            };
            self.skip(at, What::Xattr { name: xattr.name.clone() }, reason);
        }
        Ok(())
    }

    /// Returns the mode to set, without bits that would lend the caller's permissions.
    fn mode(&mut self, at: &Place<'_>, metadata: &Metadata, lends: Lends) -> Mode {
        let recorded =
            Mode::from_raw_mode(RawMode::try_from(metadata.mode & 0o7777).expect("twelve bits fit any mode"));
        if lends == Lends::Recorded || !recorded.intersects(SET_ID) {
            return recorded;
        }
        self.skip(at, What::SpecialMode { mode: metadata.mode }, Reason::NotPermitted);
        recorded - SET_ID
    }

    fn set_time_of_name(
        &mut self,
        at: &Place<'_>,
        metadata: &Metadata,
        directory: BorrowedFd<'_>,
    ) -> Result<(), Failure> {
        let times = times(metadata.mtime);
        retry_on_intr(|| rustix::fs::utimensat(directory, at.name(), &times, AtFlags::SYMLINK_NOFOLLOW))
            .map_err(|errno| (Operation::SetTime, errno))?;
        self.check_time(at, metadata, || stat_at(directory, at.name()))
    }

    /// Reports a time that the file system had to bring into its range, which it does silently.
    fn check_time(
        &mut self,
        at: &Place<'_>,
        metadata: &Metadata,
        stat: impl FnOnce() -> Result<Stat, Failure>,
    ) -> Result<(), Failure> {
        if (0..=TIMES_HELD_BY_ALL).contains(&metadata.mtime.seconds) {
            return Ok(());
        }
        if stat()?.st_mtime != metadata.mtime.seconds {
            self.skip(at, What::ModificationTime, Reason::NotSupported);
        }
        Ok(())
    }
}

/// What the report may take unless told otherwise: each item holds a whole path, which adds up to far
/// more than the tree that they share. A million items of real images fit.
const REPORT_BYTES: u64 = 256 << 20;

/// The bits that lend the owner's or the group's permissions.
const SET_ID: Mode = Mode::SUID.union(Mode::SGID);

/// Every file system keeps times up to here (2038-01-19), and none before 1970 surely.
const TIMES_HELD_BY_ALL: i64 = i32::MAX as i64;

fn times(mtime: Timestamp) -> Timestamps {
    let time = Timespec { tv_sec: mtime.seconds, tv_nsec: mtime.nanoseconds.into() };
    Timestamps { last_access: time, last_modification: time }
}

fn stat(fd: BorrowedFd<'_>) -> Result<Stat, Failure> {
    rustix::fs::fstat(fd).map_err(|errno| (Operation::Inspect, errno))
}

fn stat_at(directory: BorrowedFd<'_>, name: &[u8]) -> Result<Stat, Failure> {
    retry_on_intr(|| rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW))
        .map_err(|errno| (Operation::Inspect, errno))
}

fn inspect(fd: BorrowedFd<'_>) -> Result<Owner, Failure> {
    stat(fd).map(|stat| Owner::of(&stat))
}

fn has_space(fd: BorrowedFd<'_>) -> bool {
    rustix::fs::fstatvfs(fd).is_ok_and(|free| free.f_bavail > 0)
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn set_xattr(fd: BorrowedFd<'_>, xattr: &Xattr) -> Result<(), Errno> {
    rustix::fs::fsetxattr(fd, &*xattr.name, &xattr.value, rustix::fs::XattrFlags::empty())
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn set_xattr(_: BorrowedFd<'_>, _: &Xattr) -> Result<(), Errno> {
    Err(Errno::OPNOTSUPP)
}

/// Opens a name for what it is, neither followed nor read: a FIFO would block, a device act.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn open_name(directory: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    retry_on_intr(|| rustix::fs::openat(directory, name, flags, Mode::empty()))
}

/// Stands for a name where a name cannot be opened without reading it.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn open_name(directory: BorrowedFd<'_>, _: &[u8]) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(directory, ".", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn set_xattr_of_name(name: &OwnedFd, xattr: &Xattr) -> Result<(), Errno> {
    match rustix::fs::setxattr(through_proc(name), &*xattr.name, &xattr.value, rustix::fs::XattrFlags::empty()) {
        Err(Errno::NOENT | Errno::NOTDIR) => Err(Errno::OPNOTSUPP),
        set => set,
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn set_xattr_of_name(_: &OwnedFd, _: &Xattr) -> Result<(), Errno> {
    Err(Errno::OPNOTSUPP)
}

/// Sets the mode of a name that is no symbolic link, and never of what a link leads to.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn set_mode_of_name(directory: BorrowedFd<'_>, name: &[u8], mode: Mode) -> Result<(), Errno> {
    let opened = open_name(directory, name)?;
    let stat = rustix::fs::fstat(&opened)?;
    if rustix::fs::FileType::from_raw_mode(stat.st_mode).is_symlink() {
        return Err(Errno::LOOP);
    }
    if Mode::from_raw_mode(stat.st_mode) == mode {
        return Ok(());
    }
    // `fchmodat` follows links, and its successor came with Linux 6.6.
    retry_on_intr(|| rustix::fs::chmod(through_proc(&opened), mode))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn set_mode_of_name(directory: BorrowedFd<'_>, name: &[u8], mode: Mode) -> Result<(), Errno> {
    retry_on_intr(|| rustix::fs::chmodat(directory, name, mode, AtFlags::SYMLINK_NOFOLLOW))
}

/// Names an open file itself, whatever became of the name that it was opened by.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn through_proc(opened: &OwnedFd) -> String {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}", opened.as_raw_fd())
}
