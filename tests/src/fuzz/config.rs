//! Image configs: what was read is written so that it reads the same.

use oci_fetcher_core::error::{Class, Explain as _};
use oci_fetcher_core::manifest::{ImageConfig, Platform};

/// Reads the bytes as a config.
pub(super) fn target(data: &[u8]) {
    match ImageConfig::parse(data) {
        Ok(config) => {
            let written = serde_json::to_vec(&config).expect("a config serialises");
            assert_eq!(ImageConfig::parse(&written).expect("what was written reads"), config, "written and read again");
            if let Some(platform) = config.platform() {
                check_platform(&platform);
            }
        }
        Err(error) => {
            super::error::check(&error);
            assert!(matches!(error.class(), Class::Integrity | Class::Unsupported), "{error}");
        }
    }
}

/// Checks that a platform runs its own images.
pub(super) fn check_platform(platform: &Platform) {
    assert!(!platform.os().is_empty() && !platform.architecture().is_empty(), "{platform:?}");
    assert!(platform.is_unknown() || platform.preference(platform).is_some(), "{platform:?} does not run itself");
}
