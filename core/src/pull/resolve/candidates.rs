//! What an index, and the indexes within it, offer for a platform, in the order in which it is tried.

use std::collections::BTreeSet;

use crate::digest::Digest;
use crate::manifest::{Candidate, Descriptor, Index, ManifestError, Platform, no_match};
use crate::pull::engine::Engine;
use crate::pull::entries::Entries;
use crate::pull::error::PullError;
use crate::pull::fetched::unusable;

/// Many times what any image is built for, and a message shows fewer.
const MOST_OFFERED: usize = 256;

/// The candidates of all indexes that were entered.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    /// Not yet tried, the next one last.
    waiting: Vec<Trial>,
    /// By digest: an index may name one manifest often, or itself.
    visited: BTreeSet<Digest>,
    entries: Entries,
    /// What to say if no candidate is left; there is something to say once there is an index.
    miss: Option<Miss>,
}

/// A candidate, owned.
#[derive(Debug)]
pub(super) struct Trial {
    pub(super) descriptor: Descriptor,
    /// Whether only its config can tell if it fits.
    pub(super) unlabelled: bool,
    /// The number of indexes around it.
    pub(super) depth: u32,
}

/// An index without a fitting image.
#[derive(Debug)]
struct Miss {
    /// The outermost one, for messages.
    what: String,
    /// What it and those in it are for.
    offered: Vec<Platform>,
}

impl Candidates {
    /// Adds an index's candidates before those that are left; the index has `depth` others around it.
    pub(super) fn add(
        &mut self,
        digest: &Digest,
        index: &Index,
        platform: &Platform,
        depth: u32,
        engine: &Engine,
    ) -> Result<(), PullError> {
        let what = format!("the index {digest}");
        let limit = engine.session.limits.index_depth;
        if depth >= limit {
            let what = format!("the nesting of {what}");
            return Err(PullError::Limit { what, limit: u64::from(limit), option: "--max-index-depth" });
        }
        self.miss.get_or_insert_with(|| Miss { what: what.clone(), offered: Vec::new() });
        self.note(index.offered());
        match index.choose(platform) {
            Ok(candidates) => {
                self.entries.add(candidates.len(), engine)?;
                self.waiting.extend(candidates.into_iter().rev().map(|candidate| {
                    let unlabelled = matches!(candidate, Candidate::Unlabelled(_));
                    Trial { descriptor: candidate.descriptor().clone(), unlabelled, depth: depth + 1 }
                }));
                Ok(())
            }
            // An inner index without a fitting platform leaves the outer one's other candidates.
            Err(ManifestError::PlatformNotFound { .. }) => Ok(()),
            Err(error) => Err(unusable(&what, error)),
        }
    }

    /// Notes what there is for other platforms.
    pub(super) fn note<'p>(&mut self, platforms: impl Iterator<Item = &'p Platform>) {
        let Some(Miss { offered, .. }) = &mut self.miss else { return };
        for platform in platforms {
            if offered.len() < MOST_OFFERED && !offered.contains(platform) {
                offered.push(platform.clone());
            }
        }
    }

    /// The next one that has not been tried.
    pub(super) fn next(&mut self) -> Option<Trial> {
        while let Some(trial) = self.waiting.pop() {
            if self.visited.insert(trial.descriptor.digest.clone()) {
                return Some(trial);
            }
        }
        None
    }

    /// That none was for the platform; nothing where there was no index.
    pub(super) fn none_fits(&mut self, platform: &Platform) -> Option<PullError> {
        let Miss { what, offered } = self.miss.take()?;
        Some(unusable(&what, no_match(platform, offered.iter())))
    }
}
