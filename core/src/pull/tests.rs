//! The machine driven by scenarios, with time that passes when the scenario says so.

use std::num::NonZeroUsize;
use std::sync::Arc;

use super::*;
use crate::credentials::{Credential, Secret};
use crate::digest::{Algorithm, Digest};
use crate::error::{Class, Explain};
use crate::manifest::{Descriptor, MediaType, Platform};
use crate::reference::Reference;
use crate::request::{Headers, Method, Request, ResponseHead};

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A machine, the time, and the effects that wait for their answers.
struct Scenario<P: Plan> {
    pull: Pull<P>,
    now: Time,
    notes: Vec<Note>,
}

impl<P: Plan> Scenario<P> {
    fn new(session: Session, plan: P) -> Self {
        Self { pull: Pull::new(session, plan, Time(0)), now: Time(0), notes: Vec::new() }
    }

    /// Returns the next effect that somebody has to see to.
    fn effect(&mut self) -> Effect {
        loop {
            match self.pull.poll() {
                Next::Do(Effect::Note(note)) => self.notes.push(note),
                Next::Do(effect) => return effect,
                Next::Wait(until) => panic!("waits until {until:?} where an effect was expected"),
                Next::Done(result) => panic!("ended ({:?}) where an effect was expected", result.err()),
            }
        }
    }

    /// Answers look-ups in the local store with nothing.
    fn nothing_stored(&mut self) -> &mut Self {
        match self.effect() {
            Effect::LookUp { job, .. } | Effect::Recall { job, .. } => self.input(Input::Missing { job }),
            other => panic!("{other:?} is no look-up"),
        }
        self
    }

    fn input(&mut self, input: Input) {
        self.pull.handle(input, self.now);
    }

    fn request(&mut self, method: Method, url: &str) -> (JobId, Request) {
        match self.effect() {
            Effect::Fetch { job, request, .. } | Effect::Stream { job, request } => {
                assert_eq!((request.method, request.url.as_str()), (method, url));
                (job, request)
            }
            other => panic!("{other:?} is no request"),
        }
    }

    fn get(&mut self, url: &str) -> (JobId, Request) {
        self.request(Method::Get, url)
    }

    fn respond(&mut self, job: JobId, status: u16, headers: &[(&str, &str)], body: &[u8]) {
        self.input(Input::Response { job, head: head(status, headers), body: body.to_vec() });
    }

    fn head(&mut self, job: JobId, status: u16, headers: &[(&str, &str)]) {
        self.input(Input::Head { job, head: head(status, headers), error: Vec::new() });
    }

    /// Lets the time pass that the machine waits for; returns how much it was.
    fn sleep(&mut self) -> u64 {
        loop {
            match self.pull.poll() {
                Next::Do(Effect::Note(note)) => self.notes.push(note),
                Next::Wait(Some(until)) => {
                    let pause = until.0 - self.now.0;
                    self.now = until;
                    self.input(Input::Tick);
                    return pause;
                }
                other => panic!("{:?} where a pause was expected", matches!(other, Next::Wait(None))),
            }
        }
    }

    /// Carries out what needs no answer, and returns the end.
    fn end(&mut self) -> Result<P::Outcome, PullError> {
        loop {
            match self.pull.poll() {
                Next::Do(Effect::Note(note)) => self.notes.push(note),
                Next::Do(
                    Effect::Keep { .. } | Effect::Remember { .. } | Effect::Abort { .. } | Effect::Discard { .. },
                ) => {}
                Next::Do(effect) => panic!("{effect:?} where the end was expected"),
                Next::Wait(until) => panic!("waits until {until:?} where the end was expected"),
                Next::Done(result) => return result,
            }
        }
    }

    fn error(&mut self) -> PullError {
        match self.end() {
            Ok(_) => panic!("succeeded where an error was expected"),
            Err(error) => error,
        }
    }
}

fn head(status: u16, headers: &[(&str, &str)]) -> ResponseHead {
    let mut all = Headers::default();
    for (name, value) in headers {
        all.append(name, value);
    }
    ResponseHead { status, headers: all }
}

fn reference(text: &str) -> Reference {
    text.parse().expect("a valid reference")
}

fn session(text: &str) -> Session {
    Session::new(&reference(text), Network::Online)
}

fn password() -> Credential {
    Credential::Basic { username: "ann".to_owned(), password: Secret::new("s3cret") }
}

fn empty_image() -> Vec<u8> {
    let config = Digest::of(Algorithm::Sha256, CONFIG);
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":{}}},"layers":[]}}"#,
        CONFIG.len()
    )
    .into_bytes()
}

const CONFIG: &[u8] = br#"{"os":"linux","architecture":"arm64","rootfs":{"type":"layers","diff_ids":[]}}"#;

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

fn blob(bytes: &[u8]) -> Arc<Descriptor> {
    let digest = Digest::of(Algorithm::Sha256, bytes);
    Arc::new(Descriptor::new(MediaType::parse("application/octet-stream"), digest, bytes.len() as u64))
}

fn blobs(list: &[Arc<Descriptor>], at_once: usize) -> Scenario<Blobs> {
    let plan = Blobs::new(list.to_vec(), NonZeroUsize::new(at_once).expect("not zero"));
    Scenario::new(session("registry.example/a:1"), plan)
}

/// Opens the next sink, with so many bytes of its blob.
fn open(scenario: &mut Scenario<Blobs>, length: u64) -> JobId {
    let Effect::Open { job, .. } = scenario.effect() else { panic!("a sink is opened") };
    scenario.input(Input::Opened { job, stored: Stored::Partial { length } });
    job
}

fn blob_url(descriptor: &Descriptor) -> String {
    format!("https://registry.example/v2/a/blobs/{}", descriptor.digest)
}

fn broken(job: JobId, held: u64) -> Input {
    let failure = Failure { kind: FailureKind::Broken, message: "reset".to_owned() };
    Input::Failed { job, failure, held }
}

#[test]
fn a_stream_resumes_where_it_broke_and_skips_where_the_range_was_ignored() {
    let descriptor = blob(b"0123456789");
    let mut scenario = blobs(std::slice::from_ref(&descriptor), 1);
    let job = open(&mut scenario, 2);
    let (_, request) = scenario.get(&blob_url(&descriptor));
    assert_eq!(request.headers.get("Range"), Some("bytes=2-"));
    assert_eq!(request.headers.get("Accept-Encoding"), Some("identity"));
    scenario.head(job, 206, &[("Content-Range", "bytes 2-9/10")]);
    assert!(matches!(scenario.effect(), Effect::Accept { skip: 0, .. }));
    scenario.input(broken(job, 5));
    scenario.sleep();
    let (_, request) = scenario.get(&blob_url(&descriptor));
    assert_eq!(request.headers.get("Range"), Some("bytes=5-"));
    scenario.head(job, 200, &[]);
    assert!(matches!(scenario.effect(), Effect::Accept { skip: 5, .. }));
    scenario.input(Input::BodyEnd { job, held: 10 });
    assert!(matches!(scenario.effect(), Effect::Seal { .. }));
    scenario.input(Input::Sealed { job, verdict: Verdict::Verified });
    assert_eq!(scenario.end().expect("transferred"), BlobOutcome { fetched: 1, stored: 0 });
}

#[test]
fn a_range_that_is_answered_wrongly_or_refused_is_not_asked_for_again() {
    for (status, range) in [(206, "bytes 0-9/10"), (206, "bytes 2-9/11"), (206, "nonsense"), (416, "bytes */10")] {
        let descriptor = blob(b"0123456789");
        let mut scenario = blobs(std::slice::from_ref(&descriptor), 1);
        let job = open(&mut scenario, 2);
        scenario.get(&blob_url(&descriptor));
        scenario.head(job, status, &[("Content-Range", range)]);
        if status == 206 {
            assert!(matches!(scenario.effect(), Effect::Refuse { .. }));
        }
        let (_, request) = scenario.get(&blob_url(&descriptor));
        assert_eq!(request.headers.get("Range"), None, "{status} {range}");
    }
}

#[test]
fn a_body_that_stays_short_ends() {
    let descriptor = blob(b"0123456789");
    let mut scenario = blobs(std::slice::from_ref(&descriptor), 1);
    let job = open(&mut scenario, 0);
    for attempt in 1..=RetryPolicy::default().attempts {
        scenario.get(&blob_url(&descriptor));
        scenario.head(job, 200, &[]);
        assert!(matches!(scenario.effect(), Effect::Accept { .. }));
        scenario.input(Input::BodyEnd { job, held: 4 });
        if attempt < RetryPolicy::default().attempts {
            scenario.sleep();
        }
    }
    let error = scenario.error();
    assert!(matches!(error, PullError::Short { held: 4, size: 10, .. }), "{error}");
    assert_eq!(error.class(), Class::Network);
}

#[test]
fn a_presigned_target_that_refuses_is_asked_for_anew_at_the_registry_once() {
    let descriptor = blob(b"0123456789");
    let mut scenario = blobs(std::slice::from_ref(&descriptor), 1);
    let job = open(&mut scenario, 0);
    for _ in 0..2 {
        scenario.get(&blob_url(&descriptor));
        scenario.head(job, 307, &[("Location", "https://cdn.example/x")]);
        scenario.get("https://cdn.example/x");
        scenario.head(job, 403, &[]);
    }
    assert!(matches!(scenario.error(), PullError::Denied { status: 403, .. }));
}

#[test]
fn several_run_at_once_and_a_repeated_digest_waits_for_the_store() {
    let (one, two) = (blob(b"one"), blob(b"two"));
    let mut scenario = blobs(&[one.clone(), one.clone(), two.clone()], 3);
    let Effect::Open { job: first, index: 0, .. } = scenario.effect() else { panic!("the first is opened") };
    let Effect::Open { job: other, index: 2, .. } = scenario.effect() else { panic!("the third is opened") };
    for (job, descriptor) in [(first, &one), (other, &two)] {
        scenario.input(Input::Opened { job, stored: Stored::Partial { length: 0 } });
        scenario.get(&blob_url(descriptor));
    }
    for (job, held) in [(other, 3), (first, 3)] {
        scenario.head(job, 200, &[]);
        assert!(matches!(scenario.effect(), Effect::Accept { .. }));
        scenario.input(Input::BodyEnd { job, held });
        assert!(matches!(scenario.effect(), Effect::Seal { .. }));
        scenario.input(Input::Sealed { job, verdict: Verdict::Verified });
    }
    let Effect::Open { job, index: 1, .. } = scenario.effect() else { panic!("the repeated one comes last") };
    scenario.input(Input::Opened { job, stored: Stored::Complete });
    scenario.input(Input::Sealed { job, verdict: Verdict::Verified });
    assert_eq!(scenario.end().expect("transferred"), BlobOutcome { fetched: 2, stored: 1 });
}

#[test]
fn wrong_bytes_that_were_stored_are_stale_and_fetched_ones_final() {
    for (length, stale) in [(3, true), (0, false)] {
        let descriptor = blob(b"0123456789");
        let mut scenario = blobs(std::slice::from_ref(&descriptor), 1);
        let job = open(&mut scenario, length);
        scenario.get(&blob_url(&descriptor));
        scenario.head(job, 200, &[]);
        scenario.effect();
        scenario.input(Input::BodyEnd { job, held: 10 });
        scenario.effect();
        scenario.input(Input::Sealed { job, verdict: Verdict::Wrong });
        assert_eq!(matches!(scenario.error(), PullError::Stale { .. }), stale);
    }
}

#[test]
fn a_token_that_expires_between_attempts_is_renewed() {
    let descriptor = blob(b"0123456789");
    let mut scenario = blobs(std::slice::from_ref(&descriptor), 1);
    let job = open(&mut scenario, 0);
    let challenge = ("WWW-Authenticate", r#"Bearer realm="https://auth.example/token""#);
    scenario.get(&blob_url(&descriptor));
    scenario.head(job, 401, &[challenge]);
    for round in 0..3 {
        let Effect::Fetch { job: token, .. } = scenario.effect() else { panic!("a token is asked for") };
        scenario.respond(token, 200, &[], format!(r#"{{"token":"t{round}","expires_in":60}}"#).as_bytes());
        let (_, request) = scenario.get(&blob_url(&descriptor));
        assert_eq!(request.headers.get("Authorization"), Some(format!("Bearer t{round}").as_str()));
        scenario.head(job, 200, &[]);
        scenario.effect();
        scenario.now = Time(scenario.now.0 + 100_000);
        scenario.input(broken(job, round + 1));
        scenario.sleep();
    }
}

#[test]
fn tags_follow_the_pages_and_never_in_a_circle() {
    let mut scenario = Scenario::new(session("registry.example/a"), Tags::new());
    let (job, _) = scenario.get("https://registry.example/v2/a/tags/list?n=1000");
    let link = ("Link", r#"</v2/a/tags/list?last=b>; rel="next""#);
    scenario.respond(job, 200, &[link], br#"{"name":"a","tags":["a","b"]}"#);
    let (job, _) = scenario.get("https://registry.example/v2/a/tags/list?last=b");
    scenario.respond(job, 200, &[], br#"{"name":"a","tags":null}"#);
    assert_eq!(scenario.end().expect("listed"), ["a", "b"]);

    let mut scenario = Scenario::new(session("registry.example/a"), Tags::new());
    let (job, _) = scenario.get("https://registry.example/v2/a/tags/list?n=1000");
    scenario.respond(job, 200, &[link], br#"{"tags":[]}"#);
    let (job, _) = scenario.get("https://registry.example/v2/a/tags/list?last=b");
    scenario.respond(job, 200, &[link], br#"{"tags":[]}"#);
    assert!(matches!(scenario.error(), PullError::Protocol { .. }));
}

#[test]
fn cancelling_aborts_what_is_under_way() {
    let descriptor = blob(b"0123456789");
    let mut scenario = blobs(std::slice::from_ref(&descriptor), 1);
    let job = open(&mut scenario, 0);
    scenario.get(&blob_url(&descriptor));
    scenario.pull.cancel();
    assert!(matches!(scenario.effect(), Effect::Abort { job: aborted } if aborted == job));
    assert!(matches!(scenario.error(), PullError::Cancelled));
}
