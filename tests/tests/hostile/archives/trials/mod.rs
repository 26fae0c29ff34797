//! Cases that need more than an image and an expectation: a rival, another file system, a million files.

mod collisions;
mod depth;
mod race;
mod scale;
mod witness;

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;

use oci_fetcher_tests::content::Content;
use oci_fetcher_tests::hostile::{Case, Outcome};
use oci_fetcher_tests::image::Image;
use oci_fetcher_tests::place::Place;
use oci_fetcher_tests::program;
use oci_fetcher_tests::registry::Registry;

use super::hosts::native::{As, Native};
use super::row::{Host, Row};

/// A case that runs itself.
pub(crate) struct Trial {
    pub(crate) case: Case,
    /// Returns an outcome for every host.
    pub(crate) run: fn(Case) -> Vec<(Host, Outcome)>,
}

/// Returns all of them.
pub(crate) fn all() -> Vec<Trial> {
    let groups = [witness::trials(), race::trials(), collisions::trials(), depth::trials(), scale::trials()];
    groups.into_iter().flatten().collect()
}

/// A registry with one image, and a folder to pull it into.
struct Stage {
    place: Place,
    registry: Registry,
}

/// Debian's `nobody`.
const OTHER: (u32, u32) = (65534, 65534);

impl Stage {
    fn new(image: Image) -> Self {
        let place = Place::new();
        fs::set_permissions(place.root(), fs::Permissions::from_mode(0o755)).expect("it is ours");
        fs::copy(program::path(), place.path("oci-fetcher")).expect("there is room for the program");
        let mut content = Content::new();
        content.push("cases", "1", image);
        Self { place, registry: Registry::open(content) }
    }

    fn reference(&self) -> String {
        format!("{}/cases:1", self.registry.host())
    }

    fn native(&self, host: Host) -> Native {
        let (uid, gid) = OTHER;
        let is_other = host == Host::User && rustix::process::geteuid().is_root();
        let runs_as = if is_other { As::Other { uid, gid } } else { As::Caller };
        Native { program: self.place.path("oci-fetcher"), runs_as, path: path() }
    }

    /// Makes a folder that belongs to who pulls.
    fn folder(&self, host: Host, name: &str) -> PathBuf {
        let folder = self.place.path(name);
        fs::create_dir_all(&folder).expect("a folder can be made");
        if host == Host::User && rustix::process::geteuid().is_root() {
            chown(&folder, Some(OTHER.0), Some(OTHER.1)).expect("it is ours");
        }
        folder
    }
}

/// Returns where programs are looked up.
fn path() -> OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

/// Says what a trial found wrong.
fn outcome(faults: Vec<String>) -> Outcome {
    if faults.is_empty() { Outcome::Passed } else { Outcome::Failed(faults.join("\n")) }
}

/// Leaves hosts out, for a reason.
fn absent(hosts: &[Host], reason: &'static str) -> Vec<(Host, Outcome)> {
    hosts.iter().map(|host| (*host, Outcome::Absent(reason))).collect()
}

/// A row that only carries limits.
fn limits(limits: &[(&'static str, u64)]) -> Row {
    let row = super::row::row(0, "", &[], Vec::new()).gives([""; 0]);
    limits.iter().fold(row, |row, (field, value)| row.limit(field, *value))
}
