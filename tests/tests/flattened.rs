//! Images flattened into one tar: the same bytes each time, and the same tree to every reader.
#![cfg(unix)]

use std::ffi::OsStr;
use std::process::Command;

use oci_fetcher_tests::compare::Comparison;
use oci_fetcher_tests::content::Content;
use oci_fetcher_tests::image::{Compression, Image, Layer};
use oci_fetcher_tests::place::Place;
use oci_fetcher_tests::process::{measure, required, run};
use oci_fetcher_tests::program;
use oci_fetcher_tests::registry::{Action, Method, Options, Registry, Rule};

/// Most of what a tar can hold, with names that need a pax header.
fn layers() -> [Layer; 2] {
    let long = "long/".repeat(30) + "name";
    let lower = Layer::new()
        .directory("etc", 0o755)
        .file("etc/gone", b"gone")
        .file("etc/shadow", b"root:*")
        .mode(0o640)
        .owner(0, 42)
        .directory("usr", 0o755)
        .file("usr/tool", vec![9; 70_000])
        .mode(0o4755)
        .modified(1_700_000_001, 250_000_000)
        .hard_link("usr/a-link", "usr/tool")
        .symlink("bin", "usr")
        .symlink("usr/far", format!("/{long}"))
        .directory("dev", 0o755)
        .fifo("dev/pipe")
        .character_device("dev/null", 1, 3)
        .file(&long, b"deep")
        .owner(3_000_000, 3_000_000)
        .file("größe", b"a name in UTF-8")
        .file("usr/attributed", b"x")
        .xattr("user.origin", b"test");
    let upper = Layer::new().whiteout("etc/gone").directory("tmp", 0o1777).file("etc/new", b"new");
    [lower, upper]
}

fn content(compression: Compression) -> Content {
    let mut content = Content::new();
    let layers = layers().into_iter().map(|layer| layer.compress(compression.clone()));
    content.push("app", "1", layers.fold(Image::new(), Image::layer));
    let extra = Layer::new().whiteout("usr/tool").file("extra", b"extra");
    content.push("extra", "1", Image::new().layer(extra));
    content
}

fn source(registry: &Registry) -> String {
    format!("{}/app:1", registry.host())
}

/// Returns what a program lists, a path a line, without the root and the slashes of directories.
fn listed(program: &str, package: &str, arguments: &[&str]) -> Vec<String> {
    let mut command = Command::new(required(program, package));
    // Listings escape what is not ASCII unless the locale says that it is text.
    let output = command.args(arguments).env("LC_ALL", "C.UTF-8").output().expect("it runs");
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let path = |line: &str| line.trim_start_matches("./").trim_end_matches('/').to_owned();
    text.lines().map(path).filter(|path| !path.is_empty() && path != ".").collect()
}

#[test]
fn every_reader_sees_the_tree_of_the_directory() {
    let place = Place::new();
    let registry = Registry::open(content(Compression::Gzip));
    place.pull(&source(&registry), "directory", &[]).expect_code(0);
    let tar = place.text("image.tar");
    place.run(&["pull", &source(&registry), "--tar", &tar]).expect_code(0);

    let directory = place.text("directory");
    let mut names = listed("find", "findutils", &[&directory, "-mindepth", "1", "-printf", "%P\n"]);
    names.sort();
    let python = "import sys, tarfile\nfor member in tarfile.open(sys.argv[1]): print(member.name)";
    for (program, package, arguments) in [
        ("tar", "tar", &["--quoting-style=literal", "-tf", &tar][..]),
        ("bsdtar", "libarchive-tools", &["-tf", &tar]),
        ("python3", "python3", &["-c", python, &tar]),
    ] {
        assert_eq!(listed(program, package, arguments), names, "{program}, in byte order");
    }
    for (program, package, options) in [
        ("tar", "tar", &["--numeric-owner", "--xattrs", "--xattrs-include=*", "-xpf"][..]),
        ("bsdtar", "libarchive-tools", &["--numeric-owner", "-xpf"]),
    ] {
        let to = place.text(program);
        std::fs::create_dir(&to).expect("writable");
        let arguments = [options, &[&tar, "-C", &to]].concat();
        run(&required(program, package), &arguments.into_iter().map(OsStr::new).collect::<Vec<_>>());
        // Without an entry for it, readers leave the root as they found it.
        let root = ["", "dev", "etc", "usr", "tmp", "long"];
        Comparison::new().ignore_modified_of(root).assert_equal(&place.path("directory"), &place.path(program));
    }
}

#[test]
fn the_bytes_are_always_the_same() {
    let place = Place::new();
    let registry = Registry::open(content(Compression::Gzip));
    let twin = Registry::open(content(Compression::Zstd));
    let to_stdout = |arguments: &[&str]| {
        let pulled = place.run(&[&["pull", "--tar", "-"], arguments].concat()).expect_code(0);
        assert!(pulled.stdout.len().is_multiple_of(512) && pulled.stdout.len() > 70_000);
        pulled.stdout
    };
    let first = to_stdout(&[&source(&registry)]);
    for arguments in [
        &[source(&registry).as_str()][..],
        &[&source(&registry), "--no-cache"],
        &[&source(&registry), "--concurrency", "1"],
        &[&source(&twin)],
    ] {
        assert!(to_stdout(arguments) == first, "{arguments:?}");
    }
    let written = place.run(&["pull", &source(&registry), "--tar", &place.text("file.tar"), "-q"]).expect_code(0);
    assert!(place.read("file.tar") == first);
    let digest = place.run(&["digest", &source(&registry)]).expect_code(0).stdout_text();
    assert_eq!(written.stdout_text(), digest);
    assert_eq!(place.names(""), [".cache", "file.tar"]);
}

#[test]
fn parts_and_several_images_are_flattened_too() {
    let place = Place::new();
    let registry = Registry::open(content(Compression::Gzip));
    let extra = format!("{}/extra:1", registry.host());
    let tar = place.text("image.tar");
    place.run(&["pull", &source(&registry), &extra, "--tar", &tar]).expect_code(0);
    let names = listed("tar", "tar", &["-tf", &tar]);
    assert!(names.contains(&"extra".to_owned()) && names.contains(&"usr/a-link".to_owned()), "{names:?}");
    assert!(!names.contains(&"usr/tool".to_owned()), "{names:?}");
    place.run(&["pull", &source(&registry), "--path", "usr/a-link", "--tar", &tar, "--force"]).expect_code(0);
    assert_eq!(listed("tar", "tar", &["-tf", &tar]), ["usr", "usr/a-link"]);
    let content = run(&required("tar", "tar"), &["-xOf", &tar, "usr/a-link"].map(OsStr::new));
    assert_eq!(content, vec![9; 70_000]);
}

#[test]
fn nothing_is_written_before_everything_is_verified() {
    let place = Place::new();
    let flip = Rule::on(Method::Get, "/v2/app/blobs/*").after(1).then(Action::FlipByte(60));
    let registry = Registry::start(content(Compression::None), Options::new().rule(flip));
    let failed = place.run(&["pull", &source(&registry), "--tar", "-", "--no-cache"]).expect_code(6);
    assert_eq!(failed.stdout, b"");
    let tar = place.text("image.tar");
    place.run(&["pull", &source(&registry), "--tar", &tar, "--no-cache"]).expect_code(6);
    assert_eq!(place.names(""), [] as [&str; 0]);

    // A file that is there stays, unless it is to be replaced by something whole.
    place.write("image.tar", b"mine");
    place.run(&["pull", &source(&registry), "--tar", &tar, "--no-cache", "--force"]).expect_code(6);
    registry.forget_rules();
    registry.forget_requests();
    place.run(&["pull", &source(&registry), "--tar", &tar]).expect_code(2);
    assert_eq!((registry.requests().len(), place.read("image.tar")), (0, b"mine".to_vec()));
    place.run(&["pull", &source(&registry), "--tar", &tar, "--force"]).expect_code(0);
    assert!(place.read("image.tar").len() > 70_000);
    place.run(&["pull", &source(&registry), "--tar", "-", "--json"]).expect_code(2);
    place.run(&["pull", &source(&registry), "--tar", &place.text("no/such/folder.tar")]).expect_code(8);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let place = Place::new();
    let mut content = Content::new();
    content.push("app", "1", Image::new().layer(Layer::new().file("big", vec![1; 20_000_000])));
    let registry = Registry::open(content);
    let command = place.command(&["pull", &source(&registry), "--tar", "-"]);
    let mut shell = Command::new("bash");
    program::isolate(&mut shell, place.root());
    shell.args(["-c", "\"$@\" | head -c 1000 | wc -c; exit ${PIPESTATUS[0]}", "bash"]);
    let ended = measure(shell.arg(command.get_program()).args(command.get_args())).expect_code(0);
    assert_eq!(ended.stdout_text().trim(), "1000");
    assert!(!ended.stderr_text().contains("error"), "{ended:?}");
}
