use std::fs;
use std::process::Command;

use serde_json::Value;

use super::*;
use crate::content::Content;
use crate::process::{measure, required};

/// A layer with one of each.
fn layer() -> Layer {
    Layer::new()
        .directory("etc", 0o755)
        .file("etc/hostname", b"box\n")
        .mode(0o4755)
        .owner(1000, 3_000_000_000)
        .modified(-1, 500_000_000)
        .xattr("user.key", b"a\0=\nb")
        .symlink("etc/name", "hostname")
        .hard_link("etc/other", "etc/hostname")
        .fifo("pipe")
        .character_device("null", 1, 3)
        .block_device("disk", 259, 70_000)
        .file("l/".to_owned() + &"o".repeat(150), b"long")
        .symlink("far", "f".repeat(150))
        .gnu_long_name("g".repeat(150))
        .file("short", b"gnu")
        .whiteout("etc/motd")
        .whiteout("top")
        .opaque("var")
        .opaque("")
}

#[test]
fn python_reads_the_archive_back() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let path = directory.path().join("layer.tar");
    fs::write(&path, layer().tar()).expect("written");
    let script = r#"
import sys, tarfile
for m in tarfile.open(sys.argv[1]):
    print(m.name if len(m.name) < 100 else "%s*%d" % (m.name[-1], len(m.name)), m.type.decode(), oct(m.mode), m.uid, m.gid,
        m.mtime, m.size, m.linkname if len(m.linkname) < 100 else "%s*%d" % (m.linkname[0], len(m.linkname)),
        m.devmajor, m.devminor, [k for k in m.pax_headers if k.startswith("SCHILY")])
"#;
    let python = required("python3", "python3");
    let read = measure(Command::new(python).arg("-c").arg(script).arg(&path)).expect_code(0).stdout_text();
    let expected = "\
etc 5 0o755 0 0 1700000000 0  0 0 []
etc/hostname 0 0o4755 1000 3000000000 -0.5 4  0 0 ['SCHILY.xattr.user.key']
etc/name 2 0o777 0 0 1700000000 0 hostname 0 0 []
etc/other 1 0o644 0 0 1700000000 0 etc/hostname 0 0 []
pipe 6 0o644 0 0 1700000000 0  0 0 []
null 3 0o644 0 0 1700000000 0  1 3 []
disk 4 0o644 0 0 1700000000 0  259 70000 []
o*152 0 0o644 0 0 1700000000 4  0 0 []
far 2 0o777 0 0 1700000000 0 f*150 0 0 []
g*150 0 0o644 0 0 1700000000 3  0 0 []
etc/.wh.motd 0 0o644 0 0 1700000000 0  0 0 []
.wh.top 0 0o644 0 0 1700000000 0  0 0 []
var/.wh..wh..opq 0 0o644 0 0 1700000000 0  0 0 []
.wh..wh..opq 0 0o644 0 0 1700000000 0  0 0 []
";
    assert_eq!(read, expected);
}

#[test]
fn gnu_tar_lists_each_compression() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let plain = layer().tar();
    for (compression, program, package) in [
        (Compression::None, "cat", "coreutils"),
        (Compression::Gzip, "gzip", "gzip"),
        (Compression::GzipMembers(3), "gzip", "gzip"),
        (Compression::Zstd, "zstd", "zstd"),
        (Compression::ZstdFrames(3), "zstd", "zstd"),
    ] {
        let path = directory.path().join("layer");
        fs::write(&path, layer().compress(compression.clone()).blob()).expect("written");
        let mut command = Command::new(required(program, package));
        if program != "cat" {
            command.args(["-d", "-c"]);
        }
        let decompressed = measure(command.arg(&path)).expect_code(0).stdout;
        assert!(decompressed == plain, "{compression:?}");
        let mut tar = Command::new(required("tar", "tar"));
        if program != "cat" {
            tar.arg(format!("--{program}"));
        }
        let listed = measure(tar.arg("-tf").arg(&path)).expect_code(0);
        assert_eq!(listed.stdout_text().lines().count(), 14, "{compression:?}");
    }
    assert_eq!(Compression::GzipMembers(3).apply(b"ab").windows(3).filter(|head| head == b"\x1f\x8b\x08").count(), 3);
}

#[test]
fn every_descriptor_names_what_is_stored() {
    let sbom = Artifact::new("application/vnd.example.sbom").file("sbom.json", b"{}");
    let base = Image::new().platform("linux/amd64").layer(layer()).env("A=b").label("k", "v").entrypoint("/run");
    let index = Index::new()
        .attested(&base)
        .manifest(
            Image::new().platform("linux/arm64/v8").types(Types::Docker).layer(layer().compress(Compression::Zstd)),
        )
        .manifest(
            Index::new().types(Types::Docker).manifest(Image::new().platform("windows/amd64").os_version("10.0.1")),
        );
    let mut content = Content::new();
    content.push("app", "1", &index);
    content.push_untagged("app", sbom.subject(&base.pack()));
    content.push("app", "wasm", Artifact::wasm(&wasm_module()));
    let mut seen = 0;
    for reference in content.tags("app").into_iter().map(str::to_owned).collect::<Vec<_>>() {
        seen += check(&content, &reference);
    }
    // An index, an image, its attestation, an image, an index, an image, each image with config and layers; a module.
    assert_eq!(seen, 6 + (2 + 2 + 2 + 1) + 1 + 2);
    assert_eq!(content.tags("app"), ["1", "wasm"]);
    let referrers = content.referrers("app", base.pack().digest().as_str());
    assert_eq!(referrers.len(), 1);
    assert_eq!(referrers[0]["artifactType"], "application/vnd.example.sbom");
}

/// Checks digest, size and media type of everything beneath a manifest, and counts it.
fn check(content: &Content, reference: &str) -> usize {
    let stored = content.manifest("app", reference).expect(reference);
    let manifest: Value = serde_json::from_slice(&stored.bytes).expect("JSON");
    assert_eq!(manifest["mediaType"], stored.media_type.as_str());
    let mut seen = 1;
    for descriptor in manifest["manifests"].as_array().into_iter().flatten() {
        let digest = descriptor["digest"].as_str().expect("a digest");
        let child = content.manifest("app", digest).expect(digest);
        assert_eq!(descriptor["size"], child.bytes.len());
        assert_eq!(descriptor["mediaType"], child.media_type.as_str());
        assert_eq!(digest, Digest::of(Algorithm::Sha256, &child.bytes).as_str());
        assert!(
            descriptor["platform"].is_object()
                || child.media_type.contains("index")
                || child.media_type.contains("list")
        );
        seen += check(content, digest);
    }
    let layers = manifest["layers"].as_array().into_iter().flatten();
    for descriptor in layers.chain(manifest.get("config")) {
        let digest = descriptor["digest"].as_str().expect("a digest");
        let blob = content.blob(digest).expect(digest);
        assert_eq!((descriptor["size"].as_u64(), digest), (Some(blob.size()), blob.digest().as_str()));
        seen += 1;
    }
    seen
}

#[test]
fn edits_and_replaced_blobs_reach_the_bytes() {
    let image = Image::new()
        .layer(layer().replace_blob(b"not gzip"))
        .edit_config(|config| config["rootfs"]["diff_ids"] = serde_json::json!([]))
        .edit_manifest(|manifest| manifest["manifests"] = serde_json::json!([]));
    let packed = image.pack();
    let manifest: Value = serde_json::from_slice(&packed.bytes).expect("JSON");
    assert!(manifest["layers"][0]["size"] == 8 && manifest["manifests"].is_array(), "{manifest}");
    assert_eq!(packed.blobs[0].1.size(), manifest["config"]["size"].as_u64().expect("a size"));
}

#[test]
fn umoci_unpacks_what_a_layout_holds() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let (layout, bundle) = (directory.path().join("layout"), directory.path().join("bundle"));
    let mut content = Content::new();
    let lower = Layer::new().directory("d", 0o755).file("d/old", b"1").file("gone", b"2");
    let upper = Layer::new().whiteout("gone").file("d/new", b"3").compress(Compression::None);
    content.push("app", "1", Image::new().layer(lower).layer(upper));
    content.write_layout("app", "1", &layout, "1");
    let mut umoci = Command::new(required("umoci", "umoci"));
    umoci.args(["unpack", "--rootless", "--image"]).arg(format!("{}:1", layout.display())).arg(&bundle);
    let _ = measure(&umoci).expect_code(0);
    let root = bundle.join("rootfs");
    assert!(root.join("d/old").exists() && root.join("d/new").exists() && !root.join("gone").exists());
}
