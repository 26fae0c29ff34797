//! Which image of an index is taken, and what `--all-platforms` keeps.
#![cfg(unix)]

use std::ffi::OsStr;

use oci_fetcher_tests::content::{Blob, Content};
use oci_fetcher_tests::image::{Image, Index, Layer, Manifest, Types};
use oci_fetcher_tests::place::Place;
use oci_fetcher_tests::process::{required, run};
use oci_fetcher_tests::registry::Registry;
use serde_json::Value;

/// An image whose only file says what it is for.
fn image(platform: &str) -> Image {
    Image::new().platform(platform).layer(Layer::new().file("platform", platform))
}

/// Indexes in indexes, an attestation, and variants with the lesser ones first.
fn index(types: Types) -> Index {
    let image = |platform| image(platform).types(types);
    let arms = Index::new().types(types).manifest(image("linux/arm/v6")).manifest(image("linux/arm/v7"));
    let deeper = Index::new().types(types).manifest(image("linux/s390x"));
    Index::new()
        .types(types)
        .attested(image("linux/amd64"))
        .manifest(image("linux/arm64/v8"))
        .manifest(arms)
        .manifest(Index::new().types(types).manifest(deeper))
}

fn registry(manifest: impl Into<Manifest>) -> Registry {
    let mut content = Content::new();
    content.push("app", "1", manifest);
    Registry::open(content)
}

fn source(registry: &Registry) -> String {
    format!("{}/app:1", registry.host())
}

/// The platform that is taken where none is asked for.
const OF_THIS_MACHINE: &str = if cfg!(target_arch = "aarch64") { "linux/arm64/v8" } else { "linux/amd64" };

#[test]
fn the_best_variant_is_chosen_however_deep_it_lies() {
    let place = Place::new();
    for types in [Types::Oci, Types::Docker] {
        let registry = registry(index(types));
        let source = source(&registry);
        for (wanted, taken) in [
            ("linux/amd64", "linux/amd64"),
            ("linux/amd64/v3", "linux/amd64"),
            ("linux/x86_64", "linux/amd64"),
            ("linux/arm64", "linux/arm64/v8"),
            ("linux/arm64/v8", "linux/arm64/v8"),
            ("linux/aarch64", "linux/arm64/v8"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/arm/v7", "linux/arm/v7"),
            ("linux/arm/v8", "linux/arm/v7"),
            ("linux/armhf", "linux/arm/v7"),
            ("linux/arm/v6", "linux/arm/v6"),
            ("linux/armel", "linux/arm/v6"),
            ("linux/s390x", "linux/s390x"),
        ] {
            let expected = image(taken).types(types).pack();
            let asked = |command| place.run::<&str>(&[command, &source, "--platform", wanted]).expect_code(0);
            assert_eq!(asked("digest").stdout_text(), format!("{}\n", expected.digest()), "{wanted}");
            assert_eq!(asked("manifest").stdout, expected.bytes, "{wanted}");
            let config: Value = asked("config").json();
            assert_eq!(config["rootfs"], config_of(&expected)["rootfs"], "{wanted}");
            place.pull(&source, "out", &["--platform", wanted, "--force"]).expect_code(0);
            assert_eq!(place.read("out/platform"), taken.as_bytes(), "{wanted}");
        }
        place.pull(&source, "default", &["--force"]).expect_code(0);
        assert_eq!(place.read("default/platform"), OF_THIS_MACHINE.as_bytes());
    }
}

fn config_of(image: &Manifest) -> Value {
    let manifest: Value = serde_json::from_slice(&image.bytes).expect("JSON");
    let config = image.blobs.iter().find(|(digest, _)| manifest["config"]["digest"] == digest.as_str());
    let Some((_, Blob::Bytes(bytes))) = config else { panic!("a config is in memory") };
    serde_json::from_slice(bytes).expect("JSON")
}

#[test]
fn without_a_platform_an_index_is_shown_as_it_is() {
    let place = Place::new();
    let packed = index(Types::Oci).pack();
    let registry = registry(packed.clone());
    let source = source(&registry);
    assert_eq!(place.run(&["manifest", &source]).expect_code(0).stdout, packed.bytes);
    assert_eq!(place.run(&["digest", &source]).expect_code(0).stdout_text(), format!("{}\n", packed.digest()));
    let named = place.run(&["digest", "--json", &source]).expect_code(0).json();
    assert_eq!(named["mediaType"], packed.media_type);
    assert_eq!(named["size"], packed.bytes.len());
    let config = place.run(&["config", &source]).expect_code(0).json();
    assert_eq!(config, config_of(&image(OF_THIS_MACHINE).pack()));
}

#[test]
fn a_platform_that_is_missing_is_answered_with_those_there_are() {
    let place = Place::new();
    let registry = registry(index(Types::Oci));
    for wanted in ["linux/riscv64", "linux/arm/v5", "windows/amd64", "unknown/unknown", "linux/arm64/v7"] {
        for command in ["digest", "manifest", "config"] {
            let missing = place.run(&[command, &source(&registry), "--platform", wanted]).expect_code(3);
            let message = missing.stderr_text();
            for available in ["linux/amd64", "linux/arm64", "linux/arm/v6", "linux/arm/v7", "linux/s390x"] {
                assert!(message.contains(available), "{command} {wanted}: {message}");
            }
            assert_eq!(
                message.matches("unknown/unknown").count(),
                usize::from(wanted == "unknown/unknown"),
                "{message}"
            );
        }
        let missing = place.pull(&source(&registry), "out", &["--platform", wanted, "--json"]).expect_code(3);
        assert_eq!(missing.json()["error"]["code"], "platform-not-found");
        assert!(!place.path("out").exists());
    }
    for malformed in ["linux", "linux/", "linux/arm/v7/x", "linux/a b", ""] {
        place.pull(&source(&registry), "out", &["--platform", malformed]).expect_code(2);
    }
}

#[test]
fn the_first_of_equals_is_taken_and_configs_tell_where_an_index_does_not() {
    let place = Place::new();
    let platform = "linux/ppc64le";
    let (first, second) = (image(platform).label("n", "1"), image(platform).label("n", "2"));
    let twice = registry(Index::new().manifest(&first).manifest(&second));
    let digest = place.run(&["digest", &source(&twice), "--platform", platform]).expect_code(0).stdout_text();
    assert_eq!(digest.trim(), first.pack().digest().as_str());

    let silent = Index::new().manifest(image("linux/s390x")).manifest(&first).edit(|index| {
        for entry in index["manifests"].as_array_mut().expect("a list") {
            entry.as_object_mut().expect("a descriptor").remove("platform");
        }
    });
    let silent = registry(silent);
    let digest = place.run(&["digest", &source(&silent), "--platform", platform]).expect_code(0).stdout_text();
    assert_eq!(digest.trim(), first.pack().digest().as_str());
    let missing = place.run(&["digest", &source(&silent), "--platform", "linux/riscv64"]).expect_code(3).stderr_text();
    assert!(missing.contains("linux/s390x") && missing.contains(platform), "{missing}");
}

#[test]
fn windows_needs_a_version_where_there_are_several() {
    let place = Place::new();
    let of_version = |version: &str| image("windows/amd64").os_version(version).label("version", version);
    let (old, new) = (of_version("10.0.17763.1"), of_version("10.0.20348.2700"));
    let registry = registry(Index::new().manifest(&old).manifest(&new));
    let ask = |platform: &str| place.run(&["digest", &source(&registry), "--platform", platform]);
    let refused = ask("windows/amd64").expect_code(2).stderr_text();
    assert!(refused.contains("10.0.17763.1") && refused.contains("10.0.20348.2700"), "{refused}");
    for (version, expected) in [("10.0.20348", &new), ("10.0.20348.2700", &new), ("10.0.17763.1", &old)] {
        let taken = ask(&format!("windows/amd64:{version}")).expect_code(0).stdout_text();
        assert_eq!(taken.trim(), expected.pack().digest().as_str());
    }
    ask("windows/amd64:10.0.1").expect_code(3);
}

#[test]
fn a_lone_image_is_refused_only_for_a_platform_that_was_asked_for() {
    let place = Place::new();
    let lone = image("linux/s390x");
    let registry = registry(&lone);
    place.pull(&source(&registry), "any", &[]).expect_code(0);
    place.pull(&source(&registry), "right", &["--platform", "linux/s390x"]).expect_code(0);
    let refused = place.pull(&source(&registry), "wrong", &["--platform", "linux/amd64", "--json"]).expect_code(3);
    assert_eq!(refused.json()["error"]["code"], "platform-mismatch");
    assert!(!place.path("wrong").exists());
    for command in ["digest", "manifest", "config"] {
        place.run(&[command, &source(&registry)]).expect_code(0);
        place.run(&[command, &source(&registry), "--platform", "linux/s390x"]).expect_code(0);
        let refused = place.run(&[command, &source(&registry), "--platform", "linux/amd64"]).expect_code(3);
        assert!(refused.stderr_text().contains("linux/s390x"), "{command}: {refused:?}");
    }
}

#[test]
fn indexes_are_followed_only_so_deep() {
    let place = Place::new();
    let deepest = Index::new().manifest(image("linux/amd64"));
    let deep = (0..20).fold(deepest, |inner, _| Index::new().manifest(inner));
    let registry = registry(deep);
    let refused = place.pull(&source(&registry), "out", &["--platform", "linux/amd64"]).expect_code(7).stderr_text();
    assert!(refused.contains("--max-index-depth"), "{refused}");
    place.pull(&source(&registry), "out", &["--platform", "linux/amd64", "--max-index-depth", "21"]).expect_code(0);
}

/// Everything below a manifest, itself too: digests and bytes.
fn everything(manifest: &Manifest) -> Vec<(String, Vec<u8>)> {
    let blobs = manifest.blobs.iter().map(|(digest, blob)| {
        let Blob::Bytes(bytes) = blob else { panic!("blobs are in memory") };
        (digest.to_string(), bytes.to_vec())
    });
    let own = std::iter::once((manifest.digest().to_string(), manifest.bytes.clone()));
    own.chain(blobs).chain(manifest.children.iter().flat_map(everything)).collect()
}

#[test]
fn all_platforms_are_kept_byte_for_byte() {
    let place = Place::new();
    let packed = index(Types::Oci).pack();
    let registry = registry(packed.clone());
    let layout = place.text("layout");
    let arguments = ["pull", &source(&registry), "--all-platforms", "--layout", &layout, "--ref-name", "all", "-q"];
    let pulled = place.run(&arguments).expect_code(0);
    assert_eq!(pulled.stdout_text(), format!("{}\n", packed.digest()));
    let mut expected: Vec<String> = Vec::new();
    for (digest, bytes) in everything(&packed) {
        assert_eq!(place.read(&format!("layout/blobs/{}", digest.replace(':', "/"))), bytes, "{digest}");
        expected.push(digest.replace("sha256:", ""));
    }
    expected.sort();
    expected.dedup();
    assert_eq!(place.names("layout/blobs/sha256"), expected, "and nothing besides");
    let top: Value = serde_json::from_slice(&place.read("layout/index.json")).expect("JSON");
    assert_eq!(top["manifests"].as_array().map(Vec::len), Some(1));
    assert_eq!(top["manifests"][0]["digest"], packed.digest().as_str());
    assert_eq!(top["manifests"][0]["mediaType"], packed.media_type);

    let skopeo = required("skopeo", "skopeo");
    let image = format!("oci:{layout}:all");
    assert_eq!(run(&skopeo, &["inspect", "--raw", &image].map(OsStr::new)), packed.bytes);
    let only = ["--override-os", "linux", "--override-arch", "arm64"];
    let inspected =
        run(&skopeo, &[&only[..], &["inspect", &image]].concat().into_iter().map(OsStr::new).collect::<Vec<_>>());
    let inspected: Value = serde_json::from_slice(&inspected).expect("JSON");
    assert_eq!(inspected["Architecture"], "arm64");

    // The layout is a source like any other.
    place.pull(&image, "arm", &["--platform", "linux/arm/v7"]).expect_code(0);
    assert_eq!(place.read("arm/platform"), b"linux/arm/v7");
    let again = place.text("again");
    place.run(&["pull", &image, "--all-platforms", "--layout", &again]).expect_code(0);
    assert_eq!(place.names("again/blobs/sha256"), expected);

    // One platform leaves the others out.
    let one = place.text("one");
    place.run(&["pull", &source(&registry), "--platform", "linux/s390x", "--layout", &one]).expect_code(0);
    assert_eq!(place.names("one/blobs/sha256").len(), 3, "a manifest, a config and a layer");
    place.pull(&source(&registry), "out", &["--all-platforms"]).expect_code(2);
}
