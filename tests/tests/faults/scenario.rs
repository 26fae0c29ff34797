//! The commands that are broken, where they start from and what they are to bring about.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use oci_fetcher_tests::content::Content;
use oci_fetcher_tests::image::{Artifact, Compression, Image, Layer};
use oci_fetcher_tests::place::Place;
use oci_fetcher_tests::program;
use oci_fetcher_tests::registry::{Action, Method, Registry, Rule};
use oci_fetcher_tests::tls::Authority;

use crate::calls::{Call, Fault};
use crate::tracer::{Point, trace};

/// A command, and the state of its surroundings when it starts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    /// What its points are named by.
    pub(crate) name: &'static str,
    /// What is pulled to where.
    pub(crate) target: Target,
    /// What there is before.
    pub(crate) start: Start,
    options: &'static [&'static str],
}

/// What a command makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// `pull IMAGE out`
    Directory,
    /// `pull IMAGE --layout out`
    Layout,
    /// `pull IMAGE --tar out`
    Tar,
    /// `get ARTIFACT -o out`
    File,
    /// `get ARTIFACT out`
    Files,
}

impl Target {
    /// Returns what is pulled for it.
    pub(crate) fn image(self) -> &'static str {
        match self {
            Self::Directory | Self::Layout | Self::Tar => "app:1",
            Self::File => "file:1",
            Self::Files => "files:1",
        }
    }
}

/// What there is before a command starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Nothing,
    /// All blobs are in the cache.
    Cached,
    /// A download of the large layer broke off.
    Halfway,
    /// The same command was killed in the middle.
    Killed,
    /// A directory to be replaced.
    Existing,
}

/// All scenarios.
pub(crate) const SCENARIOS: [Scenario; 10] = [
    Scenario::new("directory", Target::Directory, Start::Nothing, &[]),
    Scenario::new("layout", Target::Layout, Start::Nothing, &[]),
    Scenario::new("tar", Target::Tar, Start::Nothing, &[]),
    Scenario::new("file", Target::File, Start::Nothing, &[]),
    Scenario::new("files", Target::Files, Start::Nothing, &[]),
    Scenario::new("cached", Target::Directory, Start::Cached, &[]),
    Scenario::new("resumed", Target::Directory, Start::Halfway, &[]),
    Scenario::new("after-kill", Target::Directory, Start::Killed, &[]),
    Scenario::new("replaced", Target::Directory, Start::Existing, &["--force"]),
    Scenario::new("uncached", Target::Directory, Start::Nothing, &["--no-cache"]),
];

impl Scenario {
    const fn new(name: &'static str, target: Target, start: Start, options: &'static [&'static str]) -> Self {
        Self { name, target, start, options }
    }

    /// Tells whether blobs are kept.
    pub(crate) fn has_cache(&self) -> bool {
        !self.options.contains(&"--no-cache")
    }
}

/// A registry, a place, and the states that scenarios start from: one for each worker.
pub(crate) struct Bench {
    pub(crate) registry: Registry,
    place: Place,
}

impl Bench {
    /// Makes one in memory, where there is a file system there.
    pub(crate) fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() { Place::within(memory) } else { Place::new() };
        place.write("authority.pem", Authority::new().pem());
        Self { registry: Registry::open(content()), place }
    }

    /// Returns the folder in which a command runs, with its home in it.
    pub(crate) fn work(&self) -> PathBuf {
        self.place.path("work")
    }

    /// Returns what the command makes.
    pub(crate) fn out(&self) -> PathBuf {
        self.place.path("work/parent/out")
    }

    /// Returns the folder that holds what the command makes.
    pub(crate) fn parent(&self) -> PathBuf {
        self.place.path("work/parent")
    }

    pub(crate) fn temporary(&self) -> PathBuf {
        self.place.path("work/tmp")
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.place.path("work/home/.cache/oci-fetcher")
    }

    /// Makes a scenario's command.
    pub(crate) fn command(&self, scenario: &Scenario) -> Command {
        let reference = format!("{}/{}", self.registry.host(), scenario.target.image());
        let mut command = program::command(&self.place.path("work/home"));
        command.current_dir(self.parent());
        // Nothing is encrypted here; certificates are read all the same, and one will do.
        command.env("SSL_CERT_FILE", self.place.path("authority.pem")).env_remove("SSL_CERT_DIR");
        command.env("TMPDIR", self.temporary());
        match scenario.target {
            Target::Directory => command.args(["pull", &reference, "out"]),
            Target::Layout => command.args(["pull", &reference, "--layout", "out"]),
            Target::Tar => command.args(["pull", &reference, "--tar", "out"]),
            Target::File => command.args(["get", &reference, "-o", "out"]),
            Target::Files => command.args(["get", &reference, "out"]),
        };
        command.args(["--concurrency", "1", "--retries", "1"]).args(scenario.options);
        command
    }

    /// Makes a command for the layout that fails once it has begun.
    pub(crate) fn failing_command(&self) -> Command {
        let mut command = program::command(&self.place.path("work/home"));
        command.current_dir(self.parent()).env("SSL_CERT_FILE", self.place.path("authority.pem"));
        command.args(["pull", &format!("{}/absent:1", self.registry.host()), "--layout", "out"]);
        command
    }

    /// Brings the place into a scenario's first state.
    pub(crate) fn reset(&self, scenario: &Scenario) {
        self.registry.forget_rules();
        self.registry.forget_requests();
        if scenario.start == Start::Nothing {
            self.empty();
            return;
        }
        let seed = self.place.path(&format!("seed-{}", scenario.name));
        if !seed.exists() {
            self.seed(scenario);
            copy(&self.work(), &seed);
        }
        self.empty();
        copy(&seed, &self.work());
        self.registry.forget_requests();
    }

    fn empty(&self) {
        if self.work().exists() {
            fs::remove_dir_all(self.work()).expect("ours");
        }
        for folder in ["work/home", "work/parent", "work/tmp"] {
            fs::create_dir_all(self.place.path(folder)).expect("writable");
        }
    }

    fn seed(&self, scenario: &Scenario) {
        self.empty();
        match scenario.start {
            Start::Nothing => {}
            Start::Cached => {
                run(&mut self.command(scenario), 0);
                fs::remove_dir_all(self.out()).expect("made just now");
            }
            Start::Halfway => {
                let cut = Rule::on(Method::Get, "/v2/*/blobs/*").after(3).then(Action::CutBody(LARGE as u64 / 2));
                self.registry.add_rule(cut);
                run(&mut self.command(scenario), 5);
                self.registry.forget_rules();
            }
            Start::Killed => {
                let kill = |nth| Point { call: Call::Write, nth, fault: Fault::KillAfter };
                let whole = trace(&self.command(scenario), None, PATIENCE);
                let writes = whole.counts.get(&Call::Write).copied().unwrap_or_default();
                self.empty();
                let killed = trace(&self.command(scenario), Some(kill(writes * 3 / 4)), PATIENCE);
                assert!(killed.fired && killed.code == 137, "{killed:?}");
            }
            Start::Existing => {
                fs::create_dir(self.out()).expect("writable");
                fs::write(self.out().join("old"), b"old").expect("writable");
            }
        }
    }
}

/// No run takes so long, not even on a machine that is busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of the layer that does not shrink.
const LARGE: usize = 150_000;

fn run(command: &mut Command, code: i32) {
    let output = command.output().expect("the program runs");
    assert_eq!(output.status.code(), Some(code), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Makes an image of three layers, and an artifact of two files.
pub(crate) fn content() -> Content {
    let below = Layer::new()
        .directory("etc", 0o755)
        .file("etc/name", b"lower")
        .owner(1000, 1000)
        .file("etc/gone", b"gone")
        .symlink("etc/link", "name")
        .directory("old", 0o700)
        .file("old/file", b"old");
    let above = Layer::new()
        .file("etc/name", b"upper")
        .mode(0o4755)
        .whiteout("etc/gone")
        .whiteout("old")
        .file("etc/first", b"linked")
        .xattr("user.note", b"kept")
        .hard_link("etc/second", "etc/first")
        .fifo("etc/pipe");
    let large = noise(LARGE);
    let mut content = Content::new();
    content.push(
        "app",
        "1",
        Image::new()
            .layer(below)
            .layer(above.compress(Compression::Zstd))
            .layer(Layer::new().file("usr/large", &large).compress(Compression::None)),
    );
    let artifact = Artifact::new("application/vnd.example.plugin");
    content.push("file", "1", artifact.clone().file("plugin", &large[..70_000]));
    content.push("files", "1", artifact.file("plugin", &large[..70_000]).file("notes", b"notes"));
    content
}

/// Makes bytes that do not shrink.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}

/// Copies a tree of plain files, directories, links and sockets.
fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg("-T").arg(from).arg(to).status().expect("cp runs");
    assert!(status.success(), "{}", from.display());
}
