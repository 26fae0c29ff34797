//! 53: endless listings. 55: tokens and expired redirects. 56: credential helpers.

use std::os::unix::fs::PermissionsExt;

use oci_fetcher_tests::registry::{Action, Issuer, Method, Port, Rule};
use serde_json::json;

use super::row::Row;
use super::stage::{BLOBS, IDENTITY, MANIFESTS, SECRET, Stage, USER, Verb, fine, on, open, secured};

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = listings();
    rows.extend(tokens());
    rows.extend(helpers());
    rows
}

/// Every page of the listing links to this.
fn linking(to: &str) -> Rule {
    on("/v2/app/tags/list*", Action::AddHeader("Link".to_owned(), format!("<{to}>; rel=\"next\"")))
}

fn listings() -> Vec<Row> {
    let tags = |rule: Rule| {
        move |stage: &mut Stage| {
            stage.registry(fine(), secured().rule(rule.clone()));
            stage.verb = Verb::Tags;
        }
    };
    let page = |body: &'static str| tags(on("/v2/app/tags/list*", Action::respond(200, body)));
    vec![
        Row::new(53, "a page that links to itself", "protocol (5)", tags(linking("/v2/app/tags/list?n=1000"))),
        Row::new(53, "two pages that link to each other", "protocol (5)", |stage| {
            let link = |to: &str| Action::AddHeader("Link".to_owned(), format!("<{to}>; rel=\"next\""));
            let first = on("/v2/app/tags/list?n=*", link("/v2/app/tags/list?last=b"));
            let second = on("/v2/app/tags/list?last=b", link("/v2/app/tags/list?n=1000"));
            stage.registry(fine(), secured().rule(first).rule(second));
            stage.verb = Verb::Tags;
        }),
        Row::new(53, "pages without end, each another", "limit (7)", |stage| {
            let mut options = secured();
            for number in 0..60 {
                let link = format!("</v2/app/tags/list?last={number}>; rel=\"next\"");
                options = options.rule(on("/v2/app/tags/list*", Action::AddHeader("Link".to_owned(), link)).times(1));
            }
            stage.registry(fine(), options);
            stage.verb = Verb::Tags;
            stage.with(&["--max-pages", "20"]);
            stage.settings = json!({ "limits": { "pages": 20 } });
        }),
        Row::new(53, "more tags than a page may hold", "body-too-large (7)", |stage| {
            let mut content = fine();
            content.put_manifest("app", "x", "text/plain", b"");
            let tags = vec!["t".repeat(120); 150_000];
            let body = json!({ "name": "app", "tags": tags }).to_string();
            stage.registry(content, secured().rule(on("/v2/app/tags/list*", Action::respond(200, body))));
            stage.verb = Verb::Tags;
        }),
        Row::new(53, "a page that links to another origin", "protocol (5)", |stage| {
            let elsewhere = stage.untouched(open());
            stage.registry(fine(), secured().rule(linking(&format!("{elsewhere}/v2/app/tags/list?last=x"))));
            stage.verb = Verb::Tags;
        }),
        Row::new(53, "a page that links to another scheme", "protocol (5)", tags(linking("file:///etc/passwd"))),
        Row::new(53, "a listing without tags", "works", page("{\"name\":\"app\",\"tags\":null}")),
        Row::new(53, "a listing that is none", "protocol (5)", page("{\"name\":\"app\",\"tags\":\"a\"}")),
        Row::new(53, "a listing of numbers", "protocol (5)", page("{\"name\":\"app\",\"tags\":[1]}")),
    ]
}

fn tokens() -> Vec<Row> {
    let issuer = || Issuer::new().account(USER, SECRET, "*");
    let tokens_asked = |most: usize| {
        move |stage: &Stage, _: &super::answer::Answer| match stage.home().token_requests() {
            asked if asked <= most => Ok(()),
            asked => Err(format!("{asked} tokens were asked for, {most} would do")),
        }
    };
    vec![
        Row::new(55, "one token serves all requests", "works", move |stage| {
            stage.registry(fine(), open().tokens(issuer()));
            stage.check(tokens_asked(1));
        }),
        Row::new(55, "tokens that are refused each time", "denied (4)", move |stage| {
            stage.registry(fine(), open().tokens(issuer()));
            stage.rule(Rule::on(Method::Any, "/v2/*").with_header("authorization").then(Action::RevokeTokens));
            stage.check(tokens_asked(2));
        }),
        Row::new(55, "a token that expires between manifest and layer", "works", move |stage| {
            stage.registry(fine(), open().tokens(issuer()));
            stage.rule(Rule::on(Method::Any, BLOBS).times(1).then(Action::RevokeTokens));
            stage.check(tokens_asked(2));
        }),
        Row::new(55, "an issuer that fails", "status (5)", move |stage| {
            stage.registry(fine(), open().tokens(issuer()));
            stage.rule(Rule::on(Method::Any, "/token").then(Action::respond(503, "")));
        }),
        Row::new(55, "an issuer that fails once", "works", move |stage| {
            stage.registry(fine(), open().tokens(issuer()));
            stage.rule(Rule::on(Method::Any, "/token").times(1).then(Action::respond(503, "")));
            stage.with(&["--retries", "1"]);
            stage.settings = json!({ "retry": { "attempts": 2, "firstPause": 10 } });
        }),
        Row::new(55, "an issuer that refuses", "token-refused (4)", move |stage| {
            stage.registry(fine(), open().tokens(Issuer::new().account(USER, "another", "*")));
        }),
        Row::new(55, "an identity token goes by POST to the realm alone", "works", |stage| {
            let issuer = Issuer::new().account(USER, SECRET, "*").identity_token(USER, IDENTITY).port(Port::Own);
            stage.registry(fine(), open().tokens(issuer));
            let auths = json!({ "auths": { stage.home().host(): { "identitytoken": IDENTITY } } });
            stage.place.write(".docker/config.json", auths.to_string());
            stage.check(|stage, _| {
                let leaked = stage.home().requests().into_iter().find(|request| {
                    request.path() != "/token" && format!("{:?}{}", request.headers, request.target).contains(IDENTITY)
                });
                leaked.map_or(Ok(()), |request| Err(format!("{} {:?}", request.target, request.headers)))
            });
        })
        .not_on(&["client"], "it takes no identity tokens"),
        Row::new(55, "an expired redirect is asked for anew, at the registry, once", "denied (4)", |stage| {
            let gone = on("*", Action::respond(403, "expired"));
            let storage = stage.stranger(fine(), open().rule(gone));
            stage.registry(fine(), secured().rule(on(BLOBS, Action::RedirectOrigin(storage))));
            stage.check(|stage, _| match stage.strange(0).requests().len() {
                // Config and layer are fetched one after the other: the config is the first to fail.
                2 => Ok(()),
                asked => Err(format!("the storage was asked {asked} times")),
            });
        }),
        Row::new(55, "a resume begins at the registry", "works", |stage| {
            let (half, gone) = (on("*", Action::CutBody(100)).times(1), on("*", Action::respond(403, "expired")));
            let storage = stage.stranger(fine(), open().rule(half).rule(gone));
            let away = on(BLOBS, Action::RedirectOrigin(storage)).times(1);
            stage.registry(fine(), secured().rule(away));
            stage.with(&["--retries", "2"]);
            stage.settings = json!({ "retry": { "attempts": 3, "firstPause": 10 } });
            stage.check(|stage, _| match stage.strange(0).requests().len() {
                1 => Ok(()),
                asked => Err(format!("the expired address was asked {asked} times")),
            });
        }),
        Row::new(55, "a cookie is not kept", "works", |stage| {
            let set = Action::AddHeader("Set-Cookie".to_owned(), "session=s3cret; Path=/".to_owned());
            let elsewhere = stage.stranger(fine(), open());
            stage.registry(
                fine(),
                secured().rule(on(MANIFESTS, set)).rule(on(BLOBS, Action::RedirectOrigin(elsewhere))),
            );
            stage.check(|stage, _| {
                let sent = stage.home().requests().into_iter().find(|request| request.header("cookie").is_some());
                sent.map_or(Ok(()), |request| Err(format!("{} bore a cookie", request.target)))
            });
        }),
    ]
}

/// A helper of this name and script, which the docker config asks for the registry's credential.
fn helper(stage: &mut Stage, name: &str, script: &str) {
    stage.registry(fine(), secured());
    let config = json!({ "credHelpers": { stage.home().host(): name } });
    stage.place.write(".docker/config.json", config.to_string());
    let path = stage.place.write(&format!("bin/docker-credential-{name}"), script);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("its owner may");
    stage.path = Some(stage.place.path("bin"));
}

fn helpers() -> Vec<Row> {
    let answers = |script: &'static str| move |stage: &mut Stage| helper(stage, "test", script);
    let mut rows = vec![
        Row::new(56, "a helper that knows the password", "works", |stage| {
            helper(
                stage,
                "test",
                &format!("#!/bin/sh\ncat >/dev/null\necho '{{\"Username\":\"{USER}\",\"Secret\":\"{SECRET}\"}}'\n"),
            );
        }),
        Row::new(56, "a helper that never answers", "helper-timed-out (4)", |stage| {
            helper(stage, "test", "#!/bin/sh\nexec sleep 600\n");
            stage.most_seconds = 45;
        })
        .not_on(&["wasm"], "its own tests have it, and half a minute is long"),
        Row::new(
            56,
            "a helper that answers without end",
            "helper-answer-too-long (4)",
            answers("#!/bin/sh\nexec yes s3cret\n"),
        ),
        Row::new(
            56,
            "a helper that fails and tells a secret",
            "helper-failed (4)",
            answers("#!/bin/sh\necho s3cret-pass; echo s3cret-pass >&2; exit 1\n"),
        ),
        Row::new(
            56,
            "a helper whose answer is malformed",
            "malformed-helper-answer (4)",
            answers("#!/bin/sh\necho 's3cret-pass {'\n"),
        ),
    ];
    for name in ["../../bin/test", "x/../../test", "test\n", "-test;touch x", "$(touch x)", "test/"] {
        let title = format!("a helper {name:?}");
        rows.push(Row::named(56, title, "malformed-helper-name (4)", move |stage| {
            helper(stage, "test", "#!/bin/sh\ntouch \"$HOME/ran\"\necho '{}'\n");
            let config = json!({ "credHelpers": { stage.home().host(): name } });
            stage.place.write(".docker/config.json", config.to_string());
            stage.check(
                |stage, _| {
                    if stage.place.path("ran").exists() { Err("the helper ran".to_owned()) } else { Ok(()) }
                },
            );
        }));
    }
    rows.push(Row::new(56, "a helper in the working directory", "helper-missing (4)", |stage| {
        helper(stage, "test", "#!/bin/sh\ntouch \"$HOME/ran\"\necho '{}'\n");
        // A relative folder on PATH is whatever the working directory makes of it.
        stage.path = Some("bin".into());
        stage.check(
            |stage, _| {
                if stage.place.path("ran").exists() { Err("the helper ran".to_owned()) } else { Ok(()) }
            },
        );
    }));
    rows.into_iter()
        .map(|row| row.not_on(&["skopeo", "client"], "they are told the password, or ask as docker does"))
        .collect()
}
