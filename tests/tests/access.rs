//! Who may pull: client certificates, passwords, identity tokens, and what servers ask for them with.
#![cfg(unix)]

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci_fetcher_tests::content::Content;
use oci_fetcher_tests::image::{Image, Layer};
use oci_fetcher_tests::place::Place;
use oci_fetcher_tests::process::{Measured, measure, measure_with_input};
use oci_fetcher_tests::registry::{Action, Issuer, Method, Options, Registry, Rule, TokenPost};
use oci_fetcher_tests::tls::{Authority, Identity, Tls};

fn content() -> Content {
    let mut content = Content::new();
    content.push("app", "1", Image::new().layer(Layer::new().file("a", b"content")));
    content
}

fn source(registry: &Registry) -> String {
    format!("{}/app:1", registry.host())
}

/// A password with what has to be escaped somewhere on its way.
const PASSWORD: &str = "s3cret: \"ü%/?\\";

/// Fails if an output shows the password, or how it goes over the wire.
#[track_caller]
fn assert_shows_nothing(measured: &Measured) {
    let encoded = STANDARD.encode(format!("ann:{PASSWORD}"));
    let shown = measured.stdout_text() + &measured.stderr_text();
    for secret in ["s3cret", &encoded, "token-1", "PRIVATE KEY"] {
        assert!(!shown.contains(secret), "{secret} is shown: {measured:?}");
    }
}

/// Asks for the image's digest with a certificate authority and these further options.
fn digest(place: &Place, registry: &Registry, options: &[&str]) -> Measured {
    let source = source(registry);
    let arguments = [&["digest", "-v", "--no-cache", "--retries", "0", &source], options].concat();
    let measured = place.run(&arguments);
    assert_shows_nothing(&measured);
    measured
}

/// Writes a certificate and its key, and returns the options that name them.
fn identity_options(place: &Place, name: &str, identity: &Identity) -> Vec<String> {
    let certificate = place.write(&format!("{name}.pem"), &identity.certificate_pem);
    let key = place.write(&format!("{name}.key"), &identity.key_pem);
    let text = |path: &Path| path.to_str().expect("plain").to_owned();
    vec!["--cert-file".to_owned(), text(&certificate), "--key-file".to_owned(), text(&key)]
}

#[test]
fn a_registry_may_demand_a_client_certificate() {
    let place = Place::new();
    let authority = Authority::new();
    let tls = Tls::new(authority.server()).require_client_certificate(&authority);
    let registry = Registry::start(content(), Options::new().tls(tls));
    place.write("ca.pem", authority.pem());
    let trust = ["--ca-file".to_owned(), place.text("ca.pem")];
    let with = |options: &[String]| {
        let options: Vec<&str> = trust.iter().chain(options).map(String::as_str).collect();
        digest(&place, &registry, &options)
    };
    let own = identity_options(&place, "own", &authority.client());

    let anothers = identity_options(&place, "anothers", &Authority::new().client());
    for options in [&[][..], &anothers] {
        let refused = with(options).expect_code(5).stderr_text();
        assert!(refused.contains("client certificate") && refused.contains("--cert-file"), "{refused}");
        let refused = with(&[options, &["--json".to_owned()]].concat()).expect_code(5);
        assert_eq!(refused.json()["error"]["code"], "client-certificate");
    }
    assert_eq!(registry.requests().len(), 0, "nothing was said before the certificate");

    let answered = with(&own).expect_code(0);
    assert_eq!(answered.stdout_text().trim(), content().manifest("app", "1").map(digest_of).expect("pushed"));
    let options: Vec<&str> = trust.iter().chain(&own).map(String::as_str).collect();
    place.pull(&source(&registry), "out", &options).expect_code(0);
    assert_eq!(place.read("out/a"), b"content");
}

fn digest_of(stored: &oci_fetcher_tests::content::Stored) -> String {
    oci_fetcher_tests::content::Blob::from(stored.bytes.clone()).digest().to_string()
}

#[test]
fn a_client_certificate_is_shown_to_the_registry_alone() {
    let place = Place::new();
    let authority = Authority::new();
    let demanding = || Tls::new(authority.server()).require_client_certificate(&authority);
    let storage = Registry::start(content(), Options::new().tls(demanding()));
    let to_storage = Rule::on(Method::Get, "/v2/app/blobs/*").then(Action::RedirectOrigin(storage.origin()));
    let registry = Registry::start(content(), Options::new().tls(demanding()).rule(to_storage));
    place.write("ca.pem", authority.pem());
    let own = identity_options(&place, "own", &authority.client());
    let mut options: Vec<&str> = own.iter().map(String::as_str).collect();
    let authority_file = place.text("ca.pem");
    options.extend(["--ca-file", &authority_file, "--retries", "0"]);
    place.pull(&source(&registry), "out", &options).expect_code(5);
    assert!(registry.blob_downloads() > 0 && !place.path("out").exists());
    assert_eq!(storage.requests().len(), 0);
}

#[test]
fn files_that_hold_no_certificate_are_named() {
    let place = Place::new();
    let authority = Authority::new();
    let registry = Registry::start(content(), Options::new().tls(Tls::new(authority.server())));
    let (own, other) = (authority.client(), authority.client());
    let certificate = place.write("own.pem", &own.certificate_pem);
    let key = place.write("own.key", &own.key_pem);
    let others_key = place.write("other.key", &other.key_pem);
    let text = place.write("text.pem", "s3cret text");
    let missing = place.path("missing.pem");
    let cases: [(&[(&str, &Path)], &str); 7] = [
        (&[("--ca-file", &missing)], "missing.pem"),
        (&[("--ca-file", &text)], "text.pem"),
        (&[("--cert-file", &missing), ("--key-file", &key)], "missing.pem"),
        (&[("--cert-file", &text), ("--key-file", &key)], "text.pem"),
        (&[("--cert-file", &certificate), ("--key-file", &others_key)], "own.pem"),
        (&[("--cert-file", &certificate)], "--key-file"),
        (&[("--key-file", &key)], "--cert-file"),
    ];
    for (files, named) in cases {
        let options: Vec<&str> =
            files.iter().flat_map(|(option, path)| [option, path.to_str().expect("plain")]).collect();
        let refused = digest(&place, &registry, &options).expect_code(2).stderr_text();
        assert!(refused.contains(named), "{options:?}: {refused}");
    }
    assert_eq!(registry.requests().len(), 0);
}

#[test]
fn certificates_of_servers_are_checked() {
    let place = Place::new();
    let authority = Authority::new();
    place.write("ca.pem", authority.pem());
    place.write("other.pem", Authority::new().pem());
    for (identity, trusted, fine) in [
        (authority.server(), "ca.pem", true),
        (authority.server(), "other.pem", false),
        (authority.expired_server(), "ca.pem", false),
        (authority.server_named(&["registry.example"]), "ca.pem", false),
    ] {
        let registry = Registry::start(content(), Options::new().tls(Tls::new(identity)));
        let asked = digest(&place, &registry, &["--ca-file", &place.text(trusted)]);
        if fine {
            asked.expect_code(0);
        } else {
            let told = digest(&place, &registry, &["--ca-file", &place.text(trusted), "--json"]).expect_code(5);
            assert_eq!(told.json()["error"]["code"], "tls");
            assert!(asked.expect_code(5).stderr_text().contains("certificate"));
        }
    }
}

#[test]
fn http_and_https_are_told_apart() {
    let place = Place::new();
    let authority = Authority::new();
    place.write("ca.pem", authority.pem());
    let secured = Registry::start(content(), Options::new().tls(Tls::new(authority.server())));
    for options in [&["--plain-http"][..], &[]] {
        let refused = digest(&place, &secured, options).expect_code(5).stderr_text();
        assert!(refused.contains("HTTPS") && refused.contains("help: "), "{refused}");
    }
    for (body, code) in [
        ("<html>\n<center>The plain HTTP request was sent to HTTPS port</center>", "tls-expected"),
        ("Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />", "tls-expected"),
        ("Bad request", "status"),
    ] {
        let rule = Rule::on(Method::Any, "/v2/*").then(Action::respond(400, body));
        let told = digest(&place, &Registry::start(content(), Options::new().rule(rule)), &["--json"]).expect_code(5);
        assert_eq!(told.json()["error"]["code"], code, "{body}");
    }
    let plain = Registry::open(content());
    let refused = digest(&place, &plain, &["--ca-file", &place.text("ca.pem")]).expect_code(5).stderr_text();
    assert!(refused.contains("plain http") && refused.contains("--plain-http"), "{refused}");
}

#[test]
fn a_password_goes_over_tls_to_who_asks_for_it() {
    let place = Place::new();
    let authority = Authority::new();
    place.write("ca.pem", authority.pem());
    let options = || Options::new().basic("ann", PASSWORD).tls(Tls::new(authority.server()));
    let registry = Registry::start(content(), options());
    let log_in = |password: &str, more: &[&str]| {
        let reference = source(&registry);
        let authority_file = place.text("ca.pem");
        let arguments = ["digest", &reference, "--ca-file", &authority_file, "--no-cache", "--password-stdin"];
        let command = place.command(&[&arguments[..], &["--username", "ann"], more].concat());
        let measured = measure_with_input(&command, password.as_bytes());
        assert_shows_nothing(&measured);
        measured
    };
    for ending in ["", "\n", "\r\n"] {
        log_in(&format!("{PASSWORD}{ending}"), &["-v"]).expect_code(0);
        log_in(&format!("{PASSWORD}{ending}"), &["--json"]).expect_code(0);
    }
    assert!(registry.requests()[0].header("authorization").is_none(), "it was not asked yet");
    for more in [&["-v"][..], &["--json"]] {
        log_in("s3cret", more).expect_code(4);
        log_in("", more).expect_code(2);
    }
}

#[test]
fn a_password_stays_with_the_registry() {
    let place = Place::new();
    // Another server that asks for a password itself, and one that gives to everybody.
    for (storage, exit) in [(Options::new(), 0), (Options::new().basic("ann", PASSWORD), 4)] {
        let storage = Registry::start(content(), storage);
        let to_storage = Rule::on(Method::Get, "/v2/app/blobs/*").then(Action::RedirectOrigin(storage.origin()));
        let registry = Registry::start(content(), Options::new().basic("ann", PASSWORD).rule(to_storage));
        let (source, out) = (source(&registry), place.text("out"));
        let arguments = ["pull", &source, &out, "-v", "--force", "--no-cache", "--username", "ann", "--password-stdin"];
        let pulled = measure_with_input(&place.command(&arguments), PASSWORD.as_bytes());
        assert_shows_nothing(&pulled);
        pulled.expect_code(exit);
        let seen = storage.requests();
        assert!(!seen.is_empty() && seen.iter().all(|request| request.header("authorization").is_none()), "{seen:?}");
    }
    // It is meant for one registry.
    let (one, other) = (Registry::open(content()), Registry::open(content()));
    let (one, other, out) = (source(&one), source(&other), place.text("merged"));
    let arguments = ["pull", &one, &other, &out, "--json", "--username", "ann", "--password-stdin"];
    let refused = measure_with_input(&place.command(&arguments), PASSWORD.as_bytes()).expect_code(2);
    assert_eq!(refused.json()["error"]["code"], "several-registries");
}

#[test]
fn a_challenge_may_name_several_schemes() {
    let place = Place::new();
    let basic = [
        "Basic realm=\"r\"",
        "bAsIc realm=r",
        "Negotiate, Basic realm=\"r\", charset=\"UTF-8\"",
        "Digest realm=\"Basic, Bearer\", nonce=\"b=,\", qop=\"auth\", Basic realm=\"r\"",
    ];
    let bearer = [
        "Bearer realm=\"REALM\",service=\"registry.test\",scope=\"repository:app:pull\"",
        "Basic realm=\"r\", Bearer realm=\"REALM\", service=\"registry.test\", scope=\"repository:app:pull\"",
        "bearer scope=\"repository:app:pull\",service=registry.test,realm=\"REALM\" , Basic realm=\"r\"",
        "Negotiate abc==, BEARER realm=\"REALM\",service=\"registry.test\",scope=\"repository:app:pull\"",
    ];
    let nobody = ["Negotiate", "Digest realm=\"Basic\", nonce=\"Bearer realm=x\""];
    let ask = |registry: &Registry| {
        let command =
            place.command(&["digest", &source(registry), "-v", "--username", "ann", "--password-stdin", "--no-cache"]);
        let measured = measure_with_input(&command, PASSWORD.as_bytes());
        assert_shows_nothing(&measured);
        measured
    };
    let challenge =
        |text: &str| Rule::on(Method::Any, "/v2/app/*").without_header("authorization").then(Action::challenge(text));
    for text in basic {
        let registry = Registry::start(content(), Options::new().basic("ann", PASSWORD).rule(challenge(text)));
        assert_eq!(ask(&registry).code, 0, "{text}");
    }
    for text in bearer {
        let issuer = Issuer::new().account("ann", PASSWORD, "app");
        let registry = Registry::start(content(), Options::new().tokens(issuer));
        registry.add_rule(challenge(&text.replace("REALM", &registry.realm())));
        assert_eq!(ask(&registry).code, 0, "{text}");
        assert_eq!(registry.token_requests(), 1, "{text}");
    }
    for text in nobody {
        let registry = Registry::start(content(), Options::new().rule(challenge(text)));
        ask(&registry).expect_code(4);
        assert!(registry.requests().iter().all(|request| request.header("authorization").is_none()), "{text}");
    }
}

#[test]
fn an_identity_token_is_posted_or_else_sent_as_a_password() {
    let place = Place::new();
    let identity = "s3cret-identity/+=";
    for post in [TokenPost::Served, TokenPost::Refused(404), TokenPost::Refused(405)] {
        let issuer = Issuer::new()
            .account("ann", "unused", "app")
            .identity_token("ann", identity)
            .account("<token>", identity, "app");
        let registry = Registry::start(content(), Options::new().tokens(issuer.post(post)));
        let config = format!(r#"{{"auths": {{"{}": {{"identitytoken": "{identity}"}}}}}}"#, registry.host());
        for output in ["-v", "--json"] {
            let mut command = place.command(&["digest", &source(&registry), output, "--no-cache"]);
            let asked = measure(command.env("DOCKER_AUTH_CONFIG", &config)).expect_code(0);
            assert_shows_nothing(&asked);
        }
        let posts = registry.requests_to(Method::Post, "/token");
        let form = posts[0].form();
        for field in [("grant_type", "refresh_token"), ("refresh_token", identity), ("scope", "repository:app:pull")] {
            assert!(form.contains(&(field.0.to_owned(), field.1.to_owned())), "{form:?}");
        }
        assert!(posts[0].header("authorization").is_none() && posts[0].query().is_empty());
        let gets = registry.requests_to(Method::Get, "/token");
        let sent = gets.iter().map(|get| get.header("authorization").map(str::to_owned)).collect::<Vec<_>>();
        let as_password = Some(format!("Basic {}", STANDARD.encode(format!("<token>:{identity}"))));
        assert_eq!(sent, if post == TokenPost::Served { vec![] } else { vec![as_password; 2] }, "{post:?}");
    }
}

#[test]
fn a_refused_token_is_no_reason_to_show_it() {
    let place = Place::new();
    let issuer = Issuer::new().account("ann", PASSWORD, "app");
    let echo = serde_json::json!({
        "errors": [{ "code": "DENIED", "message": "no such account", "detail": PASSWORD }],
    });
    let echo = Rule::on(Method::Any, "/token").then(Action::respond(401, echo.to_string()));
    let registry = Registry::start(content(), Options::new().tokens(issuer).rule(echo));
    for output in ["-v", "--json"] {
        let arguments = ["digest", &source(&registry), output, "--no-cache", "--username", "ann", "--password-stdin"];
        let refused = measure_with_input(&place.command(&arguments), PASSWORD.as_bytes()).expect_code(4);
        assert_shows_nothing(&refused);
        let told = refused.stdout_text() + &refused.stderr_text();
        assert!(told.contains("no such account"), "{told}");
    }
}
