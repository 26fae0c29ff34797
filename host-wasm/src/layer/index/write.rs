//! Writing an index.

use oci_fetcher_core::digest::{Algorithm, Digest};
use oci_fetcher_core::entry::{Entry, EntryKind, EntryPath, Metadata};
use oci_fetcher_core::report::{Reason, Skipped, What};

use super::{MAGIC, VERSION};
use crate::error::Failure;

/// Writes what a decoder makes, in its order.
#[derive(Debug)]
pub(crate) struct IndexWriter {
    bytes: Vec<u8>,
    previous: Vec<u8>,
    file: Option<File>,
    pack: u64,
}

/// A file whose content is coming.
#[derive(Debug)]
struct File {
    entry: Entry,
    /// Where the last run ends.
    end: u64,
    /// The hole before each run, and its length.
    runs: Vec<(u64, u64)>,
}

impl Default for IndexWriter {
    fn default() -> Self {
        let mut bytes = MAGIC.to_vec();
        bytes.push(VERSION);
        Self { bytes, previous: Vec::new(), file: None, pack: 0 }
    }
}

impl IndexWriter {
    /// Writes an entry; a file follows once its end has come.
    pub(crate) fn entry(&mut self, entry: Entry) {
        match entry.kind {
            EntryKind::File { .. } => self.file = Some(File { entry, end: 0, runs: Vec::new() }),
            EntryKind::Directory
            | EntryKind::Symlink { .. }
            | EntryKind::HardLink { .. }
            | EntryKind::Fifo
            | EntryKind::CharacterDevice(_)
            | EntryKind::BlockDevice(_)
            | EntryKind::Whiteout
            | EntryKind::Opaque => self.write(&entry, &[]),
        }
    }

    /// Notes content of the file just named.
    pub(crate) fn data(&mut self, offset: u64, length: u64) {
        let Some(file) = &mut self.file else { return };
        match file.runs.last_mut() {
            Some((_, last)) if file.end == offset => *last += length,
            Some(_) | None => file.runs.push((offset - file.end, length)),
        }
        file.end = offset + length;
        self.pack += length;
    }

    /// Writes the file just named.
    pub(crate) fn file_end(&mut self) {
        if let Some(File { entry, runs, .. }) = self.file.take() {
            self.write(&entry, &runs);
        }
    }

    /// Writes what was left out.
    pub(crate) fn skipped(&mut self, skipped: &Skipped) -> Result<(), Failure> {
        let unknown = || Failure::misuse("the index cannot hold what was skipped");
        self.bytes.push(10);
        self.path(&skipped.path);
        match &skipped.what {
            What::Ownership { uid, gid } => {
                self.bytes.push(0);
                self.number((*uid).into());
                self.number((*gid).into());
            }
            What::SpecialMode { mode } => {
                self.bytes.push(1);
                self.number((*mode).into());
            }
            What::Xattr { name } => {
                self.bytes.push(2);
                self.text(name);
            }
            What::Device => self.bytes.push(3),
            What::Fifo => self.bytes.push(4),
            What::HardLink => self.bytes.push(5),
            What::ModificationTime => self.bytes.push(6),
            What::UnionMark => self.bytes.push(7),
            // Names are judged when layers are merged, and not before.
            What::Name(_) | _ => return Err(unknown()),
        }
        self.bytes.push(match skipped.reason {
            Reason::NotPermitted => 0,
            Reason::NotSupported => 1,
            Reason::Policy => 2,
            Reason::NotPortable | _ => return Err(unknown()),
        });
        Ok(())
    }

    /// Returns how many bytes were written.
    pub(crate) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Writes the end, and returns the whole.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.number(self.pack);
        sign(&mut self.bytes);
        self.bytes
    }

    fn write(&mut self, entry: &Entry, runs: &[(u64, u64)]) {
        self.bytes.push(match entry.kind {
            EntryKind::Directory => 1,
            EntryKind::File { .. } => 2,
            EntryKind::Symlink { .. } => 3,
            EntryKind::HardLink { .. } => 4,
            EntryKind::Fifo => 5,
            EntryKind::CharacterDevice(_) => 6,
            EntryKind::BlockDevice(_) => 7,
            EntryKind::Whiteout => 8,
            EntryKind::Opaque => 9,
        });
        self.path(&entry.path);
        self.metadata(&entry.metadata);
        match &entry.kind {
            EntryKind::File { size } => {
                self.number(*size);
                self.number(runs.len() as u64);
                for &(hole, length) in runs {
                    self.number(hole);
                    self.number(length);
                }
            }
            EntryKind::Symlink { target } => self.text(target),
            EntryKind::HardLink { target } => self.text(target.as_bytes()),
            EntryKind::CharacterDevice(device) | EntryKind::BlockDevice(device) => {
                self.number(device.major.into());
                self.number(device.minor.into());
            }
            EntryKind::Directory | EntryKind::Fifo | EntryKind::Whiteout | EntryKind::Opaque => {}
        }
    }

    fn path(&mut self, path: &EntryPath) {
        let path = path.as_bytes();
        let shared = path.iter().zip(&self.previous).take_while(|(one, other)| one == other).count();
        self.number(shared as u64);
        self.text(&path[shared..]);
        self.previous.truncate(shared);
        self.previous.extend_from_slice(&path[shared..]);
    }

    fn metadata(&mut self, metadata: &Metadata) {
        let Metadata { mode, uid, gid, mtime, xattrs } = metadata;
        for value in [mode, uid, gid] {
            self.number((*value).into());
        }
        // Zigzag: small numbers of either sign are short.
        self.number(((mtime.seconds << 1) ^ (mtime.seconds >> 63)).cast_unsigned());
        self.number(mtime.nanoseconds.into());
        self.number(xattrs.len() as u64);
        for xattr in xattrs {
            self.text(&xattr.name);
            self.text(&xattr.value);
        }
    }

    fn text(&mut self, text: &[u8]) {
        self.number(text.len() as u64);
        self.bytes.extend_from_slice(text);
    }

    fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }
}

/// Appends the digest of all bytes.
pub(super) fn sign(bytes: &mut Vec<u8>) {
    bytes.extend(sum(bytes));
}

/// Returns the bytes of a SHA-256.
pub(super) fn sum(bytes: &[u8]) -> impl Iterator<Item = u8> + use<> {
    let digits = Digest::of(Algorithm::Sha256, bytes).encoded().as_bytes().to_vec();
    let value = |digit: u8| if digit.is_ascii_digit() { digit - b'0' } else { digit - b'a' + 10 };
    (0..digits.len() / 2).map(move |at| value(digits[2 * at]) << 4 | value(digits[2 * at + 1]))
}
