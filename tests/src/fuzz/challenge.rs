//! `WWW-Authenticate`: no challenge makes a secret go where it does not belong.

use oci_fetcher_core::credentials::{Credential, Secret};
use oci_fetcher_core::request::{Headers, Request};
use oci_fetcher_core::token::{Acquisition, Challenge, Challenger, TokenRequest, acquire, challenges};
use oci_fetcher_core::url::{AddressPolicy, Origin, Scheme, Url};

/// Takes each line for a field of a refusal, and answers each challenge in it.
pub(super) fn target(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if shows_secret(&text) {
        // A registry that knows the secret proves nothing; a fuzzer learns it by comparison.
        return;
    }
    let headers: Headers = text.split('\n').map(|line| ("www-authenticate", line)).collect();
    let found = challenges(&headers);
    assert!(found.len() <= 32, "{} challenges", found.len());
    for challenge in &found {
        let Challenge::Bearer(challenge) = challenge else { continue };
        assert!(!challenge.realm.is_empty(), "an empty realm");
        for registry in REGISTRIES {
            let registry = Url::parse(registry).expect("an address").origin();
            for credential in credentials() {
                for challenger in [Challenger::Registry, Challenger::Elsewhere] {
                    match acquire(challenge, &credential, &registry, challenger, AddressPolicy::Checked) {
                        Ok(Acquisition::Ask(ask)) => check(&ask, &registry, challenger),
                        Ok(Acquisition::Present(_)) => {}
                        Err(error) => super::error::check(&error),
                    }
                }
            }
        }
    }
}

const REGISTRIES: [&str; 3] = ["https://registry.example/", "https://10.0.0.1:5000/", "http://127.0.0.1:5000/"];
const SECRET: &str = "Pl4nted_s3cret";
const SECRET_IN_BASE64: &str = "YW5uOlBsNG50ZWRfczNjcmV0";

fn credentials() -> [Credential; 3] {
    let secret = || Secret::new(SECRET);
    [
        Credential::Anonymous,
        Credential::Basic { username: "ann".to_owned(), password: secret() },
        Credential::IdentityToken(secret()),
    ]
}

fn check(ask: &TokenRequest, registry: &Origin, challenger: Challenger) {
    for request in std::iter::once(&ask.request).chain(&ask.fallback) {
        assert!(request.url.scheme() == Scheme::Https || registry.scheme() == Scheme::Http, "a downgrade");
        assert!(!format!("{request:?}").contains(SECRET), "a secret shows");
        if holds_secret(request) {
            let origin = request.url.origin();
            let at_home = origin == *registry || (registry.is_loopback() && origin.is_loopback());
            assert_eq!(challenger, Challenger::Registry, "a secret for another server's challenge");
            assert!(at_home || origin.scheme() == Scheme::Https, "a secret in plain text for {origin}");
        }
    }
}

/// Tells whether a request carries the planted secret.
pub(super) fn holds_secret(request: &Request) -> bool {
    let plain = |text: &str| text.contains(SECRET) || text.contains(SECRET_IN_BASE64);
    let body = request.body.as_deref().map(String::from_utf8_lossy);
    plain(request.url.as_str())
        || body.is_some_and(|body| plain(&body))
        || request.headers.iter().any(|(_, value)| plain(value))
}

/// Returns a user with the planted secret.
pub(super) fn planted() -> Credential {
    Credential::Basic { username: "ann".to_owned(), password: Secret::new(SECRET) }
}

/// Tells whether text shows the planted secret.
pub(super) fn shows_secret(text: &str) -> bool {
    text.contains(SECRET) || text.contains(SECRET_IN_BASE64)
}
