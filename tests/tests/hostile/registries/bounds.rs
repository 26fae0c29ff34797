//! 61: bodies without end. 62: indexes without end. 63: diff_ids.

use std::time::Duration;

use oci_fetcher_core::digest::{Algorithm, Digest};
use oci_fetcher_tests::content::Content;
use oci_fetcher_tests::image::{Artifact, Image, Index, Layer, Manifest, descriptor};
use oci_fetcher_tests::registry::{Action, Issuer, Method, Options, Rule};
use serde_json::{Value, json};

use super::digests::layer_path;
use super::manifests::{OCI_INDEX, OCI_MANIFEST, edited, raw};
use super::row::Row;
use super::stage::{MANIFESTS, Stage, Verb, fine, holding, image, on, open};

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = bounds();
    rows.extend(indexes());
    rows.extend(diff_ids());
    rows
}

fn bounds() -> Vec<Row> {
    let padded = |bytes: usize| format!("{{\"x\":\"{}\"}}", "x".repeat(bytes));
    let endless = |path: &'static str, bytes: usize, status: u16| {
        move |stage: &mut Stage| {
            let answer = Action::Respond { status, headers: Vec::new(), body: vec![b' '; bytes] };
            let rule = Rule::on(Method::Any, path).then(answer).then(Action::Chunked);
            stage.registry(fine(), Options::new().rule(rule));
        }
    };
    vec![
        Row::new(61, "a manifest of five megabytes", "body-too-large (7)", raw(OCI_MANIFEST, padded(5 << 20))),
        Row::new(
            61,
            "a manifest of five megabytes, without a length",
            "body-too-large (7)",
            endless(MANIFESTS, 5 << 20, 200),
        ),
        Row::new(61, "a manifest that claims a terabyte", "connection-broken (5)", |stage| {
            let claim = Rule::on(Method::Get, MANIFESTS).then(Action::ContentLength(1 << 40)).then(Action::Close);
            stage.registry(fine(), open().rule(claim));
        }),
        Row::new(61, "a token answer of a megabyte", "limit (7)", |stage| {
            stage.registry(fine(), open().tokens(Issuer::new().anonymous("*")));
            let answer = Action::respond(200, vec![b' '; 1 << 20]);
            stage.rule(Rule::on(Method::Any, "/token").then(answer).then(Action::Chunked));
        }),
        Row::new(61, "an error of ten megabytes", "not-found (3)", endless(MANIFESTS, 10 << 20, 404)),
        Row::new(61, "a manifest that drips", "timed-out (5)", |stage| {
            stage.registry(fine(), open().rule(dripping(Rule::on(Method::Get, MANIFESTS))));
            stage.most_seconds = 25;
        }),
        Row::new(61, "an error that drips", "denied (4)", |stage| {
            let refused = Rule::on(Method::Any, MANIFESTS).then(Action::respond(403, vec![b'x'; 60_000]));
            stage.registry(fine(), open().rule(dripping(refused)));
            stage.most_seconds = 10;
        }),
        Row::new(61, "a config of nine megabytes", "limit (7)", |stage| {
            let label = "x".repeat(9 << 20);
            stage.registry(holding(image().label("x", &label)), open());
        }),
        Row::new(61, "a layer that claims a terabyte and ends", "connection-broken (5)", |stage| {
            let claim =
                on(&layer_path(), Action::ContentLength(1 << 40)).then(Action::Close).then(Action::Truncate(100));
            stage.registry(fine(), open().rule(claim));
        })
        .not_on(&["wasm"], "as the native program, but for the answer: the runtime calls it broken"),
        Row::new(61, "a thousand header fields", "works", |stage| {
            let mut rule = Rule::on(Method::Any, MANIFESTS);
            for number in 0..40 {
                rule = rule.then(Action::AddHeader(format!("X-{number}"), "x".repeat(100)));
            }
            stage.registry(fine(), open().rule(rule));
        }),
        Row::new(
            61,
            "seven hundred layers",
            "limit-exceeded (7)",
            edited(|manifest| {
                let layer = manifest["layers"][0].clone();
                manifest["layers"] = Value::Array(vec![layer; 700]);
            }),
        ),
    ]
}

/// Sends a few bytes a second: more often than a deadline without progress, and never enough.
fn dripping(rule: Rule) -> Rule {
    (0..60).fold(rule, |rule, number| rule.then(Action::Pause(number * 5, Duration::from_secs(1))))
}

/// An index around an index, so many times.
fn nested(depth: usize) -> Manifest {
    (0..depth).fold(image().pack(), |inner, _| Index::new().manifest(inner).pack())
}

fn indexes() -> Vec<Row> {
    let claimed = |digest: &Digest| {
        let mut listed = descriptor(OCI_INDEX, digest, 2);
        listed["platform"] = json!({ "os": "linux", "architecture": "amd64" });
        listed
    };
    vec![
        Row::new(62, "indexes four deep", "works", |stage| {
            stage.registry(holding(nested(4)), open());
        }),
        Row::new(62, "indexes forty deep", "limit (7)", |stage| {
            stage.registry(holding(nested(40)), open());
        }),
        Row::new(
            62,
            "an index that lists itself, by a digest that is not its own",
            "size-mismatch (6)",
            move |stage| {
                // A digest cannot hold itself: the circle takes a registry that serves it under another.
                let other = Digest::of(Algorithm::Sha256, b"another");
                let index = Index::new().descriptor(claimed(&other)).pack();
                let mut content = holding(index.clone());
                content.put_manifest("app", other.as_str(), OCI_INDEX, index.bytes);
                stage.registry(content, open());
            },
        ),
        Row::new(62, "an index of five thousand entries", "limit-exceeded (7)", |stage| {
            let entry = image().pack().descriptor();
            let index = (0..5_000).fold(Index::new(), |index, _| index.descriptor(entry.clone()));
            stage.registry(holding(index), open());
        }),
        Row::new(62, "one digest listed four thousand times", "platform-not-found (3)", |stage| {
            let packed = Image::new().platform("linux/s390x").layer(Layer::new().file("a", b"a")).pack();
            let mut entry = packed.descriptor();
            let _ = entry.as_object_mut().expect("an object").remove("platform");
            let index = (0..4_000).fold(Index::new(), |index, _| index.descriptor(entry.clone()));
            let mut content = holding(index);
            content.push_untagged("app", packed);
            stage.registry(content, open());
        }),
        Row::new(62, "indexes that fan out", "limit (7)", |stage| {
            // Each is within its own bounds: thirty that list thirty of thirty.
            let leaf = Image::new().platform("linux/s390x").pack();
            let fan = |inner: &dyn Fn(usize) -> Manifest| {
                (0..30).fold(Index::new(), |index, n| index.manifest(inner(n))).pack()
            };
            let named = |text: String, inner: &Manifest| {
                (0..30)
                    .fold(Index::new().annotation("n", &text), |index, _| index.descriptor(inner.descriptor()))
                    .pack()
            };
            let top = fan(&|one| fan(&|two| named(format!("{one} {two}"), &leaf)));
            stage.registry(holding(top), open());
            stage.with(&["--max-index-entries", "100"]);
            stage.settings = json!({ "limits": { "indexEntries": 100 } });
            stage.most_requests = 100;
        }),
        Row::new(62, "an index that offers nothing", "platform-not-found (3)", |stage| {
            stage.registry(holding(Index::new()), open());
        }),
        Row::new(62, "an index entry that is not there", "part-missing (3)", |stage| {
            let packed = image().pack();
            stage.registry(holding(Index::new().descriptor(packed.descriptor())), open());
        }),
    ]
}

fn diff_ids() -> Vec<Row> {
    let config = |edit: fn(&mut Value)| {
        move |stage: &mut Stage| {
            stage.registry(holding(image().edit_config(edit)), open());
        }
    };
    vec![
        Row::new(
            63,
            "no diff_ids",
            "layer-count-mismatch (6)",
            config(|config| config["rootfs"]["diff_ids"] = json!([])),
        ),
        Row::new(
            63,
            "a diff_id more than layers",
            "layer-count-mismatch (6)",
            config(|config| {
                let first = config["rootfs"]["diff_ids"][0].clone();
                config["rootfs"]["diff_ids"].as_array_mut().expect("a list").push(first);
            }),
        ),
        Row::new(
            63,
            "a layer more than diff_ids",
            "layer-count-mismatch (6)",
            edited(|manifest| {
                let first = manifest["layers"][0].clone();
                manifest["layers"].as_array_mut().expect("a list").push(first);
            }),
        ),
        Row::new(
            63,
            "a diff_id of other content",
            "diff-id-mismatch (6)",
            config(|config| {
                config["rootfs"]["diff_ids"][0] = json!(Digest::of(Algorithm::Sha256, b"another").as_str());
            }),
        ),
        Row::new(
            63,
            "a diff_id ../../victim",
            "malformed-config (6)",
            config(|config| {
                config["rootfs"]["diff_ids"][0] = json!("sha256:../../victim");
            }),
        ),
        Row::new(
            63,
            "a config without rootfs",
            "layer-count-mismatch (6)",
            config(|config| {
                let _ = config.as_object_mut().expect("an object").remove("rootfs");
            }),
        ),
        Row::new(63, "a history that does not match", "works", config(|config| config["history"] = json!([]))),
        Row::new(63, "a layer three times: fetched once, applied each time", "works", |stage| {
            let layer = || Layer::new().file("a", vec![7; 20_000]);
            stage.registry(holding(Image::new().layer(layer()).layer(layer()).layer(layer())), open());
            stage.check(|stage, _| match stage.home().blob_downloads() {
                2 => Ok(()),
                downloads => Err(format!("{downloads} downloads of a config and one layer")),
            });
        }),
        Row::new(63, "an artifact where an image should be", "not-an-image (9)", |stage| {
            stage.registry(holding(Artifact::new("application/vnd.example").file("f", b"x")), open());
        }),
        Row::new(63, "an artifact with a layer that is wrong", "digest-mismatch (6)", |stage| {
            let packed = Artifact::new("application/vnd.example").file("f", b"right").pack();
            let mut content: Content = holding(packed);
            content.put_blob(Digest::of(Algorithm::Sha256, b"right").as_str(), b"wrong".to_vec());
            stage.registry(content, open());
            stage.verb = Verb::Get;
        }),
    ]
}
