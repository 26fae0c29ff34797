//! 48: credentials kept across a redirect. 50: downgrades.

use oci_fetcher_tests::registry::{Action, Issuer, Method, Rule};

use super::row::Row;
use super::stage::{BLOBS, MANIFESTS, SECRET, Stage, USER, fine, on, open, secured};

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = across_origins();
    rows.extend(challenged_elsewhere());
    rows.extend(downgrades());
    rows
}

const HEADER_KEPT: &[&str] = &["CVE-2026-49349"];

fn across_origins() -> Vec<Row> {
    let to = |path: &'static str, place: fn(&mut Stage) -> String| {
        move |stage: &mut Stage| {
            let elsewhere = place(stage);
            stage.registry(fine(), secured().rule(on(path, Action::RedirectOrigin(elsewhere))));
            stage.check(|stage, _| {
                let asked = stage.strange(0).requests().len();
                if asked > 0 { Ok(()) } else { Err("the redirect was not followed".to_owned()) }
            });
        }
    };
    let port: fn(&mut Stage) -> String = |stage| stage.stranger(fine(), open());
    let host: fn(&mut Stage) -> String = |stage| stage.stranger(fine(), open()).replace("127.0.0.1", "localhost");
    let address: fn(&mut Stage) -> String =
        |stage| stage.stranger(fine(), open()).replace("127.0.0.1", "[::ffff:127.0.0.1]");
    let scheme: fn(&mut Stage) -> String = |stage| stage.stranger_named("localhost", fine(), open());
    vec![
        Row::new(48, "a blob is redirected to another port", "works", to(BLOBS, port)).ids(HEADER_KEPT),
        Row::new(48, "a manifest is redirected to another port", "works", to(MANIFESTS, port)).ids(HEADER_KEPT),
        Row::new(48, "a blob is redirected to another host", "works", to(BLOBS, host)).ids(HEADER_KEPT),
        Row::new(48, "a manifest is redirected to another host", "works", to(MANIFESTS, host)).ids(HEADER_KEPT),
        Row::new(48, "a blob is redirected to the same address, spelt otherwise", "works", to(BLOBS, address))
            .ids(HEADER_KEPT),
        Row::new(48, "a blob is redirected to https", "works", to(BLOBS, scheme))
            .ids(HEADER_KEPT)
            .not_on(&["native", "skopeo"], "its authority is only trusted where the registry is behind TLS"),
        Row::new(48, "a blob is redirected away and back", "works", |stage| {
            stage.registry(fine(), secured());
            let back = stage.home().origin();
            let elsewhere = stage.stranger(fine(), open().rule(on(BLOBS, Action::RedirectOrigin(back))));
            let there = Rule::on(Method::Get, BLOBS).times(1).then(Action::RedirectOrigin(elsewhere));
            stage.rule(there);
        })
        .ids(HEADER_KEPT),
    ]
}

/// A 401 after the redirect, which asks for what must not be given.
fn challenged_elsewhere() -> Vec<Row> {
    let challenge = |challenge: &'static str, path: &'static str| {
        move |stage: &mut Stage| {
            let asks = on("*", Action::challenge(challenge));
            let elsewhere = stage.stranger(fine(), open().rule(asks));
            stage.registry(fine(), secured().rule(on(path, Action::RedirectOrigin(elsewhere))));
        }
    };
    vec![
        Row::new(
            48,
            "Basic is asked for after a redirect of a blob",
            "denied (4)",
            challenge("Basic realm=\"x\"", BLOBS),
        )
        .ids(HEADER_KEPT),
        Row::new(
            48,
            "Basic is asked for after a redirect of a manifest",
            "denied (4)",
            challenge("Basic realm=\"x\"", MANIFESTS),
        )
        .ids(HEADER_KEPT),
        Row::new(48, "a token is asked for after a redirect", "token-refused (4)", |stage| {
            let issuer = Issuer::new().account(USER, SECRET, "*");
            let elsewhere = stage.stranger(fine(), open().tokens(issuer));
            stage.registry(fine(), secured().rule(on(BLOBS, Action::RedirectOrigin(elsewhere))));
        })
        .ids(HEADER_KEPT),
        Row::new(48, "the registry's own realm is named after a redirect", "token-refused (4)", |stage| {
            // The confused deputy: whoever is redirected to would get the registry's token.
            let issuer = Issuer::new().account(USER, SECRET, "*");
            stage.registry(fine(), open().tokens(issuer));
            let realm = format!("Bearer realm=\"{}\",scope=\"repository:app:pull\"", stage.home().realm());
            let elsewhere = stage.stranger(fine(), open().rule(on("*", Action::challenge(&realm))));
            stage.rule(on(BLOBS, Action::RedirectOrigin(elsewhere)));
        })
        .ids(HEADER_KEPT),
    ]
}

fn downgrades() -> Vec<Row> {
    let to_http = |path: &'static str, status: u16| {
        move |stage: &mut Stage| {
            let elsewhere = stage.untouched(open()).replace("127.0.0.1", "cdn.example");
            let location = vec![("Location".to_owned(), format!("{elsewhere}/v2/app/x"))];
            let down = Action::Respond { status, headers: location, body: Vec::new() };
            stage.registry_named("registry.example", fine(), secured().rule(on(path, down)));
        }
    };
    let mut rows: Vec<Row> = [301, 302, 303, 307, 308]
        .into_iter()
        .map(|status| {
            let name = format!("https is given up for http by a blob's redirect {status}");
            Row::named(50, name, "redirect-refused (7)", to_http(BLOBS, status))
        })
        .collect();
    rows.push(Row::new(
        50,
        "https is given up for http by a manifest's redirect",
        "redirect-refused (7)",
        to_http(MANIFESTS, 307),
    ));
    rows
}
