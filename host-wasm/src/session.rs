//! One repository, the credential for it, and the tokens that were learned.

use std::cell::RefCell;
use std::rc::Rc;

use oci_fetcher_core::credentials::{Credential, Secret};
use oci_fetcher_core::pull::{Network, RetryPolicy, Session as CoreSession};
use oci_fetcher_core::reference::Reference;
use oci_fetcher_core::time::Time;
use oci_fetcher_core::url::Scheme;
use serde::Deserialize;
use serde_json::{Map, Value};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::error::Failure;
use crate::{json, limits};

/// A repository at a registry. Any number of machines may be made from it; what each learns of
/// tokens is there for the next.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Session(Rc<RefCell<Shared>>);

/// What a session shares with its machines.
#[derive(Debug)]
pub(crate) struct Shared {
    session: CoreSession,
    /// The latest time that a machine was told: tokens expire between machines too.
    now: Time,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Options {
    network: NetworkUse,
    plain_http: bool,
    limits: Option<Map<String, Value>>,
    retry: Retry,
    seed: f64,
    short_accept: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum NetworkUse {
    #[default]
    Online,
    Offline,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Retry {
    attempts: Option<u32>,
    first_pause: Option<u64>,
    longest_pause: Option<u64>,
    longest_retry_after: Option<u64>,
}

#[wasm_bindgen]
impl Session {
    /// Begins a session for a reference's repository. Options are JSON of `network` (`online` or
    /// `offline`), `plainHttp`, `limits`, `retry`, `seed` and `shortAccept`, all optional.
    #[wasm_bindgen(constructor)]
    pub fn new(reference: &str, options: &str) -> Result<Self, Failure> {
        let reference: Reference = reference.parse()?;
        let options: Options = json::parse("options", options)?;
        let network = match options.network {
            NetworkUse::Online => Network::Online,
            NetworkUse::Offline => Network::Offline,
        };
        let session = CoreSession::new(&reference, network);
        let session = if options.plain_http { session.scheme(&reference, Scheme::Http) } else { session };
        options.apply(session)
    }

    /// Begins a session for a layout or archive, in which nothing is asked of a network.
    pub fn local(options: &str) -> Result<Self, Failure> {
        json::parse::<Options>("options", options)?.apply(CoreSession::local())
    }

    /// Presents a user and a password or personal token.
    pub fn basic(&self, username: String, password: String) {
        self.present(Credential::Basic { username, password: Secret::new(password) });
    }

    /// Presents an OAuth2 refresh token.
    #[wasm_bindgen(js_name = identityToken)]
    pub fn identity_token(&self, token: String) {
        self.present(Credential::IdentityToken(Secret::new(token)));
    }

    /// Presents a token that the registry takes as it is.
    #[wasm_bindgen(js_name = registryToken)]
    pub fn registry_token(&self, token: String) {
        self.present(Credential::RegistryToken(Secret::new(token)));
    }

    /// Asks for tokens at this endpoint, also where no challenge names it, to pull from the repository.
    #[wasm_bindgen(js_name = tokenEndpoint)]
    pub fn token_endpoint(&self, realm: &str, service: Option<String>) -> Result<(), Failure> {
        let mut shared = self.0.borrow_mut();
        shared.session = shared.session.clone().token_endpoint(realm, service.as_deref())?;
        Ok(())
    }

    /// The registry's address.
    #[wasm_bindgen(getter)]
    #[must_use]
    pub fn registry(&self) -> String {
        self.0.borrow().session.registry().as_str().to_owned()
    }
}

impl Session {
    /// Returns what a machine shares with this session.
    pub(crate) fn share(&self) -> Rc<RefCell<Shared>> {
        self.0.clone()
    }

    fn present(&self, credential: Credential) {
        let mut shared = self.0.borrow_mut();
        shared.session = shared.session.clone().credential(credential);
    }
}

impl Shared {
    /// Returns a copy of the session and the time to begin at.
    pub(crate) fn begin(&self) -> (CoreSession, Time) {
        (self.session.clone(), self.now)
    }

    /// Takes back what a machine has learned.
    pub(crate) fn learn(&mut self, session: CoreSession, now: Time) {
        self.session = session;
        self.now = self.now.max(now);
    }
}

impl Options {
    fn apply(self, session: CoreSession) -> Result<Session, Failure> {
        let limits = limits::from_json(self.limits.as_ref())?;
        let default = RetryPolicy::default();
        let retry = RetryPolicy {
            attempts: self.retry.attempts.unwrap_or(default.attempts),
            first_pause: self.retry.first_pause.unwrap_or(default.first_pause),
            longest_pause: self.retry.longest_pause.unwrap_or(default.longest_pause),
            longest_retry_after: self.retry.longest_retry_after.unwrap_or(default.longest_retry_after),
        };
        let session = session.limits(limits).retry(retry).seed(self.seed.to_bits());
        let session = if self.short_accept { session.short_accept() } else { session };
        Ok(Session(Rc::new(RefCell::new(Shared { session, now: Time(0) }))))
    }
}
