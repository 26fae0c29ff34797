//! Nothing is fetched twice: after a cut, after a kill, from a warm cache, by several processes.
#![cfg(unix)]

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use oci_fetcher_tests::compare::Comparison;
use oci_fetcher_tests::content::Content;
use oci_fetcher_tests::image::{Compression, Image, Layer};
use oci_fetcher_tests::place::Place;
use oci_fetcher_tests::program;
use oci_fetcher_tests::registry::{Action, Issuer, Method, Options, Registry, RetryAfter, Rule};

const LAYERS: u64 = 3;
const LAYER_BYTES: usize = 6 << 20;

/// Three layers of some megabytes that compress badly, for there to be time in between.
fn image() -> Image {
    let layer = |number: u8| {
        let file = |index: usize| noise(LAYER_BYTES / 8, u64::from(number) * 100 + index as u64);
        (0..8).fold(Layer::new(), |layer, index| layer.file(format!("layer{number}/file{index}"), file(index)))
    };
    let compression = [Compression::Gzip, Compression::Zstd, Compression::None];
    let layers = (0..).zip(compression).map(|(number, compression)| layer(number).compress(compression));
    layers.fold(Image::new(), Image::layer)
}

fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn content() -> Content {
    let mut content = Content::new();
    content.push("app", "1", image());
    content
}

fn source(registry: &Registry) -> String {
    format!("{}/app:1", registry.host())
}

fn assert_only(folder: &Path, names: &[&str]) {
    let entries = std::fs::read_dir(folder).expect("readable");
    let mut found: Vec<_> =
        entries.map(|entry| entry.expect("readable").file_name().into_string().expect("plain")).collect();
    found.sort();
    assert_eq!(found, names, "in {}", folder.display());
}

/// Bytes of downloads that are kept for a resume.
fn partial_bytes(cache: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(cache.join("partial")) else { return 0 };
    entries.map(|entry| entry.expect("readable").metadata().expect("there").len()).sum()
}

#[test]
fn a_warm_cache_needs_one_answer_about_the_manifest() {
    let place = Place::new();
    let registry = Registry::open(content());
    place.pull(&source(&registry), "one", &[]).expect_code(0);
    registry.forget_requests();
    place.pull(&source(&registry), "two", &[]).expect_code(0);
    assert_eq!(registry.blob_downloads(), 0);
    assert_eq!(registry.requests().len(), 1, "{:?}", registry.requests());
    Comparison::new().assert_equal(&place.path("one"), &place.path("two"));

    let layout = place.path("layout");
    let layout = layout.to_str().expect("plain");
    for _ in 0..2 {
        registry.forget_requests();
        place.run(&["pull", &source(&registry), "--layout", layout]).expect_code(0);
        assert_eq!((registry.blob_downloads(), registry.requests().len()), (0, 1));
    }
    registry.forget_requests();
    place.pull(&source(&registry), "three", &["--offline"]).expect_code(0);
    assert_eq!(registry.requests().len(), 0);
    Comparison::new().assert_equal(&place.path("one"), &place.path("three"));
}

#[test]
fn connections_that_break_are_resumed() {
    let place = Place::new();
    let whole = Registry::open(content());
    place.pull(&source(&whole), "whole", &["--no-cache"]).expect_code(0);
    let cut = [Action::CutBody(1_000_000), Action::ResetBody(3), Action::CutAnswer(10), Action::StallBody(2_000_000)];
    for (number, action) in cut.into_iter().enumerate() {
        let rule = Rule::on(Method::Get, "/v2/app/blobs/*").times(3).then(action.clone());
        let registry = Registry::start(content(), Options::new().rule(rule));
        let name = format!("cut{number}");
        place.pull(&source(&registry), &name, &["--no-cache", "--no-progress-timeout", "1s"]).expect_code(0);
        Comparison::new().assert_equal(&place.path("whole"), &place.path(&name));
        let excess = registry.bytes_sent().saturating_sub(whole.bytes_sent());
        assert!(excess < LAYERS * (1 << 20), "{excess} bytes were fetched twice after {action:?}");
    }
    let busy = Rule::on(Method::Any, "/v2/app/*").times(2).then(Action::Refuse(429, RetryAfter::Seconds(1)));
    let registry = Registry::start(content(), Options::new().rule(busy));
    place.pull(&source(&registry), "busy", &["--no-cache"]).expect_code(0);
    let unranged = Rule::on(Method::Get, "/v2/app/blobs/*").then(Action::IgnoreRange);
    let cut = Rule::on(Method::Get, "/v2/app/blobs/*").times(3).then(Action::CutBody(500_000));
    let registry = Registry::start(content(), Options::new().rule(cut).rule(unranged));
    place.pull(&source(&registry), "unranged", &["--no-cache"]).expect_code(0);
    Comparison::new().assert_equal(&place.path("whole"), &place.path("unranged"));
}

#[test]
fn tokens_that_expire_are_renewed() {
    let place = Place::new();
    let revoke = Rule::on(Method::Get, "/v2/app/blobs/*").after(2).times(1).then(Action::RevokeTokens);
    let cut = Rule::on(Method::Get, "/v2/app/blobs/*").after(1).times(1).then(Action::CutBody(100_000));
    let options = Options::new().tokens(Issuer::new().anonymous("app")).rule(revoke).rule(cut);
    let registry = Registry::start(content(), options);
    place.pull(&source(&registry), "out", &[]).expect_code(0);
    assert!(registry.token_requests() >= 2);
}

/// Starts a pull and kills it after a time.
fn kill_after(place: &Place, source: &str, delay: Duration) -> bool {
    let mut command = program::command(place.root());
    command.args(["pull", "-q", source]).arg(place.path("parent/out")).stdout(Stdio::null());
    let mut child: Child = command.spawn().expect("the program starts");
    let begun = Instant::now();
    while begun.elapsed() < delay {
        if child.try_wait().expect("waitable").is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().expect("killable");
    child.wait().expect("it ends");
    true
}

#[test]
fn a_pull_that_was_killed_goes_on() {
    let whole = Place::new();
    let registry = Registry::open(content());
    whole.pull(&source(&registry), "out", &[]).expect_code(0);
    let total = registry.bytes_sent();
    let mut kills = 0;
    for delay in [5, 30, 60, 120, 250, 500, 900] {
        let place = Place::new();
        std::fs::create_dir(place.path("parent")).expect("writable");
        let slow = Action::Slice { bytes: 64 << 10, pause: Duration::from_millis(10) };
        let rule = Rule::on(Method::Get, "/v2/app/blobs/*").then(slow);
        let registry = Registry::start(content(), Options::new().rule(rule));
        kills += u32::from(kill_after(&place, &source(&registry), Duration::from_millis(delay)));
        let cache = place.path(".cache/oci-fetcher");
        let blobs = std::fs::read_dir(cache.join("blobs/sha256"));
        let stored: u64 =
            blobs.map_or(0, |blobs| blobs.map(|blob| blob.expect("readable").metadata().expect("there").len()).sum());
        let held = partial_bytes(&cache) + stored;
        registry.forget_rules();
        registry.forget_requests();
        let before = registry.bytes_sent();
        place.pull(&source(&registry), "parent/out", &[]).expect_code(0);
        let again = registry.bytes_sent() - before;
        assert!(again <= total.saturating_sub(held) + LAYERS * (1 << 20), "{again} after {held} of {total} were held");
        Comparison::new().assert_equal(&whole.path("out"), &place.path("parent/out"));
        assert_only(&place.path("parent"), &["out"]);
        assert_eq!(std::fs::read_dir(cache.join("partial")).map_or(0, Iterator::count), 0);
    }
    assert!(kills >= 4, "only {kills} pulls were killed in time");
}

#[test]
fn damage_in_the_cache_is_mended() {
    let place = Place::new();
    let registry = Registry::open(content());
    place.pull(&source(&registry), "whole", &[]).expect_code(0);
    let cache = place.path(".cache/oci-fetcher");
    let largest = |folder: &Path| {
        let entries = std::fs::read_dir(folder).expect("readable").map(|entry| entry.expect("readable").path());
        entries.max_by_key(|path| path.metadata().expect("there").len()).expect("not empty")
    };
    let blob = largest(&cache.join("blobs/sha256"));
    let mut bytes = std::fs::read(&blob).expect("readable");
    bytes[3_000_000] ^= 1;
    std::fs::write(&blob, &bytes).expect("writable");
    registry.forget_requests();
    place.pull(&source(&registry), "mended", &[]).expect_code(0);
    assert_eq!(registry.blob_downloads(), 1, "the damaged blob alone is fetched again");
    Comparison::new().assert_equal(&place.path("whole"), &place.path("mended"));

    // The beginning of a download that is no beginning of the blob.
    let name = blob.file_name().expect("a name").to_str().expect("plain").to_owned();
    std::fs::remove_file(&blob).expect("there");
    std::fs::write(cache.join("partial").join(format!("sha256-{name}")), [0; 100_000]).expect("writable");
    place.pull(&source(&registry), "again", &[]).expect_code(0);
    Comparison::new().assert_equal(&place.path("whole"), &place.path("again"));
}

#[test]
fn several_processes_share_a_cache() {
    let place = Place::new();
    let registry = Registry::open(content());
    let start = |name: String| {
        let mut command = program::command(place.root());
        command.args(["pull", "-q", &source(&registry)]).arg(place.path(&name)).stdout(Stdio::null());
        (name, command.spawn().expect("the program starts"))
    };
    let children: Vec<_> = (0..8).map(|number| start(format!("out{number}"))).collect();
    for (_, mut child) in children {
        assert!(child.wait().expect("it ends").success());
    }
    for number in 1..8 {
        Comparison::new().assert_equal(&place.path("out0"), &place.path(&format!("out{number}")));
    }
    let manifest: serde_json::Value = serde_json::from_slice(&image().pack().bytes).expect("JSON");
    for layer in manifest["layers"].as_array().expect("a list") {
        let path = format!("/v2/app/blobs/{}", layer["digest"].as_str().expect("a digest"));
        assert_eq!(registry.requests_to(Method::Get, &path).len(), 1, "each layer is fetched once for all");
    }
    assert_eq!(std::fs::read_dir(place.path(".cache/oci-fetcher/partial")).map_or(0, Iterator::count), 0);
}
