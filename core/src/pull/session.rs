//! What is known of one repository at one registry, and how it may be spoken to.

use super::auth::Authorizations;
use super::error::{Place, PullError};
use super::retry::{Random, RetryPolicy};
use crate::credentials::Credential;
use crate::limits::Limits;
use crate::reference::Reference;
use crate::token::{BearerChallenge, TokenError};
use crate::url::{AddressPolicy, Scheme, Url};

/// Whether, and how, the network is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// The registry is asked for whatever is not stored.
    #[default]
    Online,
    /// Only the cache is used; what it lacks is an error.
    Offline,
    /// The store is a local layout or archive; what it lacks is an error.
    Local,
}

/// A repository, the credential for it, and all that was learned while speaking to its registry.
///
/// One session serves any number of [`Pull`](super::Pull)s, one after another or, cloned, at once;
/// tokens are kept with it.
#[derive(Clone, Debug)]
pub struct Session {
    pub(super) registry: Url,
    pub(super) repository: String,
    pub(super) network: Network,
    pub(super) limits: Limits,
    pub(super) retry: RetryPolicy,
    pub(super) authorizations: Authorizations,
    pub(super) random: Random,
    pub(super) short_accept: bool,
    /// Milliseconds that earlier plans took.
    pub(super) spent: u64,
    pub(super) addresses: AddressPolicy,
}

impl Session {
    /// Begins a session for a reference's repository: anonymous, over https (over http to loopback).
    #[must_use]
    pub fn new(reference: &Reference, network: Network) -> Self {
        let registry = reference.base_url(Scheme::Https);
        let registry = if registry.is_loopback() { reference.base_url(Scheme::Http) } else { registry };
        Self {
            authorizations: Authorizations::new(registry.origin()),
            registry,
            repository: reference.repository().to_owned(),
            network,
            limits: Limits::default(),
            retry: RetryPolicy::default(),
            random: Random(0),
            short_accept: false,
            spent: 0,
            addresses: AddressPolicy::default(),
        }
    }

    /// Begins a session that reaches no registry: everything is in a local layout or archive.
    #[must_use]
    pub fn local() -> Self {
        let registry = Url::parse("https://localhost/").expect("a constant address");
        Self {
            authorizations: Authorizations::new(registry.origin()),
            registry,
            repository: String::new(),
            network: Network::Local,
            limits: Limits::default(),
            retry: RetryPolicy::default(),
            random: Random(0),
            short_accept: false,
            spent: 0,
            addresses: AddressPolicy::default(),
        }
    }

    /// Speaks to the registry by this scheme, whatever its address.
    #[must_use]
    pub fn scheme(mut self, reference: &Reference, scheme: Scheme) -> Self {
        self.registry = reference.base_url(scheme);
        self.authorizations.at(self.registry.origin());
        self
    }

    /// Presents this credential to the registry, and to the token endpoint that it names.
    #[must_use]
    pub fn credential(mut self, credential: Credential) -> Self {
        self.authorizations.present(credential);
        self
    }

    /// Bounds what answers may cost.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets how often and when requests are tried again.
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Sets where the registry may lead: by redirects, realms, and addresses of foreign layers.
    ///
    /// Here, the text of an address is checked. What a name resolves to is the host's to check, with
    /// [`Bounds`](crate::url::Bounds).
    #[must_use]
    pub fn addresses(mut self, policy: AddressPolicy) -> Self {
        self.addresses = policy;
        self.authorizations.lead(policy);
        self
    }

    /// Seeds the jitter of pauses.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.random = Random(seed);
        self
    }

    /// Asks for manifests of the two OCI types first, and of all types only where that is not enough.
    ///
    /// For web pages: a longer `Accept` makes a browser ask the registry for leave before each
    /// request. Requests that bear a token name all types at once, since they cause that anyway.
    #[must_use]
    pub fn short_accept(mut self) -> Self {
        self.short_accept = true;
        self
    }

    /// Asks for tokens at this realm, also where no challenge names it; the scope is to pull from the
    /// repository.
    ///
    /// For hosts that cannot read challenges, as web pages where the registry does not expose them. The
    /// caller answers for the realm: it may be one that a registry could not name, but credentials go to
    /// it only over https, on this machine, or if it is the registry itself.
    ///
    /// # Errors
    /// [`TokenError::Realm`] if the realm is no URL, and those of a credential that cannot be expressed.
    pub fn token_endpoint(mut self, realm: &str, service: Option<&str>) -> Result<Self, TokenError> {
        self.authorizations.ask_at(BearerChallenge {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            scope: Some(format!("repository:{}:pull", self.repository)),
        })?;
        Ok(self)
    }

    /// Returns the registry's address.
    #[must_use]
    pub fn registry(&self) -> &Url {
        &self.registry
    }

    /// Refuses what only the registry can tell, where it is not to be asked.
    pub(super) fn must_be_online(&self, what: impl FnOnce() -> String) -> Result<(), PullError> {
        let place = match self.network {
            Network::Online => return Ok(()),
            Network::Offline => Place::Cache,
            Network::Local => Place::Source,
        };
        Err(PullError::NotStored { what: what(), place })
    }

    /// Returns the address of something below the repository, for example `manifests/latest`.
    pub(super) fn url(&self, rest: &str) -> Url {
        self.registry
            .join(&format!("/v2/{}/{rest}", self.repository))
            .expect("a repository, a tag and a digest consist of characters that a path may hold")
    }
}
