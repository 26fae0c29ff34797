//! The registry of faults: each repository shows another.

use std::time::Duration;

use oci_fetcher_tests::awkward;
use oci_fetcher_tests::content::Content;
use oci_fetcher_tests::image::{Compression, Image, Index, Layer, Manifest};
use oci_fetcher_tests::registry::{Action, Cors, Method, Options, Registry, RetryAfter, Rule};
use serde_json::{Value, json};

pub(crate) fn start() -> Registry {
    let mut content = Content::new();
    let mut options = Options::new().cors(Cors::Headers);
    for (repository, rule) in rules() {
        content.push(repository, "1", image());
        options = options.rule(rule);
    }
    content.push(
        "wrong-diff-id",
        "1",
        image().edit_config(|config| {
            config["rootfs"]["diff_ids"][1] = json!(format!("sha256:{}", "0".repeat(64)));
        }),
    );
    content.push("other-platforms", "1", Index::new().manifest(Image::new().platform("linux/s390x")));
    content.push("encrypted", "1", Image::new().layer(Layer::new().media_type(ENCRYPTED)));
    for (name, layer) in awkward::refused() {
        content.push(name, "1", Image::new().layer(Layer::new().file("first", b"complete")).layer(layer));
    }
    Registry::start(content, options)
}

/// Makes faults that show only so often show again.
pub(crate) fn renew(registry: &Registry) {
    registry.forget_rules();
    for (_, rule) in rules() {
        registry.add_rule(rule);
    }
}

const ENCRYPTED: &str = "application/vnd.oci.image.layer.v1.tar+gzip+encrypted";

/// Returns what is done to the last layer of [`image`], or to its manifest, by repository.
fn rules() -> Vec<(&'static str, Rule)> {
    let layer = last_layer(&image().pack());
    let on = |repository: &str| Rule::on(Method::Get, &format!("/v2/{repository}/blobs/{layer}"));
    let manifest = |repository: &str| Rule::on(Method::Any, &format!("/v2/{repository}/manifests/*"));
    vec![
        ("flipped", on("flipped").then(Action::FlipByte(60_000))),
        ("flipped-manifest", manifest("flipped-manifest").then(Action::Append(b" ".to_vec()))),
        ("truncated", on("truncated").then(Action::Truncate(60_000))),
        ("cut-twice", on("cut-twice").times(2).then(Action::CutBody(60_000))),
        ("unauthorized", manifest("unauthorized").then(Action::challenge("Basic realm=\"registry.test\""))),
        ("denied", manifest("denied").then(Action::respond(403, "no"))),
        ("broken", manifest("broken").then(Action::Refuse(500, RetryAfter::Absent))),
        ("busy-once", manifest("busy-once").times(1).then(Action::Refuse(429, RetryAfter::Seconds(1)))),
        ("slow", on("slow").then(Action::Slice { bytes: 10_000, pause: Duration::from_millis(500) })),
    ]
}

/// Two layers; the second has as many bytes compressed as the faults need.
fn image() -> Image {
    let mut number = 1_u32;
    let noise = std::iter::repeat_with(|| {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (number >> 24) as u8
    });
    let noise: Vec<u8> = noise.take(200_000).collect();
    Image::new()
        .layer(Layer::new().directory("etc", 0o755).file("etc/hostname", b"faulty\n"))
        .layer(Layer::new().file("noise", noise).compress(Compression::Gzip))
}

fn last_layer(manifest: &Manifest) -> String {
    let manifest: Value = serde_json::from_slice(&manifest.bytes).expect("a manifest is JSON");
    let layers = manifest["layers"].as_array().expect("a manifest lists layers");
    let last = layers.last().expect("the image has layers");
    last["digest"].as_str().expect("a descriptor has a digest").to_owned()
}
