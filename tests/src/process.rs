//! Runs commands and measures them.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// What a command did, and what it took.
#[derive(Clone)]
pub struct Measured {
    /// Its exit code; 128 plus the signal's number if a signal ended it.
    pub code: i32,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: Vec<u8>,
    /// The time from start to end.
    pub elapsed: Duration,
    /// The time that processors worked for it, in the system too: the same on a busy machine, nearly.
    pub busy: Duration,
    /// The most memory it had resident at any time, in bytes.
    pub peak_memory: u64,
}

impl Measured {
    /// Returns standard output as text.
    #[must_use]
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Returns standard error as text.
    #[must_use]
    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Returns the JSON value that standard output is, whole and alone.
    ///
    /// # Panics
    ///
    /// Panics with both outputs if it is something else.
    #[track_caller]
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Returns this if the exit code is `code`.
    ///
    /// # Panics
    ///
    /// Panics with both outputs if it is another.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert!(self.code == code, "expected exit code {code}: {self:?}");
        self
    }
}

impl fmt::Debug for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "exit code {} after {:?}, {} bytes at most", self.code, self.elapsed, self.peak_memory)?;
        write!(f, "--- stdout\n{}--- stderr\n{}", self.stdout_text(), self.stderr_text())
    }
}

/// Runs a command to its end, and measures it.
///
/// Its standard input is empty. The command runs under GNU time: the kernel counts a parent's memory
/// towards its child's peak up to the child's `exec`, and GNU time is a small parent. `env_clear` and
/// standard streams are the settings of the command that are lost.
///
/// ```
/// use std::process::Command;
/// use oci_fetcher_tests::process::measure;
///
/// let measured = measure(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"])).expect_code(3);
/// assert_eq!((measured.stdout_text().as_str(), measured.stderr_text().as_str()), ("out\n", "err\n"));
/// assert!(measured.peak_memory > 100_000);
/// ```
#[must_use]
pub fn measure(command: &Command) -> Measured {
    measure_with_input(command, b"")
}

/// Runs a command that reads these bytes from standard input, and measures it as [`measure`] does.
#[must_use]
pub fn measure_with_input(command: &Command, input: &[u8]) -> Measured {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    // A file and not a pipe, which would stand still with a command that does not read it.
    let stdin = directory.path().join("stdin");
    fs::write(&stdin, input).expect("a file can be made");
    let stdin = File::open(&stdin).expect("the file exists");
    let figures = directory.path().join("figures");
    let mut timed = Command::new(required("/usr/bin/time", "time"));
    timed.args(["--quiet", "--format=%M %U %S", "--output"]).arg(&figures).arg("--");
    timed.arg(command.get_program()).args(command.get_args()).stdin(stdin);
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => timed.env(name, value),
            None => timed.env_remove(name),
        };
    }
    if let Some(path) = command.get_current_dir() {
        timed.current_dir(path);
    }
    let started = Instant::now();
    let output = timed.output().unwrap_or_else(|error| panic!("/usr/bin/time: {error}"));
    let elapsed = started.elapsed();
    let figures = fs::read_to_string(&figures).unwrap_or_default();
    let line: Vec<&str> = figures.lines().last().unwrap_or_default().split_whitespace().collect();
    let kibibytes = line.first().and_then(|number| number.parse::<u64>().ok());
    let seconds: f64 = line.iter().skip(1).filter_map(|number| number.parse::<f64>().ok()).sum();
    let code = output.status.code().expect("GNU time reports the signal of its child as an exit code");
    let peak_memory = kibibytes.unwrap_or_else(|| panic!("GNU time measured nothing: {figures}")) * 1024;
    let busy = Duration::from_secs_f64(seconds);
    Measured { code, stdout: output.stdout, stderr: output.stderr, elapsed, busy, peak_memory }
}

/// Finds a program by path or on `PATH`.
///
/// # Panics
///
/// Panics with the name of the Debian package if it is missing: a test that is skipped in silence proves nothing.
#[track_caller]
#[must_use]
pub fn required(program: &str, package: &str) -> PathBuf {
    let found = if program.contains('/') {
        Some(PathBuf::from(program)).filter(|path| path.is_file())
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).map(|directory| directory.join(program)).find(|path| path.is_file())
    };
    found.unwrap_or_else(|| panic!("{program} is missing: apt-get install {package}"))
}

/// Runs a program that must succeed, and returns its standard output.
///
/// # Panics
///
/// Panics with its standard error if it fails.
#[track_caller]
pub fn run(program: &Path, arguments: &[&OsStr]) -> Vec<u8> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {arguments:?}: {}\n{stderr}", program.display(), output.status);
    output.stdout
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peak_memory_is_the_commands_own() {
        // Held by this process, and not to be counted.
        let ballast = vec![1_u8; 64 << 20];
        let small = measure(&Command::new("true")).expect_code(0);
        assert!(small.peak_memory < 16 << 20, "{small:?}");
        assert_eq!(ballast.len(), 64 << 20);
        let large = measure(Command::new("sh").args(["-c", "head -c 48m /dev/zero | tail -c 40m | wc -c"]));
        assert!(large.stdout_text().starts_with("41943040") && large.peak_memory > 40 << 20, "{large:?}");
    }

    #[test]
    fn a_signal_and_the_surroundings_are_seen() {
        let killed = measure(Command::new("sh").args(["-c", "kill -9 $$"]));
        assert_eq!(killed.code, 128 + 9, "{killed:?}");
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let script = "pwd; echo $GREETING; cat";
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(directory.path()).env("GREETING", "hello");
        let physical = directory.path().canonicalize().expect("the directory exists");
        let told = format!("{}\nhello\n", physical.display());
        assert_eq!(measure(&command).expect_code(0).stdout_text(), told);
        assert_eq!(measure_with_input(&command, b"input").expect_code(0).stdout_text(), format!("{told}input"));
    }

    #[test]
    #[should_panic(expected = "no-such-program is missing: apt-get install no-such-package")]
    fn a_missing_program_is_named() {
        let _ = required("no-such-program", "no-such-package");
    }
}
