//! A folder for one test, and the program run in it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

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

    /// Returns a path in the folder as text, for an argument.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        self.path(name).into_os_string().into_string().expect("temporary folders have plain names")
    }

    /// Writes a file of the folder, with the folders on the way to it; returns its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("the path has the folder before it")).expect("writable");
        std::fs::write(&path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }

    /// Reads a file of the folder.
    #[track_caller]
    #[must_use]
    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Lists what a directory of the folder holds, hidden things too, in byte order.
    #[track_caller]
    #[must_use]
    pub fn names(&self, name: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("readable").file_name();
        let mut names: Vec<String> = entries.map(|entry| name(entry).to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Makes a command line: the program with these arguments, and the folder as its home.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = program::command(self.root());
        command.args(arguments);
        command
    }

    /// Runs the program with these arguments and the folder as its home.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Measured {
        measure(&self.command(arguments))
    }

    /// Pulls into a directory of the folder.
    pub fn pull(&self, source: &str, to: &str, more: &[&str]) -> Measured {
        let target = self.path(to);
        let mut arguments = vec![OsStr::new("pull"), OsStr::new(source), target.as_os_str()];
        arguments.extend(more.iter().map(OsStr::new));
        self.run(&arguments)
    }
}
