//! The log of requests.

use std::sync::Mutex;

use super::lock;

/// A request, and how far its answer went.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The connection it came over, counted from 0 in the order of their first requests.
    pub connection: usize,
    /// The port it came to.
    pub port: u16,
    /// The method, in upper case as sent.
    pub method: String,
    /// The path with the query, as sent.
    pub target: String,
    /// The header fields, as sent.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// The status of the answer, once its head is written.
    pub status: Option<u16>,
    /// How many bytes of the answer's body were written.
    pub bytes_sent: u64,
}

impl Exchange {
    /// Returns the path without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(&self.target, |(path, _)| path)
    }

    /// Returns the query, decoded, in the order sent.
    #[must_use]
    pub fn query(&self) -> Vec<(String, String)> {
        self.target.split_once('?').map_or_else(Vec::new, |(_, query)| super::http::parse_form(query))
    }

    /// Returns the body as a form, decoded, in the order sent.
    #[must_use]
    pub fn form(&self) -> Vec<(String, String)> {
        super::http::parse_form(&String::from_utf8_lossy(&self.body))
    }

    /// Returns the first header field of this name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

#[derive(Debug, Default)]
pub(super) struct Log(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    exchanges: Vec<Exchange>,
    /// Exchanges forgotten before the first of `exchanges`.
    forgotten: usize,
    connections: usize,
}

impl Log {
    pub(super) fn next_connection(&self) -> usize {
        let mut state = lock(&self.0);
        state.connections += 1;
        state.connections - 1
    }

    /// Enters a request; returns its number.
    pub(super) fn enter(&self, exchange: Exchange) -> usize {
        let mut state = lock(&self.0);
        state.exchanges.push(exchange);
        state.forgotten + state.exchanges.len() - 1
    }

    pub(super) fn update(&self, number: usize, update: impl FnOnce(&mut Exchange)) {
        let mut state = lock(&self.0);
        let index = number.checked_sub(state.forgotten);
        if let Some(exchange) = index.and_then(|index| state.exchanges.get_mut(index)) {
            update(exchange);
        }
    }

    pub(super) fn snapshot(&self) -> Vec<Exchange> {
        lock(&self.0).exchanges.clone()
    }

    pub(super) fn clear(&self) {
        let mut state = lock(&self.0);
        state.forgotten += state.exchanges.len();
        state.exchanges.clear();
    }
}
