//! Bad input, each with its exit code, a message in three parts, and an untouched destination.
#![cfg(unix)]

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use oci_fetcher_tests::compare::Comparison;
use oci_fetcher_tests::content::Content;
use oci_fetcher_tests::image::{Artifact, Image, Index, Layer};
use oci_fetcher_tests::place::Place;
use oci_fetcher_tests::process::{Measured, measure};
use oci_fetcher_tests::program;
use oci_fetcher_tests::registry::{Action, Issuer, Method, Options, Registry, RetryAfter, Rule};
use oci_fetcher_tests::tls::{Authority, Identity, Tls};

fn image() -> Image {
    Image::new().platform("linux/amd64").layer(Layer::new().file("a", vec![1; 50_000]).directory("d", 0o755))
}

fn content(image: Image) -> Content {
    let mut content = Content::new();
    content.push("app", "1", image);
    content
}

/// What a pull that fails must leave as it was, and must say.
struct Case {
    place: Place,
    before: String,
}

impl Case {
    fn new() -> Self {
        let place = Place::new();
        std::fs::create_dir_all(place.path("parent/out-evil")).expect("writable");
        std::fs::write(place.path("parent/out-evil/victim"), b"precious").expect("writable");
        std::fs::write(place.path("parent/victim"), b"precious").expect("writable");
        let before = listing(&place);
        Self { place, before }
    }

    /// Pulls, and checks the exit code, the code word, the message and the surroundings.
    fn fails(&self, source: &str, more: &[&str], exit: i32, code: &str) -> String {
        let more = [&["--retries", "1"], more].concat();
        let failed = self.place.pull(source, "parent/out", &more);
        let message = self.check(&failed, exit, source);
        let failed = self.place.pull(source, "parent/out", &[&more[..], &["--json"]].concat()).expect_code(exit);
        let told: serde_json::Value = serde_json::from_slice(&failed.stdout).expect("one object");
        assert_eq!(told["error"]["code"], code, "{told}");
        message
    }

    fn check(&self, failed: &Measured, exit: i32, source: &str) -> String {
        let message = failed.stderr_text();
        assert_eq!(failed.code, exit, "{source}: {message}");
        assert!(message.contains("error: "), "{source}: {message}");
        assert!(message.contains("help: "), "{source}: {message}");
        let strange = |character: char| character.is_control() && character != '\n';
        assert!(!message.contains(strange), "{source}: {message:?}");
        assert!(!message.contains("s3cret"), "{source}: {message}");
        assert_eq!(listing(&self.place), self.before, "{source}: {message}");
        message
    }
}

/// Lists the surroundings. The parent's own time changes with the private sibling.
fn listing(place: &Place) -> String {
    Comparison::new().ignore_modified_of([""]).listing(&place.path("parent"))
}

/// Returns the path of the image's layer at the registry.
fn layer() -> String {
    let manifest: serde_json::Value = serde_json::from_slice(&image().pack().bytes).expect("JSON");
    format!("/v2/app/blobs/{}", manifest["layers"][0]["digest"].as_str().expect("a digest"))
}

fn with_rule(rule: Rule) -> Registry {
    Registry::start(content(image()), Options::new().rule(rule))
}

#[test]
fn what_cannot_be_reached() {
    let case = Case::new();
    case.fails("nowhere.invalid/app:1", &[], 5, "unknown-host");
    case.fails("127.0.0.1:1/app:1", &[], 5, "connect");

    let registry = Registry::open(content(image()));
    let authority = case.place.path("ca.pem");
    std::fs::write(&authority, Authority::new().pem()).expect("writable");
    let authority = authority.to_str().expect("a plain path");
    let source = format!("{}/app:1", registry.host());
    let message = case.fails(&source, &["--ca-file", authority], 5, "plain-http");
    assert!(message.contains("speaks plain http"), "{message}");
}

#[test]
fn what_is_refused() {
    let case = Case::new();
    let registry = Registry::start(content(image()), Options::new().basic("ann", "right"));
    let source = format!("{}/app:1", registry.host());
    case.fails(&source, &[], 4, "denied");
    let mut command = program::command(case.place.root());
    command.args(["pull", &source, "--username", "ann", "--password-stdin"]).arg(case.place.path("parent/out"));
    let password = case.place.path("password");
    std::fs::write(&password, "s3cret\n").expect("writable");
    let mut shell = Command::new("sh");
    program::isolate(&mut shell, case.place.root());
    shell.args(["-c", "exec \"$0\" \"$@\" < \"$PASSWORD\""]).env("PASSWORD", &password);
    shell.arg(command.get_program()).args(command.get_args());
    let failed = measure(&shell);
    case.check(&failed, 4, "a wrong password");

    let registry = with_rule(Rule::on(Method::Any, "/v2/app/*").then(Action::Refuse(403, RetryAfter::Absent)));
    case.fails(&format!("{}/app:1", registry.host()), &[], 4, "denied");

    let issuer = Issuer::new().account("ann", "right", "app");
    let registry = Registry::start(content(image()), Options::new().tokens(issuer));
    case.fails(&format!("{}/app:1", registry.host()), &[], 4, "token-refused");
}

fn over_tls(identity: Identity) -> Registry {
    Registry::start(content(image()), Options::new().tls(Tls::new(identity)))
}

#[test]
fn what_is_wrong_with_a_connection_says_what_helps() {
    let case = Case::new();
    let authority = Authority::new();
    let file = |name: &str, authority: &Authority| {
        let path = case.place.path(name);
        std::fs::write(&path, authority.pem()).expect("writable");
        path.to_str().expect("plain").to_owned()
    };
    let (right, other) = (file("ca.pem", &authority), file("other.pem", &Authority::new()));
    let source = |registry: &Registry| format!("{}/app:1", registry.host());

    let registry = over_tls(authority.server());
    let message = case.fails(&source(&registry), &["--ca-file", &other], 5, "tls");
    assert!(message.contains("help: pass the registry's certificate authority with --ca-file"), "{message}");
    // Loopback is spoken to in plain http, unless told otherwise.
    let message = case.fails(&source(&registry), &[], 5, "tls-expected");
    assert!(message.contains("speaks https, not plain http"), "{message}");

    let registry = over_tls(authority.server_named(&["registry.example"]));
    let message = case.fails(&source(&registry), &["--ca-file", &right], 5, "tls");
    assert!(message.contains("calls itself by another"), "{message}");

    let registry = over_tls(authority.expired_server());
    let message = case.fails(&source(&registry), &["--ca-file", &right], 5, "tls");
    assert!(message.contains("check this machine's clock"), "{message}");

    let registry = Registry::start(
        content(image()),
        Options::new().tls(Tls::new(authority.server()).require_client_certificate(&authority)),
    );
    let message = case.fails(&source(&registry), &["--ca-file", &right], 5, "client-certificate");
    assert!(message.contains("--cert-file"), "{message}");
}

#[test]
fn what_credentials_were_refused_is_named() {
    let case = Case::new();
    let registry = Registry::start(content(image()), Options::new().basic("ann", "right"));
    std::fs::create_dir(case.place.path(".docker")).expect("writable");
    let auth = "YW5uOnMzY3JldA==";
    let config = format!(r#"{{"auths": {{"{}": {{"auth": "{auth}"}}}}}}"#, registry.host());
    std::fs::write(case.place.path(".docker/config.json"), config).expect("writable");
    let message = case.fails(&format!("{}/app:1", registry.host()), &[], 4, "denied");
    assert!(message.contains("help: log in anew") && message.contains("config.json"), "{message}");
}

#[test]
fn what_the_registry_has_lost() {
    let case = Case::new();
    for part in ["layers", "config"] {
        let manifest: serde_json::Value = serde_json::from_slice(&image().pack().bytes).expect("JSON");
        let digest = if part == "config" { &manifest["config"]["digest"] } else { &manifest["layers"][0]["digest"] };
        let mut content = content(image());
        content.remove_blob(digest.as_str().expect("a digest"));
        let registry = Registry::open(content);
        let message = case.fails(&format!("{}/app:1", registry.host()), &["--no-cache"], 3, "part-missing");
        assert!(message.contains("lost a part of the image"), "{message}");
    }
}

#[test]
fn what_does_not_exist() {
    let case = Case::new();
    let registry = Registry::open(content(image()));
    case.fails(&format!("{}/app:2", registry.host()), &[], 3, "not-found");
    case.fails(&format!("{}/other:1", registry.host()), &[], 3, "not-found");
    case.fails(&format!("{}/app:1", registry.host()), &["--offline"], 3, "not-stored");
    case.fails(&format!("{}/app:1", registry.host()), &["--path", "no/such/path"], 3, "path-not-found");
    case.fails("oci:no-such-layout:1", &[], 3, "source-not-found");

    let index = Index::new().manifest(image()).manifest(Image::new().platform("linux/arm/v7"));
    let mut content = Content::new();
    content.push("app", "1", index);
    let registry = Registry::open(content);
    let message =
        case.fails(&format!("{}/app:1", registry.host()), &["--platform", "linux/s390x"], 3, "platform-not-found");
    assert!(message.contains("linux/amd64") && message.contains("linux/arm/v7"), "{message}");
}

#[test]
fn what_disagrees_with_its_digest() {
    let case = Case::new();
    let registry = with_rule(Rule::on(Method::Get, &layer()).then(Action::FlipByte(40)));
    let message = case.fails(&format!("{}/app:1", registry.host()), &["--no-cache"], 6, "malformed-gzip");
    assert!(message.contains("sha256:"), "{message}");

    let manifest = image().pack().digest();
    let registry = with_rule(Rule::on(Method::Get, "/v2/app/manifests/*").then(Action::FlipByte(40)));
    case.fails(&format!("{}/app@{manifest}", registry.host()), &[], 6, "digest-mismatch");

    let wrong = image().edit_config(|config| {
        config["rootfs"]["diff_ids"][0] = format!("sha256:{}", "0".repeat(64)).into();
    });
    let registry = Registry::open(content(wrong));
    case.fails(&format!("{}/app:1", registry.host()), &[], 6, "diff-id-mismatch");

    let registry = with_rule(Rule::on(Method::Get, &layer()).then(Action::Truncate(10)));
    case.fails(&format!("{}/app:1", registry.host()), &["--no-cache"], 5, "blob-short");
}

#[test]
fn what_is_unsafe_or_unsupported() {
    let case = Case::new();
    let escape = Image::new().layer(Layer::new().file("../../victim", b"overwritten"));
    let registry = Registry::open(content(escape));
    case.fails(&format!("{}/app:1", registry.host()), &[], 7, "unsafe-name");

    let registry = Registry::open(content(image()));
    let message = case.fails(&format!("{}/app:1", registry.host()), &["--max-entries", "1"], 7, "limit-exceeded");
    assert!(message.contains("--max-entries"), "{message}");

    let mut schema1 = Content::new();
    let manifest = br#"{"schemaVersion": 1, "name": "app", "tag": "1", "fsLayers": [], "history": []}"#;
    schema1.put_manifest("app", "1", "application/vnd.docker.distribution.manifest.v1+prettyjws", &manifest[..]);
    let registry = Registry::open(schema1);
    case.fails(&format!("{}/app:1", registry.host()), &[], 9, "schema-1");

    let mut artifact = Content::new();
    artifact.push("app", "1", Artifact::new("application/vnd.example").file("a.txt", b"a"));
    let registry = Registry::open(artifact);
    let message = case.fails(&format!("{}/app:1", registry.host()), &[], 9, "not-an-image");
    assert!(message.contains("get"), "{message}");
}

#[test]
fn what_this_machine_cannot_hold() {
    let registry = Registry::open(content(Image::new().layer(Layer::new().file("big", noise(4 << 20)))));
    let source = format!("{}/app:1", registry.host());

    // A file system of one megabyte, in a mount namespace that goes with the shell.
    let case = Case::new();
    let mount = "mount -t tmpfs -o size=1m none \"$1\" && shift && \"$@\"; echo $? > \"$CODE\"; ls -A \"$MOUNT\"";
    let full = case.place.path("full");
    std::fs::create_dir(&full).expect("writable");
    let mut command = Command::new("unshare");
    program::isolate(&mut command, case.place.root());
    command.args(["-m", "sh", "-c", mount, "sh"]).arg(&full).arg(program::path()).args(["pull", &source]);
    command.arg(full.join("out")).env("CODE", case.place.path("code")).env("MOUNT", &full);
    let failed = measure(&command);
    assert_eq!(std::fs::read_to_string(case.place.path("code")).expect("written"), "8\n", "{}", failed.stderr_text());
    assert_eq!(failed.stdout_text(), "", "nothing is left on the full file system");
    assert!(
        failed.stderr_text().contains("free space") || failed.stderr_text().contains("space"),
        "{}",
        failed.stderr_text()
    );

    // A parent that the user may not write to: refused before anything is fetched.
    registry.forget_requests();
    let program = case.place.path("oci-fetcher");
    std::fs::copy(program::path(), &program).expect("copied");
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(case.place.root(), open.clone()).expect("ours");
    std::fs::set_permissions(case.place.path("parent"), open).expect("ours");
    let case = Case { before: listing(&case.place), ..case };
    let mut command = Command::new("setpriv");
    program::isolate(&mut command, case.place.root());
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(&program);
    command.args(["pull", &source, "--no-cache"]).arg(case.place.path("parent/out"));
    case.check(&measure(&command), 8, "an unwritable parent");
    assert_eq!(registry.requests().len(), 0);

    std::fs::create_dir(case.place.path("parent/out")).expect("writable");
    std::fs::write(case.place.path("parent/out/mine"), b"mine").expect("writable");
    let case = Case { before: listing(&case.place), ..case };
    case.fails(&source, &[], 2, "destination-not-empty");
    case.fails("Not/A:Reference:", &[], 2, "malformed-reference");
}

/// Bytes that no compression makes smaller.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    })
    .take(length)
    .collect()
}
