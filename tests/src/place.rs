//! A folder for one test, and the program run in it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::process::{Measured, measure};
use crate::program;

/// A temporary folder, which is the program's home too; it goes with this value.
#[derive(Debug)]
pub struct Place(TempDir);

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}

impl Place {
    /// Makes an empty folder.
    ///
    /// # Panics
    ///
    /// Panics if there is no room for one.
    #[must_use]
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder can be made"))
    }

    /// Makes an empty folder inside another.
    ///
    /// # Panics
    ///
    /// Panics if there is no room for one.
    #[must_use]
    pub fn within(folder: &Path) -> Self {
        Self(tempfile::tempdir_in(folder).expect("a temporary folder can be made"))
    }

    /// Returns the folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.0.path()
    }

    /// Returns a path in the folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs the program with these arguments and the folder as its home.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Measured {
        let mut command = program::command(self.root());
        command.args(arguments);
        measure(&command)
    }

    /// Pulls into a directory of the folder.
    pub fn pull(&self, source: &str, to: &str, more: &[&str]) -> Measured {
        let target = self.path(to);
        let mut arguments = vec![OsStr::new("pull"), OsStr::new(source), target.as_os_str()];
        arguments.extend(more.iter().map(OsStr::new));
        self.run(&arguments)
    }
}
