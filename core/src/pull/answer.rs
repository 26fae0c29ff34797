//! What becomes of an exchange when its answer is there: success, another place, another try, the end.

use super::effect::{Effect, Failure, FailureKind, JobId, Note};
use super::engine::{Engine, Event};
use super::error::PullError;
use super::exchange::{Breadth, Purpose, State, Trouble, registry_message};
use super::redirect;
use super::retry::after;
use crate::manifest::MediaType;
use crate::request::{ContentRange, Headers, ResponseHead, retry_after, warnings};

impl Engine {
    /// Decides what an answer's status means.
    pub(super) fn judge(&mut self, job: JobId, head: ResponseHead, body: Vec<u8>) {
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
                    if stream.ranged && stream.held > 0 {
                        return self.without_range(job);
                    }
                    let reason = "a part of the blob came where all of it was asked for".to_owned();
                    return self.end(job, PullError::Protocol { request: name, reason });
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
        match redirect::follow(&self.session, &exchange.at, head.headers.get("Location"), exchange.hops) {
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
            match redirect::check(&self.session, &exchange.start, &url) {
                Ok(()) => exchange.go_elsewhere(url),
                Err(reason) => {
                    let (request, target) = (exchange.name(), url.redacted().to_owned());
                    return self.end(job, PullError::Redirect { request, target, reason });
                }
            }
        }
        self.send(job);
    }

    pub(super) fn body_end(&mut self, job: JobId, held: u64, failure: Option<Failure>) {
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
        let streak = exchange.count_failure(self.now);
        let Some(pause) = self.session.retry.pause(streak, retry_after, &mut self.session.random) else {
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
