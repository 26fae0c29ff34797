//! 59: what a manifest is taken for. 60: sizes.

use oci_fetcher_core::digest::{Algorithm, Digest};
use oci_fetcher_tests::image::{Index, descriptor};
use oci_fetcher_tests::registry::{Action, Method, Rule};
use serde_json::{Value, json};

use super::digests::layer_path;
use super::row::Row;
use super::stage::{MANIFESTS, Stage, fine, holding, image, on, open};

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = taken_for();
    rows.extend(sizes());
    rows
}

/// Serves an image after a change of its manifest's JSON.
pub(crate) fn edited(edit: impl Fn(&mut Value) + Send + Sync + Clone + 'static) -> impl Fn(&mut Stage) {
    move |stage| {
        stage.registry(holding(image().edit_manifest(edit.clone())), open());
    }
}

/// Serves these bytes as the manifest of the tag.
pub(crate) fn raw(media_type: &'static str, bytes: impl Into<Vec<u8>>) -> impl Fn(&mut Stage) {
    let bytes = bytes.into();
    move |stage| {
        let mut content = fine();
        content.put_manifest("app", "1", media_type, bytes.clone());
        stage.registry(content, open());
    }
}

pub(crate) fn manifest_bytes() -> Vec<u8> {
    image().pack().bytes
}

fn taken_for() -> Vec<Row> {
    const BOTH: &[&str] = &["CVE-2021-41190"];
    let both = |manifest: &mut Value| manifest["manifests"] = json!([]);
    let typed = |content_type: &'static str| {
        move |stage: &mut Stage| {
            let says = Action::SetHeader("Content-Type".to_owned(), content_type.to_owned());
            stage.registry(fine(), open().rule(Rule::on(Method::Any, MANIFESTS).then(says)));
        }
    };
    let without_type = |edit: fn(&mut Value)| {
        edited(move |manifest| {
            let _ = manifest.as_object_mut().expect("an object").remove("mediaType");
            edit(manifest);
        })
    };
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("JSON is text");
    let repeated = text(&manifest_bytes()).replacen("{", "{\"layers\":[],", 1);
    let escaped = text(&manifest_bytes()).replacen("{", "{\"lay\\u0065rs\":[],", 1);
    let deep = text(&manifest_bytes()).replacen("{", "{\"x\":{\"a\":1,\"a\":2},", 1);
    let twice = [manifest_bytes(), manifest_bytes()].concat();
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    vec![
        Row::new(59, "both layers and manifests", "ambiguous-manifest (6)", edited(both)).ids(BOTH),
        Row::new(
            59,
            "both, without a type",
            "ambiguous-manifest (6)",
            without_type(|manifest| manifest["manifests"] = json!([])),
        )
        .ids(BOTH),
        Row::new(59, "served as an index, and an image by its own type", "ambiguous-manifest (6)", typed(OCI_INDEX))
            .ids(BOTH),
        Row::new(59, "served as Docker's, and OCI by its own type", "ambiguous-manifest (6)", typed(DOCKER_MANIFEST))
            .ids(BOTH),
        Row::new(
            59,
            "served with parameters",
            "works",
            typed("application/vnd.oci.image.manifest.v1+json; charset=utf-8"),
        ),
        Row::new(59, "served as application/json", "works", typed("application/json")),
        Row::new(59, "served as application/octet-stream", "works", typed("application/octet-stream")),
        Row::new(59, "served as text/plain", "works", typed("text/plain")),
        Row::new(
            59,
            "served as a page",
            "malformed-manifest (6)",
            raw("text/html", "<html><body>log in</body></html>"),
        )
        .ours("they say so in their own words"),
        Row::new(59, "served without a type", "works", |stage| {
            let remove = Action::RemoveHeader("Content-Type".to_owned());
            stage.registry(fine(), open().rule(Rule::on(Method::Any, MANIFESTS).then(remove)));
        }),
        Row::new(59, "a repeated key", "malformed-manifest (6)", raw(OCI_MANIFEST, repeated)),
        Row::new(59, "a repeated key, spelt with an escape", "malformed-manifest (6)", raw(OCI_MANIFEST, escaped)),
        Row::new(
            59,
            "a repeated key in a property that nobody reads",
            "malformed-manifest (6)",
            raw(OCI_MANIFEST, deep),
        ),
        Row::new(59, "two manifests in one body", "malformed-manifest (6)", raw(OCI_MANIFEST, twice)),
        Row::new(
            59,
            "a manifest in a list",
            "malformed-manifest (6)",
            raw(OCI_MANIFEST, format!("[{}]", text(&manifest_bytes()))),
        ),
        Row::new(59, "an empty body", "malformed-manifest (6)", raw(OCI_MANIFEST, "")),
        Row::new(59, "a hundred thousand brackets", "malformed-manifest (6)", raw(OCI_MANIFEST, nested)),
        Row::new(
            59,
            "text that is not UTF-8",
            "malformed-manifest (6)",
            raw(OCI_MANIFEST, b"{\"x\":\"\xff\"}".as_slice()),
        ),
        Row::new(
            59,
            "schema 1",
            "schema-1 (9)",
            raw("application/vnd.docker.distribution.manifest.v1+prettyjws", "{\"schemaVersion\":1,\"fsLayers\":[]}"),
        ),
        Row::new(
            59,
            "schema version 3",
            "unknown-manifest-type (9)",
            edited(|manifest| manifest["schemaVersion"] = json!(3)),
        ),
        Row::new(
            59,
            "optional properties that are null",
            "works",
            edited(|manifest| {
                for property in ["annotations", "subject", "artifactType"] {
                    manifest[property] = Value::Null;
                }
                manifest["layers"][0]["annotations"] = Value::Null;
                manifest["layers"][0]["urls"] = Value::Null;
                manifest["config"]["platform"] = Value::Null;
            }),
        ),
        Row::new(
            59,
            "properties that nobody knows",
            "works",
            edited(|manifest| {
                manifest["x-new"] = json!({ "a": [1, null, "x"] });
                manifest["layers"][0]["x-new"] = json!(true);
            }),
        ),
        Row::new(59, "an entry of a type that nobody knows in an index", "works", |stage| {
            let strange = descriptor("application/vnd.example.new+json", &Digest::of(Algorithm::Sha256, b"x"), 1);
            stage.registry(holding(Index::new().descriptor(strange).manifest(image())), open());
        }),
        Row::new(59, "an index entry whose type is another than its manifest's", "malformed-manifest (6)", |stage| {
            let packed = image().pack();
            let mut listed = packed.descriptor();
            listed["mediaType"] = json!(OCI_INDEX);
            let mut content = holding(Index::new().descriptor(listed));
            content.push_untagged("app", packed);
            stage.registry(content, open());
        })
        .ids(BOTH),
        Row::new(
            59,
            "an image without a config",
            "malformed-manifest (6)",
            edited(|manifest| {
                let _ = manifest.as_object_mut().expect("an object").remove("config");
            }),
        ),
        Row::new(
            59,
            "an image whose layers are an object",
            "malformed-manifest (6)",
            edited(|manifest| {
                manifest["layers"] = json!({ "0": {} });
            }),
        ),
        Row::new(
            59,
            "embedded data that disagrees with its digest",
            "malformed-manifest (6)",
            edited(|manifest| {
                manifest["config"]["data"] = json!("e30=");
            }),
        ),
    ]
}

fn sizes() -> Vec<Row> {
    let layer = |size: Value| edited(move |manifest| manifest["layers"][0]["size"] = size.clone());
    let config = |size: Value| edited(move |manifest| manifest["config"]["size"] = size.clone());
    let layer_size = || image().pack().blobs.last().expect("the layer").1.size();
    vec![
        Row::new(60, "a layer's size one less", "size-mismatch (6)", layer(json!(layer_size() - 1))),
        Row::new(60, "a layer's size one more", "blob-short (5)", layer(json!(layer_size() + 1))),
        Row::new(60, "a layer's size 0", "digest-mismatch (6)", layer(json!(0))),
        Row::new(60, "a layer's size negative", "malformed-manifest (6)", layer(json!(-1))),
        Row::new(60, "a layer's size i64::MIN", "malformed-manifest (6)", layer(json!(i64::MIN))),
        Row::new(60, "a layer's size i64::MAX", "malformed-manifest (6)", layer(json!(i64::MAX))),
        Row::new(60, "a layer's size beyond i64", "malformed-manifest (6)", layer(json!(u64::MAX))),
        Row::new(60, "a layer's size with a fraction", "malformed-manifest (6)", layer(json!(1.5))),
        Row::new(60, "a layer's size as text", "malformed-manifest (6)", layer(json!("100"))),
        Row::new(
            60,
            "a layer without a size",
            "malformed-manifest (6)",
            edited(|manifest| {
                let _ = manifest["layers"][0].as_object_mut().expect("an object").remove("size");
            }),
        ),
        Row::new(
            60,
            "a config's size one less",
            "size-mismatch (6)",
            config(json!(image().pack().blobs[0].1.size() - 1)),
        ),
        Row::new(
            60,
            "a config's size one more",
            "size-mismatch (6)",
            config(json!(image().pack().blobs[0].1.size() + 1)),
        ),
        Row::new(60, "a config's size i64::MAX", "malformed-manifest (6)", config(json!(i64::MAX))),
        Row::new(60, "a layer with a byte more than its size", "malformed-gzip (6)", |stage| {
            stage.registry(fine(), open().rule(on(&layer_path(), Action::Append(b"x".to_vec()))));
        }),
        Row::new(60, "a layer cut short, the length agreeing", "blob-short (5)", |stage| {
            stage.registry(fine(), open().rule(on(&layer_path(), Action::Truncate(10))));
        }),
        Row::new(60, "an index entry's size one less", "size-mismatch (6)", |stage| {
            let packed = image().pack();
            let mut listed = packed.descriptor();
            listed["size"] = json!(packed.bytes.len() - 1);
            listed["platform"] = json!({ "os": "linux", "architecture": "amd64" });
            let mut content = holding(Index::new().descriptor(listed));
            content.push_untagged("app", packed);
            stage.registry(content, open());
        }),
    ]
}
