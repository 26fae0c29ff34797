//! Safe operations on a tree: what a tar member means once it has been checked.

mod path;
mod policy;
mod portable;
mod whiteout;

pub use path::{EntryPath, PathError};
pub use policy::XattrPolicy;
pub use portable::{NamePolicy, Unportable};
pub use whiteout::{Mark, WhiteoutError};
pub(crate) use whiteout::{OPAQUE, PREFIX};

/// One checked member of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it belongs; for a [whiteout](EntryKind::Whiteout) the path that it hides, for an
    /// [opaque mark](EntryKind::Opaque) the directory whose lower content it hides.
    pub path: EntryPath,
    /// What it is.
    pub kind: EntryKind,
    /// Mode, owner, time and extended attributes. Without meaning for a hard link and a whiteout.
    pub metadata: Metadata,
}

/// The kinds of entries, with what only that kind has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file of `size` bytes, holes included.
    File {
        /// Logical size in bytes.
        size: u64,
    },
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink {
        /// The target, byte for byte; never empty.
        target: Box<[u8]>,
    },
    /// A further name of an existing file, symlink, FIFO or device.
    HardLink {
        /// The existing name, from the root.
        target: EntryPath,
    },
    /// A named pipe.
    Fifo,
    /// A character device.
    CharacterDevice(DeviceNumber),
    /// A block device.
    BlockDevice(DeviceNumber),
    /// Hides the path in lower layers (image-spec 1.1, layer.md, "Whiteouts").
    Whiteout,
    /// Hides everything in the directory that comes from lower layers ("Opaque Whiteout").
    Opaque,
}

/// A device's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceNumber {
    /// The driver.
    pub major: u32,
    /// The device among those of its driver.
    pub minor: u32,
}

/// What a file system keeps beside content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Permission bits with setuid, setgid and sticky: at most `0o7777`.
    pub mode: u32,
    /// Numeric owner; never `u32::MAX`.
    pub uid: u32,
    /// Numeric group; never `u32::MAX`.
    pub gid: u32,
    /// Time of last modification.
    pub mtime: Timestamp,
    /// Extended attributes that policy lets through, by name, each name once.
    pub xattrs: Vec<Xattr>,
}

impl Metadata {
    /// What a directory has that exists only because an entry lies below it.
    pub const IMPLIED: Self = Self { mode: 0o755, uid: 0, gid: 0, mtime: Timestamp::EPOCH, xattrs: Vec::new() };
}

impl Metadata {
    /// Returns the extended attributes in byte order of their names, for what has to be the same
    /// whoever recorded them.
    pub(crate) fn sorted_xattrs(&self) -> Vec<&Xattr> {
        let mut sorted: Vec<&Xattr> = self.xattrs.iter().collect();
        sorted.sort_unstable_by(|left, right| left.name.cmp(&right.name));
        sorted
    }
}

/// An extended attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Xattr {
    /// The name with its namespace, for example `user.origin`.
    pub name: Box<[u8]>,
    /// The value, which may be empty.
    pub value: Box<[u8]>,
}

/// A point in time: `seconds` since 1970-01-01T00:00:00Z, rounded down, and `nanoseconds` after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Whole seconds; negative before 1970.
    pub seconds: i64,
    /// Below 1,000,000,000; always counts forward.
    pub nanoseconds: u32,
}

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self { seconds: 0, nanoseconds: 0 };
}
