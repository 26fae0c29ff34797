//! The canonical listing: read back from the disk, it is that of the merged tree in memory.
#![cfg(unix)]

use oci_fetcher_core::digest::{Algorithm, Digest};
use oci_fetcher_core::layer::{LayerDecoder, LayerSpec, Step};
use oci_fetcher_core::listing::{Attribute, Listing};
use oci_fetcher_core::memory::MemoryFs;
use oci_fetcher_core::unpack::{Options, Outcome, Unpacker};
use oci_fetcher_tests::content::Content;
use oci_fetcher_tests::image::{Compression, Image, Layer};
use oci_fetcher_tests::in_memory;
use oci_fetcher_tests::place::Place;
use oci_fetcher_tests::registry::Registry;

fn layers() -> [Layer; 2] {
    [
        Layer::new()
            .directory("usr", 0o755)
            .directory("usr/bin", 0o711)
            .file("usr/bin/tool", b"#!/bin/sh\n")
            .mode(0o4755)
            .owner(0, 50)
            .symlink("bin", "usr/bin")
            .directory("a", 0o1777)
            .modified(1_700_000_000, 123_456_789)
            .file("a-b", b"sorts between a and what is in it")
            .file("a/c d=\\", b"an odd name")
            .file("a/gone", b"")
            .fifo("pipe")
            .character_device("null", 1, 3),
        Layer::new()
            .whiteout("a/gone")
            .hard_link("a/linked", "usr/bin/tool")
            .hard_link("z", "usr/bin/tool")
            .file("attributed", vec![7; 300_000])
            .owner(1000, 1001)
            .xattr("user.origin", b"te st")
            .xattr("user.empty", b"")
            .xattr("security.selinux", b"not applied"),
    ]
}

/// Merges layers in memory, and lists them.
fn merged(layers: &[Layer], without: &[Attribute]) -> (Vec<String>, Digest) {
    let mut unpacker = Unpacker::new(MemoryFs::default(), Options::default());
    for layer in layers {
        let blob = layer.blob();
        let mut decoder = LayerDecoder::new(LayerSpec {
            digest: Digest::of(Algorithm::Sha256, &blob),
            size: blob.len() as u64,
            diff_id: Digest::of(Algorithm::Sha256, &layer.tar()),
            media_type: String::new(),
            limits: Default::default(),
        })
        .expect("sha256");
        unpacker.begin_layer();
        for mut input in [&blob[..], &[]] {
            while let Step::Op(op) = decoder.step(&mut input).expect("a good layer") {
                unpacker.op(op).expect("a good layer");
            }
        }
        decoder.finish().expect("a good layer");
    }
    let Outcome::Complete(unpacked) = unpacker.finish().expect("merged") else { panic!("all is selected") };
    let mut listing = Listing::without(without.iter().copied());
    let lines = in_memory::list(&unpacked.fs, &mut listing);
    (lines, listing.finish())
}

#[test]
fn the_disk_lists_as_memory_does() {
    let place = Place::new();
    let layers = layers().map(|layer| layer.compress(Compression::Gzip));
    let image = layers.iter().cloned().fold(Image::new(), Image::layer);
    let mut content = Content::new();
    content.push("app", "1", image);
    let registry = Registry::open(content);
    place.pull(&format!("{}/app:1", registry.host()), "out", &[]).expect_code(0);
    let out = place.path("out");
    let out = out.to_str().expect("plain");

    for without in [&[][..], &[Attribute::Nanoseconds, Attribute::Xattrs, Attribute::Specials, Attribute::HardLinks]] {
        let (lines, digest) = merged(&layers, without);
        let options: Vec<String> = without.iter().map(|attribute| format!("--without={}", attribute.name())).collect();
        let command = [&["listing", out][..], &options.iter().map(String::as_str).collect::<Vec<_>>()].concat();
        let listed = place.run(&command).expect_code(0).stdout_text();
        assert_eq!(listed, format!("{}\n{digest}\n", lines.join("\n")));
        let quiet = place.run(&[&command[..], &["-q"]].concat()).expect_code(0).stdout_text();
        assert_eq!(quiet, format!("{digest}\n"));
        let told = place.run(&[&command[..], &["--json"]].concat()).expect_code(0).json();
        assert_eq!(
            (told["digest"].as_str(), told["lines"].as_array().map(Vec::len)),
            (Some(digest.as_str()), Some(lines.len()))
        );
    }

    // Any change shows.
    let (_, before) = merged(&layers, &[]);
    std::fs::write(place.path("out/a-b"), b"sorts between a and what is in iT").expect("writable");
    assert_ne!(place.run(&["listing", out, "-q"]).expect_code(0).stdout_text(), format!("{before}\n"));
}

#[test]
fn what_cannot_be_listed_is_said() {
    let place = Place::new();
    place.run(&["listing", "missing"]).expect_code(8);
    place.run(&["listing", ".", "--without", "size"]).expect_code(2);
    std::os::unix::net::UnixListener::bind(place.path("socket")).expect("bound");
    let root = place.root().to_str().expect("plain").to_owned();
    let failed = place.run(&["listing", &root]).expect_code(8);
    assert!(failed.stderr_text().contains("no image holds such a thing"), "{}", failed.stderr_text());
}
