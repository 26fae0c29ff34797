//! Parts of images (`--path`), and several images in one directory.
#![cfg(unix)]

use std::os::unix::fs::MetadataExt as _;

use oci_fetcher_tests::compare::{Aspect, Comparison};
use oci_fetcher_tests::content::Content;
use oci_fetcher_tests::image::{Compression, Image, Layer, Manifest};
use oci_fetcher_tests::place::Place;
use oci_fetcher_tests::registry::{Action, Method, Options, Registry, Rule};

/// A layer with links that lead out of `cnb`, and one that changes things in it and beside it.
fn layers() -> [Layer; 2] {
    let lower = Layer::new()
        .directory("cnb", 0o750)
        .directory("cnb/lifecycle", 0o755)
        .file("cnb/lifecycle/launcher", b"launcher")
        .mode(0o755)
        .file("cnb/old", b"old")
        .directory("usr", 0o755)
        .directory("usr/bin", 0o755)
        .file("usr/bin/tool", b"tool of the system")
        .owner(7, 8)
        .mode(0o750)
        .modified(1_600_000_000, 5)
        .hard_link("cnb/tool", "usr/bin/tool")
        .hard_link("cnb/tool-too", "usr/bin/tool")
        .symlink("cnb/absolute", "/usr/bin/tool")
        .symlink("cnb/relative", "../usr/bin/tool")
        .symlink("bin", "usr/bin")
        .file("etc", b"a file");
    let upper = Layer::new()
        .whiteout("cnb/old")
        .file("cnb/new", b"new")
        .hard_link("cnb/launcher", "cnb/lifecycle/launcher")
        .file("usr/bin/other", b"other")
        .compress(Compression::Zstd);
    [lower, upper]
}

fn image() -> Image {
    layers().into_iter().fold(Image::new(), Image::layer)
}

fn registry_of(images: impl IntoIterator<Item = (&'static str, Image)>) -> Registry {
    let mut content = Content::new();
    for (name, image) in images {
        content.push(name, "1", image);
    }
    Registry::open(content)
}

fn source(registry: &Registry) -> String {
    format!("{}/app:1", registry.host())
}

#[test]
fn a_path_is_unpacked_as_it_is_in_the_whole() {
    let place = Place::new();
    let registry = registry_of([("app", image())]);
    place.pull(&source(&registry), "whole", &[]).expect_code(0);
    for (number, path) in ["cnb", "/cnb/", "./cnb", "cnb/../cnb/"].into_iter().enumerate() {
        let name = format!("part{number}");
        place.pull(&source(&registry), &name, &["--path", path]).expect_code(0);
        assert_eq!(place.names(&name), ["cnb"], "{path}");
        let part = place.path(&format!("{name}/cnb"));
        // A name of a file outside is none in a tree of its own.
        Comparison::new().ignore(Aspect::HardLinks).assert_equal(&place.path("whole/cnb"), &part);
        let tool = part.join("tool").symlink_metadata().expect("it is there");
        assert!(tool.is_file() && tool.mode() & 0o7777 == 0o750 && (tool.uid(), tool.gid()) == (7, 8), "{tool:?}");
        let [one, other] =
            ["launcher", "lifecycle/launcher"].map(|name| part.join(name).metadata().expect("there").ino());
        assert_eq!(one, other, "a hard link within the selection stays one");
    }
}

#[test]
fn paths_add_up() {
    let place = Place::new();
    let registry = registry_of([("app", image())]);
    let cases: [(&[&str], &[&str]); 6] = [
        (
            &["cnb/lifecycle", "usr/bin/other"],
            &["cnb", "cnb/lifecycle", "cnb/lifecycle/launcher", "usr", "usr/bin", "usr/bin/other"],
        ),
        (&["cnb/new", "cnb/new"], &["cnb", "cnb/new"]),
        (&["usr", "usr/bin/tool"], &["usr", "usr/bin", "usr/bin/other", "usr/bin/tool"]),
        (&["etc"], &["etc"]),
        // What a path leads to is wanted, too.
        (&["cnb/absolute"], &["cnb", "cnb/absolute", "usr", "usr/bin", "usr/bin/tool"]),
        (&["bin/other"], &["bin", "usr", "usr/bin", "usr/bin/other"]),
    ];
    for (number, (paths, expected)) in cases.into_iter().enumerate() {
        let name = format!("part{number}");
        let options: Vec<&str> = paths.iter().flat_map(|path| ["--path", path]).collect();
        place.pull(&source(&registry), &name, &options).expect_code(0);
        let listing = Comparison::new().listing(&place.path(&name));
        let found: Vec<&str> = listing.lines().skip(1).map(|line| line.split(' ').next().expect("a path")).collect();
        assert_eq!(found, expected, "{paths:?}");
    }
    place.pull(&source(&registry), "root", &["--path", "/"]).expect_code(0);
    place.pull(&source(&registry), "whole", &[]).expect_code(0);
    Comparison::new().assert_equal(&place.path("whole"), &place.path("root"));
}

#[test]
fn a_path_that_is_missing_is_not_found() {
    let place = Place::new();
    let registry = registry_of([("app", image())]);
    for paths in [&["nothing"][..], &["cnb/old"], &["cnb", "cnb/nothing"], &["etc/below"], &["cn"]] {
        let options: Vec<&str> = paths.iter().flat_map(|path| ["--path", path]).chain(["--json"]).collect();
        let missing = place.pull(&source(&registry), "out", &options).expect_code(3).json();
        assert_eq!(missing["error"]["code"], "path-not-found", "{paths:?}");
        let missed = paths.last().expect("a path");
        assert!(missing["error"]["message"].as_str().expect("text").contains(missed), "{missing}");
    }
    for path in ["../cnb", ".."] {
        place.pull(&source(&registry), "out", &["--path", path]).expect_code(2);
    }
    assert_eq!(place.names(""), [".cache"]);
}

#[test]
fn layers_without_a_part_in_it_are_verified_too() {
    let place = Place::new();
    let [lower, upper] = layers();
    let image = Image::new().layer(lower).layer(upper).layer(Layer::new().file("elsewhere", vec![3; 10_000]));
    let mut content = Content::new();
    content.push("app", "1", &image);
    let manifest: serde_json::Value = serde_json::from_slice(&Manifest::from(&image).bytes).expect("JSON");
    let last = format!("/v2/app/blobs/{}", manifest["layers"][2]["digest"].as_str().expect("a digest"));
    let flip = Rule::on(Method::Get, &last).then(Action::FlipByte(30));
    let registry = Registry::start(content, Options::new().rule(flip));
    place.pull(&source(&registry), "out", &["--path", "cnb", "--no-cache"]).expect_code(6);
    assert!(!place.path("out").exists());
}

#[test]
fn several_images_are_as_one_of_all_their_layers() {
    let place = Place::new();
    let [lower, upper] = layers();
    let extra = Layer::new()
        .whiteout("usr/bin/tool")
        .directory("cnb", 0o711)
        .directory("cnb/buildpacks", 0o755)
        .file("cnb/buildpacks/one", b"one")
        .symlink("etc", "usr");
    let last = Layer::new().opaque("usr/bin").file("usr/bin/last", b"last").file("cnb/buildpacks/one", b"two");
    let registry = registry_of([
        ("app", image()),
        ("extra", Image::new().layer(extra.clone())),
        ("last", Image::new().layer(last.clone())),
        ("all", [lower, upper, extra, last].into_iter().fold(Image::new(), Image::layer)),
    ]);
    let named = |name: &str| format!("{}/{name}:1", registry.host());
    place.pull(&named("all"), "all", &[]).expect_code(0);
    let layout = place.text("layout");
    place.run(&["pull", &named("extra"), "--layout", &layout, "--ref-name", "extra"]).expect_code(0);
    for (number, extra) in [named("extra"), format!("oci:{layout}:extra")].iter().enumerate() {
        let to = format!("merged{number}");
        let sources = [&named("app"), extra, &named("last"), &place.text(&to)];
        let merged = place.run(&[&["pull", "--json"], &sources.map(String::as_str)[..]].concat()).expect_code(0).json();
        Comparison::new().assert_equal(&place.path("all"), &place.path(&to));
        assert_eq!(merged["images"].as_array().map(Vec::len), Some(3));
        assert_eq!(merged["images"][1]["source"], extra.as_str());
    }
    let out = place.text("quiet");
    let quiet = place.run(&["pull", "-q", &named("app"), &named("last"), &out]).expect_code(0).stdout_text();
    let digests = [named("app"), named("last")].map(|name| place.run(&["digest", &name]).expect_code(0).stdout_text());
    assert_eq!(quiet, digests.concat());

    // The order matters, and each of them has to be there.
    let out = place.text("other");
    place.run(&["pull", &named("last"), &named("extra"), &named("app"), &out]).expect_code(0);
    assert!(!Comparison::new().compare(&place.path("all"), &place.path("other")).is_empty());
    let none = place.text("none");
    place.run(&["pull", &named("app"), &named("missing"), &none]).expect_code(3);
    assert!(!place.path("none").exists());
    // A part of the whole.
    place.pull(&named("all"), "part", &["--path", "cnb"]).expect_code(0);
    let part = place.text("merged-part");
    place.run(&["pull", &named("app"), &named("extra"), &named("last"), &part, "--path", "cnb"]).expect_code(0);
    Comparison::new().assert_equal(&place.path("part"), &place.path("merged-part"));
}
