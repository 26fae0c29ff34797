//! Writes answers, faults included.

use std::io;
use std::time::Duration;

use super::answer::answer;
use super::http::Reply;
use super::log::Exchange;
use super::plan::{After, Framing, Offset, Plan};
use super::scenario::Action;
use super::server::Wire;
use super::{Shared, lock};
use crate::content::PIECE;

/// Answers the request with this number in the log.
pub(super) async fn deliver(
    shared: &Shared,
    mut exchange: Exchange,
    number: usize,
    actions: &[Action],
    wire: &mut Wire,
) -> io::Result<After> {
    let mut plan = Plan::new(actions, &exchange);
    if !plan.delay.is_zero() {
        tokio::time::sleep(plan.delay).await;
    }
    if plan.revokes_tokens {
        lock(&shared.tokens).clear();
    }
    if plan.ignores_range {
        exchange.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("range"));
    }
    let cors = shared.options.cors;
    let reply = cors.preflight(&exchange).or_else(|| plan.replacement.take());
    let mut reply = cors.allow(reply.unwrap_or_else(|| answer(shared, &exchange)));
    plan.edit_reply(&mut reply);
    let head = plan.head(&reply);
    shared.log.update(number, |exchange| exchange.status = Some(reply.status));
    let body_starts = head.len() as u64;
    let pauses = plan.pauses.iter().map(|(offset, time)| (body_starts + offset, *time)).collect();
    let mut faucet = Faucet { wire, shared, number, offset: 0, body_starts, pauses, plan: &plan };
    let mut end = faucet.write(&head).await?;
    if end.is_none() && exchange.method != "HEAD" {
        end = faucet.write_body(&reply).await?;
    }
    Ok(end.unwrap_or(plan.after))
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
