//! `cache`: what is kept between runs.

use std::time::{Duration, SystemTime};

use oci_fetcher::{Cache, CachedBlob, Pruned};
use oci_fetcher_core::digest::Digest;
use oci_fetcher_core::error::Explain;
use oci_fetcher_core::sanitise::sanitise;
use serde::Serialize;

use crate::cli::args::{CacheCommand, CachePlace, OutputOptions};
use crate::cli::failure::{Ended, Failure};
use crate::cli::output::{print, print_json};
use crate::cli::progress::counted;
use crate::cli::size::rounded;
use crate::cli::usage::UsageError;

pub(crate) fn run(command: &CacheCommand, output: OutputOptions) -> Result<(), Ended> {
    match command {
        CacheCommand::Path(place) => path(&open(place)?, output),
        CacheCommand::Ls(place) => list(&open(place)?, output),
        CacheCommand::Prune { keep, place } => prune(&open(place)?, keep.0, output),
    }
}

fn open(place: &CachePlace) -> Result<Cache, Ended> {
    let root = place.cache_dir.clone().or_else(Cache::default_root);
    root.map(Cache::new).ok_or_else(|| UsageError::NoCachePlace.into())
}

fn path(cache: &Cache, output: OutputOptions) -> Result<(), Ended> {
    let path = cache.root().to_string_lossy();
    if output.json {
        return print_json(&serde_json::json!({ "path": path }));
    }
    print(&format!("{}\n", sanitise(&path, PATH_CHARS)))
}

/// Linux's `PATH_MAX`.
const PATH_CHARS: usize = 4_096;

fn list(cache: &Cache, output: OutputOptions) -> Result<(), Ended> {
    let blobs = cache.blobs().map_err(|error| failed(&error, "list"))?;
    let total = blobs.iter().map(|blob| blob.size).sum();
    if output.json {
        #[derive(Serialize)]
        struct Result<'r> {
            blobs: Vec<BlobResult<'r>>,
            total: u64,
        }
        return print_json(&Result { blobs: blobs.iter().map(BlobResult::from).collect(), total });
    }
    let now = SystemTime::now();
    let lines = blobs.iter().map(|blob| {
        if output.quiet {
            return format!("{}\n", blob.digest);
        }
        let age = now.duration_since(blob.used).unwrap_or_default();
        format!("{}  {:>9}  {}\n", blob.digest, rounded(blob.size), ago(age))
    });
    print(&lines.collect::<String>())
}

#[derive(Serialize)]
struct BlobResult<'b> {
    digest: &'b Digest,
    size: u64,
    /// Seconds since 1970.
    used: u64,
}

impl<'b> From<&'b CachedBlob> for BlobResult<'b> {
    fn from(blob: &'b CachedBlob) -> Self {
        let used = blob.used.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        Self { digest: &blob.digest, size: blob.size, used }
    }
}

fn prune(cache: &Cache, keep: u64, output: OutputOptions) -> Result<(), Ended> {
    let Pruned { removed, freed, kept } = cache.prune(keep).map_err(|error| failed(&error, "prune"))?;
    if output.json {
        return print_json(&serde_json::json!({ "removed": removed, "freed": freed, "kept": kept }));
    }
    if output.quiet {
        return Ok(());
    }
    let removed = counted(usize::try_from(removed).unwrap_or(usize::MAX), "file");
    print(&format!("removed {removed}, {}; kept {}\n", rounded(freed), rounded(kept)))
}

fn failed(error: &dyn Explain, what: &str) -> Ended {
    Failure::new(error).during(&format!("cannot {what} the cache")).into()
}

/// Returns a period in its largest unit.
fn ago(period: Duration) -> String {
    let seconds = period.as_secs();
    let (number, unit) = match seconds {
        0..60 => return "just now".to_owned(),
        60..3_600 => (seconds / 60, "minute"),
        3_600..86_400 => (seconds / 3_600, "hour"),
        86_400.. => (seconds / 86_400, "day"),
    };
    format!("{} ago", counted(usize::try_from(number).unwrap_or(usize::MAX), unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_ages_in_their_largest_unit() {
        for (seconds, text) in [
            (0, "just now"),
            (59, "just now"),
            (60, "1 minute ago"),
            (7_199, "1 hour ago"),
            (7_200, "2 hours ago"),
            (86_400 * 400, "400 days ago"),
        ] {
            assert_eq!(ago(Duration::from_secs(seconds)), text);
        }
    }
}
