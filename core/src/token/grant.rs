//! What to ask of a token endpoint, and what it answers.

use serde::Deserialize;

use super::{Authorization, BearerChallenge, Token, TokenError, TokenKey};
use crate::credentials::{Credential, Secret};
use crate::request::Request;
use crate::url::{AddressPolicy, Origin, Scheme, Url};

/// Decides how to answer a challenge of `registry`, where `challenger` sent it; `addresses` says where
/// realms may be.
///
/// Credentials go to the registry's own origin, and to an https realm that this very origin or the
/// caller names. A registry that is spoken to in plain http on loopback may also name an http realm on
/// loopback, and the caller may always, for nothing then leaves the machine: so run developers'
/// registries with an issuer of their own.
/// Everywhere else a token is asked for without them, and [`TokenRequest::withheld`] says why.
///
/// # Errors
/// [`TokenError`] if the realm is malformed, without TLS though the registry has it, or inside the
/// client's own network, and if the credential cannot be expressed in a header field.
///
/// ```
/// use oci_fetcher_core::credentials::Credential;
/// use oci_fetcher_core::token::{Acquisition, BearerChallenge, Challenger, acquire};
/// use oci_fetcher_core::url::{AddressPolicy, Url};
///
/// let registry = Url::parse("https://registry.example/")?.origin();
/// let challenge = BearerChallenge {
///     realm: "https://auth.example/token".into(),
///     service: Some("registry.example".into()),
///     scope: Some("repository:a:pull".into()),
/// };
/// let (nobody, policy) = (Credential::Anonymous, AddressPolicy::Checked);
/// let acquisition = acquire(&challenge, &nobody, &registry, Challenger::Registry, policy)?;
/// let Acquisition::Ask(ask) = acquisition else { panic!("there is no token yet") };
/// assert_eq!(
///     ask.request.url.as_str(),
///     "https://auth.example/token?service=registry.example&scope=repository%3Aa%3Apull",
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn acquire(
    challenge: &BearerChallenge,
    credential: &Credential,
    registry: &Origin,
    challenger: Challenger,
    addresses: AddressPolicy,
) -> Result<Acquisition, TokenError> {
    if let (Credential::RegistryToken(token), Challenger::Registry | Challenger::Caller) = (credential, challenger) {
        return Ok(Acquisition::Present(Token::new(token.clone())?));
    }
    let realm = check_realm(&challenge.realm, registry, challenger, addresses)?;
    let withheld = withhold(credential, &realm, registry, challenger);
    let presented = match withheld {
        None => credential.clone(),
        Some(Withheld::ByChallenger | Withheld::PlainRealm) => Credential::Anonymous,
    };
    let (request, fallback) = ask(&realm, challenge, &presented)?;
    let key = TokenKey {
        registry: registry.clone(),
        realm,
        service: challenge.service.clone(),
        scope: challenge.scope.clone(),
        credential: presented,
    };
    Ok(Acquisition::Ask(Box::new(TokenRequest { request, fallback, key, withheld })))
}

/// Who names a realm, mostly in the challenge of a 401.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenger {
    /// The registry's own origin.
    Registry,
    /// Another origin, after a redirect.
    Elsewhere,
    /// Nobody but the caller of this library, who answers for the realm.
    Caller,
}

/// How to come by a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acquisition {
    /// The credential is itself the token that the registry takes.
    Present(Token),
    /// The realm has to be asked.
    Ask(Box<TokenRequest>),
}

/// A request to a token endpoint. Its answer is read by [`Grant::parse`]; a redirect of it gets no
/// credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRequest {
    /// What to send now.
    pub request: Request,
    /// What to send instead, if the answer's status [is one of those](Self::is_unserved) that say that
    /// the request's method is not served.
    pub fallback: Option<Request>,
    /// Where the token belongs in the store.
    pub key: TokenKey,
    /// Why the credential was left out, if it was: its owner wants to know.
    pub withheld: Option<Withheld>,
}

impl TokenRequest {
    /// Tells whether a status says that a method is not served at this address: 404, 405 or 501.
    #[must_use]
    pub const fn is_unserved(status: u16) -> bool {
        matches!(status, 404 | 405 | 501)
    }
}

/// Why a credential was left out of a token request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Withheld {
    /// The challenge is not the registry's own.
    #[error("credentials were withheld, since another server than the registry asked for them")]
    ByChallenger,
    /// The realm is neither the registry itself nor behind TLS, and not both are on loopback.
    #[error("credentials were withheld, since the realm is another server than the registry and without TLS")]
    PlainRealm,
}

fn check_realm(
    realm: &str,
    registry: &Origin,
    challenger: Challenger,
    addresses: AddressPolicy,
) -> Result<Url, TokenError> {
    let realm = Url::parse(realm).map_err(|source| TokenError::Realm { registry: registry.clone(), source })?;
    if challenger == Challenger::Caller {
        return Ok(realm);
    }
    if (realm.scheme(), registry.scheme()) == (Scheme::Http, Scheme::Https) {
        return Err(TokenError::Downgrade { registry: registry.clone(), realm: realm.origin() });
    }
    let may = realm.host() == registry.host() || realm.reach().may_be_named_by(registry.reach(), realm.scheme());
    if !may && addresses == AddressPolicy::Checked {
        return Err(TokenError::Reach { registry: registry.clone(), realm: realm.origin() });
    }
    Ok(realm)
}

fn withhold(credential: &Credential, realm: &Url, registry: &Origin, challenger: Challenger) -> Option<Withheld> {
    let is_registry = realm.origin() == *registry;
    let stays_here = registry.is_loopback() && realm.is_loopback();
    match (credential, challenger, realm.scheme()) {
        (Credential::Anonymous, _, _) => None,
        (_, Challenger::Elsewhere, _) => Some(Withheld::ByChallenger),
        (_, Challenger::Registry, Scheme::Http) if !is_registry && !stays_here => Some(Withheld::PlainRealm),
        (_, Challenger::Caller, Scheme::Http) if !is_registry && !realm.is_loopback() => Some(Withheld::PlainRealm),
        (_, Challenger::Registry | Challenger::Caller, Scheme::Http | Scheme::Https) => None,
    }
}

fn ask(
    realm: &Url,
    challenge: &BearerChallenge,
    credential: &Credential,
) -> Result<(Request, Option<Request>), TokenError> {
    let service = challenge.service.iter().map(|service| ("service", service.as_str()));
    // One parameter for each entry in a query, all of them in one in a form.
    let scopes = challenge.scope.iter().flat_map(|scope| scope.split_ascii_whitespace()).map(|scope| ("scope", scope));
    let query: Vec<(&str, &str)> = service.clone().chain(scopes).collect();
    let get = |account: &[(&str, &str)], username: &str, password: &Secret| {
        let mut request = Request::get(realm.with_query(&[account, &query, &[("client_id", CLIENT)]].concat()));
        Authorization::basic(username, password)?.apply(&mut request.headers);
        Ok::<_, TokenError>(request)
    };
    let (request, fallback) = match credential {
        Credential::Basic { username, password } => (get(&[("account", username)], username, password)?, None),
        Credential::IdentityToken(token) => {
            let mut form = vec![("grant_type", "refresh_token")];
            form.extend(service);
            form.extend(challenge.scope.iter().map(|scope| ("scope", scope.as_str())));
            form.extend([("client_id", CLIENT), ("refresh_token", token.expose())]);
            let fallback = get(&[], TOKEN_USER, token)?;
            (Request::post_form(realm.clone(), &form), Some(fallback))
        }
        // A registry token means nothing to a realm.
        Credential::Anonymous | Credential::RegistryToken(_) => (Request::get(realm.with_query(&query)), None),
    };
    Ok((accept(request), fallback.map(accept)))
}

/// What token endpoints log.
const CLIENT: &str = "oci-fetcher";
/// The user that stands for "the password is an identity token".
const TOKEN_USER: &str = "<token>";

fn accept(request: Request) -> Request {
    request.with_header("accept", "application/json")
}

/// What a token endpoint granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The token.
    pub token: Token,
    /// Seconds from receipt until it expires, at least 60.
    pub expires_in: u64,
    /// A further identity token, where the endpoint offers one.
    pub refresh_token: Option<Secret>,
}

impl Grant {
    /// Reads the body of a token endpoint's answer. Keys that are not known, and values of `expires_in`
    /// that make no sense, are passed over.
    ///
    /// # Errors
    /// [`TokenError::Malformed`] if it is not the expected JSON, [`TokenError::NoToken`] and
    /// [`TokenError::UnsafeToken`] as they say. None of them shows the body.
    pub fn parse(body: &[u8]) -> Result<Self, TokenError> {
        let answer: Answer = serde_json::from_slice(body)
            .map_err(|error| TokenError::Malformed { line: error.line(), column: error.column() })?;
        let given = |text: &String| !text.is_empty();
        let token = answer.token.filter(given).or(answer.access_token.filter(given)).ok_or(TokenError::NoToken)?;
        let expires_in = answer.expires_in.as_ref().and_then(seconds).unwrap_or(MIN_LIFETIME);
        Ok(Self {
            token: Token::new(Secret::new(token))?,
            expires_in: expires_in.max(MIN_LIFETIME),
            refresh_token: answer.refresh_token.filter(given).map(Secret::new),
        })
    }
}

/// The default, and what `token.md` promises to every client at least.
const MIN_LIFETIME: u64 = 60;

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<serde_json::Value>,
    refresh_token: Option<String>,
}

fn seconds(value: &serde_json::Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests;
