//! Nothing secret is shown, and nothing that steers a terminal, whatever fails and however much is said.
#![cfg(unix)]

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci_fetcher_tests::content::Content;
use oci_fetcher_tests::image::{Artifact, Image, Index, Layer};
use oci_fetcher_tests::place::Place;
use oci_fetcher_tests::process::{measure, measure_with_input, required};
use oci_fetcher_tests::program;
use oci_fetcher_tests::registry::{Action, Exchange, Issuer, Method, Options, Registry, RetryAfter, Rule};
use oci_fetcher_tests::tls::{Authority, Tls};

const PASSWORD: &str = "planted-password";
const IDENTITY: &str = "planted-identity";
const SIGNATURE: &str = "planted-signature";
const BEARER: &str = "planted-bearer";
/// Clears a screen, sets a title, forges a line, and turns around what follows.
const STEERING: &str = "\u{1b}[2J\u{1b}]0;title\u{7}\r\nerror: forged\u{9b}1m\u{202e}txt\u{2066}\u{200b}";

/// An image whose every text that can hold any steers; the last layer's name is refused.
fn steering_image(refused: bool) -> Image {
    let file = format!("name-{STEERING}");
    let mut layer = Layer::new().file(&file, b"1").symlink("link", &file).xattr("trusted.steering", STEERING);
    if refused {
        layer = layer.file(format!("{file}/../../../e"), b"1");
    }
    let image = Image::new().layer(layer).env(&format!("A={STEERING}")).label("l", STEERING);
    image.command(STEERING).user(STEERING).working_directory(STEERING).annotation("a", STEERING)
}

fn content() -> Content {
    let mut content = Content::new();
    let image = steering_image(false).pack();
    let artifact = Artifact::new("application/vnd.example").file(STEERING, b"1").annotation("a", STEERING);
    content.push_untagged("app", artifact.subject(&image));
    content.push("app", "1", image);
    content.push("app", "refused", steering_image(true));
    content.push("app", "index", Index::new().manifest(Image::new().platform("plan9/mips")).annotation("a", STEERING));
    content.push("app", "artifact", Artifact::new("application/vnd.example").file(STEERING, b"1"));
    content.push("app", "typed", Image::new().edit_manifest(|manifest| manifest["mediaType"] = STEERING.into()));
    content.push("app", "deep", Image::new().edit_manifest(|manifest| manifest["layers"] = STEERING.into()));
    content
}

/// How the answers of a registry go wrong, if they do.
fn faults() -> Vec<Vec<Rule>> {
    let error = format!(r#"{{"errors":[{{"code":"X{0}","message":"m{0}","detail":"d{0}"}}]}}"#, escaped(STEERING));
    let on = |pattern: &str, action: Action| vec![Rule::on(Method::Any, pattern).then(action)];
    let elsewhere = |query: &str| Action::Redirect(format!("https://ann:{PASSWORD}@127.0.0.1:1/x?{query}={SIGNATURE}"));
    let mut faults = vec![Vec::new()];
    for status in [400, 401, 403, 404, 418, 429, 500, 503] {
        for pattern in ["/v2/*", "/v2/app/blobs/*"] {
            let headers = vec![("Warning".to_owned(), "299 - \"\\x1b[2Jplanted\"".to_owned())];
            faults.push(on(pattern, Action::Respond { status, headers, body: error.clone().into_bytes() }));
        }
    }
    for pattern in ["/v2/app/manifests/*", "/v2/app/blobs/*"] {
        faults.push(on(pattern, elsewhere("X-Amz-Signature")));
        faults.push(on(pattern, elsewhere("sig")));
        faults.push(on(pattern, Action::Redirect(format!("http://169.254.169.254/?token={SIGNATURE}"))));
        faults.push(on(pattern, Action::FlipByte(0)));
        faults.push(on(pattern, Action::CutAnswer(30)));
        faults.push(on(pattern, Action::Refuse(429, RetryAfter::Seconds(0))));
    }
    let realm = format!("Bearer realm=\"https://ann:{PASSWORD}@127.0.0.1:1/t?key={SIGNATURE}\",service=\"s\"");
    faults.push(on("/v2/*", Action::challenge(&realm)));
    faults.push(on("/v2/*", Action::challenge("Bearer realm=\"\u{fffd}[2J\"")));
    faults.push(on("/token", Action::respond(403, error)));
    faults.push(on("/token", Action::respond(200, format!("{{\"token\":\"{BEARER}\\n\"}}"))));
    faults.push(on("/token", Action::respond(200, format!("{BEARER}\u{1b}[2J"))));
    faults
}

/// Text as it goes into a JSON string.
fn escaped(text: &str) -> String {
    serde_json::to_string(text).expect("text").trim_matches('"').to_owned()
}

/// Ways to be known to the registry at `host`: options, and what the command reads.
fn identities(place: &Place, host: &str) -> Vec<(Vec<String>, String)> {
    let file = |name: &str, entry: &str| {
        place.write(name, format!(r#"{{"auths":{{"{host}":{entry}}}}}"#));
        vec!["--auth-file".to_owned(), place.text(name)]
    };
    let auth = STANDARD.encode(format!("ann:{PASSWORD}"));
    let option = ["--username", "ann", "--password-stdin"].map(str::to_owned).to_vec();
    vec![
        (option, format!("{PASSWORD}\n")),
        (file("basic.json", &format!(r#"{{"auth":"{auth}"}}"#)), String::new()),
        (file("identity.json", &format!(r#"{{"auth":"{auth}","identitytoken":"{IDENTITY}"}}"#)), String::new()),
        (file("bearer.json", &format!(r#"{{"registrytoken":"{BEARER}"}}"#)), String::new()),
        (file("broken.json", &format!(r#"{{"auth":"{PASSWORD}""#)), String::new()),
    ]
}

/// Runs a command with every amount of words, and looks at all of them.
fn shows_nothing(command: impl Fn(&[&str]) -> Command, input: &str) -> usize {
    let secrets = [PASSWORD, IDENTITY, SIGNATURE, BEARER].map(|secret| [secret.to_owned(), STANDARD.encode(secret)]);
    let basic = STANDARD.encode(format!("ann:{PASSWORD}"));
    let amounts: [&[&str]; 4] = [&[], &["-v"], &["-v", "-v"], &["--json", "-v"]];
    for amount in amounts {
        let command = command(amount);
        let said = if input.is_empty() { measure(&command) } else { measure_with_input(&command, input.as_bytes()) };
        assert_ne!(said.code, 1, "{command:?}: {said:?}");
        let shown = said.stdout_text() + &said.stderr_text();
        for secret in secrets.iter().flatten().chain([&basic]) {
            assert!(!shown.contains(&**secret), "{secret} is shown by {command:?}: {said:?}");
        }
        assert!(!shown.contains(steers), "{command:?} steers: {said:?}");
        assert!(!shown.contains("\nerror: forged"), "{command:?} forges a line: {said:?}");
    }
    amounts.len()
}

/// Tells whether a character could steer a terminal, or hide there.
fn steers(character: char) -> bool {
    character.is_control() && character != '\n' || "\u{202e}\u{2066}\u{200b}\u{9b}".contains(character)
}

#[test]
#[expect(clippy::print_stdout, reason = "how much was looked at is a result")]
fn no_output_shows_a_secret_or_steers_a_terminal() {
    let place = Place::new();
    let authority = Authority::new();
    place.write("ca.pem", authority.pem());
    let ca_file = place.text("ca.pem");
    let outputs = AtomicUsize::new(0);
    for rules in faults() {
        let issuer = Issuer::new().account("ann", PASSWORD, "*").identity_token("ann", IDENTITY);
        let options = Options::new().tokens(issuer).tls(Tls::new(authority.server()));
        let registry = Registry::start(content(), rules.iter().cloned().fold(options, Options::rule));
        let source = |tag: &str| format!("{}/app:{tag}", registry.host());
        let known = |(identity, input): &(Vec<String>, String)| {
            let own = Place::new();
            let run = |arguments: &[&str]| {
                let command = |amount: &[&str]| {
                    let _ = std::fs::remove_dir_all(own.path("out"));
                    let mut command = own.command(arguments);
                    command.args(identity).args(["--retries", "1", "--no-cache", "--ca-file", &ca_file]).args(amount);
                    command
                };
                outputs.fetch_add(shows_nothing(command, input), Ordering::Relaxed);
            };
            let out = own.text("out");
            run(&["pull", &source("1"), &out]);
            if rules.is_empty() {
                for tag in ["refused", "index", "typed", "deep", "artifact"] {
                    run(&["pull", &source(tag), &out]);
                }
                run(&["get", &source("artifact"), &out]);
                run(&["referrers", &source("1")]);
                run(&["tags", &source("1")]);
                run(&["digest", &source(&format!("1@sha256:{}", "0".repeat(64)))]);
            }
        };
        let identities = identities(&place, &registry.host());
        // Most of the time is spent waiting for another attempt.
        std::thread::scope(|scope| {
            for identity in &identities {
                scope.spawn(|| known(identity));
            }
        });
        if rules.is_empty() {
            let told = |exchange: &Exchange| exchange.header("authorization").map(str::to_owned);
            let told: BTreeSet<String> = registry.requests().iter().filter_map(told).collect();
            assert!(told.iter().any(|value| value.starts_with("Basic ")), "no password was used: {told:?}");
            assert!(told.contains(&format!("Bearer {BEARER}")), "the registry token was not used: {told:?}");
            let posts = registry.requests_to(Method::Post, "/token");
            assert!(!posts.is_empty(), "the identity token was not used");
        }
    }
    let outputs = outputs.into_inner();
    println!("{outputs} outputs show no secret and steer nothing");
    assert!(outputs > 500, "{outputs}");
}

#[test]
fn content_is_escaped_where_it_goes_to_a_terminal() {
    let place = Place::new();
    let registry = Registry::open(content());
    let source = format!("{}/app:1", registry.host());
    for (command, shown) in
        [("config", "forged"), ("manifest", "forged"), ("referrers", "vnd.example"), ("tags", "refused")]
    {
        for json in [&[][..], &["--json"]] {
            let words = [&[command, &source][..], json].concat();
            // Progress, on standard error, steers the terminal for itself.
            let line = format!("'{}' {} 2>/dev/null", program::path().display(), words.join(" "));
            let mut on_terminal = Command::new(required("script", "bsdutils"));
            program::isolate(&mut on_terminal, place.root());
            on_terminal.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
            let said = measure(&on_terminal).expect_code(0);
            // A terminal's own line ends.
            let seen = said.stdout_text().replace("\r\n", "\n");
            assert!(seen.contains(shown), "{line}: {said:?}");
            assert!(!seen.contains(steers), "{line} steers: {seen:?}");
            assert!(!seen.contains("\nerror: forged"), "{line} forges a line: {seen:?}");
        }
    }
}
