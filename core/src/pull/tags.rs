//! Lists the tags of a repository (distribution-spec 1.1, "Listing Tags").

use serde::Deserialize;

use super::engine::{Engine, Event};
use super::error::PullError;
use super::pages::Pages;
use super::sealed::Steps;
use crate::url::Url;

/// The plan that lists a repository's tags, following every page on the registry's origin.
#[derive(Debug)]
pub struct Tags {
    tags: Vec<String>,
    pages: Pages,
}

impl Default for Tags {
    fn default() -> Self {
        Self::new()
    }
}

impl Tags {
    /// Plans the listing.
    #[must_use]
    pub fn new() -> Self {
        Self { tags: Vec::new(), pages: Pages::new("the tag listing") }
    }

    fn page(&mut self, url: Url, engine: &mut Engine) -> Option<Result<Vec<String>, PullError>> {
        self.pages.ask(url, None, PAGE_BYTES, engine).err().map(Err)
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
        let page: Page = match serde_json::from_slice(&body) {
            Ok(page) => page,
            Err(error) => return Some(Err(self.pages.malformed(&format!("malformed tag listing ({error})")))),
        };
        self.tags.extend(page.tags.unwrap_or_default());
        match self.pages.next(&head.headers) {
            Ok(Some(next)) => self.page(next, engine),
            Ok(None) => Some(Ok(std::mem::take(&mut self.tags))),
            Err(error) => Some(Err(error)),
        }
    }
}
