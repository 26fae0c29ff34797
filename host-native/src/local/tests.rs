use std::process::Command;

use oci_fetcher_core::digest::Algorithm;
use oci_fetcher_core::error::{Class, Explain as _};
use oci_fetcher_core::layout::{MARKER, Names, Synthesised, synthesise};
use oci_fetcher_core::manifest::{Declared, ImageManifest, Manifest, MediaType};

use super::*;
use crate::layout::{Content, LayoutWriter};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn sha256(bytes: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, bytes)
}

fn write(root: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("writable");
    std::fs::write(path, bytes).expect("writable");
}

fn run(program: &str, arguments: &[&str], directory: &Path) -> Vec<u8> {
    let output = Command::new(program).args(arguments).current_dir(directory).output().expect(program);
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Packs what a directory holds into a file beside it, by GNU tar.
fn pack(directory: &Path, options: &[&str]) -> PathBuf {
    let archive = directory.with_extension("tar");
    let name = archive.to_str().expect("plain");
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .expect("readable")
        .map(|entry| entry.expect("readable").file_name().into_string().expect("plain"))
        .collect();
    names.sort();
    let names = names.iter().map(String::as_str);
    let arguments: Vec<&str> = options.iter().copied().chain(["-cf", name]).chain(names).collect();
    run("tar", &arguments, directory);
    archive
}

/// A layer's tar, its content large enough to be skipped when an archive is indexed.
fn layer(folder: &Path, name: &str) -> Vec<u8> {
    write(folder, name, name.repeat(100_000));
    run("tar", &["-cf", "-", name], folder)
}

/// Writes a layout of images `a:1` and `b:1`, and returns the manifest and layer of the first.
fn layout(path: &Path) -> (Synthesised, Vec<u8>) {
    let layout = LayoutWriter::open(path, &Limits::default()).expect("a layout");
    let mut first = None;
    for name in ["b", "a"] {
        let layer = layer(folder().path(), name);
        let config = format!(r#"{{"author":"{name}"}}"#).into_bytes();
        let media_type = MediaType::parse("application/vnd.oci.image.layer.v1.tar");
        let manifest = synthesise(&config, &[Descriptor::new(media_type, sha256(&layer), layer.len() as u64)]);
        for bytes in [&layer, &config, &manifest.bytes] {
            layout.put_blob(&sha256(bytes), Content::Bytes(bytes)).expect("stored");
        }
        let names = Names { reference: Some(&format!("{name}:1")), image: None };
        layout.publish(&manifest.descriptor, &names).expect("named");
        first = Some((manifest, layer));
    }
    first.expect("two images")
}

fn open(text: &str, path: &Path, name: &str) -> Result<LocalSource, LocalError> {
    LocalSource::open(&source(text, path, name), &Limits::default())
}

fn source(prefix: &str, path: &Path, name: &str) -> Source {
    let path = path.display();
    let text = if name.is_empty() { format!("{prefix}{path}") } else { format!("{prefix}{path}:{name}") };
    text.parse().expect("a source")
}

fn content(source: &LocalSource, digest: &Digest) -> Vec<u8> {
    source.read(digest, u64::MAX - 1).expect("readable").expect("there")
}

fn check_first_image(source: &LocalSource, (manifest, layer): &(Synthesised, Vec<u8>)) {
    assert_eq!(source.descriptor().digest, manifest.descriptor.digest);
    assert!(!source.is_synthesised());
    assert_eq!(content(source, &manifest.descriptor.digest), manifest.bytes);
    let length = layer.len() as u64;
    let digest = sha256(layer);
    let blob = source.open_blob(&digest).expect("readable").expect("there");
    assert_eq!((blob.length(), blob.digest(Algorithm::Sha256).expect("readable")), (length, digest.clone()));
    assert_eq!(source.read(&digest, length).expect("readable").as_deref(), Some(&layer[..]));
    assert_eq!(source.read(&digest, length - 1).expect("readable"), None);
    assert_eq!(source.read(&sha256(b"nothing"), 100).expect("readable"), None);
    assert!(source.open_blob(&"blake3:ab".parse().expect("a digest")).expect("readable").is_none());
}

#[test]
fn reads_layouts_and_archives_of_them_alike() {
    let folder = folder();
    let path = folder.path().join("layout");
    let image = layout(&path);
    check_first_image(&open("oci:", &path, "a:1").expect("an image"), &image);
    for options in [
        &[][..],
        &["--format=gnu"],
        &["--format=posix"],
        &["--format=v7"],
        &["--gzip"],
        &["--zstd"],
        &["--transform=s,^,./,"],
    ] {
        let archive = pack(&path, options);
        check_first_image(&open("oci-archive:", &archive, "a:1").expect("an image"), &image);
    }
}

#[cfg(unix)]
#[test]
fn an_archive_may_come_through_a_pipe() {
    let folder = folder();
    let path = folder.path().join("layout");
    let image = layout(&path);
    for options in [&[][..], &["--gzip"]] {
        let archive = pack(&path, options);
        let pipe = folder.path().join("pipe");
        run("mkfifo", &["pipe"], folder.path());
        std::thread::scope(|scope| {
            scope.spawn(|| std::fs::copy(&archive, &pipe).expect("copied"));
            check_first_image(&open("oci-archive:", &pipe, "a:1").expect("an image"), &image);
        });
        std::fs::remove_file(&pipe).expect("there");
    }
}

#[test]
fn of_members_with_one_name_the_last_counts() {
    let folder = folder();
    let path = folder.path().join("layout");
    let image = layout(&path);
    let archive = pack(&path, &[]);
    write(&path, INDEX_FILE, r#"{"manifests":[]}"#);
    run("tar", &["-rf", archive.to_str().expect("plain"), INDEX_FILE], &path);
    assert_eq!(open("oci-archive:", &archive, "a:1").expect_err("no image").class(), Class::NotFound);
    let entry = serde_json::to_string(&image.0.descriptor).expect("serializable");
    write(&path, INDEX_FILE, format!(r#"{{"manifests":[{entry}]}}"#));
    run("tar", &["-rf", archive.to_str().expect("plain"), INDEX_FILE], &path);
    check_first_image(&open("oci-archive:", &archive, "").expect("an image"), &image);
}

#[test]
fn says_what_is_missing_or_of_another_kind() {
    let folder = folder();
    let path = folder.path().join("layout");
    layout(&path);
    let archive = pack(&path, &[]);
    let docker = folder.path().join("docker");
    write(&docker, "manifest.json", "[]");
    let docker = pack(&docker, &[]);
    let other = folder.path().join("other");
    write(&other, "file", "x");
    let other_archive = pack(&other, &[]);
    let nothing = folder.path().join("nothing");
    for (prefix, path, name, class, code, advice) in [
        ("oci:", &path, "c:1", Class::NotFound, "image-not-found", Some("name one of")),
        ("oci:", &path, "", Class::Usage, "ambiguous-image-name", Some("name one of")),
        ("oci-archive:", &archive, "", Class::Usage, "ambiguous-image-name", Some("name one of")),
        ("oci:", &nothing, "", Class::NotFound, "source-not-found", None),
        ("oci-archive:", &nothing, "", Class::NotFound, "source-not-found", None),
        ("docker-archive:", &nothing, "", Class::NotFound, "source-not-found", None),
        ("oci:", &other, "", Class::NotFound, "other-kind-of-source", None),
        ("oci:", &archive, "", Class::NotFound, "other-kind-of-source", Some("\"oci-archive:\"")),
        ("oci-archive:", &path, "", Class::NotFound, "other-kind-of-source", Some("\"oci:\"")),
        ("oci-archive:", &docker, "", Class::NotFound, "other-kind-of-source", Some("\"docker-archive:\"")),
        ("oci-archive:", &other_archive, "", Class::NotFound, "other-kind-of-source", None),
        ("docker-archive:", &archive, "", Class::NotFound, "other-kind-of-source", Some("\"oci-archive:\"")),
        ("docker-archive:", &docker, "", Class::NotFound, "image-not-found", None),
        ("docker://", &PathBuf::from("alpine"), "", Class::Usage, "not-local", None),
    ] {
        let text = source(prefix, path, name);
        let error = LocalSource::open(&text, &Limits::default()).expect_err("nothing to open");
        assert_eq!((error.class(), error.code()), (class, code), "{text}: {error}");
        let found = error.advice();
        assert!(
            found.as_deref().is_some_and(|found| advice.is_some_and(|part| found.contains(part)))
                || (found.is_none() && advice.is_none()),
            "{text}: {found:?}"
        );
    }
    let error = open("oci:", &path, "c:1").expect_err("no such image");
    let source = std::error::Error::source(&error).expect("a cause").to_string();
    assert!(source.contains("a:1") && source.contains("b:1"), "{source}");
}

#[test]
fn malformed_layouts_and_archives_are_errors() {
    let folder = folder();
    let path = folder.path().join("layout");
    layout(&path);
    let archive = pack(&path, &[]);
    let whole = std::fs::read(&archive).expect("readable");
    let compressed = pack(&path, &["--gzip"]);
    let compressed_whole = std::fs::read(&compressed).expect("readable");
    // Within the first header, its content, and the last file.
    for cut in [100, 600, whole.len() / 2] {
        std::fs::write(&archive, &whole[..cut]).expect("writable");
        let error = open("oci-archive:", &archive, "a:1").expect_err("cut");
        assert_eq!(error.class(), Class::Integrity, "{cut}: {error}");
    }
    for cut in [5, compressed_whole.len() - 1] {
        std::fs::write(&compressed, &compressed_whole[..cut]).expect("writable");
        let error = open("oci-archive:", &compressed, "a:1").expect_err("cut");
        assert_eq!(error.class(), Class::Integrity, "{cut}: {error}");
    }
    for (file, bytes, class) in [
        (INDEX_FILE, None, Class::Integrity),
        (INDEX_FILE, Some(&b"{\"manifests\":[],\"manifests\":[]}"[..]), Class::Integrity),
        (MARKER_FILE, Some(b"{}"), Class::Integrity),
        (MARKER_FILE, Some(br#"{"imageLayoutVersion":"9"}"#), Class::Unsupported),
    ] {
        write(&path, INDEX_FILE, r#"{"manifests":[]}"#);
        write(&path, MARKER_FILE, MARKER);
        match bytes {
            Some(bytes) => write(&path, file, bytes),
            None => std::fs::remove_file(path.join(file)).expect("there"),
        }
        let error = open("oci:", &path, "").expect_err(file);
        assert_eq!(error.class(), class, "{file}: {error}");
    }
}

#[test]
fn what_costs_too_much_is_refused() {
    let folder = folder();
    let path = folder.path().join("layout");
    layout(&path);
    let archive = pack(&path, &["--gzip"]);
    let docker = docker_folder(folder.path());
    let docker = pack(&docker.path, &[]);
    for (limits, prefix, path) in [
        (Limits { manifest_bytes: 100, ..Limits::default() }, "oci:", &path),
        (Limits { layer_bytes: 100_000, ..Limits::default() }, "oci-archive:", &archive),
        (Limits { entries: 3, ..Limits::default() }, "oci-archive:", &archive),
        (Limits { manifest_bytes: 50, ..Limits::default() }, "docker-archive:", &docker),
        (Limits { config_bytes: 50, ..Limits::default() }, "docker-archive:", &docker),
        (Limits { layers: 1, ..Limits::default() }, "docker-archive:", &docker),
    ] {
        let error = LocalSource::open(&source(prefix, path, "a:1"), &limits).expect_err("over a limit");
        assert_eq!(error.class(), Class::Refused, "{prefix}: {error}");
        assert!(error.advice().is_some_and(|advice| advice.contains("--max-")), "{prefix}: {error}");
    }
}

#[cfg(unix)]
#[test]
fn symbolic_links_in_a_layout_are_refused() {
    use std::os::unix::fs::symlink;
    let folder = folder();
    let path = folder.path().join("layout");
    let image = layout(&path);
    let elsewhere = folder.path().join("elsewhere");
    let digest = sha256(&image.1);
    let moved = |name: &str| {
        std::fs::rename(path.join(name), &elsewhere).expect("movable");
        symlink(&elsewhere, path.join(name)).expect("writable");
    };
    let moved_back = |name: &str| {
        std::fs::remove_file(path.join(name)).expect("there");
        std::fs::rename(&elsewhere, path.join(name)).expect("movable");
    };
    for name in [blob_path(&digest).as_str(), "blobs/sha256", "blobs"] {
        moved(name);
        let source = open("oci:", &path, "a:1").expect("an image");
        assert_eq!(source.open_blob(&digest).expect_err(name).class(), Class::Refused, "{name}");
        assert!(source.read(&digest, u64::MAX).is_err(), "{name}");
        moved_back(name);
    }
    for name in [MARKER_FILE, INDEX_FILE] {
        moved(name);
        assert_eq!(open("oci:", &path, "a:1").expect_err(name).class(), Class::Refused, "{name}");
        moved_back(name);
    }
    // The layout itself may be reached through one.
    symlink(&path, folder.path().join("link")).expect("writable");
    check_first_image(&open("oci:", &folder.path().join("link"), "a:1").expect("an image"), &image);
}

/// What `docker save` writes: one layer a directory, with links for repetitions.
#[cfg_attr(not(unix), expect(dead_code, reason = "the test that reads all of it needs links"))]
struct DockerFolder {
    path: PathBuf,
    config: Vec<u8>,
    plain: Vec<u8>,
    zipped: Vec<u8>,
}

fn docker_folder(root: &Path) -> DockerFolder {
    let path = root.join("docker-archive");
    let plain = layer(root, "plain");
    write(root, "zipped.tar", layer(root, "zipped"));
    let zipped = run("gzip", &["-nc", "zipped.tar"], root);
    let diff_ids = [
        sha256(&plain),
        sha256(&std::fs::read(root.join("zipped.tar")).expect("readable")),
        sha256(&plain),
        sha256(&plain),
    ];
    let diff_ids = diff_ids.map(|digest| format!("\"{digest}\"")).join(",");
    let config = format!(r#"{{"os":"linux","rootfs":{{"type":"layers","diff_ids":[{diff_ids}]}}}}"#).into_bytes();
    write(&path, "config.json", &config);
    write(&path, "1/layer.tar", &plain);
    write(&path, "blobs/sha256/zipped", &zipped);
    for directory in ["3", "4"] {
        std::fs::create_dir(path.join(directory)).expect("writable");
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink("../1/layer.tar", path.join("3/layer.tar")).expect("writable");
    std::fs::hard_link(path.join("1/layer.tar"), path.join("4/layer.tar")).expect("writable");
    let listing = r#"[
        {"Config": "config.json", "RepoTags": ["a:1", "a:latest"],
         "Layers": ["1/layer.tar", "blobs/sha256/zipped", "3/layer.tar", "4/layer.tar"]},
        {"Config": "other.json", "RepoTags": null, "Layers": []}]"#;
    write(&path, DockerArchive::MANIFEST_FILE, listing);
    DockerFolder { path, config, plain, zipped }
}

#[cfg(unix)]
#[test]
fn an_image_of_a_docker_archive_gets_a_manifest() {
    let folder = folder();
    let docker = docker_folder(folder.path());
    let mut digests = std::collections::BTreeSet::new();
    for options in [&[][..], &["--gzip"], &["--zstd"], &["--format=posix"]] {
        let archive = pack(&docker.path, options);
        let source = open("docker-archive:", &archive, "a").expect("an image");
        assert!(source.is_synthesised());
        digests.insert(source.descriptor().digest.clone());

        let image = image(&source);
        let expected = [
            ("application/vnd.oci.image.layer.v1.tar", &docker.plain),
            ("application/vnd.oci.image.layer.v1.tar+gzip", &docker.zipped),
            ("application/vnd.oci.image.layer.v1.tar", &docker.plain),
            ("application/vnd.oci.image.layer.v1.tar", &docker.plain),
        ];
        assert_eq!(image.layers.len(), expected.len());
        for (layer, (media_type, bytes)) in image.layers.iter().zip(expected) {
            assert_eq!(layer.media_type.as_str(), media_type);
            assert_eq!((&layer.digest, layer.size), (&sha256(bytes), bytes.len() as u64));
            assert!(content(&source, &layer.digest) == *bytes);
        }
        assert_eq!(content(&source, &image.config.digest), docker.config);
        let manifest = source.open_blob(&source.descriptor().digest).expect("readable").expect("there");
        assert_eq!(manifest.digest(Algorithm::Sha256).expect("readable"), source.descriptor().digest);
        assert_eq!(source.read(&sha256(b"nothing"), 100).expect("readable"), None);
    }
    assert_eq!(digests.len(), 1, "one image, one digest");
}

fn image(source: &LocalSource) -> ImageManifest {
    let bytes = content(source, &source.descriptor().digest);
    let declared = Declared::Described(&source.descriptor().media_type);
    match Manifest::parse(&bytes, declared, &Limits::default()) {
        Ok(Manifest::Image(image)) => image,
        other => panic!("{other:?}"),
    }
}

#[test]
fn docker_archives_that_lack_something_are_errors() {
    let folder = folder();
    let path = folder.path().join("archive");
    for (listing, config, class) in [
        (r#"[{"Config":"config.json","Layers":["missing/layer.tar"]}]"#, "{}", Class::Integrity),
        (r#"[{"Config":"missing.json","Layers":[]}]"#, "{}", Class::Integrity),
        (r#"[{"Config":"config.json","Layers":["../out"]}]"#, "{}", Class::Refused),
        (r#"[{"Config":"config.json","Layers":["link"]}]"#, "{}", Class::Integrity),
        (r#"[{"Config":"config.json","Layers":[]}]"#, "[]", Class::Integrity),
        ("{}", "{}", Class::Integrity),
    ] {
        let _ = std::fs::remove_dir_all(&path);
        write(&path, "manifest.json", listing);
        write(&path, "config.json", config);
        #[cfg(unix)]
        std::os::unix::fs::symlink("/etc/hostname", path.join("link")).expect("writable");
        let error = open("docker-archive:", &pack(&path, &[]), "").expect_err(listing);
        assert_eq!(error.class(), class, "{listing}: {error}");
    }
    // Without diff_ids, as with too few, plain layers are hashed: the numbers are compared later.
    write(&path, "manifest.json", r#"[{"Config":"config.json","Layers":["l","l"]}]"#);
    write(&path, "config.json", "{}");
    write(&path, "l", layer(folder.path(), "l"));
    let source = open("docker-archive:", &pack(&path, &[]), "").expect("an image");
    let layers = image(&source).layers;
    assert_eq!(layers[0], layers[1]);
    assert_eq!(sha256(&content(&source, &layers[0].digest)), layers[0].digest);
}
