//! What the indexes below one reference list, all together.

use super::engine::Engine;
use super::error::PullError;

/// Counts entries. Each index is bounded by itself; a tree of such would still name billions.
#[derive(Debug, Default)]
pub(super) struct Entries(u64);

impl Entries {
    /// Adds those of one more index.
    pub(super) fn add(&mut self, more: usize, engine: &Engine) -> Result<(), PullError> {
        self.0 = self.0.saturating_add(more as u64);
        let limit = u64::from(engine.session.limits.index_entries);
        if self.0 <= limit {
            return Ok(());
        }
        Err(PullError::Limit { what: "the entries of all indexes".to_owned(), limit, option: "--max-index-entries" })
    }
}
