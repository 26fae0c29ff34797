//! Transfers blobs into the host's sinks, several at once, begun in order.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;

use super::effect::{Effect, JobId, Stored, Verdict};
use super::engine::{Engine, Event};
use super::error::PullError;
use super::sealed::Steps;
use crate::manifest::Descriptor;
use crate::sorted::SortedMap;

/// The plan that transfers a list of blobs.
///
/// They are begun in the list's order, so that the first unfinished one is always among those
/// under way; a digest that repeats is transferred again only after its first transfer has ended,
/// when the store has it.
#[derive(Debug)]
pub struct Blobs {
    waiting: VecDeque<(usize, Arc<Descriptor>)>,
    active: SortedMap<JobId, Transfer>,
    concurrency: NonZeroUsize,
    outcome: BlobOutcome,
}

#[derive(Debug)]
struct Transfer {
    index: usize,
    descriptor: Arc<Descriptor>,
    /// Bytes that were stored before, and so may be what is wrong.
    stored: bool,
}

/// How the blobs came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlobOutcome {
    /// Blobs for which the registry was asked.
    pub fetched: usize,
    /// Blobs that were stored already.
    pub stored: usize,
}

impl Blobs {
    /// Plans the transfer of `blobs`, at most `concurrency` of them at once.
    #[must_use]
    pub fn new(blobs: Vec<Arc<Descriptor>>, concurrency: NonZeroUsize) -> Self {
        Self {
            waiting: blobs.into_iter().enumerate().collect(),
            active: SortedMap::default(),
            concurrency,
            outcome: BlobOutcome::default(),
        }
    }

    fn begin(&mut self, engine: &mut Engine) -> Option<Result<BlobOutcome, PullError>> {
        while self.active.len() < self.concurrency.get() {
            let free = |(_, descriptor): &(usize, Arc<Descriptor>)| {
                self.active.values().all(|transfer| transfer.descriptor.digest != descriptor.digest)
            };
            let Some(next) = self.waiting.iter().position(free) else { break };
            let (index, descriptor) = self.waiting.remove(next).expect("a position just found");
            if descriptor.digest.algorithm().is_none() {
                return Some(Err(PullError::Algorithm { digest: descriptor.digest.clone() }));
            }
            if let Some(data) = &descriptor.data {
                // It was verified when the manifest was read, so that nothing has to be fetched.
                engine.tell(Effect::Keep { digest: descriptor.digest.clone(), bytes: data.as_slice().into() });
            }
            let job = engine.open(index, descriptor.clone());
            self.active.insert(job, Transfer { index, descriptor, stored: false });
        }
        (self.active.is_empty() && self.waiting.is_empty()).then_some(Ok(self.outcome))
    }
}

impl Steps for Blobs {
    type Outcome = BlobOutcome;

    fn start(&mut self, engine: &mut Engine) -> Option<Result<BlobOutcome, PullError>> {
        self.begin(engine)
    }

    fn on(&mut self, event: Event, engine: &mut Engine) -> Option<Result<BlobOutcome, PullError>> {
        match event {
            Event::Opened { job, stored } => {
                let transfer = self.active.get_mut(&job)?;
                let descriptor = transfer.descriptor.clone();
                match stored {
                    Stored::Complete => {
                        transfer.stored = true;
                        self.outcome.stored += 1;
                    }
                    Stored::Partial { length } if length == descriptor.size => {
                        transfer.stored = length > 0;
                        self.outcome.stored += 1;
                        engine.seal(job);
                    }
                    Stored::Partial { length } => {
                        let what = || format!("the blob {}", descriptor.digest);
                        if let Err(error) = engine.session.must_be_online(what) {
                            return Some(Err(error));
                        }
                        transfer.stored = length > 0;
                        self.outcome.fetched += 1;
                        engine.stream(job, &descriptor, length);
                    }
                }
                None
            }
            Event::Whole { job } => {
                engine.seal(job);
                None
            }
            Event::Sealed { job, verdict } => {
                let Transfer { index, descriptor, stored } = self.active.remove(&job)?;
                let digest = descriptor.digest.clone();
                match verdict {
                    Verdict::Verified => self.begin(engine),
                    Verdict::Wrong if stored => {
                        engine.tell(Effect::Discard { digest: digest.clone() });
                        Some(Err(PullError::Stale { digest }))
                    }
                    Verdict::Wrong | Verdict::HostFailed => Some(Err(PullError::Blob { index, digest })),
                }
            }
            Event::Refused { job, error } => {
                let digest = self.active.get(&job).map(|transfer| transfer.descriptor.digest.clone())?;
                Some(Err(error.naming_part(|| format!("the blob {digest}"))))
            }
            Event::Found { .. } | Event::Recalled { .. } | Event::Missing { .. } | Event::Answer { .. } => None,
        }
    }
}
