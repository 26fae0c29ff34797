//! Rules: which requests get which faults.

use std::collections::VecDeque;
use std::time::Duration;

use super::log::Exchange;

/// A rule: to which requests it applies, how often, and what it does to their answers.
///
/// The rules of a registry are tried in order; the first that matches and is not used up applies,
/// and no other.
///
/// ```
/// use std::time::Duration;
/// use oci_fetcher_tests::registry::{Action, Method, RetryAfter, Rule};
///
/// let scenario = [
///     // The first two downloads break, then every one is slow.
///     Rule::on(Method::Get, "/v2/app/blobs/*").times(2).then(Action::CutBody(1000)),
///     Rule::on(Method::Get, "/v2/app/blobs/*").then(Action::Slice { bytes: 1, pause: Duration::ZERO }),
///     // The second request for a manifest is one too many.
///     Rule::on(Method::Any, "/v2/app/manifests/*").after(1).times(1)
///         .then(Action::Refuse(429, RetryAfter::Seconds(1))),
/// ];
/// # let _ = scenario;
/// ```
#[derive(Clone, Debug)]
pub struct Rule {
    method: Method,
    pattern: String,
    port: Option<u16>,
    with: Vec<String>,
    without: Vec<String>,
    after: usize,
    times: usize,
    actions: Vec<Action>,
}

/// The method of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Whatever it is.
    Any,
    /// GET.
    Get,
    /// HEAD.
    Head,
    /// POST.
    Post,
}

/// What happens to an answer. Several can happen to one.
///
/// Offsets count bytes. Those of the body count what goes over the wire after the head, unless it
/// says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Answers with this instead.
    Respond {
        /// The status.
        status: u16,
        /// Header fields; `Content-Length` is added.
        headers: Vec<(String, String)>,
        /// The body.
        body: Vec<u8>,
    },
    /// Answers with this status, an error in JSON, and a `Retry-After`.
    Refuse(u16, RetryAfter),
    /// Redirects (307) to this URL, relative or absolute.
    Redirect(String),
    /// Redirects (307) to the same path at this origin, `http://host:port`.
    RedirectOrigin(String),
    /// Makes all tokens issued until now invalid, this request's too.
    RevokeTokens,
    /// Answers a range with the whole, status 200.
    IgnoreRange,
    /// Sets a header field, in place of one of that name.
    SetHeader(String, String),
    /// Adds a header field, beside one of that name.
    AddHeader(String, String),
    /// Removes a header field.
    RemoveHeader(String),
    /// Sends this `Content-Length`, whatever the length is.
    ContentLength(u64),
    /// Ends the body here; `Content-Length` agrees.
    Truncate(u64),
    /// Adds bytes at the end of the body; `Content-Length` agrees.
    Append(Vec<u8>),
    /// Flips all bits of the byte at this offset of the stored blob or manifest, in ranges too.
    FlipByte(u64),
    /// Sends the body in chunks, without a `Content-Length`.
    Chunked,
    /// Sends the body without a `Content-Length`; the end of the connection ends it.
    UntilClose,
    /// Waits before the first byte.
    Delay(Duration),
    /// Waits at this offset of the body.
    Pause(u64, Duration),
    /// Sends nothing more from this offset of the body on, and keeps the connection.
    StallBody(u64),
    /// Sends nothing more from this offset of the whole answer on, and keeps the connection.
    StallAnswer(u64),
    /// Closes the connection at this offset of the body.
    CutBody(u64),
    /// Closes the connection at this offset of the whole answer.
    CutAnswer(u64),
    /// Resets the connection at this offset of the body.
    ResetBody(u64),
    /// Resets the connection at this offset of the whole answer.
    ResetAnswer(u64),
    /// Writes the answer in slices, with a pause after each.
    Slice {
        /// Bytes in a slice.
        bytes: usize,
        /// The pause.
        pause: Duration,
    },
    /// Closes the connection after the answer.
    Close,
    /// Closes the connection after the answer, without TLS's `close_notify`. The cuts go without it, too.
    CloseWithoutNotify,
}

/// The `Retry-After` of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// There is none.
    Absent,
    /// In seconds.
    Seconds(u64),
    /// As a date, so far from now.
    Date(Duration),
}

impl Rule {
    /// Starts a rule for requests with this method and path.
    ///
    /// In the pattern, `*` stands for any text, slashes too. A pattern with a `?` is held against
    /// path and query, another against the path alone.
    #[must_use]
    pub fn on(method: Method, pattern: &str) -> Self {
        Self {
            method,
            pattern: pattern.to_owned(),
            port: None,
            with: Vec::new(),
            without: Vec::new(),
            after: 0,
            times: usize::MAX,
            actions: Vec::new(),
        }
    }

    /// Applies only to requests to this port.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Applies only to requests with this header field.
    #[must_use]
    pub fn with_header(mut self, name: &str) -> Self {
        self.with.push(name.to_owned());
        self
    }

    /// Applies only to requests without this header field.
    #[must_use]
    pub fn without_header(mut self, name: &str) -> Self {
        self.without.push(name.to_owned());
        self
    }

    /// Lets the first `count` requests that match pass, to later rules.
    #[must_use]
    pub fn after(mut self, count: usize) -> Self {
        self.after = count;
        self
    }

    /// Applies at most `count` times; without this, always.
    #[must_use]
    pub fn times(mut self, count: usize) -> Self {
        self.times = count;
        self
    }

    /// Does this to the answer, after what was said before.
    #[must_use]
    pub fn then(mut self, action: Action) -> Self {
        self.actions.push(action);
        self
    }

    fn matches(&self, exchange: &Exchange) -> bool {
        let text = if self.pattern.contains('?') { &exchange.target } else { exchange.path() };
        self.method.matches(&exchange.method)
            && glob(&self.pattern, text)
            && self.port.is_none_or(|port| port == exchange.port)
            && self.with.iter().all(|name| exchange.header(name).is_some())
            && self.without.iter().all(|name| exchange.header(name).is_none())
    }
}

impl Method {
    pub(super) fn matches(self, method: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Get => method == "GET",
            Self::Head => method == "HEAD",
            Self::Post => method == "POST",
        }
    }
}

impl Action {
    /// Answers with this status and text.
    #[must_use]
    pub fn respond(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("Content-Type".to_owned(), "text/plain".to_owned())];
        Self::Respond { status, headers, body: body.into() }
    }

    /// Answers 401 with this `WWW-Authenticate`.
    #[must_use]
    pub fn challenge(challenge: &str) -> Self {
        let headers = vec![("WWW-Authenticate".to_owned(), challenge.to_owned())];
        Self::Respond { status: 401, headers, body: Vec::new() }
    }
}

#[derive(Debug, Default)]
pub(super) struct Scenario(Vec<Rule>);

impl Scenario {
    pub(super) fn new(rules: Vec<Rule>) -> Self {
        Self(rules)
    }

    pub(super) fn add(&mut self, rule: Rule) {
        self.0.push(rule);
    }

    /// Takes the actions for a request; a browser's question before it is none.
    pub(super) fn take(&mut self, exchange: &Exchange) -> Vec<Action> {
        if exchange.method == "OPTIONS" {
            return Vec::new();
        }
        for rule in &mut self.0 {
            if !rule.matches(exchange) || rule.times == 0 {
                continue;
            }
            if rule.after > 0 {
                rule.after -= 1;
                continue;
            }
            if rule.times != usize::MAX {
                rule.times -= 1;
            }
            return rule.actions.clone();
        }
        Vec::new()
    }
}

/// Says whether `pattern`, in which `*` stands for any text, matches all of `text`.
pub(super) fn glob(pattern: &str, text: &str) -> bool {
    let mut pieces: VecDeque<&str> = pattern.split('*').collect();
    let first = pieces.pop_front().expect("a split has at least one piece");
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = pieces.pop_back() else { return rest.is_empty() };
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_paths() {
        for (pattern, text, expected) in [
            ("/v2/", "/v2/", true),
            ("/v2/", "/v2/app", false),
            ("/v2/*/blobs/*", "/v2/a/b/blobs/sha256:1", true),
            ("/v2/*/blobs/*", "/v2/a/manifests/1", false),
            ("*", "", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("*b*", "abc", true),
            ("*.txt", "a.txt.txt", true),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern} on {text}");
        }
    }
}
