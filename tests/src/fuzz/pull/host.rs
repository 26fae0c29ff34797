//! A host that carries out effects as the script has it, and watches what it is asked to do.

#![expect(clippy::wildcard_enum_match_arm, reason = "most effects need only few of these steps")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use oci_fetcher_core::digest::Digest;
use oci_fetcher_core::pull::{
    Effect, Failure, FailureKind, Input, JobId, Next, Note, Plan, Pull, PullError, RetryPolicy, Stored, Verdict,
};
use oci_fetcher_core::request::{Headers, Request, ResponseHead};
use oci_fetcher_core::time::Time;
use oci_fetcher_core::token::{Challenge, challenges};
use oci_fetcher_core::url::{Origin, Scheme, Url};

use super::super::challenge::{holds_secret, shows_secret};
use super::super::texts::is_harmless;
use super::script::Script;
use super::served::served;

/// The host's state.
pub(super) struct Host<'d> {
    registry: Url,
    script: Script<'d>,
    now: Time,
    /// What has to be answered.
    pending: VecDeque<Effect>,
    /// Bytes in each sink, and the size of its blob.
    sinks: BTreeMap<JobId, (u64, u64)>,
    aborted: Vec<JobId>,
    /// Where the registry itself has sent its clients for tokens.
    realms: BTreeSet<Origin>,
}

impl<'d> Host<'d> {
    pub(super) fn new(registry: Url, script: Script<'d>) -> Self {
        let (pending, sinks, aborted, realms) = Default::default();
        Self { registry, script, now: Time(0), pending, sinks, aborted, realms }
    }

    /// Runs a plan to its end, which must come.
    pub(super) fn run<P: Plan>(&mut self, pull: &mut Pull<P>) -> Result<P::Outcome, PullError> {
        for _ in 0..MOST_STEPS {
            match pull.poll() {
                Next::Do(effect) => self.take(effect),
                Next::Wait(until) => self.wait(pull, until),
                Next::Done(result) => {
                    assert!(matches!(pull.poll(), Next::Wait(None)), "it goes on after its end");
                    self.pending.iter().for_each(|effect| assert!(effect.job().is_some(), "{effect:?}"));
                    return result;
                }
            }
        }
        panic!("it does not end");
    }

    /// Takes note of an effect.
    fn take(&mut self, effect: Effect) {
        match &effect {
            Effect::Fetch { request, .. } => self.check(request),
            Effect::Stream { job, request } => {
                self.check(request);
                let held = self.sinks.get(job).map_or(0, |(held, _)| *held);
                let range = request.headers.get("range");
                assert!(range.is_none_or(|range| range == format!("bytes={held}-")), "{range:?} with {held} held");
            }
            Effect::Accept { job, skip } => {
                let (held, _) = self.sinks.get(job).expect("a body for a sink");
                assert!(skip <= held, "{skip} bytes are skipped of {held}");
            }
            Effect::Keep { digest, bytes } => {
                let algorithm = digest.algorithm().expect("one that was computed");
                assert_eq!(Digest::of(algorithm, bytes), *digest, "bytes that were not verified are kept");
            }
            Effect::Note(Note::Request { request: text } | Note::Warning { text }) => {
                assert!(is_harmless(text), "{text:?}")
            }
            Effect::Note(Note::Retry { request, reason, pause }) => {
                assert!(is_harmless(request) && is_harmless(reason), "{request:?} {reason:?}");
                assert!(*pause <= RetryPolicy::default().longest_retry_after, "a pause of {pause}");
            }
            Effect::Abort { job } => {
                self.pending.retain(|pending| pending.job() != Some(*job));
                self.aborted.push(*job);
            }
            _ => {}
        }
        match &effect {
            Effect::Open { job, descriptor, .. } => drop(self.sinks.insert(*job, (0, descriptor.size))),
            Effect::Abort { .. } | Effect::Refuse { .. } => return,
            _ => {}
        }
        if effect.job().is_some() {
            self.pending.push_back(effect);
        }
    }

    /// Checks where a request goes, and what goes with it.
    fn check(&self, request: &Request) {
        let (url, registry) = (&request.url, &self.registry);
        assert!(!shows_secret(&format!("{request:?}")), "a secret shows");
        assert!(url.scheme() == Scheme::Https || registry.scheme() == Scheme::Http, "{url} after {registry}");
        let is_registry = url.origin() == registry.origin();
        assert!(is_registry || url.reach().may_be_named_by(registry.reach(), url.scheme()), "{url} is out of reach");
        if holds_secret(request) {
            let is_realm = self.realms.contains(&url.origin());
            let may_be_plain = registry.is_loopback() && url.is_loopback();
            assert!(is_registry || (is_realm && (url.scheme() == Scheme::Https || may_be_plain)), "a secret for {url}");
        }
    }

    /// Answers something, or lets time pass.
    fn wait<P: Plan>(&mut self, pull: &mut Pull<P>, until: Option<Time>) {
        if let Some(job) = self.aborted.pop() {
            // Comes too late, and must change nothing.
            pull.handle(Input::Missing { job }, self.now);
            pull.handle(Input::BodyEnd { job, held: 1 }, self.now);
        }
        let effect = if self.pending.len() > 1 && self.script.decision() % 2 == 1 {
            self.pending.pop_back()
        } else {
            self.pending.pop_front()
        };
        match (effect, until) {
            (Some(effect), _) => {
                for input in self.answer(effect) {
                    pull.handle(input, self.now);
                }
            }
            (None, Some(until)) => {
                assert!(until > self.now, "it waits for what has come");
                self.now = until;
                pull.handle(Input::Tick, self.now);
            }
            (None, None) => panic!("it waits for nothing"),
        }
    }

    fn answer(&mut self, effect: Effect) -> Vec<Input> {
        let goes_well = self.script.decision() < 128;
        match effect {
            Effect::LookUp { job, digest, .. } => vec![match (goes_well, served().find(digest.as_str())) {
                (false, Some(document)) if self.script.choice(2) == 0 => {
                    Input::Found { job, bytes: document.bytes.to_vec() }
                }
                (false, _) if self.script.choice(2) == 1 => Input::Found { job, bytes: self.script.bytes().to_vec() },
                _ => Input::Missing { job },
            }],
            Effect::Recall { job, .. } if goes_well => vec![Input::Missing { job }],
            Effect::Recall { job, .. } => {
                let digest = served().pick(self.script.choice(8)).digest.clone();
                vec![Input::Recalled { job, digest }]
            }
            Effect::Fetch { job, request, limit } => self.respond(job, &request, goes_well, Some(limit)),
            Effect::Stream { job, request } => self.respond(job, &request, goes_well, None),
            Effect::Open { job, descriptor, .. } => {
                let length = [0, 1, descriptor.size][if goes_well { 0 } else { self.script.choice(3) }];
                if !goes_well && self.script.choice(2) == 1 {
                    let opened = Input::Opened { job, stored: Stored::Complete };
                    return vec![opened, Input::Sealed { job, verdict: self.verdict() }];
                }
                self.sinks.insert(job, (length, descriptor.size));
                vec![Input::Opened { job, stored: Stored::Partial { length } }]
            }
            Effect::Accept { job, .. } => {
                let (held, size) = self.sinks.get_mut(&job).expect("a body for a sink");
                *held = if goes_well { *size } else { (*held + 1).min(*size) };
                let held = *held;
                vec![match (goes_well, self.script.choice(3)) {
                    (true, _) | (false, 0) => Input::BodyEnd { job, held },
                    (false, 1) => Input::Sealed { job, verdict: Verdict::Wrong },
                    (false, _) => self.failure(job, held),
                }]
            }
            Effect::Seal { job } if goes_well => vec![Input::Sealed { job, verdict: Verdict::Verified }],
            Effect::Seal { job } => vec![Input::Sealed { job, verdict: self.verdict() }],
            other => panic!("{other:?} needs no answer"),
        }
    }

    fn verdict(&mut self) -> Verdict {
        [Verdict::Wrong, Verdict::HostFailed, Verdict::Verified][self.script.choice(3)].clone()
    }

    fn failure(&mut self, job: JobId, held: u64) -> Input {
        let kinds = [FailureKind::Broken, FailureKind::TimedOut, FailureKind::UnknownHost, FailureKind::TooLarge];
        let kind = kinds[self.script.choice(kinds.len())];
        Input::Failed { job, failure: Failure { kind, message: "scripted".to_owned() }, held }
    }

    /// Answers a request: rightly, with a failure, or with what the script has.
    fn respond(&mut self, job: JobId, request: &Request, goes_well: bool, limit: Option<u64>) -> Vec<Input> {
        let held = self.sinks.get(&job).map_or(0, |(held, _)| *held);
        if !goes_well && self.script.choice(4) == 0 {
            return vec![self.failure(job, held)];
        }
        let (mut status, mut headers, mut body) = well(request);
        if !goes_well {
            status = STATUSES[self.script.choice(STATUSES.len())];
            for _ in 0..self.script.choice(4) {
                let (name, value) = self.field(request);
                headers.append(name, &value);
            }
            match self.script.choice(4) {
                0 => {}
                1 => body = self.script.bytes().to_vec(),
                2 => body = served().pick(self.script.choice(8)).bytes.to_vec(),
                _ => body.clear(),
            }
        }
        if request.url.origin() == self.registry.origin() && status == 401 {
            for challenge in challenges(&headers) {
                if let Challenge::Bearer(challenge) = challenge
                    && let Ok(realm) = Url::parse(&challenge.realm)
                {
                    self.realms.insert(realm.origin());
                }
            }
        }
        let head = ResponseHead { status, headers };
        vec![match limit {
            Some(limit) if body.len() as u64 > limit => {
                let failure = Failure { kind: FailureKind::TooLarge, message: "scripted".to_owned() };
                Input::Failed { job, failure, held }
            }
            Some(_) => Input::Response { job, head, body },
            None => Input::Head { job, head, error: if status < 400 { Vec::new() } else { body } },
        }]
    }

    /// Returns a field that means something to the machine.
    fn field(&mut self, request: &Request) -> (&'static str, String) {
        let number = self.script.choice(FIELDS.len() + 3);
        match FIELDS.get(number) {
            Some((name, value)) => (name, (*value).to_owned()),
            None => match number - FIELDS.len() {
                0 => ("location", request.url.as_str().to_owned()),
                1 => ("www-authenticate", self.script.text()),
                _ => (NAMES[self.script.choice(NAMES.len())], self.script.text()),
            },
        }
    }
}

/// More than any plan needs with the limits of this target.
const MOST_STEPS: usize = 20_000;

const STATUSES: [u16; 20] =
    [200, 401, 404, 307, 206, 302, 403, 429, 503, 500, 416, 204, 304, 405, 408, 400, 301, 425, 501, 999];
const NAMES: [&str; 6] = ["location", "link", "content-range", "warning", "content-type", "docker-content-digest"];
const FIELDS: [(&str, &str); 22] = [
    ("www-authenticate", r#"Bearer realm="https://auth.example/token",service="s",scope="repository:app:pull""#),
    ("www-authenticate", r#"Bearer realm="http://auth.example/token""#),
    ("www-authenticate", r#"Bearer realm="http://127.0.0.1:5001/token""#),
    ("www-authenticate", r#"Bearer realm="https://169.254.169.254/token""#),
    ("www-authenticate", r#"Basic realm="r""#),
    ("location", "https://cdn.example/x?signature=1"),
    ("location", "http://cdn.example/x"),
    ("location", "//169.254.169.254/latest/meta-data"),
    ("location", "https://127.0.0.1/x"),
    ("location", "/v2/other/blobs/x"),
    ("retry-after", "1"),
    ("retry-after", "18446744073709551616"),
    ("link", r#"<?last=b>; rel="next""#),
    ("link", r#"<?last=c>; rel="next""#),
    ("link", r#"<https://evil.example/>; rel="next""#),
    ("content-range", "bytes 0-4/5"),
    ("content-range", "bytes 1-4/5"),
    ("content-range", "bytes */5"),
    ("content-type", "application/vnd.oci.image.index.v1+json"),
    ("content-type", "text/html"),
    ("content-encoding", "gzip"),
    ("warning", "299 - \"\u{1b}[2Jgone\""),
];

/// What a sound registry or token endpoint answers.
fn well(request: &Request) -> (u16, Headers, Vec<u8>) {
    let (path, mut headers) = (request.url.path(), Headers::new());
    let last = path.rsplit('/').next().unwrap_or_default();
    let document =
        if path.contains("/manifests/") && !last.contains(':') { Some(&served().index) } else { served().find(last) };
    if let Some(document) = document {
        headers.append("content-type", document.media_type.as_str());
        headers.append("docker-content-digest", document.digest.as_str());
        return (200, headers, document.bytes.to_vec());
    }
    if path.ends_with("/token") {
        return (200, headers, br#"{"token":"granted","expires_in":60}"#.to_vec());
    }
    if path.ends_with("/tags/list") {
        return (200, headers, br#"{"name":"app","tags":["1","2"]}"#.to_vec());
    }
    if path.contains("/referrers/") {
        headers.append("content-type", "application/vnd.oci.image.index.v1+json");
        return (200, headers, br#"{"schemaVersion":2,"manifests":[]}"#.to_vec());
    }
    if path.contains("/blobs/") || path == "/l" {
        if let Some(start) = request.headers.get("range").and_then(|range| range.strip_prefix("bytes=")) {
            headers.append("content-range", &format!("bytes {start}4/5"));
            return (206, headers, Vec::new());
        }
        return (200, headers, b"layer".to_vec());
    }
    (404, headers, Vec::new())
}
