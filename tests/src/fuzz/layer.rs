//! One layer's whole route: the same in any chunks, and never accepted with a bit flipped.

use oci_fetcher_core::digest::{Algorithm, Digest};
use oci_fetcher_core::layer::inflate::{Inflate, Output};
use oci_fetcher_core::layer::{LayerDecoder, LayerError, LayerReport, LayerSpec, Op, Step};

use super::entry::Listing;
use super::pieces::{Dice, pieces};
use super::{blocks, error};

/// Decodes the bytes as a blob, as they are and with the checksums of plain headers corrected.
pub(super) fn target(data: &[u8]) {
    check(data);
    let corrected = blocks::with_checksums(data);
    if corrected != data {
        check(&corrected);
    }
}

fn check(blob: &[u8]) {
    let spec = spec(blob);
    let whole = decode(&spec, &[blob]);
    match (whole, decode(&spec, &pieces(blob))) {
        (Ok(whole), Ok(in_pieces)) => {
            assert_eq!(whole, in_pieces, "pieces differ from the whole");
            assert_eq!((&whole.1.digest, whole.1.size), (&spec.digest, spec.size));
            assert_eq!(whole.1.diff_id, spec.diff_id);
            refuses_a_flip(&spec, blob);
        }
        (Err(whole), Err(in_pieces)) => {
            error::check(&whole);
            error::check(&in_pieces);
        }
        (whole, in_pieces) => panic!("{:?} or, in pieces, {:?}", whole.err(), in_pieces.err()),
    }
}

/// Says what the blob is, so that nothing but its content can be at fault.
fn spec(blob: &[u8]) -> LayerSpec {
    let algorithm = if blob.len().is_multiple_of(2) { Algorithm::Sha256 } else { Algorithm::Sha512 };
    LayerSpec {
        digest: Digest::of(Algorithm::Sha256, blob),
        size: blob.len() as u64,
        diff_id: Digest::of(algorithm, &plain(blob).unwrap_or_default()),
        media_type: "application/vnd.oci.image.layer.v1.tar+gzip".to_owned(),
        limits: super::limits(),
    }
}

fn plain(blob: &[u8]) -> Option<Vec<u8>> {
    let (mut inflate, mut plain, mut input) = (Inflate::new(&super::limits()), Vec::new(), blob);
    loop {
        let before = input;
        match inflate.step(&mut input).ok()? {
            Output::NeedInput => return Some(plain),
            Output::Passed(len) => plain.extend_from_slice(&before[..len]),
            Output::Buffered(_) => plain.extend_from_slice(inflate.buffered()),
        }
    }
}

fn decode(spec: &LayerSpec, pieces: &[&[u8]]) -> Result<(Listing, LayerReport), LayerError> {
    let (mut decoder, mut listing) = (LayerDecoder::new(spec.clone())?, Listing::default());
    for piece in pieces.iter().copied().chain([&[][..]]) {
        let mut input = piece;
        while let Step::Op(op) = decoder.step(&mut input)? {
            match op {
                Op::Entry(entry) => listing.entry(entry, &spec.limits),
                Op::Data { offset, bytes } => listing.data(offset, bytes),
                Op::FileEnd => listing.file_end(),
                Op::Skipped(skipped) => listing.skipped(skipped),
            }
        }
        assert!(input.is_empty(), "input was left");
    }
    Ok((listing, decoder.finish()?))
}

fn refuses_a_flip(spec: &LayerSpec, blob: &[u8]) {
    if blob.is_empty() {
        return;
    }
    let (mut dice, mut flipped) = (Dice::of(blob), blob.to_vec());
    let at = dice.below(blob.len());
    flipped[at] ^= 1 << dice.below(8);
    assert!(decode(spec, &[&flipped]).is_err(), "a flip in byte {at} was accepted");
}
