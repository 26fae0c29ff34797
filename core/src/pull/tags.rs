//! Lists the tags of a repository (distribution-spec 1.1, "Listing Tags").

use std::collections::BTreeSet;

use serde::Deserialize;

use super::engine::{Engine, Event};
use super::error::PullError;
use super::sealed::Steps;
use crate::request::{Method, next_link};
use crate::url::Url;

/// The plan that lists a repository's tags, following every page on the registry's origin.
#[derive(Debug, Default)]
pub struct Tags {
    tags: Vec<String>,
    visited: BTreeSet<String>,
    at: Option<Url>,
}

impl Tags {
    /// Plans the listing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn page(&mut self, url: Url, engine: &mut Engine) -> Option<Result<Vec<String>, PullError>> {
        let limits = &engine.session.limits;
        if self.visited.len() >= limits.pages as usize {
            return Some(Err(PullError::Limit {
                what: "the tag listing".to_owned(),
                limit: u64::from(limits.pages),
                option: "--max-pages",
            }));
        }
        if !self.visited.insert(url.as_str().to_owned()) {
            let reason = "the pages of the tag listing lead in a circle".to_owned();
            return Some(Err(PullError::Protocol { request: url.redacted().to_owned(), reason }));
        }
        engine.ask(Method::Get, url.clone(), None, PAGE_BYTES);
        self.at = Some(url);
        None
    }
}

/// What a page asks for; registries that give fewer link to the rest.
const TAGS_A_PAGE: &str = "1000";

/// A thousand tags of the longest length, in JSON, several times over: some registries ignore `n`.
const PAGE_BYTES: u64 = 16 << 20;

impl Steps for Tags {
    type Outcome = Vec<String>;

    fn start(&mut self, engine: &mut Engine) -> Option<Result<Vec<String>, PullError>> {
        let url = engine.session.url("tags/list").with_query(&[("n", TAGS_A_PAGE)]);
        self.page(url, engine)
    }

    fn on(&mut self, event: Event, engine: &mut Engine) -> Option<Result<Vec<String>, PullError>> {
        #[derive(Deserialize)]
        struct Page {
            tags: Option<Vec<String>>,
        }

        let (head, body) = match event.answer()? {
            Ok(answer) => answer,
            Err(error) => return Some(Err(error.naming(|| format!("the repository {}", engine.session.repository)))),
        };
        let at = self.at.take()?;
        let protocol = |reason: String| Some(Err(PullError::Protocol { request: at.redacted().to_owned(), reason }));
        let page: Page = match serde_json::from_slice(&body) {
            Ok(page) => page,
            Err(error) => return protocol(format!("malformed tag listing ({error})")),
        };
        self.tags.extend(page.tags.unwrap_or_default());
        match next_link(&head.headers, &at) {
            Ok(Some(next)) => self.page(next, engine),
            Ok(None) => Some(Ok(std::mem::take(&mut self.tags))),
            Err(error) => protocol(error.to_string()),
        }
    }
}
