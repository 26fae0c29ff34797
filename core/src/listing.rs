//! The canonical listing of a tree: text by which the same image on two hosts is compared.
//!
//! One line a name, in byte order of full paths (that of [`MemoryFs::walk`](crate::memory::MemoryFs::walk)):
//!
//! ```text
//! . type=directory mode=0755 uid=0 gid=0 time=0.000000000
//! ./bin type=symlink uid=0 gid=0 time=0.000000000 target=usr/bin
//! ./etc/motd type=file mode=0644 uid=0 gid=0 time=-1.500000000 size=6 content=sha256:... user.a=x
//! ./etc/same type=file hard-link=./etc/motd
//! ./dev/null type=character-device mode=0666 uid=0 gid=0 time=0.000000000 device=1,3
//! ```
//!
//! In paths, targets and attributes every byte outside the printable ASCII characters, the blank, `\`
//! and `=` stand as `\xHH`, so that any two trees that differ give different lines. A symbolic link has
//! no mode, for systems do not agree on it; a later name of a file has its first one instead of
//! attributes.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::str::FromStr;

use crate::digest::{Algorithm, Digest, Hasher};
use crate::entry::{EntryPath, Metadata};
use crate::error::{Class, Explain};
use crate::fs::Special;

/// Writes the lines of one listing, and computes the digest of them all.
///
/// ```
/// use oci_fetcher_core::entry::{EntryPath, Metadata};
/// use oci_fetcher_core::listing::{Listed, Listing};
///
/// let mut listing = Listing::new([]);
/// let line = listing.add(&EntryPath::root(), Listed::Directory, &Metadata::IMPLIED, None);
/// assert_eq!(line.as_deref(), Some(". type=directory mode=0755 uid=0 gid=0 time=0.000000000"));
/// assert!(listing.finish().as_str().starts_with("sha256:"));
/// ```
#[derive(Debug)]
pub struct Listing {
    without: BTreeSet<Attribute>,
    hasher: Hasher,
}

/// What stands at a name, with what only that kind has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed<'l> {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// Logical size in bytes.
        size: u64,
        /// The digest of what can be read from it.
        content: &'l Digest,
    },
    /// A symbolic link.
    Symlink {
        /// The target, byte for byte.
        target: &'l [u8],
    },
    /// A FIFO or device.
    Special(Special),
}

/// What a listing can do without, where a host cannot hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attribute {
    /// User and group.
    Owner,
    /// Permission bits, setuid, setgid and sticky.
    Mode,
    /// Times of modification.
    Mtime,
    /// Times of modification below the second.
    Nanoseconds,
    /// Extended attributes.
    Xattrs,
    /// FIFOs and devices: they have no lines.
    Devices,
}

impl Attribute {
    /// Every attribute.
    pub const ALL: [Self; 6] = [Self::Owner, Self::Mode, Self::Mtime, Self::Nanoseconds, Self::Xattrs, Self::Devices];

    /// Returns the name that options use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Mode => "mode",
            Self::Mtime => "mtime",
            Self::Nanoseconds => "nanoseconds",
            Self::Xattrs => "xattrs",
            Self::Devices => "devices",
        }
    }
}

impl FromStr for Attribute {
    type Err = AttributeError;

    fn from_str(name: &str) -> Result<Self, AttributeError> {
        Self::ALL.into_iter().find(|attribute| attribute.name() == name).ok_or(AttributeError)
    }
}

/// A name that is no attribute's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a listing has owner, mode, mtime, nanoseconds, xattrs and devices to leave out")]
pub struct AttributeError;

impl Explain for AttributeError {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn code(&self) -> &'static str {
        "usage"
    }
}

impl Listing {
    /// Begins a listing that leaves out what is named.
    #[must_use]
    pub fn new(without: impl IntoIterator<Item = Attribute>) -> Self {
        Self { without: without.into_iter().collect(), hasher: Hasher::new(Algorithm::Sha256) }
    }

    /// Adds a name, which must follow the last one in byte order, and returns its line without a
    /// line feed; `None` for what is left out.
    ///
    /// `hard_link_to` is the first name of the same thing in that order, for all names but the first.
    pub fn add(
        &mut self,
        path: &EntryPath,
        listed: Listed<'_>,
        metadata: &Metadata,
        hard_link_to: Option<&EntryPath>,
    ) -> Option<String> {
        if matches!(listed, Listed::Special(_)) && self.is_without(Attribute::Devices) {
            return None;
        }
        let mut line = place(path);
        line.push_str(" type=");
        line.push_str(match listed {
            Listed::Directory => "directory",
            Listed::File { .. } => "file",
            Listed::Symlink { .. } => "symlink",
            Listed::Special(Special::Fifo) => "fifo",
            Listed::Special(Special::CharacterDevice(_)) => "character-device",
            Listed::Special(Special::BlockDevice(_)) => "block-device",
        });
        match hard_link_to {
            Some(first) => {
                line.push_str(" hard-link=");
                line.push_str(&place(first));
            }
            None => self.attributes(listed, metadata, &mut line),
        }
        self.hasher.update(line.as_bytes());
        self.hasher.update(b"\n");
        Some(line)
    }

    /// Returns the digest of all lines, each with a line feed at its end.
    #[must_use]
    pub fn finish(self) -> Digest {
        self.hasher.finish()
    }

    fn is_without(&self, attribute: Attribute) -> bool {
        self.without.contains(&attribute)
    }

    fn attributes(&self, listed: Listed<'_>, metadata: &Metadata, line: &mut String) {
        let mut add = |text: std::fmt::Arguments<'_>| line.write_fmt(text).expect("a String takes everything");
        if !self.is_without(Attribute::Mode) && !matches!(listed, Listed::Symlink { .. }) {
            add(format_args!(" mode={:04o}", metadata.mode));
        }
        if !self.is_without(Attribute::Owner) {
            add(format_args!(" uid={} gid={}", metadata.uid, metadata.gid));
        }
        if !self.is_without(Attribute::Mtime) {
            add(format_args!(" time={}", metadata.mtime.seconds));
            if !self.is_without(Attribute::Nanoseconds) {
                add(format_args!(".{:09}", metadata.mtime.nanoseconds));
            }
        }
        match listed {
            Listed::Directory | Listed::Special(Special::Fifo) => {}
            Listed::File { size, content } => add(format_args!(" size={size} content={content}")),
            Listed::Symlink { target } => add(format_args!(" target={}", Escaped(target))),
            Listed::Special(Special::CharacterDevice(number) | Special::BlockDevice(number)) => {
                add(format_args!(" device={},{}", number.major, number.minor));
            }
        }
        if !self.is_without(Attribute::Xattrs) {
            for xattr in metadata.sorted_xattrs() {
                add(format_args!(" {}={}", Escaped(&xattr.name), Escaped(&xattr.value)));
            }
        }
    }
}

fn place(path: &EntryPath) -> String {
    if path.is_root() { ".".to_owned() } else { format!("./{}", Escaped(path.as_bytes())) }
}

/// Bytes in the characters that stand for themselves, and the others escaped.
struct Escaped<'b>(&'b [u8]);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for &byte in self.0 {
            match byte {
                b'\\' | b'=' => write!(f, "\\x{byte:02x}")?,
                b'!'..=b'~' => f.write_char(char::from(byte))?,
                _ => write!(f, "\\x{byte:02x}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{DeviceNumber, Timestamp, Xattr};

    fn path(name: &[u8]) -> EntryPath {
        EntryPath::clean(name).expect("a safe name")
    }

    #[test]
    fn every_kind_has_its_line_and_every_attribute_can_be_left_out() {
        let content = Digest::of(Algorithm::Sha256, b"hello\n");
        let xattr = |name: &[u8], value: &[u8]| Xattr { name: name.into(), value: value.into() };
        let metadata = Metadata {
            mode: 0o4755,
            uid: 1,
            gid: 2,
            mtime: Timestamp { seconds: -1, nanoseconds: 500_000_000 },
            xattrs: vec![xattr(b"user.b", b"\0 ="), xattr(b"user.a", b"")],
        };
        let device = Listed::Special(Special::CharacterDevice(DeviceNumber { major: 1, minor: 3 }));
        let file = Listed::File { size: 6, content: &content };
        let rest = format!("size=6 content={content}");
        let (name, odd) = (path(b"a"), path(b"a b/\\=\xff\n"));
        for (without, path, listed, first, line) in [
            (&[][..], &odd, Listed::Directory, None, r"./a\x20b/\x5c\x3d\xff\x0a type=directory mode=4755 uid=1 gid=2 time=-1.500000000 user.a= user.b=\x00\x20\x3d".to_owned()),
            (&[Attribute::Xattrs], &name, file, None, format!("./a type=file mode=4755 uid=1 gid=2 time=-1.500000000 {rest}")),
            (&[Attribute::Xattrs, Attribute::Owner], &name, file, None, format!("./a type=file mode=4755 time=-1.500000000 {rest}")),
            (&[Attribute::Xattrs, Attribute::Nanoseconds, Attribute::Mode], &name, file, None, format!("./a type=file uid=1 gid=2 time=-1 {rest}")),
            (&[Attribute::Xattrs, Attribute::Mtime], &name, device, None, "./a type=character-device mode=4755 uid=1 gid=2 device=1,3".to_owned()),
            (&[Attribute::Xattrs], &name, Listed::Symlink { target: b"/x y" }, None, r"./a type=symlink uid=1 gid=2 time=-1.500000000 target=/x\x20y".to_owned()),
            (&[], &name, file, Some(&odd), r"./a type=file hard-link=./a\x20b/\x5c\x3d\xff\x0a".to_owned()),
        ] {
            let mut listing = Listing::new(without.iter().copied());
            assert_eq!(listing.add(path, listed, &metadata, first), Some(line.clone()));
            let all = Digest::of(Algorithm::Sha256, format!("{line}\n").as_bytes());
            assert_eq!(listing.finish(), all);
        }
        assert_eq!(Listing::new([Attribute::Devices]).add(&name, device, &metadata, None), None);
        for attribute in Attribute::ALL {
            assert_eq!(attribute.name().parse(), Ok(attribute));
        }
        assert!("size".parse::<Attribute>().is_err());
    }
}
