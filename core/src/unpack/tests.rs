//! Layers in, listings out. A line of a layer is a kind, a path and what the kind needs:
//!
//! ```text
//! d PATH [MODE]     directory, 755 if not said      f PATH [CONTENT]  regular file
//! l PATH TARGET     symlink                         h PATH TARGET     hard link
//! p PATH            FIFO                            c PATH            character device
//! w PATH            whiteout of PATH                o PATH            opaque mark in PATH
//! ```
//!
//! A listing has the same lines, in byte order of paths; an error is `!` and its code.

mod limits;
mod property;
mod scale;
mod scenarios;
mod selection;

use super::*;
use crate::entry::{DeviceNumber, EntryPath, Timestamp};
use crate::fs::Special;
use crate::memory::{Kind, MemoryFs};

/// Makes the entry of a line, and the content if it is a file.
fn entry(line: &str) -> (Entry, &[u8]) {
    let mut words = line.split(' ');
    let (Some(letter), Some(path)) = (words.next(), words.next()) else { panic!("not an entry: {line:?}") };
    let rest = words.next().unwrap_or_default();
    let mut metadata =
        Metadata { mode: 0o644, uid: 7, mtime: Timestamp { seconds: 9, nanoseconds: 5 }, ..Metadata::IMPLIED };
    let kind = match letter {
        "d" => {
            metadata = Metadata { mode: if rest.is_empty() { 0o755 } else { octal(rest) }, ..Metadata::IMPLIED };
            EntryKind::Directory
        }
        "f" => EntryKind::File { size: rest.len() as u64 },
        "l" => EntryKind::Symlink { target: rest.as_bytes().into() },
        "h" => EntryKind::HardLink { target: clean(rest) },
        "p" => EntryKind::Fifo,
        "c" => EntryKind::CharacterDevice(DeviceNumber { major: 1, minor: 3 }),
        "w" => EntryKind::Whiteout,
        "o" => EntryKind::Opaque,
        _ => panic!("not an entry: {line:?}"),
    };
    (Entry { path: clean(path), kind, metadata }, rest.as_bytes())
}

fn clean(path: &str) -> EntryPath {
    EntryPath::clean(path.as_bytes()).expect("a safe path")
}

fn octal(mode: &str) -> u32 {
    u32::from_str_radix(mode, 8).expect("an octal mode")
}

/// Applies a line as a decoder would.
fn apply<F: FileSystem>(unpacker: &mut Unpacker<F>, line: &str) -> Result<(), UnpackError<F::Error>> {
    let (entry, content) = entry(line);
    let is_file = matches!(entry.kind, EntryKind::File { .. });
    unpacker.op(Op::Entry(entry))?;
    if is_file {
        if !content.is_empty() {
            unpacker.op(Op::Data { offset: 0, bytes: content })?;
        }
        unpacker.op(Op::FileEnd)?;
    }
    Ok(())
}

/// Applies layers to a file system, and to an empty one again if need be.
fn unpack<F: FileSystem>(
    make: impl Fn() -> F,
    layers: &[Vec<String>],
    options: &Options,
) -> Result<Unpacked<F>, UnpackError<F::Error>> {
    let mut options = options.clone();
    for _ in 0..2 {
        let mut unpacker = Unpacker::new(make(), options.clone());
        for layer in layers {
            unpacker.begin_layer();
            for line in layer {
                apply(&mut unpacker, line)?;
            }
        }
        match unpacker.finish()? {
            Outcome::Complete(unpacked) => return Ok(unpacked),
            Outcome::NeedsAnotherPass { selection, .. } => options.selection = selection,
        }
    }
    panic!("a third pass was asked for");
}

fn layers(layers: &[&[&str]]) -> Vec<Vec<String>> {
    layers.iter().map(|layer| layer.iter().map(ToString::to_string).collect()).collect()
}

/// Returns the listing of what layers come to, or the error's code.
fn list(layers: &[Vec<String>], options: &Options) -> Vec<String> {
    match unpack(MemoryFs::default, layers, options) {
        Ok(unpacked) => {
            let lines = listing(&unpacked.fs);
            check_standing(&unpacked.standing, &lines);
            lines
        }
        Err(error) => vec![format!("!{}", error.code())],
    }
}

fn listing(fs: &MemoryFs) -> Vec<String> {
    let mut lines = Vec::new();
    for walked in fs.walk() {
        let path = String::from_utf8_lossy(walked.path.as_bytes()).into_owned();
        let line = match (walked.hard_link_to, walked.stat.kind) {
            (Some(first), _) => format!("h {path} {}", String::from_utf8_lossy(first.as_bytes())),
            (None, Kind::Directory) => match walked.stat.metadata.mode {
                0o755 if path.is_empty() => continue,
                0o755 => format!("d {path}"),
                mode => format!("d {} {mode:o}", if path.is_empty() { "." } else { &path }),
            },
            (None, Kind::File(_)) => {
                let content = fs.read(&walked.path).expect("memory never fails").expect("a file");
                assert_eq!(walked.stat.metadata.uid, 7, "{path} kept its owner");
                format!("f {path} {}", String::from_utf8_lossy(&content)).trim_end().to_owned()
            }
            (None, Kind::Symlink { target }) => format!("l {path} {}", String::from_utf8_lossy(target)),
            (None, Kind::Special(Special::Fifo)) => format!("p {path}"),
            (None, Kind::Special(Special::CharacterDevice(_) | Special::BlockDevice(_))) => format!("c {path}"),
        };
        lines.push(line);
    }
    lines
}

/// The tree's count of names must be the file system's; which name of several is the first may differ.
fn check_standing(standing: &Standing, lines: &[String]) {
    let count =
        |letters: &str| lines.iter().filter(|line| letters.contains(&line[..1]) && !line.starts_with("d .")).count();
    assert_eq!(standing.directories, count("d") as u64 + 1, "directories of {lines:?}");
    let others = standing.files + standing.symlinks + standing.specials + standing.hard_links;
    assert_eq!(others, count("flpch") as u64, "names of {lines:?}");
}
