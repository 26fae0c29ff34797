//! References, tokens, refusals, redirects and retries.

use super::*;
use crate::url::Scheme;

fn resolve(text: &str) -> Scenario<Resolve> {
    let mut scenario = Scenario::new(session(text), Resolve::new(&reference(text), Want::Manifest));
    scenario.nothing_stored();
    scenario
}

#[test]
fn an_unknown_tag_costs_one_request_and_is_kept() {
    let mut scenario = resolve("registry.example/a/b:1");
    let (job, request) = scenario.get("https://registry.example/v2/a/b/manifests/1");
    assert!(request.headers.get("Accept").expect("manifest types").contains(OCI_MANIFEST));
    scenario.respond(job, 200, &[("Content-Type", OCI_MANIFEST)], &empty_image());
    assert!(matches!(scenario.effect(), Effect::Keep { bytes, .. } if *bytes == *empty_image()));
    assert!(matches!(scenario.effect(), Effect::Remember { .. }));
    let resolved = scenario.end().expect("resolved");
    assert_eq!(resolved.top.digest, Digest::of(Algorithm::Sha256, &empty_image()));
}

#[test]
fn a_remembered_tag_costs_a_head_and_what_is_stored_is_verified() {
    let digest = Digest::of(Algorithm::Sha256, &empty_image());
    for (stored, intact) in [(empty_image(), true), (b"{}".to_vec(), false)] {
        let text = "registry.example/a:1";
        let mut scenario = Scenario::new(session(text), Resolve::new(&reference(text), Want::Manifest));
        let Effect::Recall { job, .. } = scenario.effect() else { panic!("the tag is recalled first") };
        scenario.input(Input::Recalled { job, digest: Digest::of(Algorithm::Sha256, b"older") });
        let (job, _) = scenario.request(Method::Head, "https://registry.example/v2/a/manifests/1");
        scenario.respond(job, 200, &[("Docker-Content-Digest", digest.as_str())], b"");
        let Effect::LookUp { job, digest: asked, .. } = scenario.effect() else { panic!("the store is asked") };
        assert_eq!(asked, digest);
        scenario.input(Input::Found { job, bytes: stored });
        if !intact {
            let (job, _) = scenario.get("https://registry.example/v2/a/manifests/1");
            scenario.respond(job, 200, &[], &empty_image());
        }
        assert_eq!(scenario.end().expect("resolved").top.digest, digest);
    }
}

#[test]
fn a_head_that_is_refused_or_does_not_tell_falls_back_to_get() {
    let digest = Digest::of(Algorithm::Sha256, &empty_image());
    let recalled = || {
        let text = "registry.example/a:1";
        let mut scenario = Scenario::new(session(text), Resolve::new(&reference(text), Want::Manifest));
        let Effect::Recall { job, .. } = scenario.effect() else { panic!("the tag is recalled first") };
        scenario.input(Input::Recalled { job, digest: digest.clone() });
        let (job, _) = scenario.request(Method::Head, "https://registry.example/v2/a/manifests/1");
        (scenario, job)
    };
    for (status, headers) in
        [(403, &[][..]), (405, &[]), (404, &[]), (200, &[]), (200, &[("Docker-Content-Digest", "sha256:../../x")])]
    {
        let (mut scenario, job) = recalled();
        scenario.respond(job, status, headers, b"");
        let (job, _) = scenario.get("https://registry.example/v2/a/manifests/1");
        scenario.respond(job, 200, &[], &empty_image());
        assert_eq!(scenario.end().expect("resolved").top.digest, digest, "{status} {headers:?}");
    }
    // A registry that is down is not asked all over again.
    let (mut scenario, mut job) = recalled();
    for _ in 1..RetryPolicy::default().attempts {
        scenario.respond(job, 503, &[], b"");
        scenario.sleep();
        (job, _) = scenario.request(Method::Head, "https://registry.example/v2/a/manifests/1");
    }
    scenario.respond(job, 503, &[], b"");
    assert!(matches!(scenario.error(), PullError::Status { status: 503, .. }));
}

#[test]
fn a_pinned_digest_that_does_not_match_is_an_error() {
    let digest = Digest::of(Algorithm::Sha256, b"something else");
    let text = format!("registry.example/a:1@{digest}");
    let mut scenario = resolve(&text);
    let (job, _) = scenario.get(&format!("https://registry.example/v2/a/manifests/{digest}"));
    scenario.respond(job, 200, &[("Docker-Content-Digest", digest.as_str())], &empty_image());
    assert!(matches!(scenario.error(), PullError::DigestMismatch { .. }));
}

#[test]
fn a_bearer_challenge_is_answered_with_the_password_at_the_realm_and_the_token_at_the_registry() {
    let text = "registry.example/a:1";
    let plan = Resolve::new(&reference(text), Want::Manifest);
    let mut scenario = Scenario::new(session(text).credential(password()), plan);
    scenario.nothing_stored();
    let url = "https://registry.example/v2/a/manifests/1";
    let (job, request) = scenario.get(url);
    assert_eq!(request.headers.get("Authorization"), None);
    let challenge = r#"Bearer realm="https://auth.example/token",service="r",scope="repository:a:pull""#;
    scenario.respond(job, 401, &[("WWW-Authenticate", challenge)], b"");

    let Effect::Fetch { job, request, .. } = scenario.effect() else { panic!("the token is asked for") };
    assert!(request.url.as_str().starts_with("https://auth.example/token?"), "{}", request.url.as_str());
    assert!(request.headers.get("Authorization").expect("the password").starts_with("Basic "));
    scenario.respond(job, 200, &[], br#"{"token":"t1","expires_in":300}"#);

    let (job, request) = scenario.get(url);
    assert_eq!(request.headers.get("Authorization"), Some("Bearer t1"));
    scenario.respond(job, 200, &[], &empty_image());
    scenario.end().expect("resolved");
}

#[test]
fn a_plain_realm_gets_the_password_only_between_a_registry_and_an_issuer_on_loopback() {
    for (registry, realm, given) in [
        ("127.0.0.1:5000", "http://127.0.0.1:5001/token", true),
        ("localhost:5000", "http://127.0.0.1:5001/token", true),
        ("127.0.0.1:5000", "http://auth.example/token", false),
        ("127.0.0.1:5000", "http://10.0.0.2/token", false),
    ] {
        let text = format!("{registry}/a:1");
        let plan = Resolve::new(&reference(&text), Want::Manifest);
        let mut scenario = Scenario::new(session(&text).credential(password()), plan);
        scenario.nothing_stored();
        let (job, _) = scenario.get(&format!("http://{registry}/v2/a/manifests/1"));
        scenario.respond(job, 401, &[("WWW-Authenticate", &format!("Bearer realm=\"{realm}\""))], b"");
        let Effect::Fetch { request, .. } = scenario.effect() else { panic!("a token is asked for") };
        assert!(request.url.as_str().starts_with(realm), "{}", request.url.as_str());
        assert_eq!(request.headers.get("Authorization").is_some(), given, "{registry} {realm}");
        let told = |note: &Note| matches!(note, Note::Warning { text } if text.contains("withheld"));
        assert_eq!(scenario.notes.iter().any(told), !given, "{registry} {realm}");
    }
    // Plain http by choice makes no registry one on loopback, and over TLS there is no plain realm at all.
    for (registry, scheme, realm) in [
        ("registry.example", Scheme::Http, "http://127.0.0.1:5001/token"),
        ("10.0.0.1", Scheme::Http, "http://127.0.0.1:5001/token"),
        ("127.0.0.1:5000", Scheme::Https, "http://127.0.0.1:5001/token"),
    ] {
        let reference = reference(&format!("{registry}/a:1"));
        let session = Session::new(&reference, Network::Online).scheme(&reference, scheme).credential(password());
        let mut scenario = Scenario::new(session, Resolve::new(&reference, Want::Manifest));
        scenario.nothing_stored();
        let Effect::Fetch { job, .. } = scenario.effect() else { panic!("the manifest is asked for") };
        scenario.respond(job, 401, &[("WWW-Authenticate", &format!("Bearer realm=\"{realm}\""))], b"");
        let error = scenario.error();
        assert_eq!(error.class(), Class::Refused, "{registry} {realm}: {error}");
    }
}

#[test]
fn a_second_refusal_in_a_row_is_final() {
    let mut scenario = resolve("registry.example/a:1");
    let challenge = ("WWW-Authenticate", r#"Bearer realm="https://auth.example/token",service="r""#);
    let (job, _) = scenario.get("https://registry.example/v2/a/manifests/1");
    scenario.respond(job, 401, &[challenge], b"");
    let Effect::Fetch { job, .. } = scenario.effect() else { panic!("the token is asked for") };
    scenario.respond(job, 200, &[], br#"{"token":"t1"}"#);
    let (job, _) = scenario.get("https://registry.example/v2/a/manifests/1");
    scenario.respond(job, 401, &[challenge], br#"{"errors":[{"code":"UNAUTHORIZED","message":"no\u001b[31m"}]}"#);
    let error = scenario.error();
    assert_eq!(error.class(), Class::Authentication);
    assert!(!error.to_string().contains('\u{1b}'), "{error}");
}

#[test]
fn basic_is_answered_once_and_never_without_a_password() {
    for (credential, tries) in [(password(), 2), (Credential::Anonymous, 1)] {
        let text = "registry.example/a:1";
        let plan = Resolve::new(&reference(text), Want::Manifest);
        let mut scenario = Scenario::new(session(text).credential(credential), plan);
        scenario.nothing_stored();
        for attempt in 0..tries {
            let (job, request) = scenario.get("https://registry.example/v2/a/manifests/1");
            assert_eq!(request.headers.get("Authorization").is_some(), attempt > 0);
            scenario.respond(job, 401, &[("WWW-Authenticate", "Basic realm=\"x\"")], b"");
        }
        assert!(matches!(scenario.error(), PullError::Denied { status: 401, .. }));
    }
}

#[test]
fn a_refusal_without_a_challenge_asks_the_version_check_for_one() {
    let text = "registry.example/a:1";
    let plan = Resolve::new(&reference(text), Want::Manifest);
    let mut scenario = Scenario::new(session(text).credential(password()), plan);
    scenario.nothing_stored();
    let (job, _) = scenario.get("https://registry.example/v2/a/manifests/1");
    scenario.respond(job, 401, &[], b"");
    let (job, _) = scenario.get("https://registry.example/v2/");
    scenario.respond(job, 401, &[("WWW-Authenticate", "Basic realm=\"x\"")], b"");
    let (job, request) = scenario.get("https://registry.example/v2/a/manifests/1");
    assert!(request.headers.get("Authorization").is_some());
    scenario.respond(job, 200, &[], &empty_image());
    scenario.end().expect("resolved");
}

#[test]
fn failures_are_tried_again_with_growing_pauses_and_end() {
    let mut scenario = resolve("registry.example/a:1");
    let attempts = RetryPolicy::default().attempts;
    for attempt in 1..=attempts {
        let (job, _) = scenario.get("https://registry.example/v2/a/manifests/1");
        scenario.respond(job, 503, &[], b"");
        if attempt < attempts {
            assert!(scenario.sleep() > 0);
        }
    }
    let error = scenario.error();
    assert!(matches!(error, PullError::Status { status: 503, .. }), "{error}");
    assert_eq!(error.class(), Class::Network);
}

#[test]
fn retry_after_is_honoured_and_other_statuses_are_final() {
    let mut scenario = resolve("registry.example/a:1");
    let (job, _) = scenario.get("https://registry.example/v2/a/manifests/1");
    scenario.respond(job, 429, &[("Retry-After", "17")], b"");
    assert_eq!(scenario.sleep(), 17_000);
    let (job, _) = scenario.get("https://registry.example/v2/a/manifests/1");
    scenario.respond(job, 404, &[], br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"unknown tag"}]}"#);
    let error = scenario.error();
    assert_eq!(error.class(), Class::NotFound);
    assert!(error.to_string().contains("MANIFEST_UNKNOWN: unknown tag"), "{error}");
}

#[test]
fn redirects_lose_the_authorization_at_another_origin_and_never_lead_where_they_must_not() {
    for target in ["http://cdn.example/x", "https://169.254.169.254/x", "https://127.0.0.1/x", "//localhost/x"] {
        let mut scenario = resolve("registry.example/a:1");
        let (job, _) = scenario.get("https://registry.example/v2/a/manifests/1");
        scenario.respond(job, 307, &[("Location", target)], b"");
        let error = scenario.error();
        assert_eq!(error.class(), Class::Refused, "{target}: {error}");
    }
    let text = "registry.example/a:1";
    let plan = Resolve::new(&reference(text), Want::Manifest);
    let token = Credential::RegistryToken(Secret::new("t"));
    let mut scenario = Scenario::new(session(text).credential(token), plan);
    scenario.nothing_stored();
    let (job, request) = scenario.get("https://registry.example/v2/a/manifests/1");
    assert_eq!(request.headers.get("Authorization"), Some("Bearer t"));
    scenario.respond(job, 307, &[("Location", "https://cdn.example/x?signed=1")], b"");
    let (job, request) = scenario.get("https://cdn.example/x?signed=1");
    assert_eq!(request.headers.get("Authorization"), None);
    // A challenge from there gets an anonymous token at the most.
    let challenge = r#"Bearer realm="https://cdn.example/token""#;
    scenario.respond(job, 401, &[("WWW-Authenticate", challenge)], b"");
    let Effect::Fetch { request, .. } = scenario.effect() else { panic!("an anonymous token is asked for") };
    assert_eq!(request.headers.get("Authorization"), None);
}

#[test]
fn redirects_end() {
    let mut scenario = resolve("registry.example/a:1");
    let mut url = "https://registry.example/v2/a/manifests/1".to_owned();
    for hop in 0..=redirect::MAX_HOPS {
        let (job, _) = scenario.get(&url);
        url = format!("https://registry.example/{hop}");
        scenario.respond(job, 302, &[("Location", &url)], b"");
    }
    assert!(matches!(scenario.error(), PullError::Protocol { .. }));
}

#[test]
fn offline_uses_what_is_stored_and_nothing_else() {
    let text = "registry.example/a:1";
    let plan = Resolve::new(&reference(text), Want::Manifest);
    let mut scenario = Scenario::new(Session::new(&reference(text), Network::Offline), plan);
    scenario.nothing_stored();
    assert!(matches!(scenario.error(), PullError::NotStored { .. }));

    let plan = Resolve::new(&reference(text), Want::Manifest);
    let mut scenario = Scenario::new(Session::new(&reference(text), Network::Offline), plan);
    let Effect::Recall { job, .. } = scenario.effect() else { panic!("the tag is recalled") };
    scenario.input(Input::Recalled { job, digest: Digest::of(Algorithm::Sha256, &empty_image()) });
    let Effect::LookUp { job, .. } = scenario.effect() else { panic!("the store is asked") };
    scenario.input(Input::Found { job, bytes: empty_image() });
    scenario.end().expect("resolved");
}

#[test]
fn a_single_image_for_another_platform_is_refused_only_where_one_was_asked_for() {
    let amd64 = Platform::default_for("x86_64");
    for (choice, fits) in [(PlatformChoice::Host(amd64.clone()), true), (PlatformChoice::Explicit(amd64), false)] {
        let text = "registry.example/a:1";
        let plan = Resolve::new(&reference(text), Want::Image(choice));
        let mut scenario = Scenario::new(session(text), plan);
        scenario.nothing_stored();
        let (job, _) = scenario.get("https://registry.example/v2/a/manifests/1");
        scenario.respond(job, 200, &[], &empty_image());
        let job = loop {
            match scenario.effect() {
                Effect::LookUp { job, .. } => break job,
                Effect::Keep { .. } | Effect::Remember { .. } => {}
                other => panic!("{other:?}"),
            }
        };
        scenario.input(Input::Missing { job });
        let config = Digest::of(Algorithm::Sha256, CONFIG);
        let (job, _) = scenario.get(&format!("https://registry.example/v2/a/blobs/{config}"));
        scenario.respond(job, 200, &[], CONFIG);
        let result = scenario.end();
        assert_eq!(result.is_ok(), fits, "{:?}", result.err());
    }
}

#[test]
fn what_is_damaged_in_a_local_source_is_not_called_missing() {
    let bytes = empty_image();
    let manifest =
        Descriptor::new(MediaType::parse(OCI_MANIFEST), Digest::of(Algorithm::Sha256, &bytes), bytes.len() as u64);
    let want = Want::Image(PlatformChoice::Host(Platform::default_for("aarch64")));
    for (manifest_is_damaged, what) in [(true, "the manifest"), (false, "the config")] {
        let mut scenario = Scenario::new(Session::local(), Resolve::descriptor(&manifest, want.clone()));
        for (mut bytes, is_damaged) in [(bytes.clone(), manifest_is_damaged), (CONFIG.to_vec(), true)] {
            let Effect::LookUp { job, .. } = scenario.effect() else { panic!("the source is asked") };
            bytes[0] ^= u8::from(is_damaged);
            scenario.input(Input::Found { job, bytes });
            if is_damaged {
                break;
            }
        }
        let error = scenario.error();
        assert_eq!((error.class(), error.code()), (Class::Integrity, "digest-mismatch"), "{error}");
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[test]
fn a_challenge_without_a_refusal_says_nothing() {
    for status in [200, 404, 403] {
        let session = session("registry.example/a:1").credential(password());
        let mut scenario = Scenario::new(session, Resolve::new(&reference("registry.example/a:1"), Want::Manifest));
        let (job, _) = scenario.nothing_stored().get("https://registry.example/v2/a/manifests/1");
        scenario.respond(job, 401, &[], b"");
        let (job, _) = scenario.get("https://registry.example/v2/");
        scenario.respond(job, status, &[("WWW-Authenticate", r#"Bearer realm="https://auth.example/token""#)], b"");
        assert!(matches!(scenario.error(), PullError::Denied { status: 401, .. }), "{status}");
    }
}
