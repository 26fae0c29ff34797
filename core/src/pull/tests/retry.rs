//! When requests are tried again, after how long, and when they are given up.

use super::*;

const URL: &str = "https://registry.example/v2/a/manifests/1";

fn resolve(policy: RetryPolicy) -> Scenario<Resolve> {
    let text = "registry.example/a:1";
    let session = session(text).retry(policy).seed(1);
    let mut scenario = Scenario::new(session, Resolve::new(&reference(text), Want::Manifest));
    scenario.nothing_stored();
    scenario
}

/// Fails the request once, and returns the pause before the next.
fn pause_after(scenario: &mut Scenario<Resolve>, status: u16, headers: &[(&str, &str)]) -> u64 {
    let (job, _) = scenario.get(URL);
    scenario.respond(job, status, headers, b"");
    scenario.sleep()
}

#[test]
fn pauses_double_with_jitter_until_the_attempts_are_used_up() {
    let mut scenario = resolve(RetryPolicy::default());
    for longest in [500, 1_000, 2_000, 4_000, 8_000] {
        let pause = pause_after(&mut scenario, 503, &[]);
        assert!((longest / 2..=longest).contains(&pause), "{pause} of {longest}");
    }
    let (job, _) = scenario.get(URL);
    scenario.respond(job, 503, &[], b"");
    let error = scenario.error();
    assert!(matches!(error, PullError::Status { status: 503, attempts: 6, .. }), "{error}");
    // Whoever watches was told of each request and each pause, with the reason.
    let retries: Vec<_> = scenario.notes.iter().filter(|note| matches!(note, Note::Retry { .. })).collect();
    assert_eq!(retries.len(), 5);
    for note in retries {
        let Note::Retry { request, reason, .. } = note else { continue };
        assert_eq!((request.as_str(), reason.as_str()), (format!("GET {URL}").as_str(), "status 503"));
    }
    assert_eq!(scenario.notes.iter().filter(|note| matches!(note, Note::Request { .. })).count(), 6);
}

#[test]
fn jitter_comes_from_the_seed() {
    let pauses = |seed| {
        let text = "registry.example/a:1";
        let mut scenario = Scenario::new(session(text).seed(seed), Resolve::new(&reference(text), Want::Manifest));
        scenario.nothing_stored();
        [(); 3].map(|()| pause_after(&mut scenario, 500, &[]))
    };
    assert_eq!(pauses(1), pauses(1));
    assert_ne!(pauses(1), pauses(2));
}

#[test]
fn only_what_may_pass_is_tried_again() {
    for status in [408, 425, 429, 500, 502, 503, 504, 599] {
        assert!(pause_after(&mut resolve(RetryPolicy::default()), status, &[]) > 0, "{status}");
    }
    for status in [400, 402, 403, 404, 405, 406, 409, 410, 412, 418, 451, 600] {
        let mut scenario = resolve(RetryPolicy::default());
        let (job, _) = scenario.get(URL);
        scenario.respond(job, status, &[("Retry-After", "1")], b"");
        scenario.error();
    }
}

#[test]
fn retry_after_counts_in_seconds_and_as_a_date_up_to_a_cap() {
    let date = ("Date", "Sun, 06 Nov 1994 08:49:37 GMT");
    for (headers, pause) in [
        (&[("Retry-After", "30")][..], 30_000..=30_000),
        // Held against the server's own clock.
        (&[("Retry-After", "Sun, 06 Nov 1994 08:50:37 GMT"), date], 60_000..=60_000),
        (&[("Retry-After", "86400")], 120_000..=120_000),
        (&[("Retry-After", "18446744073709551616")], 120_000..=120_000),
        (&[("Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT"), date], 120_000..=120_000),
        // Never at once, whatever a server says.
        (&[("Retry-After", "0")], 250..=500),
        (&[("Retry-After", "-1")], 250..=500),
        (&[("Retry-After", "soon")], 250..=500),
        (&[("Retry-After", "Sun, 06 Nov 1994 08:48:37 GMT"), date], 250..=500),
    ] {
        for status in [429, 503] {
            let told = pause_after(&mut resolve(RetryPolicy::default()), status, headers);
            assert!(pause.contains(&told), "{status} {headers:?}: {told}");
        }
    }
}

#[test]
fn time_runs_out_before_attempts_do() {
    let policy = RetryPolicy { attempts: u32::MAX, patience: 600_000, ..RetryPolicy::default() };
    let mut scenario = resolve(policy.clone());
    let mut requests = 0;
    let error = loop {
        let (job, _) = scenario.get(URL);
        requests += 1;
        scenario.respond(job, 429, &[("Retry-After", "120")], b"");
        if scenario.now.0 + 120_000 > policy.patience {
            break scenario.error();
        }
        scenario.sleep();
    };
    assert_eq!((requests, scenario.now), (6, Time(600_000)));
    assert!(matches!(error, PullError::Status { status: 429, attempts: 6, .. }), "{error}");
    // A registry that answers late uses it up as well.
    let mut scenario = resolve(RetryPolicy { patience: 100_000, ..policy });
    for attempt in 0..2 {
        let (job, _) = scenario.get(URL);
        scenario.now = scenario.now.after(60_000);
        let failure = Failure { kind: FailureKind::TimedOut, message: "no answer".to_owned() };
        scenario.input(Input::Failed { job, failure, held: 0 });
        if attempt == 0 {
            scenario.sleep();
        }
    }
    assert!(matches!(scenario.error(), PullError::Exchange { attempts: 2, .. }));
}

#[test]
fn what_was_well_spent_does_not_count() {
    let size = 3 * PROGRESS_BYTES;
    let digest = Digest::of(Algorithm::Sha256, b"never checked");
    let blob = Descriptor::new(MediaType::parse("application/octet-stream"), digest, size);
    let policy = RetryPolicy { attempts: 2, patience: 10_000, ..RetryPolicy::default() };
    let plan = Blobs::new(vec![Arc::new(blob.clone())], NonZeroUsize::MIN);
    let mut scenario = Scenario::new(session("registry.example/a:1").retry(policy), plan);
    let Effect::Open { job, .. } = scenario.effect() else { panic!("a sink is opened") };
    scenario.input(Input::Opened { job, stored: Stored::Partial { length: 0 } });
    let url = format!("https://registry.example/v2/a/blobs/{}", blob.digest);
    // An hour for each mebibyte, broken off each time: slow, but on its way.
    for held in [1, 2].map(|times| times * PROGRESS_BYTES) {
        scenario.get(&url);
        if held == PROGRESS_BYTES {
            scenario.head(job, 200, &[]);
        } else {
            let range = format!("bytes {}-{}/{size}", held - PROGRESS_BYTES, size - 1);
            scenario.head(job, 206, &[("Content-Range", &range)]);
        }
        scenario.effect();
        scenario.now = scenario.now.after(3_600_000);
        scenario.input(Input::Failed { job, failure: broken(), held });
        scenario.sleep();
    }
    // A few bytes are none.
    let held = 2 * PROGRESS_BYTES;
    scenario.get(&url);
    scenario.head(job, 206, &[("Content-Range", &format!("bytes {held}-{}/{size}", size - 1))]);
    scenario.effect();
    scenario.now = scenario.now.after(5_000);
    scenario.input(Input::Failed { job, failure: broken(), held: held + 1 });
    assert!(matches!(scenario.error(), PullError::Exchange { .. }));
}

fn broken() -> Failure {
    Failure { kind: FailureKind::Broken, message: "reset".to_owned() }
}

#[test]
fn parts_that_were_not_asked_for_end_a_transfer() {
    let bytes = b"0123456789";
    let blob = Descriptor::new(
        MediaType::parse("application/octet-stream"),
        Digest::of(Algorithm::Sha256, bytes),
        bytes.len() as u64,
    );
    let url = format!("https://registry.example/v2/a/blobs/{}", blob.digest);
    for (held, requests) in [(4, 2), (0, 1)] {
        let plan = Blobs::new(vec![Arc::new(blob.clone())], NonZeroUsize::MIN);
        let mut scenario = Scenario::new(session("registry.example/a:1"), plan);
        let Effect::Open { job, .. } = scenario.effect() else { panic!("a sink is opened") };
        scenario.input(Input::Opened { job, stored: Stored::Partial { length: held } });
        for request in 1..=requests {
            scenario.get(&url);
            scenario.head(job, 206, &[("Content-Range", "bytes 7-9/10")]);
            if request < requests {
                assert!(matches!(scenario.effect(), Effect::Refuse { .. }));
            }
        }
        let error = scenario.error();
        assert_eq!((error.code(), error.class()), ("protocol", Class::Network), "{error}");
    }
}

#[test]
fn one_byte_at_a_time_is_no_progress() {
    let blob = Descriptor::new(
        MediaType::parse("application/octet-stream"),
        Digest::of(Algorithm::Sha256, b"never checked"),
        1 << 40,
    );
    let plan = Blobs::new(vec![Arc::new(blob)], NonZeroUsize::MIN);
    let mut scenario = Scenario::new(session("registry.example/a:1"), plan);
    let Effect::Open { job, .. } = scenario.effect() else { panic!("a sink is opened") };
    scenario.input(Input::Opened { job, stored: Stored::Partial { length: 0 } });
    for held in 0..u64::from(RetryPolicy::default().attempts) {
        let Effect::Stream { .. } = scenario.effect() else { panic!("a request") };
        match held {
            0 => scenario.head(job, 200, &[]),
            _ => scenario.head(job, 206, &[("Content-Range", &format!("bytes {held}-{held}/{}", 1_u64 << 40))]),
        }
        assert!(matches!(scenario.effect(), Effect::Accept { skip: 0, .. }));
        scenario.input(Input::BodyEnd { job, held: held + 1 });
        if held + 1 < u64::from(RetryPolicy::default().attempts) {
            scenario.sleep();
        }
    }
    assert!(matches!(scenario.error(), PullError::Short { held: 6, .. }));
}

#[test]
fn a_foreign_layer_is_looked_for_at_a_few_places_only() {
    let mut blob =
        Descriptor::new(MediaType::parse("application/octet-stream"), Digest::of(Algorithm::Sha256, b"nowhere"), 7);
    blob.urls = (0..1_000).map(|number| format!("https://cdn.example/{number}")).collect();
    let plan = Blobs::new(vec![Arc::new(blob)], NonZeroUsize::MIN);
    let mut scenario = Scenario::new(session("registry.example/a:1").credential(password()), plan);
    let Effect::Open { job, .. } = scenario.effect() else { panic!("a sink is opened") };
    scenario.input(Input::Opened { job, stored: Stored::Partial { length: 0 } });
    for place in 0..=8 {
        let Effect::Stream { request, .. } = scenario.effect() else { panic!("a request") };
        let host = if place == 0 { "registry.example" } else { "cdn.example" };
        assert_eq!((request.url.host(), request.headers.get("authorization")), (host, None));
        scenario.head(job, 404, &[]);
    }
    assert_eq!(scenario.error().code(), "part-missing");
}
