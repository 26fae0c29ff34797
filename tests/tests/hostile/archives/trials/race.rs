//! 16: somebody swaps directories for links while a pull writes into them (CVE-2018-15664).

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use oci_fetcher_tests::hostile::{Case, Outcome};
use oci_fetcher_tests::image::{Compression, Image, Layer};

use super::{OTHER, Stage, Trial, absent, limits, outcome};
use crate::archives::hosts::Answer;
use crate::archives::neighbours::Neighbours;
use crate::archives::row::Host;

pub(super) fn trials() -> Vec<Trial> {
    let case = Case {
        number: 16,
        name: "a rival swaps directories for links to the victim",
        ids: &["CVE-2018-15664"],
        expected: "an error, or the tree; nothing outside",
    };
    vec![Trial { case, run }]
}

const TURNS: usize = 3;
const DIRECTORIES: usize = 40;
const FILES: usize = 20;

/// Writes into many directories, then over and into them once more, and removes some.
fn image() -> Image {
    let mut layers = [Layer::new(), Layer::new()];
    for directory in 0..DIRECTORIES {
        layers[0] =
            layers[0].clone().directory(format!("d{directory}"), 0o755).directory(format!("d{directory}/sub"), 0o777);
        for file in 0..FILES {
            layers[0] = layers[0].clone().file(format!("d{directory}/sub/secret{file}"), "x").mode(0o666);
        }
        layers[1] = layers[1]
            .clone()
            .file(format!("d{directory}/secret"), "y")
            .whiteout(format!("d{directory}/sub/secret1"))
            .hard_link(format!("d{directory}/h"), format!("d{directory}/sub/secret2"))
            .opaque(format!("d{directory}/sub"));
    }
    layers.into_iter().fold(Image::new(), |image, layer| image.layer(layer.compress(Compression::None)))
}

fn run(_: Case) -> Vec<(Host, Outcome)> {
    let stage = Stage::new(image());
    let mut outcomes: Vec<(Host, Outcome)> =
        [Host::Root, Host::User].into_iter().map(|host| (host, outcome(race(&stage, host)))).collect();
    outcomes.extend(absent(&[Host::Memory, Host::Wasm], "what it writes is its own memory"));
    outcomes.extend(absent(&[Host::Node], "Node opens by whole paths; its staging directory is its user's alone"));
    outcomes
}

fn race(stage: &Stage, host: Host) -> Vec<String> {
    let mut faults = Vec::new();
    let swaps = AtomicU64::new(0);
    let owner = if host == Host::User { OTHER } else { (0, 0) };
    for turn in 0..TURNS {
        let name = format!("{}-{turn}", host.name());
        let parent = stage.place.path(&format!("{name}/parent"));
        let neighbours = Neighbours::new(&parent, owner).expect("a folder can be filled");
        let home = stage.folder(host, &format!("{name}/home"));
        let stop = AtomicBool::new(false);
        let (answer, measured) = std::thread::scope(|scope| {
            scope.spawn(|| swap(&parent, &stop, &swaps));
            let pulled =
                stage.native(host).pull(&limits(&[]), &stage.reference(), &neighbours.root(), &home, &["--no-cache"]);
            stop.store(true, Ordering::Relaxed);
            pulled
        });
        // What the rival did may be an error, but never a fault of ours.
        if !matches!(measured.code, 0 | 7 | 8) {
            faults.push(format!("turn {turn} ended with {}: {answer:?}", measured.code));
        }
        // What a rival kept from being removed is the next pull's to remove.
        let (again, _) = stage.native(host).pull(
            &limits(&[]),
            &stage.reference(),
            &neighbours.root(),
            &home,
            &["--no-cache", "--force"],
        );
        if let Answer::Failed { .. } = again {
            faults.push(format!("turn {turn}, without the rival: {again:?}"));
        }
        faults.extend(
            neighbours.changes().map(|changes| format!("turn {turn}: what stands beside has changed:\n{changes}")),
        );
        faults.extend(oci_fetcher::disk::remove_tree(&parent).err().map(|error| error.to_string()));
    }
    if swaps.load(Ordering::Relaxed) < 10 {
        faults.push("hardly a directory was swapped: nothing was tried".to_owned());
    }
    faults
}

/// Swaps directories in whatever is being unpacked below a folder, until it is told to stop.
fn swap(parent: &Path, stop: &AtomicBool, swaps: &AtomicU64) {
    let victim = parent.join("victim");
    let mut turn = 0;
    while !stop.load(Ordering::Relaxed) {
        turn += 1;
        for root in unpacking(parent) {
            let directory = root.join(format!("d{}", turn % DIRECTORIES));
            let aside = root.join("aside");
            if fs::rename(&directory, &aside).is_ok() {
                if symlink(&victim, &directory).is_ok() {
                    swaps.fetch_add(1, Ordering::Relaxed);
                }
                std::thread::yield_now();
                let _ = fs::remove_file(&directory);
                let _ = fs::rename(&aside, &directory);
            }
        }
    }
}

/// Lists the hidden directories beside the destination, and what they hold one level down.
fn unpacking(parent: &Path) -> Vec<PathBuf> {
    let entries = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let hidden = |path: &PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    let mut roots: Vec<PathBuf> = entries(parent).filter(hidden).collect();
    let below: Vec<PathBuf> = roots
        .iter()
        .flat_map(|root| entries(root))
        .filter(|path| !path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"d")))
        .collect();
    roots.extend(below);
    roots
}
