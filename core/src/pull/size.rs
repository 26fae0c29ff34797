//! Asks how large a blob is, where no descriptor says so.

use super::engine::{Engine, Event};
use super::error::{Place, PullError};
use super::sealed::Steps;
use super::session::Network;
use crate::digest::Digest;
use crate::request::Method;

/// The plan that asks the registry for the size of a blob. The size is a claim, which a transfer of
/// the blob verifies.
#[derive(Debug)]
pub struct BlobSize(Digest);

impl BlobSize {
    /// Plans to ask for a blob's size in bytes.
    #[must_use]
    pub fn new(digest: Digest) -> Self {
        Self(digest)
    }
}

impl Steps for BlobSize {
    type Outcome = u64;

    fn start(&mut self, engine: &mut Engine) -> Option<Result<u64, PullError>> {
        let what = format!("the blob {}", self.0);
        let place = match engine.session.network {
            Network::Online => {
                let url = engine.session.url(&format!("blobs/{}", self.0));
                engine.ask(Method::Head, url, None, engine.session.limits.token_bytes);
                return None;
            }
            Network::Offline => Place::Cache,
            Network::Local => Place::Source,
        };
        Some(Err(PullError::NotStored { what, place }))
    }

    fn on(&mut self, event: Event, engine: &mut Engine) -> Option<Result<u64, PullError>> {
        let head = match event.answer()? {
            Ok((head, _)) => head,
            Err(error) => return Some(Err(error.naming(|| format!("the blob {}", self.0)))),
        };
        let length = head.headers.get("content-length").and_then(|value| value.trim().parse().ok());
        Some(length.ok_or_else(|| PullError::Protocol {
            request: format!("HEAD {}", engine.session.url(&format!("blobs/{}", self.0))),
            reason: "the answer does not tell the blob's size".to_owned(),
        }))
    }
}
