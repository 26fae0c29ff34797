//! One request's way through redirects, refusals and failures.

use std::collections::VecDeque;

use serde::Deserialize;

use super::effect::Failure;
use super::error::PullError;
use super::retry::{PROGRESS_BYTES, Streak};
use crate::digest::Digest;
use crate::request::Method;
use crate::sanitise::{EXCERPT_CHARS, sanitise};
use crate::time::Time;
use crate::token::TokenRequest;
use crate::url::{Origin, Scheme, Url};

/// A request that has not been answered for good.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) purpose: Purpose,
    pub(super) method: Method,
    /// Where it begins, and begins again after a failure: never a redirect's target, which expires.
    pub(super) start: Url,
    /// Where it is now, after redirects.
    pub(super) at: Url,
    pub(super) hops: u32,
    pub(super) accept: Option<&'static str>,
    pub(super) breadth: Breadth,
    /// Whether credentials may be attached while it is at the registry's own origin.
    pub(super) foreign: bool,
    pub(super) attempts: u32,
    failures: u32,
    /// When the present attempt was sent, after redirects and refreshes of tokens the last time.
    pub(super) sent: Time,
    /// When the first of the failed attempts was sent.
    failing_since: Time,
    /// Tokens asked for since it last succeeded; the second refusal in a row is final.
    pub(super) refreshes: u32,
    /// Whether a refusal by a redirect's target has been answered by beginning again.
    pub(super) began_again: bool,
    /// The generation of the authorization it was sent with.
    pub(super) generation: u32,
    pub(super) state: State,
}

#[derive(Debug)]
pub(super) enum Purpose {
    /// A whole small body, for the plan.
    Whole { limit: u64 },
    /// The head of an answer whose body is not wanted, for the plan.
    Head,
    /// A blob's body, for the host's sink.
    Stream(Stream),
    /// A token, for every exchange that waits for one from `origin`.
    Token { origin: Origin, token: Box<TokenRequest> },
    /// The challenge of `/v2/`, where a refusal came without one.
    Ping { origin: Origin },
}

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) digest: Digest,
    pub(super) size: u64,
    /// Bytes of the blob that the sink has.
    pub(super) held: u64,
    /// What it had at the last failure.
    marked: u64,
    /// Whether Range is of use with this server.
    pub(super) ranged: bool,
    /// Where else the blob may be had, if the registry does not have it.
    pub(super) elsewhere: VecDeque<Url>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum State {
    Sent,
    Streaming,
    AwaitingToken(Origin),
    Backoff(Time),
}

/// How many types of manifests a request has named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Breadth {
    /// It was not sent, or needed all types for another reason.
    Untried,
    /// Those that need no preflight.
    Short,
    /// The short list was not enough: all types, from now on.
    Full,
}

/// Why an attempt failed.
pub(super) enum Trouble {
    Below(Failure),
    Status { status: u16, message: Option<String> },
    Short,
}

impl Exchange {
    pub(super) fn new(purpose: Purpose, method: Method, start: Url, accept: Option<&'static str>) -> Self {
        Self {
            purpose,
            method,
            at: start.clone(),
            start,
            hops: 0,
            accept,
            breadth: Breadth::Untried,
            foreign: false,
            attempts: 0,
            failures: 0,
            sent: Time(0),
            failing_since: Time(0),
            refreshes: 0,
            began_again: false,
            generation: 0,
            state: State::Sent,
        }
    }

    /// Goes back to where it began, for another attempt.
    pub(super) fn begin_again(&mut self) {
        self.at = self.start.clone();
        self.hops = 0;
    }

    /// Tells whether the blob may be had at an address that was not tried.
    pub(super) fn has_elsewhere(&self) -> bool {
        matches!(&self.purpose, Purpose::Stream(stream) if !stream.elsewhere.is_empty())
    }

    /// Takes the next such address.
    pub(super) fn next_elsewhere(&mut self) -> Option<Url> {
        match &mut self.purpose {
            Purpose::Stream(stream) => stream.elsewhere.pop_front(),
            Purpose::Whole { .. } | Purpose::Head | Purpose::Token { .. } | Purpose::Ping { .. } => None,
        }
    }

    /// Begins at an address that is not the registry's, for good.
    pub(super) fn go_elsewhere(&mut self, url: Url) {
        self.foreign = true;
        self.start = url;
        self.begin_again();
    }

    /// Counts a failure; a stream that got on meanwhile counts from one again.
    pub(super) fn count_failure(&mut self, now: Time) -> Streak {
        if let Purpose::Stream(stream) = &mut self.purpose
            && stream.held >= stream.marked.saturating_add(PROGRESS_BYTES)
        {
            stream.marked = stream.held;
            self.failures = 0;
            // What was well spent does not count.
            self.sent = now;
        }
        if self.failures == 0 {
            self.failing_since = self.sent;
        }
        self.failures += 1;
        Streak { failures: self.failures, lasting: now.milliseconds_since(self.failing_since) }
    }

    /// Returns the first line of what a TLS server says to plain HTTP, if a 400 has this body.
    pub(super) fn tls_expected(&self, body: &[u8]) -> Option<String> {
        let text = String::from_utf8_lossy(body);
        let lower = text.to_ascii_lowercase();
        let says_so = self.at.scheme() == Scheme::Http && TLS_EXPECTED.iter().any(|words| lower.contains(words));
        says_so.then(|| sanitise(text.lines().next().unwrap_or_default(), EXCERPT_CHARS))
    }

    /// Names the request for messages: method and address without its query.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.method, self.at.redacted())
    }

    /// Returns the error for a trouble that no attempt is left for.
    pub(super) fn give_up(&self, trouble: Trouble) -> PullError {
        let (request, attempts) = (self.name(), self.attempts);
        match (trouble, &self.purpose) {
            (Trouble::Short, Purpose::Stream(stream)) => {
                PullError::Short { digest: stream.digest.clone(), held: stream.held, size: stream.size, attempts }
            }
            (Trouble::Short, Purpose::Whole { .. } | Purpose::Head | Purpose::Token { .. } | Purpose::Ping { .. }) => {
                PullError::Protocol { request, reason: "the body ended early".to_owned() }
            }
            (Trouble::Below(source), _) => PullError::Exchange { request, attempts, source },
            (Trouble::Status { status, message }, _) => PullError::Status { request, status, attempts, message },
        }
    }
}

impl Stream {
    pub(super) fn new(digest: Digest, size: u64, held: u64, elsewhere: VecDeque<Url>) -> Self {
        Self { digest, size, held, marked: held, ranged: true, elsewhere }
    }
}

impl Trouble {
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Below(failure) => failure.to_string(),
            Self::Status { status, message: Some(message) } => format!("status {status}: {message}"),
            Self::Status { status, message: None } => format!("status {status}"),
            Self::Short => "the body ended early".to_owned(),
        }
    }
}

/// What the servers of Go, nginx and Apache say, in lower case.
const TLS_EXPECTED: [&str; 3] = [
    "http request to an https server",
    "plain http request was sent to https port",
    "speaking plain http to an ssl-enabled server port",
];

/// Returns what a registry says of an error (distribution-spec 1.1, "Error Codes"), safe to print.
pub(super) fn registry_message(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Body {
        errors: Vec<Item>,
    }
    #[derive(Deserialize)]
    struct Item {
        code: Option<String>,
        message: Option<String>,
    }

    let first = serde_json::from_slice::<Body>(body).ok()?.errors.into_iter().next()?;
    let text = match (first.code, first.message) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(text), None) | (None, Some(text)) => text,
        (None, None) => return None,
    };
    Some(sanitise(&text, EXCERPT_CHARS))
}
