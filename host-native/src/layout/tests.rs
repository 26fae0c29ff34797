mod concurrency;

use std::collections::BTreeSet;

use oci_fetcher_core::digest::Algorithm;
use oci_fetcher_core::error::{Class, Explain as _};
use oci_fetcher_core::layout::{Synthesised, find, synthesise};
use oci_fetcher_core::manifest::{Index, MediaType};

use super::*;

/// An image with a config and a layer of its own.
struct Image {
    layer: Vec<u8>,
    config: Vec<u8>,
    manifest: Synthesised,
}

impl Image {
    fn new(name: &str) -> Self {
        let layer = name.as_bytes().repeat(50_000);
        let config = format!(r#"{{"author":"{name}","rootfs":{{"type":"layers","diff_ids":[]}}}}"#).into_bytes();
        let described = describe(MediaType::parse("application/vnd.oci.image.layer.v1.tar"), &layer);
        let manifest = synthesise(&config, &[described]);
        Self { layer, config, manifest }
    }

    fn blobs(&self) -> [&[u8]; 3] {
        [&self.layer, &self.config, &self.manifest.bytes]
    }

    fn put(&self, layout: &LayoutWriter) -> Result<(), LayoutError> {
        self.blobs().into_iter().try_for_each(|bytes| layout.put_blob(&sha256(bytes), Content::Bytes(bytes)))
    }

    fn export(&self, path: &Path, reference: &str) -> Result<Published, LayoutError> {
        let layout = LayoutWriter::open(path, &Limits::default())?;
        self.put(&layout)?;
        layout.publish(&self.manifest.descriptor, &named(reference))
    }
}

fn describe(media_type: MediaType, bytes: &[u8]) -> Descriptor {
    Descriptor::new(media_type, sha256(bytes), bytes.len() as u64)
}

fn sha256(bytes: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, bytes)
}

fn named(reference: &str) -> Names<'_> {
    Names { reference: Some(reference), image: None }
}

fn open(path: &Path) -> LayoutWriter {
    LayoutWriter::open(path, &Limits::default()).expect("a layout")
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn index(path: &Path) -> Index {
    let bytes = std::fs::read(path.join(INDEX_FILE)).expect("an index");
    parse_index(&bytes, &Limits::default()).expect("a sound index")
}

fn blob(path: &Path, bytes: &[u8]) -> std::path::PathBuf {
    path.join(blob_path(&sha256(bytes)))
}

fn names(path: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(path).expect("readable");
    entries.map(|entry| entry.expect("readable").file_name().into_string().expect("plain")).collect()
}

/// Checks that every blob hashes to its name, and that what the index names is there.
fn check(path: &Path) {
    let blobs = path.join("blobs/sha256");
    for name in if blobs.exists() { names(&blobs) } else { BTreeSet::new() } {
        let bytes = std::fs::read(blobs.join(&name)).expect("readable");
        assert_eq!(sha256(&bytes).encoded(), name);
    }
    if path.join(INDEX_FILE).exists() {
        for entry in index(path).manifests {
            assert!(path.join(blob_path(&entry.digest)).exists(), "{}", entry.digest);
        }
    }
}

#[test]
fn an_image_is_named_once_its_blobs_are_in_place() {
    let folder = folder();
    let path = folder.path().join("new/layout");
    let image = Image::new("a");
    let layout = open(&path);
    assert!(matches!(
        layout.publish(&image.manifest.descriptor, &named("a:1")),
        Err(LayoutError::NotStored { digest }) if digest == image.manifest.descriptor.digest
    ));
    image.put(&layout).expect("stored");
    assert!(!path.join(INDEX_FILE).exists());
    let normalised = Names { reference: Some("a:1"), image: Some("docker.io/library/a:1") };
    assert_eq!(layout.publish(&image.manifest.descriptor, &normalised).expect("named").left_out, None);
    drop(layout);

    let entry = &index(&path).manifests[0];
    assert_eq!(entry.annotations["org.opencontainers.image.ref.name"], "a:1");
    assert_eq!(entry.annotations["io.containerd.image.name"], "docker.io/library/a:1");
    for bytes in image.blobs() {
        assert_eq!(std::fs::read(blob(&path, bytes)).expect("in place"), bytes);
    }
    assert_eq!(names(&path), ["blobs", "index.json", "oci-layout"].map(String::from).into());
    check(&path);
}

#[cfg(unix)]
#[test]
fn files_get_the_modes_that_others_can_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = folder();
    let mode = |path: &Path| path.symlink_metadata().expect("there").permissions().mode() & 0o7777;
    let (path, reference) = (folder.path().join("layout"), folder.path().join("reference"));
    std::fs::write(&reference, "").expect("writable");
    let image = Image::new("a");
    image.export(&path, "a:1").expect("exported");
    for file in [path.join(MARKER_FILE), path.join(INDEX_FILE), blob(&path, &image.layer)] {
        assert_eq!(mode(&file), mode(&reference) & 0o644, "{}", file.display());
    }
}

#[test]
fn other_destinations_are_refused_and_stay_untouched() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    for (name, files, class) in [
        ("full", &[("precious", "x")][..], Class::Usage),
        ("version", &[(MARKER_FILE, r#"{"imageLayoutVersion":"2.0.0"}"#)], Class::Unsupported),
        ("broken", &[(MARKER_FILE, "{")], Class::Integrity),
        ("index", &[(MARKER_FILE, r#"{"imageLayoutVersion":"1.0.0"}"#), (INDEX_FILE, "[]")], Class::Integrity),
    ] {
        std::fs::create_dir(path(name)).expect("writable");
        for (file, content) in files {
            std::fs::write(path(name).join(file), content).expect("writable");
        }
        let error = LayoutWriter::open(&path(name), &Limits::default()).expect_err(name);
        assert_eq!(error.class(), class, "{name}: {error}");
        assert_eq!(names(&path(name)), files.iter().map(|(file, _)| (*file).to_owned()).collect(), "{name}");
    }
    std::fs::write(path("file"), "x").expect("writable");
    let error = LayoutWriter::open(&path("file"), &Limits::default()).expect_err("a file");
    assert_eq!((error.class(), error.code()), (Class::Usage, "not-a-directory"));
    assert!(LayoutWriter::open(&path("file/below"), &Limits::default()).is_err());
}

#[test]
fn foreign_entries_and_unknown_properties_survive() {
    let folder = folder();
    std::fs::write(folder.path().join(MARKER_FILE), MARKER).expect("writable");
    let foreign = describe(MediaType::parse("application/x-foreign"), b"foreign");
    let existing = format!(
        r#"{{"schemaVersion":2,"x":{{"y":[1]}},"manifests":[{{"mediaType":"{}","digest":"{}","size":7,"z":null}}]}}"#,
        foreign.media_type, foreign.digest
    );
    std::fs::write(folder.path().join(INDEX_FILE), existing).expect("writable");
    std::fs::write(folder.path().join("README"), "x").expect("writable");
    Image::new("a").export(folder.path(), "a:1").expect("exported");

    let written = std::fs::read_to_string(folder.path().join(INDEX_FILE)).expect("readable");
    assert!(written.contains(r#""x":{"y":[1]}"#) && written.contains(r#""z":null"#), "{written}");
    let digests: Vec<Digest> = index(folder.path()).manifests.into_iter().map(|entry| entry.digest).collect();
    assert_eq!(digests, [foreign.digest, Image::new("a").manifest.descriptor.digest]);
    assert!(folder.path().join("README").exists());
}

#[test]
fn a_repeated_name_moves_and_one_outside_the_grammar_is_left_out() {
    let folder = folder();
    let find_named = |name: &str| find(&index(folder.path()), Some(name)).map(|entry| entry.digest.clone());
    for name in ["a", "b"] {
        Image::new(name).export(folder.path(), "same:1").expect("exported");
        assert_eq!(find_named("same:1"), Ok(Image::new(name).manifest.descriptor.digest));
    }
    let published = Image::new("c").export(folder.path(), "no__name").expect("exported");
    assert!(published.left_out.is_some());
    assert!(find_named("no__name").is_err());
    assert_eq!(index(folder.path()).manifests.len(), 3);
}

#[test]
fn wrong_bytes_never_get_a_blobs_name() {
    let folder = folder();
    let layout = open(folder.path());
    let source = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(source.path(), b"other").expect("writable");
    let lying = Blob::whole(source.reopen().expect("there")).expect("sized");
    for content in [Content::Bytes(b"other"), Content::Blob(&lying)] {
        let error = layout.put_blob(&sha256(b"right"), content).expect_err("wrong");
        assert_eq!((error.class(), error.code()), (Class::Integrity, "digest-mismatch"));
    }
    let unknown = "blake3:ab".parse().expect("well-formed");
    assert_eq!(layout.put_blob(&unknown, Content::Bytes(b"")).expect_err("unknown").class(), Class::Unsupported);
    // Beside the sign of a writer's presence.
    let mut left = names(folder.path());
    left.retain(|name| !temporary::is_temporary(name.as_ref()));
    assert_eq!(left, [MARKER_FILE.to_owned()].into());
}

#[test]
fn what_lies_under_a_blobs_name_is_hashed_and_replaced() {
    let folder = folder();
    let layout = open(folder.path());
    let (digest, path) = (sha256(b"right"), blob(folder.path(), b"right"));
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("writable");
    assert!(!layout.has_blob(&digest, 5));
    for (found, has, verified) in [(&b"wrong"[..], true, false), (b"longer", false, false), (b"right", true, true)] {
        std::fs::write(&path, found).expect("writable");
        let layout = open(folder.path());
        assert_eq!(layout.has_blob(&digest, 5), has);
        assert_eq!(layout.verify_existing(&digest, 5).expect("readable"), verified);
        layout.put_blob(&digest, Content::Bytes(b"right")).expect("stored");
        assert_eq!(std::fs::read(&path).expect("there"), b"right");
        assert!(layout.verify_existing(&digest, 5).expect("readable"));
    }
}

#[cfg(unix)]
#[test]
fn symbolic_links_are_replaced_or_refused_but_never_followed() {
    use std::os::unix::fs::symlink;
    let folder = folder();
    let (path, victim) = (folder.path().join("layout"), folder.path().join("victim"));
    std::fs::create_dir_all(victim.join("sha256")).expect("writable");
    std::fs::write(victim.join("file"), b"right").expect("writable");

    let layout = open(&path);
    let target = blob(&path, b"right");
    std::fs::create_dir_all(target.parent().expect("a parent")).expect("writable");
    symlink(victim.join("file"), &target).expect("writable");
    assert!(!layout.has_blob(&sha256(b"right"), 5));
    assert!(!layout.verify_existing(&sha256(b"right"), 5).expect("no fault"));
    layout.put_blob(&sha256(b"right"), Content::Bytes(b"right")).expect("stored");
    assert!(target.symlink_metadata().expect("there").is_file());
    drop(layout);

    std::fs::remove_dir_all(path.join(BLOBS)).expect("writable");
    symlink(&victim, path.join(BLOBS)).expect("writable");
    let error = open(&path).put_blob(&sha256(b"right"), Content::Bytes(b"right")).expect_err("a link");
    assert_eq!((error.class(), error.code()), (Class::Refused, "irregular-file"));
    std::fs::remove_file(path.join(MARKER_FILE)).expect("writable");
    symlink(victim.join("file"), path.join(MARKER_FILE)).expect("writable");
    let error = LayoutWriter::open(&path, &Limits::default()).expect_err("a link");
    assert_eq!(error.class(), Class::Refused);
    assert_eq!(names(&victim), ["file", "sha256"].map(String::from).into());
    assert_eq!(names(&victim.join("sha256")), BTreeSet::new());
}

#[cfg(unix)]
#[test]
fn blobs_are_copies_of_their_own() {
    use std::os::unix::fs::{FileExt as _, MetadataExt as _};
    let folder = folder();
    let layout = open(&folder.path().join("layout"));
    let content = b"content".repeat(10_000);
    let cached = folder.path().join("cached");
    std::fs::write(&cached, &content).expect("writable");
    let source = Blob::whole(std::fs::File::open(&cached).expect("there")).expect("sized");
    layout.put_blob(&sha256(&content), Content::Verified(&source)).expect("stored");
    std::fs::File::options().write(true).open(&cached).expect("there").write_all_at(b"X", 0).expect("writable");
    let stored = blob(&folder.path().join("layout"), &content);
    assert_eq!(std::fs::read(&stored).expect("there"), content);
    assert_eq!(stored.metadata().expect("there").nlink(), 1);
}

#[test]
fn a_failed_export_removes_what_it_created() {
    let folder = folder();
    let path = folder.path().join("a/b/layout");
    let layout = open(&path);
    Image::new("a").put(&layout).expect("stored");
    drop(layout);
    assert_eq!(names(folder.path()), BTreeSet::new());

    // Not even a blob was finished.
    let layout = open(&path);
    layout.create_blob_directory(&sha256(b"never stored")).expect("writable");
    drop(layout);
    assert_eq!(names(folder.path()), BTreeSet::new());

    // An empty directory is given back empty.
    let layout = open(folder.path());
    Image::new("a").put(&layout).expect("stored");
    drop(layout);
    assert_eq!(names(folder.path()), BTreeSet::new());
}

#[test]
fn a_failed_export_leaves_what_others_use() {
    let with_layout = |name: &str, meddle: &dyn Fn(&Path), remaining: &[&str]| {
        let folder = folder();
        let path = folder.path().join("layout");
        let layout = open(&path);
        Image::new("mine").put(&layout).expect("stored");
        meddle(&path);
        drop(layout);
        let blobs = if path.join(BLOBS).exists() { names(&path.join("blobs/sha256")).len() } else { 0 };
        let mut found: BTreeSet<String> = names(&path);
        found.insert(format!("{blobs} blobs"));
        assert_eq!(found, remaining.iter().map(|name| (*name).to_owned()).collect(), "{name}");
        check(&path);
    };
    with_layout(
        "published by another",
        &|path| drop(Image::new("other").export(path, "other:1").expect("exported")),
        &["blobs", "index.json", "oci-layout", "6 blobs"],
    );
    with_layout(
        "a blob of another",
        &|path| std::fs::write(blob(path, b"x"), "x").expect("writable"),
        &["blobs", "oci-layout", "4 blobs"],
    );
    with_layout(
        "a foreign file",
        &|path| std::fs::write(path.join("notes"), "x").expect("writable"),
        &["blobs", "notes", "oci-layout", "3 blobs"],
    );
}

#[test]
fn a_writer_that_fails_removes_nothing_that_another_uses() {
    let folder = folder();
    let path = folder.path().join("layout");
    let image = Image::new("a");
    let failing = open(&path);
    image.put(&failing).expect("stored");
    let other = open(&path);
    for bytes in image.blobs() {
        assert!(other.verify_existing(&sha256(bytes), bytes.len() as u64).expect("readable"));
    }
    drop(failing);
    other.publish(&image.manifest.descriptor, &named("a:1")).expect("all is in place");
    drop(other);
    check(&path);
    assert!(names(&path).iter().all(|name| !temporary::is_temporary(name.as_ref())));
}

#[test]
fn an_image_is_not_named_after_its_blobs_were_removed() {
    let folder = folder();
    let path = folder.path().join("layout");
    let image = Image::new("a");
    let layout = open(&path);
    image.put(&layout).expect("stored");
    let blob = image.blobs().into_iter().next().expect("an image has some").to_vec();
    std::fs::remove_file(path.join(blob_path(&sha256(&blob)))).expect("there");
    let error = layout.publish(&image.manifest.descriptor, &named("a:1")).expect_err("removed");
    assert_eq!((error.class(), error.code()), (Class::Local, "layout-changed"));
    drop(layout);
    assert_eq!(names(folder.path()), BTreeSet::new());
    image.export(&path, "a:1").expect("the same again");
}

#[test]
fn where_there_are_blobs_there_is_a_marker() {
    let folder = folder();
    std::fs::write(folder.path().join(MARKER_FILE), MARKER).expect("writable");
    let other = open(folder.path());
    // As a writer does that created the layout and fails.
    std::fs::remove_file(folder.path().join(MARKER_FILE)).expect("there");
    other.put_blob(&sha256(b"x"), Content::Bytes(b"x")).expect("stored");
    drop(other);
    open(folder.path());
}

#[test]
fn leftovers_of_killed_processes_do_not_matter() {
    let folder = folder();
    std::fs::write(folder.path().join(".oci-fetcher-AbCdEf"), "{").expect("writable");
    Image::new("a").export(folder.path(), "a:1").expect("exported");
    assert_eq!(names(folder.path()), ["blobs", "index.json", "oci-layout"].map(String::from).into());
}

#[test]
fn a_lock_that_is_held_is_named_and_a_dead_owners_is_taken_over() {
    let folder = folder();
    let image = Image::new("a");
    let mut layout = open(folder.path());
    layout.patience = Duration::from_millis(50);
    image.put(&layout).expect("stored");
    let lock = folder.path().join(LOCK_FILE);
    let held = LockFile::try_acquire(&lock).expect("no fault").expect("free");
    let error = layout.publish(&image.manifest.descriptor, &named("a:1")).expect_err("held");
    assert_eq!((error.class(), error.code()), (Class::Local, "layout-locked"));
    assert!(error.to_string().contains(LOCK_FILE), "{error}");
    assert!(!folder.path().join(INDEX_FILE).exists());
    drop(held);

    std::fs::write(&lock, "4194305 elsewhere 0\n").expect("writable");
    let long_ago = std::time::SystemTime::now() - lock::STALE * 2;
    std::fs::File::options().write(true).open(&lock).expect("there").set_modified(long_ago).expect("settable");
    layout.publish(&image.manifest.descriptor, &named("a:1")).expect("taken over");
    assert!(!lock.exists());
}
