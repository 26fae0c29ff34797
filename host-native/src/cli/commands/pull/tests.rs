use clap::Parser;
use oci_fetcher_core::entry::EntryPath;
use oci_fetcher_core::error::Class;
use oci_fetcher_core::report::{Reason, What};

use super::*;
use crate::cli::args::{Arguments, Command};
use crate::cli::palette::Palette;

fn split(line: &str) -> Result<(Vec<String>, Target), String> {
    let words = ["oci-fetcher", "pull"].into_iter().chain(line.split_whitespace());
    let arguments = Arguments::try_parse_from(words).unwrap_or_else(|error| panic!("{line}: {error}"));
    let Command::Pull(pull) = arguments.command else { panic!("{line}") };
    operands(&pull).map_err(|ended| match ended {
        Ended::Failed(failure) => {
            assert_eq!(failure.exit_code(), Class::Usage.exit_code(), "{line}");
            failure.render(Palette::plain())
        }
        Ended::PipeClosed | Ended::Signalled(_) => panic!("{line}"),
    })
}

#[test]
fn the_last_operand_is_the_directory_unless_an_option_names_the_destination() {
    let directory = |path: &str| Target::Directory(path.into());
    for (line, sources, target) in [
        ("alpine out", &["alpine"][..], directory("out")),
        ("base extra more out", &["base", "extra", "more"], directory("out")),
        ("base extra --layout images", &["base", "extra"], Target::Layout("images".into())),
        ("base --tar -", &["base"], Target::Tar("-".into())),
        ("oci:dir:name ./oci:dir", &["oci:dir:name"], directory("./oci:dir")),
        ("-- alpine -odd", &["alpine"], directory("-odd")),
    ] {
        let sources: Vec<String> = sources.iter().map(ToString::to_string).collect();
        assert_eq!(split(line), Ok((sources, target)), "{line}");
    }
}

#[test]
fn a_forgotten_directory_is_noticed() {
    assert_eq!(
        split("alpine"),
        Err("error: there is no destination\n  \
             help: name a directory last, or pass --layout DIR or --tar FILE\n"
            .to_owned())
    );
    for line in ["docker://a oci:images", "base docker://extra", "base oci-archive:a.tar", "base extra@sha256:ab"] {
        let error = split(line).expect_err(line);
        assert!(error.contains("reads like a source") && error.contains("--layout"), "{error}");
    }
}

#[test]
fn lines_are_safe_to_print() {
    let target = Target::Directory("out\u{1b}[2J".into());
    let digest = Digest::of(oci_fetcher_core::digest::Algorithm::Sha256, b"");
    assert_eq!(line(&digest, "alpine", &target), format!("{digest}  alpine -> out\\u{{1b}}[2J\n"));
    assert_eq!(Target::Tar("-".into()).with_preposition(), "to standard output");
}

#[test]
fn what_was_left_out_is_summed_up() {
    let path = || EntryPath::clean(b"a").expect("a safe path");
    let mut report = Report::default();
    assert_eq!(left_out(&report), None);
    report.skip(path(), What::Ownership { uid: 0, gid: 0 }, Reason::NotPermitted);
    assert_eq!(left_out(&report), None);
    report.skip(path(), What::Ownership { uid: 1, gid: 1 }, Reason::NotPermitted);
    report.skip(path(), What::Device, Reason::NotPermitted);
    report.skip(path(), What::Device, Reason::NotPermitted);
    report.skip(path(), What::SpecialMode { mode: 0o4755 }, Reason::NotPermitted);
    assert_eq!(left_out(&report).as_deref(), Some("2 device, 1 special-mode, 1 ownership"));
}
