//! Whether what stands beside a destination is watched at all: each kind of harm has to be noticed.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::SystemTime;

use oci_fetcher_tests::hostile::{Case, Outcome};
use oci_fetcher_tests::place::Place;
use rustix::fs::{XattrFlags, lsetxattr};

use super::{Trial, absent, outcome};
use crate::archives::neighbours::Neighbours;
use crate::archives::row::Host;

pub(super) fn trials() -> Vec<Trial> {
    let case = Case { number: 0, name: "harm beside the destination is noticed", ids: &[], expected: "noticed" };
    vec![Trial { case, run }]
}

type Harm = (&'static str, fn(&Path) -> io::Result<()>);

const HARMS: [Harm; 9] = [
    ("content", |parent| {
        let file = File::options().write(true).open(parent.join("victim/secret"))?;
        let modified = file.metadata()?.modified()?;
        io::Write::write_all(&mut &file, b"N")?;
        file.set_modified(modified)
    }),
    ("mode", |parent| fs::set_permissions(parent.join("root-evil/sub"), Permissions::from_mode(0o700))),
    ("time", |parent| File::open(parent.join("victim/secret"))?.set_modified(SystemTime::UNIX_EPOCH)),
    ("a further link", |parent| {
        fs::create_dir(parent.join("root"))?;
        fs::hard_link(parent.join("root-evil/secret"), parent.join("root/link"))
    }),
    ("attribute", |parent| {
        lsetxattr(parent.join("victim"), "user.neighbour", b"other", XattrFlags::REPLACE).map_err(Into::into)
    }),
    ("a new file", |parent| fs::write(parent.join("victim/sub/new"), "")),
    ("a new entry beside", |parent| symlink("victim", parent.join(".root.oci-fetcher-left"))),
    ("the parent's mode", |parent| fs::set_permissions(parent, Permissions::from_mode(0o700))),
    ("the same file made anew", |parent| {
        let secret = parent.join("victim/secret");
        let modified = fs::metadata(&secret)?.modified()?;
        let content = fs::read(&secret)?;
        fs::write(parent.join("new"), content)?;
        fs::set_permissions(parent.join("new"), fs::metadata(&secret)?.permissions())?;
        File::open(parent.join("new"))?.set_modified(modified)?;
        fs::rename(parent.join("new"), secret)
    }),
];

fn run(_: Case) -> Vec<(Host, Outcome)> {
    let place = Place::new();
    let mut faults = Vec::new();
    for (name, harm) in HARMS {
        let parent = place.path(name);
        let owner = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let neighbours = Neighbours::new(&parent, owner).expect("a folder can be filled");
        if neighbours.changes().is_some() {
            faults.push(format!("{name}: a change was seen where there was none"));
        }
        harm(&parent).expect("it can be done");
        if neighbours.changes().is_none() {
            faults.push(format!("{name}: not noticed"));
        }
    }
    let mut outcomes = vec![(Host::Root, outcome(faults))];
    outcomes.extend(absent(&[Host::User, Host::Node], "the check is the same one"));
    outcomes.extend(absent(&[Host::Memory, Host::Wasm], "nothing stands beside it"));
    outcomes
}
