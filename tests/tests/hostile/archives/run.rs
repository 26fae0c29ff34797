//! Serves the cases, unpacks them on every host, and judges what came of them.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use oci_fetcher_core::digest::{Algorithm, Digest};
use oci_fetcher_tests::content::Content;
use oci_fetcher_tests::hostile::{Case, Outcome};
use oci_fetcher_tests::place::Place;
use oci_fetcher_tests::program;
use oci_fetcher_tests::registry::Registry;

use super::hosts::javascript::JavaScript;
use super::hosts::native::{As, Native};
use super::hosts::{Answer, memory};
use super::lures::Lures;
use super::neighbours::Neighbours;
use super::node::{Node, What};
use super::row::{Expected, Host, Row};
use super::sight::Sight;

type Outcomes = Vec<(Case, Host, Outcome)>;

/// Runs the cases on all hosts at once.
pub(crate) fn run(rows: &[Row]) -> Outcomes {
    if rows.is_empty() {
        return Vec::new();
    }
    let suite = Suite::new(rows);
    std::thread::scope(|scope| {
        let suite = &suite;
        let threads = [
            scope.spawn(|| suite.native(Host::Root)),
            scope.spawn(|| suite.native(Host::User)),
            scope.spawn(|| suite.memory()),
            scope.spawn(|| suite.javascript()),
        ];
        // A thread that panicked has said why, and what it did not run counts as failed.
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    })
}

/// What all hosts share.
struct Suite<'r> {
    rows: &'r [Row],
    registry: Registry,
    place: Place,
    caller: As,
    other: As,
    lures: Lures,
    /// Whether this machine lets root make devices.
    devices: bool,
}

/// Debian's `nobody`, who owns nothing.
const OTHER: (u32, u32) = (65534, 65534);

/// What processors may work for one case; the longest takes some seconds where it is not optimised.
const LONGEST: Duration = Duration::from_secs(15);

impl<'r> Suite<'r> {
    fn new(rows: &'r [Row]) -> Self {
        let place = Place::new();
        fs::set_permissions(place.root(), fs::Permissions::from_mode(0o755)).expect("it is ours");
        fs::copy(program::path(), place.path("oci-fetcher")).expect("there is room for the program");
        let lures = Lures::lay(&place);
        let mut content = Content::new();
        for (index, row) in rows.iter().enumerate() {
            content.push("cases", &tag(index), row.image.clone());
        }
        let (uid, gid) = OTHER;
        let is_root = rustix::process::geteuid().is_root();
        let other = if is_root { As::Other { uid, gid } } else { As::Caller };
        let devices = is_root && can_make_devices(&place.path("device"));
        Self { rows, registry: Registry::open(content), place, caller: As::Caller, other, lures, devices }
    }

    fn reference(&self, index: usize) -> String {
        format!("{}/cases:{}", self.registry.host(), tag(index))
    }

    fn user(&self) -> (u32, u32) {
        match self.other {
            As::Other { uid, gid } => (uid, gid),
            As::Caller => (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()),
        }
    }

    fn native(&self, host: Host) -> Outcomes {
        let runs_as = if host == Host::Root { self.caller } else { self.other };
        let native = Native { program: self.place.path("oci-fetcher"), runs_as, path: self.lures.path() };
        self.each(host, |index, row| {
            let (folder, neighbours) = self.folder(host, index);
            let home = folder.join("home");
            let mut faults = Vec::new();
            let reference = self.reference(index);
            for turn in 0..=usize::from(row.twice) {
                let more: &[&str] = if turn == 0 { &[] } else { &["--force"] };
                let (answer, measured) = native.pull(row, &reference, &neighbours.root(), &home, more);
                self.judge_disk(host, row, &answer, &neighbours, &mut faults);
                if measured.busy > LONGEST {
                    faults.push(format!("it worked for {:?}", measured.busy));
                }
                if measured.peak_memory > row.memory << 20 {
                    faults.push(format!("it held {} bytes, {} MiB were allowed", measured.peak_memory, row.memory));
                }
                faults.extend(bad_blobs(&home.join(".cache/oci-fetcher/blobs/sha256")));
            }
            faults.extend(removal_fault(&folder));
            faults
        })
    }

    /// The core decodes each case in large pieces and in small ones, and comes to the same.
    fn memory(&self) -> Outcomes {
        self.each(Host::Memory, |_, row| {
            let mut faults = Vec::new();
            let bytes: usize = row.layers.iter().map(|layer| layer.blob().len()).sum();
            let sizes: &[usize] = if bytes < 1 << 20 { &[1 << 20, 509, 1] } else { &[64 << 10, 509] };
            for piece in sizes {
                let answer = memory::unpack(row, *piece);
                let mut found = Vec::new();
                judge(
                    Host::Memory,
                    row,
                    &answer,
                    &Sight::of(Host::Memory, tree(row, Host::Memory), (0, 0), true),
                    &mut found,
                );
                faults.extend(found.into_iter().map(|fault| format!("in pieces of {piece}: {fault}")));
            }
            faults
        })
    }

    fn javascript(&self) -> Outcomes {
        let mut process = JavaScript::start(&self.lures.path());
        let mut outcomes = Vec::new();
        for host in [Host::Wasm, Host::Node] {
            outcomes.extend(self.each(host, |index, row| {
                let reference = self.reference(index);
                let mut faults = Vec::new();
                if host == Host::Wasm {
                    let answer = process.pull(row, &reference, None, false);
                    judge(host, row, &answer, &Sight::of(host, tree(row, host), (0, 0), true), &mut faults);
                } else {
                    let (folder, neighbours) = self.folder(host, index);
                    for turn in 0..=usize::from(row.twice) {
                        let answer = process.pull(row, &reference, Some(&neighbours.root()), turn > 0);
                        self.judge_disk(host, row, &answer, &neighbours, &mut faults);
                    }
                    faults.extend(removal_fault(&folder));
                }
                if process.busy > LONGEST {
                    faults.push(format!("it worked for {:?}", process.busy));
                }
                if process.resident > JAVASCRIPT_MEMORY {
                    faults.push(format!("the process holds {} bytes", process.resident));
                    process.resident = 0;
                }
                faults
            }));
        }
        outcomes
    }

    /// Runs those cases that a host has, and turns what was wrong into outcomes.
    fn each(&self, host: Host, mut faults: impl FnMut(usize, &Row) -> Vec<String>) -> Outcomes {
        let outcome = |(index, row): (usize, &Row)| {
            let outcome = match row.expected_on(host) {
                Expected::Absent(reason) => Outcome::Absent(reason),
                Expected::Tree(_) | Expected::Error { .. } => {
                    let mut faults = faults(index, row);
                    faults.extend(self.lures.taken());
                    if faults.is_empty() { Outcome::Passed } else { Outcome::Failed(faults.join("\n")) }
                }
            };
            (row.case, host, outcome)
        };
        self.rows.iter().enumerate().map(outcome).collect()
    }

    /// Makes the folder of a case, with a home and with what stands beside the destination.
    fn folder(&self, host: Host, index: usize) -> (PathBuf, Neighbours) {
        let folder = self.place.path(host.name()).join(index.to_string());
        let (uid, gid) = if host == Host::User { self.user() } else { (0, 0) };
        fs::create_dir_all(folder.join("home")).expect("a folder can be made");
        let owned = rustix::process::geteuid().is_root().then_some(uid);
        std::os::unix::fs::chown(folder.join("home"), owned, owned.and(Some(gid))).expect("it is ours");
        let owner = if owned.is_some() { (uid, gid) } else { self.user() };
        let neighbours = Neighbours::new(&folder.join("parent"), owner).expect("a folder can be filled");
        (folder, neighbours)
    }

    fn judge_disk(&self, host: Host, row: &Row, answer: &Answer, neighbours: &Neighbours, faults: &mut Vec<String>) {
        let sight = Sight::of(host, tree(row, host), self.user(), self.devices);
        let mut answer = answer.clone();
        let root = neighbours.root();
        if let Answer::Unpacked { lines, .. } = &mut answer {
            match Node::of_disk(&root) {
                Ok(nodes) => *lines = nodes.iter().map(Node::line).collect(),
                Err(error) => faults.push(format!("what it made cannot be read: {error}")),
            }
            if row.holes {
                faults.extend(without_holes(&root, &sight.nodes));
            }
        } else if root.symlink_metadata().is_ok() {
            faults.push("it failed and left a destination".to_owned());
        }
        judge(host, row, &answer, &sight, faults);
        faults.extend(neighbours.changes().map(|changes| format!("what stands beside it has changed:\n{changes}")));
    }
}

/// What Node may hold after all cases before this one, its own engine included.
const JAVASCRIPT_MEMORY: u64 = 768 << 20;

fn tag(index: usize) -> String {
    format!("c{index}")
}

/// Returns the tree that a host should make; none where it should fail.
fn tree(row: &Row, host: Host) -> &[Node] {
    match row.expected_on(host) {
        Expected::Tree(nodes) => nodes,
        Expected::Error { .. } | Expected::Absent(_) => &[],
    }
}

/// Adds what differs from the expectation.
fn judge(host: Host, row: &Row, answer: &Answer, sight: &Sight, faults: &mut Vec<String>) {
    match (row.expected_on(host), answer) {
        (Expected::Absent(_), _) => {}
        (Expected::Error { exit, code }, Answer::Failed { exit: found, code: said, message }) => {
            if (*exit, *code) != (*found, said.as_str()) {
                faults.push(format!("it should have failed with {code} ({exit}), not {said} ({found}): {message}"));
            }
        }
        (Expected::Error { code, .. }, Answer::Unpacked { lines, .. }) => {
            faults.push(format!("it should have failed with {code}, and was unpacked:\n  {}", lines.join("\n  ")));
        }
        (Expected::Tree(_), Answer::Failed { exit, code, message }) => {
            faults.push(format!("it should have been unpacked, and failed with {code} ({exit}): {message}"));
        }
        (Expected::Tree(_), Answer::Unpacked { lines, skipped, warnings }) => {
            let expected: Vec<String> = sight.nodes.iter().map(Node::line).collect();
            faults.extend(Node::differences(&expected, lines));
            let told = skipped.iter().filter(|item| matches!(&*item.reason, "policy" | "not-portable"));
            let mut policy: Vec<&str> = told.map(|item| &*item.item).collect();
            policy.sort_unstable();
            let mut reports = row.reports.clone();
            reports.sort_unstable();
            if policy != reports {
                faults.push(format!("the report should say of policy and names {reports:?}, and says {policy:?}"));
            }
            for item in &sight.reported {
                if skipped.iter().all(|skipped| skipped.item != *item) {
                    faults.push(format!("the report does not say {item:?}: {skipped:?}"));
                }
            }
            if let Some(text) = row.warns
                && warnings.iter().all(|warning| !warning.contains(text))
            {
                faults.push(format!("no warning says {text:?}: {warnings:?}"));
            }
        }
    }
}

/// Names files of which each byte takes room.
fn without_holes(root: &Path, nodes: &[Node]) -> Vec<String> {
    let files = nodes.iter().filter(|node| matches!(node.what, What::File { size, .. } if size > 64 << 10));
    let full = files.filter(|node| {
        let stat = root.join(&node.path).symlink_metadata();
        stat.is_ok_and(|stat| stat.blocks() * 512 >= stat.len())
    });
    full.map(|node| format!("{} has no holes", node.path)).collect()
}

/// Names blobs of a cache that are not what their names say.
fn bad_blobs(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let bad = entries.filter_map(|entry| {
        let path = entry.expect("readable").path();
        let digest = Digest::of(Algorithm::Sha256, &fs::read(&path).expect("readable")).to_string();
        (!path.to_string_lossy().ends_with(digest.trim_start_matches("sha256:"))).then_some(path)
    });
    bad.map(|path| format!("{} in the cache is something else now", path.display())).collect()
}

/// Removes a case's folder, which nothing in it may prevent.
fn removal_fault(folder: &Path) -> Option<String> {
    oci_fetcher::disk::remove_tree(folder).err().map(|error| format!("it cannot be removed: {error}"))
}

fn can_make_devices(place: &Path) -> bool {
    let kind = rustix::fs::FileType::CharacterDevice;
    let device = rustix::fs::makedev(1, 3);
    rustix::fs::mknodat(rustix::fs::CWD, place, kind, rustix::fs::Mode::RUSR, device).is_ok()
}
