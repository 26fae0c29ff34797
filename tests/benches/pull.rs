//! How long a pull of a real Debian image takes, beside skopeo and umoci doing the same in the same run.
//!
//! ```sh
//! cargo build --release -p oci-fetcher
//! cargo bench -p oci-fetcher-tests --bench pull            # three rounds on a tmpfs
//! cargo bench -p oci-fetcher-tests --bench pull -- 5 /tmp  # five rounds on that folder's disk
//! ```
//!
//! Each round measures everything once, in turn, so that a machine that slows down slows all; the
//! medians count. Needs docker-registry, skopeo, umoci, debootstrap and pigz, and root for owners.
#![cfg(unix)]
#![expect(clippy::print_stdout, reason = "figures are what a benchmark is for")]

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use oci_fetcher_tests::debian::{self, GZIP};
use oci_fetcher_tests::docker_registry::{DockerRegistry, Setup};
use oci_fetcher_tests::place::Place;
use oci_fetcher_tests::process::{Measured, measure, required};

const ROUNDS: usize = 3;
const TMPFS: &str = "/dev/shm";

fn main() {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let rounds = arguments.first().map_or(ROUNDS, |rounds| rounds.parse().expect("a number of rounds"));
    let folder = arguments.get(1).map_or(Path::new(TMPFS), Path::new);
    let layers = debian::layers(Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("in the target directory"));

    let storage = Place::within(folder);
    let registry = DockerRegistry::start(storage.root(), Setup::open());
    registry.push_content(&debian::image(&layers, "gz", GZIP), "debian", "1");
    let reference = format!("{}/debian:1", registry.host());

    println!("{reference} in {}, {rounds} rounds, medians in seconds", folder.display());
    let mut figures = Figures::default();
    for _ in 0..rounds {
        round(folder, &reference, &mut figures);
    }
    figures.print();
}

/// Measures everything once.
fn round(folder: &Path, reference: &str, figures: &mut Figures) {
    let place = Place::within(folder);
    let layout = path_text(&place.path("layout"));
    figures.add("pull to a directory", [place.pull(reference, "cold", &["-q"])]);
    figures.add("again, from the warm cache", [place.pull(reference, "warm", &["-q"])]);
    figures.add("skopeo copy, umoci unpack", rivals(&place, reference));

    let place = Place::within(folder);
    let copy = ["pull", "-q", reference, "--layout", &layout];
    figures.add("pull to a layout", [place.run(&copy)]);
    figures.add("the same layout again", [place.run(&copy)]);
}

fn rivals(place: &Place, reference: &str) -> [Measured; 2] {
    let layout = path_text(&place.path("skopeo"));
    let (from, to) = (format!("docker://{reference}"), format!("oci:{layout}:image"));
    let copy = ["copy", "-q", "--insecure-policy", "--src-tls-verify=false", &from, &to];
    let (image, bundle) = (format!("{layout}:image"), place.path("umoci"));
    let unpack = ["unpack", "--image", &image].map(OsStr::new);
    [
        measure(Command::new(required("skopeo", "skopeo")).args(copy)),
        measure(Command::new(required("umoci", "umoci")).args(unpack).arg(bundle)),
    ]
}

fn path_text(path: &Path) -> String {
    path.to_str().expect("temporary folders have plain names").to_owned()
}

/// The times of each measurement, in the order of the first round.
#[derive(Default)]
struct Figures(Vec<(&'static str, Vec<Duration>)>);

impl Figures {
    /// Adds one measurement: the time of all its commands, which must succeed.
    fn add<const N: usize>(&mut self, name: &'static str, commands: [Measured; N]) {
        let elapsed = commands.into_iter().map(|command| command.expect_code(0).elapsed).sum();
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, times)) => times.push(elapsed),
            None => self.0.push((name, vec![elapsed])),
        }
    }

    /// Prints medians, ranges, and how each compares to the first.
    fn print(&mut self) {
        let mut first = None;
        for (name, times) in &mut self.0 {
            times.sort_unstable();
            let median = times[times.len() / 2].as_secs_f64();
            let first = *first.get_or_insert(median);
            let (least, most) = (times[0].as_secs_f64(), times[times.len() - 1].as_secs_f64());
            println!("{name:<28} {median:8.2}  ({least:.2} to {most:.2})  {:5.2} times the first", median / first);
        }
    }
}
