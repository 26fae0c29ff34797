//! Carries exchanges through: sends, judges answers, authorizes, redirects, tries again.

use std::collections::VecDeque;
use std::sync::Arc;

use super::auth::Access;
use super::effect::{Effect, Failure, FailureKind, Input, JobId, Note, Stored, Verdict};
use super::error::PullError;
use super::exchange::{Breadth, Exchange, Purpose, State, Stream, Trouble, registry_message};
use super::redirect;
use super::retry::after;
use super::session::Session;
use crate::digest::Digest;
use crate::manifest::{ACCEPT_OCI, Descriptor, MediaType};
use crate::request::{ContentRange, Headers, Method, Request, ResponseHead, retry_after, warnings};
use crate::sorted::SortedMap;
use crate::time::Time;
use crate::url::Url;

/// The exchanges of one plan, and the effects that wait to be carried out.
#[derive(Debug)]
pub struct Engine {
    pub(super) session: Session,
    pub(super) exchanges: SortedMap<JobId, Exchange>,
    /// Jobs that the host works on without an exchange: sinks, look-ups.
    local: SortedMap<JobId, Local>,
    effects: VecDeque<Effect>,
    events: VecDeque<Event>,
    next_job: u64,
    pub(super) now: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Local {
    LookUp,
    Sink,
}

/// What a plan is told.
#[derive(Debug)]
pub enum Event {
    Found { job: JobId, bytes: Vec<u8> },
    Recalled { job: JobId, digest: Digest },
    Missing { job: JobId },
    Answer { job: JobId, head: ResponseHead, body: Vec<u8> },
    Refused { job: JobId, error: PullError },
    Opened { job: JobId, stored: Stored },
    Whole { job: JobId },
    Sealed { job: JobId, verdict: Verdict },
}

impl Event {
    /// Returns the job that it is about.
    pub(super) fn job(&self) -> JobId {
        match self {
            Self::Found { job, .. }
            | Self::Recalled { job, .. }
            | Self::Missing { job }
            | Self::Answer { job, .. }
            | Self::Refused { job, .. }
            | Self::Opened { job, .. }
            | Self::Whole { job }
            | Self::Sealed { job, .. } => *job,
        }
    }

    /// Returns what an exchange came to, if that is what this tells.
    pub(super) fn answer(self) -> Option<Result<(ResponseHead, Vec<u8>), PullError>> {
        match self {
            Self::Answer { head, body, .. } => Some(Ok((head, body))),
            Self::Refused { error, .. } => Some(Err(error)),
            Self::Found { .. }
            | Self::Recalled { .. }
            | Self::Missing { .. }
            | Self::Opened { .. }
            | Self::Whole { .. }
            | Self::Sealed { .. } => None,
        }
    }

    /// Returns what a look-up came to, if that is what this tells.
    pub(super) fn found(self) -> Option<Option<Vec<u8>>> {
        match self {
            Self::Found { bytes, .. } => Some(Some(bytes)),
            Self::Missing { .. } => Some(None),
            Self::Recalled { .. }
            | Self::Answer { .. }
            | Self::Refused { .. }
            | Self::Opened { .. }
            | Self::Whole { .. }
            | Self::Sealed { .. } => None,
        }
    }

    /// Returns what a tag was, if that is what this tells.
    pub(super) fn recalled(self) -> Option<Option<Digest>> {
        match self {
            Self::Recalled { digest, .. } => Some(Some(digest)),
            Self::Missing { .. } => Some(None),
            Self::Found { .. }
            | Self::Answer { .. }
            | Self::Refused { .. }
            | Self::Opened { .. }
            | Self::Whole { .. }
            | Self::Sealed { .. } => None,
        }
    }
}

impl Engine {
    pub(super) fn new(session: Session, now: Time) -> Self {
        Self {
            session,
            exchanges: SortedMap::default(),
            local: SortedMap::default(),
            effects: VecDeque::new(),
            events: VecDeque::new(),
            next_job: 0,
            now,
        }
    }

    pub(super) fn into_session(self) -> Session {
        self.session
    }

    pub(super) fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    pub(super) fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    pub(super) fn next_wake(&self) -> Option<Time> {
        let wakes = self.exchanges.values().filter_map(|exchange| match exchange.state {
            State::Backoff(until) => Some(until),
            State::Sent | State::Streaming | State::AwaitingToken(_) => None,
        });
        wakes.min()
    }

    pub(super) fn abort_all(&mut self) {
        self.effects.retain(|effect| effect.job().is_none());
        self.events.clear();
        let mut jobs: Vec<JobId> = self.exchanges.keys().chain(self.local.keys()).copied().collect();
        jobs.dedup();
        self.exchanges.clear();
        self.local.clear();
        self.effects.extend(jobs.into_iter().map(|job| Effect::Abort { job }));
    }

    pub(super) fn look_up(&mut self, digest: Digest, limit: u64) -> JobId {
        let job = self.local_job(Local::LookUp);
        self.effects.push_back(Effect::LookUp { job, digest, limit });
        job
    }

    pub(super) fn recall(&mut self, reference: String) -> JobId {
        let job = self.local_job(Local::LookUp);
        self.effects.push_back(Effect::Recall { job, reference });
        job
    }

    pub(super) fn tell(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }

    /// Asks for a small body; the answer is [`Event::Answer`] or [`Event::Refused`].
    pub(super) fn ask(&mut self, method: Method, url: Url, accept: Option<&'static str>, limit: u64) -> JobId {
        let job = self.job();
        self.exchanges.insert(job, Exchange::new(Purpose::Whole { limit }, method, url, accept));
        self.send(job);
        job
    }

    /// Asks by GET for what HEAD would tell; the answer is [`Event::Answer`] without a body, or
    /// [`Event::Refused`].
    pub(super) fn ask_head_by_get(&mut self, url: Url) -> JobId {
        let job = self.job();
        self.exchanges.insert(job, Exchange::new(Purpose::Head, Method::Get, url, None));
        self.send(job);
        job
    }

    /// Opens a sink; the answer is [`Event::Opened`].
    pub(super) fn open(&mut self, index: usize, descriptor: Arc<Descriptor>) -> JobId {
        let job = self.local_job(Local::Sink);
        self.effects.push_back(Effect::Open { job, index, descriptor });
        job
    }

    /// Fetches what an open sink lacks; the answer is [`Event::Whole`], [`Event::Refused`], or
    /// [`Event::Sealed`] where the sink refused the bytes.
    pub(super) fn stream(&mut self, job: JobId, descriptor: &Descriptor, held: u64) {
        let url = self.session.url(&format!("blobs/{}", descriptor.digest));
        let elsewhere = descriptor.urls.iter().filter_map(|url| Url::parse(url).ok()).collect();
        let stream = Stream::new(descriptor.digest.clone(), descriptor.size, held, elsewhere);
        self.exchanges.insert(job, Exchange::new(Purpose::Stream(stream), Method::Get, url, None));
        self.send(job);
    }

    pub(super) fn seal(&mut self, job: JobId) {
        self.effects.push_back(Effect::Seal { job });
    }

    pub(super) fn job(&mut self) -> JobId {
        self.next_job += 1;
        JobId(self.next_job)
    }

    fn local_job(&mut self, local: Local) -> JobId {
        let job = self.job();
        self.local.insert(job, local);
        job
    }

    pub(super) fn handle(&mut self, input: Input, now: Time) {
        self.now = now;
        match input {
            Input::Tick => {}
            Input::Found { job, bytes } => {
                if self.local.remove(&job).is_some() {
                    self.events.push_back(Event::Found { job, bytes });
                }
            }
            Input::Recalled { job, digest } => {
                if self.local.remove(&job).is_some() {
                    self.events.push_back(Event::Recalled { job, digest });
                }
            }
            Input::Missing { job } => {
                if self.local.remove(&job).is_some() {
                    self.events.push_back(Event::Missing { job });
                }
            }
            Input::Opened { job, stored } => {
                if self.local.contains_key(&job) {
                    self.events.push_back(Event::Opened { job, stored });
                }
            }
            Input::Sealed { job, verdict } => {
                if self.local.remove(&job).is_some() {
                    self.exchanges.remove(&job);
                    self.events.push_back(Event::Sealed { job, verdict });
                }
            }
            Input::Response { job, head, body } => self.judge(job, head, body),
            Input::Head { job, head, error } => self.judge(job, head, error),
            Input::BodyEnd { job, held } => self.body_end(job, held, None),
            Input::Failed { job, failure, held } => self.body_end(job, held, Some(failure)),
        }
        self.wake();
    }

    /// Sends every exchange whose pause is over.
    fn wake(&mut self) {
        let due: Vec<JobId> = self
            .exchanges
            .iter()
            .filter(|(_, exchange)| matches!(exchange.state, State::Backoff(until) if until <= self.now))
            .map(|(&job, _)| job)
            .collect();
        for job in due {
            self.send(job);
        }
    }

    /// Sends an exchange's request, or first sees to the token that it needs.
    pub(super) fn send(&mut self, job: JobId) {
        let Some(exchange) = self.exchanges.get_mut(&job) else { return };
        let origin = exchange.at.origin();
        let mut request = match &exchange.purpose {
            Purpose::Token { token, .. } => token.request.clone(),
            Purpose::Whole { .. } | Purpose::Head | Purpose::Stream(_) | Purpose::Ping { .. } => {
                let bare = exchange.foreign || matches!(exchange.purpose, Purpose::Ping { .. });
                let access =
                    if bare { Ok(Access::Send(None)) } else { self.session.authorizations.access(&origin, self.now) };
                let authorization = match access {
                    Ok(Access::Send(authorization)) => authorization,
                    Ok(Access::Ask(token)) => {
                        exchange.state = State::AwaitingToken(origin.clone());
                        return self.ask_token(origin, token);
                    }
                    Err(source) => return self.end(job, PullError::Token { origin, source }),
                };
                exchange.generation = self.session.authorizations.generation(&origin);
                let mut headers = Headers::new();
                if let Some(accept) = exchange.accept {
                    // An authorization causes a preflight by itself.
                    let short =
                        self.session.short_accept && authorization.is_none() && exchange.breadth != Breadth::Full;
                    if short {
                        exchange.breadth = Breadth::Short;
                    } else if exchange.breadth == Breadth::Short {
                        exchange.breadth = Breadth::Untried;
                    }
                    headers.insert("accept", if short { ACCEPT_OCI } else { accept });
                }
                if let Some(authorization) = authorization {
                    authorization.apply(&mut headers);
                }
                Request { method: exchange.method, url: exchange.at.clone(), headers, body: None }
            }
        };
        exchange.state = State::Sent;
        exchange.attempts += 1;
        self.effects.push_back(Effect::Note(Note::Request { request: exchange.name() }));
        self.effects.push_back(match &exchange.purpose {
            Purpose::Whole { limit } => Effect::Fetch { job, request, limit: *limit },
            Purpose::Token { .. } | Purpose::Ping { .. } => {
                Effect::Fetch { job, request, limit: self.session.limits.token_bytes }
            }
            Purpose::Head => {
                request.headers.insert("accept-encoding", "identity");
                Effect::Stream { job, request }
            }
            Purpose::Stream(stream) => {
                request.headers.insert("accept-encoding", "identity");
                if stream.held > 0 && stream.ranged {
                    request.headers.insert("range", &format!("bytes={}-", stream.held));
                }
                Effect::Stream { job, request }
            }
        });
    }

    fn judge(&mut self, job: JobId, head: ResponseHead, body: Vec<u8>) {
        let Some(exchange) = self.exchanges.get_mut(&job) else { return };
        if exchange.state != State::Sent {
            return;
        }
        match exchange.purpose {
            Purpose::Token { .. } => return self.token_answer(job, &head, &body),
            Purpose::Ping { .. } => return self.ping_answer(job, &head, &body),
            Purpose::Whole { .. } | Purpose::Head | Purpose::Stream(_) => {}
        }
        for text in warnings(&head.headers) {
            self.effects.push_back(Effect::Note(Note::Warning { text }));
        }
        let away = exchange.at.origin() != exchange.start.origin();
        match head.status {
            status if exchange.breadth == Breadth::Short && is_too_narrow(status, &head.headers) => {
                exchange.breadth = Breadth::Full;
                exchange.begin_again();
                self.send(job);
            }
            200..=299 => self.success(job, head, body),
            301 | 302 | 303 | 307 | 308 => self.redirected(job, &head),
            401 if !exchange.foreign => self.refused(job, &head, &body),
            416 if matches!(&exchange.purpose, Purpose::Stream(stream) if stream.ranged && stream.held > 0) => {
                self.without_range(job);
            }
            408 | 425 | 429 | 500..=599 => {
                let trouble = Trouble::Status { status: head.status, message: registry_message(&body) };
                self.trouble(job, trouble, retry_after(&head.headers));
            }
            // A presigned address may have expired between the redirect and the request.
            400..=499 if away && !exchange.began_again => {
                exchange.began_again = true;
                exchange.begin_again();
                self.send(job);
            }
            404 if exchange.has_elsewhere() => self.elsewhere(job),
            400 if let Some(message) = exchange.tls_expected(&body) => {
                let source = Failure { kind: FailureKind::TlsExpected, message };
                let error = exchange.give_up(Trouble::Below(source));
                self.end(job, error);
            }
            status => {
                let message = registry_message(&body);
                let request = exchange.name();
                let error = match status {
                    401 | 403 => PullError::Denied { request, status, message },
                    404 => PullError::NotFound { what: request, message },
                    _ => PullError::Status { request, status, attempts: exchange.attempts, message },
                };
                self.end(job, error);
            }
        }
    }

    fn success(&mut self, job: JobId, head: ResponseHead, body: Vec<u8>) {
        let Some(exchange) = self.exchanges.get_mut(&job) else { return };
        exchange.refreshes = 0;
        let name = exchange.name();
        let Purpose::Stream(stream) = &mut exchange.purpose else {
            self.exchanges.remove(&job);
            self.events.push_back(Event::Answer { job, head, body });
            return;
        };
        let skip = match head.status {
            200 => stream.held,
            206 => match ContentRange::of(&head.headers) {
                Ok(Some(ContentRange::Part { first, complete, .. }))
                    if first == stream.held && complete.is_none_or(|size| size == stream.size) =>
                {
                    0
                }
                Ok(_) | Err(_) => {
                    self.effects.push_back(Effect::Refuse { job });
                    return self.without_range(job);
                }
            },
            status => {
                let error = PullError::Protocol { request: name, reason: format!("unexpected status {status}") };
                return self.end(job, error);
            }
        };
        exchange.state = State::Streaming;
        self.effects.push_back(Effect::Accept { job, skip });
    }

    /// Sends a stream's request again, for the whole blob; what the sink has is skipped.
    fn without_range(&mut self, job: JobId) {
        let Some(exchange) = self.exchanges.get_mut(&job) else { return };
        if let Purpose::Stream(stream) = &mut exchange.purpose {
            stream.ranged = false;
        }
        exchange.begin_again();
        self.send(job);
    }

    fn redirected(&mut self, job: JobId, head: &ResponseHead) {
        let Some(exchange) = self.exchanges.get_mut(&job) else { return };
        match redirect::follow(&self.session.registry, &exchange.at, head.headers.get("Location"), exchange.hops) {
            Ok(target) => {
                exchange.at = target;
                exchange.hops += 1;
                self.send(job);
            }
            Err(error) => self.end(job, error),
        }
    }

    /// Goes on to the next place where the descriptor says the blob may be had, without credentials.
    fn elsewhere(&mut self, job: JobId) {
        let Some(exchange) = self.exchanges.get_mut(&job) else { return };
        if let Some(url) = exchange.next_elsewhere() {
            match redirect::check(&self.session.registry, &exchange.start, &url) {
                Ok(()) => exchange.go_elsewhere(url),
                Err(reason) => {
                    let (request, target) = (exchange.name(), url.redacted().to_owned());
                    return self.end(job, PullError::Redirect { request, target, reason });
                }
            }
        }
        self.send(job);
    }

    fn body_end(&mut self, job: JobId, held: u64, failure: Option<Failure>) {
        let Some(exchange) = self.exchanges.get_mut(&job) else { return };
        if let Purpose::Stream(stream) = &mut exchange.purpose {
            if exchange.state == State::Streaming {
                stream.held = held;
            }
            if stream.held >= stream.size && exchange.state == State::Streaming {
                self.exchanges.remove(&job);
                self.events.push_back(Event::Whole { job });
                return;
            }
        }
        match failure {
            Some(failure) if !failure.kind.is_transient() => {
                let for_token = matches!(exchange.purpose, Purpose::Token { .. } | Purpose::Ping { .. });
                let error = if for_token && failure.kind == FailureKind::TooLarge {
                    let what = format!("the answer to {}", exchange.name());
                    PullError::Limit { what, limit: self.session.limits.token_bytes, option: "--max-token-bytes" }
                } else {
                    exchange.give_up(Trouble::Below(failure))
                };
                self.end(job, error);
            }
            Some(failure) => self.trouble(job, Trouble::Below(failure), None),
            None => self.trouble(job, Trouble::Short, None),
        }
    }

    pub(super) fn trouble(&mut self, job: JobId, trouble: Trouble, retry_after: Option<u64>) {
        let Some(exchange) = self.exchanges.get_mut(&job) else { return };
        let failures = exchange.count_failure();
        let Some(pause) = self.session.retry.pause(failures, retry_after, &mut self.session.random) else {
            let error = exchange.give_up(trouble);
            return self.end(job, error);
        };
        self.effects.push_back(Effect::Note(Note::Retry { request: exchange.name(), reason: trouble.reason(), pause }));
        exchange.begin_again();
        exchange.state = State::Backoff(after(self.now, pause));
    }

    /// Ends an exchange for good; a token's takes everyone with it who waits for it.
    pub(super) fn end(&mut self, job: JobId, error: PullError) {
        let Some(exchange) = self.exchanges.remove(&job) else { return };
        match exchange.purpose {
            Purpose::Whole { .. } | Purpose::Head | Purpose::Stream(_) => {
                self.events.push_back(Event::Refused { job, error });
            }
            Purpose::Token { origin, .. } | Purpose::Ping { origin } => {
                for waiting in self.waiting_for(&origin) {
                    self.end(waiting, error.clone());
                }
            }
        }
    }
}

/// Tells whether an answer to the short list of types may be another with all of them: registries
/// hide what was not asked for, convert it, or choose an index's first image by themselves.
fn is_too_narrow(status: u16, headers: &Headers) -> bool {
    match status {
        404 | 406 => true,
        200..=299 => headers
            .get("content-type")
            .is_some_and(|content_type| !MediaType::parse(content_type).answers_short_accept()),
        _ => false,
    }
}
