//! 46: a tree 10,000 directories deep: refused, or handled and removed.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

use oci_fetcher_tests::hostile::{Case, Outcome};
use oci_fetcher_tests::image::{Image, Layer};
use rustix::fs::{Mode, OFlags, openat};

use super::{Stage, Trial, limits, outcome, path};
use crate::archives::hosts::javascript::JavaScript;
use crate::archives::hosts::{Answer, memory};
use crate::archives::row::Host;

pub(super) fn trials() -> Vec<Trial> {
    let case = |name, expected| Case { number: 46, name, ids: &[], expected };
    vec![
        Trial { case: case("a tree 10,000 deep", "limit-exceeded"), run: refused },
        Trial { case: case("the same, with the limits raised", "handled and removed"), run: handled },
        Trial { case: case("the same, hidden by a further layer", "nothing"), run: hidden },
    ]
}

const DEPTH: usize = 10_000;
/// Enough for the tree.
const RAISED: [(&str, u64); 2] = [("path_depth", 20_000), ("path_bytes", 40_000)];

fn deep() -> Layer {
    Layer::new().file("d/".repeat(DEPTH) + "f", "x")
}

fn refused(_: Case) -> Vec<(Host, Outcome)> {
    each(vec![deep()], &[], Some((7, "limit-exceeded")), None)
}

fn handled(_: Case) -> Vec<(Host, Outcome)> {
    each(vec![deep()], &RAISED, None, Some(DEPTH))
}

fn hidden(_: Case) -> Vec<(Host, Outcome)> {
    each(vec![deep(), Layer::new().whiteout("d")], &RAISED, None, Some(0))
}

/// Pulls on every host: to an error, or to this many directories one in another.
fn each(
    layers: Vec<Layer>,
    given: &[(&'static str, u64)],
    error: Option<(i64, &str)>,
    depth: Option<usize>,
) -> Vec<(Host, Outcome)> {
    let stage = Stage::new(layers.iter().cloned().fold(Image::new().platform("linux/amd64"), Image::layer));
    let mut row = limits(given);
    row.layers = layers;
    let judge = |answer: &Answer, error: Option<(i64, &str)>| match (answer, error) {
        (Answer::Failed { exit, code, .. }, Some(expected)) if (*exit, code.as_str()) == expected => Vec::new(),
        (Answer::Unpacked { .. }, None) => Vec::new(),
        (answer, expected) => vec![format!("expected {expected:?}, not {answer:?}").chars().take(2000).collect()],
    };
    let mut outcomes = Vec::new();
    for host in [Host::Root, Host::User] {
        let folder = stage.folder(host, host.name());
        let (answer, _) = stage.native(host).pull(&row, &stage.reference(), &folder.join("root"), &folder, &[]);
        let mut faults = judge(&answer, error);
        if let (Some(depth), Answer::Unpacked { .. }) = (depth, &answer) {
            let found = depth_of(&folder.join("root"));
            if found != depth {
                faults.push(format!("{found} directories, not {depth}"));
            }
        }
        faults.extend(oci_fetcher::disk::remove_tree(&folder.join("root")).err().map(|error| error.to_string()));
        outcomes.push((host, outcome(faults)));
    }
    outcomes.push((Host::Memory, outcome(judge(&memory::unpack(&row, 64 << 10), error))));
    let mut process = JavaScript::start(&path());
    let answer = process.pull(&row, &stage.reference(), None, false);
    outcomes.push((Host::Wasm, outcome(judge(&answer, error))));
    // Node has no call that opens below a directory: what is deeper than PATH_MAX is refused, and removed.
    let folder = stage.folder(Host::Node, "node");
    let answer = process.pull(&row, &stage.reference(), Some(&folder.join("root")), false);
    let expected = if depth == Some(DEPTH) { Some((8, "name-not-supported")) } else { error };
    let mut faults = judge(&answer, expected);
    if expected.is_some() && std::fs::read_dir(&folder).expect("readable").next().is_some() {
        faults.push("something was left".to_owned());
    }
    outcomes.push((Host::Node, outcome(faults)));
    outcomes
}

fn depth_of(root: &Path) -> usize {
    let mut directory: OwnedFd = File::open(root).expect("it is there").into();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    let mut depth = 0;
    while let Ok(below) = openat(&directory, "d", flags, Mode::empty()) {
        directory = below;
        depth += 1;
    }
    depth
}
