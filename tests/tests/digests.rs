//! What is named by digest: pins, moved tags, both algorithms, and those that nobody knows.
#![cfg(unix)]

use oci_fetcher_core::digest::{Algorithm, Digest};
use oci_fetcher_tests::content::Content;
use oci_fetcher_tests::image::{Image, Layer, Manifest};
use oci_fetcher_tests::place::Place;
use oci_fetcher_tests::registry::{Action, Method, Options, Registry, Rule};
use serde_json::json;

fn image(text: &str) -> Image {
    Image::new().layer(Layer::new().file("text", text))
}

/// Stores an image under another digest of its manifest, too; returns that.
fn push_by(content: &mut Content, algorithm: Algorithm, manifest: &Manifest) -> Digest {
    let digest = Digest::of(algorithm, &manifest.bytes);
    content.put_manifest("app", digest.as_str(), &manifest.media_type, manifest.bytes.clone());
    digest
}

#[test]
fn a_pin_decides_and_is_checked() {
    let place = Place::new();
    let mut content = Content::new();
    let (one, two) = (image("one").pack(), image("two").pack());
    content.push("app", "1", one.clone());
    content.push("app", "2", two.clone());
    let one_by_512 = push_by(&mut content, Algorithm::Sha512, &one);
    let wrong = Digest::of(Algorithm::Sha256, b"something else");
    content.put_manifest("app", wrong.as_str(), &two.media_type, two.bytes.clone());
    let registry = Registry::open(content);
    let named = |rest: &str| format!("{}/app{rest}", registry.host());
    for (number, rest) in
        [format!("@{}", one.digest()), format!(":2@{}", one.digest()), format!("@{one_by_512}")].iter().enumerate()
    {
        let out = format!("out{number}");
        let pulled = place.pull(&named(rest), &out, &["-q"]).expect_code(0);
        assert_eq!(place.read(&format!("{out}/text")), b"one", "{rest}");
        assert!(rest.ends_with(pulled.stdout_text().trim()), "{rest}: {pulled:?}");
    }
    assert_eq!(registry.requests_to(Method::Any, "/v2/app/manifests/2").len(), 0, "the tag is for show");
    for rest in [format!("@{wrong}"), format!(":1@{wrong}")] {
        let refused = place.pull(&named(&rest), "out", &["--json"]).expect_code(6);
        assert_eq!(refused.json()["error"]["code"], "digest-mismatch");
        assert!(!place.path("out").exists());
    }
    for rest in ["@sha256:abc", "@sha256:", "@sha512:00", "@md5", "@sha256:../../x"] {
        place.pull(&named(rest), "out", &[]).expect_code(2);
    }
    let unknown = format!("@blake3:{}", "0".repeat(64));
    place.pull(&named(&unknown), "out", &[]).expect_code(9);
}

#[test]
fn layers_and_configs_may_have_digests_of_another_algorithm() {
    let place = Place::new();
    let layer = Layer::new().file("text", b"by sha512");
    let by_512 = Digest::of(Algorithm::Sha512, &layer.blob());
    let diff_id = Digest::of(Algorithm::Sha512, &layer.tar());
    let unknown = format!("blake3:{}", "0".repeat(64));
    for (digest, diff_id, code) in [
        (by_512.to_string(), diff_id.to_string(), 0),
        (by_512.to_string(), Digest::of(Algorithm::Sha512, b"other").to_string(), 6),
        (Digest::of(Algorithm::Sha512, b"other").to_string(), diff_id.to_string(), 6),
        (unknown, diff_id.to_string(), 9),
    ] {
        let mut content = Content::new();
        content.put_blob(&digest, layer.blob());
        let named = digest.clone();
        let image = Image::new()
            .layer(layer.clone())
            .edit_config(move |config| config["rootfs"]["diff_ids"][0] = json!(diff_id))
            .edit_manifest(move |manifest| manifest["layers"][0]["digest"] = json!(named));
        content.push("app", "1", image);
        let registry = Registry::open(content);
        let pulled = place.pull(&format!("{}/app:1", registry.host()), "out", &["--force", "--no-cache"]);
        assert_eq!(pulled.code, code, "{digest}: {pulled:?}");
    }
    assert_eq!(place.read("out/text"), b"by sha512");
}

#[test]
fn a_tag_that_moves_moves_between_pulls_and_not_within_one() {
    let place = Place::new();
    let mut content = Content::new();
    content.push("app", "1", image("one"));
    content.push("app", "2", image("two"));
    let registry = Registry::open(content);
    let source = format!("{}/app:1", registry.host());
    place.pull(&source, "first", &[]).expect_code(0);
    assert_eq!(registry.requests_to(Method::Any, "/v2/app/manifests/1").len(), 1, "a tag is resolved once");
    registry.change(|content| drop(content.push("app", "1", image("two"))));
    place.pull(&source, "second", &[]).expect_code(0);
    assert_eq!((place.read("first/text"), place.read("second/text")), (b"one".to_vec(), b"two".to_vec()));
}

#[test]
fn what_a_registry_claims_of_digests_proves_nothing() {
    let place = Place::new();
    let (one, two) = (image("one").pack(), image("two").pack());
    let mut content = Content::new();
    content.push("app", "1", one.clone());
    let claim = Action::SetHeader("Docker-Content-Digest".to_owned(), two.digest().to_string());
    let rule = Rule::on(Method::Any, "/v2/app/manifests/*").then(claim);
    let registry = Registry::start(content, Options::new().rule(rule));
    let source = format!("{}/app:1", registry.host());
    for _ in 0..2 {
        let digest = place.run(&["digest", &source]).expect_code(0).stdout_text();
        assert_eq!(digest.trim(), one.digest().as_str());
    }
    place.pull(&source, "out", &[]).expect_code(0);
    assert_eq!(place.read("out/text"), b"one");
}
