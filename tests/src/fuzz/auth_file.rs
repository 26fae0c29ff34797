//! Credential files: whatever they hold, no secret shows.

use oci_fetcher_core::credentials::{AuthFile, AuthFileKind, Credential, Finding};
use oci_fetcher_core::error::{Class, Explain as _};

/// Reads the bytes as a credential file of both kinds, and looks registries up in it.
pub(super) fn target(data: &[u8]) {
    for kind in [AuthFileKind::Docker, AuthFileKind::Containers] {
        match AuthFile::parse(kind, data) {
            Ok(file) => {
                for (registry, repository) in LOOKED_UP {
                    let finding = file.find(registry, repository);
                    assert_eq!(finding, file.find(registry, repository), "two look-ups differ");
                    check(&finding, registry);
                }
            }
            Err(error) => {
                super::error::check(&error);
                assert_eq!(error.class(), Class::Authentication, "{error}");
            }
        }
    }
}

const LOOKED_UP: [(&str, &str); 4] = [
    ("docker.io", "library/alpine"),
    ("registry.example", "team/app"),
    ("registry.example:5000", "app"),
    ("127.0.0.1:5000", "a/b/c"),
];

fn check(finding: &Finding, registry: &str) {
    match finding {
        Finding::Nothing => {}
        Finding::Credential(credential) => check_hidden(credential),
        Finding::Ask { request, otherwise } => {
            let address = request.address();
            assert!(address == registry || address == "https://index.docker.io/v1/", "asked about {address:?}");
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            assert!(request.helper().as_str().bytes().all(plain), "{:?}", request.helper());
            check(otherwise, registry);
        }
        Finding::Malformed(error) => super::error::check(error),
    }
}

/// Checks that a secret which is long enough to be told from other text does not show.
pub(super) fn check_hidden(credential: &Credential) {
    let (secret, beside) = match credential {
        Credential::Anonymous => return,
        Credential::Basic { username, password } => (password, username.as_str()),
        Credential::IdentityToken(secret) | Credential::RegistryToken(secret) => (secret, ""),
    };
    let (secret, shown) = (secret.expose(), format!("{credential:?}"));
    let told_apart = secret.len() > 8 && !format!("{beside:?}").contains(secret) && !NAMES.contains(secret);
    assert!(!told_apart || !shown.contains(secret), "a secret shows");
}

/// What `Debug` writes of its own.
const NAMES: &str = "Basic { username: , password: [redacted] } IdentityToken([redacted]) RegistryToken([redacted])";
