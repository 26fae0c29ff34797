//! Modes, owners, times, attributes, links, holes: what ends up, and what is reported.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use oci_fetcher_core::entry::{DeviceNumber, EntryKind, Metadata, Timestamp};
use oci_fetcher_core::error::{Class, Explain as _};
use oci_fetcher_core::report::{Reason, What};
use oci_fetcher_core::tree::ApplyError;

use super::children::{Child, NOBODY};
use super::image::{Image, own, xattr};
use crate::disk::DiskError;
use crate::disk::handles::{OPEN_DIRECTORIES, Resolver};
use crate::disk::metadata::Privilege;
use crate::spool::Spool;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn facts(path: &Path) -> (u32, u32, u32, i64, i64) {
    let found = path.symlink_metadata().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    (found.mode() & 0o7777, found.uid(), found.gid(), found.mtime(), found.mtime_nsec())
}

fn attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = Vec::with_capacity(4096);
    rustix::fs::lgetxattr(path, name, rustix::buffer::spare_capacity(&mut value)).ok()?;
    Some(value)
}

/// `cap_net_raw=ep`, as the kernel stores it.
const CAPABILITY: &[u8] = &[1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

fn metadata(mode: u32, uid: u32, gid: u32, seconds: i64, nanoseconds: u32) -> Metadata {
    Metadata { mode, uid, gid, mtime: Timestamp { seconds, nanoseconds }, xattrs: Vec::new() }
}

#[test]
fn root_applies_everything() {
    if !is_root() {
        return;
    }
    for resolver in [Resolver::Openat2, Resolver::Walk] {
        let mut image = Image::with(Privilege::Root, resolver);
        let cases = [
            ("plain", metadata(0o644, 0, 0, 1_700_000_000, 123_456_789)),
            ("secret", metadata(0o000, 5, 6, 0, 0)),
            ("setuid", metadata(0o6755, 1000, 1001, 1, 1)),
            ("d/sticky", metadata(0o1777, 0, 42, -1, 999_999_999)),
            ("d/e/early", metadata(0o600, 70_000, 80_000, -5_000_000_000, 0)),
            ("d/e/late", metadata(0o666, 0, 0, 4_000_000_000, 7)),
        ];
        for (path, metadata) in &cases {
            image.file(path, path.as_bytes(), metadata).expect("a file");
        }
        let links = [("l", metadata(0o777, 3, 4, 55, 66)), ("d/l", metadata(0o777, 0, 0, -7, 1))];
        for (path, metadata) in &links {
            image.symlink(path, "/d/../anything", metadata).expect("a link");
        }
        let fifo = metadata(0o666, 8, 9, 10, 11);
        image.other("fifo", EntryKind::Fifo, &fifo).expect("a fifo");
        let device = metadata(0o4660, 0, 6, 12, 13);
        let null = DeviceNumber { major: 1, minor: 3 };
        image.other("null", EntryKind::CharacterDevice(null), &device).expect("a device");
        let directories = [
            ("d", metadata(0o2775, 0, 50, 77, 88)),
            ("d/e", metadata(0o555, 1, 2, -77, 99)),
            ("closed", metadata(0o000, 1, 2, 3, 4)),
            ("", metadata(0o1750, 11, 12, 13, 14)),
        ];
        for (path, metadata) in &directories {
            image.directory(if path.is_empty() { "." } else { path }, metadata).expect("a directory");
        }
        image.file("closed/inside", b"x", &cases[0].1).expect("a file");

        let (parent, report) = image.finish();
        let root = parent.path().join("root");
        let check = |path: &str, metadata: &Metadata, mode: u32| {
            let mtime = metadata.mtime;
            let mut expected = (mode, metadata.uid, metadata.gid, mtime.seconds, i64::from(mtime.nanoseconds));
            let found = facts(&root.join(path));
            if found.3 != expected.3 {
                // Some file systems hold no time before 1901, and none after 2038.
                assert!(report.skipped.iter().any(|skipped| skipped.path.as_bytes() == path.as_bytes()), "{path}");
                (expected.3, expected.4) = (found.3, found.4);
            }
            assert_eq!(found, expected, "{path}");
        };
        for (path, metadata) in &cases {
            check(path, metadata, metadata.mode);
            assert_eq!(fs::read(root.join(path)).expect("readable"), path.as_bytes());
        }
        for (path, metadata) in &links {
            check(path, metadata, 0o777);
            assert_eq!(fs::read_link(root.join(path)).expect("a link"), Path::new("/d/../anything"));
        }
        for (path, metadata) in directories.iter().chain([&("fifo", fifo), &("null", device)]) {
            check(path, metadata, metadata.mode);
        }
        assert_eq!(root.join("null").symlink_metadata().expect("stands").rdev(), rustix::fs::makedev(1, 3));
        assert!(report.skipped.iter().all(|skipped| skipped.what == What::ModificationTime), "{report:?}");
        assert!(report.ownership.is_empty());
    }
}

#[test]
fn attributes_are_applied_where_they_can_be() {
    let mut image = Image::new();
    let attributed = |names: &[&str]| Metadata {
        xattrs: names
            .iter()
            .map(|name| xattr(name, if *name == "security.capability" { CAPABILITY } else { b"v" }))
            .collect(),
        ..own(0o755)
    };
    let many = ["user.a", "user.b", "security.capability"];
    image.file("f", b"content", &attributed(&many)).expect("a file");
    image.directory("d", &attributed(&["user.a"])).expect("a directory");
    image.symlink("l", "f", &attributed(&["user.a"])).expect("a link");
    image.other("p", EntryKind::Fifo, &attributed(&["user.a"])).expect("a fifo");
    image.file("huge", b"", &Metadata { xattrs: vec![xattr("user.h", &[7; 70_000])], ..own(0o600) }).expect("a file");
    let (parent, report) = image.finish();
    let root = parent.path().join("root");
    let skipped: Vec<(String, &What, Reason)> =
        report.skipped.iter().map(|skipped| (skipped.path.to_string(), &skipped.what, skipped.reason)).collect();
    let what = |name: &str| What::Xattr { name: name.as_bytes().into() };
    for path in ["/l", "/p"] {
        assert!(skipped.contains(&(path.into(), &what("user.a"), Reason::NotSupported)), "{skipped:?}");
    }
    assert!(skipped.contains(&("/huge".into(), &what("user.h"), Reason::NotSupported)), "{skipped:?}");
    assert_eq!(attribute(&root.join("f"), "user.a").as_deref(), Some(&b"v"[..]));
    assert_eq!(attribute(&root.join("f"), "user.b").as_deref(), Some(&b"v"[..]));
    assert_eq!(attribute(&root.join("d"), "user.a").as_deref(), Some(&b"v"[..]));
    let capability = attribute(&root.join("f"), "security.capability");
    if is_root() {
        assert_eq!(capability.as_deref(), Some(CAPABILITY), "a capability survives the change of owner and mode");
        assert_eq!(skipped.len(), 3, "{skipped:?}");
    } else {
        assert_eq!(capability, None);
        assert!(skipped.contains(&("/f".into(), &what("security.capability"), Reason::NotPermitted)));
    }
}

/// As nobody: the system itself decides, not a flag of ours.
#[test]
fn unprivileged_attributes() {
    if (Child { user: Some(NOBODY), ..Child::default() }).entered("disk::tests::metadata::unprivileged_attributes") {
        attributes_are_applied_where_they_can_be();
    }
}

#[test]
fn unprivileged_files_belong_to_the_caller_and_the_rest_is_reported() {
    let name = "disk::tests::metadata::unprivileged_files_belong_to_the_caller_and_the_rest_is_reported";
    if !(Child { user: Some(NOBODY), ..Child::default() }).entered(name) {
        return;
    }
    let me = own(0);
    let mut image = Image::new();
    image.file("root's", b"1", &metadata(0o640, 0, 0, 5, 0)).expect("a file");
    image.file("setuid", b"2", &metadata(0o4755, 0, 0, 5, 0)).expect("a file");
    image.file("mine", b"3", &Metadata { mode: 0o6755, ..me.clone() }).expect("a file");
    image.directory("tmp", &metadata(0o1777, 0, 0, 6, 0)).expect("a directory");
    image.directory("setgid", &metadata(0o2755, 0, 50, 6, 0)).expect("a directory");
    image.file("read-only/f", b"4", &metadata(0o444, 0, 0, 5, 0)).expect("a file");
    image.directory("read-only", &metadata(0o555, 0, 0, 7, 0)).expect("a directory");
    image.file("closed/d/f", b"5", &metadata(0o000, 0, 0, 5, 0)).expect("a file");
    image.directory("closed", &metadata(0o000, 0, 0, 7, 0)).expect("a directory");
    image.symlink("l", "f", &metadata(0o777, 3, 3, 8, 0)).expect("a link");
    image.other("fifo", EntryKind::Fifo, &metadata(0o666, 0, 0, 9, 0)).expect("a fifo");
    let device = DeviceNumber { major: 8, minor: 0 };
    image.other("device", EntryKind::BlockDevice(device), &metadata(0o666, 0, 0, 9, 0)).expect("skipped");
    let (parent, report) = image.finish();
    let root = parent.path().join("root");
    for (path, mode, seconds) in [
        ("root's", 0o640, 5),
        ("setuid", 0o755, 5),
        ("mine", 0o6755, 1_000_000_000),
        ("tmp", 0o1777, 6),
        ("setgid", 0o755, 6),
        ("read-only", 0o555, 7),
        ("read-only/f", 0o444, 5),
        ("closed", 0o000, 7),
        ("l", 0o777, 8),
        ("fifo", 0o666, 9),
        ("", 0o755, 0),
    ] {
        let found = facts(&root.join(path));
        assert_eq!((found.0, found.1, found.2, found.3), (mode, me.uid, me.gid, seconds), "{path}");
    }
    assert!(root.join("fifo").symlink_metadata().expect("stands").file_type().is_fifo());
    assert!(root.join("device").symlink_metadata().is_err());
    let listed: Vec<(String, What)> =
        report.skipped.iter().map(|skipped| (skipped.path.to_string(), skipped.what.clone())).collect();
    for expected in [
        ("/setuid", What::SpecialMode { mode: 0o4755 }),
        ("/setgid", What::SpecialMode { mode: 0o2755 }),
        ("/setgid", What::Ownership { uid: 0, gid: 50 }),
        ("/l", What::Ownership { uid: 3, gid: 3 }),
        ("/device", What::Device),
    ] {
        assert!(listed.contains(&(expected.0.into(), expected.1.clone())), "{expected:?} in {listed:?}");
    }
    assert_eq!(listed.len(), 5);
    // Every entry of root's but those two, the implied root and `closed/d` among them.
    assert_eq!(report.ownership.get(&(0, 0)), Some(&10), "{:?}", report.ownership);
    crate::disk::remove_tree(&root).expect("removed, closed directories too");
}

#[test]
fn the_umask_has_no_effect() {
    let name = "disk::tests::metadata::the_umask_has_no_effect";
    for (user, umask) in [(None, "umask 777"), (Some(NOBODY), "umask 777"), (Some(NOBODY), "umask 000")] {
        if !(Child { user, before: umask, ..Child::default() }).entered(name) {
            continue;
        }
        // The directory for the test has to be entered, too.
        let parent = Path::new("/tmp").join(format!("oci-fetcher-umask-{}", std::process::id()));
        fs::create_dir(&parent).expect("made");
        fs::set_permissions(&parent, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("ours");
        let staging = crate::staging::Staging::prepare(&parent.join("x"), crate::staging::Options::default());
        let staging = staging.expect("prepared");
        let fs = crate::disk::DiskFs::open(staging.root()).expect("opened");
        let mut image = Image {
            parent: tempfile::tempdir_in(staging.spool()).expect("a directory"),
            fs,
            tree: {
                let mut tree = oci_fetcher_core::tree::Tree::new(oci_fetcher_core::tree::Selection::everything(), 100);
                tree.begin_layer();
                tree
            },
        };
        image.file("a/b/f", b"x", &own(0o777)).expect("a file");
        image.directory("a", &own(0o777)).expect("a directory");
        image.other("p", EntryKind::Fifo, &own(0o666)).expect("a fifo");
        let (_parent, _report) = image.finish();
        let _ = staging.commit().expect("committed");
        let root = parent.join("x");
        for (path, mode) in [("a/b/f", 0o777), ("a", 0o777), ("a/b", 0o755), ("p", 0o666), ("", 0o755)] {
            assert_eq!(facts(&root.join(path)).0, mode, "{path}");
        }
        crate::disk::remove_tree(&parent).expect("removed");
        return;
    }
}

#[test]
fn hard_links_link_and_never_follow() {
    let mut image = Image::new();
    image.file("bin/a", b"content", &own(0o755)).expect("a file");
    image.symlink("bin/l", "a", &own(0o777)).expect("a link");
    image.hard_link("lib/b", "bin/a").expect("a hard link");
    image.hard_link("lib/m", "bin/l").expect("a hard link");
    // Unlinked, not truncated.
    image.file("lib/b", b"other", &own(0o600)).expect("a file");
    image.hard_link("c", "/bin/a").expect("a hard link");
    let (parent, report) = image.finish();
    let found = |path: &str| parent.path().join("root").join(path).symlink_metadata().expect("stands");
    assert_eq!((found("bin/a").ino(), found("bin/a").nlink()), (found("c").ino(), 2));
    assert!(found("lib/m").is_symlink());
    assert_eq!(found("lib/m").ino(), found("bin/l").ino());
    assert_eq!(fs::read(parent.path().join("root/bin/a")).expect("readable"), b"content");
    assert_eq!(fs::read(parent.path().join("root/lib/b")).expect("readable"), b"other");
    assert_eq!(found("bin/a").mode() & 0o7777, 0o755);
    assert!(report.is_empty());
}

#[test]
fn holes_stay_holes() {
    let mut image = Image::new();
    let size = 1 << 32;
    image.sparse("ends", size, &[(0, b"start"), (size - 3, b"end")], &own(0o644)).expect("a file");
    image.sparse("hole", size, &[], &own(0o644)).expect("a file");
    image.sparse("tail", size, &[(0, b"start")], &own(0o644)).expect("a file");
    let (parent, _) = image.finish();
    for name in ["ends", "hole", "tail"] {
        let found = parent.path().join("root").join(name).metadata().expect("stands");
        assert_eq!(found.len(), size, "{name}");
        assert!(found.blocks() * 512 < 1 << 20, "{name} takes {} blocks", found.blocks());
    }
}

#[test]
fn spooled_content_is_adopted() {
    let mut image = Image::new();
    let spool_path = image.parent.path().join("spool");
    fs::create_dir(&spool_path).expect("made");
    let spool = Spool::open(&spool_path).expect("a spool");
    let mut layer = spool.layer();
    let size = 1 << 30;
    type Parts<'a> = &'a [(u64, &'a [u8])];
    let contents: [(&str, u64, Parts<'_>); 4] = [
        ("small", 5, &[(0, b"small")]),
        ("tail", 500, &[(0, b"tail")]),
        ("large", 100_000, &[(0, &[1; 100_000])]),
        ("holes", size, &[(9, b"x"), (size - 1, b"y")]),
    ];
    let spooled: Vec<_> = contents
        .iter()
        .map(|(_, size, parts)| {
            let mut file = layer.create(*size).expect("created");
            for (offset, bytes) in *parts {
                layer.write(&mut file, *offset, bytes).expect("written");
            }
            layer.finish(file).expect("finished")
        })
        .collect();
    assert_eq!(fs::read_dir(&spool_path).expect("a directory").count(), 2);
    for ((path, size, _), spooled) in contents.iter().zip(spooled) {
        let entry = super::image::entry(&format!("d/{path}"), EntryKind::File { size: *size }, &own(0o640));
        let applied = image.tree.apply(&entry, &mut image.fs).expect("applied");
        let oci_fetcher_core::tree::Applied::File(node) = applied else { panic!("no file") };
        image.fs.adopt(&image.tree.place(node), &layer, spooled, &entry.metadata).expect("adopted");
    }
    assert_eq!(fs::read_dir(&spool_path).expect("a directory").count(), 0);
    let (parent, report) = image.finish();
    let root = parent.path().join("root/d");
    for (path, size, parts) in contents {
        let found = root.join(path).metadata().expect("stands");
        assert_eq!((found.len(), found.mode() & 0o7777, found.mtime_nsec()), (size, 0o640, 5), "{path}");
        if size < 1 << 20 {
            let mut expected = parts[0].1.to_vec();
            expected.resize(size as usize, 0);
            assert_eq!(fs::read(root.join(path)).expect("readable"), expected);
        } else {
            assert!(found.blocks() * 512 < 1 << 20);
        }
    }
    assert!(report.is_empty());
}

#[test]
fn a_name_that_the_file_system_takes_for_another_is_a_collision() {
    type Create = fn(&mut Image) -> super::image::Applying;
    let cases: [Create; 4] = [
        |image| image.file("readme", b"", &own(0o644)),
        |image| image.symlink("readme", "x", &own(0o644)),
        |image| image.directory("readme", &own(0o755)),
        |image| image.other("readme", EntryKind::Fifo, &own(0o755)),
    ];
    for create in cases {
        let mut image = Image::new();
        fs::write(image.path("readme"), "taken").expect("written");
        let result = create(&mut image);
        let Err(ApplyError::FileSystem(error)) = result else { panic!("{result:?}") };
        assert!(matches!(error, DiskError::Collision { .. }), "{error:?}");
        assert_eq!((error.class(), error.code()), (Class::Refused, "name-collision"));
        assert_eq!(fs::read(image.path("readme")).expect("readable"), b"taken");
    }
}

#[test]
fn a_directory_that_comes_again_is_not_taken_for_the_first() {
    let mut image = Image::new();
    image.file("d/old", b"old", &own(0o644)).expect("a file");
    image.file("d", b"file", &own(0o644)).expect("a file over the directory");
    image.directory("d", &own(0o755)).expect("a directory over the file");
    image.file("d/new", b"new", &own(0o644)).expect("a file");
    let (parent, _) = image.finish();
    let names: Vec<_> = fs::read_dir(parent.path().join("root/d"))
        .expect("a directory")
        .map(|entry| entry.expect("readable").file_name())
        .collect();
    assert_eq!(names, ["new"]);
}

#[test]
fn few_descriptors_are_enough() {
    let name = "disk::tests::metadata::few_descriptors_are_enough";
    if !(Child { before: "ulimit -n 40", ..Child::default() }).entered(name) {
        return;
    }
    let mut image = Image::new();
    for round in 0..2 {
        for directory in 0..OPEN_DIRECTORIES * 2 {
            image.file(&format!("d{directory}/e/f{round}"), b"x", &own(0o644)).expect("a file");
        }
    }
    let (parent, _) = image.finish();
    crate::disk::remove_tree(&parent.path().join("root")).expect("removed");
}

#[test]
fn a_report_is_bounded() {
    if !is_root() {
        return;
    }
    let mut image = Image::with(Privilege::Caller, Resolver::BEST);
    image.fs = image.fs.limit_report(1_000);
    let failed = (0..1_000).find_map(|file| image.file(&format!("f{file}"), b"", &metadata(0, 5, 5, 0, 0)).err());
    let Some(ApplyError::FileSystem(error)) = failed else { panic!("{failed:?}") };
    assert_eq!((error.class(), error.code()), (Class::Refused, "limit-tree-bytes"));
}
