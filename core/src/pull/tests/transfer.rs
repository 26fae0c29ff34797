//! Blobs.

use super::*;

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
        if stale {
            assert!(matches!(scenario.effect(), Effect::Discard { .. }));
        }
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
fn a_blobs_size_is_told_by_head_and_by_get_where_head_is_refused_or_does_not_tell() {
    let descriptor = blob(b"0123456789");
    let size = |status, headers: &[(&str, &str)]| {
        let plan = BlobSize::new(descriptor.digest.clone());
        let mut scenario = Scenario::new(session("registry.example/a:1"), plan);
        let (job, _) = scenario.request(Method::Head, &blob_url(&descriptor));
        scenario.respond(job, status, headers, b"");
        scenario
    };
    assert_eq!(size(200, &[("Content-Length", "10")]).end().expect("told"), 10);
    for (status, headers) in [(403, &[][..]), (405, &[]), (200, &[]), (200, &[("Content-Length", "many")])] {
        let mut scenario = size(status, headers);
        let (job, request) = scenario.get(&blob_url(&descriptor));
        assert_eq!(request.headers.get("Accept-Encoding"), Some("identity"));
        scenario.head(job, 307, &[("Location", "https://cdn.example/x")]);
        let (job, _) = scenario.get("https://cdn.example/x");
        scenario.head(job, 200, &[("Content-Length", "10")]);
        assert_eq!(scenario.end().expect("told"), 10, "{status}");
    }
    // What is no fault of HEAD is final.
    assert!(matches!(size(404, &[]).error(), PullError::NotFound { .. }));
    assert!(matches!(size(401, &[]).effect(), Effect::Fetch { .. }), "the version check is asked for a challenge");
    let mut scenario = size(405, &[]);
    let (job, _) = scenario.get(&blob_url(&descriptor));
    scenario.head(job, 200, &[]);
    assert!(matches!(scenario.error(), PullError::Protocol { .. }));
    let mut scenario = size(405, &[]);
    let (job, _) = scenario.get(&blob_url(&descriptor));
    scenario.head(job, 403, &[]);
    assert!(matches!(scenario.error(), PullError::Denied { status: 403, .. }));

    let offline = Session::new(&reference("registry.example/a:1"), Network::Offline);
    let mut scenario = Scenario::new(offline, BlobSize::new(descriptor.digest.clone()));
    assert!(matches!(scenario.error(), PullError::NotStored { .. }));
}

#[test]
fn a_layer_that_the_registry_has_lost_is_told_from_a_wrong_name() {
    let descriptor = blob(b"0123456789");
    let mut scenario = blobs(std::slice::from_ref(&descriptor), 1);
    let job = open(&mut scenario, 0);
    scenario.get(&blob_url(&descriptor));
    scenario.head(job, 404, &[]);
    let error = scenario.error();
    assert_eq!((error.code(), error.class()), ("part-missing", Class::NotFound), "{error}");
    assert!(error.to_string().contains(descriptor.digest.as_str()), "{error}");
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

#[test]
fn a_peer_that_drips_is_left_once_the_session_took_its_time() {
    let list = [blob(b"0123456789"), blob(b"abcdefghij")];
    let limits = Limits { wall_seconds: 60, ..Limits::default() };
    let plan = |list: &[Arc<Descriptor>]| Blobs::new(list.to_vec(), NonZeroUsize::MIN);
    let mut scenario = Scenario::new(session("registry.example/a:1").limits(limits), plan(&list[..1]));
    let job = open(&mut scenario, 0);
    scenario.get(&blob_url(&list[0]));
    scenario.now = Time(40_000);
    scenario.head(job, 200, &[]);
    assert!(matches!(scenario.effect(), Effect::Accept { .. }));
    scenario.input(Input::BodyEnd { job, held: 10 });
    assert!(matches!(scenario.effect(), Effect::Seal { .. }));
    scenario.input(Input::Sealed { job, verdict: Verdict::Verified });
    scenario.end().expect("within its time");
    // The next plan has what the first one left.
    let session = scenario.pull.into_session();
    let mut scenario = Scenario { pull: Pull::new(session, plan(&list[1..]), Time(100_000)), ..scenario };
    scenario.now = Time(100_000);
    let job = open(&mut scenario, 0);
    scenario.get(&blob_url(&list[1]));
    scenario.head(job, 200, &[]);
    assert!(matches!(scenario.effect(), Effect::Accept { .. }));
    assert_eq!(scenario.sleep(), 20_000, "nothing but the end is waited for");
    let error = scenario.error();
    assert_eq!((error.class(), error.code()), (Class::Refused, "limit"));
    assert!(error.advice().is_some_and(|advice| advice.contains("--max-wall-seconds")), "{error}");
}
