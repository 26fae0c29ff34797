//! What stands at a path: as a case writes it down, as the canonical listing has it, as a disk tells it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use oci_fetcher_core::digest::{Algorithm, Digest};
use oci_fetcher_tests::image::MODIFIED;
use rustix::fs::{lgetxattr, llistxattr};

/// One path of a tree, with all that a listing says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    /// Escaped as in a listing, without the slash at the front.
    pub(crate) path: String,
    pub(crate) what: What,
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
    pub(crate) modified: (i64, u32),
    /// Escaped names, and values in hexadecimal.
    pub(crate) xattrs: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Directory,
    File {
        size: u64,
        content: String,
    },
    Symlink {
        target: String,
    },
    /// `fifo`, or another kind with a device's numbers.
    Special {
        kind: &'static str,
        device: Option<(u32, u32)>,
    },
    HardLink {
        first: String,
    },
}

impl Node {
    /// Reads the lines of a case, and adds the root where no line describes it.
    pub(crate) fn read_tree(lines: Vec<String>) -> Vec<Self> {
        let mut nodes: Vec<Self> = lines.iter().map(|line| Self::read(line)).collect();
        if nodes.iter().all(|node| !node.path.is_empty()) {
            nodes.push(Self::read("D ."));
        }
        sort(&mut nodes);
        nodes
    }

    /// Reads a line: a kind, a path that is escaped as in a listing, and what is not the default.
    ///
    /// ```text
    /// f PATH [MODE] [own=UID:GID] [@SECONDS[.NANOSECONDS]] [x:NAME=HEX] =CONTENT   a file, 644
    /// d PATH ...                       a directory, 755
    /// D PATH                           one that no entry names: 755, 0:0, 1970
    /// l PATH ... ->TARGET              a symbolic link
    /// h PATH FIRST                     a further name of what was listed before
    /// p PATH, c PATH dev=1:3, b PATH   a FIFO, devices
    /// ```
    fn read(line: &str) -> Self {
        let (line, content) = match line.split_once(" =") {
            Some((line, content)) => (line, content),
            None => (line, ""),
        };
        let mut words = line.split(' ');
        let (kind, path) = (words.next().expect("a kind"), words.next().expect("a path"));
        let path = if path == "." { String::new() } else { path.to_owned() };
        let mut node = Self {
            path,
            what: match kind {
                "d" | "D" => What::Directory,
                "f" => What::File { size: content.len() as u64, content: digest(content.as_bytes()) },
                "l" => What::Symlink { target: String::new() },
                "p" => What::Special { kind: "fifo", device: None },
                "c" => What::Special { kind: "character-device", device: Some((0, 0)) },
                "b" => What::Special { kind: "block-device", device: Some((0, 0)) },
                "h" => What::HardLink { first: String::new() },
                _ => panic!("{line}: no such kind"),
            },
            mode: if kind.eq_ignore_ascii_case("d") { 0o755 } else { 0o644 },
            owner: (0, 0),
            modified: if kind == "D" { (0, 0) } else { (MODIFIED, 0) },
            xattrs: BTreeMap::new(),
        };
        for word in words {
            node.word(word).unwrap_or_else(|| panic!("{line}: {word} cannot be read"));
        }
        node
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let pair = |text: &str| {
            let (one, other) = text.split_once(':')?;
            Some((one.parse().ok()?, other.parse().ok()?))
        };
        if let What::HardLink { first } = &mut self.what {
            word.clone_into(first);
        } else if let Some(target) = word.strip_prefix("->") {
            self.what = What::Symlink { target: target.to_owned() };
        } else if let Some(time) = word.strip_prefix('@') {
            let (seconds, fraction) = time.split_once('.').unwrap_or((time, "0"));
            self.modified = (seconds.parse().ok()?, fraction.parse().ok()?);
        } else if let Some(owner) = word.strip_prefix("own=") {
            self.owner = pair(owner)?;
        } else if let Some(number) = word.strip_prefix("dev=") {
            let What::Special { device, .. } = &mut self.what else { return None };
            *device = Some(pair(number)?);
        } else if let Some(xattr) = word.strip_prefix("x:") {
            let (name, value) = xattr.split_once('=')?;
            self.xattrs.insert(name.to_owned(), value.to_owned());
        } else {
            self.mode = u32::from_str_radix(word, 8).ok()?;
        }
        Some(())
    }

    /// Writes the line of the canonical listing.
    pub(crate) fn line(&self) -> String {
        let Self { path, mode, owner: (uid, gid), modified: (seconds, nanoseconds), .. } = self;
        let mode = format!("mode={mode:04o} ");
        let (kind, mode, size, rest) = match &self.what {
            What::HardLink { first } => return format!("file /{path} link=/{first}"),
            What::Directory => ("directory", mode, String::new(), String::new()),
            What::File { size, content } => ("file", mode, format!("size={size} "), format!(" content={content}")),
            What::Symlink { target } => ("symlink", String::new(), String::new(), format!(" target={target}")),
            What::Special { kind, device } => {
                let device = device.map_or_else(String::new, |(major, minor)| format!(" device={major}:{minor}"));
                (*kind, mode, String::new(), device)
            }
        };
        let xattrs: String = self.xattrs.iter().map(|(name, value)| format!(" xattr:{name}={value}")).collect();
        format!("{kind} /{path} {mode}uid={uid} gid={gid} {size}mtime={seconds}.{nanoseconds:09}{rest}{xattrs}")
    }

    /// Says what differs between two trees, by the lines of their listings.
    pub(crate) fn differences(expected: &[String], found: &[String]) -> Option<String> {
        // The kind of a further name is the first one's, which a case does not repeat.
        let plain = |line: &String| match line.split_once(" /") {
            Some((_, rest)) if rest.contains(" link=/") => format!("file /{rest}"),
            _ => line.clone(),
        };
        let (expected, found): (Vec<_>, Vec<_>) =
            (expected.iter().map(plain).collect(), found.iter().map(plain).collect());
        if expected == found {
            return None;
        }
        let only = |these: &[String], others: &[String], sign: &str| -> Vec<String> {
            these.iter().filter(|line| !others.contains(line)).take(20).map(|line| format!("  {sign} {line}")).collect()
        };
        let mut lines = only(&expected, &found, "expected");
        lines.extend(only(&found, &expected, "found   "));
        if lines.is_empty() {
            lines.push("  the same lines in another order".to_owned());
        }
        Some(lines.join("\n"))
    }

    /// Reads what stands on a disk, without the product's help; names in byte order, the root first.
    pub(crate) fn of_disk(root: &Path) -> std::io::Result<Vec<Self>> {
        let mut nodes = Vec::new();
        let mut inodes: Vec<(Vec<u8>, (u64, u64))> = Vec::new();
        // By way of an open directory, since whole paths may be too long for the system.
        let mut pending: Vec<(Rc<Option<File>>, Vec<u8>)> = vec![(Rc::new(None), Vec::new())];
        while let Some((parent, path)) = pending.pop() {
            let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
            let place = match &*parent {
                Some(parent) => {
                    PathBuf::from(format!("/proc/self/fd/{}", parent.as_raw_fd())).join(OsStr::from_bytes(name))
                }
                None => root.to_owned(),
            };
            let stat = fs::symlink_metadata(&place)?;
            if stat.is_dir() {
                let directory = Rc::new(Some(File::open(&place)?));
                for entry in fs::read_dir(&place)? {
                    let name = entry?.file_name().into_vec();
                    let path = if path.is_empty() { name } else { [&path[..], b"/", &name].concat() };
                    pending.push((directory.clone(), path));
                }
            } else if stat.nlink() > 1 {
                inodes.push((path.clone(), (stat.dev(), stat.ino())));
            }
            nodes.push((path.clone(), Self::of_place(&path, &place, &stat)?));
        }
        inodes.sort();
        for (path, node) in &mut nodes {
            let Some((_, inode)) = inodes.iter().find(|(other, _)| other == path) else { continue };
            let (first, _) = inodes.iter().find(|(_, other)| other == inode).expect("it is one of them");
            if first != path {
                node.what = What::HardLink { first: escaped(first) };
            }
        }
        nodes.sort_by(|(left, _), (right, _)| left.cmp(right));
        Ok(nodes.into_iter().map(|(_, node)| node).collect())
    }

    fn of_place(path: &[u8], place: &Path, stat: &fs::Metadata) -> std::io::Result<Self> {
        let kind = stat.file_type();
        let device = || Some((rustix::fs::major(stat.rdev()), rustix::fs::minor(stat.rdev())));
        let what = if kind.is_dir() {
            What::Directory
        } else if kind.is_file() {
            What::File { size: stat.len(), content: digest(&fs::read(place)?) }
        } else if kind.is_symlink() {
            What::Symlink { target: escaped(&fs::read_link(place)?.into_os_string().into_vec()) }
        } else if kind.is_fifo() {
            What::Special { kind: "fifo", device: None }
        } else if kind.is_char_device() {
            What::Special { kind: "character-device", device: device() }
        } else if kind.is_block_device() {
            What::Special { kind: "block-device", device: device() }
        } else {
            What::Special { kind: "socket", device: None }
        };
        let nanoseconds = u32::try_from(stat.mtime_nsec()).expect("below a second");
        Ok(Self {
            path: escaped(path),
            what,
            mode: stat.mode() & 0o7777,
            owner: (stat.uid(), stat.gid()),
            modified: (stat.mtime(), nanoseconds),
            xattrs: xattrs(place)?,
        })
    }
}

/// Reads extended attributes; those of a file system without any are none.
pub(crate) fn xattrs(place: &Path) -> std::io::Result<BTreeMap<String, String>> {
    let mut names = vec![0; 64 << 10];
    let length = match llistxattr(place, &mut names[..]) {
        Err(rustix::io::Errno::NOTSUP) => 0,
        length => length?,
    };
    let mut xattrs = BTreeMap::new();
    let mut value = vec![0; 64 << 10];
    for name in names[..length].split(|&byte| byte == 0).filter(|name| !name.is_empty()) {
        let length = lgetxattr(place, OsStr::from_bytes(name), &mut value[..])?;
        xattrs.insert(escaped(name), value[..length].iter().map(|byte| format!("{byte:02x}")).collect());
    }
    Ok(xattrs)
}

/// Sorts nodes by the bytes of their paths.
pub(crate) fn sort(nodes: &mut [Node]) {
    nodes.sort_by_key(|node| unescaped(&node.path));
}

fn digest(content: &[u8]) -> String {
    Digest::of(Algorithm::Sha256, content).to_string()
}

/// Escapes a name as the canonical listing does.
pub(crate) fn escaped(name: &[u8]) -> String {
    let escape = |&byte: &u8| match byte {
        b'\\' | b'=' | b':' | ..=b' ' | 0x7f.. => format!("\\x{byte:02x}"),
        _ => char::from(byte).to_string(),
    };
    name.iter().map(escape).collect()
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut pieces = text.split("\\x");
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        bytes.push(u8::from_str_radix(&piece[..2], 16).expect("an escaped byte"));
        bytes.extend_from_slice(&piece.as_bytes()[2..]);
    }
    bytes
}
