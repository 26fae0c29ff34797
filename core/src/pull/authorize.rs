//! From a refused request to one that is let through: challenges, tokens, and who waits for them.

use super::effect::{Effect, JobId, Note};
use super::engine::Engine;
use super::error::PullError;
use super::exchange::{Exchange, Purpose, State, Trouble, registry_message};
use crate::request::{Method, ResponseHead, retry_after};
use crate::token::{Challenge, Grant, TokenError, TokenRequest, challenges};
use crate::url::Origin;

impl Engine {
    /// Answers a 401.
    pub(super) fn refused(&mut self, job: JobId, head: &ResponseHead, body: &[u8]) {
        let Some(exchange) = self.exchanges.get_mut(&job) else { return };
        let origin = exchange.at.origin();
        if exchange.generation < self.session.authorizations.generation(&origin) {
            // Refused with something older than what is known by now.
            return self.send(job);
        }
        let denied = PullError::Denied { request: exchange.name(), status: 401, message: registry_message(body) };
        if exchange.refreshes > 0 {
            return self.end(job, denied);
        }
        exchange.refreshes += 1;
        let challenges = challenges(&head.headers);
        if challenges.is_empty() {
            match self.session.authorizations.refuse_endpoint(&origin) {
                Ok(true) => return self.send(job),
                Ok(false) => {}
                Err(source) => return self.end(job, PullError::Token { origin, source }),
            }
        }
        let Some(exchange) = self.exchanges.get_mut(&job) else { return };
        if challenges.is_empty() && origin == self.session.registry.origin() {
            exchange.state = State::AwaitingToken(origin.clone());
            let pinging = self.exchanges.values().any(|other| matches!(other.purpose, Purpose::Ping { .. }));
            if !pinging {
                let ping = self.job();
                let url = self.session.registry.join("/v2/").expect("a constant path");
                self.exchanges.insert(ping, Exchange::new(Purpose::Ping { origin }, Method::Get, url, None));
                self.send(ping);
            }
            return;
        }
        match self.learn(&origin, &challenges) {
            Ok(true) => self.send(job),
            Ok(false) => self.end(job, denied),
            Err(source) => self.end(job, PullError::Token { origin, source }),
        }
    }

    /// Takes up the challenge that can be answered; returns whether there was one.
    fn learn(&mut self, origin: &Origin, challenges: &[Challenge]) -> Result<bool, TokenError> {
        let bearer = challenges.iter().find_map(|challenge| match challenge {
            Challenge::Bearer(bearer) => Some(bearer),
            Challenge::Basic { .. } | Challenge::Other { .. } => None,
        });
        if let Some(bearer) = bearer {
            return self.session.authorizations.learn_bearer(origin, bearer).map(|()| true);
        }
        let basic = challenges.iter().any(|challenge| matches!(challenge, Challenge::Basic { .. }));
        Ok(basic && self.session.authorizations.learn_basic(origin))
    }

    pub(super) fn ping_answer(&mut self, job: JobId, head: &ResponseHead, body: &[u8]) {
        let Some(exchange) = self.exchanges.get_mut(&job) else { return };
        let Purpose::Ping { origin } = &exchange.purpose else { return };
        let origin = origin.clone();
        if matches!(head.status, 408 | 425 | 429 | 500..=599) {
            let trouble = Trouble::Status { status: head.status, message: registry_message(body) };
            return self.trouble(job, trouble, retry_after(&head.headers));
        }
        let denied = PullError::Denied { request: exchange.name(), status: 401, message: registry_message(body) };
        // What counts is a refusal: nothing else may say where a credential goes.
        let challenges = if head.status == 401 { challenges(&head.headers) } else { Vec::new() };
        match self.learn(&origin, &challenges) {
            Ok(true) => {
                self.exchanges.remove(&job);
                self.resume(&origin);
            }
            Ok(false) => self.end(job, denied),
            Err(source) => self.end(job, PullError::Token { origin, source }),
        }
    }

    /// Asks for a token, unless that is under way.
    pub(super) fn ask_token(&mut self, origin: Origin, token: Box<TokenRequest>) {
        let same =
            |exchange: &Exchange| matches!(&exchange.purpose, Purpose::Token { origin: other, .. } if *other == origin);
        if self.exchanges.values().any(same) {
            return;
        }
        if let Some(withheld) = &token.withheld {
            self.tell(Effect::Note(Note::Warning { text: withheld.to_string() }));
        }
        let job = self.job();
        let (method, url) = (token.request.method, token.request.url.clone());
        self.exchanges.insert(job, Exchange::new(Purpose::Token { origin, token }, method, url, None));
        self.send(job);
    }

    pub(super) fn token_answer(&mut self, job: JobId, head: &ResponseHead, body: &[u8]) {
        let Some(exchange) = self.exchanges.get_mut(&job) else { return };
        let name = exchange.name();
        let Purpose::Token { origin, token } = &mut exchange.purpose else { return };
        match head.status {
            200..=299 => match Grant::parse(body) {
                Ok(grant) => {
                    let (origin, key) = (origin.clone(), token.key.clone());
                    self.exchanges.remove(&job);
                    self.session.authorizations.grant(&origin, key, &grant, self.now);
                    self.resume(&origin);
                }
                Err(source) => {
                    let error = PullError::Token { origin: origin.clone(), source };
                    self.end(job, error);
                }
            },
            status if TokenRequest::is_unserved(status) && token.fallback.is_some() => {
                token.request = token.fallback.take().expect("checked in the guard");
                exchange.method = token.request.method;
                exchange.start = token.request.url.clone();
                exchange.begin_again();
                self.send(job);
            }
            408 | 425 | 429 | 500..=599 => {
                let trouble = Trouble::Status { status: head.status, message: registry_message(body) };
                self.trouble(job, trouble, retry_after(&head.headers));
            }
            status => {
                let error = PullError::TokenRefused { request: name, status, message: registry_message(body) };
                self.end(job, error);
            }
        }
    }

    /// Sends every exchange that waits for a token of an origin.
    fn resume(&mut self, origin: &Origin) {
        for waiting in self.waiting_for(origin) {
            self.send(waiting);
        }
    }

    pub(super) fn waiting_for(&self, origin: &Origin) -> Vec<JobId> {
        let waits = |exchange: &Exchange| matches!(&exchange.state, State::AwaitingToken(other) if other == origin);
        self.exchanges.iter().filter(|(_, exchange)| waits(exchange)).map(|(&job, _)| job).collect()
    }
}
