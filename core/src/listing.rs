//! The canonical listing of a tree, by which the same image on different hosts is compared.
//!
//! One line a path, in byte order of full paths and the root first, of fields that are joined by one
//! space each and always come in this order; those that do not concern a path are absent:
//!
//! ```text
//! KIND PATH mode=OCTAL uid=N gid=N size=N mtime=S.NNNNNNNNN content=DIGEST target=NAME link=PATH
//!           device=MAJOR:MINOR xattr:NAME=HEX...
//! ```
//!
//! KIND is `directory`, `file`, `symlink`, `fifo`, `character-device` or `block-device`. PATH begins
//! with a slash. In names every byte but the printable ASCII ones is `\xHH`, and so are space,
//! backslash, `=` and `:`: any bytes give one line, and different trees different lines. A further
//! name of a file has `link`, the first name of the same file, and nothing else. The digest of a
//! listing is the SHA-256 of its lines, each with a line feed.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::str::FromStr;

use crate::digest::{Algorithm, Digest, Hasher};
use crate::entry::{EntryPath, Metadata};
use crate::error::{Class, Explain};
use crate::fs::Special;
use crate::memory::{Kind, Walked};

/// What can be left out of a listing, because a host cannot hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Attribute {
    /// Permission bits; with setuid, setgid and sticky.
    Mode,
    /// Numeric user and group.
    Owner,
    /// The time of modification.
    ModificationTime,
    /// Of that time, what is below a second.
    Nanoseconds,
    /// Extended attributes.
    Xattrs,
    /// Devices and FIFOs, with all their names.
    Specials,
    /// That several names are of one file: each is listed for itself.
    HardLinks,
}

impl Attribute {
    /// Every attribute, in the order of the fields.
    pub const ALL: [Self; 7] = [
        Self::Mode,
        Self::Owner,
        Self::ModificationTime,
        Self::Nanoseconds,
        Self::Xattrs,
        Self::Specials,
        Self::HardLinks,
    ];

    /// Returns the name that options use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mode => "mode",
            Self::Owner => "owner",
            Self::ModificationTime => "mtime",
            Self::Nanoseconds => "nanoseconds",
            Self::Xattrs => "xattrs",
            Self::Specials => "devices",
            Self::HardLinks => "hard-links",
        }
    }
}

impl FromStr for Attribute {
    type Err = AttributeError;

    fn from_str(text: &str) -> Result<Self, AttributeError> {
        Self::ALL.into_iter().find(|attribute| attribute.name() == text).ok_or_else(|| AttributeError(text.to_owned()))
    }
}

/// A name that is no attribute's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a listing has no attribute \"{}\"", .0.escape_debug())]
pub struct AttributeError(String);

impl Explain for AttributeError {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn code(&self) -> &'static str {
        "unknown-attribute"
    }
}

/// Makes the lines of a tree, one after another, and their digest.
///
/// ```
/// use oci_fetcher_core::listing::{Listed, Listing, What};
/// use oci_fetcher_core::entry::{EntryPath, Metadata};
///
/// let mut listing = Listing::default();
/// let (root, metadata) = (EntryPath::root(), Metadata::IMPLIED);
/// let line = listing.add(&Listed { path: &root, what: What::Directory, metadata: &metadata });
/// assert_eq!(line.as_deref(), Some("directory / mode=0755 uid=0 gid=0 mtime=0.000000000"));
/// assert!(listing.finish().as_str().starts_with("sha256:"));
/// ```
#[derive(Clone, Debug)]
pub struct Listing {
    without: BTreeSet<Attribute>,
    hasher: Hasher,
}

/// What stands at a path, as a listing has it.
#[derive(Clone, Copy, Debug)]
pub struct Listed<'l> {
    /// The path.
    pub path: &'l EntryPath,
    /// What stands there.
    pub what: What<'l>,
    /// Mode, owner, time and extended attributes.
    pub metadata: &'l Metadata,
}

/// The kinds of what is listed.
#[derive(Clone, Copy, Debug)]
pub enum What<'l> {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// Bytes, holes included.
        size: u64,
        /// What they hash to.
        content: &'l Digest,
    },
    /// A symbolic link. Its mode is not listed: no file system says the same.
    Symlink {
        /// The target, byte for byte.
        target: &'l [u8],
    },
    /// A FIFO or device.
    Special(Special),
    /// A further name of what was listed before.
    HardLink {
        /// What that is: whatever it is, its own kind never is this one.
        of: &'l Self,
        /// The first name.
        first: &'l EntryPath,
    },
}

impl<'l> What<'l> {
    /// Says what a walk has found; `content` is the digest of a regular file, and asked for only then.
    ///
    /// # Errors
    /// Those of `content`.
    pub fn found<E>(walked: &Walked<'l>, content: impl FnOnce() -> Result<&'l Digest, E>) -> Result<Self, E> {
        Ok(match walked.stat.kind {
            Kind::Directory => Self::Directory,
            Kind::File(file) => Self::File { size: file.size, content: content()? },
            Kind::Symlink { target } => Self::Symlink { target },
            Kind::Special(special) => Self::Special(special),
        })
    }
}

impl Default for Listing {
    fn default() -> Self {
        Self::without([])
    }
}

impl Listing {
    /// Starts a listing that leaves attributes out.
    #[must_use]
    pub fn without(attributes: impl IntoIterator<Item = Attribute>) -> Self {
        Self { without: attributes.into_iter().collect(), hasher: Hasher::new(Algorithm::Sha256) }
    }

    /// Adds a path, which follows the one before in byte order; returns its line, or `None` where it
    /// is of a kind that is left out.
    pub fn add(&mut self, listed: &Listed<'_>) -> Option<String> {
        let line = self.line(listed)?;
        self.hasher.update(line.as_bytes());
        self.hasher.update(b"\n");
        Some(line)
    }

    /// Returns the digest of all lines.
    #[must_use]
    pub fn finish(self) -> Digest {
        self.hasher.finish()
    }

    fn line(&self, listed: &Listed<'_>) -> Option<String> {
        let Listed { path, metadata, .. } = listed;
        let (what, first) = match listed.what {
            What::HardLink { of, first } if self.has(Attribute::HardLinks) => (*of, Some(first)),
            What::HardLink { of, .. } => (*of, None),
            what @ (What::Directory | What::File { .. } | What::Symlink { .. } | What::Special(_)) => (what, None),
        };
        let kind = match what {
            What::Directory => "directory",
            What::File { .. } => "file",
            What::Symlink { .. } => "symlink",
            What::HardLink { .. } => return None,
            What::Special(_) if !self.has(Attribute::Specials) => return None,
            What::Special(Special::Fifo) => "fifo",
            What::Special(Special::CharacterDevice(_)) => "character-device",
            What::Special(Special::BlockDevice(_)) => "block-device",
        };
        let mut line = format!("{kind} /{}", Escaped(path.as_bytes()));
        if let Some(first) = first {
            field(&mut line, format_args!("link=/{}", Escaped(first.as_bytes())));
            return Some(line);
        }
        if self.has(Attribute::Mode) && !matches!(what, What::Symlink { .. }) {
            field(&mut line, format_args!("mode={:04o}", metadata.mode));
        }
        if self.has(Attribute::Owner) {
            field(&mut line, format_args!("uid={} gid={}", metadata.uid, metadata.gid));
        }
        if let What::File { size, .. } = what {
            field(&mut line, format_args!("size={size}"));
        }
        if self.has(Attribute::ModificationTime) {
            field(&mut line, format_args!("mtime={}", metadata.mtime.seconds));
            if self.has(Attribute::Nanoseconds) {
                // Counts forward also before 1970, as file systems have it.
                write(&mut line, format_args!(".{:09}", metadata.mtime.nanoseconds));
            }
        }
        match what {
            What::File { content, .. } => field(&mut line, format_args!("content={content}")),
            What::Symlink { target } => field(&mut line, format_args!("target={}", Escaped(target))),
            What::Special(Special::CharacterDevice(device) | Special::BlockDevice(device)) => {
                field(&mut line, format_args!("device={}:{}", device.major, device.minor));
            }
            What::Directory | What::Special(Special::Fifo) | What::HardLink { .. } => {}
        }
        if self.has(Attribute::Xattrs) {
            for xattr in metadata.sorted_xattrs() {
                field(&mut line, format_args!("xattr:{}=", Escaped(&xattr.name)));
                for byte in &xattr.value {
                    write(&mut line, format_args!("{byte:02x}"));
                }
            }
        }
        Some(line)
    }

    fn has(&self, attribute: Attribute) -> bool {
        !self.without.contains(&attribute)
    }
}

fn field(line: &mut String, text: std::fmt::Arguments<'_>) {
    line.push(' ');
    write(line, text);
}

fn write(line: &mut String, text: std::fmt::Arguments<'_>) {
    line.write_fmt(text).expect("memory takes every text");
}

struct Escaped<'n>(&'n [u8]);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for &byte in self.0 {
            match byte {
                b'\\' | b'=' | b':' | ..=b' ' | 0x7f.. => write!(f, "\\x{byte:02x}")?,
                _ => f.write_char(byte.into())?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::entry::{DeviceNumber, Timestamp, Xattr};

    fn path(text: &[u8]) -> EntryPath {
        EntryPath::clean(text).expect("a safe path")
    }

    fn metadata() -> Metadata {
        let xattr = |name: &[u8], value: &[u8]| Xattr { name: name.into(), value: value.into() };
        Metadata {
            mode: 0o4755,
            uid: 1,
            gid: 2,
            mtime: Timestamp { seconds: -1, nanoseconds: 5 },
            xattrs: vec![xattr(b"user.b", b"\x00\xff"), xattr(b"user.a=", b"")],
        }
    }

    fn line(what: What<'_>, without: &[Attribute]) -> Option<String> {
        let (path, metadata) = (path(b"a b\\\n\xff"), metadata());
        Listing::without(without.iter().copied()).add(&Listed { path: &path, what, metadata: &metadata })
    }

    #[test]
    fn every_kind_has_its_line() {
        let content = Digest::of(Algorithm::Sha256, b"");
        let device = DeviceNumber { major: 8, minor: 1 };
        let first = path(b"first name");
        let file = What::File { size: 7, content: &content };
        let rest = "uid=1 gid=2 mtime=-1.000000005";
        let xattrs = r"xattr:user.a\x3d= xattr:user.b=00ff";
        for (what, expected) in [
            (What::Directory, format!(r"directory /a\x20b\x5c\x0a\xff mode=4755 {rest} {xattrs}")),
            (
                file,
                format!(
                    r"file /a\x20b\x5c\x0a\xff mode=4755 uid=1 gid=2 size=7 mtime=-1.000000005 content={content} {xattrs}"
                ),
            ),
            (
                What::Symlink { target: b"x=y:z" },
                format!(r"symlink /a\x20b\x5c\x0a\xff {rest} target=x\x3dy\x3az {xattrs}"),
            ),
            (What::Special(Special::Fifo), format!(r"fifo /a\x20b\x5c\x0a\xff mode=4755 {rest} {xattrs}")),
            (
                What::Special(Special::BlockDevice(device)),
                format!(r"block-device /a\x20b\x5c\x0a\xff mode=4755 {rest} device=8:1 {xattrs}"),
            ),
            (What::HardLink { of: &file, first: &first }, r"file /a\x20b\x5c\x0a\xff link=/first\x20name".to_owned()),
        ] {
            assert_eq!(line(what, &[]).as_deref(), Some(expected.as_str()));
        }
    }

    #[test]
    fn what_a_host_cannot_hold_is_left_out() {
        let first = path(b"f");
        let fifo = What::Special(Special::Fifo);
        assert_eq!(line(fifo, &[Attribute::Specials]), None);
        assert_eq!(line(What::HardLink { of: &fifo, first: &first }, &[Attribute::Specials]), None);
        assert_eq!(line(What::Directory, &Attribute::ALL).as_deref(), Some(r"directory /a\x20b\x5c\x0a\xff"));
        let seconds = line(What::Directory, &[Attribute::Nanoseconds]).expect("a line");
        assert!(seconds.contains(" mtime=-1 "), "{seconds}");
        let linked = line(What::HardLink { of: &What::Directory, first: &first }, &[Attribute::HardLinks]);
        assert_eq!(linked, line(What::Directory, &[]));
        for attribute in Attribute::ALL {
            assert_eq!(attribute.name().parse(), Ok(attribute));
        }
        assert_eq!("inode".parse::<Attribute>().expect_err("unknown").code(), "unknown-attribute");
    }

    /// Names cannot pretend to be fields, or one another.
    #[test]
    fn different_names_have_different_lines() {
        let mut lines = BTreeSet::new();
        let metadata = Metadata::IMPLIED;
        let names: Vec<Vec<u8>> =
            (1..=255).filter(|&byte| byte != b'/' && byte != b'.').map(|byte| vec![byte]).collect();
        let tricky = [r"\x20", r"a\x0a", "a\n", "a mode=0755", r"a\x20mode\x3d0755"];
        for name in names.into_iter().chain(tricky.map(|name| name.as_bytes().to_vec())) {
            let path = path(&name);
            let line = Listing::default().add(&Listed { path: &path, what: What::Directory, metadata: &metadata });
            let line = line.expect("a directory");
            assert!(line.bytes().all(|byte| (b' '..0x7f).contains(&byte)), "{line}");
            assert_eq!(line.split(' ').count(), 6, "{line}");
            assert!(lines.insert(line), "{name:?}");
        }
    }
}
