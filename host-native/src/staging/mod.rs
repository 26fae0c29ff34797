//! Where a directory is put together before it gets its name, and the rules for destinations.
//!
//! ```text
//! PARENT/
//!   .NAME.oci-fetcher-x7k2p9/    the sibling: mode 0700, locked by its living owner
//!     root/                      the tree
//!     spool/                     content of layers that are decoded before their turn
//!   NAME/                        appears by one rename, complete
//! ```
//!
//! [`prepare`](Staging::prepare) finds every reason to refuse that can be known beforehand, so that
//! nothing is downloaded in vain. [`commit`](Staging::commit) writes everything through to the
//! device (one `syncfs` where there is one: a sync for each of thirty thousand files would take
//! minutes), renames, and syncs the parent: after a loss of power, too, the destination is absent or
//! complete. A `Staging` that is dropped removes all it made.
//!
//! What a killed run leaves is removed by the next one for the same destination: a sibling is dead
//! when nobody holds its lock.
//!
//! In place, the tree is written at the destination itself and what is beside it in the layout above
//! lies in it, in `.oci-fetcher-x7k2p9`. There is no moment at which everything appears, so that a kill
//! leaves a part; the next run with [`Existing::InPlace`] recognises it by the dead marker and
//! empties the directory first.

mod destination;
mod error;
mod sibling;

#[cfg(all(test, target_os = "linux"))]
mod tests;

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use crate::disk::{DiskError, Operation, remove_contents, remove_tree};
use crate::temporary::{self, ANONYMOUS, Folder};
use destination::{CreatedParents, Destination};
pub use error::{Protected, StagingError};

/// A private place beside the destination, where the tree is put together.
///
/// ```
/// use oci_fetcher::staging::{Options, Staging};
///
/// let parent = tempfile::tempdir()?;
/// let destination = parent.path().join("image");
/// let staging = Staging::prepare(&destination, Options::default()).expect("nothing stands there");
/// std::fs::write(staging.root().join("hello"), "world")?;
/// assert!(!destination.exists());
/// staging.commit().expect("renamed");
/// assert_eq!(std::fs::read(destination.join("hello"))?, b"world");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Staging {
    destination: Destination,
    root: PathBuf,
    /// Open as long as the tree is ours: to write it through, and to lock it once it has left the sibling.
    root_handle: Option<File>,
    way: Way,
    /// Comes after `root_handle`: what it locks goes first.
    sibling: Folder,
    created: CreatedParents,
}

/// What a destination may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// What to do with what stands there.
    pub existing: Existing,
}

/// What to do with what stands at the destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// Refuse it, unless it is an empty directory.
    #[default]
    Refuse,
    /// Put the new tree in its place, in one step where the system can swap, and remove it then.
    Replace,
    /// Fill it, an empty directory, and give up atomicity: the only way for a mount point or
    /// where the parent may not be written to.
    InPlace,
}

/// How a finished tree gets to its destination.
#[derive(Debug)]
enum Way {
    /// By a rename to a free name or over an empty directory.
    Rename,
    /// By a swap with what stands there.
    Swap,
    /// It is there; what the directory was before is restored if it does not stay.
    InPlace { before: Metadata },
    /// It got there, or was removed.
    Done,
}

/// A destination that is complete.
#[derive(Debug)]
#[must_use]
pub struct Committed {
    /// Something beside the destination, old content or a work directory, that could not be removed. The
    /// destination is complete all the same.
    pub leftover: Option<DiskError>,
}

impl Staging {
    /// Checks the destination and makes a private place for the tree.
    ///
    /// # Errors
    /// [`StagingError`]; what was made until then is removed.
    pub fn prepare(destination: &Path, options: Options) -> Result<Self, StagingError> {
        match options.existing {
            Existing::Refuse => Self::beside(destination, Way::Rename),
            Existing::Replace => Self::beside(destination, Way::Swap),
            Existing::InPlace => Self::inside(destination),
        }
    }

    /// Returns the directory for the tree: on the destination's file system, private and empty.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the directory for content that waits: on the same file system, private and empty.
    #[must_use]
    pub fn spool(&self) -> PathBuf {
        self.sibling.path().join(SPOOL)
    }

    /// Empties [`root`](Self::root), for another pass over the layers.
    ///
    /// # Errors
    /// [`DiskError`] if something could not be removed.
    pub fn clear(&self) -> Result<(), DiskError> {
        // In place, the work directory is in it.
        remove_contents(&self.root, self.sibling.path().file_name())
    }

    /// Gives the tree its final name.
    ///
    /// # Errors
    /// [`StagingError`] if the system refuses, or somebody else has used the destination meanwhile.
    /// Everything is removed then, and the destination is as it was.
    pub fn commit(mut self) -> Result<Committed, StagingError> {
        if let Some(root) = &self.root_handle {
            flush(root).map_err(|error| DiskError::new(Operation::Flush, &self.root, error))?;
        }
        let removed = match &self.way {
            Way::Rename => self.rename().map(|()| Ok(()))?,
            Way::Swap => self.swap()?,
            Way::InPlace { .. } => self.leave_in_place(),
            Way::Done => Ok(()),
        };
        self.way = Way::Done;
        self.created.keep();
        // The rename has happened; if it cannot be written through now, it will be soon.
        let _ = File::open(self.destination.parent()).and_then(|parent| parent.sync_all());
        Ok(Committed { leftover: removed.and(remove_tree(self.sibling.path())).err() })
    }

    /// Removes everything that was made. Dropping does the same, but cannot say what went wrong.
    ///
    /// # Errors
    /// [`DiskError`] if something could not be removed.
    pub fn abandon(mut self) -> Result<(), DiskError> {
        self.remove_all()
    }

    fn beside(destination: &Path, way: Way) -> Result<Self, StagingError> {
        let mut created = CreatedParents::default();
        let destination = Destination::resolve(destination, &mut created)?;
        sibling::reclaim(&destination);
        let way = match way {
            Way::Swap if destination.may_be_replaced()? => Way::Swap,
            Way::Swap | Way::Rename | Way::InPlace { .. } | Way::Done => {
                destination.must_be_free()?;
                Way::Rename
            }
        };
        let sibling =
            Folder::create(destination.parent(), &destination.prefix()).map_err(|error| destination.no_place(error))?;
        let root = sibling.path().join(ROOT);
        let mut staging = Self { destination, root, root_handle: None, way, sibling, created };
        staging.make(&staging.root)?;
        staging.make(&staging.spool())?;
        staging.root_handle = temporary::open(&staging.root).ok();
        Ok(staging)
    }

    fn inside(destination: &Path) -> Result<Self, StagingError> {
        let mut created = CreatedParents::default();
        let destination = Destination::resolve_in_place(destination, &mut created)?;
        let root = destination.path();
        sibling::reclaim_in_place(&root);
        destination.must_be_empty()?;
        let failed = |operation| {
            let root = root.clone();
            move |error: io::Error| DiskError::new(operation, root, error)
        };
        let before = fs::metadata(&root).map_err(failed(Operation::Inspect))?;
        let root_handle = temporary::open(&root).ok();
        // Fails here, and not after the download, if the directory is somebody else's.
        temporary::make_private(&root).map_err(failed(Operation::SetMode))?;
        let sibling = match Folder::create(&root, ANONYMOUS.as_ref()) {
            Ok(sibling) => sibling,
            Err(error) => {
                let _ = fs::set_permissions(&root, before.permissions());
                return Err(destination.no_place(error));
            }
        };
        let staging = Self { destination, root, root_handle, way: Way::InPlace { before }, sibling, created };
        sibling::mark_in_place(staging.sibling.path());
        staging.make(&staging.spool())?;
        Ok(staging)
    }

    fn make(&self, directory: &Path) -> Result<(), DiskError> {
        temporary::create_private(directory)
            .map_err(|error| DiskError::new(Operation::CreateDirectory, directory, error))
    }

    fn rename(&mut self) -> Result<(), StagingError> {
        self.leave_sibling()?;
        let destination = self.destination.path();
        if cfg!(windows) {
            // There, nothing is renamed over a directory.
            let _ = fs::remove_dir(&destination);
        }
        fs::rename(&self.root, &destination).map_err(|error| self.destination.not_renamed(error))
    }

    /// Puts the tree where something stands, and removes that; the inner result is the removal's.
    fn swap(&mut self) -> Result<Result<(), DiskError>, StagingError> {
        self.leave_sibling()?;
        let destination = self.destination.path();
        let not_renamed = |error| self.destination.not_renamed(error);
        let old = if sibling::exchange(&self.root, &destination).map_err(not_renamed)? {
            self.root.clone()
        } else {
            let old = sibling::move_aside(&destination, &self.destination.prefix()).map_err(not_renamed)?;
            if let Err(error) = fs::rename(&self.root, &destination) {
                let _ = fs::rename(&old, &destination);
                return Err(not_renamed(error));
            }
            old
        };
        Ok(remove_tree(&old))
    }

    /// Moves the finished tree out of the sibling, to another hidden name in the parent.
    ///
    /// A directory that its owner may not write to cannot change its parent, since that would
    /// change its `..`; within one parent it can be renamed. So the permission is lent for this
    /// step, and what appears under the final name has its own mode from the first moment.
    fn leave_sibling(&mut self) -> Result<(), DiskError> {
        let failed = |error| DiskError::new(Operation::Rename, &self.root, error);
        let handle = self.root_handle.as_ref();
        sibling::lock_tree(handle);
        let lent = sibling::lend_write(handle).map_err(failed)?;
        let hidden = sibling::move_to_hidden(&self.root, self.destination.parent(), &self.destination.prefix());
        self.root = hidden.map_err(failed)?;
        if let (Some(permissions), Some(handle)) = (lent, handle) {
            let failed = |error| DiskError::new(Operation::SetMode, &self.root, error);
            handle.set_permissions(permissions).map_err(failed)?;
        }
        Ok(())
    }

    /// Removes the marker from a tree that is in its place, without a trace in the root's metadata.
    fn leave_in_place(&self) -> Result<(), DiskError> {
        let handle = self.root_handle.as_ref();
        let after = handle.and_then(|handle| handle.metadata().ok());
        let lent = sibling::lend_write(handle).ok().flatten();
        let removed = remove_tree(self.sibling.path());
        if let Some(handle) = handle {
            if let Some(permissions) = lent {
                let failed = |error| DiskError::new(Operation::SetMode, &self.root, error);
                handle.set_permissions(permissions).map_err(failed)?;
            }
            if let Some(mtime) = after.and_then(|after| after.modified().ok()) {
                let times = fs::FileTimes::new().set_modified(mtime).set_accessed(mtime);
                let failed = |error| DiskError::new(Operation::SetTime, &self.root, error);
                handle.set_times(times).map_err(failed)?;
            }
        }
        removed
    }

    fn remove_all(&mut self) -> Result<(), DiskError> {
        let removed = match std::mem::replace(&mut self.way, Way::Done) {
            Way::Done => return Ok(()),
            Way::Rename | Way::Swap => remove_tree(&self.root).and(remove_tree(self.sibling.path())),
            Way::InPlace { before } => {
                let marker = self.sibling.path();
                // The marker goes last: as long as it is there, the rest is known to be ours.
                let removed = remove_contents(&self.root, marker.file_name()).and_then(|()| remove_tree(marker));
                if let Some(handle) = &self.root_handle {
                    let _ = handle.set_permissions(before.permissions());
                    let _ = before.modified().and_then(|mtime| handle.set_modified(mtime));
                }
                removed
            }
        };
        self.created.remove();
        removed
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // Nobody is left to be told; the next run tries again.
        let _ = self.remove_all();
    }
}

/// The tree's name in the sibling.
const ROOT: &str = "root";

/// The name in the sibling of the place for content that waits.
const SPOOL: &str = "spool";

/// Writes a tree through to the device.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn flush(root: &File) -> io::Result<()> {
    Ok(rustix::io::retry_on_intr(|| rustix::fs::syncfs(root))?)
}

/// Asks for it, where the system has no call that waits for more than one file.
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
fn flush(_: &File) -> io::Result<()> {
    rustix::fs::sync();
    Ok(())
}

#[cfg(not(unix))]
fn flush(_: &File) -> io::Result<()> {
    Ok(())
}
