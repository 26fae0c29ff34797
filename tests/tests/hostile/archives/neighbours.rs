//! What stands beside a destination, and must be as it was: the invariant of every case.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use super::node::xattrs;

/// A folder with room for a destination, `root`, and with what stands beside it.
#[derive(Debug)]
pub(crate) struct Neighbours {
    parent: PathBuf,
    before: String,
}

impl Neighbours {
    /// Makes the folder, for the user who will pull into it.
    pub(crate) fn new(parent: &Path, (uid, gid): (u32, u32)) -> io::Result<Self> {
        for folder in ["root-evil/sub", "victim/sub"] {
            fs::create_dir_all(parent.join(folder))?;
        }
        for file in ["root-evil/secret", "root-evil/sub/secret", "victim/secret", "victim/sub/secret"] {
            fs::write(parent.join(file), SECRET)?;
            fs::set_permissions(parent.join(file), fs::Permissions::from_mode(0o640))?;
        }
        symlink("victim", parent.join("elsewhere"))?;
        let value = rustix::fs::XattrFlags::CREATE;
        for path in ["", "victim", "victim/secret", "root-evil/secret"] {
            match rustix::fs::lsetxattr(parent.join(path), "user.neighbour", b"as it was", value) {
                Err(rustix::io::Errno::NOTSUP) => {}
                set => set?,
            }
        }
        let mut pending = vec![parent.to_owned()];
        while let Some(path) = pending.pop() {
            std::os::unix::fs::lchown(&path, Some(uid), Some(gid))?;
            if fs::symlink_metadata(&path)?.is_dir() {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
                for entry in fs::read_dir(&path)? {
                    pending.push(entry?.path());
                }
            }
        }
        Ok(Self { parent: parent.to_owned(), before: state(parent)? })
    }

    /// Returns where the destination is to be.
    pub(crate) fn root(&self) -> PathBuf {
        self.parent.join("root")
    }

    /// Says what has changed, apart from the destination itself.
    pub(crate) fn changes(&self) -> Option<String> {
        let after = state(&self.parent).unwrap_or_else(|error| error.to_string());
        (after != self.before).then(|| format!("  before:\n{}  after:\n{after}", self.before))
    }
}

const SECRET: &str = "nobody reads or writes this\n";

/// Describes everything beside the destination. The folder's own times change with its entries.
fn state(parent: &Path) -> io::Result<String> {
    let mut text = String::new();
    let mut pending = vec![parent.to_owned()];
    while let Some(path) = pending.pop() {
        let stat = fs::symlink_metadata(&path)?;
        let name = path.strip_prefix(parent).expect("it lies below").display().to_string();
        write!(text, "    {name:?} {:o} {}:{} inode {}", stat.mode(), stat.uid(), stat.gid(), stat.ino())
            .expect("memory takes every text");
        if path != parent {
            write!(text, " links {} modified {}.{}", stat.nlink(), stat.mtime(), stat.mtime_nsec())
                .expect("memory takes every text");
        }
        let content = match () {
            () if stat.is_dir() => {
                let mut names: Vec<_> = fs::read_dir(&path)?.collect::<Result<_, _>>()?;
                names.retain(|entry| entry.path() != parent.join("root"));
                names.sort_by_key(fs::DirEntry::file_name);
                pending.extend(names.iter().rev().map(fs::DirEntry::path));
                format!("{:?}", names.iter().map(fs::DirEntry::file_name).collect::<Vec<_>>())
            }
            () if stat.is_symlink() => format!("{:?}", fs::read_link(&path)?),
            () => format!("{:?}", String::from_utf8_lossy(&fs::read(&path)?)),
        };
        writeln!(text, " {:?} {content}", xattrs(&path)?).expect("memory takes every text");
    }
    Ok(text)
}
