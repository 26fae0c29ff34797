//! From entries to a deterministic pax tar: the inverse of the reader.
//!
//! A ustar header wherever everything fits; pax records only for what does not: long names, large
//! numbers, times before 1970 or below a second, extended attributes (as `SCHILY.xattr.*`). The same
//! entry gives the same bytes. Whiteouts are written as the empty files that layers hold.
//!
//! Deviations from POSIX: names that fit a ustar header stand there byte for byte, in whatever
//! encoding; those that do not, and are not UTF-8, carry `hdrcharset=BINARY`. In the name of an
//! extended attribute `=` becomes `%3D`, as GNU tar writes it, since a pax key cannot hold it.

use tar::{EntryType, Header};

use super::header::{BLOCK, padding as padding_len};
use crate::entry::{EntryKind, EntryPath, Metadata, OPAQUE, PREFIX, Timestamp, Xattr};

/// Appends an entry's header to `out`, with the pax header that it needs. A file's content, all
/// `size` bytes with holes as zeros, must follow, then its [`padding`].
///
/// ```
/// use oci_fetcher_core::entry::{EntryKind, EntryPath, Metadata};
/// use oci_fetcher_core::tar::write;
///
/// let mut tar = Vec::new();
/// write::header(&EntryPath::clean(b"etc")?, &EntryKind::Directory, &Metadata::IMPLIED, &mut tar);
/// write::trailer(&mut tar);
/// assert!(tar.starts_with(b"etc/\0") && tar.len() == 3 * 512);
/// # Ok::<(), oci_fetcher_core::entry::PathError>(())
/// ```
///
/// # Panics
/// If `kind` is a whiteout and `path` the root, which nothing can hide.
pub fn header(path: &EntryPath, kind: &EntryKind, metadata: &Metadata, out: &mut Vec<u8>) {
    let mut header = Header::new_ustar();
    let mut records = Records::default();
    records.name(&mut header, &name(path, kind));
    let (flag, size) = match kind {
        EntryKind::File { size } => (EntryType::Regular, *size),
        EntryKind::Whiteout | EntryKind::Opaque => (EntryType::Regular, 0),
        EntryKind::Directory => (EntryType::Directory, 0),
        EntryKind::Fifo => (EntryType::Fifo, 0),
        EntryKind::Symlink { target } => {
            records.link(&mut header, target);
            (EntryType::Symlink, 0)
        }
        EntryKind::HardLink { target } => {
            records.link(&mut header, target.as_bytes());
            (EntryType::Link, 0)
        }
        EntryKind::CharacterDevice(_) => (EntryType::Char, 0),
        EntryKind::BlockDevice(_) => (EntryType::Block, 0),
    };
    header.set_entry_type(flag);
    header.set_size(records.number("size", size, OCTAL_11));
    header.set_mode(metadata.mode & 0o7777);
    header.set_uid(records.number("uid", metadata.uid.into(), OCTAL_7));
    header.set_gid(records.number("gid", metadata.gid.into(), OCTAL_7));
    header.set_mtime(records.time(metadata.mtime));
    let device = match kind {
        EntryKind::CharacterDevice(device) | EntryKind::BlockDevice(device) => (device.major, device.minor),
        EntryKind::File { .. }
        | EntryKind::Directory
        | EntryKind::Symlink { .. }
        | EntryKind::HardLink { .. }
        | EntryKind::Fifo
        | EntryKind::Whiteout
        | EntryKind::Opaque => (0, 0),
    };
    let ustar = header.as_ustar_mut().expect("it was made as ustar");
    ustar.set_device_major(records.small("SCHILY.devmajor", device.0));
    ustar.set_device_minor(records.small("SCHILY.devminor", device.1));
    records.xattrs(metadata);
    header.set_cksum();
    records.finish(out);
    out.extend_from_slice(header.as_bytes());
}

/// Appends what a file of `size` bytes needs after its content.
pub fn padding(size: u64, out: &mut Vec<u8>) {
    out.extend(std::iter::repeat_n(0, usize::try_from(padding_len(size)).expect("less than a block")));
}

/// Appends the end of the archive.
pub fn trailer(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0; 2 * BLOCK]);
}

/// Returns the name that stands in the archive.
fn name(path: &EntryPath, kind: &EntryKind) -> Vec<u8> {
    match kind {
        EntryKind::Directory if path.is_root() => b"./".to_vec(),
        EntryKind::Directory => [path.as_bytes(), b"/"].concat(),
        EntryKind::Opaque if path.is_root() => OPAQUE.to_vec(),
        EntryKind::Opaque => [path.as_bytes(), OPAQUE].join(&b'/'),
        EntryKind::Whiteout => {
            let (directory, name) = path.split_last().expect("a whiteout names something in the root");
            let mark = [PREFIX, name].concat();
            if directory.is_root() { mark } else { [directory.as_bytes(), &mark].join(&b'/') }
        }
        EntryKind::File { .. }
        | EntryKind::Symlink { .. }
        | EntryKind::HardLink { .. }
        | EntryKind::Fifo
        | EntryKind::CharacterDevice(_)
        | EntryKind::BlockDevice(_) => path.as_bytes().to_vec(),
    }
}

/// The largest numbers that ustar's fields hold.
const OCTAL_7: u64 = 0o7_777_777;
const OCTAL_11: u64 = 0o77_777_777_777;

/// What does not fit a ustar header.
#[derive(Default)]
struct Records {
    bytes: Vec<u8>,
    binary: bool,
}

impl Records {
    fn name(&mut self, header: &mut Header, name: &[u8]) {
        let ustar = header.as_ustar_mut().expect("it was made as ustar");
        if put(&mut ustar.name, name) {
            return;
        }
        // The longest name that fits leaves the shortest prefix.
        let earliest = name.len().saturating_sub(ustar.name.len() + 1);
        let slash = (earliest..name.len() - 1).find(|&at| name[at] == b'/');
        match slash.map(|slash| (&name[..slash], &name[slash + 1..])) {
            Some((prefix, rest)) if !prefix.is_empty() && prefix.len() <= ustar.prefix.len() => {
                put(&mut ustar.prefix, prefix);
                put(&mut ustar.name, rest);
            }
            Some(_) | None => self.text("path", name, &mut header.as_old_mut().name),
        }
    }

    fn link(&mut self, header: &mut Header, target: &[u8]) {
        let field = &mut header.as_old_mut().linkname;
        if !put(field, target) {
            self.text("linkpath", target, field);
        }
    }

    /// Records a name, of which the header's field holds the start for readers of ustar alone.
    fn text(&mut self, key: &str, name: &[u8], field: &mut [u8; 100]) {
        let (start, _) = name.split_at(field.len());
        field.copy_from_slice(start);
        self.binary |= std::str::from_utf8(name).is_err();
        self.push(key.as_bytes(), name);
    }

    /// Records a number over `most`, and returns what the header's field holds.
    fn number(&mut self, key: &str, value: u64, most: u64) -> u64 {
        if value <= most {
            return value;
        }
        self.push(key.as_bytes(), value.to_string().as_bytes());
        0
    }

    fn small(&mut self, key: &str, value: u32) -> u32 {
        let value = self.number(key, value.into(), OCTAL_7);
        u32::try_from(value).expect("it came from 32 bits")
    }

    fn time(&mut self, time: Timestamp) -> u64 {
        let seconds = u64::try_from(time.seconds).ok().filter(|&seconds| seconds <= OCTAL_11);
        if let (Some(seconds), 0) = (seconds, time.nanoseconds) {
            return seconds;
        }
        self.push(b"mtime", decimal(time).as_bytes());
        seconds.unwrap_or(0)
    }

    fn xattrs(&mut self, metadata: &Metadata) {
        for Xattr { name, value } in metadata.sorted_xattrs() {
            let mut key = b"SCHILY.xattr.".to_vec();
            for &byte in name {
                match byte {
                    b'=' => key.extend_from_slice(b"%3D"),
                    _ => key.push(byte),
                }
            }
            self.push(&key, value);
        }
    }

    fn push(&mut self, key: &[u8], value: &[u8]) {
        record(key, value, &mut self.bytes);
    }

    /// Appends the pax header, if there is anything for it.
    fn finish(self, out: &mut Vec<u8>) {
        if self.bytes.is_empty() {
            return;
        }
        let mut content = Vec::new();
        if self.binary {
            record(b"hdrcharset", b"BINARY", &mut content);
        }
        content.extend_from_slice(&self.bytes);
        let mut header = Header::new_ustar();
        put(&mut header.as_old_mut().name, b"././@PaxHeader");
        header.set_entry_type(EntryType::XHeader);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(content.len() as u64);
        header.set_cksum();
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(&content);
        padding(content.len() as u64, out);
    }
}

/// Fills a field from its start, if the text fits.
fn put(field: &mut [u8], text: &[u8]) -> bool {
    match field.get_mut(..text.len()) {
        Some(start) => {
            start.copy_from_slice(text);
            true
        }
        None => false,
    }
}

/// Appends `LEN KEY=VALUE\n`, where LEN counts its own digits.
fn record(key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    let rest = key.len() + value.len() + 3;
    let mut len = rest + 1;
    while len != rest + len.to_string().len() {
        len = rest + len.to_string().len();
    }
    out.extend_from_slice(len.to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// Writes seconds with a fraction that counts away from zero, as pax has it.
fn decimal(time: Timestamp) -> String {
    let nanoseconds = i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanoseconds);
    let (sign, nanoseconds) = (if nanoseconds < 0 { "-" } else { "" }, nanoseconds.unsigned_abs());
    let (seconds, fraction) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
    if fraction == 0 {
        return format!("{sign}{seconds}");
    }
    let fraction = format!("{fraction:09}");
    format!("{sign}{seconds}.{}", fraction.trim_end_matches('0'))
}
