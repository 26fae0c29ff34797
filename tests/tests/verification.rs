//! Copies into a layout are verified as unpacked images are: layers against their configs' diff_ids.
#![cfg(unix)]

use oci_fetcher_tests::content::Content;
use oci_fetcher_tests::image::{Artifact, Image, Index, Layer, Manifest};
use oci_fetcher_tests::place::Place;
use oci_fetcher_tests::process::Measured;
use oci_fetcher_tests::registry::Registry;
use serde_json::Value;

fn image(platform: &str) -> Image {
    let own = Layer::new().file("platform", platform);
    Image::new().platform(platform).layer(Layer::new().file("shared", vec![1; 50_000])).layer(own)
}

fn with_wrong_diff_id(platform: &str) -> Image {
    image(platform).edit_config(|config| {
        config["rootfs"]["diff_ids"][0] = format!("sha256:{}", "0".repeat(64)).into();
    })
}

/// Serves something as `app:1`, and copies it into the layout `layout`.
fn copy(place: &Place, content: Content, more: &[&str]) -> Measured {
    let registry = Registry::open(content);
    let layout = place.path("layout");
    let source = format!("{}/app:1", registry.host());
    let arguments = ["pull", &source, "--json", "--layout", layout.to_str().expect("plain")];
    place.run(&[&arguments[..], more].concat())
}

fn serving(manifest: impl Into<Manifest>) -> Content {
    let mut content = Content::new();
    content.push("app", "1", manifest);
    content
}

fn told(measured: &Measured) -> Value {
    serde_json::from_slice(&measured.stdout).expect("one object")
}

#[test]
fn a_layer_that_is_not_what_a_config_says_is_in_no_layout() {
    // The wrong image is not the one for this machine's platform.
    let index = || Index::new().attested(image("linux/amd64")).manifest(with_wrong_diff_id("linux/s390x"));
    for (content, more) in [
        (serving(with_wrong_diff_id("linux/amd64")), &[][..]),
        (serving(with_wrong_diff_id("linux/amd64")), &["--all-platforms"]),
        (serving(index()), &["--all-platforms"]),
        (serving(Index::new().manifest(index())), &["--all-platforms"]),
    ] {
        let place = Place::new();
        let failed = copy(&place, content, more).expect_code(6);
        assert_eq!(told(&failed)["error"]["code"], "diff-id-mismatch", "{failed:?}");
        assert!(!place.path("layout").exists());
    }
    let place = Place::new();
    copy(&place, serving(index()), &["--platform", "linux/amd64"]).expect_code(0);
}

#[test]
fn a_copy_of_all_platforms_says_what_was_checked() {
    let place = Place::new();
    let index = Index::new()
        .attested(image("linux/amd64"))
        .manifest(image("linux/arm64"))
        .manifest(Artifact::new("application/vnd.example").file("a.txt", "a"));
    let copied = copy(&place, serving(&index), &["--all-platforms"]).expect_code(0);
    let result = told(&copied);
    // Three layers, one of them shared; of the attestation and the artifact, two blobs each.
    assert_eq!(result["checked"]["diffIds"], 3, "{result}");
    assert_eq!(result["checked"]["digestsOnly"], 4, "{result}");
    assert_eq!(result["digest"], index.pack().digest().as_str());
    // It is complete: each of its images unpacks without a registry.
    let source = format!("oci:{}", place.path("layout").display());
    for platform in ["linux/amd64", "linux/arm64"] {
        let name = platform.replace('/', "-");
        place.pull(&source, &name, &["--platform", platform]).expect_code(0);
        assert_eq!(std::fs::read_to_string(place.path(&name).join("platform")).expect("there"), platform);
    }
    let single = Place::new();
    let result = told(&copy(&single, serving(image("linux/amd64")), &[]).expect_code(0));
    assert_eq!((&result["checked"]["diffIds"], &result["checked"]["digestsOnly"]), (&2.into(), &0.into()));
}

#[test]
fn checking_all_platforms_takes_no_more_memory_than_a_window_a_layer() {
    let place = Place::new();
    let large =
        |platform: &str, byte| Image::new().platform(platform).layer(Layer::new().file("large", vec![byte; 96 << 20]));
    let index = Index::new().manifest(large("linux/amd64", 1)).manifest(large("linux/arm64", 2));
    let copied = copy(&place, serving(index), &["--all-platforms"]).expect_code(0);
    assert_eq!(told(&copied)["checked"]["diffIds"], 2);
    assert!(copied.peak_memory < 64 << 20, "{copied:?}");
}
