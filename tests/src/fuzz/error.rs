//! What every error promises to whoever reads it.

use oci_fetcher_core::error::{Class, Explain};

use super::texts::is_harmless;

/// Checks an error that foreign bytes caused: nobody's bug here, with a code, and safe to print.
pub(super) fn check(error: &dyn Explain) {
    assert!(error.class() != Class::Internal, "{error:?}");
    let code = error.code();
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    assert!(!code.is_empty() && code.bytes().all(plain), "{code:?}");
    assert!(is_harmless(&error.to_string()), "{error:?}");
    let mut cause = error.source();
    while let Some(error) = cause {
        assert!(is_harmless(&error.to_string()), "{error:?}");
        cause = error.source();
    }
    if let Some(advice) = error.advice() {
        assert!(!advice.is_empty() && !advice.ends_with('.') && is_harmless(&advice), "{advice:?}");
    }
}
