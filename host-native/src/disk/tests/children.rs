//! Tests that need a process of their own: another user, umask, limit or mount namespace.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::{env, fs};

use tempfile::TempDir;

/// A user without rights.
pub(crate) const NOBODY: u32 = 65534;

/// Set where a test runs in its own process.
const INSIDE: &str = "OCI_FETCHER_TEST_INSIDE";

/// How a test's own process differs.
#[derive(Clone, Copy, Default)]
pub(crate) struct Child<'a> {
    pub(crate) user: Option<u32>,
    /// Shell commands before the test.
    pub(crate) before: &'a str,
    /// A program that runs the shell.
    pub(crate) under: &'a [&'a str],
}

impl Child<'_> {
    /// Tells whether the calling test, named in full, is in its own process already; otherwise it
    /// is run there, and has to pass.
    pub(crate) fn entered(self, test: &str) -> bool {
        if env::var_os(INSIDE).is_some() {
            return true;
        }
        if self.user.is_some() && !rustix::process::geteuid().is_root() {
            return true;
        }
        let output = self.run(test, &[]);
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        false
    }

    /// Runs one test, named in full, in a process like this.
    pub(crate) fn run(self, test: &str, variables: &[(&str, &OsStr)]) -> Output {
        let executable = Executable::new();
        let mut words: Vec<&str> = self.under.to_vec();
        let script = format!("{}\nexec \"$0\" \"$@\"", self.before);
        words.extend(["sh", "-c", &script]);
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg(&executable.path).args(["--exact", test, "--nocapture", "--include-ignored"]);
        command.env(INSIDE, "1").envs(variables.iter().copied()).current_dir("/");
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command.output().expect("a child")
    }
}

/// This test's program where any user can run it.
struct Executable {
    path: PathBuf,
    _directory: TempDir,
}

impl Executable {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("ours");
        let original = env::current_exe().expect("a program");
        let path = directory.path().join("test");
        fs::hard_link(&original, &path).or_else(|_| fs::copy(&original, &path).map(|_| ())).expect("copied");
        Self { path, _directory: directory }
    }
}

/// Tells whether tests may mount, in a namespace of their own.
pub(crate) fn may_mount() -> bool {
    let unshared = Command::new("unshare").args(["-m", "mount", "-t", "tmpfs", "none", "/mnt"]).output();
    unshared.is_ok_and(|output| output.status.success())
}
