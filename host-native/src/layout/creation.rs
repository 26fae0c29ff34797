//! What an export brought into being, to be removed again if nothing comes of it.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use oci_fetcher_core::layout::MARKER_FILE;

use super::{BLOBS, LOCK_FILE, LayoutError, LayoutFolder};

/// What a writer brought into being, and removes again if nothing gets published.
#[derive(Debug)]
pub(super) struct Creation {
    /// Directories from the outermost to the layout itself.
    directories: Vec<PathBuf>,
    /// Whether this writer made a layout of the directory.
    pub(super) is_layout_new: bool,
    /// Blobs that were not there before.
    pub(super) blobs: BTreeSet<PathBuf>,
}

impl Creation {
    /// Creates the layout's directory and those above it that are missing.
    pub(super) fn begin(folder: &LayoutFolder) -> Result<Self, LayoutError> {
        let mut creation = Self { directories: Vec::new(), is_layout_new: false, blobs: BTreeSet::new() };
        let is_missing = |path: &&Path| {
            !path.as_os_str().is_empty()
                && std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound)
        };
        let missing: Vec<&Path> = folder.root().ancestors().take_while(is_missing).collect();
        for path in missing.into_iter().rev() {
            match std::fs::create_dir(path) {
                Ok(()) => creation.directories.push(path.to_owned()),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(LayoutError::io("create", path)(error)),
            }
        }
        match std::fs::metadata(folder.root()) {
            Ok(metadata) if metadata.is_dir() => Ok(creation),
            // A link that leads nowhere is there all the same.
            Err(error) if error.kind() != ErrorKind::NotFound || std::fs::symlink_metadata(folder.root()).is_err() => {
                Err(LayoutError::io("open", folder.root())(error))
            }
            Ok(_) | Err(_) => Err(LayoutError::NotADirectory { path: folder.root().to_owned() }),
        }
    }

    /// Forgets it: it is there to stay.
    pub(super) fn complete(&mut self) {
        self.directories.clear();
        self.is_layout_new = false;
        self.blobs.clear();
    }

    /// Removes the layout's files, if all of them are this writer's and none is `index.json`. The
    /// marker goes last, so that what a kill leaves is still a layout.
    pub(super) fn undo_content(&self, folder: &LayoutFolder) {
        if !self.is_all_there_is(folder).unwrap_or(false) {
            return;
        }
        for path in &self.blobs {
            let _ = std::fs::remove_file(path);
        }
        for directory in std::fs::read_dir(folder.path(BLOBS)).into_iter().flatten().flatten() {
            let _ = std::fs::remove_dir(directory.path());
        }
        // Fails, as it should, if somebody has begun to use it.
        if matches!(std::fs::remove_dir(folder.path(BLOBS)), Err(error) if error.kind() != ErrorKind::NotFound) {
            return;
        }
        let _ = std::fs::remove_file(folder.path(MARKER_FILE));
    }

    fn is_all_there_is(&self, folder: &LayoutFolder) -> io::Result<bool> {
        for entry in std::fs::read_dir(folder.root())? {
            let name = entry?.file_name();
            if ![MARKER_FILE, BLOBS, LOCK_FILE].iter().any(|known| name == *known) {
                return Ok(false);
            }
        }
        let algorithms = match std::fs::read_dir(folder.path(BLOBS)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
            result => result?,
        };
        for algorithm in algorithms {
            for blob in std::fs::read_dir(algorithm?.path())? {
                if !self.blobs.contains(&blob?.path()) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

impl Drop for Creation {
    fn drop(&mut self) {
        for path in self.directories.iter().rev() {
            // Fails, as it should, if anything is in it.
            let _ = std::fs::remove_dir(path);
        }
    }
}
