//! Trees that resist their removal.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use oci_fetcher_core::error::{Class, Explain as _};

use super::children::{Child, NOBODY, may_mount};
use super::image::{Image, own, state};
use crate::disk::remove_tree;

#[test]
fn links_are_removed_and_not_what_they_lead_to() {
    let parent = tempfile::tempdir().expect("a directory");
    let victim = parent.path().join("tree-evil");
    fs::create_dir(&victim).expect("made");
    fs::write(victim.join("f"), "secret").expect("written");
    let before = state(&victim);
    let tree = parent.path().join("tree");
    fs::create_dir_all(tree.join("a/b")).expect("made");
    symlink(&victim, tree.join("a/l")).expect("linked");
    symlink("../tree-evil", tree.join("l")).expect("linked");
    symlink("nowhere", tree.join("a/b/dangling")).expect("linked");
    fs::hard_link(victim.join("f"), tree.join("a/h")).expect("linked");
    drop(UnixListener::bind(tree.join("socket")).expect("bound"));
    for name in 0..500 {
        fs::create_dir(tree.join(format!("a/b/{name}"))).expect("made");
    }
    remove_tree(&tree).expect("removed");
    assert_eq!(fs::read(victim.join("f")).expect("readable"), b"secret");
    let mut after = state(&victim);
    assert_eq!(after.0, before.0);
    after.0.clone_from(&before.0);
    assert_eq!(after, before);

    // At the top as well; and what is missing is removed already.
    symlink(&victim, &tree).expect("linked");
    remove_tree(&tree).expect("removed");
    assert!(victim.join("f").exists());
    fs::write(&tree, "file").expect("written");
    for _ in 0..2 {
        remove_tree(&tree).expect("removed");
    }
    remove_tree(&tree.join("no/where")).expect("removed");
    assert_eq!(fs::read_dir(parent.path()).expect("a directory").count(), 1);
}

#[test]
fn directories_that_refuse_their_owner_are_removed() {
    let name = "disk::tests::removal::directories_that_refuse_their_owner_are_removed";
    if !(Child { user: Some(NOBODY), ..Child::default() }).entered(name) {
        return;
    }
    let parent = tempfile::tempdir().expect("a directory");
    let tree = parent.path().join("tree");
    for mode in [0o000, 0o111, 0o222, 0o333, 0o444, 0o555, 0o666] {
        fs::create_dir_all(tree.join("a/b")).expect("made");
        fs::write(tree.join("a/b/f"), "x").expect("written");
        for path in [tree.join("a/b"), tree.join("a"), tree.clone()] {
            fs::set_permissions(path, Permissions::from_mode(mode)).expect("ours");
        }
        remove_tree(&tree).unwrap_or_else(|error| panic!("{mode:o}: {error:?}"));
        assert!(!tree.exists());
    }
}

#[test]
fn a_tree_ten_thousand_deep_is_written_and_removed() {
    let name = "disk::tests::removal::a_tree_ten_thousand_deep_is_written_and_removed";
    if !(Child { before: "ulimit -n 200", ..Child::default() }).entered(name) {
        return;
    }
    let mut image = Image::new();
    let deep = "d/".repeat(10_000);
    image.file(&format!("{deep}f"), b"deep", &own(0o644)).expect("a file");
    image.hard_link(&format!("{}h", "d/".repeat(9_000)), &format!("{deep}f")).expect("a hard link");
    let (parent, _) = image.finish();
    remove_tree(&parent.path().join("root")).expect("removed");
    assert!(!parent.path().join("root").exists());
}

#[test]
fn mounts_are_not_crossed() {
    let name = "disk::tests::removal::mounts_are_not_crossed";
    if !may_mount() || !(Child { under: &["unshare", "-m"], ..Child::default() }).entered(name) {
        return;
    }
    let parent = tempfile::tempdir().expect("a directory");
    let victim = parent.path().join("victim");
    fs::create_dir(&victim).expect("made");
    fs::write(victim.join("f"), "secret").expect("written");
    let tree = parent.path().join("tree");
    // Below more directories than are kept open.
    let mount = tree.join("d/".repeat(80)).join("mount");
    fs::create_dir_all(&mount).expect("made");
    fs::write(tree.join("d/d/other"), "x").expect("written");
    let bind = |from: &Path, to: &Path| {
        let bound = Command::new("mount").arg("--bind").args([from, to]).status().expect("mount");
        assert!(bound.success());
    };
    bind(&victim, &mount);
    let error = remove_tree(&tree).expect_err("a mount is in the way");
    assert_eq!((error.class(), error.path()), (Class::Local, Some(&*mount)));
    assert_eq!(fs::read(victim.join("f")).expect("readable"), b"secret");
    assert!(!tree.join("d/d/other").exists(), "the rest was not removed");
    assert!(Command::new("umount").arg(&mount).status().expect("umount").success());

    bind(&victim, &tree);
    let error = remove_tree(&tree).expect_err("it is a mount");
    assert_eq!(error.path(), Some(&*tree));
    assert_eq!(fs::read(victim.join("f")).expect("readable"), b"secret");
    assert!(Command::new("umount").arg(&tree).status().expect("umount").success());
    remove_tree(&tree).expect("removed");
}
