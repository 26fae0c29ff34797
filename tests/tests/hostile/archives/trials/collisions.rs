//! 41: names that are one to a file system that folds case: an error, and never a silent overwrite.

use std::fs;
use std::path::Path;
use std::process::Command;

use oci_fetcher_tests::hostile::{Case, Outcome};
use oci_fetcher_tests::image::{Image, Layer};
use oci_fetcher_tests::process::measure;
use oci_fetcher_tests::program;
use serde_json::{Value, json};

use super::{Stage, Trial, absent};
use crate::archives::row::Host;

const IDS: &[&str] = &["CVE-2021-32803", "CVE-2021-37712", "CVE-2026-44471"];

pub(super) fn trials() -> Vec<Trial> {
    let trial = |name, expected, run| Trial { case: Case { number: 41, name, ids: IDS, expected }, run };
    vec![
        trial("files Case and case, on NTFS that folds case", "name-collision", |_| {
            both(two_files(), Err("name-collision"))
        }),
        trial("directories D/a and d/b", "name-collision", |_| both(two_directories(), Err("name-collision"))),
        trial("d, D -> ../../victim, d/secret", "name-collision", |_| both(link_between(), Err("name-collision"))),
        trial("a link and a file", "name-collision", |_| both(link_and_file(), Err("name-collision"))),
        trial("a file and a hard link", "name-collision", |_| both(hard_link(), Err("name-collision"))),
        trial("Case in layer 1, case in layer 2", "name-collision", |_| both(two_layers(), Err("name-collision"))),
        trial("Case, and a mark of case", "Case stays", |_| both(mark(), Ok(&["./root/case: kept"]))),
        trial("Case replaced by case, after a mark of Case", "case", |_| both(replaced(), Ok(&["./root/case: new"]))),
    ]
}

fn layer() -> Layer {
    Layer::new()
}

fn two_files() -> Vec<Layer> {
    vec![layer().file("Case", "1").file("case", "2")]
}

fn two_directories() -> Vec<Layer> {
    vec![layer().directory("D", 0o755).file("D/a", "1").directory("d", 0o755).file("d/b", "2")]
}

fn link_between() -> Vec<Layer> {
    vec![layer().directory("d", 0o755).file("d/x", "1").symlink("D", "../../victim").file("d/secret", "2")]
}

fn link_and_file() -> Vec<Layer> {
    vec![layer().symlink("l", "../../victim/secret").file("L", "overwritten")]
}

fn hard_link() -> Vec<Layer> {
    vec![layer().file("a", "1").file("b", "2").hard_link("B", "a")]
}

fn two_layers() -> Vec<Layer> {
    vec![layer().file("Case", "1"), layer().file("case", "2")]
}

fn mark() -> Vec<Layer> {
    vec![layer().file("Case", "kept"), layer().whiteout("case")]
}

fn replaced() -> Vec<Layer> {
    vec![layer().file("Case", "old"), layer().whiteout("Case").file("case", "new")]
}

/// Pulls with the program and with Node; the files that must be there at the end, or an error's code.
fn both(layers: Vec<Layer>, expected: Result<&[&str], &str>) -> Vec<(Host, Outcome)> {
    let mut outcomes = absent(&[Host::Memory, Host::Wasm], "its names are bytes");
    outcomes.extend(absent(&[Host::User], "the mount is its maker's alone"));
    let image = layers.into_iter().fold(Image::new().platform("linux/amd64"), Image::layer);
    let stage = Stage::new(image);
    for host in [Host::Root, Host::Node] {
        outcomes.push((host, pull(&stage, host, expected)));
    }
    outcomes
}

fn pull(stage: &Stage, host: Host, expected: Result<&[&str], &str>) -> Outcome {
    let folder = stage.folder(host, host.name());
    let destination = folder.join("mount/parent/root");
    let mut command = Command::new("unshare");
    program::isolate(&mut command, &folder);
    command.args(["--mount", "sh", "-c", SCRIPT, "sh"]).arg(&folder);
    if host == Host::Root {
        command.arg(stage.place.path("oci-fetcher")).args(["pull", "--no-cache", "--json", &stage.reference()]);
        command.arg(&destination);
    } else {
        let request = json!({ "reference": stage.reference(), "to": destination, "limits": {} });
        fs::write(folder.join("request"), format!("{request}\n")).expect("writable");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/archives/pull.mjs");
        command.args(["sh", "-c", "exec node \"$1\" <\"$2\"", "sh"]).arg(script).arg(folder.join("request"));
    }
    let measured = measure(&command);
    if measured.code == NO_MOUNT {
        return Outcome::Absent("no file system that folds case can be mounted here");
    }
    let json: Value = serde_json::from_slice(&measured.stdout).unwrap_or_default();
    let listing = fs::read_to_string(folder.join("listing")).unwrap_or_default();
    let files: Vec<&str> = listing.lines().collect();
    let secret = "./victim/secret: as it was";
    let code = json["error"]["code"].as_str();
    let mut wanted = vec![secret];
    if let Ok(files) = expected {
        wanted.extend(files);
    }
    wanted.sort_unstable();
    if code == expected.err() && files == wanted {
        return Outcome::Passed;
    }
    Outcome::Failed(format!("expected {expected:?}, not {code:?}; files {files:?}\n{measured:?}"))
}

/// What the script ends with where it cannot mount.
const NO_MOUNT: i32 = 77;

/// Makes a file system of NTFS and mounts it so that it folds case, in a mount namespace of its own; runs
/// a command, and lists the files that stand there afterwards.
const SCRIPT: &str = r#"
cd "$1" && shift
truncate --size 64M image && mkdir mount || exit 77
/usr/sbin/mkfs.ntfs --force --quick --quiet image >mkfs.log 2>&1 || exit 77
lowntfs-3g -o ignore_case image mount >mount.log 2>&1 || exit 77
mkdir -p mount/parent/victim && echo 'as it was' >mount/parent/victim/secret
"$@"
code=$?
(cd mount/parent && find . -type f | sort | while read -r file; do echo "$file: $(cat "$file")"; done) >listing
umount mount
exit $code
"#;
