//! Carries exchanges through: sends, judges answers, authorizes, redirects, tries again.

use std::collections::VecDeque;
use std::sync::Arc;

use super::auth::Access;
use super::effect::{Effect, Input, JobId, Note, Stored, Verdict};
use super::error::PullError;
use super::exchange::{Breadth, Exchange, Purpose, State, Stream};
use super::session::Session;
use crate::digest::Digest;
use crate::manifest::{ACCEPT_OCI, Descriptor};
use crate::request::{Headers, Method, Request, ResponseHead};
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
    pub(super) effects: VecDeque<Effect>,
    pub(super) events: VecDeque<Event>,
    next_job: u64,
    pub(super) now: Time,
    /// When the first answer came. Before, the host's deadlines bound the wait.
    began: Option<Time>,
}

/// Addresses beside the registry where one blob is looked for; images have one.
const MAX_ELSEWHERE: usize = 8;

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
            began: None,
        }
    }

    pub(super) fn into_session(mut self) -> Session {
        let took = self.began.map_or(0, |began| self.now.milliseconds_since(began));
        self.session.spent = self.session.spent.saturating_add(took);
        self.session
    }

    /// Takes note of the time; an error once the session has taken longer than it may.
    pub(super) fn advance(&mut self, now: Time) -> Result<(), PullError> {
        self.now = now;
        self.began.get_or_insert(now);
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return Ok(());
        }
        let limit = self.session.limits.wall_seconds;
        Err(PullError::Limit { what: "the pull's time in seconds".to_owned(), limit, option: "--max-wall-seconds" })
    }

    fn deadline(&self) -> Option<Time> {
        let allowed = self.session.limits.wall_seconds.saturating_mul(1_000);
        Some(self.began?.after(allowed.saturating_sub(self.session.spent)))
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
        wakes.chain(self.deadline()).min()
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
        let elsewhere = descriptor.urls.iter().filter_map(|url| Url::parse(url).ok()).take(MAX_ELSEWHERE).collect();
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

    pub(super) fn handle(&mut self, input: Input) {
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
        exchange.sent = self.now;
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
}
