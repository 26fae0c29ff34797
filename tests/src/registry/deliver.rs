//! Applies actions to a reply and writes it, faults included.

use std::io;
use std::time::{Duration, SystemTime};

use super::Shared;
use super::answer::answer;
use super::http::{Reply, http_date, reason};
use super::lock;
use super::log::Exchange;
use super::scenario::{Action, RetryAfter};
use super::server::Wire;
use crate::content::{Blob, PIECE};

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

/// Answers the request with this number in the log.
pub(super) async fn deliver(
    shared: &Shared,
    mut exchange: Exchange,
    number: usize,
    actions: &[Action],
    wire: &mut Wire,
) -> io::Result<After> {
    let mut plan = Plan::default();
    for action in actions {
        match action {
            Action::RevokeTokens => lock(&shared.tokens).clear(),
            Action::IgnoreRange => exchange.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("range")),
            Action::Delay(time) => tokio::time::sleep(*time).await,
            other => plan.early.push(other),
        }
    }
    let mut reply = plan.replacement(&exchange).unwrap_or_else(|| answer(shared, &exchange));
    let early = std::mem::take(&mut plan.early);
    for action in early {
        plan.apply(action, &mut reply);
    }
    let keep_alive = exchange.header("connection").is_none_or(|field| !field.eq_ignore_ascii_case("close"));
    if !keep_alive && plan.after == After::Keep {
        plan.after = After::Close;
    }
    let head = plan.head(&reply);
    shared.log.update(number, |exchange| exchange.status = Some(reply.status));
    let body_starts = head.len() as u64;
    let pauses = plan.pauses.iter().map(|(offset, time)| (body_starts + offset, *time)).collect();
    let mut faucet = Faucet { wire, shared, number, offset: 0, body_starts, pauses, plan: &plan };
    if let Some(end) = faucet.write(&head).await? {
        return Ok(end);
    }
    if exchange.method != "HEAD" {
        if let Some(end) = faucet.write_body(&reply).await? {
            return Ok(end);
        }
    }
    Ok(plan.after)
}

/// How a reply is written.
#[derive(Debug)]
struct Plan<'a> {
    /// Actions on the reply, before it is known.
    early: Vec<&'a Action>,
    framing: Framing,
    flips: Vec<u64>,
    slice: Option<(usize, Duration)>,
    /// Where the answer ends early, and how.
    ends: Vec<(Offset, After)>,
    pauses: Vec<(u64, Duration)>,
    after: After,
}

#[derive(Clone, Copy, Debug)]
enum Framing {
    Length(Option<u64>),
    Chunked,
    UntilClose,
}

#[derive(Clone, Copy, Debug)]
enum Offset {
    Body(u64),
    Answer(u64),
}

impl Default for Plan<'_> {
    fn default() -> Self {
        Self {
            early: Vec::new(),
            framing: Framing::Length(None),
            flips: Vec::new(),
            slice: None,
            ends: Vec::new(),
            pauses: Vec::new(),
            after: After::Keep,
        }
    }
}

impl Plan<'_> {
    /// Returns the reply that stands in for the registry's own, if there is one.
    fn replacement(&self, exchange: &Exchange) -> Option<Reply> {
        self.early.iter().find_map(|action| replacement(action, exchange))
    }

    fn apply(&mut self, action: &Action, reply: &mut Reply) {
        let is = |name: &str| {
            let name = name.to_owned();
            move |field: &(String, String)| field.0.eq_ignore_ascii_case(&name)
        };
        match action {
            Action::SetHeader(name, value) => {
                let matches = is(name);
                reply.headers.retain(|field| !matches(field));
                reply.headers.push((name.clone(), value.clone()));
            }
            Action::AddHeader(name, value) => reply.headers.push((name.clone(), value.clone())),
            Action::RemoveHeader(name) => {
                let matches = is(name);
                reply.headers.retain(|field| !matches(field));
            }
            Action::Truncate(length) => reply.end = reply.end.min(reply.start + length),
            Action::Append(bytes) => reply.extra.extend_from_slice(bytes),
            Action::ContentLength(length) => self.framing = Framing::Length(Some(*length)),
            Action::Chunked => self.framing = Framing::Chunked,
            Action::UntilClose => {
                self.framing = Framing::UntilClose;
                self.after = After::Close;
            }
            Action::FlipByte(offset) => self.flips.push(*offset),
            Action::Pause(offset, time) => self.pauses.push((*offset, *time)),
            Action::Slice { bytes, pause } => self.slice = Some(((*bytes).max(1), *pause)),
            Action::StallBody(offset) => self.ends.push((Offset::Body(*offset), After::Silence)),
            Action::StallAnswer(offset) => self.ends.push((Offset::Answer(*offset), After::Silence)),
            Action::CutBody(offset) => self.ends.push((Offset::Body(*offset), After::Drop)),
            Action::CutAnswer(offset) => self.ends.push((Offset::Answer(*offset), After::Drop)),
            Action::ResetBody(offset) => self.ends.push((Offset::Body(*offset), After::Reset)),
            Action::ResetAnswer(offset) => self.ends.push((Offset::Answer(*offset), After::Reset)),
            Action::Close => self.after = After::Close,
            Action::CloseWithoutNotify => self.after = After::Drop,
            // Done before the reply was known, or the reply itself.
            Action::Respond { .. }
            | Action::Refuse(..)
            | Action::Redirect(_)
            | Action::RedirectOrigin(_)
            | Action::RevokeTokens
            | Action::IgnoreRange
            | Action::Delay(_) => {}
        }
    }

    fn head(&self, reply: &Reply) -> Vec<u8> {
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

fn replacement(action: &Action, exchange: &Exchange) -> Option<Reply> {
    let redirect = |location: &str| Reply::new(307, "text/plain", "").header("Location", location);
    match action {
        Action::Respond { status, headers, body } => Some(Reply {
            status: *status,
            headers: headers.clone(),
            start: 0,
            end: body.len() as u64,
            blob: Blob::from(body.clone()),
            extra: Vec::new(),
        }),
        Action::Refuse(status, retry_after) => {
            let code = if *status == 429 { "TOOMANYREQUESTS" } else { "UNKNOWN" };
            let reply = Reply::error(*status, code, "refused by the scenario");
            Some(match retry_after {
                RetryAfter::Absent => reply,
                RetryAfter::Seconds(seconds) => reply.header("Retry-After", &seconds.to_string()),
                RetryAfter::Date(from_now) => reply.header("Retry-After", &http_date(SystemTime::now() + *from_now)),
            })
        }
        Action::Redirect(location) => Some(redirect(location)),
        Action::RedirectOrigin(origin) => Some(redirect(&format!("{origin}{}", exchange.target))),
        Action::RevokeTokens
        | Action::IgnoreRange
        | Action::SetHeader(..)
        | Action::AddHeader(..)
        | Action::RemoveHeader(_)
        | Action::ContentLength(_)
        | Action::Truncate(_)
        | Action::Append(_)
        | Action::FlipByte(_)
        | Action::Chunked
        | Action::UntilClose
        | Action::Delay(_)
        | Action::Pause(..)
        | Action::StallBody(_)
        | Action::StallAnswer(_)
        | Action::CutBody(_)
        | Action::CutAnswer(_)
        | Action::ResetBody(_)
        | Action::ResetAnswer(_)
        | Action::Slice { .. }
        | Action::Close
        | Action::CloseWithoutNotify => None,
    }
}

/// Writes an answer up to the point where a fault ends it.
struct Faucet<'a> {
    wire: &'a mut Wire,
    shared: &'a Shared,
    number: usize,
    /// Bytes of the answer written.
    offset: u64,
    /// The length of the head.
    body_starts: u64,
    /// Offsets of the answer still ahead, and how long to wait there.
    pauses: Vec<(u64, Duration)>,
    plan: &'a Plan<'a>,
}

impl Faucet<'_> {
    async fn write_body(&mut self, reply: &Reply) -> io::Result<Option<After>> {
        let mut reader = reply.blob.reader(reply.start);
        let mut position = reply.start;
        while position < reply.end {
            let most = usize::try_from(reply.end - position).map_or(PIECE, |left| left.min(PIECE));
            let mut piece = reader.read(most);
            if piece.is_empty() {
                break;
            }
            for flip in &self.plan.flips {
                let index = flip.checked_sub(position).and_then(|index| usize::try_from(index).ok());
                if let Some(byte) = index.and_then(|index| piece.get_mut(index)) {
                    *byte = !*byte;
                }
            }
            position += piece.len() as u64;
            if let Some(end) = self.write_piece(&piece).await? {
                return Ok(Some(end));
            }
        }
        if let Some(end) = self.write_piece(&reply.extra).await? {
            return Ok(Some(end));
        }
        match self.plan.framing {
            Framing::Chunked => self.write(b"0\r\n\r\n").await,
            Framing::Length(_) | Framing::UntilClose => self.write(b"").await,
        }
    }

    async fn write_piece(&mut self, piece: &[u8]) -> io::Result<Option<After>> {
        match self.plan.framing {
            Framing::Chunked if !piece.is_empty() => {
                let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
                self.write(&chunk).await
            }
            Framing::Chunked | Framing::Length(_) | Framing::UntilClose => self.write(piece).await,
        }
    }

    /// Writes `bytes`, or those before the offset at which the answer ends.
    async fn write(&mut self, mut bytes: &[u8]) -> io::Result<Option<After>> {
        loop {
            if let Some(end) = self.end_here() {
                self.wire.flush().await?;
                return Ok(Some(end));
            }
            while let Some(due) = self.pauses.iter().position(|(offset, _)| *offset == self.offset) {
                let (_, time) = self.pauses.swap_remove(due);
                self.wire.flush().await?;
                tokio::time::sleep(time).await;
            }
            if bytes.is_empty() {
                self.wire.flush().await?;
                return Ok(None);
            }
            let (now, later) = bytes.split_at(self.room(bytes.len()));
            self.send(now).await?;
            bytes = later;
            if bytes.is_empty() && self.end_here().is_none() {
                self.wire.flush().await?;
                return Ok(None);
            }
        }
    }

    /// Sends bytes, counted before they leave: whoever has them all finds them in the log.
    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let of_body = if self.offset >= self.body_starts { bytes.len() as u64 } else { 0 };
        self.shared.log.update(self.number, |exchange| exchange.bytes_sent += of_body);
        let sent = self.wire.write_all(bytes).await;
        if sent.is_err() {
            self.shared.log.update(self.number, |exchange| exchange.bytes_sent -= of_body);
        }
        sent?;
        self.offset += bytes.len() as u64;
        if let Some((_, pause)) = self.plan.slice {
            self.wire.flush().await?;
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
        Ok(())
    }

    fn end_here(&self) -> Option<After> {
        let reached = self.plan.ends.iter().find(|(offset, _)| self.absolute(*offset) <= self.offset);
        reached.map(|(_, after)| *after)
    }

    /// Returns how many of `length` bytes can be written in one go.
    fn room(&self, length: usize) -> usize {
        let ends = self.plan.ends.iter().map(|(offset, _)| self.absolute(*offset));
        let pauses = self.pauses.iter().map(|(offset, _)| *offset);
        let stops = ends.chain(pauses).filter(|stop| *stop > self.offset).map(|stop| stop - self.offset);
        let slice = self.plan.slice.map(|(bytes, _)| bytes as u64);
        let room = stops.chain(slice).min().unwrap_or(u64::MAX);
        usize::try_from(room).map_or(length, |room| room.min(length))
    }

    fn absolute(&self, offset: Offset) -> u64 {
        match offset {
            Offset::Answer(offset) => offset,
            Offset::Body(offset) => self.body_starts + offset,
        }
    }
}
