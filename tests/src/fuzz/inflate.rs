//! What both compressions promise.

use oci_fetcher_core::error::Explain as _;
use oci_fetcher_core::layer::inflate::{Compression, Inflate, InflateError, Output};
use oci_fetcher_core::limits::Limits;

use super::error;
use super::pieces::pieces;

/// Checks that data inflates to the same in pieces, and returns to what.
pub(super) fn check(data: &[u8]) -> Result<Vec<u8>, InflateError> {
    let limits = super::limits();
    let (whole, in_pieces) = (inflate(&[data], &limits), inflate(&pieces(data), &limits));
    match (&whole, &in_pieces) {
        (Ok(whole), Ok(in_pieces)) => assert!(whole == in_pieces, "pieces differ from the whole"),
        (Err(whole), Err(in_pieces)) => {
            error::check(whole);
            // A limit and a fault in what is made at once may be met in either order.
            let limit = [whole, in_pieces].iter().any(|error| error.code().ends_with("-limit"));
            assert!(limit || whole.code() == in_pieces.code(), "{whole:?} or, in pieces, {in_pieces:?}");
        }
        (whole, in_pieces) => panic!("{:?} or, in pieces, {:?}", whole.as_ref().err(), in_pieces.as_ref().err()),
    }
    whole
}

fn inflate(pieces: &[&[u8]], limits: &Limits) -> Result<Vec<u8>, InflateError> {
    let (mut inflate, mut plain) = (Inflate::new(limits), Vec::new());
    for piece in pieces.iter().copied().chain([&[][..]]) {
        let mut input = piece;
        loop {
            let before = input;
            match inflate.step(&mut input)? {
                Output::NeedInput => break,
                Output::Passed(len) => plain.extend_from_slice(&before[..len]),
                Output::Buffered(len) => {
                    assert_eq!(len, inflate.buffered().len());
                    plain.extend_from_slice(inflate.buffered());
                }
            }
            assert!(plain.len() as u64 <= limits.layer_bytes, "output over the limit");
        }
        assert!(input.is_empty(), "input was left");
    }
    assert_eq!(inflate.produced(), plain.len() as u64);
    if inflate.compression() == Some(Compression::Uncompressed) {
        assert_eq!(plain, pieces.concat(), "plain bytes were changed");
    }
    inflate.finish()?;
    Ok(plain)
}
