//! The system calls that are broken, and what can become of each.

use std::fmt;

use nix::errno::Errno;
use nix::libc;

/// A kind of system call: where the kernel has several for one thing, they are one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Call {
    Open,
    OpenBeneath,
    /// Of a file: nothing of a directory or a socket is left to be written.
    Close,
    Read,
    Write,
    /// A write to standard output or standard error.
    Print,
    Seek,
    Truncate,
    Allocate,
    CopyRange,
    Sync,
    Stat,
    List,
    MakeDirectory,
    MakeNode,
    Link,
    Symlink,
    Rename,
    Unlink,
    ChangeMode,
    ChangeOwner,
    ChangeTimes,
    SetAttribute,
    RemoveAttribute,
    Lock,
    Socket,
    Connect,
    Option,
    Send,
    Receive,
    Poll,
    EventQueue,
    Thread,
}

/// What becomes of a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Fault {
    /// It fails without having been made.
    Error(Failure),
    /// It is made for a single byte.
    Short,
    /// The process is killed in place of it.
    KillBefore,
    /// The process is killed as soon as it was made.
    KillAfter,
}

/// An error of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Failure(i32);

impl Failure {
    /// Returns its number.
    pub(crate) const fn number(self) -> i32 {
        self.0
    }
}

impl Call {
    /// Returns what the call with this number is a kind of; `None` is never broken.
    pub(crate) fn of(number: u64) -> Option<Self> {
        let number = i64::try_from(number).ok()?;
        NUMBERS.iter().find(|(_, numbers)| numbers.contains(&number)).map(|(call, _)| *call)
    }

    /// Returns every fault of a call of this kind.
    pub(crate) fn faults(self) -> impl Iterator<Item = Fault> {
        let errors = self.errors().iter().map(|errno| Fault::Error(Failure(*errno as i32)));
        // A socket takes and gives less only where there is no more, and tokio relies on that.
        let short = matches!(self, Self::Read | Self::Write | Self::Print);
        errors.chain(short.then_some(Fault::Short)).chain([Fault::KillBefore, Fault::KillAfter])
    }

    /// Says whether the program has to go on as if nothing had happened.
    pub(crate) fn must_survive(self, fault: Fault) -> bool {
        match fault {
            Fault::Short => true,
            Fault::Error(error) => {
                let errno = Errno::from_raw(error.0);
                [Errno::EINTR, Errno::ENOSYS, Errno::EOPNOTSUPP, Errno::ENOLCK].contains(&errno)
                    || errno == Errno::EAGAIN && self != Self::Thread
                    || errno == Errno::EIO && self == Self::Close
            }
            Fault::KillBefore | Fault::KillAfter => false,
        }
    }

    fn errors(self) -> &'static [Errno] {
        use Errno::{
            EACCES, EAGAIN, ECONNREFUSED, ECONNRESET, EDQUOT, EINTR, EIO, EMFILE, ENETUNREACH, ENOBUFS, ENOLCK, ENOSPC,
            ENOSYS, EOPNOTSUPP, EPERM, EPIPE, EROFS,
        };
        match self {
            Self::Open => &[EMFILE, ENOSPC, EDQUOT, EIO, EROFS, EACCES, EINTR],
            Self::OpenBeneath => &[EMFILE, ENOSPC, EIO, EROFS, EINTR, EAGAIN, ENOSYS],
            Self::Close => &[EIO, EINTR],
            Self::Read => &[EIO, EINTR],
            Self::Write => &[ENOSPC, EDQUOT, EIO, EINTR],
            Self::Print => &[ENOSPC, EIO, EINTR],
            Self::Seek | Self::List | Self::Stat => &[EIO],
            Self::Truncate => &[ENOSPC, EIO, EINTR],
            Self::Allocate => &[ENOSPC, EIO, EOPNOTSUPP],
            Self::CopyRange => &[ENOSPC, EIO, ENOSYS, EOPNOTSUPP],
            Self::Sync => &[ENOSPC, EDQUOT, EIO],
            Self::MakeDirectory | Self::MakeNode | Self::Link | Self::Symlink => &[ENOSPC, EDQUOT, EIO, EROFS],
            Self::Rename => &[ENOSPC, EDQUOT, EIO, EROFS],
            Self::Unlink => &[EIO, EROFS],
            Self::ChangeMode | Self::ChangeOwner | Self::ChangeTimes => &[EIO, EROFS, EPERM],
            // Where there is space, ENOSPC says that an inode cannot hold more: that is reported, not failed.
            Self::SetAttribute => &[EDQUOT, EIO],
            Self::RemoveAttribute => &[EIO, EOPNOTSUPP],
            Self::Lock => &[EIO, ENOLCK],
            Self::Socket => &[EMFILE, ENOBUFS],
            Self::Connect => &[ECONNREFUSED, ENETUNREACH],
            Self::Option => &[EIO, ENOBUFS],
            Self::Send => &[EPIPE, ECONNRESET, EINTR],
            Self::Receive => &[ECONNRESET, EINTR],
            Self::Poll => &[EINTR],
            Self::EventQueue => &[EMFILE],
            Self::Thread => &[EAGAIN],
        }
    }
}

/// The numbers on x86-64.
const NUMBERS: &[(Call, &[i64])] = &[
    (Call::Open, &[libc::SYS_open, libc::SYS_openat, libc::SYS_creat]),
    (Call::OpenBeneath, &[libc::SYS_openat2]),
    (Call::Close, &[libc::SYS_close]),
    (Call::Read, &[libc::SYS_read, libc::SYS_pread64, libc::SYS_readv, libc::SYS_preadv]),
    (Call::Write, &[libc::SYS_write, libc::SYS_pwrite64, libc::SYS_writev, libc::SYS_pwritev]),
    (Call::Seek, &[libc::SYS_lseek]),
    (Call::Truncate, &[libc::SYS_ftruncate, libc::SYS_truncate]),
    (Call::Allocate, &[libc::SYS_fallocate]),
    (Call::CopyRange, &[libc::SYS_copy_file_range, libc::SYS_sendfile, libc::SYS_splice]),
    (Call::Sync, &[libc::SYS_fsync, libc::SYS_fdatasync, libc::SYS_syncfs, libc::SYS_sync_file_range]),
    (
        Call::Stat,
        &[libc::SYS_stat, libc::SYS_lstat, libc::SYS_fstat, libc::SYS_newfstatat, libc::SYS_statx, libc::SYS_readlink],
    ),
    (Call::List, &[libc::SYS_getdents64]),
    (Call::MakeDirectory, &[libc::SYS_mkdir, libc::SYS_mkdirat]),
    (Call::MakeNode, &[libc::SYS_mknod, libc::SYS_mknodat]),
    (Call::Link, &[libc::SYS_link, libc::SYS_linkat]),
    (Call::Symlink, &[libc::SYS_symlink, libc::SYS_symlinkat]),
    (Call::Rename, &[libc::SYS_rename, libc::SYS_renameat, libc::SYS_renameat2]),
    (Call::Unlink, &[libc::SYS_unlink, libc::SYS_unlinkat, libc::SYS_rmdir]),
    (Call::ChangeMode, &[libc::SYS_chmod, libc::SYS_fchmod, libc::SYS_fchmodat, 452]),
    (Call::ChangeOwner, &[libc::SYS_chown, libc::SYS_fchown, libc::SYS_lchown, libc::SYS_fchownat]),
    (Call::ChangeTimes, &[libc::SYS_utimensat]),
    (Call::SetAttribute, &[libc::SYS_setxattr, libc::SYS_lsetxattr, libc::SYS_fsetxattr]),
    (Call::RemoveAttribute, &[libc::SYS_removexattr, libc::SYS_lremovexattr, libc::SYS_fremovexattr]),
    (Call::Lock, &[libc::SYS_flock]),
    (Call::Socket, &[libc::SYS_socket, libc::SYS_socketpair]),
    (Call::Connect, &[libc::SYS_connect]),
    (Call::Option, &[libc::SYS_setsockopt, libc::SYS_getsockopt]),
    (Call::Send, &[libc::SYS_sendto]),
    (Call::Receive, &[libc::SYS_recvfrom]),
    (Call::Poll, &[libc::SYS_epoll_wait, libc::SYS_epoll_pwait]),
    (Call::EventQueue, &[libc::SYS_epoll_create1, libc::SYS_eventfd2]),
    (Call::Thread, &[libc::SYS_clone, libc::SYS_clone3]),
];

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => write!(f, "{:?}", Errno::from_raw(error.0)),
            Self::Short => f.write_str("short"),
            Self::KillBefore => f.write_str("kill-before"),
            Self::KillAfter => f.write_str("kill-after"),
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{self:?}").to_lowercase())
    }
}
