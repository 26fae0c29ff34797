//! Settings of a client.

use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};

use oci_fetcher_core::limits::Limits;
use oci_fetcher_core::manifest::Platform;
use oci_fetcher_core::pull::{PlatformChoice, RetryPolicy};
use oci_fetcher_core::url::AddressPolicy;

use super::{Client, Settings};
use crate::error::Error;
use crate::http::{Deadlines, TlsFiles};
use crate::observer::{Observer, Silent};
use crate::options::{Auth, CachePolicy, NetworkUse, PlainHttp};

/// Builds a [`Client`] with other settings than the defaults.
///
/// ```
/// use oci_fetcher::{Auth, CachePolicy, Client};
///
/// let client = Client::builder()
///     .auth(Auth::Anonymous)
///     .platform("linux/arm64".parse()?)
///     .cache(CachePolicy::None)
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
#[must_use]
pub struct ClientBuilder(Settings);

impl Default for Settings {
    fn default() -> Self {
        Self {
            auth: Auth::default(),
            platform: PlatformChoice::Host(Platform::default_for(std::env::consts::ARCH)),
            cache: CachePolicy::default(),
            network: NetworkUse::default(),
            limits: Limits::default(),
            retry: RetryPolicy::default(),
            deadlines: Deadlines::default(),
            concurrency: CONCURRENCY,
            observer: Arc::new(Silent),
            tls: TlsFiles::default(),
            plain_http: PlainHttp::default(),
            addresses: AddressPolicy::default(),
            http: OnceLock::new(),
        }
    }
}

/// Blobs under way at once: enough to fill a line while one layer decodes, few enough that their
/// windows fit into tens of megabytes.
pub const CONCURRENCY: NonZeroUsize = NonZeroUsize::new(4).expect("four is not zero");

impl ClientBuilder {
    /// Sets where credentials come from.
    pub fn auth(mut self, auth: Auth) -> Self {
        self.0.auth = auth;
        self
    }

    /// Asks for a platform by name; a single image for another one is refused then.
    pub fn platform(mut self, platform: Platform) -> Self {
        self.0.platform = PlatformChoice::Explicit(platform);
        self
    }

    /// Sets where blobs are kept.
    pub fn cache(mut self, cache: CachePolicy) -> Self {
        self.0.cache = cache;
        self
    }

    /// Sets whether the network may be used.
    pub fn network(mut self, network: NetworkUse) -> Self {
        self.0.network = network;
        self
    }

    /// Bounds what an image may cost.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.0.limits = limits;
        self
    }

    /// Sets how often and when requests are tried again.
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.0.retry = retry;
        self
    }

    /// Sets how long peers are waited for.
    pub fn deadlines(mut self, deadlines: Deadlines) -> Self {
        self.0.deadlines = deadlines;
        self
    }

    /// Sets how many blobs are under way at once.
    pub fn concurrency(mut self, concurrency: NonZeroUsize) -> Self {
        self.0.concurrency = concurrency;
        self
    }

    /// Lets somebody watch.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.0.observer = observer;
        self
    }

    /// Sets whom TLS trusts beside the system's roots, and the client's own certificate.
    pub fn tls(mut self, tls: TlsFiles) -> Self {
        self.0.tls = tls;
        self
    }

    /// Sets whether registries may be spoken to without encryption.
    pub fn plain_http(mut self, plain_http: PlainHttp) -> Self {
        self.0.plain_http = plain_http;
        self
    }

    /// Sets where a registry may lead: by redirects, realms, and addresses of foreign layers.
    ///
    /// By default to no address of this machine or of the local link, unless the registry is on this
    /// machine itself; see [`Reach::may_be_named_by`](oci_fetcher_core::url::Reach::may_be_named_by). The
    /// names that a registry gives out are looked up first, and only addresses that were checked are
    /// connected to. Through a proxy, that is the proxy's to do.
    pub fn addresses(mut self, policy: AddressPolicy) -> Self {
        self.0.addresses = policy;
        self
    }

    /// Builds the client, and reads the TLS files.
    ///
    /// # Errors
    /// [`Error::Tls`]
    pub fn build(self) -> Result<Client, Error> {
        let client = Client { settings: Arc::new(self.0) };
        if client.settings.tls.is_given() {
            client.http()?;
        }
        Ok(client)
    }
}

impl std::fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ClientBuilder").finish_non_exhaustive()
    }
}
