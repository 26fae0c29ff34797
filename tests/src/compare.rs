//! Holds two directories on disk against each other, path by path.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use oci_fetcher_core::digest::{Algorithm, Hasher};
use rustix::fs::{lgetxattr, llistxattr};

/// What is compared of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aspect {
    /// Whether it is a file, a directory, a link or something else.
    Kind,
    /// The permission bits, with setuid, setgid and sticky.
    Mode,
    /// The user and group.
    Owner,
    /// The size of a file, in bytes.
    Size,
    /// The modification time, to the nanosecond.
    Modified,
    /// The SHA-256 digest of a file's content.
    Content,
    /// The target of a symbolic link.
    Target,
    /// The other names of a file, within the tree.
    HardLinks,
    /// The numbers of a device.
    Device,
    /// The extended attributes.
    Xattrs,
}

/// One difference between two trees.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// The path from the root, escaped; `.` is the root.
    pub path: String,
    /// What differs: nothing in particular where the path is missing on one side.
    pub aspect: Option<Aspect>,
    /// What stands on the left.
    pub left: String,
    /// What stands on the right.
    pub right: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path)?;
        if let Some(aspect) = self.aspect {
            write!(f, "{} ", aspect.name())?;
        }
        write!(f, "{} | {}", self.left, self.right)
    }
}

/// Compares two trees, except for what it is told to ignore.
///
/// ```
/// use oci_fetcher_tests::compare::{Aspect, Comparison};
///
/// let (left, right) = (tempfile::tempdir()?, tempfile::tempdir()?);
/// std::fs::write(left.path().join("a"), "x")?;
/// std::fs::write(right.path().join("a"), "y")?;
/// let differences = Comparison::new().ignore(Aspect::Modified).compare(left.path(), right.path());
/// assert_eq!(differences.len(), 1);
/// assert!(differences[0].to_string().starts_with("a: content sha256:2d711642"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    ignored: BTreeSet<Aspect>,
    modified_of: BTreeSet<PathBuf>,
    paths: BTreeSet<PathBuf>,
}

impl Comparison {
    /// Ignores nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ignores this aspect of all paths.
    #[must_use]
    pub fn ignore(mut self, aspect: Aspect) -> Self {
        self.ignored.insert(aspect);
        self
    }

    /// Ignores the modification times of these paths; the empty path is the root.
    #[must_use]
    pub fn ignore_modified_of<P: AsRef<Path>>(mut self, paths: impl IntoIterator<Item = P>) -> Self {
        self.modified_of.extend(paths.into_iter().map(|path| path.as_ref().to_owned()));
        self
    }

    /// Ignores these paths and all beneath.
    #[must_use]
    pub fn ignore_paths<P: AsRef<Path>>(mut self, paths: impl IntoIterator<Item = P>) -> Self {
        self.paths.extend(paths.into_iter().map(|path| path.as_ref().to_owned()));
        self
    }

    /// Lists the differences, sorted by path, component by component.
    #[must_use]
    pub fn compare(&self, left: &Path, right: &Path) -> Vec<Difference> {
        self.compare_trees(&Tree::read(left), &Tree::read(right))
    }

    /// Lists the differences of trees that were read before, or that are not on disk.
    #[must_use]
    pub fn compare_trees(&self, left: &Tree, right: &Tree) -> Vec<Difference> {
        let (left, right) = (self.filter(left), self.filter(right));
        let mut differences = Vec::new();
        let paths: BTreeSet<&PathBuf> = left.keys().chain(right.keys()).collect();
        for path in paths {
            let difference = |aspect, left: &str, right: &str| Difference {
                path: show_path(path),
                aspect,
                left: left.to_owned(),
                right: right.to_owned(),
            };
            let (Some(on_left), Some(on_right)) = (left.get(path), right.get(path)) else {
                let side = |node: Option<&Node>| node.map_or("missing".to_owned(), |node| node[&Aspect::Kind].clone());
                differences.push(difference(None, &side(left.get(path)), &side(right.get(path))));
                continue;
            };
            let aspects: BTreeSet<&Aspect> = on_left.keys().chain(on_right.keys()).collect();
            for aspect in aspects {
                let value = |node: &Node| node.get(aspect).cloned().unwrap_or_else(|| "none".to_owned());
                let (of_left, of_right) = (value(on_left), value(on_right));
                if of_left != of_right {
                    differences.push(difference(Some(*aspect), &of_left, &of_right));
                }
            }
        }
        differences
    }

    /// Writes a tree as text, a line for each path, sorted likewise: two trees are equal, except for
    /// what is ignored, exactly if their listings are.
    #[must_use]
    pub fn listing(&self, root: &Path) -> String {
        let mut text = String::new();
        for (path, node) in self.filter(&Tree::read(root)) {
            text.push_str(&show_path(&path));
            for (aspect, value) in node {
                text.push_str(&format!(" {}={value}", aspect.name()));
            }
            text.push('\n');
        }
        text
    }

    /// Panics with a readable list if two trees differ.
    ///
    /// # Panics
    ///
    /// Panics if they differ.
    #[track_caller]
    pub fn assert_equal(&self, left: &Path, right: &Path) {
        let differences = self.compare(left, right);
        let lines: Vec<String> = differences.iter().take(LINES_MAX).map(Difference::to_string).collect();
        let count = differences.len();
        assert!(differences.is_empty(), "{count} differences, left | right:\n{}", lines.join("\n"));
    }

    /// Leaves out what is to be ignored.
    fn filter(&self, tree: &Tree) -> BTreeMap<PathBuf, Node> {
        let is_ignored = |path: &Path| path.ancestors().any(|path| self.paths.contains(path));
        let mut kept: BTreeMap<PathBuf, Node> = BTreeMap::new();
        for (path, node) in tree.nodes.iter().filter(|(path, _)| self.paths.is_empty() || !is_ignored(path)) {
            let mut node = node.clone();
            if self.modified_of.contains(path) {
                node.remove(&Aspect::Modified);
            }
            node.retain(|aspect, _| *aspect == Aspect::Kind || !self.ignored.contains(aspect));
            kept.insert(path.clone(), node);
        }
        let mut names: BTreeMap<u64, Vec<&PathBuf>> = BTreeMap::new();
        for path in kept.keys() {
            if let Some(file) = tree.files.get(path) {
                names.entry(*file).or_default().push(path);
            }
        }
        let shown = |group: &[&PathBuf]| group.iter().map(|path| show_path(path)).collect::<Vec<_>>().join(",");
        let groups: Vec<(Vec<PathBuf>, String)> = names
            .into_values()
            .filter(|group| group.len() > 1 && !self.ignored.contains(&Aspect::HardLinks))
            .map(|group| (group.iter().map(|&path| path.clone()).collect(), shown(&group)))
            .collect();
        for (group, shown) in groups {
            for path in group {
                kept.entry(path).or_default().insert(Aspect::HardLinks, shown.clone());
            }
        }
        kept
    }
}

/// A tree with all that is compared of it.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    nodes: BTreeMap<PathBuf, Node>,
    /// Numbers of what has several names, by each of them.
    files: BTreeMap<PathBuf, u64>,
}

impl Tree {
    /// Reads a directory on disk.
    ///
    /// # Panics
    ///
    /// Panics at what cannot be read.
    #[must_use]
    pub fn read(root: &Path) -> Self {
        let mut tree = Self::default();
        let mut numbers: BTreeMap<(u64, u64), u64> = BTreeMap::new();
        let mut pending = vec![PathBuf::new()];
        while let Some(path) = pending.pop() {
            let place = if path.as_os_str().is_empty() { root.to_owned() } else { root.join(&path) };
            let metadata = or_panic(&place, fs::symlink_metadata(&place));
            let mut file = None;
            if metadata.is_dir() {
                let entries = or_panic(&place, fs::read_dir(&place));
                pending.extend(entries.map(|entry| path.join(or_panic(&place, entry).file_name())));
            } else if metadata.nlink() > 1 {
                let next = numbers.len() as u64;
                file = Some(*numbers.entry((metadata.dev(), metadata.ino())).or_insert(next));
            }
            tree.insert(path, describe(&place, &metadata), file);
        }
        tree
    }

    /// Tells whether a directory stands at a path, written as in a [`Difference`].
    #[must_use]
    pub fn is_directory(&self, shown: &str) -> bool {
        let mut nodes = self.nodes.iter().filter(|(_, node)| node[&Aspect::Kind] == "directory");
        nodes.any(|(path, _)| show_path(path) == shown)
    }

    /// Adds a path, relative to the root, with what is compared of it, and a number that all names of
    /// one file share. Reading a directory says how values are written.
    pub fn insert(&mut self, path: PathBuf, aspects: impl IntoIterator<Item = (Aspect, String)>, file: Option<u64>) {
        if let Some(file) = file {
            self.files.insert(path.clone(), file);
        }
        self.nodes.insert(path, aspects.into_iter().collect());
    }
}

/// Differences that a failed assertion prints.
const LINES_MAX: usize = 50;

impl Aspect {
    fn name(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::Mode => "mode",
            Self::Owner => "owner",
            Self::Size => "size",
            Self::Modified => "modified",
            Self::Content => "content",
            Self::Target => "target",
            Self::HardLinks => "hard-links",
            Self::Device => "device",
            Self::Xattrs => "xattrs",
        }
    }
}

/// What one path is, in text that is equal exactly where the thing is.
type Node = BTreeMap<Aspect, String>;

fn describe(place: &Path, metadata: &Metadata) -> Node {
    let kind = metadata.file_type();
    let mut node = Node::new();
    let kind_name = if kind.is_file() {
        node.insert(Aspect::Size, metadata.size().to_string());
        node.insert(Aspect::Content, digest(place));
        "file"
    } else if kind.is_dir() {
        "directory"
    } else if kind.is_symlink() {
        let target = or_panic(place, fs::read_link(place)).into_os_string().into_vec();
        node.insert(Aspect::Target, format!("\"{}\"", target.escape_ascii()));
        "symlink"
    } else if kind.is_fifo() {
        "fifo"
    } else if kind.is_socket() {
        "socket"
    } else {
        node.insert(Aspect::Device, device(metadata.rdev()));
        if kind.is_block_device() { "block-device" } else { "character-device" }
    };
    node.insert(Aspect::Kind, kind_name.to_owned());
    if !kind.is_symlink() {
        node.insert(Aspect::Mode, format!("{:04o}", metadata.mode() & 0o7777));
    }
    node.insert(Aspect::Owner, format!("{}:{}", metadata.uid(), metadata.gid()));
    node.insert(Aspect::Modified, format!("{}.{:09}", metadata.mtime(), metadata.mtime_nsec()));
    let xattrs = xattrs(place);
    if !xattrs.is_empty() {
        node.insert(Aspect::Xattrs, xattrs);
    }
    node
}

#[cfg(target_os = "linux")]
fn device(number: u64) -> String {
    format!("{}:{}", rustix::fs::major(number), rustix::fs::minor(number))
}

#[cfg(not(target_os = "linux"))]
fn device(number: u64) -> String {
    number.to_string()
}

fn digest(place: &Path) -> String {
    let mut file = or_panic(place, File::open(place));
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut piece = vec![0; 64 * 1024];
    loop {
        match or_panic(place, file.read(&mut piece)) {
            0 => return hasher.finish().to_string(),
            length => hasher.update(&piece[..length]),
        }
    }
}

/// Lists extended attributes in byte order of names; those of a file system without any are none.
fn xattrs(place: &Path) -> String {
    let mut names = vec![0; XATTR_MAX];
    let length = match llistxattr(place, &mut names[..]) {
        Ok(length) => length,
        Err(rustix::io::Errno::NOTSUP) => 0,
        Err(error) => panic!("{}: {error}", place.display()),
    };
    let mut names: Vec<&[u8]> = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    let mut value = vec![0; XATTR_MAX];
    let shown = names.into_iter().map(|name| {
        let length = or_panic(place, lgetxattr(place, OsStr::from_bytes(name), &mut value[..]));
        format!("{}=\"{}\"", name.escape_ascii(), value[..length].escape_ascii())
    });
    shown.collect::<Vec<_>>().join(",")
}

/// The largest list of names, and the largest value, that Linux returns.
const XATTR_MAX: usize = 64 * 1024;

fn show_path(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes();
    if bytes.is_empty() { ".".to_owned() } else { bytes.escape_ascii().to_string().replace(' ', "\\x20") }
}

#[track_caller]
fn or_panic<T, E: fmt::Display>(place: &Path, result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("{}: {error}", place.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::time::{Duration, SystemTime};

    use rustix::fs::{XattrFlags, lsetxattr};
    use tempfile::TempDir;

    use super::*;

    fn tree() -> TempDir {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let root = directory.path();
        fs::create_dir(root.join("d")).expect("made");
        set_mode(&root.join("d"), 0o755);
        for name in ["c", "d/a", "d/b"] {
            write(&root.join(name), "content", 0);
        }
        fs::hard_link(root.join("c"), root.join("d/e")).expect("linked");
        symlink("d/a", root.join("l")).expect("linked");
        directory
    }

    fn write(path: &Path, content: &str, nanoseconds: u32) {
        fs::write(path, content).expect("written");
        set_mode(path, 0o644);
        let file = File::options().write(true).open(path).expect("opened");
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::new(7, nanoseconds)).expect("set");
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
    }

    fn remove(path: &Path) {
        fs::remove_file(path).expect("removed");
    }

    /// What is done to a copy, and how the lines of its differences begin.
    type Case = (fn(&Path), &'static [&'static str]);

    const CASES: &[Case] = &[
        (|_| {}, &[]),
        (|root| set_mode(&root.join("d"), 0o4711), &["d: mode 0755 | 4711"]),
        (|root| write(&root.join("d/b"), "CONTENT", 0), &["d/b: content sha256:"]),
        (|root| write(&root.join("d/b"), "con", 0), &["d/b: size 7 | 3", "d/b: content sha256:"]),
        (|root| write(&root.join("d/a"), "content", 1), &["d/a: modified 7.000000000 | 7.000000001"]),
        (
            |root| {
                remove(&root.join("l"));
                symlink("d/\n", root.join("l")).expect("linked");
            },
            &["l: target \"d/a\" | \"d/\\n\""],
        ),
        (
            |root| {
                remove(&root.join("d/e"));
                write(&root.join("d/e"), "content", 0);
            },
            &["c: hard-links c,d/e | none", "d/e: hard-links c,d/e | none"],
        ),
        (
            |root| lsetxattr(root.join("d"), "user.key", b"v\0", XattrFlags::CREATE).expect("set"),
            &["d: xattrs none | user.key=\"v\\x00\""],
        ),
        (|root| remove(&root.join("d/a")), &["d/a: file | missing"]),
        (
            |root| {
                remove(&root.join("l"));
                fs::create_dir(root.join("l")).expect("made");
                set_mode(&root.join("l"), 0o700);
            },
            &["l: kind symlink | directory", "l: mode none | 0700", "l: target \"d/a\" | none"],
        ),
    ];

    #[test]
    fn each_aspect_is_seen_alone() {
        let comparison = Comparison::new().ignore_modified_of(["", "d", "l"]);
        for (index, (change, expected)) in CASES.iter().enumerate() {
            let (left, right) = (tree(), tree());
            change(right.path());
            let differences = comparison.compare(left.path(), right.path());
            let lines: Vec<String> = differences.iter().map(Difference::to_string).collect();
            let alike = lines.iter().zip(*expected).all(|(line, start)| line.starts_with(start));
            assert!(alike && lines.len() == expected.len(), "case {index}: {lines:#?}");
            let equal = comparison.listing(left.path()) == comparison.listing(right.path());
            assert_eq!(equal, expected.is_empty(), "case {index}");
        }
    }

    #[test]
    fn what_is_ignored_makes_no_difference() {
        let (left, right) = (tree(), tree());
        set_mode(&right.path().join("d"), 0o700);
        write(&right.path().join("d/a"), "CONTENT", 0);
        let comparison = Comparison::new().ignore(Aspect::Mode).ignore(Aspect::Modified);
        assert_eq!(comparison.compare(left.path(), right.path()).len(), 1);
        comparison.ignore_paths(["d/a"]).assert_equal(left.path(), right.path());
    }

    #[test]
    fn devices_are_told_apart() {
        let comparison = Comparison::new();
        assert!(comparison.listing(Path::new("/dev/null")).contains(" kind=character-device mode=0666 "));
        let differences = comparison.compare(Path::new("/dev/null"), Path::new("/dev/zero"));
        let devices: Vec<String> = differences.iter().map(Difference::to_string).collect();
        assert!(devices.contains(&".: device 1:3 | 1:5".to_owned()), "{devices:?}");
    }
}
