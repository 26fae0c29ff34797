//! What credential helpers write.

use oci_fetcher_core::credentials::{HelperAnswer, HelperName, HelperRequest};

use super::auth_file::check_hidden;

/// Reads the bytes as a helper's answer, and as the helper's name and the address it is asked about.
pub(super) fn target(data: &[u8]) {
    match HelperAnswer::parse(data) {
        Ok(HelperAnswer::Credential(credential)) => check_hidden(&credential),
        Ok(HelperAnswer::NotFound) => {}
        Err(error) => super::error::check(&error),
    }
    let text = String::from_utf8_lossy(data);
    if let Ok(name) = text.parse::<HelperName>() {
        let program = name.program();
        assert!(program.starts_with("docker-credential-") && !program.contains(['/', '\\', '\0', ' ']), "{program:?}");
        if let Ok(request) = HelperRequest::new(name, &text).inspect_err(|error| super::error::check(error)) {
            assert!(!request.address().contains(char::is_control), "{:?}", request.address());
        }
    }
}
