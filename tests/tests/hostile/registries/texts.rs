//! 68: what a terminal would obey. 69: titles as paths. 70: dependencies under an advisory.

use oci_fetcher_tests::image::{Artifact, Image, Layer};
use oci_fetcher_tests::registry::{Action, Issuer, Method, RetryAfter, Rule};
use serde_json::json;

use super::row::Row;
use super::stage::{BLOBS, MANIFESTS, SECRET, Stage, USER, Verb, fine, holding, image, on, open, secured};

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = terminals();
    rows.extend(secrets());
    rows.extend(titles());
    rows.push(advisories());
    rows
}

/// Clears the screen, sets the title, and reads backwards.
const NASTY: &str = "\u{1b}[2J\u{1b}]0;pwned\u{7}\r\u{9b}31m\u{202e}gpj.exe\u{2066}\u{200b}";

fn terminals() -> Vec<Row> {
    let message = |path: &'static str, status: u16| {
        move |stage: &mut Stage| {
            let body = json!({ "errors": [{ "code": NASTY, "message": format!("line\n{NASTY}") }] }).to_string();
            stage.registry(fine(), open().rule(Rule::on(Method::Any, path).then(Action::respond(status, body))));
        }
    };
    vec![
        Row::new(68, "an error's message for a manifest", "denied (4)", message(MANIFESTS, 403)),
        Row::new(68, "an error's message for a blob", "denied (4)", message(BLOBS, 403)),
        Row::new(68, "an error's message of 404", "not-found (3)", message(MANIFESTS, 404)),
        Row::new(68, "an error's message of 429", "status (5)", message(MANIFESTS, 429)),
        Row::new(68, "an issuer's error message", "token-refused (4)", |stage| {
            stage.registry(fine(), open().tokens(Issuer::new().anonymous("*")));
            let body = json!({ "errors": [{ "code": NASTY, "message": NASTY }] }).to_string();
            stage.rule(Rule::on(Method::Any, "/token").then(Action::respond(403, body)));
        }),
        Row::new(68, "a Warning that is none of its business", "works", |stage| {
            let text = format!("299 - \"{}\"", NASTY.replace(['\u{7}', '\r', '\u{1b}', '\u{9b}'], "?"));
            stage.registry(
                fine(),
                open().rule(Rule::on(Method::Any, MANIFESTS).then(Action::AddHeader("Warning".to_owned(), text))),
            );
        }),
        Row::new(68, "tags that steer a terminal", "works", |stage| {
            let body = json!({ "name": "app", "tags": [NASTY, "1\n2"] }).to_string();
            stage.registry(fine(), open().rule(on("/v2/app/tags/list*", Action::respond(200, body))));
            stage.verb = Verb::Tags;
        })
        .not_on(&["wasm"], "an API returns what it was given; who prints it escapes it"),
        Row::new(68, "annotations and labels that steer a terminal", "works", |stage| {
            stage.registry(
                holding(image().annotation("org.opencontainers.image.title", NASTY).label(NASTY, NASTY)),
                open(),
            );
        }),
        Row::new(68, "a media type that steers a terminal", "unknown-layer-type (9)", |stage| {
            stage.registry(holding(Image::new().layer(Layer::new().file("a", b"a").media_type(NASTY))), open());
        }),
        Row::new(68, "an artifact's type that steers a terminal", "not-an-image (9)", |stage| {
            stage.registry(holding(Artifact::new(NASTY).file("f", b"x")), open());
        }),
        Row::new(68, "a platform that steers a terminal", "platform-not-found (3)", |stage| {
            let mut entry = image().pack().descriptor();
            entry["platform"] = json!({ "os": NASTY, "architecture": NASTY });
            stage.registry(holding(oci_fetcher_tests::image::Index::new().descriptor(entry)), open());
        }),
        Row::new(68, "names in a layer that steer a terminal", "works", |stage| {
            // Skipped, and so reported by name.
            stage.registry(
                holding(Image::new().layer(Layer::new().fifo(NASTY).file("a", b"a").xattr("trusted.x", NASTY))),
                open(),
            );
        }),
        Row::new(68, "a key of a manifest that steers a terminal", "malformed-manifest (6)", |stage| {
            let mut content = fine();
            let key = serde_json::to_string(NASTY).expect("text");
            let bytes = format!("{{{key}:1,{key}:2}}");
            content.put_manifest("app", "1", "application/vnd.oci.image.manifest.v1+json", bytes);
            stage.registry(content, open());
        }),
        Row::new(68, "a Location that steers a terminal", "protocol (5)", |stage| {
            let location = "https://evil.example/\u{202e}\u{2066}x y".to_owned();
            stage.registry(fine(), open().rule(on(BLOBS, Action::Redirect(location))));
        })
        .ours("they follow it, and show what comes of it"),
        Row::new(68, "a challenge that steers a terminal", "denied (4)", |stage| {
            let challenge = "Weird realm=\"\u{202e}\u{2066}\u{200b}\"";
            stage.registry(fine(), open().rule(on("/v2/*", Action::challenge(challenge))));
        }),
    ]
}

fn secrets() -> Vec<Row> {
    // What is planted is looked for in all that every case prints; these make it most likely.
    vec![
        Row::new(68, "a registry that echoes the credentials in its error", "denied (4)", |stage| {
            stage.registry(fine(), secured());
            let body = json!({ "errors": [{ "code": "DENIED", "message": "you may not" }] }).to_string();
            stage.rule(Rule::on(Method::Any, MANIFESTS).with_header("authorization").then(Action::respond(403, body)));
        }),
        Row::new(68, "a presigned address in an error", "denied (4)", |stage| {
            let refused = on("*", Action::respond(403, ""));
            let storage = stage.stranger_lenient(fine(), open().rule(refused));
            let signed = format!("{storage}/blob?X-Signature={SECRET}");
            stage.registry(fine(), secured().rule(on(BLOBS, Action::Redirect(signed))));
            stage.is_presigned = true;
        }),
        Row::new(68, "a presigned address that fails below HTTP", "connection-broken (5)", |stage| {
            let broken = on("*", Action::ResetAnswer(0));
            let storage = stage.stranger_lenient(fine(), open().rule(broken));
            let signed = format!("{storage}/blob?X-Signature={SECRET}");
            stage.registry(fine(), secured().rule(on(BLOBS, Action::Redirect(signed))));
            stage.is_presigned = true;
        }),
        Row::new(68, "a token answer that is cut", "malformed-token-answer (5)", |stage| {
            stage.registry(fine(), open().tokens(Issuer::new().account(USER, SECRET, "*")));
            let cut = Action::respond(200, format!("{{\"token\":\"{SECRET}"));
            stage.rule(Rule::on(Method::Any, "/token").then(cut));
        }),
        Row::new(68, "a retry that is told of", "status (5)", |stage| {
            stage.registry(
                fine(),
                secured().rule(Rule::on(Method::Any, BLOBS).then(Action::Refuse(503, RetryAfter::Absent))),
            );
            stage.with(&["--retries", "1"]);
            stage.settings = json!({ "retry": { "attempts": 2, "firstPause": 10 } });
        }),
        Row::new(68, "a config file that is malformed where the password is", "malformed-auth-file (4)", |stage| {
            stage.registry(fine(), secured());
            stage
                .place
                .write(".docker/config.json", format!("{{\"auths\":{{\"x\":{{\"password\":\"{SECRET}\" oops}}}}}}"));
        })
        .ours("they are told the password, or read no such file"),
    ]
}

fn titles() -> Vec<Row> {
    let titled = |title: &'static str| {
        move |stage: &mut Stage| {
            stage.registry(holding(Artifact::new("application/vnd.example").file(title, b"x")), open());
            stage.verb = Verb::Get;
        }
    };
    const COPIED: &str = "they copy blobs, and give them no names";
    let mut rows: Vec<Row> = ["../e", "a/../../e", "..", "/../e", "a/../../out-evil/victim", "", ".", "/", "a\0b"]
        .into_iter()
        .map(|title| Row::named(69, format!("a title {title:?}"), "unsafe-title (7)", titled(title)).ours(COPIED))
        .collect();
    rows.extend([
        Row::new(69, "a title that is absolute", "unsafe-title (7)", titled("/e")).ours(COPIED),
        Row::new(69, "a title in folders", "works", titled("bin/tool")).ours(COPIED),
        Row::new(69, "two files of one title", "title-collision (7)", |stage| {
            stage.registry(holding(Artifact::new("application/vnd.example").file("f", b"x").file("f", b"y")), open());
            stage.verb = Verb::Get;
        })
        .ours(COPIED),
        Row::new(69, "a title that is another's folder", "title-collision (7)", |stage| {
            stage.registry(holding(Artifact::new("application/vnd.example").file("f", b"x").file("f/g", b"y")), open());
            stage.verb = Verb::Get;
        })
        .ours(COPIED),
        Row::new(69, "a title that steers a terminal", "works", titled("\u{202e}gpj.exe"))
            .ours(COPIED)
            .not_on(&["wasm"], "an API returns what it was given; who prints it escapes it"),
    ]);
    rows
}

fn advisories() -> Row {
    Row::new(70, "the tests hold the dependencies against advisories", "works", |stage: &mut Stage| {
        stage.registry(fine(), open());
        stage.check(|_, _| {
            let tree = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("the package is in the tree")?;
            let read =
                |name: &str| std::fs::read_to_string(tree.join(name)).map_err(|error| format!("{name}: {error}"));
            if !read(".deny.toml")?.contains("[advisories]") {
                return Err(".deny.toml says nothing of advisories".to_owned());
            }
            let suites = read("tests/run")?;
            let checked = suites.lines().any(|line| {
                let line = line.trim();
                line.starts_with("check ") && line.contains("cargo-deny") && line.contains("advisories")
            });
            if checked { Ok(()) } else { Err("tests/run does not check advisories".to_owned()) }
        });
    })
    .native("it is about this tree")
}
