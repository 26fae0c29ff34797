//! What must hold after every fault: P1 to P8 of the tests' catalogue of faults.
//!
//! - P1 a blob under its final name hashes to its name;
//! - P2 a destination is absent or complete;
//! - P3 the same command, run again, succeeds without cleaning up;
//! - P4 what is fetched again is bounded by what was not yet stored;
//! - P5 a failure has one typed cause: an exit code of its class, and a message of what, why and what to do;
//! - P6 time is bounded;
//! - P7 no lock and no temporary is left by the second run;
//! - P8 no verified blob is lost.
//!
//! Where a command was ended after its destination was complete, the second run says that something
//! stands there (exit code 2); that is a success, too, and what it leaves goes with the next pull.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use oci_fetcher_core::digest::{Algorithm, Digest};
use oci_fetcher_tests::compare::Comparison;

use crate::scenario::{Bench, Scenario, Start, Target};

/// What a scenario brings about without a fault.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    /// What the destination is.
    content: String,
    /// The blobs that are stored at the end, with their sizes.
    blobs: BTreeMap<String, u64>,
    /// Bytes of the manifest, which a tag is resolved to anew.
    manifest: u64,
}

/// What was stored before a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stored {
    blobs: BTreeMap<String, u64>,
    /// Blobs whose beginnings were stored.
    partial: BTreeMap<String, u64>,
}

impl Expected {
    /// Learns it from a run without faults, which has just ended well.
    pub(crate) fn learn(bench: &Bench, scenario: &Scenario) -> Self {
        let content = content(bench, scenario).expect("it was made");
        let (repository, tag) = scenario.target.image().split_once(':').expect("name and tag");
        let mut manifest = 0;
        let mut blobs = BTreeMap::new();
        bench.registry.change(|held| {
            let stored = held.manifest(repository, tag).expect("pushed");
            manifest = stored.bytes.len() as u64;
            blobs.insert(Digest::of(Algorithm::Sha256, &stored.bytes).to_string(), manifest);
            let parsed: serde_json::Value = serde_json::from_slice(&stored.bytes).expect("JSON");
            let layers = parsed["layers"].as_array().expect("layers").iter();
            for descriptor in layers.chain(std::iter::once(&parsed["config"])) {
                let digest = descriptor["digest"].as_str().expect("a digest").to_owned();
                blobs.insert(digest, descriptor["size"].as_u64().expect("a size"));
            }
        });
        Self { content, blobs, manifest }
    }

    /// Checks what holds whatever happened: P1 and P2, and P8 for the blobs that were there.
    pub(crate) fn check_always(&self, bench: &Bench, scenario: &Scenario, before: &Stored) -> Vec<String> {
        let mut broken = check_names(&bench.cache().join("blobs"));
        if scenario.target == Target::Layout {
            broken.extend(check_names(&bench.out().join("blobs")));
            broken.extend(check_index(&bench.out()));
        }
        match content(bench, scenario) {
            Some(found) if found == self.content => {}
            None => {
                if scenario.start == Start::Existing {
                    broken.push("P2: what stood at the destination is gone".into());
                }
            }
            Some(found) => match scenario.target {
                Target::Directory if scenario.start == Start::Existing && found.contains("old") => {}
                // Checked above: the blobs come first, the name last.
                Target::Layout => {}
                // Each file by itself is absent or complete.
                Target::Files if found.lines().all(|line| self.content.contains(line)) => {}
                Target::Directory | Target::Tar | Target::File | Target::Files => {
                    broken.push(format!("P2: the destination is neither absent nor complete:\n{found}"));
                }
            },
        }
        let now = Stored::look(bench);
        for digest in before.blobs.keys().filter(|digest| !now.blobs.contains_key(*digest)) {
            broken.push(format!("P8: {digest} is gone"));
        }
        broken
    }

    /// Tells whether the destination is complete.
    pub(crate) fn is_complete(&self, bench: &Bench, scenario: &Scenario) -> bool {
        content(bench, scenario).is_some_and(|found| found == self.content)
    }

    /// Checks P4: what a run fetched that began with `before`.
    pub(crate) fn check_fetched(&self, bench: &Bench, before: &Stored) -> Option<String> {
        let missing: u64 = self
            .blobs
            .iter()
            .filter(|(digest, _)| !before.blobs.contains_key(*digest))
            .map(|(digest, size)| size - before.partial.get(digest).copied().unwrap_or_default().min(*size))
            .sum();
        let fetched = bench.registry.bytes_sent();
        let most = missing + self.manifest;
        (fetched > most).then(|| format!("P4: {fetched} bytes were fetched, {most} were missing"))
    }

    /// Checks P7 and P8 after a run that ended well.
    pub(crate) fn check_end(&self, bench: &Bench, scenario: &Scenario) -> Vec<String> {
        let mut broken: Vec<String> = leftovers(bench, scenario);
        if scenario.has_cache() {
            let stored = Stored::look(bench);
            let lost = self.blobs.keys().filter(|digest| !stored.blobs.contains_key(*digest));
            broken.extend(lost.map(|digest| format!("P8: {digest} is not stored")));
        } else if bench.cache().exists() {
            broken.push("P7: there is a cache".into());
        }
        broken
    }
}

impl Stored {
    /// Looks what there is.
    pub(crate) fn look(bench: &Bench) -> Self {
        let mut stored = Self::default();
        let blobs = bench.cache().join("blobs");
        for algorithm in names(&blobs) {
            for encoded in names(&blobs.join(&algorithm)) {
                let size = fs::metadata(blobs.join(&algorithm).join(&encoded)).expect("there").len();
                stored.blobs.insert(format!("{algorithm}:{encoded}"), size);
            }
        }
        let partial = bench.cache().join("partial");
        for name in names(&partial) {
            if let Some((algorithm, encoded)) = name.split_once('-').filter(|_| !name.contains('.')) {
                let size = fs::metadata(partial.join(&name)).expect("there").len();
                stored.partial.insert(format!("{algorithm}:{encoded}"), size);
            }
        }
        stored
    }
}

/// Lists what should not be left (P7).
pub(crate) fn leftovers(bench: &Bench, scenario: &Scenario) -> Vec<String> {
    let mut left: Vec<String> = names(&bench.cache().join("partial"));
    let tags = names(&bench.cache().join("tags")).into_iter();
    left.extend(tags.filter(|name| name.len() != 64));
    left.extend(names(&bench.parent()).into_iter().filter(|name| name != "out"));
    left.extend(names(&bench.temporary()));
    let known = |name: &String| ["oci-layout", "index.json", "blobs"].contains(&name.as_str());
    if scenario.target == Target::Layout {
        left.extend(names(&bench.out()).into_iter().filter(|name| !known(name)));
    }
    left.into_iter().map(|name| format!("P7: {name} is left")).collect()
}

/// Describes what there is at the destination.
fn content(bench: &Bench, scenario: &Scenario) -> Option<String> {
    let out = bench.out();
    fs::symlink_metadata(&out).ok()?;
    Some(match scenario.target {
        Target::Directory => Comparison::new().listing(&out),
        Target::Files => {
            let files = names(&out).into_iter().filter(|name| !name.starts_with('.'));
            files.map(|name| format!("{name} {}\n", digest_of(&out.join(&name)))).collect()
        }
        Target::Tar | Target::File => digest_of(&out),
        Target::Layout => {
            let blobs = names(&out.join("blobs/sha256")).join("\n");
            let index = fs::read_to_string(out.join("index.json")).unwrap_or_default();
            // Names hold the registry's port.
            let index = index.replace(&bench.registry.host(), "registry");
            format!("{blobs}\n{index}")
        }
    })
}

/// Checks that what is under a blob's name is the blob (P1).
fn check_names(blobs: &Path) -> Vec<String> {
    let mut broken = Vec::new();
    for algorithm in names(blobs) {
        for encoded in names(&blobs.join(&algorithm)) {
            let found = digest_of(&blobs.join(&algorithm).join(&encoded));
            if found != format!("{algorithm}:{encoded}") {
                broken.push(format!("P1: {algorithm}:{encoded} holds {found}"));
            }
        }
    }
    broken
}

/// Checks that all blobs of the images that a layout names are in it (P2).
fn check_index(layout: &Path) -> Vec<String> {
    let Ok(index) = fs::read(layout.join("index.json")) else { return Vec::new() };
    let parse = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).ok();
    let Some(index) = parse(&index) else { return vec!["P2: index.json is broken".into()] };
    let path =
        |digest: &serde_json::Value| layout.join("blobs").join(digest.as_str().unwrap_or_default().replace(':', "/"));
    let mut broken = Vec::new();
    for entry in index["manifests"].as_array().into_iter().flatten() {
        let Some(manifest) = fs::read(path(&entry["digest"])).ok().and_then(|bytes| parse(&bytes)) else {
            broken.push(format!("P2: the layout names {} and does not hold it", entry["digest"]));
            continue;
        };
        let layers = manifest["layers"].as_array().into_iter().flatten();
        let missing = layers.chain([&manifest["config"]]).filter(|blob| !path(&blob["digest"]).exists());
        broken.extend(missing.map(|blob| format!("P2: the layout names an image and lacks {}", blob["digest"])));
    }
    broken
}

fn digest_of(path: &Path) -> String {
    Digest::of(Algorithm::Sha256, &fs::read(path).expect("readable")).to_string()
}

/// Lists a folder; one that is missing is empty.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
