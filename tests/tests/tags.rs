//! Lists of tags: page after page, and what is wrong with some of them.
#![cfg(unix)]

use oci_fetcher_tests::content::Content;
use oci_fetcher_tests::image::Image;
use oci_fetcher_tests::place::Place;
use oci_fetcher_tests::registry::{Action, Issuer, Method, Options, Registry, Rule};

const TAGS: [&str; 7] = ["1", "1.2", "10", "a+b", "latest", "v2", "z"];

fn content() -> Content {
    let mut content = Content::new();
    // A plus is no letter of tags, and yet some registries hold one.
    for tag in TAGS {
        content.push("team/app", tag, Image::new());
    }
    content
}

fn tags_of(place: &Place, registry: &Registry, more: &[&str]) -> oci_fetcher_tests::process::Measured {
    place.run(&[&["tags", &format!("{}/team/app", registry.host()), "--retries", "0"], more].concat())
}

#[test]
fn every_page_is_read() {
    let place = Place::new();
    for (page, pages) in [(100, 1), (7, 1), (3, 3), (1, 7)] {
        let registry = Registry::start(content(), Options::new().page_size(page));
        let listed = tags_of(&place, &registry, &[]).expect_code(0).stdout_text();
        assert_eq!(listed.lines().collect::<Vec<_>>(), TAGS, "{page} a page");
        let requests = registry.requests_to(Method::Get, "/v2/team/app/tags/list");
        assert_eq!(requests.len(), pages, "{requests:?}");
    }
    let registry = Registry::start(content(), Options::new().page_size(2).tokens(Issuer::new().anonymous("team/*")));
    let told = tags_of(&place, &registry, &["--json"]).expect_code(0).json();
    assert_eq!(told["tags"], serde_json::json!(TAGS));
    assert_eq!(told["repository"], format!("{}/team/app", registry.host()));
    assert_eq!(registry.token_requests(), 1);
}

#[test]
fn what_stands_for_no_tags_is_none() {
    let place = Place::new();
    for body in
        [r#"{"name": "team/app", "tags": null}"#, r#"{"name": "team/app", "tags": []}"#, r#"{"name": "team/app"}"#]
    {
        let rule = Rule::on(Method::Get, "/v2/team/app/tags/list").then(Action::Respond {
            status: 200,
            headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
            body: body.into(),
        });
        let registry = Registry::start(content(), Options::new().rule(rule));
        assert_eq!(tags_of(&place, &registry, &[]).expect_code(0).stdout_text(), "", "{body}");
        assert_eq!(tags_of(&place, &registry, &["--json"]).expect_code(0).json()["tags"], serde_json::json!([]));
    }
    let registry = Registry::open(content());
    place.run(&["tags", &format!("{}/nothing", registry.host())]).expect_code(3);
    place.run(&["tags", "oci:layout"]).expect_code(2);
    place.run(&["tags", "Not A Name"]).expect_code(2);
}

#[test]
fn pages_that_lead_astray_are_not_followed() {
    let place = Place::new();
    let elsewhere = Registry::open(content());
    for (link, exit) in [
        // Round and round.
        ("</v2/team/app/tags/list>; rel=\"next\"".to_owned(), 5),
        (format!("<{}/v2/team/app/tags/list>; rel=\"next\"", elsewhere.origin()), 5),
        ("<//127.0.0.1:1/v2/team/app/tags/list>; rel=\"next\"".to_owned(), 5),
        ("<file:///etc/passwd>; rel=\"next\"".to_owned(), 5),
        // No further page.
        ("</elsewhere>; rel=\"prev\"".to_owned(), 0),
    ] {
        let rule =
            Rule::on(Method::Get, "/v2/team/app/tags/list").then(Action::SetHeader("Link".to_owned(), link.clone()));
        let registry = Registry::start(content(), Options::new().rule(rule));
        let listed = tags_of(&place, &registry, &["--max-pages", "20"]);
        assert_eq!(listed.code, exit, "{link}: {listed:?}");
        assert!(registry.requests().len() <= 21, "{link}");
    }
    assert_eq!(elsewhere.requests().len(), 0);
    let registry = Registry::start(content(), Options::new().page_size(1));
    let refused = tags_of(&place, &registry, &["--max-pages", "3"]).expect_code(7).stderr_text();
    assert!(refused.contains("--max-pages"), "{refused}");
}

#[test]
fn tags_cannot_steer_a_terminal() {
    let place = Place::new();
    let body = r#"{"name": "team/app", "tags": ["fine", "\u001b[2Jx", "two\nlines", "\u202eback"]}"#;
    let rule = Rule::on(Method::Get, "/v2/team/app/tags/list").then(Action::Respond {
        status: 200,
        headers: Vec::new(),
        body: body.into(),
    });
    let registry = Registry::start(content(), Options::new().rule(rule));
    let listed = tags_of(&place, &registry, &[]);
    let shown = listed.stdout_text() + &listed.stderr_text();
    assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown:?}");
    assert!(listed.code != 0 || listed.stdout_text().lines().count() == 4, "{listed:?}");
}
