//! What a killed process leaves of files and of a pull without a cache: the same command, run again,
//! removes it, and touches nothing of a living one.
#![cfg(unix)]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use oci_fetcher_tests::content::Content;
use oci_fetcher_tests::image::{Artifact, Compression, Image, Layer};
use oci_fetcher_tests::place::Place;
use oci_fetcher_tests::process::measure;
use oci_fetcher_tests::program;
use oci_fetcher_tests::registry::{Action, Method, Registry, Rule};

fn content() -> Content {
    let mut content = Content::new();
    content.push(
        "app",
        "1",
        Image::new().layer(Layer::new().file("a", vec![1; 3_000_000]).compress(Compression::None)),
    );
    content.push("plugin", "1", Artifact::new("application/vnd.example.plugin").file("plugin.bin", vec![2; 3_000_000]));
    content
}

/// Serves blobs so slowly that there is time for a kill.
fn slow() -> Registry {
    let slice = Action::Slice { bytes: 64 << 10, pause: Duration::from_millis(50) };
    let registry = Registry::open(content());
    registry.add_rule(Rule::on(Method::Get, "/v2/*/blobs/*").then(slice));
    registry
}

/// Kills a command as soon as `begun` holds.
fn kill_once(command: &mut Command, begun: impl Fn() -> bool) {
    let mut child: Child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
    let deadline = Instant::now() + Duration::from_secs(60);
    while !begun() {
        assert!(child.try_wait().expect("waitable").is_none(), "it ended before it was killed");
        assert!(Instant::now() < deadline, "it never began");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().expect("killable");
    child.wait().expect("it ends");
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("readable");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("readable").file_name().into_string().expect("plain")).collect();
    names.sort();
    names
}

#[test]
fn single_files_leave_nothing_after_a_kill_and_a_second_run() {
    let registry = slow();
    let app = format!("{}/app:1", registry.host());
    let plugin = format!("{}/plugin:1", registry.host());
    let manifest = Artifact::new("application/vnd.example.plugin").file("plugin.bin", vec![2; 3_000_000]).pack();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest.bytes).expect("JSON");
    let blob = manifest["layers"][0]["digest"].as_str().expect("a digest");
    for (arguments, left) in [
        (&["pull", &app, "--tar", "out/file"][..], &["file"][..]),
        (&["get", &plugin, "-o", "out/file"], &["file"]),
        (&["blob", &plugin, blob, "-o", "out/file"], &["file"]),
        (&["get", &plugin, "files", "--report", "out/file"], &["file"]),
    ] {
        let place = Place::new();
        let folder = place.path("out");
        std::fs::create_dir(&folder).expect("writable");
        for bystander in [".other.oci-fetcher-dead00", ".oci-fetcher-dead00"] {
            std::fs::write(folder.join(bystander), b"another's").expect("writable");
        }
        let command = || {
            let mut command = program::command(place.root());
            command.current_dir(place.root()).args(arguments);
            command
        };
        kill_once(&mut command(), || names(&folder).len() > 2 && registry.blob_downloads() > 0);
        registry.forget_requests();
        assert_eq!(names(&folder).len(), 3, "{arguments:?}: {:?}", names(&folder));
        measure(&command()).expect_code(0);
        registry.forget_requests();
        let expected = [&[".oci-fetcher-dead00", ".other.oci-fetcher-dead00"], left].concat();
        assert_eq!(names(&folder), expected, "{arguments:?}");
        // Where the file stands, the command is refused; what was left goes all the same. The files
        // of an artifact are then what they are to be, and a report is written anew.
        std::fs::write(folder.join(".file.oci-fetcher-dead00"), b"x").expect("writable");
        measure(&command()).expect_code(if arguments.contains(&"--report") { 0 } else { 2 });
        assert_eq!(names(&folder), expected, "{arguments:?}");
    }
}

#[test]
fn the_files_of_an_artifact_leave_nothing_either() {
    let place = Place::new();
    let registry = Registry::open(content());
    let plugin = format!("{}/plugin:1", registry.host());
    std::fs::create_dir(place.path("out")).expect("writable");
    std::fs::write(place.path("out/.plugin.bin.oci-fetcher-dead00"), b"x").expect("writable");
    let out = place.path("out");
    place.run(&["get", &plugin, out.to_str().expect("plain")]).expect_code(0);
    assert_eq!(names(&out), ["plugin.bin"]);
}

#[test]
fn without_a_cache_nothing_is_left_among_temporary_files() {
    let place = Place::new();
    let registry = slow();
    let temporary = place.path("tmp");
    std::fs::create_dir(&temporary).expect("writable");
    std::fs::create_dir(temporary.join("oci-fetcher-layout")).expect("writable");
    let command = |to: &str| {
        let mut command = program::command(place.root());
        command.args(["pull", "--no-cache", &format!("{}/app:1", registry.host())]).arg(place.path(to));
        command.env("TMPDIR", &temporary);
        command
    };
    let begun = || names(&temporary).len() > 1;
    kill_once(&mut command("out"), begun);
    assert_eq!(names(&temporary).len(), 2, "{:?}", names(&temporary));

    // A living one keeps its folder, whoever comes meanwhile.
    let mut living = command("living").stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
    while registry.blob_downloads() < 2 {
        std::thread::sleep(Duration::from_millis(2));
    }
    measure(&command("out")).expect_code(0);
    assert!(living.wait().expect("it ends").success());
    assert_eq!(names(&temporary), ["oci-fetcher-layout"]);
    for name in ["out", "living"] {
        assert_eq!(std::fs::read(place.path(name).join("a")).expect("there"), vec![1; 3_000_000]);
    }
    assert!(!place.path(".cache").exists());
}

#[test]
fn the_cache_forgets_what_killed_processes_were_writing() {
    let place = Place::new();
    let registry = Registry::open(content());
    let partial = place.path(".cache/oci-fetcher/partial");
    std::fs::create_dir_all(&partial).expect("writable");
    std::fs::write(partial.join(".tmp-dead00"), b"x").expect("writable");
    place.run(&["digest", &format!("{}/app:1", registry.host())]).expect_code(0);
    assert_eq!(names(&partial), Vec::<String>::new());
}
