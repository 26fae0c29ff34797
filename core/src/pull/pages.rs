//! Walks through a listing page by page (distribution-spec 1.1, "Listing Tags", "Listing Referrers").

use std::collections::BTreeSet;

use super::engine::Engine;
use super::error::PullError;
use crate::request::{Headers, Method, next_link};
use crate::url::Url;

/// The pages of one listing: bounded in number, on one origin, and none of them twice.
#[derive(Debug)]
pub(super) struct Pages {
    what: &'static str,
    visited: BTreeSet<String>,
    at: Option<Url>,
}

impl Pages {
    /// Begins with none; `what` names the listing in messages.
    pub(super) fn new(what: &'static str) -> Self {
        Self { what, visited: BTreeSet::new(), at: None }
    }

    /// Asks for a page of at most `limit` bytes.
    pub(super) fn ask(
        &mut self,
        url: Url,
        accept: Option<&'static str>,
        limit: u64,
        engine: &mut Engine,
    ) -> Result<(), PullError> {
        engine.session.must_be_online(|| self.what.to_owned())?;
        let pages = engine.session.limits.pages;
        if self.visited.len() >= pages as usize {
            let limit = u64::from(pages);
            return Err(PullError::Limit { what: self.what.to_owned(), limit, option: "--max-pages" });
        }
        if !self.visited.insert(url.as_str().to_owned()) {
            let reason = format!("the pages of {} lead in a circle", self.what);
            return Err(PullError::Protocol { request: url.redacted().to_owned(), reason });
        }
        engine.ask(Method::Get, url.clone(), accept, limit);
        self.at = Some(url);
        Ok(())
    }

    /// Tells whether the page asked for is the first one.
    pub(super) fn is_first(&self) -> bool {
        self.visited.len() <= 1
    }

    /// Returns the page that follows the one whose headers these are.
    pub(super) fn next(&self, headers: &Headers) -> Result<Option<Url>, PullError> {
        let Some(at) = &self.at else { return Ok(None) };
        next_link(headers, at).map_err(|error| self.malformed(&error.to_string()))
    }

    /// Says what is wrong with the page asked for.
    pub(super) fn malformed(&self, reason: &str) -> PullError {
        let request = self.at.as_ref().map(|at| at.redacted().to_owned()).unwrap_or_default();
        PullError::Protocol { request, reason: reason.to_owned() }
    }
}
