//! What web pages of other origins may see (Fetch standard, "CORS protocol").

use super::http::Reply;
use super::log::Exchange;
use crate::content::Blob;

/// What a server lets web pages of other origins see of its answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cors {
    /// Nothing, as hosted registries do.
    #[default]
    Absent,
    /// Bodies alone: a page cannot read the challenge of a refusal.
    Bodies,
    /// Bodies, and the header fields that a client of registries reads.
    Headers,
}

impl Cors {
    /// Returns the header fields that say so, for each answer.
    #[must_use]
    pub fn fields(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Absent => &[],
            Self::Bodies => &FIELDS[..FIELDS.len() - 1],
            Self::Headers => &FIELDS,
        }
    }

    /// Answers the question that browsers ask before a request.
    pub(super) fn preflight(self, exchange: &Exchange) -> Option<Reply> {
        let asked = exchange.method == "OPTIONS" && self != Self::Absent;
        asked.then(|| Reply::new(204, "text/plain", Blob::from("")))
    }

    pub(super) fn allow(self, reply: Reply) -> Reply {
        self.fields().iter().fold(reply, |reply, (name, value)| reply.header(name, value))
    }
}

/// `*` allows any field but `Authorization`, which has to be named.
const FIELDS: [(&str, &str); 5] = [
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Allow-Methods", "GET, HEAD, POST, OPTIONS"),
    ("Access-Control-Allow-Headers", "Authorization, Accept, Content-Type, Range"),
    ("Access-Control-Max-Age", "600"),
    (
        "Access-Control-Expose-Headers",
        "Content-Length, Content-Range, Docker-Content-Digest, Link, Retry-After, WWW-Authenticate",
    ),
];
