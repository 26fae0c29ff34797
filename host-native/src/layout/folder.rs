//! The files of a layout that lies in a directory.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::blob::open_regular;

/// A directory in OCI image layout. The directory itself may be reached through symbolic links; what
/// lies below it is not.
#[derive(Clone, Debug)]
pub(crate) struct LayoutFolder {
    root: PathBuf,
}

impl LayoutFolder {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns where a file lies; `name` has `/` between its components.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Opens a regular file; `None` if it is missing. A symbolic link anywhere below the root is
    /// [`ErrorKind::InvalidData`].
    pub(crate) fn open(&self, name: &str) -> io::Result<Option<File>> {
        let open = || {
            if let Some((directory, _)) = name.rsplit_once('/') {
                self.check_directory(directory)?;
            }
            open_regular(&self.path(name))
        };
        match open() {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads the first `limit` bytes of a regular file; `None` if it is missing.
    pub(crate) fn read(&self, name: &str, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = self.open(name)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.take(limit).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Checks that each component of `name` is a directory, and no link to one.
    pub(crate) fn check_directory(&self, name: &str) -> io::Result<()> {
        let mut path = self.root.clone();
        for component in name.split('/') {
            path.push(component);
            if !std::fs::symlink_metadata(&path)?.is_dir() {
                return Err(io::Error::new(ErrorKind::InvalidData, "not a directory"));
            }
        }
        Ok(())
    }
}

/// The most of an `oci-layout` file that is read; it holds one version.
pub(crate) const MARKER_BYTES: u64 = 64 << 10;
