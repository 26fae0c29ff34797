//! Asks how large a blob is, where no descriptor says so.

use super::engine::{Engine, Event};
use super::error::PullError;
use super::sealed::Steps;
use crate::digest::Digest;
use crate::request::Method;
use crate::url::Url;

/// The plan that asks the registry for the size of a blob: by HEAD, and by GET where HEAD is refused or
/// does not tell. The size is a claim, which a transfer of the blob verifies.
#[derive(Debug)]
pub struct BlobSize {
    digest: Digest,
    asked: Method,
}

impl BlobSize {
    /// Plans to ask for a blob's size in bytes.
    #[must_use]
    pub fn new(digest: Digest) -> Self {
        Self { digest, asked: Method::Head }
    }

    fn name(&self) -> String {
        format!("the blob {}", self.digest)
    }

    fn url(&self, engine: &Engine) -> Url {
        engine.session.url(&format!("blobs/{}", self.digest))
    }

    fn ask_by_get(&mut self, engine: &mut Engine) -> Option<Result<u64, PullError>> {
        self.asked = Method::Get;
        engine.ask_head_by_get(self.url(engine));
        None
    }
}

impl Steps for BlobSize {
    type Outcome = u64;

    fn start(&mut self, engine: &mut Engine) -> Option<Result<u64, PullError>> {
        if let Err(error) = engine.session.must_be_online(|| self.name()) {
            return Some(Err(error));
        }
        engine.ask(Method::Head, self.url(engine), None, engine.session.limits.token_bytes);
        None
    }

    fn on(&mut self, event: Event, engine: &mut Engine) -> Option<Result<u64, PullError>> {
        let by_head = self.asked == Method::Head;
        let head = match event.answer()? {
            Ok((head, _)) => head,
            Err(error) if by_head && error.may_be_of_head_alone() => return self.ask_by_get(engine),
            Err(error) => return Some(Err(error.naming(|| self.name()))),
        };
        match head.headers.get("content-length").and_then(|value| value.trim().parse().ok()) {
            Some(length) => Some(Ok(length)),
            None if by_head => self.ask_by_get(engine),
            None => {
                let request = format!("{} {}", self.asked, self.url(engine).redacted());
                let reason = "the answer does not tell the blob's size".to_owned();
                Some(Err(PullError::Protocol { request, reason }))
            }
        }
    }
}
