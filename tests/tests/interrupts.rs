//! Signals: whoever is told to end cleans up, and the same command goes on where it stopped.
#![cfg(unix)]

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use oci_fetcher_tests::compare::Comparison;
use oci_fetcher_tests::content::Content;
use oci_fetcher_tests::image::{Compression, Image, Layer};
use oci_fetcher_tests::place::Place;
use oci_fetcher_tests::registry::{Action, Method, Registry, Rule};
use rustix::process::{Pid, Signal, kill_process};

/// Two layers, the second of which is a file of a megabyte.
fn content() -> Content {
    let large = Layer::new().file("large", vec![5; 1 << 20]).compress(Compression::None);
    let mut content = Content::new();
    content.push("app", "1", Image::new().layer(Layer::new().file("small", b"small")).layer(large.clone()));
    content.push(
        "file",
        "1",
        oci_fetcher_tests::image::Artifact::new("application/vnd.example").file("a", large.tar()),
    );
    content
}

/// Starts a command, and returns once the large blob stands still in the middle.
fn start_and_stall(place: &Place, registry: &Registry, arguments: &[&str]) -> Child {
    registry.forget_rules();
    registry.forget_requests();
    registry.add_rule(Rule::on(Method::Get, "/v2/*/blobs/*").then(Action::StallBody(STALLED)));
    let mut command = place.command(arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let deadline = Instant::now() + START_MAX;
    while !registry.requests().iter().any(|request| request.bytes_sent >= STALLED) {
        let ended = child.try_wait().expect("the process is ours");
        assert!(ended.is_none() && Instant::now() < deadline, "{arguments:?} never came so far: {ended:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

/// Bytes of a body after which nothing comes any more.
const STALLED: u64 = 600_000;

/// How long a start may take on a machine that is busy with other tests.
const START_MAX: Duration = Duration::from_secs(60);

fn send(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process number")).expect("not zero");
    kill_process(pid, signal).expect("the process has not been waited for");
}

const SIGNALS: [(Signal, i32, &str); 2] = [(Signal::INT, 130, "interrupted"), (Signal::TERM, 143, "terminated")];

#[test]
fn nothing_is_left_beside_any_destination() {
    let place = Place::new();
    let registry = Registry::open(content());
    let (app, file) = (format!("{}/app:1", registry.host()), format!("{}/file:1", registry.host()));
    let parent = |name: &str| place.text(&format!("parent/{name}"));
    let (out, forced, layout, tar, one, files, report) = (
        parent("new/out"),
        parent("forced"),
        parent("layout"),
        parent("tar"),
        parent("one"),
        parent("files"),
        parent("r"),
    );
    place.write("parent/forced/mine", b"mine");
    place.write("parent/victim", b"precious");
    let before = Comparison::new().ignore_modified_of([""]).listing(&place.path("parent"));
    for (signal, exit, code) in SIGNALS {
        for cache in [&[][..], &["--no-cache"]] {
            for arguments in [
                &["pull", &app, &out, "--json"][..],
                &["pull", &app, &out, "--json", "--report", &report],
                &["pull", &app, &forced, "--force", "--json"],
                &["pull", &app, "--layout", &layout, "--json"],
                &["pull", &app, "--tar", &tar, "--json"],
                &["get", &file, "-o", &one, "--json"],
                &["get", &file, &files, "--json"],
            ] {
                let arguments = [arguments, cache].concat();
                // A partial download would be resumed behind the point where it is to stand still.
                let _ = std::fs::remove_dir_all(place.path(".cache"));
                let child = start_and_stall(&place, &registry, &arguments);
                send(&child, signal);
                let ended = child.wait_with_output().expect("it ends");
                assert_eq!(ended.status.code(), Some(exit), "{arguments:?}: {ended:?}");
                let told: serde_json::Value = serde_json::from_slice(&ended.stdout).expect("one object");
                assert_eq!(told["error"]["code"], code);
                let after = Comparison::new().ignore_modified_of([""]).listing(&place.path("parent"));
                assert_eq!(after, before, "{arguments:?}");
            }
        }
    }
    // The same again, undisturbed.
    registry.forget_rules();
    place.run(&["pull", &app, &out]).expect_code(0);
    place.run(&["pull", &app, &forced, "--force"]).expect_code(0);
    Comparison::new().assert_equal(&place.path("parent/new/out"), &place.path("parent/forced"));
}

#[test]
fn what_was_fetched_is_not_fetched_again() {
    let place = Place::new();
    let registry = Registry::open(content());
    let app = format!("{}/app:1", registry.host());
    for (number, (signal, exit, _)) in SIGNALS.into_iter().enumerate() {
        let out = place.text(&format!("out{number}"));
        let _ = std::fs::remove_dir_all(place.path(".cache"));
        let child = start_and_stall(&place, &registry, &["pull", &app, &out]);
        send(&child, signal);
        let ended = child.wait_with_output().expect("it ends");
        assert_eq!(ended.status.code(), Some(exit));
        let message = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(message.contains("error: ") && message.contains("help: "), "{message}");
        registry.forget_rules();
        registry.forget_requests();
        place.run(&["pull", &app, &out]).expect_code(0);
        let ranges: Vec<String> =
            registry.requests().iter().filter_map(|request| request.header("range").map(str::to_owned)).collect();
        assert_eq!(ranges.len(), 1, "the large blob is resumed: {:?}", registry.requests());
        assert!(registry.bytes_sent() < (1 << 20), "{} bytes", registry.bytes_sent());
    }
}
