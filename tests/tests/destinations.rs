//! What may stand at a destination, what becomes of it, and what is refused before anything is asked.
#![cfg(unix)]

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use oci_fetcher_tests::compare::Comparison;
use oci_fetcher_tests::content::Content;
use oci_fetcher_tests::image::{Image, Layer};
use oci_fetcher_tests::place::Place;
use oci_fetcher_tests::process::{Measured, measure};
use oci_fetcher_tests::program;
use oci_fetcher_tests::registry::{Action, Method, Options, Registry, Rule};

fn content() -> Content {
    let mut content = Content::new();
    let layer = Layer::new().directory("d", 0o755).file("d/a", b"content").symlink("l", "d/a");
    content.push("app", "1", Image::new().layer(layer));
    content
}

fn source(registry: &Registry) -> String {
    format!("{}/app:1", registry.host())
}

/// Lists a directory of a place with all that can be told of it.
fn listing(place: &Place, name: &str) -> String {
    Comparison::new().listing(&place.path(name))
}

fn inode(path: &Path) -> u64 {
    path.symlink_metadata().expect("it is there").ino()
}

/// A pull that must be refused before anything is asked of the registry, and must change nothing.
#[track_caller]
fn assert_refused(place: &Place, registry: &Registry, command: &mut Command, exit: i32, code: &str) {
    let before = listing(place, "");
    registry.forget_requests();
    let refused = measure(command.args(["--json", "--no-cache"])).expect_code(exit);
    assert_eq!(refused.json()["error"]["code"], code, "{refused:?}");
    assert!(refused.json()["error"]["advice"].is_string(), "{refused:?}");
    assert_eq!(registry.requests().len(), 0, "{command:?}");
    assert_eq!(listing(place, ""), before, "{command:?}");
}

#[test]
fn an_empty_directory_is_filled_in_place() {
    let place = Place::new();
    let registry = Registry::open(content());
    place.pull(&source(&registry), "fresh", &[]).expect_code(0);
    std::fs::create_dir(place.path("empty")).expect("writable");
    std::os::unix::fs::symlink("behind", place.path("link")).expect("writable");
    std::fs::create_dir(place.path("behind")).expect("writable");
    for (name, at) in [("empty", "empty"), ("link", "behind"), ("absent", "absent")] {
        let before = place.path(at).symlink_metadata().map(|metadata| metadata.ino()).ok();
        let filled = place.pull(&source(&registry), name, &["--in-place"]).expect_code(0);
        assert!(filled.stderr_text().contains("warning: "), "atomicity is given up openly: {filled:?}");
        assert!(before.is_none_or(|before| before == inode(&place.path(at))), "{name}: the directory itself is filled");
        Comparison::new().assert_equal(&place.path("fresh"), &place.path(at));
    }
    assert_eq!(place.names(""), [".cache", "absent", "behind", "empty", "fresh", "link"]);
}

#[test]
fn in_place_nothing_is_replaced() {
    let place = Place::new();
    let registry = Registry::open(content());
    place.write("full/mine", b"mine");
    place.write("file", b"mine");
    let pull = |to: &str, more: &[&str]| {
        place.command(&[&["pull", &source(&registry), &place.text(to), "--in-place"], more].concat())
    };
    assert_refused(&place, &registry, &mut pull("full", &[]), 2, "destination-not-empty");
    measure(&pull("full", &["--force"])).expect_code(2);
    assert_ne!(measure(&pull("file", &[])).code, 0);
    assert_eq!((place.read("full/mine"), place.read("file")), (b"mine".to_vec(), b"mine".to_vec()));
    assert_eq!(registry.requests().len(), 0);
}

#[test]
fn what_is_not_empty_stays_unless_it_is_forced() {
    let place = Place::new();
    let registry = Registry::open(content());
    place.pull(&source(&registry), "fresh", &[]).expect_code(0);
    place.write("full/mine", b"mine");
    place.write("file", b"mine");
    for (to, code) in [("full", "destination-not-empty"), ("file", "destination-not-directory")] {
        let mut command = place.command(&["pull", &source(&registry), &place.text(to)]);
        assert_refused(&place, &registry, &mut command, 2, code);
    }
    // A pull that fails leaves what it was to replace.
    let before = listing(&place, "full");
    let broken = Registry::open(content());
    broken.add_rule(Rule::on(Method::Get, "/v2/app/blobs/*").then(Action::FlipByte(30)));
    place.pull(&source(&broken), "full", &["--force", "--no-cache"]).expect_code(6);
    assert_eq!(listing(&place, "full"), before);
    for to in ["full", "file", "fresh", "absent"] {
        place.pull(&source(&registry), to, &["--force"]).expect_code(0);
        Comparison::new().assert_equal(&place.path("fresh"), &place.path(to));
    }
    assert_eq!(place.names(""), [".cache", "absent", "file", "fresh", "full"], "nothing is left beside them");
    // An empty directory needs no force.
    std::fs::create_dir(place.path("empty")).expect("writable");
    place.pull(&source(&registry), "empty", &[]).expect_code(0);
    Comparison::new().assert_equal(&place.path("fresh"), &place.path("empty"));
}

#[test]
fn some_places_are_never_replaced() {
    let place = Place::new();
    let registry = Registry::open(content());
    place.write("home/mine", b"mine");
    place.write("working/inner/mine", b"mine");
    place.write("target/mine", b"mine");
    std::os::unix::fs::symlink("target", place.path("link")).expect("writable");
    std::os::unix::fs::symlink("nowhere", place.path("dangling")).expect("writable");
    let made = Command::new("mkfifo").arg(place.path("pipe")).status().expect("mkfifo runs");
    assert!(made.success());
    let cases = [
        ("/", "destination-protected"),
        ("//", "destination-protected"),
        ("HOME", "destination-protected"),
        ("HOME/.", "destination-protected"),
        ("HOME/..", "destination-protected"),
        (".", "destination-protected"),
        ("..", "destination-protected"),
        ("../../working", "destination-protected"),
        ("../../link", "destination-symlink"),
        ("../../dangling", "destination-symlink"),
        ("../../pipe", "destination-not-directory"),
    ];
    for (to, code) in cases {
        let to = to.replace("HOME", &place.text("home"));
        let mut command = place.command(&["pull", &source(&registry), &to, "--force"]);
        command.env("HOME", place.path("home")).current_dir(place.path("working/inner"));
        assert_refused(&place, &registry, &mut command, 2, code);
    }
    assert_eq!(place.read("target/mine"), b"mine");
}

/// Runs the program with a file system of its own mounted at `mounted`, which is listed afterwards.
fn run_with_mount(place: &Place, arguments: &[&str]) -> Measured {
    std::fs::create_dir_all(place.path("mounted")).expect("writable");
    let script = "mount -t tmpfs none \"$1\" && at=$1 && shift && \"$@\"; code=$?; ls -A \"$at\" >&2; exit $code";
    let mut command = Command::new("unshare");
    program::isolate(&mut command, place.root());
    command.args(["-m", "sh", "-c", script, "sh"]).arg(place.path("mounted")).arg(program::path()).args(arguments);
    measure(&command)
}

#[test]
fn a_mount_point_is_refused_before_anything_is_fetched() {
    let place = Place::new();
    let registry = Registry::open(content());
    let (source, at) = (source(&registry), place.text("mounted"));
    for force in [&[][..], &["--force"]] {
        let refused = run_with_mount(&place, &[&["pull", &source, &at, "--json"], force].concat()).expect_code(8);
        assert_eq!(refused.json()["error"]["code"], "destination-mount-point");
        assert!(refused.json()["error"]["advice"].as_str().expect("text").contains("--in-place"));
        assert_eq!(refused.stderr_text(), "", "nothing is left in it");
    }
    assert_eq!(registry.requests().len(), 0);
    let filled = run_with_mount(&place, &["pull", &source, &at, "--json", "--in-place"]).expect_code(0);
    assert_eq!(filled.stderr_text().lines().filter(|line| !line.contains("warning")).collect::<Vec<_>>(), ["d", "l"]);
    let below = run_with_mount(&place, &["pull", &source, &format!("{at}/below"), "--json"]).expect_code(0);
    assert_eq!(below.stderr_text(), "below\n");
}

#[test]
fn missing_parents_come_with_the_destination() {
    let place = Place::new();
    let registry = Registry::start(content(), Options::new());
    place.pull(&source(&registry), "a/b/c/out", &[]).expect_code(0);
    assert_eq!(place.read("a/b/c/out/d/a"), b"content");
    assert_eq!(place.names("a/b/c"), ["out"]);
    // They go with it, too.
    place.pull(&format!("{}/app:none", registry.host()), "x/y/out", &[]).expect_code(3);
    assert!(!place.path("x").exists());
    let relative = ["pull", &source(&registry), "r/s"];
    measure(place.command(&relative).current_dir(place.root())).expect_code(0);
    assert_eq!(place.read("r/s/d/a"), b"content");
    // A file on the way is none.
    place.write("file", b"mine");
    let failed = place.pull(&source(&registry), "file/out", &[]);
    assert!([2, 8].contains(&failed.code), "{failed:?}");
    assert_eq!(place.read("file"), b"mine");
}

#[test]
fn a_destination_is_not_mistaken_for_a_source() {
    let place = Place::new();
    let registry = Registry::open(content());
    let other = format!("{}/app@sha256:{}", registry.host(), "0".repeat(64));
    for last in ["docker://app", "oci:layout", "oci-archive:file", "docker-archive:file", &other] {
        let mut command = place.command(&["pull", &source(&registry), last]);
        command.current_dir(place.root());
        assert_refused(&place, &registry, &mut command, 2, "source-as-directory");
    }
    let mut alone = place.command(&["pull", &source(&registry)]);
    assert_refused(&place, &registry, &mut alone, 2, "no-destination");
}
