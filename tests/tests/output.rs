//! What is said where: results on standard output, everything else on standard error.
#![cfg(unix)]

use oci_fetcher_core::digest::Digest;
use oci_fetcher_tests::content::Content;
use oci_fetcher_tests::image::{Artifact, Image, Layer};
use oci_fetcher_tests::place::Place;
use oci_fetcher_tests::registry::{Action, Method, Options, Registry, Rule};
use serde_json::{Value, json};

fn image() -> Image {
    let lower = Layer::new().directory("d", 0o755).file("d/a", b"content").hard_link("d/b", "d/a").symlink("l", "d");
    let image = Image::new().layer(lower).layer(Layer::new().file("c", b"more").xattr("trusted.overlay.opaque", b"y"));
    image.env("A=b").label("k", "v").command("sh").user("nobody").working_directory("/d")
}

fn content() -> Content {
    let mut content = Content::new();
    content.push("app", "1", image());
    content.push("artifact", "1", Artifact::new("application/vnd.example").file("a", b"a"));
    content
}

fn layer() -> Digest {
    let manifest: Value = serde_json::from_slice(&image().pack().bytes).expect("JSON");
    manifest["layers"][0]["digest"].as_str().expect("a digest").parse().expect("a digest")
}

#[test]
fn quiet_says_the_digest_and_nothing_else() {
    let place = Place::new();
    let registry = Registry::open(content());
    let (app, artifact) = (format!("{}/app:1", registry.host()), format!("{}/artifact:1", registry.host()));
    let digest = format!("{}\n", image().pack().digest());
    let (out, layout, tar, files) = (place.text("out"), place.text("layout"), place.text("tar"), place.text("files"));
    let (blob, one) = (place.text("blob"), place.text("one"));
    let layer = layer().to_string();
    let of_artifact = registry_digest(&place, &artifact);
    for (arguments, expected) in [
        (&["pull", &app, &out][..], &digest),
        (&["pull", &app, "--layout", &layout], &digest),
        (&["pull", &app, "--tar", &tar], &digest),
        (&["digest", &app], &digest),
        (&["get", &artifact, &files], &of_artifact),
        (&["get", &artifact, "-o", &one], &of_artifact),
        (&["blob", &app, &layer, "-o", &blob], &format!("{layer}\n")),
    ] {
        let said = place.run(&[arguments, &["-q"]].concat()).expect_code(0);
        assert_eq!((said.stdout_text(), said.stderr_text()), (expected.clone(), String::new()), "{arguments:?}");
    }
    let failed = place.run(&["pull", "-q", &app, &out]).expect_code(2);
    assert_eq!(failed.stdout_text(), "");
    assert!(failed.stderr_text().starts_with("error: "), "{failed:?}");
    place.run(&["digest", "-q", "-v", &app]).expect_code(2);
    place.run(&["digest", "-q", "--json", &app]).expect_code(2);
}

fn registry_digest(place: &Place, source: &str) -> String {
    place.run(&["digest", source]).expect_code(0).stdout_text()
}

#[test]
fn json_is_one_object_whatever_comes_of_it() {
    let place = Place::new();
    let registry = Registry::open(content());
    let (app, artifact) = (format!("{}/app:1", registry.host()), format!("{}/artifact:1", registry.host()));
    let (out, layout, files, blob) = (place.text("out"), place.text("layout"), place.text("files"), place.text("blob"));
    let layer = layer().to_string();
    for arguments in [
        &["pull", &app, &out][..],
        &["pull", &app, "--layout", &layout],
        &["get", &artifact, &files],
        &["manifest", &app],
        &["config", &app],
        &["digest", &app],
        &["tags", &app],
        &["blob", &app, &layer, "-o", &blob],
        &["cache", "path"],
        &["cache", "ls"],
        &["cache", "prune", "--keep", "0"],
    ] {
        let told = place.run(&[arguments, &["--json"]].concat()).expect_code(0);
        assert!(told.json().is_object() && told.json().get("error").is_none(), "{arguments:?}: {told:?}");
        assert_eq!(told.stdout_text().lines().count(), 1, "{arguments:?}");
        assert_eq!(told.stderr_text(), "", "{arguments:?}");
    }
    let missing = format!("{}/app:2", registry.host());
    for (arguments, class, exit) in [
        (&["pull", &missing, &out][..], "usage", 2),
        (&["pull", &missing, &place.text("other")], "not-found", 3),
        (&["get", &missing, &files], "not-found", 3),
        (&["manifest", &missing], "not-found", 3),
        (&["config", "127.0.0.1:1/a", "--retries", "0"], "network", 5),
        (&["digest", "A:b:c"], "usage", 2),
        (&["digest", &app, "--no-such-option"], "usage", 2),
        (&["pull", &app], "usage", 2),
        (&["pull", &app, &place.text("other"), "--max-layers", "1"], "refused", 7),
        (&["pull", &artifact, &place.text("other")], "unsupported", 9),
        (&["blob", &app, "sha256:1"], "usage", 2),
        (&["no-such-command"], "usage", 2),
    ] {
        let told = place.run(&[arguments, &["--json"]].concat()).expect_code(exit);
        let error = &told.json()["error"];
        assert_eq!(error["class"], class, "{arguments:?}: {told:?}");
        let texts = [&error["code"], &error["message"], &error["advice"]].map(|value| value.as_str().map(str::len));
        assert!(texts.iter().all(|length| *length > Some(0)), "{arguments:?}: {told:?}");
        assert!(error["cause"].is_array() && told.json().as_object().map(serde_json::Map::len) == Some(1), "{told:?}");
        assert_eq!(told.stderr_text(), "", "{arguments:?}");
    }
}

#[test]
fn a_pull_tells_what_a_caller_needs_next() {
    let place = Place::new();
    let registry = Registry::open(content());
    let source = format!("{}/app:1", registry.host());
    let (out, report) = (place.text("out"), place.text("report.json"));
    let told = place.run(&["pull", &source, &out, "--json", "--report", &report]).expect_code(0).json();
    let packed = image().pack();
    assert_eq!(told["digest"], packed.digest().as_str());
    assert_eq!(told["destination"], json!({ "kind": "directory", "path": out }));
    let unpacked = json!({
        "directories": 2, "files": 2, "symlinks": 1, "hardLinks": 1, "specials": 0, "entries": 5, "bytes": 11,
    });
    assert_eq!(told["unpacked"], unpacked);
    assert_eq!(told["blobs"], json!({ "fetched": 2, "stored": 0 }));
    let of_image = &told["images"][0];
    assert_eq!((&of_image["source"], &of_image["platform"]), (&json!(source), &json!("linux/amd64")));
    assert_eq!(of_image["config"]["Env"], json!(["A=b"]));
    assert_eq!(of_image["config"]["Labels"], json!({ "k": "v" }));
    assert_eq!(of_image["layers"][0]["digest"], layer().as_str());
    assert_eq!(told["report"]["skipped"][0]["path"], "/c");
    assert_eq!(told["report"]["skipped"][0]["name"], "trusted.overlay.opaque");
    let reported: Value = serde_json::from_slice(&place.read("report.json")).expect("JSON");
    assert_eq!(reported, told, "the report is the result");
    let again = place.pull(&source, "again", &["--json"]).expect_code(0).json();
    assert_eq!(again["blobs"]["fetched"], 0, "{again}");

    // Beside content on standard output, and for what fails.
    let piped = place.run(&["pull", &source, "--tar", "-", "--report", &report]).expect_code(0);
    assert!(piped.stdout.len().is_multiple_of(512));
    let reported: Value = serde_json::from_slice(&place.read("report.json")).expect("JSON");
    assert_eq!(reported["destination"], json!({ "kind": "stdout", "path": null }));
    place.pull(&format!("{source}2"), "none", &["--report", &report]).expect_code(3);
    let reported: Value = serde_json::from_slice(&place.read("report.json")).expect("JSON");
    assert_eq!(reported["error"]["code"], "not-found");
    for inside in [place.text("none/report.json"), place.text("none"), "-".to_owned()] {
        place.pull(&source, "none", &["--report", &inside]).expect_code(2);
    }
    assert_eq!(place.names(""), [".cache", "again", "out", "report.json"]);
}

#[test]
fn a_warning_of_the_registry_is_shown_once_and_disarmed() {
    let place = Place::new();
    let warn = |text: &str| Action::AddHeader("Warning".to_owned(), text.to_owned());
    let rule = Rule::on(Method::Any, "/v2/app/*")
        .then(warn("299 - \"goes away soon\""))
        .then(warn("299 - \"tab\there \\\"quoted\\\"\""))
        .then(warn("199 - \"of another kind\""))
        .then(warn("299 proxy.example \"of another agent\""));
    let registry = Registry::start(content(), Options::new().rule(rule));
    let source = format!("{}/app:1", registry.host());
    for more in [&[][..], &["-q"], &["-v"]] {
        let told =
            place.pull(&source, "out", &[&["--force", "--no-cache"], more].concat()).expect_code(0).stderr_text();
        assert_eq!(told.matches("goes away soon").count(), 1, "{told}");
        assert_eq!(told.matches("tab\\there \"quoted\"").count(), 1, "{told}");
        assert!(told.contains("warning: ") && !told.contains("of another") && !told.contains('\t'), "{told}");
    }
    let told = place.pull(&source, "out", &["--force", "--no-cache", "--json"]).expect_code(0);
    assert_eq!(told.json()["warnings"].as_array().map(Vec::len), Some(2), "{told:?}");
}

#[test]
fn verbose_tells_every_request() {
    let place = Place::new();
    let registry = Registry::open(content());
    let busy = Rule::on(Method::Get, "/v2/app/blobs/*").times(1).then(Action::respond(503, "busy"));
    registry.add_rule(busy);
    let source = format!("{}/app:1", registry.host());
    for (number, verbose) in [&["-v"][..], &["-vv"], &["-v", "-v"]].into_iter().enumerate() {
        registry.forget_requests();
        let name = format!("out{number}");
        let told = place.pull(&source, &name, &[&["--no-cache"], verbose].concat()).expect_code(0).stderr_text();
        for request in registry.requests() {
            assert!(told.contains(&format!("{} {}{}", request.method, registry.origin(), request.target)), "{told}");
        }
        assert!(number > 0 || told.contains("503"), "the retry is told: {told}");
    }
}
