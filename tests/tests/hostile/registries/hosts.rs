//! Who is asked: the native program, the npm client in Node, Debian's skopeo, and the crate `oci-client`.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use oci_fetcher_tests::place::Place;
use oci_fetcher_tests::process::{measure, required};
use oci_fetcher_tests::program;
use serde_json::{Value, json};

use super::answer::Answer;
use super::stage::{AUTHORITY, FAR_NAMES, NAMES, SECRET, Stage, USER, Verb};

/// The hosts, two of which are processes that run through all cases.
pub(crate) struct Hosts {
    place: Place,
    node: Mutex<Spoken>,
    client: Mutex<Spoken>,
}

impl Hosts {
    /// Makes ready what runs through all cases.
    pub(crate) fn new() -> Self {
        let place = Place::new();
        place.write("ca.pem", AUTHORITY.pem());
        let mut names = String::from("127.0.0.1 localhost\n");
        NAMES.iter().for_each(|name| writeln!(names, "127.0.0.1 {name}").expect("a string takes all"));
        FAR_NAMES.iter().for_each(|(name, address)| writeln!(names, "{address} {name}").expect("a string takes all"));
        place.write("hosts", names);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/registries/node.mjs");
        let mut node = among_names(&place, &required("node", "nodejs"));
        node.arg(script).env("NODE_EXTRA_CA_CERTS", place.path("ca.pem"));
        let mut client = among_names(&place, &std::env::current_exe().expect("a program knows where it is"));
        client.arg(super::client::ARGUMENT).arg(place.path("ca.pem"));
        let (node, client) = (Spoken::new("wasm", node), Spoken::new("client", client));
        Self { place, node: Mutex::new(node), client: Mutex::new(client) }
    }

    /// Runs a case on one host.
    pub(crate) fn ask(&self, host: &'static str, stage: &Stage) -> Answer {
        match host {
            "native" => self.native(stage),
            "wasm" => self.node.lock().expect("no case has panicked").ask(stage),
            "client" => self.client.lock().expect("no case has panicked").ask(stage),
            "skopeo" => self.skopeo(stage),
            other => panic!("there is no host {other}"),
        }
    }

    fn native(&self, stage: &Stage) -> Answer {
        let to = stage.place.text("parent/native");
        let verb: &[&str] = match stage.verb {
            Verb::Pull => &["pull", &stage.reference, &to],
            Verb::Get => &["get", &stage.reference, &to],
            Verb::Tags => &["tags", &stage.reference],
        };
        let mut command = among_names(&self.place, &program::path());
        program::isolate(&mut command, stage.place.root());
        command.args(verb).args(["-v", "--cache-dir", &stage.place.text("cache")]);
        command.args(["--first-byte-timeout", "3", "--no-progress-timeout", "3", "--connect-timeout", "3"]);
        if !stage.options.iter().any(|option| option == "--retries") {
            command.args(["--retries", "0"]);
        }
        if stage.is_tls() {
            command.arg("--ca-file").arg(self.place.path("ca.pem"));
        }
        if let Some(path) = stage.search_path() {
            command.env("PATH", path);
        }
        command.args(&stage.options);
        // A success is held to what a person sees; only JSON tells an error's code.
        if !stage.is_plain {
            command.arg("--json");
        }
        let measured = measure(&command);
        let shown = measured.stdout_text() + &measured.stderr_text();
        let told: Value = serde_json::from_slice(&measured.stdout).unwrap_or_default();
        let code = told["error"]["code"].as_str().unwrap_or_default().to_owned();
        Answer { host: "native", exit: measured.code.into(), code, shown, elapsed: measured.elapsed }
    }

    fn skopeo(&self, stage: &Stage) -> Answer {
        let mut command = among_names(&self.place, &required("skopeo", "skopeo"));
        program::isolate(&mut command, stage.place.root());
        command.env("SSL_CERT_FILE", self.place.path("ca.pem"));
        command.env("REGISTRY_AUTH_FILE", stage.place.path(".docker/config.json"));
        command.args([
            "--insecure-policy",
            "--command-timeout",
            "10s",
            "--override-os",
            "linux",
            "--override-arch",
            "amd64",
        ]);
        let source = match stage.reference.split_once(':') {
            Some(("oci", _)) => stage.reference.clone(),
            Some(_) | None => format!("docker://{}", stage.reference),
        };
        let verify = format!("tls-verify={}", stage.is_tls());
        match stage.verb {
            Verb::Tags => command.arg("list-tags").arg(format!("--{verify}")).arg(without_tag(&source)),
            Verb::Pull | Verb::Get => {
                let to = format!("dir:{}", stage.place.text("skopeo"));
                command.arg("copy").arg(format!("--src-{verify}")).args([source, to])
            }
        };
        let measured = measure(&command);
        let shown = measured.stdout_text() + &measured.stderr_text();
        Answer {
            host: "skopeo",
            exit: measured.code.into(),
            code: "error".to_owned(),
            shown,
            elapsed: measured.elapsed,
        }
    }
}

fn without_tag(reference: &str) -> &str {
    reference.strip_suffix(":1").unwrap_or(reference)
}

/// Makes a command that finds the cases' names in its `/etc/hosts`, and nobody else does.
fn among_names(place: &Place, program: &Path) -> Command {
    let mut command = Command::new(required("unshare", "util-linux"));
    command.args(["--mount", "--propagation", "private", "sh", "-c", "mount --bind \"$0\" /etc/hosts && exec \"$@\""]);
    command.arg(place.path("hosts")).arg(program);
    command
}

/// A process that is asked case after case: a line of JSON in, a line of JSON out.
struct Spoken {
    host: &'static str,
    command: Command,
    running: Option<Running>,
}

struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Spoken {
    fn new(host: &'static str, mut command: Command) -> Self {
        // What a case makes it print belongs into its answer.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        Self { host, command, running: None }
    }

    /// Asks, and starts the process first where there is none.
    fn exchange(&mut self, question: &Value) -> std::io::Result<String> {
        let running = match &mut self.running {
            Some(running) => running,
            none => none.insert(Running::start(&mut self.command)?),
        };
        let stdin = running.stdin.as_mut().expect("it is open until the end");
        writeln!(stdin, "{question}").and_then(|()| stdin.flush())?;
        let mut line = String::new();
        running.stdout.read_line(&mut line)?;
        Ok(line)
    }

    fn ask(&mut self, stage: &Stage) -> Answer {
        let question = json!({
            "verb": match stage.verb { Verb::Pull => "pull", Verb::Get => "get", Verb::Tags => "tags" },
            "reference": stage.reference,
            "tls": stage.is_tls(),
            "plainHttp": stage.options.iter().any(|option| option == "--plain-http"),
            "to": stage.place.text(&format!("parent/{}", self.host)),
            "cache": stage.place.text("cache"),
            "home": stage.place.root(),
            "username": USER,
            "password": SECRET,
            "path": stage.search_path(),
            "settings": stage.settings,
        });
        let begun = Instant::now();
        let line = self.exchange(&question).unwrap_or_default();
        let elapsed = begun.elapsed();
        let answer = serde_json::from_str(&line).unwrap_or_else(|_| {
            // The case has ended it: the next one gets another.
            self.running = None;
            json!({ "exit": 1, "code": CRASHED })
        });
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        let exit = answer["exit"].as_i64().unwrap_or(1);
        Answer { host: self.host, exit, code: text("code"), shown: text("shown"), elapsed }
    }
}

/// The code of an answer that did not come, since the process ended.
pub(crate) const CRASHED: &str = "crashed";

impl Running {
    fn start(command: &mut Command) -> std::io::Result<Self> {
        let mut child = command.spawn()?;
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().expect("the output is a pipe"));
        Ok(Self { child, stdin, stdout })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The end of its input is the end of its work.
        drop(self.stdin.take());
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(5) {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
