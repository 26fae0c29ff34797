//! The npm package in Node: one process for all cases.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Answer, Skipped};
use crate::archives::row::Row;

/// A process that pulls what it is told to.
#[derive(Debug)]
pub(crate) struct JavaScript {
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    /// The most memory that it was seen to have, in bytes.
    pub(crate) resident: u64,
    /// What processors worked for the last pull.
    pub(crate) busy: Duration,
}

impl JavaScript {
    /// Starts it, with this as its PATH.
    ///
    /// # Panics
    ///
    /// Panics if the package was not built, with the commands that build it.
    pub(crate) fn start(path: &OsStr) -> Self {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
        let built = tests.join("../js/dist/entry/node.js");
        assert!(built.exists(), "{} is missing: npm --prefix js ci && npm --prefix js run build", built.display());
        let mut child = Command::new("node")
            .arg(tests.join("tests/hostile/archives/pull.mjs"))
            .env("PATH", path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node is installed");
        let answers = BufReader::new(child.stdout.take().expect("it is piped"));
        Self { requests: child.stdin.take(), child, answers, resident: 0, busy: Duration::ZERO }
    }

    /// Pulls an image into memory, and counts the entries of its layers without reading them back.
    pub(crate) fn count(&mut self, reference: &str) -> Result<u64, String> {
        let answer = self.ask(&json!({ "reference": reference, "to": null, "limits": {}, "count": true }));
        answer["entries"].as_u64().ok_or_else(|| answer.to_string())
    }

    /// Pulls an image, into a directory or into memory.
    pub(crate) fn pull(&mut self, row: &Row, reference: &str, to: Option<&Path>, replace: bool) -> Answer {
        let limits: serde_json::Map<String, Value> =
            row.limits.iter().map(|(field, value)| (camel_case(field), json!(value))).collect();
        let request =
            json!({ "reference": reference, "to": to, "limits": limits, "replace": replace, "names": row.names });
        read_answer(&self.ask(&request))
    }

    fn ask(&mut self, request: &Value) -> Value {
        let sent = self.requests.as_mut().map(|requests| writeln!(requests, "{request}"));
        let mut line = String::new();
        let read = self.answers.read_line(&mut line);
        if !matches!(sent, Some(Ok(()))) || !matches!(read, Ok(1..)) {
            return json!({ "error": { "code": "crashed", "exit": -1, "message": "Node has ended" } });
        }
        let answer: Value = serde_json::from_str(&line).expect("it writes JSON");
        self.busy = Duration::from_micros(answer["busy"].as_u64().unwrap_or(u64::MAX));
        self.resident = self.resident.max(answer["resident"].as_u64().unwrap_or(u64::MAX));
        answer
    }
}

impl Drop for JavaScript {
    fn drop(&mut self) {
        // The end of its input is its end.
        self.requests = None;
        let _ = self.child.wait();
    }
}

fn read_answer(answer: &Value) -> Answer {
    if let Value::Object(error) = &answer["error"] {
        let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
        let exit = error["exit"].as_i64().unwrap_or(-1);
        return Answer::Failed { exit, code: text("code"), message: text("message") };
    }
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let texts = |value: &Value| list(value).iter().filter_map(Value::as_str).map(str::to_owned).collect();
    Answer::Unpacked {
        lines: texts(&answer["lines"]),
        skipped: list(&answer["skipped"]).iter().map(Skipped::read).collect(),
        warnings: texts(&answer["warnings"]),
    }
}

fn camel_case(field: &str) -> String {
    let mut words = field.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (initial, rest) = word.split_at(1);
        name + &initial.to_ascii_uppercase() + rest
    })
}
