//! See `oci_fetcher_tests::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| oci_fetcher_fuzz::fuzz::run("archive-index", data));
