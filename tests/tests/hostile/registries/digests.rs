//! 57: digests as paths. 58: digests that lie.

use oci_fetcher_core::digest::Digest;
use oci_fetcher_tests::image::{Image, Index, Layer};
use oci_fetcher_tests::registry::{Action, Method, Rule};
use serde_json::json;

use super::manifests::{OCI_MANIFEST, edited};
use super::row::Row;
use super::stage::{BLOBS, MANIFESTS, Stage, fine, holding, image, on, open};

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = digests();
    rows.extend(claims());
    rows
}

fn digests() -> Vec<Row> {
    const AS_PATHS: &[&str] = &["CVE-2024-3727"];
    let long = "a".repeat(65);
    let digests = [
        "sha256:../../../../victim",
        "sha256:..%2f..%2fvictim",
        "../../victim",
        "sha256:",
        "sha256",
        ":aaaa",
        "",
        "sha256:abc",
        "sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
        "SHA256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\u{0}",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855/../x",
        "sha512:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ];
    let mut rows: Vec<Row> = digests
        .into_iter()
        .map(|digest| {
            let name = format!("a layer's digest {digest:.24?}");
            let set = edited(move |manifest| manifest["layers"][0]["digest"] = json!(digest));
            Row::named(57, name, "malformed-manifest (6)", set).ids(AS_PATHS)
        })
        .collect();
    rows.extend([
        Row::new(
            57,
            "a config's digest ../../victim",
            "malformed-manifest (6)",
            edited(|manifest| {
                manifest["config"]["digest"] = json!("sha256:../../victim");
            }),
        )
        .ids(AS_PATHS),
        Row::named(
            57,
            "a digest one digit too long".to_owned(),
            "malformed-manifest (6)",
            edited(move |manifest| {
                manifest["layers"][0]["digest"] = json!(format!("sha256:{long}"));
            }),
        )
        .ids(AS_PATHS),
        Row::new(
            57,
            "a digest of another type than text",
            "malformed-manifest (6)",
            edited(|manifest| {
                manifest["layers"][0]["digest"] = json!(["sha256:ab"]);
            }),
        )
        .ids(AS_PATHS),
        Row::new(57, "an algorithm that nobody knows, elsewhere in an index", "works", |stage| {
            let strange = json!({ "mediaType": OCI_MANIFEST, "digest": "blake9+b64u:AAAA_-", "size": 2,
                "platform": { "os": "linux", "architecture": "s390x" } });
            stage.registry(holding(Index::new().descriptor(strange).manifest(image())), open());
        }),
        Row::new(
            57,
            "an algorithm that nobody knows, of a layer",
            "unsupported-algorithm (9)",
            edited(|manifest| {
                manifest["layers"][0]["digest"] = json!("blake9:aaaa");
            }),
        ),
        Row::new(57, "a layout whose blob is a symlink to a victim", "irregular-file (7)", |stage| {
            layout(stage, |stage, blob| {
                std::fs::remove_file(blob).expect("there");
                std::os::unix::fs::symlink(stage.place.path("victim"), blob).expect("writable");
            });
        })
        .not_on(&["client"], "it reads no layouts"),
        Row::new(57, "a layout whose blob is a FIFO", "irregular-file (7)", |stage| {
            layout(stage, |_, blob| {
                std::fs::remove_file(blob).expect("there");
                let made = std::process::Command::new("mkfifo").arg(blob).status().expect("mkfifo runs");
                assert!(made.success(), "mkfifo failed");
            });
            stage.most_seconds = 5;
        })
        .not_on(&["client", "skopeo"], "it waits for ever"),
        Row::new(57, "a layout whose blob was changed", "stale (6) or malformed-gzip (6)", |stage| {
            layout(stage, |_, blob| {
                let mut bytes = std::fs::read(blob).expect("there");
                let last = bytes.len() - 1;
                bytes[last] ^= 1;
                std::fs::write(blob, bytes).expect("writable");
            });
        })
        .not_on(&["client"], "it reads no layouts"),
    ]);
    rows
}

/// Asks for an image of a local layout, whose layer is changed first.
fn layout(stage: &mut Stage, change: impl Fn(&Stage, &std::path::Path)) {
    let folder = stage.place.path("layout");
    fine().write_layout("app", "1", &folder, "1");
    let layer = layer_digest();
    change(stage, &folder.join("blobs/sha256").join(layer.encoded()));
    stage.reference = format!("oci:{}:1", folder.display());
}

/// The digest of the layer that most cases serve.
pub(crate) fn layer_digest() -> Digest {
    image().pack().blobs.last().expect("the layer comes last").0.clone()
}

fn claims() -> Vec<Row> {
    const LIES: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    let lie = || Action::SetHeader("Docker-Content-Digest".to_owned(), LIES.to_owned());
    let other = || Image::new().layer(Layer::new().file("evil", b"evil")).pack();
    vec![
        Row::new(58, "a pinned digest whose manifest is another", "digest-mismatch (6)", move |stage| {
            let mut content = fine();
            let pinned = image().pack().digest();
            content.put_manifest("app", pinned.as_str(), OCI_MANIFEST, other().bytes);
            stage.registry(content, open());
            stage.reference = format!("{}/app@{pinned}", stage.home().host());
        }),
        Row::new(58, "a pinned digest, and a header that confirms it", "digest-mismatch (6)", move |stage| {
            let mut content = fine();
            let pinned = image().pack().digest();
            content.put_manifest("app", pinned.as_str(), OCI_MANIFEST, other().bytes);
            let says_so = Action::SetHeader("Docker-Content-Digest".to_owned(), pinned.to_string());
            stage.registry(content, open().rule(Rule::on(Method::Any, MANIFESTS).then(says_so)));
            stage.reference = format!("{}/app@{pinned}", stage.home().host());
        }),
        Row::new(58, "a header that lies about a tag's manifest", "works", move |stage| {
            stage.registry(fine(), open().rule(Rule::on(Method::Any, MANIFESTS).then(lie())));
        }),
        Row::new(58, "a header that lies about a blob", "works", move |stage| {
            stage.registry(fine(), open().rule(on(BLOBS, lie())));
        }),
        Row::new(58, "a header that is no digest", "works", |stage| {
            let nonsense = Action::SetHeader("Docker-Content-Digest".to_owned(), "sha256:../../x".to_owned());
            stage.registry(fine(), open().rule(Rule::on(Method::Any, MANIFESTS).then(nonsense)));
        }),
        Row::new(58, "a tag and a digest that disagree: the digest decides", "works", |stage| {
            let mut content = holding(Image::new().layer(Layer::new().file("evil", b"evil")));
            let pinned = content.push_untagged("app", image());
            stage.registry(content, open());
            stage.reference = format!("{}/app:1@{pinned}", stage.home().host());
            stage.check(|stage, answer| {
                let to = stage.place.path(&format!("parent/{}/a", answer.host));
                if to.exists() { Ok(()) } else { Err("the tag's image came".to_owned()) }
            });
        }),
        Row::new(58, "one byte of a layer is flipped", "tar-checksum (6)", |stage| {
            stage.registry(fine(), open().rule(on(&layer_path(), Action::FlipByte(50))));
        }),
        Row::new(58, "one byte of a config is flipped", "digest-mismatch (6)", |stage| {
            stage.registry(fine(), open().rule(on(&config_path(), Action::FlipByte(20))));
        }),
        Row::new(58, "a whole layer is another one of its size", "digest-mismatch (6)", |stage| {
            let mut content = fine();
            let layer = layer_digest();
            let size = content.blob(layer.as_str()).expect("pushed").size();
            content.put_blob(layer.as_str(), vec![b'x'; usize::try_from(size).expect("small")]);
            stage.registry(content, open());
        }),
    ]
}

/// Where the layer that most cases serve is.
pub(crate) fn layer_path() -> String {
    format!("/v2/app/blobs/{}", layer_digest())
}

fn config_path() -> String {
    format!("/v2/app/blobs/{}", image().pack().blobs[0].0)
}
