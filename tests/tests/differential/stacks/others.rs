//! Stacks unpacked by umoci, and by GNU tar with the specification's whiteout rules.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use oci_fetcher_tests::compare::Tree;
use oci_fetcher_tests::image::Layer;
use oci_fetcher_tests::process::required;
use rustix::fs::{Mode, OFlags, ResolveFlags};

use super::ours::{remove, succeed};
use super::plan::{Item, PlannedLayer, Stack, What};
use super::way::split;

/// Lets umoci unpack a layout that holds no zstd.
pub(crate) fn umoci(layout: &Path, folder: &Path) -> Result<Tree, String> {
    let to = folder.join("umoci");
    let mut command = Command::new(required("umoci", "umoci"));
    command.args(["raw", "unpack", "--image", &format!("{}:1", layout.display())]).arg(&to);
    let tree = succeed(&mut command).map(|()| Tree::read(&to));
    if to.exists() {
        remove(&to);
    }
    tree
}

/// GNU tar, with all that it needs to run where there is nothing else.
#[derive(Debug)]
pub(crate) struct GnuTar {
    /// The files to be put into the root, by their names there.
    files: Vec<(String, PathBuf)>,
    folder: PathBuf,
}

/// A name that no stack has.
pub(crate) const TOOLS: &str = ".tools";

impl GnuTar {
    /// Copies the program and its libraries into a folder.
    pub(crate) fn new(folder: &Path) -> Self {
        let tar = required("tar", "tar");
        let listed = Command::new("ldd").arg(&tar).output().expect("ldd is a part of libc's package");
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let libraries = listed.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from);
        let folder = folder.join("tools");
        fs::create_dir(&folder).expect("there is room for a folder");
        let mut files = Vec::new();
        for from in libraries.chain([tar]) {
            let name = from.file_name().expect("it is a file").to_string_lossy().into_owned();
            let to = folder.join(&name);
            fs::copy(&from, &to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
            files.push((name, to));
        }
        Self { files, folder }
    }

    /// Applies layer after layer (image-spec 1.1, layer.md, "Applying Changesets"): what its marks
    /// hide goes first, and GNU tar adds its other entries, with the root as its own.
    pub(crate) fn apply(&self, stack: &Stack, folder: &Path) -> Result<Tree, String> {
        let root = folder.join("applied");
        fs::create_dir(&root).expect("there is room for a folder");
        set_modified(&root, SystemTime::UNIX_EPOCH);
        fs::create_dir(root.join(TOOLS)).expect("there is room for a folder");
        for (name, file) in &self.files {
            fs::hard_link(file, root.join(TOOLS).join(name)).expect("it is the same file system");
        }
        set_modified(&root, SystemTime::UNIX_EPOCH);
        let mut result = Ok(());
        for layer in &stack.layers {
            result = result.and_then(|()| self.layer(layer, &root, folder));
        }
        let before = directories(&root);
        remove(&root.join(TOOLS));
        restore(before);
        result.map(|()| Tree::read(&root)).inspect(|_| remove(&root)).inspect_err(|_| remove(&root))
    }

    /// GNU tar replaces no directory that holds something: what becomes a directory and then something
    /// else is done in pieces, with the directory removed in between.
    fn layer(&self, layer: &PlannedLayer, root: &Path, folder: &Path) -> Result<(), String> {
        let before = directories(root);
        for mark in layer.items.iter().filter(|item| item.is_mark()) {
            hide(root, mark);
        }
        restore(before);
        let mut piece: Vec<&Item> = Vec::new();
        for item in layer.items.iter().filter(|item| !item.is_mark()) {
            if piece.iter().any(|earlier| meets(earlier, item)) {
                self.piece(&std::mem::take(&mut piece), root, folder)?;
            }
            let (place, leads_over_link) = place(root, item);
            let is_directory = fs::symlink_metadata(&place).is_ok_and(|metadata| metadata.is_dir());
            if item.what != What::Directory && (is_directory || leads_over_link) {
                self.piece(&std::mem::take(&mut piece), root, folder)?;
                let before = directories(root);
                remove_directory(root, item);
                restore(before);
            }
            piece.push(item);
            if leads_over_link {
                self.piece(&std::mem::take(&mut piece), root, folder)?;
            }
        }
        self.piece(&piece, root, folder)
    }

    fn piece(&self, items: &[&Item], root: &Path, folder: &Path) -> Result<(), String> {
        if items.is_empty() {
            return Ok(());
        }
        for item in items.iter().filter(|item| item.what == What::Directory) {
            forget_attributes(root, item);
        }
        let before = directories(root);
        let tar = folder.join("piece.tar");
        fs::write(&tar, items.iter().fold(Layer::new(), |layer, item| item.add(layer)).tar()).expect("there is room");
        let mut command = Command::new(required("chroot", "coreutils"));
        let loader = self.files.iter().find(|(name, _)| name.starts_with("ld-")).expect("a program has a loader");
        let inside = |name: &str| format!("/{TOOLS}/{name}");
        command.arg(root).arg(inside(&loader.0)).args(["--library-path", &inside(""), &inside("tar")]);
        command.args(OPTIONS).stdin(File::open(&tar).expect("it was just written"));
        succeed(&mut command)?;
        restore(before);
        Ok(())
    }
}

/// Tells whether an item may be in the way of a later one: it stands at the same place, below what is no
/// directory, or on the way to it and is none.
fn meets(earlier: &Item, item: &Item) -> bool {
    let below =
        |path: &[u8], top: &[u8]| path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"));
    let replaces = item.what != What::Directory && below(&earlier.path, &item.path);
    // GNU tar 1.34 loses modes if an entry for the root stands between others.
    let is_root = earlier.path.is_empty() || item.path.is_empty();
    is_root
        || replaces
        || earlier.path == item.path
        || (earlier.what != What::Directory && below(&item.path, &earlier.path))
}

/// Returns where an item stands literally, and whether a symlink is on the way.
fn place(root: &Path, item: &Item) -> (PathBuf, bool) {
    let mut place = root.to_owned();
    let (directory, name) = split(&item.path);
    let mut leads_over_link = false;
    for component in directory.split(|byte| *byte == b'/').filter(|component| !component.is_empty()) {
        place.push(OsStr::from_bytes(component));
        leads_over_link |= place.is_symlink();
    }
    (place.join(OsStr::from_bytes(name)), leads_over_link)
}

/// Gives directories back the time that was recorded of them: what happens inside does not change it.
fn restore(before: BTreeMap<PathBuf, (u64, SystemTime)>) {
    // No entry has a time of today: what has was touched just now.
    let day = Duration::from_secs(86_400);
    let now = SystemTime::now();
    let is_today = |time: SystemTime| time > now - day && time < now + day;
    for (path, (inode, modified)) in before {
        let Ok(found) = fs::symlink_metadata(&path) else { continue };
        if found.ino() == inode && found.modified().is_ok_and(is_today) && !is_today(modified) {
            set_modified(&path, modified);
        }
    }
}

/// Removes a directory from where something else is to stand.
fn remove_directory(root: &Path, item: &Item) {
    let (directory, name) = split(&item.path);
    let Some(directory) = open(root, directory) else { return };
    let place = through(&directory).join(OsStr::from_bytes(name));
    if fs::symlink_metadata(&place).is_ok_and(|metadata| metadata.is_dir()) {
        remove(&place);
    }
}

impl Drop for GnuTar {
    fn drop(&mut self) {
        remove(&self.folder);
    }
}

const OPTIONS: &[&str] = &[
    "--extract",
    "--file=-",
    "--directory=/",
    "--absolute-names",
    "--preserve-permissions",
    "--same-owner",
    "--numeric-owner",
    "--xattrs",
    "--xattrs-include=*",
    "--delay-directory-restore",
    "--warning=no-timestamp",
];

/// Lists all directories with their inodes and times.
fn directories(root: &Path) -> BTreeMap<PathBuf, (u64, SystemTime)> {
    let mut found = BTreeMap::new();
    let mut pending = vec![root.to_owned()];
    while let Some(path) = pending.pop() {
        let metadata = fs::symlink_metadata(&path).expect("it was just listed");
        if !metadata.is_dir() || path.ends_with(TOOLS) {
            continue;
        }
        pending.extend(fs::read_dir(&path).expect("root reads all").map(|entry| entry.expect("listed").path()));
        found.insert(path, (metadata.ino(), metadata.modified().expect("Linux has times")));
    }
    found
}

fn set_modified(directory: &Path, time: SystemTime) {
    File::open(directory).and_then(|file| file.set_modified(time)).expect("root may set times");
}

/// Removes what a whiteout or an opaque mark hides.
fn hide(root: &Path, mark: &Item) {
    let (directory, name) = match split(&mark.path) {
        _ if mark.what == What::Opaque => (&mark.path[..], None),
        (directory, name) => (directory, Some(name)),
    };
    let Some(directory) = open(root, directory) else { return };
    match name {
        Some(name) => remove_any(&through(&directory).join(OsStr::from_bytes(name))),
        None => {
            for entry in fs::read_dir(through(&directory)).expect("root reads all") {
                let entry = entry.expect("root reads all");
                if entry.file_name() != TOOLS {
                    remove_any(&entry.path());
                }
            }
        }
    }
}

fn remove_any(path: &Path) {
    match fs::symlink_metadata(path) {
        Err(_) => {}
        Ok(metadata) if metadata.is_dir() => remove(path),
        Ok(_) => fs::remove_file(path).expect("root removes all"),
    }
}

/// Takes the attributes from a directory that gets a new entry: they are replaced as a whole.
fn forget_attributes(root: &Path, item: &Item) {
    let (directory, name) = split(&item.path);
    let Some(directory) = open(root, directory) else { return };
    let path = through(&directory).join(OsStr::from_bytes(name));
    // With an empty name the path ends in a slash, and so is the directory itself.
    if !fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir()) {
        return;
    }
    let mut names = vec![0; 64 << 10];
    let length = rustix::fs::llistxattr(&path, &mut names[..]).expect("tmpfs has attributes");
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        rustix::fs::lremovexattr(&path, OsStr::from_bytes(name)).expect("root removes attributes");
    }
}

/// Opens a directory, with symlinks resolved inside the root; `None` if there is none.
fn open(root: &Path, path: &[u8]) -> Option<OwnedFd> {
    let root = File::open(root).expect("it was made here");
    let path = if path.is_empty() { b"." } else { path };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat2(root.as_fd(), path, flags, Mode::empty(), ResolveFlags::IN_ROOT).ok()
}

fn through(directory: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()))
}
