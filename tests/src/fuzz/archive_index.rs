//! Where members lie in an archive: the same whether content is pushed or skipped, and inside it.

use oci_fetcher_core::entry::EntryPath;
use oci_fetcher_core::tar::{TarError, TarIndex, TarIndexer, TarLocation};

use super::blocks;
use super::entry::check_path;
use super::pieces::pieces;

/// Indexes the bytes as a tar, as they are and with the checksums of headers corrected.
pub(super) fn target(data: &[u8]) {
    for tar in [data.to_vec(), blocks::with_checksums(data)] {
        match (index(&tar, false), index(&tar, true)) {
            (Ok(pushed), Ok(skipped)) => {
                let pushed = locations(&pushed);
                assert_eq!(pushed, locations(&skipped), "skipping differs from pushing");
                for (path, location) in pushed {
                    check_path(&path);
                    let inside =
                        |at: TarLocation| at.offset.checked_add(at.size).is_some_and(|end| end <= tar.len() as u64);
                    assert!(location.is_none_or(inside), "{path} lies outside of the archive");
                }
            }
            (Err(error), Err(_)) => super::error::check(&error),
            (pushed, skipped) => panic!("{:?} or, skipping, {:?}", pushed.err(), skipped.err()),
        }
    }
}

fn index(tar: &[u8], skips: bool) -> Result<TarIndex, TarError> {
    let mut indexer = TarIndexer::new(&super::limits());
    // What a piece loses to skipping is what the next one begins behind.
    let mut ahead = 0;
    for piece in pieces(tar) {
        let skipped = if skips { piece.len().min(usize::try_from(ahead).unwrap_or(usize::MAX)) } else { 0 };
        indexer.skip(skipped as u64);
        ahead = indexer.push(&piece[skipped..])?;
    }
    indexer.finish()
}

fn locations(index: &TarIndex) -> Vec<(EntryPath, Option<TarLocation>)> {
    index.paths().map(|path| (path.clone(), index.locate(path))).collect()
}
