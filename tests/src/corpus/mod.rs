//! Bytes to begin with, for each of the [fuzz targets](crate::fuzz::TARGETS).
//!
//! Seeds are made by the builders, not kept: `cargo run -p oci-fetcher-tests --example corpus` writes
//! them for a fuzzer. What once broke a promise is kept for ever, in `regressions`.

mod dictionary;
mod mutator;
mod regressions;
mod seeds;

pub use dictionary::dictionary;
pub use mutator::Mutator;
pub use regressions::regressions;
pub use seeds::seeds;
