//! Finds the command-line program, and runs it apart from the account that runs the tests.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns where the program is: what `$OCI_FETCHER` names, or else `oci-fetcher` in the folder of
/// the build profile that the running test belongs to.
///
/// # Panics
///
/// Panics with the command that builds it if it is in neither place.
#[track_caller]
#[must_use]
pub fn path() -> PathBuf {
    let path = std::env::var_os("OCI_FETCHER").map_or_else(built, PathBuf::from);
    assert!(path.is_file(), "{} is missing: cargo build -p oci-fetcher", path.display());
    path
}

/// The test lies in `PROFILE/deps`, or in `PROFILE` itself where it is an example.
fn built() -> PathBuf {
    let test = std::env::current_exe().expect("the system tells where the test is");
    let folder = test.parent().expect("a file is in a folder");
    let profile = if folder.ends_with("deps") { folder.parent().expect("deps is in a folder") } else { folder };
    profile.join(format!("oci-fetcher{}", std::env::consts::EXE_SUFFIX))
}

/// Starts a command line: the program, with an empty home folder and no settings from outside.
#[track_caller]
#[must_use]
pub fn command(home: &Path) -> Command {
    let mut command = Command::new(path());
    isolate(&mut command, home);
    command
}

/// Gives a command this home folder, and keeps from it where credentials, caches and proxies are.
pub fn isolate(command: &mut Command, home: &Path) {
    command.env("HOME", home);
    for name in FROM_OUTSIDE {
        command.env_remove(name).env_remove(name.to_ascii_lowercase());
    }
}

const FROM_OUTSIDE: [&str; 9] = [
    "XDG_CACHE_HOME",
    "XDG_RUNTIME_DIR",
    "DOCKER_CONFIG",
    "DOCKER_AUTH_CONFIG",
    "REGISTRY_AUTH_FILE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
];
