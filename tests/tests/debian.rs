//! A real Debian image: equal to what umoci unpacks, in bounded memory.
#![cfg(unix)]
#![expect(clippy::print_stdout, reason = "the figures are worth reading")]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use oci_fetcher_tests::compare::Comparison;
use oci_fetcher_tests::content::Content;
use oci_fetcher_tests::debian::{self, GZIP, ZSTD};
use oci_fetcher_tests::docker_registry::{DockerRegistry, Setup};
use oci_fetcher_tests::image::{Compression, Image, Layer};
use oci_fetcher_tests::place::Place;
use oci_fetcher_tests::process::{required, run};
use oci_fetcher_tests::registry::Registry;

/// The most that a pull of the image may take at any time, in bytes.
const PEAK_MEMORY: u64 = 64 << 20;

fn folder() -> PathBuf {
    debian::layers(Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it lies in the target directory"))
}

fn assert_peak(peak: u64, what: &str) {
    println!("peak memory, {what}: {} MiB", peak >> 20);
    assert!(peak <= PEAK_MEMORY, "{what}: {peak} bytes");
}

#[test]
fn it_equals_what_umoci_unpacks_in_bounded_memory() {
    let folder = folder();
    let place = Place::new();
    let registry = DockerRegistry::start(&place.path("storage"), Setup::open());
    registry.push_content(&debian::image(&folder, "gz", GZIP), "debian", "1");
    let source = format!("{}/debian:1", registry.host());
    let pulled = place.pull(&source, "ours", &["--json"]).expect_code(0);
    assert_peak(pulled.peak_memory, "gzip");
    let result: serde_json::Value = serde_json::from_slice(&pulled.stdout).expect("one object");
    let sizes = result["images"][0]["layers"].as_array().expect("layers").iter().map(|layer| layer["size"].as_u64());
    let (size, entries) = (sizes.flatten().sum::<u64>(), result["unpacked"]["entries"].as_u64().expect("a number"));
    println!("{size} bytes compressed, {entries} entries");
    assert!(size >= 500_000_000 && entries >= 25_000);

    let layout = place.path("layout");
    let layout = layout.to_str().expect("plain");
    place.run(&["pull", &source, "--ref-name", "image", "--layout", layout]).expect_code(0);
    let bundle = place.path("umoci");
    let named = format!("{layout}:image");
    let umoci = ["unpack", "--image", &named].map(OsStr::new);
    run(&required("umoci", "umoci"), &[&umoci[..], &[bundle.as_os_str()]].concat());
    Comparison::new().assert_equal(&place.path("ours"), &bundle.join("rootfs"));

    debian::recompress(&folder);
    let twin = Registry::open(debian::image(&folder, "zst", ZSTD));
    let pulled = place.pull(&format!("{}/debian:1", twin.host()), "twin", &["--no-cache"]).expect_code(0);
    assert_peak(pulled.peak_memory, "zstd");
    Comparison::new().assert_equal(&place.path("ours"), &place.path("twin"));
}

/// The peak memory of a pull of one layer with so many files of so many bytes.
fn peak(files: usize, bytes: usize) -> u64 {
    let place = Place::new();
    let layer = (0..files).fold(Layer::new(), |layer, number| {
        layer.file(format!("folder{}/a-file-of-some-name-{number}", number / 100), vec![7; bytes])
    });
    let mut content = Content::new();
    content.push("app", "1", Image::new().layer(layer.compress(Compression::Gzip)));
    let registry = Registry::open(content);
    let pull =
        || place.pull(&format!("{}/app:1", registry.host()), "out", &["--force", "-q"]).expect_code(0).peak_memory;
    let mut peaks = [pull(), pull(), pull()];
    peaks.sort_unstable();
    peaks[1]
}

#[test]
fn memory_grows_with_entries_a_little_and_with_bytes_not_at_all() {
    let (few, many) = (peak(10_000, 10), peak(110_000, 10));
    let each = many.saturating_sub(few) / 100_000;
    println!("{each} bytes an extra entry");
    assert!(each <= 300, "{each} bytes an extra entry");

    let (small, large) = (peak(200, 500_000), peak(200, 2_000_000));
    println!("peak memory with {} and {} bytes", small, large);
    assert!(large <= small + small / 10, "{small} grew to {large}");
}
