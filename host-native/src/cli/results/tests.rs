use std::sync::Arc;

use oci_fetcher::RawManifest;
use oci_fetcher_core::digest::Algorithm;
use oci_fetcher_core::manifest::{ImageConfig, MediaType};
use oci_fetcher_core::report::Reason;
use oci_fetcher_core::tree::Standing;
use serde_json::{Value, json};

use super::*;

fn digest(number: u8) -> Digest {
    Digest::of(Algorithm::Sha256, &[number])
}

fn manifest(number: u8, media_type: &str) -> RawManifest {
    RawManifest { digest: digest(number), media_type: media_type.into(), bytes: Arc::from(&b"{}"[..]) }
}

fn image() -> ImageInfo {
    let config = br#"{"os":"linux","architecture":"arm64","config":{"Cmd":["sh"],"Labels":{"a":"b"}}}"#;
    let layer = Descriptor::new(MediaType::parse("application/vnd.oci.image.layer.v1.tar"), digest(3), 512);
    ImageInfo {
        source: "alpine".into(),
        top: manifest(1, "application/vnd.oci.image.index.v1+json"),
        manifest: manifest(2, "application/vnd.oci.image.manifest.v1+json"),
        config_bytes: Arc::from(&config[..]),
        config: Some(Box::new(ImageConfig::parse(config).expect("a config"))),
        artifact_type: None,
        layers: vec![Arc::new(layer)],
        synthesised: false,
    }
}

fn value(object: impl Serialize) -> Value {
    serde_json::to_value(object).expect("serializable")
}

#[test]
fn an_image_from_an_index() {
    assert_eq!(
        value(ImageResult::from(&image())),
        json!({
            "source": "alpine",
            "digest": digest(2),
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "index": digest(1),
            "platform": "linux/arm64",
            "artifactType": null,
            "synthesised": false,
            "config": { "Cmd": ["sh"], "Labels": { "a": "b" } },
            "layers": [{ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest(3), "size": 512 }],
        })
    );
    let alone = ImageInfo { top: image().manifest, ..image() };
    assert_eq!(value(ImageResult::from(&alone))["index"], Value::Null);
}

#[test]
fn a_pull_says_everything_in_one_object() {
    let (images, warnings, report) = ([image()], ["odd".to_owned()], Report::default());
    let standing = Standing { directories: 1, files: 2, symlinks: 3, specials: 4, hard_links: 5 };
    let result = PullResult {
        digest: Some(&images[0].manifest.digest),
        destination: DestinationResult::new("directory", Path::new("out")),
        images: images.iter().map(ImageResult::from).collect(),
        unpacked: Some(Counts { standing, entries: 6, bytes: 7 }.into()),
        blobs: BlobsResult { fetched: 8, stored: 9 },
        checked: Checked { diff_ids: 10, digests_only: 11 }.into(),
        report: ReportResult::from(&report),
        warnings: &warnings,
    };
    let mut object = value(result);
    assert_eq!(object["images"].as_array_mut().map(|images| images.len()), Some(1));
    object["images"].take();
    assert_eq!(
        object,
        json!({
            "digest": digest(2),
            "destination": { "kind": "directory", "path": "out" },
            "images": null,
            "unpacked": {
                "directories": 1, "files": 2, "symlinks": 3, "hardLinks": 5, "specials": 4, "entries": 6, "bytes": 7,
            },
            "blobs": { "fetched": 8, "stored": 9 },
            "checked": { "diffIds": 10, "digestsOnly": 11 },
            "report": { "counts": {}, "ownership": [], "skipped": [] },
            "warnings": ["odd"],
        })
    );
}

#[test]
fn every_skipped_item_is_listed_with_what_it_was() {
    let path = |text: &[u8]| EntryPath::clean(text).expect("a safe path");
    let mut report = Report::default();
    report.skip(path(b"etc"), What::Ownership { uid: 0, gid: 0 }, Reason::NotPermitted);
    report.skip(path(b"home/u"), What::Ownership { uid: 1_000, gid: 100 }, Reason::NotPermitted);
    report.skip(path(b"bin/su"), What::SpecialMode { mode: 0o4755 }, Reason::NotPermitted);
    let name = b"user.\xffa"[..].into();
    report.skip(path("ä".as_bytes()), What::Xattr { name }, Reason::NotSupported);
    report.skip(path(b"dev/\xff"), What::Device, Reason::Policy);
    assert_eq!(
        value(ReportResult::from(&report)),
        json!({
            "counts": { "device": 1, "ownership": 2, "special-mode": 1, "xattr": 1 },
            "ownership": [{ "uid": 0, "gid": 0, "entries": 1 }, { "uid": 1000, "gid": 100, "entries": 1 }],
            "skipped": [
                { "path": "/home/u", "what": "ownership", "reason": "not-permitted", "uid": 1000, "gid": 100 },
                { "path": "/bin/su", "what": "special-mode", "reason": "not-permitted", "mode": "4755" },
                { "path": "/ä", "what": "xattr", "reason": "not-supported", "name": "user.\u{fffd}a" },
                { "path": "/dev/\\xff", "what": "device", "reason": "policy" },
            ],
        })
    );
}

#[test]
fn files_of_an_artifact() {
    let mut descriptor = Descriptor::new(MediaType::parse("application/wasm"), digest(3), 8);
    descriptor.annotations.insert("org.opencontainers.image.title".into(), "a.wasm".into());
    let file = |path: Option<&str>, wasm| GotFile {
        path: path.map(Into::into),
        descriptor: Arc::new(descriptor.clone()),
        wasm,
    };
    let got =
        Got { image: image(), files: vec![file(Some("out/a.wasm"), Some(WasmKind::Component)), file(None, None)] };
    let object = value(GetResult::new(&got, DestinationResult::standard_output()));
    assert_eq!(object["destination"], json!({ "kind": "stdout", "path": null }));
    assert_eq!(object["checked"], json!({ "diffIds": 0, "digestsOnly": 2 }));
    assert_eq!(
        object["files"],
        json!([
            {
                "path": "out/a.wasm", "title": "a.wasm", "mediaType": "application/wasm",
                "digest": digest(3), "size": 8, "wasm": "component",
            },
            {
                "path": null, "title": "a.wasm", "mediaType": "application/wasm",
                "digest": digest(3), "size": 8, "wasm": null,
            },
        ])
    );
}
