//! Loads one small blob by digest: from the local store, else from the registry, verified.

use std::sync::Arc;

use super::effect::{Effect, JobId};
use super::engine::{Engine, Event};
use super::error::PullError;
use super::fetched::verify;
use super::session::Network;
use crate::digest::Digest;
use crate::manifest::ACCEPT;
use crate::request::Method;

/// What is loaded, and so from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Manifest,
    Config,
}

/// A load under way.
#[derive(Debug)]
pub(super) struct Load {
    what: String,
    kind: Kind,
    digest: Digest,
    size: Option<u64>,
    job: JobId,
}

impl Load {
    /// Begins; `size` is the descriptor's.
    pub(super) fn start(
        engine: &mut Engine,
        kind: Kind,
        digest: &Digest,
        size: Option<u64>,
    ) -> Result<Self, PullError> {
        let what = match kind {
            Kind::Manifest => format!("the manifest {digest}"),
            Kind::Config => format!("the config {digest}"),
        };
        if digest.algorithm().is_none() {
            return Err(PullError::Algorithm { digest: digest.clone() });
        }
        let (limit, option) = bound(engine, kind);
        if size.is_some_and(|size| size > limit) {
            return Err(PullError::Limit { what, limit, option });
        }
        let job = engine.look_up(digest.clone(), limit);
        Ok(Self { what, kind, digest: digest.clone(), size, job })
    }

    pub(super) fn job(&self) -> JobId {
        self.job
    }

    /// Names what is loaded, for messages.
    pub(super) fn what(&self) -> &str {
        &self.what
    }

    /// Goes on with an event for [`job`](Self::job); `None` means there is more to come.
    pub(super) fn on(&mut self, event: Event, engine: &mut Engine) -> Option<Result<Arc<[u8]>, PullError>> {
        match event {
            Event::Found { bytes, .. } => {
                match self.check(&bytes) {
                    Ok(()) => return Some(Ok(bytes.into())),
                    // A layout or archive is all there is, and not ours to repair.
                    Err(error) if engine.session.network == Network::Local => return Some(Err(error)),
                    Err(_) => {}
                }
                engine.tell(Effect::Discard { digest: self.digest.clone() });
                self.fetch(engine)
            }
            Event::Missing { .. } => self.fetch(engine),
            Event::Answer { body, .. } => Some(self.check(&body).map(|()| {
                let bytes: Arc<[u8]> = body.into();
                engine.tell(Effect::Keep { digest: self.digest.clone(), bytes: bytes.clone() });
                bytes
            })),
            Event::Refused { error, .. } => {
                let what = || self.what.clone();
                // What has a descriptor is part of something that was found.
                Some(Err(if self.size.is_some() { error.naming_part(what) } else { error.naming(what) }))
            }
            Event::Recalled { .. } | Event::Opened { .. } | Event::Whole { .. } | Event::Sealed { .. } => None,
        }
    }

    fn check(&self, bytes: &[u8]) -> Result<(), PullError> {
        let found = bytes.len() as u64;
        if let Some(expected) = self.size
            && expected != found
        {
            return Err(PullError::SizeMismatch { what: self.what.clone(), expected, found });
        }
        verify(&self.what, &self.digest, bytes)
    }

    fn fetch(&mut self, engine: &mut Engine) -> Option<Result<Arc<[u8]>, PullError>> {
        if let Err(error) = engine.session.must_be_online(|| self.what.clone()) {
            return Some(Err(error));
        }
        let (limit, _) = bound(engine, self.kind);
        let (rest, accept) = match self.kind {
            Kind::Manifest => ("manifests", Some(ACCEPT)),
            Kind::Config => ("blobs", None),
        };
        let url = engine.session.url(&format!("{rest}/{}", self.digest));
        self.job = engine.ask(Method::Get, url, accept, limit);
        None
    }
}

fn bound(engine: &Engine, kind: Kind) -> (u64, &'static str) {
    match kind {
        Kind::Manifest => (engine.session.limits.manifest_bytes, "--max-manifest-bytes"),
        Kind::Config => (engine.session.limits.config_bytes, "--max-config-bytes"),
    }
}
