//! What an image may cost: each limit refuses what goes beyond it, by the option that raises it.
#![cfg(unix)]

use std::net::TcpListener;
use std::time::Duration;

use oci_fetcher_tests::content::{Blob, Content};
use oci_fetcher_tests::image::{Compression, Image, Index, Layer, Manifest};
use oci_fetcher_tests::place::Place;
use oci_fetcher_tests::process::Measured;
use oci_fetcher_tests::program;
use oci_fetcher_tests::registry::{Action, Issuer, Method, Options, Registry, Rule};
use oci_fetcher_tests::tls::Authority;

const FILE: [u8; 3_000] = [8; 3_000];
const XATTR: (&str, [u8; 200]) = ("user.origin", [b'x'; 200]);
const DEEP: &str = "one/two/three/four/five";
const LONG: &str = "a-name-of-thirty-seven-characters.txt";

fn layers() -> [Layer; 2] {
    let lower = Layer::new().file("file", FILE).file("attributed", b"").xattr(XATTR.0, XATTR.1);
    [lower, Layer::new().file(DEEP, FILE).file(LONG, b"1").compress(Compression::Zstd)]
}

fn image() -> Image {
    layers().into_iter().fold(Image::new(), Image::layer)
}

/// Returns the number of bytes of an image's config.
fn config_bytes(image: &Manifest) -> usize {
    let manifest: serde_json::Value = serde_json::from_slice(&image.bytes).expect("JSON");
    let size = manifest["config"]["size"].as_u64().expect("a number");
    usize::try_from(size).expect("it is in memory")
}

#[test]
fn each_limit_is_named_where_it_is_exceeded() {
    let place = Place::new();
    let index = Index::new().manifest(image()).manifest(image().platform("linux/arm64"));
    let (packed, packed_index) = (image().pack(), index.pack());
    let mut content = Content::new();
    content.push("app", "1", index);
    let registry = Registry::start(content, Options::new().tokens(Issuer::new().anonymous("*")));
    let source = format!("{}/app:1", registry.host());
    let largest = layers().iter().map(|layer| layer.tar().len()).max().expect("two");
    // A value that is enough, and whether it is the least.
    let cases = [
        ("--max-manifest-bytes", packed_index.bytes.len().max(packed.bytes.len()), true),
        ("--max-config-bytes", config_bytes(&packed), true),
        ("--max-index-entries", 2, true),
        ("--max-index-depth", 1, true),
        ("--max-layers", 2, true),
        ("--max-entries", 4, true),
        ("--max-layer-bytes", largest, true),
        ("--max-output-bytes", 2 * FILE.len() + 1, true),
        ("--max-path-depth", DEEP.split('/').count(), true),
        ("--max-path-bytes", LONG.len(), true),
        ("--max-xattr-bytes", XATTR.0.len() + XATTR.1.len(), true),
        ("--max-extension-bytes", 1_000, false),
        ("--max-token-bytes", 200, false),
        ("--max-tree-bytes", 100_000, false),
        ("--max-zstd-window", 8 << 20, false),
    ];
    for (option, enough, exact) in cases {
        let too_little = if exact { enough - 1 } else { 5 };
        let pull = |value: usize, more: &[&str]| -> Measured {
            let value = value.to_string();
            let options = ["--platform", "linux/amd64", "--no-cache", "--force", option, &value];
            place.pull(&source, "out", &[&options, more].concat())
        };
        let refused = pull(too_little, &[]);
        assert_eq!(refused.code, 7, "{option} {too_little}: {refused:?}");
        assert!(refused.stderr_text().contains(option), "{option}: {refused:?}");
        assert!(!place.path("out").exists(), "{option}");
        assert_eq!(pull(too_little, &["--json"]).json()["error"]["class"], "refused");
        let accepted = pull(enough, &[]);
        assert_eq!(accepted.code, 0, "{option} {enough}: {accepted:?}");
        std::fs::remove_dir_all(place.path("out")).expect("there");
    }
}

#[test]
fn a_bomb_is_refused_and_zeros_are_not() {
    let place = Place::new();
    let mut content = Content::new();
    content.push("app", "1", Image::new().layer(Layer::new().file("zeros", vec![0; 100 << 20])));
    let registry = Registry::open(content);
    let source = format!("{}/app:1", registry.host());
    // Beyond the first 64 MiB, which are never a bomb, these are some 370 for each byte.
    let refused = place.pull(&source, "out", &["--max-ratio", "300"]).expect_code(7);
    assert!(refused.stderr_text().contains("--max-ratio"), "{refused:?}");
    assert!(!place.path("out").exists());
    place.pull(&source, "out", &[]).expect_code(0);
}

#[test]
fn sizes_are_read_with_their_units() {
    let place = Place::new();
    let mut content = Content::new();
    content.push("app", "1", image());
    let registry = Registry::open(content);
    let source = format!("{}/app:1", registry.host());
    for (size, code) in
        [("1GiB", 0), ("2kB", 7), ("1", 7), ("-1", 2), ("1 XB", 2), ("", 2), ("99999999999999999999", 2)]
    {
        let pulled = place.pull(&source, "out", &["--force", &format!("--max-output-bytes={size}")]);
        assert_eq!(pulled.code, code, "{size}: {pulled:?}");
    }
}

#[test]
fn nobody_is_waited_for_without_end() {
    let place = Place::new();
    place.write("ca.pem", Authority::new().pem());
    // It takes connections, and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let silent = silent.local_addr().map(|address| (silent, address)).expect("a bound socket has an address");
    let authority = place.text("ca.pem");
    let to_silent = format!("{}/app:1", silent.1);
    let mut content = Content::new();
    content.push("app", "1", image());
    let stalling = |pattern: &str, action: Action| {
        let options = Options::new().tokens(Issuer::new().anonymous("*"));
        Registry::start(content.clone(), options.rule(Rule::on(Method::Any, pattern).then(action)))
    };
    let manifest = stalling("/v2/app/manifests/*", Action::StallAnswer(0));
    let head = stalling("/v2/app/manifests/*", Action::StallAnswer(20));
    let body = stalling("/v2/app/manifests/*", Action::StallBody(5));
    let blob = stalling("/v2/app/blobs/*", Action::StallBody(5));
    let token = stalling("/token", Action::StallAnswer(0));
    let source = |registry: &Registry| format!("{}/app:1", registry.host());
    let cases = [
        (to_silent, &["--connect-timeout", "300ms", "--ca-file", &authority][..]),
        (source(&manifest), &["--first-byte-timeout", "300ms"]),
        (source(&head), &["--first-byte-timeout", "300ms"]),
        (source(&body), &["--no-progress-timeout", "300ms"]),
        (source(&blob), &["--no-progress-timeout", "300ms"]),
        (source(&token), &["--first-byte-timeout", "300ms"]),
    ];
    for (source, options) in cases {
        let options = [&["--no-cache", "--retries", "1", "--json"], options].concat();
        let ended = place.pull(&source, "out", &options).expect_code(5);
        assert_eq!(ended.json()["error"]["code"], "timed-out", "{options:?}: {ended:?}");
        assert!(ended.elapsed < Duration::from_secs(30), "{options:?}: {ended:?}");
        assert!(!place.path("out").exists());
    }
    // Slow is not the same as still.
    let slow = stalling("/v2/app/blobs/*", Action::Slice { bytes: 10, pause: Duration::from_millis(5) });
    place.pull(&source(&slow), "out", &["--no-progress-timeout", "5s"]).expect_code(0);
}

#[test]
fn a_drip_that_never_stands_still_is_ended_all_the_same() {
    let place = Place::new();
    let mut content = Content::new();
    content.push("app", "1", image());
    let drip = Action::Slice { bytes: 1, pause: Duration::from_millis(100) };
    let options = Options::new().rule(Rule::on(Method::Get, "/v2/app/blobs/*").then(drip));
    let registry = Registry::start(content, options);
    let source = format!("{}/app:1", registry.host());
    let refused = place.pull(&source, "out", &["--max-wall-seconds", "1"]).expect_code(7);
    assert!(refused.stderr_text().contains("--max-wall-seconds"), "{refused:?}");
    assert!(refused.elapsed < Duration::from_secs(30), "{refused:?}");
    assert!(!place.path("out").exists());
}

#[test]
fn the_readme_names_every_limit_with_its_default() {
    let readme = include_str!("../../README.md");
    let help = program::command(Place::new().root()).args(["pull", "--help"]).output().expect("it starts");
    let help = String::from_utf8(help.stdout).expect("text");
    let options: Vec<(&str, &str)> = help
        .split("\n      --max-")
        .skip(1)
        .map(|option| {
            let name = option.split_whitespace().next().expect("a name");
            let (_, default) = option.split_once("[default: ").expect("a default");
            (name, default.split(']').next().expect("its end"))
        })
        .collect();
    assert!(options.len() > 15, "{options:?}");
    for (name, default) in options {
        let row = format!("| `--max-{name}` | {default} |");
        assert!(readme.contains(&row), "README has no row that begins with {row}");
    }
}

#[test]
fn a_body_is_read_no_further_than_its_limit() {
    let place = Place::new();
    let endless = Blob::from(vec![b' '; 64 << 20]);
    let Blob::Bytes(spaces) = &endless else { panic!("it is in memory") };
    for (pattern, status, code) in
        [("/v2/app/manifests/*", 200, 7), ("/v2/app/manifests/*", 404, 3), ("/token", 200, 7)]
    {
        let mut content = Content::new();
        content.push("app", "1", image());
        let rule =
            Rule::on(Method::Any, pattern).then(Action::Respond { status, headers: Vec::new(), body: spaces.to_vec() });
        let options = Options::new().tokens(Issuer::new().anonymous("*")).rule(rule.then(Action::Chunked));
        let registry = Registry::start(content, options);
        let refused = place.pull(&format!("{}/app:1", registry.host()), "out", &[]).expect_code(code);
        assert!(registry.bytes_sent() < 32 << 20, "{pattern} {status}: {} bytes", registry.bytes_sent());
        assert!(refused.peak_memory < 64 << 20, "{pattern} {status}: {refused:?}");
    }
}
