//! The targets of `oci_fetcher_tests::fuzz`, instrumented.
//!
//! They are included, not depended on: the tests' library brings TLS and a runtime, which no target
//! needs and every build with a sanitizer would pay for.

#[path = "../../src/fuzz/mod.rs"]
pub mod fuzz;
