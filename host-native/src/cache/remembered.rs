//! What tags were when they were last resolved.

use std::io::{ErrorKind, Read};
use std::path::PathBuf;
use std::time::SystemTime;

use oci_fetcher_core::digest::{Algorithm, Digest};
use serde::{Deserialize, Serialize};

use super::{Cache, CacheError, error};
use crate::blob::open_regular;

/// A tag's digest at a time.
#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    reference: String,
    digest: Digest,
    /// Seconds since 1970-01-01T00:00:00Z.
    time: u64,
}

/// A record is some hundred bytes.
const RECORD_BYTES: u64 = 64 << 10;

impl Cache {
    /// Stores what a reference resolved to.
    pub(crate) fn remember(&self, reference: &str, digest: &Digest) -> Result<(), CacheError> {
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let record = Remembered { reference: reference.to_owned(), digest: digest.clone(), time };
        let bytes = serde_json::to_vec(&record).expect("plain data becomes JSON");
        self.write(&self.record_path(reference), &bytes)
    }

    /// Returns what a reference last resolved to. A record that cannot be read is none.
    pub(crate) fn recall(&self, reference: &str) -> Result<Option<Digest>, CacheError> {
        let path = self.record_path(reference);
        let mut bytes = Vec::new();
        match open_regular(&path).and_then(|file| file.take(RECORD_BYTES).read_to_end(&mut bytes)) {
            Err(source) if source.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(error("read", &path, source)),
            Ok(_) => {}
        }
        let record = serde_json::from_slice::<Remembered>(&bytes).ok();
        Ok(record.filter(|record| record.reference == reference).map(|record| record.digest))
    }

    fn record_path(&self, reference: &str) -> PathBuf {
        self.root.join("tags").join(Digest::of(Algorithm::Sha256, reference.as_bytes()).encoded())
    }
}
