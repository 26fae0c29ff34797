use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use oci_fetcher_core::limits::Limits;

use super::*;

fn parse(line: &str) -> Result<Arguments, ErrorKind> {
    let words = line.split_whitespace();
    Arguments::try_parse_from(std::iter::once("oci-fetcher").chain(words)).map_err(|error| error.kind())
}

#[test]
fn definitions_are_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn accepts_what_the_contract_names() {
    for line in [
        "pull alpine out",
        "pull base extra more out",
        "pull base extra --layout images",
        "pull --layout images --ref-name heroku/builder:22 --all-platforms base",
        "pull base --tar -",
        "pull base --tar out.tar --force --path etc --path usr/lib",
        "pull base out --in-place --platform linux/arm64/v8",
        "pull base out --report report.json --json",
        "pull base out --auth-file auth.json --ca-file ca --cert-file cert --key-file key --plain-http",
        "pull base out --username me --password-stdin",
        "pull base out --cache-dir dir --offline",
        "pull base out --no-cache --concurrency 1 --retries 0",
        "pull base out --retries 3 --retry-time 2m",
        "pull base out --connect-timeout 5 --first-byte-timeout 1.5s --no-progress-timeout 2m",
        "pull base out --insecure-any-address",
        "pull base out -q",
        "-q pull base out",
        "--json -v pull base out",
        "get artifact out",
        "get artifact -o file --force",
        "get artifact --output -",
        "manifest alpine --platform linux/arm64",
        "config --json alpine",
        "digest alpine",
        "tags ghcr.io/org/app",
        "ls ghcr.io/org/app",
        "blob alpine sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 -o -",
        "cache path",
        "cache ls --json",
        "cache prune --keep 10GiB --cache-dir dir",
        "completions zsh",
        "man",
        "man pull",
    ] {
        if let Err(kind) = parse(line) {
            panic!("{line}: {kind}");
        }
    }
}

#[test]
fn refuses_what_cannot_be_meant() {
    use ErrorKind::{ArgumentConflict, InvalidSubcommand, MissingRequiredArgument, UnknownArgument, ValueValidation};
    for (line, kind) in [
        ("pull", MissingRequiredArgument),
        ("pull a b --layout c --tar d", ArgumentConflict),
        ("pull a b --ref-name c", MissingRequiredArgument),
        ("pull a b --all-platforms", MissingRequiredArgument),
        ("pull a --layout b --all-platforms --platform linux/arm64", ArgumentConflict),
        ("pull a --layout b --force", ArgumentConflict),
        ("pull a --layout b --path c", ArgumentConflict),
        ("pull a b --force --in-place", ArgumentConflict),
        ("pull a --tar b --in-place", ArgumentConflict),
        ("pull a b --username c", MissingRequiredArgument),
        ("pull a b --password-stdin", MissingRequiredArgument),
        ("pull a b --username c --password-stdin --auth-file d", ArgumentConflict),
        ("pull a b --cert-file c", MissingRequiredArgument),
        ("pull a b --key-file c", MissingRequiredArgument),
        ("pull a b --no-cache --cache-dir c", ArgumentConflict),
        ("pull a b --no-cache --offline", ArgumentConflict),
        ("pull a b -q --json", ArgumentConflict),
        ("pull a b -q -v", ArgumentConflict),
        ("pull a b --platform linux", ValueValidation),
        ("pull a b --concurrency 0", ValueValidation),
        ("pull a b --retries -1", UnknownArgument),
        ("pull a b --connect-timeout 0", ValueValidation),
        ("pull a b --max-layer-bytes 1XB", ValueValidation),
        ("pull a b --max-path-bytes 4GiB", ValueValidation),
        ("pull a b --max-layers 1KiB", ValueValidation),
        ("pull a b --password secret", UnknownArgument),
        ("get a", MissingRequiredArgument),
        ("get a b -o c", ArgumentConflict),
        ("manifest a b", UnknownArgument),
        ("blob a", MissingRequiredArgument),
        ("blob a sha256:12", ValueValidation),
        ("tags a --platform linux/arm64", UnknownArgument),
        ("cache prune", MissingRequiredArgument),
        ("push a b", InvalidSubcommand),
    ] {
        assert_eq!(parse(line).err(), Some(kind), "{line}");
    }
}

fn limits(line: &str) -> Limits {
    let arguments = parse(line).unwrap_or_else(|kind| panic!("{line}: {kind}"));
    let options = arguments.command.client_options().unwrap_or_else(|| panic!("{line} fetches nothing"));
    Limits::from(&options.limits)
}

#[test]
fn every_limit_has_its_option_and_its_default() {
    assert_eq!(limits("pull a b"), Limits::default());
    // As errors name them: the field's name, with hyphens.
    let text = format!("{:?}", Limits::default());
    let fields = text.trim_start_matches("Limits { ").trim_end_matches(" }").split(", ");
    let mut seen = 0;
    for field in fields {
        let name = field.split_once(": ").expect("a field has a value").0;
        let limits = format!("{:?}", limits(&format!("pull a b --max-{} 7", name.replace('_', "-"))));
        assert_eq!(limits, text.replace(field, &format!("{name}: 7")), "{name}");
        seen += 1;
    }
    assert!(seen > 10, "{text}");
    assert_eq!(limits("get a b --max-layer-bytes 1.5GiB").layer_bytes, 3 << 29);
}

#[test]
fn deadlines_and_attempts_default_to_the_librarys() {
    let arguments = parse("pull a b").expect("well-formed");
    let network = &arguments.command.client_options().expect("it fetches").network;
    let deadlines = oci_fetcher::Deadlines::default();
    assert_eq!(network.connect_timeout.0, deadlines.connect);
    assert_eq!(network.first_byte_timeout.0, deadlines.first_byte);
    assert_eq!(network.no_progress_timeout.0, deadlines.no_progress);
    assert_eq!(network.retries + 1, oci_fetcher_core::pull::RetryPolicy::default().attempts);
}

#[test]
fn the_short_help_fits_a_small_terminal() {
    for mut command in Arguments::command().get_subcommands().cloned() {
        let help = command.clone().term_width(80).render_help().to_string();
        // Nothing is wrapped that a wider terminal shows in one line.
        let wide = command.clone().max_term_width(100).term_width(100).render_help().to_string();
        assert_eq!(help, wide, "{}", command.get_name());
        assert!(!help.contains("--max-"), "{}", command.get_name());
        let has_limits = command.render_long_help().to_string().contains("--max-layer-bytes");
        let fetches = !matches!(command.get_name(), "cache" | "completions" | "listing" | "man");
        assert_eq!(has_limits, fetches, "{}", command.get_name());
    }
}
