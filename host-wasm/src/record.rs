//! Records: what stands at one path, in the layout that TypeScript reads (little endian, without
//! padding).

use oci_fetcher_core::digest::Digest;
use oci_fetcher_core::entry::{DeviceNumber, EntryPath, Metadata, Timestamp, Xattr};
use oci_fetcher_core::fs::Special;
use oci_fetcher_core::listing::Listed;
use oci_fetcher_core::memory::{Kind, Stat};

use crate::error::Failure;
use crate::number::{number, size};

/// Appends a record. `path` is the name alone where a directory is read.
pub(crate) fn write(
    path: &[u8],
    stat: &Stat<'_>,
    hard_link_to: Option<&EntryPath>,
    out: &mut Vec<u8>,
) -> Result<(), Failure> {
    let (kind, size, device, target): (u8, u64, _, &[u8]) = match stat.kind {
        Kind::Directory => (0, 0, None, b""),
        Kind::File(content) => (1, content.size, None, b""),
        Kind::Symlink { target } => (2, target.len() as u64, None, target),
        Kind::Special(Special::Fifo) => (3, 0, None, b""),
        Kind::Special(Special::CharacterDevice(device)) => (4, 0, Some(device), b""),
        Kind::Special(Special::BlockDevice(device)) => (5, 0, Some(device), b""),
    };
    let metadata = stat.metadata;
    out.push(kind);
    for value in [metadata.mode, metadata.uid, metadata.gid] {
        out.extend(value.to_le_bytes());
    }
    // Exact for 285 million years, which is what a tar may say and no file system holds.
    out.extend((metadata.mtime.seconds as f64).to_le_bytes());
    out.extend(metadata.mtime.nanoseconds.to_le_bytes());
    out.extend(number(size)?.to_le_bytes());
    let (major, minor) = device.map_or((0, 0), |device| (device.major, device.minor));
    for value in [stat.links, stat.inode.0, major, minor] {
        out.extend(value.to_le_bytes());
    }
    for name in [path, target, hard_link_to.map_or(&b""[..], EntryPath::as_bytes)] {
        text(name, out);
    }
    length(metadata.xattrs.len(), out);
    for xattr in &metadata.xattrs {
        text(&xattr.name, out);
        text(&xattr.value, out);
    }
    Ok(())
}

fn text(text: &[u8], out: &mut Vec<u8>) {
    length(text.len(), out);
    out.extend_from_slice(text);
}

fn length(length: usize, out: &mut Vec<u8>) {
    out.extend(u32::try_from(length).expect("names and attributes are bounded far below").to_le_bytes());
}

/// A record that came back, as far as a listing needs it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record {
    kind: u8,
    pub(crate) path: EntryPath,
    pub(crate) metadata: Metadata,
    size: u64,
    device: DeviceNumber,
    target: Vec<u8>,
    pub(crate) hard_link_to: Option<EntryPath>,
}

impl Record {
    /// Reads one record.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Failure> {
        let mut rest = bytes;
        let [kind] = *take(&mut rest)?;
        let (mode, uid, gid) = (u32_of(&mut rest)?, u32_of(&mut rest)?, u32_of(&mut rest)?);
        let seconds = f64::from_le_bytes(*take(&mut rest)?);
        let mtime = Timestamp { seconds: seconds as i64, nanoseconds: u32_of(&mut rest)? };
        let size = size(f64::from_le_bytes(*take(&mut rest)?))?;
        let (_links, _node) = (u32_of(&mut rest)?, u32_of(&mut rest)?);
        let device = DeviceNumber { major: u32_of(&mut rest)?, minor: u32_of(&mut rest)? };
        let (path, target, first) = (text_of(&mut rest)?, text_of(&mut rest)?, text_of(&mut rest)?);
        let mut xattrs = Vec::new();
        for _ in 0..u32_of(&mut rest)? {
            xattrs.push(Xattr { name: text_of(&mut rest)?.into(), value: text_of(&mut rest)?.into() });
        }
        if !rest.is_empty() {
            return Err(Failure::misuse("there is more after a record's end"));
        }
        let path = if path.is_empty() { EntryPath::root() } else { EntryPath::clean(path)? };
        let hard_link_to = if first.is_empty() { None } else { Some(EntryPath::clean(first)?) };
        let metadata = Metadata { mode, uid, gid, mtime, xattrs };
        Ok(Self { kind, path, metadata, size, device, target: target.to_vec(), hard_link_to })
    }

    /// Says what stands there; a regular file needs the digest of its content.
    pub(crate) fn listed<'r>(&'r self, content: Option<&'r Digest>) -> Result<Listed<'r>, Failure> {
        Ok(match (self.kind, content) {
            (0, _) => Listed::Directory,
            (1, Some(content)) => Listed::File { size: self.size, content },
            (1, None) => return Err(Failure::misuse("a file is listed without the digest of its content")),
            (2, _) => Listed::Symlink { target: &self.target },
            (3, _) => Listed::Special(Special::Fifo),
            (4, _) => Listed::Special(Special::CharacterDevice(self.device)),
            (5, _) => Listed::Special(Special::BlockDevice(self.device)),
            _ => return Err(Failure::misuse("a record is of no known kind")),
        })
    }
}

fn take<'r, const N: usize>(rest: &mut &'r [u8]) -> Result<&'r [u8; N], Failure> {
    let (taken, left) = rest.split_first_chunk().ok_or_else(ends_early)?;
    *rest = left;
    Ok(taken)
}

fn u32_of(rest: &mut &[u8]) -> Result<u32, Failure> {
    Ok(u32::from_le_bytes(*take(rest)?))
}

fn text_of<'r>(rest: &mut &'r [u8]) -> Result<&'r [u8], Failure> {
    let length = usize::try_from(u32_of(rest)?).map_err(|_| ends_early())?;
    let (text, left) = rest.split_at_checked(length).ok_or_else(ends_early)?;
    *rest = left;
    Ok(text)
}

fn ends_early() -> Failure {
    Failure::misuse("a record ends early")
}

#[cfg(test)]
mod tests {
    use oci_fetcher_core::memory::InodeId;

    use super::*;

    fn record() -> Vec<u8> {
        let metadata = Metadata {
            mode: 0o4755,
            uid: 7,
            gid: u32::MAX - 1,
            mtime: Timestamp { seconds: -3, nanoseconds: 4 },
            xattrs: vec![Xattr { name: (*b"user.a").into(), value: (*b"\xff").into() }],
        };
        let kind = Kind::Special(Special::CharacterDevice(DeviceNumber { major: 1, minor: 3 }));
        let stat = Stat { inode: InodeId(9), kind, metadata: &metadata, links: 2 };
        let mut bytes = Vec::new();
        let first = EntryPath::clean(b"dev/a").expect("a safe path");
        write(b"dev/\xfe", &stat, Some(&first), &mut bytes).expect("exact numbers");
        bytes
    }

    #[test]
    fn a_record_comes_back() {
        let read = Record::read(&record()).expect("well-formed");
        assert_eq!((read.kind, read.path.as_bytes(), read.device.minor), (4, &b"dev/\xfe"[..], 3));
        assert_eq!(read.hard_link_to, EntryPath::clean(b"dev/a").ok());
        let Metadata { mode, uid, gid, mtime, xattrs } = read.metadata;
        assert_eq!((mode, uid, gid, mtime.seconds, mtime.nanoseconds), (0o4755, 7, u32::MAX - 1, -3, 4));
        assert_eq!((&*xattrs[0].name, &*xattrs[0].value), (&b"user.a"[..], &b"\xff"[..]));
    }

    #[test]
    fn what_is_no_record_is_refused() {
        let bytes = record();
        for length in 0..bytes.len() {
            assert!(Record::read(&bytes[..length]).is_err(), "{length}");
        }
        assert!(Record::read(&[bytes, vec![0]].concat()).is_err());
    }
}
