//! What a rule's actions make of an answer.

use std::time::{Duration, SystemTime};

use super::http::{Reply, http_date, reason};
use super::log::Exchange;
use super::scenario::{Action, RetryAfter};
use crate::content::Blob;

/// How a request is answered, and how the answer is written.
pub(super) struct Plan<'a> {
    pub(super) revokes_tokens: bool,
    pub(super) ignores_range: bool,
    pub(super) delay: Duration,
    /// The answer that stands in for the registry's own.
    pub(super) replacement: Option<Reply>,
    edits: Vec<Edit<'a>>,
    pub(super) framing: Framing,
    /// Offsets of the stored content.
    pub(super) flips: Vec<u64>,
    /// Bytes in a slice, and the pause after it.
    pub(super) slice: Option<(usize, Duration)>,
    /// Offsets of the body, and how long to wait there.
    pub(super) pauses: Vec<(u64, Duration)>,
    /// Where the answer ends early, and how.
    pub(super) ends: Vec<(Offset, After)>,
    pub(super) after: After,
}

type Edit<'a> = Box<dyn Fn(&mut Reply) + Send + Sync + 'a>;

/// How a client knows where the body ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Framing {
    /// By its length, or this lie about it.
    Length(Option<u64>),
    Chunked,
    UntilClose,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Offset {
    Body(u64),
    Answer(u64),
}

/// What becomes of the connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// The next request may come.
    Keep,
    /// It is closed in good order.
    Close,
    /// It is dropped, without `close_notify`.
    Drop,
    /// It is reset.
    Reset,
    /// It stays open, and silent.
    Silence,
}

impl<'a> Plan<'a> {
    pub(super) fn new(actions: &'a [Action], exchange: &Exchange) -> Self {
        let mut plan = Self {
            revokes_tokens: false,
            ignores_range: false,
            delay: Duration::ZERO,
            replacement: None,
            edits: Vec::new(),
            framing: Framing::Length(None),
            flips: Vec::new(),
            slice: None,
            pauses: Vec::new(),
            ends: Vec::new(),
            after: After::Keep,
        };
        if exchange.header("connection").is_some_and(|field| field.eq_ignore_ascii_case("close")) {
            plan.after = After::Close;
        }
        for action in actions {
            plan.add(action, exchange);
        }
        plan
    }

    fn add(&mut self, action: &'a Action, exchange: &Exchange) {
        match action {
            Action::Respond { status, headers, body } => {
                let reply = Reply { headers: headers.clone(), ..Reply::new(*status, "", body.clone()) };
                self.replacement = Some(reply);
            }
            Action::Refuse(status, retry_after) => self.replacement = Some(refusal(*status, *retry_after)),
            Action::Redirect(location) => self.replacement = Some(redirect(location)),
            Action::RedirectOrigin(origin) => {
                self.replacement = Some(redirect(&format!("{origin}{}", exchange.target)));
            }
            Action::RevokeTokens => self.revokes_tokens = true,
            Action::IgnoreRange => self.ignores_range = true,
            Action::SetHeader(name, value) => self.edit(move |reply| {
                remove(reply, name);
                reply.headers.push((name.clone(), value.clone()));
            }),
            Action::AddHeader(name, value) => {
                self.edit(move |reply| reply.headers.push((name.clone(), value.clone())));
            }
            Action::RemoveHeader(name) => self.edit(move |reply| remove(reply, name)),
            Action::ContentLength(length) => self.framing = Framing::Length(Some(*length)),
            Action::Truncate(length) => {
                self.edit(move |reply| reply.end = reply.end.min(reply.start.saturating_add(*length)));
            }
            Action::Append(bytes) => self.edit(move |reply| reply.extra.extend_from_slice(bytes)),
            Action::FlipByte(offset) => self.flips.push(*offset),
            Action::Chunked => self.framing = Framing::Chunked,
            Action::UntilClose => {
                self.framing = Framing::UntilClose;
                self.after = After::Close;
            }
            Action::Delay(time) => self.delay = *time,
            Action::Pause(offset, time) => self.pauses.push((*offset, *time)),
            Action::StallBody(offset) => self.ends.push((Offset::Body(*offset), After::Silence)),
            Action::StallAnswer(offset) => self.ends.push((Offset::Answer(*offset), After::Silence)),
            Action::CutBody(offset) => self.ends.push((Offset::Body(*offset), After::Drop)),
            Action::CutAnswer(offset) => self.ends.push((Offset::Answer(*offset), After::Drop)),
            Action::ResetBody(offset) => self.ends.push((Offset::Body(*offset), After::Reset)),
            Action::ResetAnswer(offset) => self.ends.push((Offset::Answer(*offset), After::Reset)),
            Action::Slice { bytes, pause } => self.slice = Some(((*bytes).max(1), *pause)),
            Action::Close => self.after = After::Close,
            Action::CloseWithoutNotify => self.after = After::Drop,
        }
    }

    fn edit(&mut self, edit: impl Fn(&mut Reply) + Send + Sync + 'a) {
        self.edits.push(Box::new(edit));
    }

    /// Changes a reply as the actions say, in their order.
    pub(super) fn edit_reply(&self, reply: &mut Reply) {
        for edit in &self.edits {
            edit(reply);
        }
    }

    /// Returns status line and header fields.
    pub(super) fn head(&self, reply: &Reply) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", reply.status, reason(reply.status));
        for (name, value) in &reply.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        match self.framing {
            Framing::Length(claimed) => {
                head.push_str(&format!("Content-Length: {}\r\n", claimed.unwrap_or(reply.length())));
            }
            Framing::Chunked => head.push_str("Transfer-Encoding: chunked\r\n"),
            Framing::UntilClose => {}
        }
        if self.after != After::Keep {
            head.push_str("Connection: close\r\n");
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}

fn remove(reply: &mut Reply, name: &str) {
    reply.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
}

fn redirect(location: &str) -> Reply {
    Reply::new(307, "text/plain", Blob::from("")).header("Location", location)
}

fn refusal(status: u16, retry_after: RetryAfter) -> Reply {
    let code = if status == 429 { "TOOMANYREQUESTS" } else { "UNKNOWN" };
    let reply = Reply::error(status, code, "refused by the scenario");
    match retry_after {
        RetryAfter::Absent => reply,
        RetryAfter::Seconds(seconds) => reply.header("Retry-After", &seconds.to_string()),
        RetryAfter::Date(from_now) => reply.header("Retry-After", &http_date(SystemTime::now() + from_now)),
    }
}
