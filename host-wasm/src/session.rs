//! One repository, the credential for it, and the tokens that were learned.

use std::cell::RefCell;
use std::rc::Rc;

use oci_fetcher_core::credentials::{Credential, Secret};
use oci_fetcher_core::pull::{Network, RetryPolicy, Session as CoreSession};
use oci_fetcher_core::reference::Reference;
use oci_fetcher_core::time::Time;
use oci_fetcher_core::url::{AddressPolicy, Scheme};
use serde_json::Value;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::error::Failure;
use crate::json::Object;

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

#[wasm_bindgen]
impl Session {
    /// Begins a session for a reference's repository. Options are JSON of `network` (`online` or
    /// `offline`), `plainHttp`, `anyAddress`, `limits`, `retry`, `seed` and `shortAccept`, all optional.
    #[wasm_bindgen(constructor)]
    pub fn new(reference: &str, options: &str) -> Result<Self, Failure> {
        let reference: Reference = reference.parse()?;
        let options = Object::parse("options", options)?;
        let network = match options.text("network")? {
            None | Some("online") => Network::Online,
            Some("offline") => Network::Offline,
            Some(other) => return Err(Failure::usage(format!("the network cannot be {other}"))),
        };
        let session = CoreSession::new(&reference, network);
        let session = if options.flag("plainHttp")? { session.scheme(&reference, Scheme::Http) } else { session };
        Self::with(session, &options)
    }

    /// Begins a session for a layout or archive, in which nothing is asked of a network.
    pub fn local(options: &str) -> Result<Self, Failure> {
        Self::with(CoreSession::local(), &Object::parse("options", options)?)
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

    fn with(session: CoreSession, options: &Object) -> Result<Self, Failure> {
        let mut retry = RetryPolicy::default();
        if let Some(given) = options.object("retry")? {
            if let Some(attempts) = given.number("attempts")? {
                retry.attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
            }
            for (name, pause) in [
                ("firstPause", &mut retry.first_pause),
                ("longestPause", &mut retry.longest_pause),
                ("longestRetryAfter", &mut retry.longest_retry_after),
                ("patience", &mut retry.patience),
            ] {
                *pause = given.number(name)?.unwrap_or(*pause);
            }
        }
        let seed = options.get("seed").and_then(Value::as_f64).unwrap_or(0.0).to_bits();
        let session = session.limits(options.limits()?).retry(retry).seed(seed);
        let session = if options.flag("anyAddress")? { session.addresses(AddressPolicy::Any) } else { session };
        let session = if options.flag("shortAccept")? { session.short_accept() } else { session };
        Ok(Self(Rc::new(RefCell::new(Shared { session, now: Time(0) }))))
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
