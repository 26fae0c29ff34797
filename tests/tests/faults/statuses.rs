//! Registries that answer in good order, and not with what was asked for.

use std::time::{Duration, Instant};

use oci_fetcher::{Class, Deadlines, Explain, TlsFiles};
use oci_fetcher_tests::place::Place;
use oci_fetcher_tests::registry::{Action, ExpiresIn, Issuer, Method, Options, RetryAfter, Rule, http_date};
use oci_fetcher_tests::tls::{Authority, Tls};

use crate::puller::Puller;

/// What a pull may come to.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    Succeeds,
    Fails(Class),
}
use Outcome::{Fails, Succeeds};

/// Requests of a pull: for the manifest, and for blobs.
const REQUESTS: [&str; 2] = ["/v2/app/manifests/*", "/v2/app/blobs/*"];

/// Attempts at one request.
const ATTEMPTS: u32 = 3;

/// Answers each request with each status, once and always.
#[expect(clippy::print_stdout, reason = "the number of cases is what this suite is for")]
pub(crate) fn answers() {
    let mut broken = Vec::new();
    let mut cases = 0;
    let mut check = |puller: &Puller, name: String, outcome: Outcome| {
        cases += 1;
        broken.extend(attempt(puller, outcome).into_iter().map(|what| format!("{name}: {what}")));
    };
    let puller = Puller::new();
    for path in REQUESTS {
        for (name, action, always) in refusals() {
            let passing = matches!(always, Fails(Class::Network)) && name != "418";
            for (times, outcome) in [(1, if passing { Succeeds } else { always }), (usize::MAX, always)] {
                puller.clear();
                puller.registry.add_rule(Rule::on(Method::Any, path).times(times).then(action.clone()));
                check(&puller, format!("{path} {name} {times} times"), outcome);
            }
        }
    }
    // What was stored of a blob is skipped where a range is answered with the whole.
    for length in [1, 60] {
        puller.clear();
        let blobs = || Rule::on(Method::Get, REQUESTS[1]);
        puller.registry.add_rule(blobs().without_header("range").times(2).then(Action::CutBody(length)));
        puller.registry.add_rule(blobs().with_header("range").then(Action::IgnoreRange));
        check(&puller, format!("ranges ignored after {length} bytes"), Succeeds);
    }
    for (name, issuer, rules) in tokens() {
        let puller = Puller::serving(Options::new().tokens(issuer), TlsFiles::default());
        rules.into_iter().for_each(|rule| puller.registry.add_rule(rule));
        check(&puller, name.to_owned(), Succeeds);
    }
    println!("{cases} answers, {} violations", broken.len());
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

fn attempt(puller: &Puller, outcome: Outcome) -> Vec<String> {
    let began = Instant::now();
    let result = puller.pull(ATTEMPTS, Deadlines::default());
    let mut broken = puller.check(result.is_ok());
    match (&result, outcome) {
        (Ok(()), Succeeds) => {}
        (Err(error), Fails(class)) if error.class() == class => {
            if error.advice().is_none() {
                broken.push(format!("P5: no advice: {error}"));
            }
        }
        (Ok(()), Fails(_)) => broken.push(format!("P5: it succeeded, {outcome:?} was expected")),
        (Err(error), _) => broken.push(format!("P5: {:?}: {error}; {outcome:?} was expected", error.class())),
    }
    if began.elapsed() > LONGEST {
        broken.push(format!("P6: {:?}", began.elapsed()));
    }
    puller.registry.forget_rules();
    let again = puller.pull(1, Deadlines::default());
    if let Err(error) = &again {
        broken.push(format!("P3: {error}"));
    }
    broken.extend(puller.check(again.is_ok()));
    broken
}

/// Some attempts, each after a pause of at most 50 ms.
const LONGEST: Duration = Duration::from_secs(10);

/// Lists refusals, with what comes of them where they do not pass.
fn refusals() -> Vec<(String, Action, Outcome)> {
    let refuse = |status| Action::Refuse(status, RetryAfter::Absent);
    let mut refusals: Vec<(String, Action, Outcome)> = vec![
        ("401".into(), refuse(401), Fails(Class::Authentication)),
        ("403".into(), refuse(403), Fails(Class::Authentication)),
        ("404".into(), refuse(404), Fails(Class::NotFound)),
        ("418".into(), refuse(418), Fails(Class::Network)),
    ];
    for status in [408, 425, 429, 500, 502, 503, 504, 599] {
        refusals.push((status.to_string(), refuse(status), Fails(Class::Network)));
    }
    for after in [
        RetryAfter::Seconds(0),
        RetryAfter::Seconds(1),
        RetryAfter::Seconds(u64::MAX),
        RetryAfter::Date(Duration::ZERO),
        RetryAfter::Date(DAY),
        RetryAfter::Date(DAY * 36_500),
    ] {
        for status in [429, 503] {
            refusals.push((format!("{status} {after:?}"), Action::Refuse(status, after), Fails(Class::Network)));
        }
    }
    for text in ["yesterday", "-1", "1e9", "99999999999999999999999", "", "Thu, 01 Jan 1970 00:00:00 GMT"] {
        let headers = vec![("Retry-After".to_owned(), text.to_owned())];
        let action = Action::Respond { status: 503, headers, body: Vec::new() };
        refusals.push((format!("503 with Retry-After {text:?}"), action, Fails(Class::Network)));
    }
    refusals
}

const DAY: Duration = Duration::from_secs(86_400);

/// Lists issuers whose tokens do not last, or who say wrong things of that, and clocks that are off.
fn tokens() -> Vec<(&'static str, Issuer, Vec<Rule>)> {
    let issuer = || Issuer::new().anonymous("app");
    let blobs = || Rule::on(Method::Get, REQUESTS[1]);
    let date = |days: i64| {
        let now = std::time::SystemTime::now();
        let date = if days < 0 { now - DAY } else { now + DAY };
        Rule::on(Method::Any, "*").then(Action::SetHeader("Date".into(), http_date(date)))
    };
    vec![
        (
            "a token ends in the middle of a blob",
            issuer(),
            vec![blobs().times(1).then(Action::CutBody(20)).then(Action::RevokeTokens)],
        ),
        (
            "each blob needs a new token",
            issuer(),
            vec![blobs().times(1).then(Action::RevokeTokens), blobs().after(1).times(1).then(Action::RevokeTokens)],
        ),
        ("tokens that say they have ended", issuer().expires_in(ExpiresIn::Seconds(0)), vec![]),
        ("tokens that say they never end", issuer().expires_in(ExpiresIn::Seconds(u64::MAX)), vec![]),
        ("tokens that say nothing", issuer().expires_in(ExpiresIn::Absent), vec![]),
        ("a registry's clock a day behind", issuer(), vec![date(-1)]),
        ("a registry's clock a day ahead", issuer(), vec![date(1)]),
    ]
}

/// Speaks TLS in ways that do not do, and ends it without a word.
#[expect(clippy::print_stdout, reason = "the number of cases is what this suite is for")]
pub(crate) fn tls() {
    let place = Place::new();
    let authority = Authority::new();
    let files = |authority: &Authority, name: &str| TlsFiles {
        ca_file: Some(place.write(name, authority.pem())),
        ..TlsFiles::default()
    };
    let trusted = files(&authority, "ca.pem");
    let mut broken = Vec::new();
    let mut cases = 0;
    for (name, identity, files) in [
        ("an unknown authority", authority.server(), files(&Authority::new(), "other.pem")),
        ("a certificate that ran out", authority.expired_server(), trusted.clone()),
        ("another's name", authority.server_named(&["registry.example"]), trusted.clone()),
    ] {
        let puller = Puller::untried(Options::new().tls(Tls::new(identity)), files);
        let result = puller.pull(ATTEMPTS, Deadlines::default());
        if !result.as_ref().is_err_and(|error| error.class() == Class::Network && error.code() == "tls") {
            broken.push(format!("{name}: {result:?}"));
        }
        broken.extend(puller.check(false).into_iter().map(|what| format!("{name}: {what}")));
        if !puller.registry.requests().is_empty() {
            broken.push(format!("{name}: something was asked"));
        }
        cases += 1;
    }
    let puller = Puller::serving(Options::new().tls(Tls::new(authority.server())), trusted);
    for path in REQUESTS {
        let on = || Rule::on(Method::Get, path);
        for (name, rule, outcome) in [
            ("complete, with a length", on().then(Action::CloseWithoutNotify), Succeeds),
            ("complete, in chunks", on().then(Action::Chunked).then(Action::CloseWithoutNotify), Succeeds),
            ("cut once", on().times(1).then(Action::CutBody(10)), Succeeds),
            ("cut always", on().then(Action::CutBody(10)), Fails(Class::Network)),
            ("cut in chunks", on().then(Action::Chunked).then(Action::CutBody(10)), Fails(Class::Network)),
        ] {
            puller.clear();
            puller.registry.add_rule(rule);
            let broke = attempt(&puller, outcome);
            broken.extend(broke.into_iter().map(|what| format!("{path}, {name}, no close_notify: {what}")));
            cases += 1;
        }
        // Where only the end of the connection ends a body, an end without a word proves nothing.
        for offset in [0, 1, 10, 100] {
            puller.clear();
            puller.registry.add_rule(on().then(Action::UntilClose).then(Action::CutBody(offset)));
            let result = puller.pull(ATTEMPTS, Deadlines::default());
            let refused = |error: &oci_fetcher::Error| matches!(error.class(), Class::Network | Class::Integrity);
            if !result.as_ref().is_err_and(refused) {
                broken.push(format!("{path} until the end, cut at {offset}: {result:?}"));
            }
            broken.extend(puller.check(false));
            cases += 1;
        }
    }
    println!("{cases} ways of TLS, {} violations", broken.len());
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
