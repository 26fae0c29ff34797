//! Layouts: what several images of one are called, what stays, and how they are found again.
#![cfg(unix)]

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt as _;

use oci_fetcher_tests::compare::{Aspect, Comparison};
use oci_fetcher_tests::content::Content;
use oci_fetcher_tests::forward_proxy::ForwardProxy;
use oci_fetcher_tests::image::{Image, Layer, Types};
use oci_fetcher_tests::place::Place;
use oci_fetcher_tests::process::{Measured, measure, required, run};
use oci_fetcher_tests::registry::{Action, Method, Options, Registry, Rule};
use oci_fetcher_tests::tls::{Authority, Tls};
use serde_json::{Value, json};

fn image(text: &str) -> Image {
    Image::new().layer(Layer::new().file("text", text))
}

fn registry(images: &[(&str, &str, Image)]) -> Registry {
    let mut content = Content::new();
    for (repository, tag, image) in images {
        content.push(repository, tag, image);
    }
    Registry::open(content)
}

fn copy(place: &Place, source: &str, more: &[&str]) -> Measured {
    let layout = place.text("layout");
    place.run(&[&["pull", source, "--layout", &layout], more].concat())
}

fn index(place: &Place) -> Value {
    serde_json::from_slice(&place.read("layout/index.json")).expect("JSON")
}

/// Lists names and digests of a layout's images, in its order.
fn named(place: &Place) -> Vec<(Option<String>, String)> {
    let index = index(place);
    let name = |entry: &Value| entry["annotations"][REF_NAME].as_str().map(str::to_owned);
    let digest = |entry: &Value| entry["digest"].as_str().expect("a digest").to_owned();
    index["manifests"].as_array().expect("a list").iter().map(|entry| (name(entry), digest(entry))).collect()
}

const REF_NAME: &str = "org.opencontainers.image.ref.name";
const FULL_NAME: &str = "io.containerd.image.name";

#[test]
fn images_are_named_as_typed_and_in_full() {
    let place = Place::new();
    let authority = Authority::new();
    place.write("ca.pem", authority.pem());
    let mut content = Content::new();
    content.push("heroku/builder", "22", image("builder"));
    content.push("library/alpine", "latest", image("alpine"));
    let tls = Tls::new(authority.server_named(&["registry-1.docker.io"]));
    let registry = Registry::start(content, Options::new().tls(tls));
    let proxy = ForwardProxy::start(&[("registry-1.docker.io:443", registry.address())]);
    let (layout, trust) = (place.text("layout"), place.text("ca.pem"));
    let pull = |source: &str| {
        let mut command = place.command(&["pull", source, "--layout", &layout, "--ca-file", &trust]);
        measure(command.env("HTTPS_PROXY", proxy.url())).expect_code(0)
    };
    for (typed, full) in [
        ("heroku/builder:22", "docker.io/heroku/builder:22"),
        ("alpine", "docker.io/library/alpine:latest"),
        ("docker.io/library/alpine", "docker.io/library/alpine:latest"),
    ] {
        pull(typed);
        let index = index(&place);
        let entry = index["manifests"].as_array().and_then(|entries| entries.last()).expect("an entry");
        assert_eq!((&entry["annotations"][REF_NAME], &entry["annotations"][FULL_NAME]), (&json!(typed), &json!(full)));
    }
    let out = place.text("out");
    let found = ["heroku/builder:22", "docker.io/heroku/builder:22", "22"];
    for name in found {
        place.run(&["pull", &format!("oci:{layout}:{name}"), &out, "--force"]).expect_code(0);
        assert_eq!(place.read("out/text"), b"builder", "{name}");
    }
}

#[test]
fn what_a_layout_holds_stays() {
    let place = Place::new();
    let registry = registry(&[("app", "1", image("one")), ("app", "2", image("two"))]);
    let source = |tag: &str| format!("{}/app:{tag}", registry.host());
    let of = |text: &str| image(text).pack().digest().to_string();
    copy(&place, &source("1"), &["--ref-name", "a"]).expect_code(0);

    // What others wrote: unknown members, an image without a name, a file.
    let mut foreign = index(&place);
    let nameless = json!({ "mediaType": "application/vnd.example", "digest": of("three"), "size": 3, "x-own": [1] });
    foreign["x-member"] = json!({ "kept": true });
    foreign["manifests"].as_array_mut().expect("a list").push(nameless.clone());
    place.write("layout/index.json", foreign.to_string());
    place.write("layout/NOTES", b"mine");

    copy(&place, &source("2"), &["--ref-name", "b"]).expect_code(0);
    let after = index(&place);
    assert_eq!((&after["x-member"], &after["manifests"][1]), (&json!({ "kept": true }), &nameless));
    let name = |name: &str| Some(name.to_owned());
    assert_eq!(named(&place), [(name("a"), of("one")), (None, of("three")), (name("b"), of("two"))]);
    assert_eq!(place.read("layout/NOTES"), b"mine");

    // A name moves, and the same again changes nothing.
    copy(&place, &source("2"), &["--ref-name", "a"]).expect_code(0);
    let moved = named(&place);
    assert_eq!(moved.iter().filter(|(given, _)| *given == name("a")).collect::<Vec<_>>(), [&(name("a"), of("two"))]);
    let listing = || Comparison::new().ignore(Aspect::Modified).listing(&place.path("layout"));
    let before = listing();
    copy(&place, &source("2"), &["--ref-name", "a"]).expect_code(0);
    assert_eq!(listing(), before);

    // Blobs are files of their own: to change the cache's must not change them.
    for blob in place.names("layout/blobs/sha256") {
        let metadata = place.path(&format!("layout/blobs/sha256/{blob}")).symlink_metadata().expect("there");
        assert!(metadata.is_file() && metadata.nlink() == 1, "{blob}");
    }
}

#[test]
fn a_name_outside_the_grammar_is_left_out() {
    let place = Place::new();
    let registry = registry(&[("a__b", "1", image("one"))]);
    let source = format!("{}/a__b:1", registry.host());
    let copied = copy(&place, &source, &["-q"]).expect_code(0);
    assert!(copied.stderr_text().starts_with("warning: ") && copied.stderr_text().contains("a__b"), "{copied:?}");
    assert_eq!(named(&place), [(None, image("one").pack().digest().to_string())]);
    assert_eq!(index(&place)["manifests"][0]["annotations"][FULL_NAME], source.as_str());
    for name in ["a__b", "", "a b", "/a", "a/"] {
        let refused = copy(&place, &source, &["--ref-name", name]);
        assert!([0, 2].contains(&refused.code), "{name:?}: {refused:?}");
        assert!(named(&place).iter().all(|(given, _)| given.is_none()), "{name:?}");
    }
    let (layout, other) = (place.text("layout"), format!("{}/a__b:2", registry.host()));
    place.run(&["pull", &source, &other, "--layout", &layout, "--ref-name", "x"]).expect_code(2);
}

#[test]
fn an_image_is_found_by_its_name_or_by_being_alone() {
    let place = Place::new();
    let registry = registry(&[("app", "1", image("one")), ("app", "2", image("two"))]);
    let layout = place.text("layout");
    let pull = |name: &str| {
        let source = format!("oci:{layout}{name}");
        place.pull(&source, "out", &["--force", "--json"])
    };
    assert_eq!(pull("").expect_code(3).json()["error"]["code"], "source-not-found");
    copy(&place, &format!("{}/app:1", registry.host()), &["--ref-name", "first"]).expect_code(0);
    pull("").expect_code(0);
    copy(&place, &format!("{}/app:2", registry.host()), &["--ref-name", "second"]).expect_code(0);
    let ambiguous = pull("").expect_code(2).json();
    assert_eq!(ambiguous["error"]["code"], "ambiguous-image-name");
    let missing = pull(":third").expect_code(3).json();
    assert_eq!(missing["error"]["code"], "image-not-found");
    for refused in [&ambiguous, &missing] {
        let message = refused["error"].to_string();
        assert!(message.contains("first") && message.contains("second"), "{message}");
    }
    pull(":second").expect_code(0);
    assert_eq!(place.read("out/text"), b"two");
}

#[test]
fn what_is_no_layout_is_left_alone() {
    let place = Place::new();
    let registry = registry(&[("app", "1", image("one"))]);
    let source = format!("{}/app:1", registry.host());
    let version = |version: &str| json!({ "imageLayoutVersion": version }).to_string();
    for (file, content, code) in
        [("mine", "mine".to_owned(), 2), ("oci-layout", version("9.0.0"), 9), ("oci-layout", "no JSON".to_owned(), 6)]
    {
        let _ = std::fs::remove_dir_all(place.path("layout"));
        place.write(&format!("layout/{file}"), &content);
        registry.forget_requests();
        copy(&place, &source, &["--no-cache"]).expect_code(code);
        assert_eq!(place.names("layout"), [file]);
        assert_eq!(place.read(&format!("layout/{file}")), content.as_bytes());
    }
    std::fs::remove_dir_all(place.path("layout")).expect("there");
    place.write("layout", b"mine");
    copy(&place, &source, &[]).expect_code(2);
    assert_eq!(place.read("layout"), b"mine");
}

#[test]
fn an_image_that_fails_is_not_named() {
    let place = Place::new();
    let registry = registry(&[("app", "1", image("one")), ("app", "2", image("two"))]);
    copy(&place, &format!("{}/app:1", registry.host()), &[]).expect_code(0);
    let before = (place.read("layout/index.json"), named(&place));
    registry.add_rule(Rule::on(Method::Get, "/v2/app/blobs/*").then(Action::FlipByte(30)));
    copy(&place, &format!("{}/app:2", registry.host()), &["--no-cache"]).expect_code(6);
    assert_eq!((place.read("layout/index.json"), named(&place)), before);
    // Where there was no layout, there is none.
    let other = place.text("other");
    place.run(&["pull", &format!("{}/app:2", registry.host()), "--layout", &other, "--no-cache"]).expect_code(6);
    assert!(!place.path("other").exists());
    registry.forget_rules();
    copy(&place, &format!("{}/app:2", registry.host()), &[]).expect_code(0);
    assert_eq!(named(&place).len(), 2);
}

#[test]
fn archives_are_sources_too() {
    let place = Place::new();
    let docker = image("docker").types(Types::Docker);
    let registry = registry(&[("app", "1", image("one")), ("docker", "1", docker.clone())]);
    copy(&place, &format!("{}/docker:1", registry.host()), &["--ref-name", "docker"]).expect_code(0);
    assert_eq!(index(&place)["manifests"][0]["mediaType"], docker.pack().media_type, "types stay as they are");
    copy(&place, &format!("{}/app:1", registry.host()), &["--ref-name", "oci"]).expect_code(0);
    let skopeo = required("skopeo", "skopeo");
    let from = format!("oci:{}:oci", place.text("layout"));
    for (kind, synthesised) in [("oci-archive", false), ("docker-archive", true)] {
        let file = place.text(&format!("{kind}.tar"));
        run(&skopeo, &["copy", "-q", &from, &format!("{kind}:{file}:app:1")].map(OsStr::new));
        let told = place.pull(&format!("{kind}:{file}"), kind, &["--json"]).expect_code(0).json();
        assert_eq!(told["images"][0]["synthesised"], synthesised, "{kind}");
        assert_eq!(place.read(&format!("{kind}/text")), b"one");
        place.pull(&format!("{kind}:{file}:other:2"), "missing", &[]).expect_code(3);
        // A file that was cut, and one of another kind.
        let whole = std::fs::read(&file).expect("there");
        place.write("cut.tar", &whole[..whole.len() / 2]);
        assert_ne!(place.pull(&format!("{kind}:{}", place.text("cut.tar")), "cut", &[]).code, 0);
        place.write("text.tar", "no archive at all");
        assert_ne!(place.pull(&format!("{kind}:{}", place.text("text.tar")), "cut", &[]).code, 0);
        assert!(!place.path("cut").exists());
    }
}
