//! The reader against archives made by hand, by itself and by other programs.

mod accepted;
mod mutated;
mod producers;
mod refused;
mod round_trip;

use super::header::{BLOCK, Checked, padding};
use super::{TarError, TarEvent, TarReader, TarSummary};
use crate::entry::{Entry, EntryKind, Metadata};
use crate::limits::Limits;
use crate::report::What;

/// What an archive was read as: a line an event, adjacent data joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    lines: Vec<String>,
    entries: Vec<Entry>,
    summary: Option<TarSummary>,
}

/// Reads an archive that comes in `parts`.
fn read<'a>(limits: &Limits, parts: impl IntoIterator<Item = &'a [u8]>) -> Result<Seen, TarError> {
    let mut reader = TarReader::new(limits);
    let mut seen = Seen::default();
    let mut data: Option<(u64, Vec<u8>)> = None;
    for mut input in parts {
        loop {
            let before = input;
            let event = reader.step(&mut input)?;
            if let TarEvent::Data { offset, len } = event {
                assert!(len > 0);
                assert_eq!(before.len() - input.len(), len, "only the content was consumed");
                match &mut data {
                    Some((start, bytes)) if *start + bytes.len() as u64 == offset => bytes.extend(&before[..len]),
                    _ => {
                        seen.lines.extend(data.take().map(|data| line(&data)));
                        data = Some((offset, before[..len].to_vec()));
                    }
                }
                continue;
            }
            match event {
                TarEvent::NeedInput => {
                    assert!(input.is_empty());
                    break;
                }
                TarEvent::Data { .. } => unreachable!("it was handled above"),
                TarEvent::FileEnd => {
                    seen.lines.extend(data.take().map(|data| line(&data)));
                    seen.lines.push("end".into());
                }
                TarEvent::Skipped(skipped) => {
                    let name = if let What::Xattr { name } = &skipped.what {
                        name.escape_ascii().to_string()
                    } else {
                        String::new()
                    };
                    seen.lines.push(format!("skip {} {name} {}", skipped.path, skipped.what.name()));
                }
                TarEvent::Entry(entry) => {
                    seen.lines.push(show(&entry));
                    seen.entries.push(entry);
                }
            }
        }
    }
    seen.summary = Some(reader.finish()?);
    Ok(seen)
}

fn line((offset, bytes): &(u64, Vec<u8>)) -> String {
    format!("{offset}+{}", bytes.escape_ascii())
}

fn show(entry: &Entry) -> String {
    let path = &entry.path;
    match &entry.kind {
        EntryKind::File { size } => format!("file {path} {size}"),
        EntryKind::Directory => format!("dir {path}"),
        EntryKind::Symlink { target } => format!("sym {path} -> {}", target.escape_ascii()),
        EntryKind::HardLink { target } => format!("hard {path} -> {target}"),
        EntryKind::Fifo => format!("fifo {path}"),
        EntryKind::CharacterDevice(device) => format!("char {path} {}:{}", device.major, device.minor),
        EntryKind::BlockDevice(device) => format!("block {path} {}:{}", device.major, device.minor),
        EntryKind::Whiteout => format!("white {path}"),
        EntryKind::Opaque => format!("opaque {path}"),
    }
}

/// Reads an archive whole, in two parts at each place, and byte by byte: always the same.
fn read_each_way(name: &str, limits: &Limits, tar: &[u8]) -> Result<Seen, TarError> {
    let whole = read(limits, [tar]);
    for at in 0..=tar.len() {
        assert_eq!(read(limits, [&tar[..at], &tar[at..]]), whole, "{name}, split at {at}");
    }
    assert_eq!(read(limits, tar.chunks(1)), whole, "{name}, byte by byte");
    assert_eq!(read(limits, tar.chunks(BLOCK - 1)), whole, "{name}, in odd chunks");
    whole
}

/// Makes a header of the GNU-free kind, with a right checksum.
fn header(flag: u8, name: &str, size: u64) -> [u8; BLOCK] {
    let mut header = tar::Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_old_mut().linkflag[0] = flag;
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    *header.as_bytes()
}

/// Puts bytes into a header and corrects its checksum.
fn with(header: [u8; BLOCK], at: usize, bytes: &[u8]) -> [u8; BLOCK] {
    let mut edited = tar::Header::new_old();
    edited.as_mut_bytes().copy_from_slice(&header);
    edited.as_mut_bytes()[at..at + bytes.len()].copy_from_slice(bytes);
    edited.set_cksum();
    *edited.as_bytes()
}

/// Offsets of header fields.
const NAME: usize = 0;
const UID: usize = 108;
const GID: usize = 116;
const SIZE: usize = 124;
const MTIME: usize = 136;
const CHECKSUM: usize = 148;
const LINK: usize = 157;
const MAGIC: usize = 257;
const MAJOR: usize = 329;
const MINOR: usize = 337;
const PREFIX: usize = 345;
const GNU_SPARSE: usize = 386;
const GNU_EXTENDED: usize = 482;
const GNU_SIZE: usize = 483;
const GNU_MAGIC: &[u8] = b"ustar  \0";

fn link(flag: u8, name: &str, target: &str) -> [u8; BLOCK] {
    with(header(flag, name, 0), LINK, target.as_bytes())
}

/// Pads content to whole blocks.
fn padded(content: &[u8]) -> Vec<u8> {
    let mut padded = content.to_vec();
    padded.resize(content.len() + usize::try_from(padding(content.len() as u64)).expect("small"), 0);
    padded
}

/// Makes a member with its content.
fn member(flag: u8, name: &str, content: &[u8]) -> Vec<u8> {
    [&header(flag, name, content.len() as u64)[..], &padded(content)].concat()
}

fn file(name: &str, content: &str) -> Vec<u8> {
    member(b'0', name, content.as_bytes())
}

/// Makes a pax header from records without their lengths.
fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let mut content = String::new();
    for (key, value) in records {
        let rest = format!(" {key}={value}\n");
        let digits = (1..).find(|digits| (rest.len() + digits).to_string().len() == *digits).expect("there is one");
        content += &format!("{}{rest}", rest.len() + digits);
    }
    member(b'x', "pax", content.as_bytes())
}

/// Makes the header of an old GNU sparse file: its size, what is stored, extents.
fn gnu_sparse(name: &str, size: &str, stored: u64, extents: &[(u64, u64)], extended: u8) -> [u8; BLOCK] {
    let mut edited = with(header(b'S', name, stored), MAGIC, GNU_MAGIC);
    edited = with(edited, GNU_SIZE, size.as_bytes());
    edited = with(edited, GNU_EXTENDED, &[extended]);
    with(edited, GNU_SPARSE, &gnu_extents(extents))
}

fn gnu_extents(extents: &[(u64, u64)]) -> Vec<u8> {
    extents.iter().flat_map(|(offset, len)| format!("{offset:011o}\0{len:011o}\0").into_bytes()).collect()
}

fn gnu_block(extents: &[(u64, u64)], extended: u8) -> Vec<u8> {
    let mut block = gnu_extents(extents);
    block.resize(504, 0);
    block.push(extended);
    block.resize(BLOCK, 0);
    block
}

const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

fn metadata(tar: &[u8]) -> Metadata {
    let seen = read(&Limits::default(), [tar]).expect("a sound tar");
    seen.entries.into_iter().next().expect("an entry").metadata
}
