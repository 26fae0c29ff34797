//! Everything that one manifest or index refers to: what a copy of it has to hold.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::effect::JobId;
use super::engine::{Engine, Event};
use super::error::PullError;
use super::fetched::{self, Fetched};
use super::load::{Kind, Load};
use super::sealed::Steps;
use crate::digest::Digest;
use crate::manifest::{Declared, Descriptor, Manifest};

/// The plan that loads every manifest below one, for all platforms, attestations included.
#[derive(Debug)]
pub struct Closure {
    waiting: VecDeque<(Descriptor, u32)>,
    active: BTreeMap<JobId, (Load, Descriptor, u32)>,
    seen: BTreeSet<Digest>,
    outcome: ClosureOutcome,
    top: Option<Fetched>,
}

/// What a manifest or index refers to.
#[derive(Clone, Debug, Default)]
pub struct ClosureOutcome {
    /// The manifests and indexes, the outermost first, each once.
    pub manifests: Vec<Fetched>,
    /// The blobs, each once: configs, layers, and entries of an index that are no manifests.
    pub blobs: Vec<Arc<Descriptor>>,
}

/// Manifests that are loaded at once.
const AT_ONCE: usize = 8;

impl Closure {
    /// Plans to load what is below `top`.
    #[must_use]
    pub fn new(top: Fetched) -> Self {
        Self {
            waiting: VecDeque::new(),
            active: BTreeMap::new(),
            seen: BTreeSet::new(),
            outcome: ClosureOutcome::default(),
            top: Some(top),
        }
    }

    fn take(&mut self, fetched: Fetched, depth: u32, engine: &Engine) -> Result<(), PullError> {
        self.seen.insert(fetched.digest.clone());
        match &fetched.manifest {
            Manifest::Index(index) => {
                let limit = engine.session.limits.index_depth;
                if depth >= limit {
                    return Err(PullError::Limit {
                        what: format!("the nesting of the index {}", fetched.digest),
                        limit: u64::from(limit),
                        option: "--max-index-depth",
                    });
                }
                for entry in &index.manifests {
                    if !self.seen.insert(entry.digest.clone()) {
                        continue;
                    }
                    if entry.media_type.is_index() || entry.media_type.is_image_manifest() {
                        self.waiting.push_back((entry.clone(), depth + 1));
                    } else {
                        self.outcome.blobs.push(Arc::new(entry.clone()));
                    }
                }
            }
            Manifest::Image(image) => {
                for blob in std::iter::once(&image.config).chain(&image.layers) {
                    if self.seen.insert(blob.digest.clone()) {
                        self.outcome.blobs.push(Arc::new(blob.clone()));
                    }
                }
            }
        }
        self.outcome.manifests.push(fetched);
        Ok(())
    }

    fn begin(&mut self, engine: &mut Engine) -> Option<Result<ClosureOutcome, PullError>> {
        while self.active.len() < AT_ONCE {
            let Some((descriptor, depth)) = self.waiting.pop_front() else { break };
            match Load::start(engine, Kind::Manifest, &descriptor.digest, Some(descriptor.size)) {
                Ok(load) => self.active.insert(load.job(), (load, descriptor, depth)),
                Err(error) => return Some(Err(error)),
            };
        }
        self.active.is_empty().then(|| Ok(std::mem::take(&mut self.outcome)))
    }
}

impl Steps for Closure {
    type Outcome = ClosureOutcome;

    fn start(&mut self, engine: &mut Engine) -> Option<Result<ClosureOutcome, PullError>> {
        let top = self.top.take()?;
        match self.take(top, 0, engine) {
            Ok(()) => self.begin(engine),
            Err(error) => Some(Err(error)),
        }
    }

    fn on(&mut self, event: Event, engine: &mut Engine) -> Option<Result<ClosureOutcome, PullError>> {
        let (mut load, descriptor, depth) = self.active.remove(&event.job())?;
        match load.on(event, engine) {
            None => {
                self.active.insert(load.job(), (load, descriptor, depth));
                None
            }
            Some(Err(error)) => Some(Err(error)),
            Some(Ok(bytes)) => {
                let declared = Declared::Described(&descriptor.media_type);
                let digest = descriptor.digest.clone();
                let fetched = fetched::read(load.what(), Some(digest), bytes, declared, &engine.session.limits);
                match fetched.and_then(|fetched| self.take(fetched, depth, engine)) {
                    Ok(()) => self.begin(engine),
                    Err(error) => Some(Err(error)),
                }
            }
        }
    }
}
