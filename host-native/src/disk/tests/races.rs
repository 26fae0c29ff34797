//! Somebody renames directories at the same time: nothing ever lands outside the root.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags};

use super::image::{Image, own, state};
use crate::disk::handles::{OPEN_DIRECTORIES, Resolver};
use crate::disk::metadata::Privilege;
use crate::disk::{DiskError, remove_tree};

/// More than are kept open, so that most have to be opened again.
const DIRECTORIES: usize = OPEN_DIRECTORIES + 20;

#[test]
fn a_directory_swapped_for_a_link_leads_nowhere() {
    for resolver in [Resolver::Openat2, Resolver::Walk] {
        let mut image = Image::with(Privilege::Root, resolver);
        let victim = image.parent.path().join("root-evil");
        fs::create_dir_all(victim.join("sub")).expect("made");
        fs::write(victim.join("sub/secret"), "secret").expect("written");
        for directory in 0..DIRECTORIES {
            image.file(&format!("d{directory}/sub/f"), b"x", &own(0o644)).expect("a file");
        }
        let before = [state(&victim), state(&victim.join("sub")), state(&victim.join("sub/secret"))];
        let root = image.path("");
        let stop = AtomicBool::new(false);
        let mut refused = 0;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut turn = 0;
                while !stop.load(Ordering::Relaxed) {
                    turn += 1;
                    let name = root.join(format!("d{}", turn % DIRECTORIES));
                    let aside = root.join("aside");
                    if fs::rename(&name, &aside).is_ok() {
                        let _ = symlink(&victim, &name);
                        std::thread::yield_now();
                        let _ = fs::remove_file(&name);
                        let _ = fs::rename(&aside, &name);
                    }
                }
            });
            for turn in 0..6_000 {
                let path = format!("d{}/sub/g{turn}", (turn * 7) % DIRECTORIES);
                let written = image.file(&path, b"content", &own(0o666));
                refused += usize::from(written.is_err());
                if turn % 3 == 0 {
                    let _ = image.hard_link(&format!("d{}/sub/h{turn}", turn % DIRECTORIES), &path);
                }
            }
            let _ = image.tree.finish(&mut image.fs);
            stop.store(true, Ordering::Relaxed);
        });
        assert!(refused < 6_000, "nothing was written at all");
        let after = [state(&victim), state(&victim.join("sub")), state(&victim.join("sub/secret"))];
        assert_eq!(after, before, "{resolver:?}");
    }
}

/// So many that the removal reads names long before it comes to them.
const REMOVED: usize = 400;

#[test]
fn a_removal_is_not_led_away() {
    let parent = tempfile::tempdir().expect("a directory");
    let victim = parent.path().join("victim");
    fs::create_dir_all(victim.join("e")).expect("made");
    fs::write(victim.join("e/f"), "secret").expect("written");
    let before = [state(&victim), state(&victim.join("e")), state(&victim.join("e/f"))];
    let (root, links) = (parent.path().join("root"), parent.path().join("links"));
    for _ in 0..10 {
        fs::create_dir(&links).expect("made");
        for directory in 0..REMOVED {
            fs::create_dir_all(root.join(format!("{directory}/e"))).expect("made");
            fs::write(root.join(format!("{directory}/e/f")), "x").expect("written");
            symlink(&victim, links.join(directory.to_string())).expect("linked");
        }
        let stop = AtomicBool::new(false);
        let removed: Result<(), DiskError> = std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut turn = 0;
                while !stop.load(Ordering::Relaxed) {
                    turn += 1;
                    let name = (turn * 7 % REMOVED).to_string();
                    let (directory, link) = (root.join(&name), links.join(&name));
                    let _ = rustix::fs::renameat_with(CWD, directory, CWD, link, RenameFlags::EXCHANGE);
                }
            });
            let removed = remove_tree(&root);
            stop.store(true, Ordering::Relaxed);
            removed
        });
        if removed.is_err() {
            remove_tree(&root).expect("nobody disturbs it any more");
        }
        remove_tree(&links).expect("removed");
        assert!(!root.exists());
    }
    assert_eq!([state(&victim), state(&victim.join("e")), state(&victim.join("e/f"))], before);
}
