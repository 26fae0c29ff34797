//! What of the process and its user the search depends on, as plain data.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

/// The variables, home folder and user that decide where credentials are looked for.
///
/// Helpers run with exactly these variables.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// Environment variables by name.
    pub variables: BTreeMap<OsString, OsString>,
    /// The user's home folder.
    pub home: Option<PathBuf>,
    /// The numeric user, where the system has such.
    pub uid: Option<u32>,
}

impl Environment {
    /// Takes over the environment of this process as it is now.
    ///
    /// The home folder is `$HOME` on Unix and `%USERPROFILE%` on Windows, or what the user database
    /// says.
    #[must_use]
    pub fn from_process() -> Self {
        Self { variables: std::env::vars_os().collect(), home: std::env::home_dir(), uid: uid() }
    }

    /// Returns the value of a variable, which counts as absent when empty.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        let value = if cfg!(windows) {
            // Names are the same in any case there: the search path is mostly spelled "Path".
            self.variables.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        } else {
            self.variables.get(OsStr::new(name))
        };
        value.map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// Returns a variable's value where it is an absolute path: others are void by the XDG base
    /// directory specification.
    pub(super) fn absolute_path(&self, name: &str) -> Option<&Path> {
        self.variable(name).map(Path::new).filter(|path| path.is_absolute())
    }

    /// Returns the home folder, which counts as absent when it is not an absolute path.
    pub(super) fn home(&self) -> Option<&Path> {
        self.home.as_deref().filter(|home| home.is_absolute())
    }
}

#[cfg(unix)]
fn uid() -> Option<u32> {
    Some(rustix::process::getuid().as_raw())
}

#[cfg(not(unix))]
fn uid() -> Option<u32> {
    None
}

/// Shows names only: values may be secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("variables", &self.variables.keys())
            .field("home", &self.home)
            .field("uid", &self.uid)
            .finish()
    }
}
