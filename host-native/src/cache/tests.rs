use std::fs::File;

use oci_fetcher_core::digest::Algorithm;

use super::*;

fn cache() -> (tempfile::TempDir, Cache) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cache = Cache::new(folder.path().join("cache"));
    (folder, cache)
}

fn begin(cache: &Cache, digest: &Digest, size: u64) -> Partial {
    match cache.open_or_begin(digest, size).expect("no fault") {
        Opened::Partial(partial) => partial,
        Opened::Whole(_) => panic!("{digest} is whole already"),
    }
}

#[test]
fn what_was_appended_before_is_there_again_and_committed_under_its_digest() {
    let (_folder, cache) = cache();
    let digest = Digest::of(Algorithm::Sha256, b"abcdef");
    let mut partial = begin(&cache, &digest, 6);
    partial.append(b"abc").expect("no fault");
    drop(partial);

    let mut partial = begin(&cache, &digest, 6);
    assert_eq!(partial.length(), 3);
    partial.append(b"def").expect("no fault");
    partial.commit().expect("no fault");

    assert_eq!(cache.read(&digest, 6).expect("no fault").as_deref(), Some(&b"abcdef"[..]));
    assert_eq!(cache.read(&digest, 5).expect("no fault"), None);
    assert!(matches!(cache.open_or_begin(&digest, 6), Ok(Opened::Whole(_))));
    assert_eq!(list(&cache.root.join("partial")).expect("no fault"), Vec::<PathBuf>::new());
}

#[test]
fn a_partial_that_is_too_long_is_none() {
    let (_folder, cache) = cache();
    let digest = Digest::of(Algorithm::Sha256, b"ab");
    let mut partial = begin(&cache, &digest, 6);
    partial.append(b"abcdef").expect("no fault");
    drop(partial);
    assert_eq!(begin(&cache, &digest, 2).length(), 0);
}

#[cfg(unix)]
#[test]
fn symlinks_are_never_followed() {
    let (folder, cache) = cache();
    let victim = folder.path().join("victim");
    std::fs::write(&victim, b"precious").expect("writable");
    let digest = Digest::of(Algorithm::Sha256, b"precious");
    let blob = cache.blob_path(&digest);
    create_folder(blob.parent().expect("a folder")).expect("no fault");
    std::os::unix::fs::symlink(&victim, &blob).expect("writable");
    assert!(cache.open(&digest).is_err());

    let partial = cache.root.join("partial").join(format!("sha256-{}", digest.encoded()));
    create_folder(partial.parent().expect("a folder")).expect("no fault");
    std::os::unix::fs::symlink(&victim, &partial).expect("writable");
    cache.discard(&digest).expect("no fault");
    begin(&cache, &digest, 100).append(b"x").expect("no fault");
    assert_eq!(std::fs::read(&victim).expect("readable"), b"precious");
}

#[test]
fn pruning_keeps_the_most_recently_used() {
    let (_folder, cache) = cache();
    let blobs = [&b"one"[..], b"two!", b"three"].map(|bytes| (Digest::of(Algorithm::Sha256, bytes), bytes));
    for (age, (digest, bytes)) in [30, 10, 20].into_iter().zip(&blobs) {
        cache.keep(digest, bytes).expect("no fault");
        let file = File::options().write(true).open(cache.blob_path(digest)).expect("there");
        file.set_modified(SystemTime::now() - std::time::Duration::from_secs(age)).expect("settable");
    }
    begin(&cache, &Digest::of(Algorithm::Sha256, b"abandoned"), 9).append(b"aban").expect("no fault");

    let pruned = cache.prune(9).expect("no fault");
    assert_eq!(pruned, Pruned { removed: 2, freed: 7, kept: 9 });
    let left: Vec<Digest> = cache.blobs().expect("no fault").into_iter().map(|blob| blob.digest).collect();
    assert_eq!(left, [blobs[2].0.clone(), blobs[1].0.clone()]);
}

#[test]
fn remembers_what_a_tag_was() {
    let (_folder, cache) = cache();
    let digest = Digest::of(Algorithm::Sha256, b"manifest");
    assert_eq!(cache.recall("registry.example/app:1").expect("no fault"), None);
    cache.remember("registry.example/app:1", &digest).expect("no fault");
    assert_eq!(cache.recall("registry.example/app:1").expect("no fault"), Some(digest));
    assert_eq!(cache.recall("registry.example/app:2").expect("no fault"), None);
}

#[cfg(unix)]
#[test]
fn a_partial_that_is_another_files_second_name_is_left_to_that() {
    let (folder, cache) = cache();
    let victim = folder.path().join("victim");
    std::fs::write(&victim, b"pre").expect("writable");
    let digest = Digest::of(Algorithm::Sha256, b"precious");
    let path = cache.partials().join(format!("sha256-{}", digest.encoded()));
    create_folder(&cache.partials()).expect("no fault");
    std::fs::hard_link(&victim, &path).expect("writable");
    let mut partial = begin(&cache, &digest, 8);
    assert_eq!(partial.length(), 0);
    partial.append(b"precious").expect("no fault");
    partial.commit().expect("no fault");
    assert_eq!(std::fs::read(&victim).expect("there"), b"pre");
    assert_eq!(cache.read(&digest, 8).expect("no fault").as_deref(), Some(&b"precious"[..]));
}
