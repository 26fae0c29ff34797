//! What web pages need: short requests, and tokens without challenges.

use super::*;

const URL: &str = "https://registry.example/v2/a/manifests/1";
const TEXT: &str = "registry.example/a:1";
const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";

fn resolve(session: Session) -> Scenario<Resolve> {
    let mut scenario = Scenario::new(session, Resolve::new(&reference(TEXT), Want::Manifest));
    scenario.nothing_stored();
    scenario
}

fn accepted(request: &Request) -> usize {
    request.headers.get("accept").expect("manifest types").split(", ").count()
}

#[test]
fn a_short_accept_is_enough_where_the_answer_is_of_its_types() {
    for content_type in [&[("Content-Type", OCI_MANIFEST)][..], &[], &[("Content-Type", "application/json")]] {
        let mut scenario = resolve(session(TEXT).short_accept());
        let (job, request) = scenario.get(URL);
        assert_eq!(accepted(&request), 2);
        scenario.respond(job, 200, content_type, &empty_image());
        scenario.end().expect("resolved");
    }
}

#[test]
fn all_types_are_asked_for_where_the_short_accept_was_too_narrow() {
    let answers: [(u16, &[(&str, &str)]); 4] = [
        (404, &[]),
        (406, &[]),
        (200, &[("Content-Type", DOCKER)]),
        (200, &[("Content-Type", "application/vnd.docker.distribution.manifest.v1+prettyjws")]),
    ];
    for (status, headers) in answers {
        let mut scenario = resolve(session(TEXT).short_accept());
        let (job, _) = scenario.get(URL);
        scenario.respond(job, status, headers, b"{}");
        let (job, request) = scenario.get(URL);
        assert_eq!(accepted(&request), 4);
        scenario.respond(job, 404, &[], b"");
        assert!(matches!(scenario.error(), PullError::NotFound { .. }), "asked twice and no more");
    }
}

#[test]
fn a_request_with_a_token_names_all_types() {
    let mut scenario = resolve(session(TEXT).short_accept());
    let (job, _) = scenario.get(URL);
    scenario.respond(job, 401, &[("WWW-Authenticate", r#"Bearer realm="https://auth.example/""#)], b"");
    let (job, _) = scenario.get("https://auth.example/");
    scenario.respond(job, 200, &[], br#"{"token":"t"}"#);
    let (job, request) = scenario.get(URL);
    assert_eq!(accepted(&request), 4);
    scenario.respond(job, 404, &[], b"");
    assert!(matches!(scenario.error(), PullError::NotFound { .. }));
}

fn with_endpoint() -> Session {
    session(TEXT).token_endpoint("http://localhost:5001/token", Some("r")).expect("an address")
}

const TOKEN_URL: &str = "http://localhost:5001/token?service=r&scope=repository%3Aa%3Apull";

#[test]
fn a_named_endpoint_is_asked_before_the_registry() {
    let mut scenario = resolve(with_endpoint());
    let (job, _) = scenario.get(TOKEN_URL);
    scenario.respond(job, 200, &[], br#"{"token":"t1"}"#);
    let (job, request) = scenario.get(URL);
    assert_eq!(request.headers.get("authorization"), Some("Bearer t1"));
    scenario.respond(job, 200, &[("Content-Type", OCI_MANIFEST)], &empty_image());
    scenario.end().expect("resolved");
    // The next plan of the session has the token.
    let mut scenario = Scenario::new(scenario.pull.into_session(), Tags::new());
    let (_, request) = scenario.get("https://registry.example/v2/a/tags/list?n=1000");
    assert_eq!(request.headers.get("authorization"), Some("Bearer t1"));
}

#[test]
fn a_refusal_that_cannot_be_read_costs_one_more_token() {
    let mut scenario = resolve(with_endpoint());
    for token in ["t1", "t2"] {
        let (job, _) = scenario.get(TOKEN_URL);
        scenario.respond(job, 200, &[], format!(r#"{{"token":"{token}"}}"#).as_bytes());
        let (job, request) = scenario.get(URL);
        assert_eq!(request.headers.get("authorization"), Some(format!("Bearer {token}").as_str()));
        scenario.respond(job, 401, &[], b"");
    }
    assert!(matches!(scenario.error(), PullError::Denied { status: 401, .. }));
}

#[test]
fn an_endpoint_gets_the_password() {
    let mut scenario = resolve(with_endpoint().credential(password()));
    let Effect::Fetch { request, .. } = scenario.effect() else { panic!("a token is asked for") };
    assert!(request.url.as_str().starts_with("http://localhost:5001/token?account="));
    assert!(request.headers.get("authorization").is_some_and(|value| value.starts_with("Basic ")));
    assert_eq!(session(TEXT).token_endpoint("token", None).expect_err("no URL").code(), "malformed-realm");
}
