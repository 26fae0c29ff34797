//! The program, as root or as somebody without privileges.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use oci_fetcher_tests::process::{Measured, measure};
use oci_fetcher_tests::program;
use serde_json::Value;

use super::{Answer, Skipped};
use crate::archives::row::Row;

/// Who runs the program.
#[derive(Clone, Copy, Debug)]
pub(crate) enum As {
    /// Whoever runs the tests.
    Caller,
    /// Somebody else, without privileges.
    Other { uid: u32, gid: u32 },
}

/// The program, where everybody may run it.
#[derive(Clone, Debug)]
pub(crate) struct Native {
    pub(crate) program: PathBuf,
    pub(crate) runs_as: As,
    /// Where programs are looked up.
    pub(crate) path: OsString,
}

impl Native {
    /// Pulls an image into a directory.
    pub(crate) fn pull(&self, row: &Row, reference: &str, to: &Path, home: &Path, more: &[&str]) -> (Answer, Measured) {
        // Whatever the umask takes away, the image's modes are what counts.
        let mut command = Command::new("sh");
        program::isolate(&mut command, home);
        command.env("PATH", &self.path).env("TMPDIR", home).args([
            "-c",
            "umask 077; exec timeout --kill-after=5 600 \"$@\"",
            "sh",
        ]);
        if let As::Other { uid, gid } = self.runs_as {
            command.args(["setpriv", "--reuid", &uid.to_string(), "--regid", &gid.to_string(), "--clear-groups"]);
        }
        command.arg(&self.program).args(["pull", "--json", reference]).arg(to).args(more);
        if row.names == Some("report") {
            command.arg("--portable-names");
        }
        for (field, value) in &row.limits {
            command.arg(format!("--max-{}", field.replace('_', "-"))).arg(value.to_string());
        }
        let measured = measure(&command);
        (read(&measured), measured)
    }
}

fn read(measured: &Measured) -> Answer {
    let json: Value = serde_json::from_slice(&measured.stdout).unwrap_or_default();
    if measured.code != 0 || json.is_null() {
        let text = |key: &str| json["error"][key].as_str().unwrap_or_default().to_owned();
        let message = format!("{}\n{}", text("message"), measured.stderr_text());
        return Answer::Failed { exit: measured.code.into(), code: text("code"), message };
    }
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    Answer::Unpacked {
        lines: Vec::new(),
        skipped: list(&json["report"]["skipped"]).iter().map(Skipped::read).collect(),
        warnings: list(&json["warnings"]).iter().map(|text| text.as_str().unwrap_or_default().to_owned()).collect(),
    }
}
