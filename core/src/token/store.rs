//! Tokens that are still good.

use super::{Grant, Token};
use crate::credentials::Credential;
use crate::sorted::SortedMap;
use crate::time::Time;
use crate::url::{Origin, Url};

/// What a token was granted for: a token is never presented for anything else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenKey {
    /// The registry that takes it.
    pub registry: Origin,
    /// The realm that granted it.
    pub realm: Url,
    /// The service that was asked for.
    pub service: Option<String>,
    /// The scope that was asked for, verbatim.
    pub scope: Option<String>,
    /// The credential that was presented.
    pub credential: Credential,
}

/// Keeps tokens until shortly before they expire, at most 1024 of them.
///
/// ```
/// use oci_fetcher_core::credentials::Credential;
/// use oci_fetcher_core::time::Time;
/// use oci_fetcher_core::token::{Grant, TokenKey, TokenStore};
/// use oci_fetcher_core::url::Url;
///
/// let realm = Url::parse("https://registry.example/token")?;
/// let key = TokenKey {
///     registry: realm.origin(),
///     realm,
///     service: None,
///     scope: Some("repository:a:pull".into()),
///     credential: Credential::Anonymous,
/// };
/// let mut store = TokenStore::default();
/// store.insert(key.clone(), &Grant::parse(br#"{"token":"t","expires_in":300}"#)?, Time(0));
/// assert!(store.lookup(&key, Time(289_999)).is_some());
/// assert!(store.lookup(&key, Time(290_000)).is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct TokenStore {
    held: SortedMap<TokenKey, Held>,
}

#[derive(Clone, Debug)]
struct Held {
    token: Token,
    /// The first moment at which it is no longer presented.
    until: Time,
}

impl TokenStore {
    /// Returns the token for `key`, if one is still good at `now`.
    #[must_use]
    pub fn lookup(&self, key: &TokenKey, now: Time) -> Option<&Token> {
        self.held.get(key).filter(|held| now < held.until).map(|held| &held.token)
    }

    /// Keeps a token that was received at `received`, in place of any other for `key`.
    pub fn insert(&mut self, key: TokenKey, grant: &Grant, received: Time) {
        self.held.retain(|held| received < held.until);
        if self.held.len() >= MAX_TOKENS && !self.held.contains_key(&key) {
            let first = self.held.iter().min_by_key(|(_, held)| held.until).map(|(key, _)| key.clone());
            first.map(|first| self.held.remove(&first));
        }
        let until = received.after_seconds(grant.expires_in.saturating_sub(MARGIN_SECONDS));
        self.held.insert(key, Held { token: grant.token.clone(), until });
    }

    /// Forgets a token that was refused. One that has taken its place since stays.
    pub fn invalidate(&mut self, key: &TokenKey, refused: &Token) {
        if self.held.get(key).is_some_and(|held| held.token == *refused) {
            self.held.remove(key);
        }
    }
}

/// A token that is presented should still be good when it arrives.
const MARGIN_SECONDS: u64 = 10;

/// One is needed for each repository; thousands would be a caller's loop over a catalog.
const MAX_TOKENS: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::Secret;

    fn key(number: usize) -> TokenKey {
        let realm = Url::parse("https://auth.example/token").expect("well-formed");
        let registry = Url::parse("https://registry.example/").expect("well-formed").origin();
        let scope = Some(format!("repository:r{number}:pull"));
        TokenKey { registry, realm, service: Some("s".into()), scope, credential: Credential::Anonymous }
    }

    fn grant(token: &str, expires_in: u64) -> Grant {
        let token = Token::new(Secret::new(token)).expect("safe");
        Grant { token, expires_in, refresh_token: None }
    }

    #[test]
    fn never_gives_a_token_to_another_key() {
        let mut store = TokenStore::default();
        store.insert(key(0), &grant("t", 60), Time(0));
        assert!(store.lookup(&key(0), Time(0)).is_some());
        let other = Url::parse("http://registry.example/").expect("well-formed");
        let credential = |password| Credential::Basic { username: "u".into(), password: Secret::new(password) };
        for different in [
            TokenKey { registry: other.origin(), ..key(0) },
            TokenKey { realm: other, ..key(0) },
            TokenKey { service: None, ..key(0) },
            TokenKey { scope: None, ..key(0) },
            TokenKey { scope: Some("repository:r0:pull,push".into()), ..key(0) },
            TokenKey { credential: credential("a"), ..key(0) },
        ] {
            assert_eq!(store.lookup(&different, Time(0)), None, "{different:?}");
        }
        store.insert(TokenKey { credential: credential("a"), ..key(0) }, &grant("a", 60), Time(0));
        assert_eq!(store.lookup(&TokenKey { credential: credential("b"), ..key(0) }, Time(0)), None);
        assert_eq!(store.lookup(&key(0), Time(0)), Some(&grant("t", 60).token));
    }

    #[test]
    fn counts_from_receipt_with_a_margin() {
        for (received, expires_in, last_good) in [
            (0, 60, Some(49_999)),
            (7_000, 300, Some(296_999)),
            (5, 10, None),
            (5, 0, None),
            (u64::MAX - 1, 60, Some(u64::MAX - 1)),
            (0, u64::MAX, Some(u64::MAX - 1)),
        ] {
            let mut store = TokenStore::default();
            store.insert(key(0), &grant("t", expires_in), Time(received));
            let good = |now| store.lookup(&key(0), Time(now)).is_some();
            assert_eq!(good(last_good.unwrap_or(received)), last_good.is_some(), "{received} {expires_in}");
            assert!(!good(last_good.unwrap_or(received).saturating_add(1)), "{received} {expires_in}");
        }
    }

    #[test]
    fn forgets_only_the_token_that_was_refused() {
        let mut store = TokenStore::default();
        let (old, new) = (grant("old", 60), grant("new", 60));
        store.insert(key(0), &old, Time(0));
        store.insert(key(0), &new, Time(1));
        store.invalidate(&key(0), &old.token);
        assert_eq!(store.lookup(&key(0), Time(1)), Some(&new.token));
        store.invalidate(&key(0), &new.token);
        assert_eq!(store.lookup(&key(0), Time(1)), None);
    }

    #[test]
    fn is_bounded() {
        let mut store = TokenStore::default();
        for number in 0..2 * MAX_TOKENS {
            store.insert(key(number), &grant("t", 600), Time(number as u64));
        }
        assert_eq!(store.held.len(), MAX_TOKENS);
        assert_eq!(store.lookup(&key(0), Time(0)), None);
        assert!(store.lookup(&key(2 * MAX_TOKENS - 1), Time(0)).is_some());
        store.insert(key(0), &grant("t", 60), Time(1_000_000));
        assert_eq!(store.held.len(), 1);
    }
}
