//! Tar members: chunked equals whole, and nothing unsafe comes out.

use oci_fetcher_core::limits::Limits;
use oci_fetcher_core::tar::{TarEvent, TarReader, TarSummary};

use super::entry::Listing;
use super::pieces::pieces;
use super::{blocks, error};

/// Reads the bytes as a tar, as they are and with the checksums of headers corrected.
pub(super) fn target(data: &[u8]) {
    let _ = check(data);
    let corrected = blocks::with_checksums(data);
    if corrected != data {
        let _ = check(&corrected);
    }
}

/// Checks that a tar reads the same in pieces, and returns how.
pub(super) fn check(tar: &[u8]) -> (Listing, Result<TarSummary, String>) {
    let limits = super::limits();
    let whole = read(&[tar], &limits);
    assert_eq!(whole, read(&pieces(tar), &limits), "pieces differ from the whole");
    whole
}

/// Reads a tar to its end or to its first error.
fn read(pieces: &[&[u8]], limits: &Limits) -> (Listing, Result<TarSummary, String>) {
    let (mut reader, mut listing) = (TarReader::new(limits), Listing::default());
    for piece in pieces.iter().copied().chain([&[][..]]) {
        let mut input = piece;
        loop {
            let before = input;
            match reader.step(&mut input) {
                Ok(TarEvent::NeedInput) => break,
                Ok(TarEvent::Entry(entry)) => listing.entry(entry, limits),
                Ok(TarEvent::Data { offset, len }) => listing.data(offset, &before[..len]),
                Ok(TarEvent::FileEnd) => listing.file_end(),
                Ok(TarEvent::Skipped(skipped)) => listing.skipped(skipped),
                Err(error) => {
                    error::check(&error);
                    assert!(reader.step(&mut input).is_err(), "it goes on after an error");
                    return (listing, Err(format!("{error:?}")));
                }
            }
        }
        assert!(input.is_empty(), "input was left");
    }
    let end = reader.finish();
    if let Ok(summary) = &end {
        assert!(summary.entries <= limits.entries, "too many entries");
    }
    (listing, end.inspect_err(|error| error::check(error)).map_err(|error| format!("{error:?}")))
}
