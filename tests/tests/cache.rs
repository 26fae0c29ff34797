//! What is kept between runs: where it is, what it holds, how it is cleared, and what is done without it.
#![cfg(unix)]

use oci_fetcher_tests::compare::Comparison;
use oci_fetcher_tests::content::Content;
use oci_fetcher_tests::image::{Compression, Image, Index, Layer};
use oci_fetcher_tests::place::Place;
use oci_fetcher_tests::process::measure;
use oci_fetcher_tests::registry::Registry;
use serde_json::Value;

/// Three layers of 10,000 to 30,000 bytes each, and their blobs' digests in that order.
fn content() -> (Content, Vec<String>) {
    let layer = |number: u8| {
        let file = vec![number; usize::from(number) * 10_000];
        Layer::new().file(format!("file{number}"), file).compress(Compression::None)
    };
    let image = (1..=3).map(layer).fold(Image::new(), Image::layer);
    let manifest: Value = serde_json::from_slice(&image.pack().bytes).expect("JSON");
    let layers = manifest["layers"].as_array().expect("a list");
    let digests = layers.iter().map(|layer| layer["digest"].as_str().expect("a digest").to_owned()).collect();
    let mut content = Content::new();
    content.push("app", "1", image);
    (content, digests)
}

fn source(registry: &Registry) -> String {
    format!("{}/app:1", registry.host())
}

#[test]
fn the_cache_is_where_the_environment_says() {
    let place = Place::new();
    let default = place.text(".cache/oci-fetcher");
    assert_eq!(place.run(&["cache", "path"]).expect_code(0).stdout_text(), format!("{default}\n"));
    assert_eq!(place.run(&["cache", "path", "--json"]).expect_code(0).json()["path"], default.as_str());
    for (value, expected) in [(place.text("xdg"), place.text("xdg/oci-fetcher")), ("relative".to_owned(), default)] {
        let mut command = place.command(&["cache", "path"]);
        assert_eq!(measure(command.env("XDG_CACHE_HOME", value)).expect_code(0).stdout_text(), format!("{expected}\n"));
    }
    let given = place.text("given");
    let told = place.run(&["cache", "path", "--cache-dir", &given]).expect_code(0);
    assert_eq!(told.stdout_text(), format!("{given}\n"));
    assert_eq!(place.names(""), [] as [&str; 0], "to ask makes nothing");

    let registry = Registry::open(content().0);
    place.pull(&source(&registry), "out", &["--cache-dir", &given]).expect_code(0);
    assert_eq!(place.names(""), ["given", "out"]);
    assert_eq!(
        place.run(&["cache", "ls", "-q", "--cache-dir", &given]).expect_code(0).stdout_text().lines().count(),
        5
    );
}

#[test]
fn blobs_are_listed_and_pruned_by_their_last_use() {
    let place = Place::new();
    assert_eq!(place.run(&["cache", "ls"]).expect_code(0).stdout_text(), "");
    assert_eq!(
        place.run(&["cache", "prune", "--keep", "0"]).expect_code(0).stdout_text(),
        "removed 0 files, 0 B; kept 0 B\n"
    );
    let (content, layers) = content();
    let registry = Registry::open(content);
    place.pull(&source(&registry), "out", &[]).expect_code(0);
    let listed = place.run(&["cache", "ls", "--json"]).expect_code(0).json();
    let blobs = listed["blobs"].as_array().expect("a list");
    assert_eq!(blobs.len(), 5, "a manifest, a config and three layers");
    let sizes: u64 = blobs.iter().map(|blob| blob["size"].as_u64().expect("a number")).sum();
    assert_eq!(listed["total"], sizes);
    for blob in blobs {
        let path = format!(".cache/oci-fetcher/blobs/{}", blob["digest"].as_str().expect("text").replace(':', "/"));
        assert_eq!(place.read(&path).len() as u64, blob["size"].as_u64().expect("a number"));
    }

    // The middle layer is used last.
    place.run(&["blob", &source(&registry), &layers[1], "-o", "/dev/null"]).expect_code(0);
    let order = place.run(&["cache", "ls", "-q"]).expect_code(0).stdout_text();
    assert_eq!(order.lines().last(), Some(layers[1].as_str()), "{order}");
    let pruned = place.run(&["cache", "prune", "--keep", "25000", "--json"]).expect_code(0).json();
    let left = place.run(&["cache", "ls", "--json"]).expect_code(0).json();
    assert!(left["total"].as_u64().expect("a number") <= 25_000 && left["total"] == pruned["kept"], "{left} {pruned}");
    assert_eq!(pruned["freed"].as_u64().expect("a number") + left["total"].as_u64().expect("a number"), sizes);
    let kept: Vec<&str> =
        left["blobs"].as_array().expect("a list").iter().filter_map(|blob| blob["digest"].as_str()).collect();
    assert!(kept.contains(&layers[1].as_str()) && !kept.contains(&layers[2].as_str()), "{kept:?}");

    // What is gone is fetched again, and nothing else.
    registry.forget_requests();
    place.pull(&source(&registry), "again", &[]).expect_code(0);
    Comparison::new().assert_equal(&place.path("out"), &place.path("again"));
    assert!(registry.blob_downloads() < 4, "{:?}", registry.requests());
    for size in ["1KiB", "1kB", "0"] {
        place.run(&["cache", "prune", "--keep", size]).expect_code(0);
    }
    assert_eq!(place.run(&["cache", "ls"]).expect_code(0).stdout_text(), "");
    place.run(&["cache", "prune", "--keep", "much"]).expect_code(2);
    place.run(&["cache", "prune"]).expect_code(2);
    place.pull(&source(&registry), "anew", &[]).expect_code(0);
}

#[test]
fn offline_only_what_is_kept_is_used() {
    let place = Place::new();
    let (mut content, layers) = content();
    content.push("other", "1", Index::new().manifest(Image::new().platform("linux/s390x")));
    let registry = Registry::open(content);
    let other = format!("{}/other:1", registry.host());
    let missed = place.pull(&source(&registry), "out", &["--offline", "--json"]).expect_code(3).json();
    assert_eq!(missed["error"]["code"], "not-stored");
    place.pull(&source(&registry), "online", &[]).expect_code(0);
    let digest = place.run(&["digest", &source(&registry)]).expect_code(0).stdout_text();
    drop(place.run(&["digest", &other, "--platform", "linux/s390x"]).expect_code(0));
    registry.forget_requests();
    place.pull(&source(&registry), "out", &["--offline"]).expect_code(0);
    Comparison::new().assert_equal(&place.path("online"), &place.path("out"));
    let pinned = format!("{}/app@{}", registry.host(), digest.trim());
    place.pull(&pinned, "pinned", &["--offline"]).expect_code(0);
    assert_eq!(place.run(&["digest", "--offline", &source(&registry)]).expect_code(0).stdout_text(), digest);
    place.run(&["digest", "--offline", &other, "--platform", "linux/s390x"]).expect_code(0);
    let layout = place.text("layout");
    place.run(&["pull", "--offline", &source(&registry), "--layout", &layout]).expect_code(0);
    place.run(&["blob", "--offline", &source(&registry), &layers[0], "-o", "/dev/null"]).expect_code(0);

    // Another tag, a platform that was never asked for.
    let unknown = format!("{}/app:2", registry.host());
    for arguments in [
        &["digest", "--offline", &unknown][..],
        &["tags", "--offline", &unknown],
        &["digest", "--offline", &other, "--platform", "linux/arm64"],
    ] {
        place.run(arguments).expect_code(3);
    }
    // One blob is gone.
    std::fs::remove_file(place.path(&format!(".cache/oci-fetcher/blobs/{}", layers[0].replace(':', "/"))))
        .expect("there");
    let missed = place.pull(&source(&registry), "missed", &["--offline", "--json"]).expect_code(3).json();
    assert_eq!(missed["error"]["code"], "not-stored");
    assert!(missed["error"]["advice"].as_str().expect("text").contains("--offline"));
    assert!(!place.path("missed").exists());
    assert_eq!(registry.requests().len(), 0, "{:?}", registry.requests());
}

#[test]
fn without_a_cache_nothing_is_kept() {
    let place = Place::new();
    let (content, layers) = content();
    let registry = Registry::open(content);
    let temporary = place.path("tmp");
    std::fs::create_dir(&temporary).expect("writable");
    let (layout, tar, blob) = (place.text("layout"), place.text("tar"), place.text("blob"));
    let source = source(&registry);
    for arguments in [
        &["pull", &source, &place.text("out")][..],
        &["pull", &source, "--layout", &layout],
        &["pull", &source, "--tar", &tar],
        &["blob", &source, &layers[0], "-o", &blob],
        &["digest", &source],
    ] {
        let mut command = place.command(arguments);
        measure(command.arg("--no-cache").env("TMPDIR", &temporary)).expect_code(0);
    }
    assert_eq!(place.names(""), ["blob", "layout", "out", "tar", "tmp"]);
    assert_eq!(place.names("tmp"), [] as [&str; 0]);
    place.pull(&source, "other", &["--no-cache", "--offline"]).expect_code(2);
    place.pull(&source, "other", &["--no-cache", "--cache-dir", &place.text("cache")]).expect_code(2);
    // A moved tag is seen at once.
    registry.change(|content| drop(content.push("app", "1", Image::new().layer(Layer::new().file("moved", b"m")))));
    place.pull(&source, "moved", &[]).expect_code(0);
    assert_eq!(place.names("moved"), ["moved"]);
}
