//! Destinations: what is refused, what appears, what is left behind.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use oci_fetcher_core::error::{Class, Explain as _};

use super::*;
use crate::disk::tests::children::{Child, NOBODY, may_mount};
use crate::temporary;

const REPLACE: Options = Options { existing: Existing::Replace };
const IN_PLACE: Options = Options { existing: Existing::InPlace };

fn names(directory: &Path) -> BTreeSet<OsString> {
    fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("readable").file_name()).collect()
}

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().expect("stands").mode() & 0o7777
}

fn prepare(destination: &Path) -> Staging {
    Staging::prepare(destination, Options::default()).expect("prepared")
}

fn write_tree(staging: &Staging) {
    fs::create_dir(staging.root().join("d")).expect("made");
    fs::write(staging.root().join("d/f"), "new").expect("written");
    fs::write(staging.spool().join("0"), "waits").expect("written");
}

/// Writes a tree and commits it; nothing may be left.
fn complete(staging: Staging) {
    write_tree(&staging);
    let committed = staging.commit().expect("committed");
    assert!(committed.leftover.is_none(), "{:?}", committed.leftover);
}

fn refusal(destination: &Path, options: Options) -> StagingError {
    let parent = destination.parent().expect("a parent").to_owned();
    let before = names(&parent);
    let error = Staging::prepare(destination, options).expect_err("refused");
    assert_eq!(names(&parent), before, "{error}");
    error
}

#[test]
fn the_destination_appears_at_once_and_nothing_else_stays() {
    let parent = tempfile::tempdir().expect("a directory");
    let victim = parent.path().join("image-evil");
    fs::create_dir(&victim).expect("made");
    // Handed on to what is made in it, if nobody cares.
    fs::set_permissions(parent.path(), Permissions::from_mode(0o2755)).expect("ours");
    for staged in ["absent", "empty"] {
        let destination = parent.path().join(staged);
        if staged == "empty" {
            fs::create_dir(&destination).expect("made");
        }
        let mut before = names(parent.path());
        let staging = prepare(&destination);
        let siblings: Vec<_> = names(parent.path()).difference(&before).cloned().collect();
        let [sibling] = &siblings[..] else { panic!("{siblings:?}") };
        let sibling = parent.path().join(sibling);
        assert!(sibling.file_name().expect("a name").as_encoded_bytes().starts_with(format!(".{staged}.").as_bytes()));
        for private in [&sibling, &staging.root().to_owned(), &staging.spool()] {
            assert_eq!(mode(private), 0o700, "{}", private.display());
        }
        complete(staging);
        before.insert(staged.into());
        assert_eq!(names(parent.path()), before);
        assert_eq!(fs::read(destination.join("d/f")).expect("readable"), b"new");
        assert_eq!(mode(parent.path()), 0o2755);
    }
}

#[test]
fn access_lists_of_the_parent_are_not_handed_on() {
    let parent = tempfile::tempdir().expect("a directory");
    // Version 2; tag, permissions, id: owner, user 1234, group, mask, others.
    let mut list = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in
        [(1_u16, 7_u16, u32::MAX), (2, 7, 1234), (4, 7, u32::MAX), (16, 7, u32::MAX), (32, 0, u32::MAX)]
    {
        list.extend([tag.to_le_bytes(), permissions.to_le_bytes()].concat());
        list.extend(id.to_le_bytes());
    }
    let set = rustix::fs::setxattr(parent.path(), "system.posix_acl_default", &list, rustix::fs::XattrFlags::empty());
    if set.is_err() {
        return;
    }
    fs::create_dir(parent.path().join("place")).expect("made");
    for (name, options) in [("beside", Options::default()), ("place", IN_PLACE)] {
        let staging = Staging::prepare(&parent.path().join(name), options).expect("prepared");
        let root = staging.root().to_owned();
        drop(crate::disk::DiskFs::open(&root).expect("opened"));
        write_tree(&staging);
        for path in [root.clone(), staging.spool(), root.join("d"), root.join("d/f")] {
            for list in ["system.posix_acl_default", "system.posix_acl_access"] {
                assert!(rustix::fs::lgetxattr(&path, list, &mut [0; 100]).is_err(), "{} has {list}", path.display());
            }
        }
    }
}

#[test]
fn another_pass_starts_with_nothing() {
    let parent = tempfile::tempdir().expect("a directory");
    fs::create_dir(parent.path().join("place")).expect("made");
    for (name, options) in [("beside", Options::default()), ("place", IN_PLACE)] {
        let staging = Staging::prepare(&parent.path().join(name), options).expect("prepared");
        write_tree(&staging);
        staging.clear().expect("removed");
        assert!(!staging.root().join("d").exists() && staging.spool().join("0").exists());
        complete(staging);
    }
    assert_eq!(names(parent.path()), BTreeSet::from(["beside".into(), "place".into()]));
}

#[test]
fn what_is_dropped_or_abandoned_leaves_nothing() {
    let parent = tempfile::tempdir().expect("a directory");
    let destination = parent.path().join("a/b/c/image");
    for abandon in [true, false] {
        let staging = prepare(&destination);
        write_tree(&staging);
        fs::set_permissions(staging.root().join("d"), Permissions::from_mode(0o000)).expect("ours");
        assert!(parent.path().join("a/b/c").exists());
        if abandon {
            staging.abandon().expect("removed");
        } else {
            drop(staging);
        }
        assert!(names(parent.path()).is_empty(), "a created parent stays");
    }
    // What somebody else put in a created parent is not ours to remove.
    let staging = prepare(&destination);
    fs::write(parent.path().join("a/theirs"), "").expect("written");
    drop(staging);
    assert_eq!(names(&parent.path().join("a")), BTreeSet::from(["theirs".into()]));
    complete(prepare(&destination));
    assert!(destination.join("d/f").exists());
}

#[test]
fn what_stands_there_is_refused_or_replaced_by_the_rules() {
    let parent = tempfile::tempdir().expect("a directory");
    let at = |name: &str| parent.path().join(name);
    fs::create_dir_all(at("full/closed")).expect("made");
    fs::set_permissions(at("full/closed"), Permissions::from_mode(0o000)).expect("ours");
    fs::create_dir(at("empty")).expect("made");
    fs::write(at("file"), "old").expect("written");
    symlink("empty", at("link")).expect("linked");
    drop(std::os::unix::net::UnixListener::bind(at("socket")).expect("bound"));
    let codes = |name: &str, options| {
        let error = refusal(&at(name), options);
        (error.class(), error.code(), error.advice().is_some())
    };
    for (name, code) in [
        ("full", "destination-not-empty"),
        ("file", "destination-not-directory"),
        ("link", "destination-symlink"),
        ("socket", "destination-not-directory"),
    ] {
        assert_eq!(codes(name, Options::default()), (Class::Usage, code, true), "{name}");
    }
    for (name, code) in [("link", "destination-symlink"), ("socket", "destination-not-directory")] {
        assert_eq!(codes(name, REPLACE), (Class::Usage, code, true), "{name}");
    }
    assert_eq!(codes("full", IN_PLACE), (Class::Usage, "destination-not-empty", true));
    assert_eq!(Staging::prepare(Path::new("/"), REPLACE).expect_err("root").code(), "destination-protected");

    for name in ["full", "file", "empty", "absent"] {
        let before = names(parent.path());
        // Until the end what stands there stays, and also if it does not come to the end.
        let staging = Staging::prepare(&at(name), REPLACE).expect("prepared");
        write_tree(&staging);
        drop(staging);
        assert_eq!(names(parent.path()), before);
        assert!(name != "full" || at("full/closed").exists());
        complete(Staging::prepare(&at(name), REPLACE).expect("prepared"));
        assert_eq!(names(&at(name)), BTreeSet::from(["d".into()]), "{name}");
        assert!(names(parent.path()).iter().all(|name| !name.as_encoded_bytes().starts_with(b".")));
    }
}

#[test]
fn without_a_swap_the_old_one_is_moved_aside_and_can_come_back() {
    let parent = tempfile::tempdir().expect("a directory");
    let destination = parent.path().join("image");
    fs::create_dir(&destination).expect("made");
    fs::write(destination.join("old"), "").expect("written");
    let prefix = temporary::prefix("image".as_ref());
    let aside = sibling::move_aside(&destination, &prefix).expect("moved");
    assert!(!destination.exists() && aside.exists());
    // Killed here: the next run brings it back before it looks.
    assert_eq!(Staging::prepare(&destination, Options::default()).expect_err("full").code(), "destination-not-empty");
    assert_eq!(names(parent.path()), BTreeSet::from(["image".into()]));
    assert!(destination.join("old").exists());
    // Killed later: it is not needed any more.
    let aside = sibling::move_aside(&destination, &prefix).expect("moved");
    fs::create_dir(&destination).expect("made");
    drop(prepare(&destination));
    assert!(!aside.exists() && destination.exists());
}

#[test]
fn directories_with_a_meaning_are_never_replaced() {
    let before = "base=$(mktemp -d); mkdir -p $base/h/work/inner $base/h/other/x; cd $base/h/work/inner
        export HOME=$base/h/work/../other";
    let name = "staging::tests::directories_with_a_meaning_are_never_replaced";
    if !(Child { before, ..Child::default() }).entered(name) {
        return;
    }
    let inner = env::current_dir().expect("there");
    let base = inner.ancestors().nth(3).expect("made above");
    for (path, options, what) in [
        ("h/work", REPLACE, Protected::WorkingDirectory),
        ("h/work/inner", REPLACE, Protected::WorkingDirectory),
        ("h/work/inner", Options::default(), Protected::WorkingDirectory),
        ("h/other", REPLACE, Protected::Home),
        ("h", REPLACE, Protected::WorkingDirectory),
    ] {
        let error = Staging::prepare(&base.join(path), options).expect_err(path);
        assert!(matches!(error, StagingError::Protected { what: found, .. } if found == what), "{path}: {error:?}");
    }
    for path in [".", "./", "../inner", "..", ""] {
        let error = Staging::prepare(Path::new(path), REPLACE).expect_err(path);
        assert!(matches!(error, StagingError::Protected { .. }), "{path}: {error:?}");
    }
    // Empty, it can be filled, and relative names mean what they say.
    complete(Staging::prepare(Path::new("."), IN_PLACE).expect("prepared"));
    assert!(base.join("h/work/inner/d/f").exists());
    complete(prepare(Path::new("new/./image/")));
    assert!(base.join("h/work/inner/new/image/d/f").exists());
    complete(Staging::prepare(&base.join("h/other/x"), REPLACE).expect("prepared"));
    env::set_current_dir("/").expect("there");
    remove_tree(base).expect("removed");
}

#[test]
fn who_comes_second_is_refused_and_leaves_nothing() {
    let parent = tempfile::tempdir().expect("a directory");
    let destination = parent.path().join("image");
    let (first, second) = (prepare(&destination), prepare(&destination));
    assert_ne!(first.root(), second.root());
    // The second has not taken the first for a leftover.
    write_tree(&second);
    complete(first);
    assert_eq!(second.commit().expect_err("taken").code(), "destination-not-empty");
    assert_eq!(names(parent.path()), BTreeSet::from(["image".into()]));
}

#[test]
fn long_names_leave_room() {
    let parent = tempfile::tempdir().expect("a directory");
    let destination = parent.path().join("n".repeat(255));
    complete(prepare(&destination));
    assert!(destination.join("d/f").exists());
}

#[test]
fn leftovers_are_told_from_what_lives_and_what_is_not_ours() {
    let parent = tempfile::tempdir().expect("a directory");
    let destination = parent.path().join("image");
    let dead = [".image.oci-fetcher-abc123", ".image.oci-fetcher-zzzzzz"];
    let kept = [
        ".image.oci-fetcher-abc12",
        ".image.oci-fetcher-abc1234",
        ".image.oci-fetcher-",
        ".image.oci-fetcher-abc.12",
        ".other.oci-fetcher-abc123",
        "image.oci-fetcher-abc123",
        ".image-evil.oci-fetcher-abc123",
    ];
    for name in dead.iter().chain(&kept) {
        fs::create_dir_all(parent.path().join(name).join("root/d")).expect("made");
    }
    fs::write(parent.path().join(".image.oci-fetcher-file00"), "an old destination").expect("written");
    symlink(kept[4], parent.path().join(".image.oci-fetcher-link00")).expect("linked");
    let alive = prepare(&destination);
    let expected = || kept.iter().map(OsString::from).chain([".image.oci-fetcher-link00".into()]);
    let second = prepare(&destination);
    assert!(alive.root().exists() && second.root().exists());
    drop((alive, second));
    assert_eq!(names(parent.path()), expected().collect());
    assert!(parent.path().join(kept[4]).join("root/d").exists());
}

/// Is killed in the middle of its work, where the variable says.
#[test]
#[ignore = "a part of the next"]
fn killed() {
    let Some(destination) = env::var_os("OCI_FETCHER_TEST_KILLED") else { return };
    let destination = PathBuf::from(destination);
    let (parent, name) = (destination.parent().expect("a parent"), destination.file_name().expect("a name"));
    let options = if name == "place" { IN_PLACE } else { Options::default() };
    let mut staging = Staging::prepare(&destination, options).expect("prepared");
    write_tree(&staging);
    if name == "hidden" {
        staging.leave_sibling().expect("moved");
        assert_eq!(names(parent).len(), 2);
    }
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).expect("killed");
}

#[test]
fn a_killed_run_is_cleaned_up_by_the_next() {
    for name in ["sibling", "hidden", "place"] {
        let parent = tempfile::tempdir().expect("a directory");
        let destination = parent.path().join(name);
        let in_place = name == "place";
        if in_place {
            fs::create_dir(&destination).expect("made");
        }
        for _ in 0..2 {
            let variable = ("OCI_FETCHER_TEST_KILLED", destination.as_os_str());
            let killed = Child::default().run("staging::tests::killed", &[variable]);
            assert_eq!(killed.status.signal(), Some(9), "{}", String::from_utf8_lossy(&killed.stderr));
        }
        let left = names(if in_place { &destination } else { parent.path() });
        assert!(left.len() > 1 || !in_place, "the kill came too early: {left:?}");
        let staging = Staging::prepare(&destination, if in_place { IN_PLACE } else { Options::default() });
        complete(staging.expect("prepared"));
        assert_eq!(names(&destination), BTreeSet::from(["d".into()]), "{name}");
        assert!(names(parent.path()).iter().all(|name| !name.as_encoded_bytes().starts_with(b".")));
    }
}

#[test]
fn in_place_the_directory_stays_and_is_as_the_image_says() {
    let parent = tempfile::tempdir().expect("a directory");
    let destination = parent.path().join("image");
    fs::create_dir(&destination).expect("made");
    fs::set_permissions(&destination, Permissions::from_mode(0o751)).expect("ours");
    let was = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_234_567_890_123_456_789);
    File::open(&destination).expect("opened").set_modified(was).expect("ours");
    let inode = destination.metadata().expect("stands").ino();

    let staging = Staging::prepare(&destination, IN_PLACE).expect("prepared");
    assert_eq!((staging.root(), mode(&destination)), (&*fs::canonicalize(&destination).expect("real"), 0o700));
    write_tree(&staging);
    drop(staging);
    assert!(names(&destination).is_empty());
    assert_eq!(mode(&destination), 0o751);
    assert_eq!(destination.metadata().expect("stands").modified().expect("kept"), was);

    let staging = Staging::prepare(&destination, IN_PLACE).expect("prepared");
    write_tree(&staging);
    // As the image's root.
    fs::set_permissions(&destination, Permissions::from_mode(0o1555)).expect("ours");
    let mtime = SystemTime::UNIX_EPOCH - Duration::from_nanos(5);
    File::open(&destination).expect("opened").set_modified(mtime).expect("ours");
    let committed = staging.commit().expect("committed");
    assert!(committed.leftover.is_none(), "{:?}", committed.leftover);
    assert_eq!(names(&destination), BTreeSet::from(["d".into()]));
    let found = destination.metadata().expect("stands");
    assert_eq!((found.ino(), mode(&destination), found.modified().expect("kept")), (inode, 0o1555, mtime));
    assert_eq!(names(parent.path()), BTreeSet::from(["image".into()]));

    // What looks like a leftover but is not marked as one does not open the door.
    let other = parent.path().join("other");
    fs::create_dir_all(other.join(".oci-fetcher-abc123/filling")).expect("made");
    fs::write(other.join("precious"), "").expect("written");
    assert_eq!(Staging::prepare(&other, IN_PLACE).expect_err("full").code(), "destination-not-empty");
    assert!(other.join("precious").exists());
}

/// As nobody: a directory may be moved only by who may write to it.
#[test]
fn unprivileged_destinations() {
    if !(Child { user: Some(NOBODY), ..Child::default() }).entered("staging::tests::unprivileged_destinations") {
        return;
    }
    let parent = tempfile::tempdir().expect("a directory");
    let destination = parent.path().join("image");
    for options in [Options::default(), REPLACE] {
        let staging = Staging::prepare(&destination, options).expect("prepared");
        write_tree(&staging);
        fs::set_permissions(staging.root(), Permissions::from_mode(0o555)).expect("ours");
        let committed = staging.commit().expect("committed");
        assert!(committed.leftover.is_none(), "{:?}", committed.leftover);
        assert_eq!((mode(&destination), names(parent.path())), (0o555, BTreeSet::from(["image".into()])));
    }
    complete(Staging::prepare(&destination, REPLACE).expect("prepared"));

    let closed = parent.path().join("closed");
    fs::create_dir_all(closed.join("empty")).expect("made");
    fs::set_permissions(&closed, Permissions::from_mode(0o555)).expect("ours");
    for name in ["empty", "absent", "missing/parent"] {
        let error = Staging::prepare(&closed.join(name), Options::default()).expect_err("unwritable");
        assert_eq!((error.class(), error.code()), (Class::Local, "parent-unwritable"), "{name}");
        assert!(error.advice().expect("advice").contains("--in-place"));
    }
    complete(Staging::prepare(&closed.join("empty"), IN_PLACE).expect("prepared"));
    assert!(closed.join("empty/d/f").exists());
    // Root's, in `/`: nothing can be written to its parent, or to it.
    assert_eq!(Staging::prepare(Path::new("/no-such"), Options::default()).expect_err("").code(), "parent-unwritable");
    fs::set_permissions(&closed, Permissions::from_mode(0o755)).expect("ours");
}

#[test]
fn mount_points_are_filled_in_place_only() {
    let name = "staging::tests::mount_points_are_filled_in_place_only";
    if !may_mount() || !(Child { under: &["unshare", "-m"], ..Child::default() }).entered(name) {
        return;
    }
    let parent = tempfile::tempdir().expect("a directory");
    let source = parent.path().join("source");
    for kind in ["bind", "tmpfs"] {
        let destination = parent.path().join(kind);
        fs::create_dir_all(&source).expect("made");
        fs::create_dir(&destination).expect("made");
        let mut mount = Command::new("mount");
        match kind {
            "bind" => mount.arg("--bind").arg(&source),
            _ => mount.args(["-t", "tmpfs", "none"]),
        };
        assert!(mount.arg(&destination).status().expect("mount").success());
        for options in [Options::default(), REPLACE] {
            let error = refusal(&destination, options);
            assert_eq!((error.class(), error.code()), (Class::Local, "destination-mount-point"), "{kind}");
            assert!(error.advice().expect("advice").contains("--in-place"));
        }
        complete(Staging::prepare(&destination, IN_PLACE).expect("prepared"));
        assert!(destination.join("d/f").exists());
        assert!(Command::new("umount").arg(&destination).status().expect("umount").success());
    }
}
