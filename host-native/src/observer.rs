//! What a pull tells whoever watches it.

use std::sync::{Arc, Mutex, PoisonError};

use oci_fetcher_core::digest::Digest;
use oci_fetcher_core::pull::Note;

/// Watches a pull. Called from several threads, and often: it must return at once.
pub trait Observer: Send + Sync {
    /// Takes note of what happens.
    fn on(&self, event: &Event<'_>);
}

/// Something that happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// An image was resolved; its blobs come next.
    Resolved {
        /// The reference or source, as typed.
        source: &'a str,
        /// The manifest's digest.
        digest: &'a Digest,
        /// The blobs that will be transferred, in order, with their sizes in bytes.
        blobs: &'a [(Digest, u64)],
    },
    /// Bytes of a blob have come, from the registry or from the local store.
    Downloaded {
        /// The blob.
        digest: &'a Digest,
        /// Bytes so far.
        bytes: u64,
    },
    /// Compressed bytes of a layer have been decoded and put in their place.
    Unpacked {
        /// The layer's blob.
        digest: &'a Digest,
        /// Compressed bytes so far.
        bytes: u64,
    },
    /// A blob has been verified.
    Verified {
        /// The blob.
        digest: &'a Digest,
    },
    /// A request, a retry or a registry's warning.
    Note(&'a Note),
    /// Something was odd but accepted.
    Warning(&'a str),
}

/// Passes on what happens, each warning once, and keeps the warnings for the result.
pub(crate) struct Watch {
    observer: Arc<dyn Observer>,
    warnings: Mutex<Vec<String>>,
}

impl Watch {
    pub(crate) fn new(observer: Arc<dyn Observer>) -> Self {
        Self { observer, warnings: Mutex::default() }
    }

    /// Returns the warnings so far, in their order.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps a warning; returns whether it is new.
    fn is_new(&self, warning: &str) -> bool {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = warnings.iter().all(|known| known != warning);
        if is_new {
            warnings.push(warning.to_owned());
        }
        is_new
    }
}

impl Observer for Watch {
    fn on(&self, event: &Event<'_>) {
        let warning = match event {
            Event::Warning(warning) => warning,
            Event::Note(Note::Warning { text }) => text.as_str(),
            Event::Resolved { .. }
            | Event::Downloaded { .. }
            | Event::Unpacked { .. }
            | Event::Verified { .. }
            | Event::Note(_) => return self.observer.on(event),
        };
        if self.is_new(warning) {
            self.observer.on(event);
        }
    }
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn on(&self, _event: &Event<'_>) {}
}
