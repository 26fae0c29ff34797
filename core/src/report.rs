//! What a pull could not apply, so that nothing is lost silently.

use std::collections::BTreeMap;

use crate::entry::{EntryPath, Unportable};

/// Everything that was left out of an unpacked tree, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Each item that was skipped, in the order of the layers' entries. Ownership by root, which
    /// every image has, is only counted.
    pub skipped: Vec<Skipped>,
    /// Entries whose recorded owner was not applied, counted by user and group.
    pub ownership: BTreeMap<(u32, u32), u64>,
}

impl Report {
    /// Adds an item.
    pub fn skip(&mut self, path: EntryPath, what: What, reason: Reason) {
        if let What::Ownership { uid, gid } = what {
            *self.ownership.entry((uid, gid)).or_default() += 1;
            if (uid, gid) == (0, 0) {
                return;
            }
        }
        self.skipped.push(Skipped { path, what, reason });
    }

    /// Adds everything that another report holds.
    pub fn absorb(&mut self, other: Self) {
        self.skipped.extend(other.skipped);
        for (owner, count) in other.ownership {
            *self.ownership.entry(owner).or_default() += count;
        }
    }

    /// Tells whether everything was applied.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.skipped.is_empty() && self.ownership.is_empty()
    }

    /// Returns how many items of each kind were skipped, by [`What::name`].
    #[must_use]
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for skipped in &self.skipped {
            *counts.entry(skipped.what.name()).or_default() += 1;
        }
        if !self.ownership.is_empty() {
            counts.insert("ownership", self.ownership.values().sum());
        }
        counts
    }
}

/// One thing that was not applied to one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The path in the image.
    pub path: EntryPath,
    /// The thing.
    pub what: What,
    /// Why.
    pub reason: Reason,
}

/// The things that can be skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// The numeric owner; the file belongs to the caller.
    Ownership {
        /// The recorded user.
        uid: u32,
        /// The recorded group.
        gid: u32,
    },
    /// setuid, setgid or sticky bits; the other permissions were applied.
    SpecialMode {
        /// The recorded mode.
        mode: u32,
    },
    /// An extended attribute.
    Xattr {
        /// Its name.
        name: Box<[u8]>,
    },
    /// A device; nothing stands at the path.
    Device,
    /// A named pipe; nothing stands at the path.
    Fifo,
    /// A hard link to something that was itself skipped; nothing stands at the path.
    HardLink,
    /// The time of modification.
    ModificationTime,
    /// Nothing, if the policy is to [report](crate::entry::NamePolicy::Report) names: the path stands, and
    /// Windows could not hold its last name.
    Name(Unportable),
    /// A mark of a union file system that no specification gives a meaning (aufs's `.wh..wh.plnk`).
    UnionMark,
}

impl What {
    /// Returns the name that reports use.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Ownership { .. } => "ownership",
            Self::SpecialMode { .. } => "special-mode",
            Self::Xattr { .. } => "xattr",
            Self::Device => "device",
            Self::Fifo => "fifo",
            Self::HardLink => "hard-link",
            Self::ModificationTime => "modification-time",
            Self::Name(_) => "name",
            Self::UnionMark => "union-mark",
        }
    }
}

/// Why something was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The process may not do it.
    NotPermitted,
    /// The file system or platform cannot hold it.
    NotSupported,
    /// Another system could not hold it.
    NotPortable,
    /// It belongs to the machine the image was built on, or would change what a union mount means.
    Policy,
}

impl Reason {
    /// Returns the name that reports use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotPermitted => "not-permitted",
            Self::NotSupported => "not-supported",
            Self::NotPortable => "not-portable",
            Self::Policy => "policy",
        }
    }
}
