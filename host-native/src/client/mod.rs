//! The client: what a program or the command line asks for.

mod artifact;
mod builder;
mod copy;
mod flatten;
mod inspect;
mod prepare;
mod unpack;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use oci_fetcher_core::limits::Limits;
use oci_fetcher_core::pull::{PlatformChoice, RetryPolicy};
use oci_fetcher_core::source::Source;
use oci_fetcher_core::url::AddressPolicy;

use crate::error::Error;
use crate::http::{Deadlines, Http, TlsFiles};
use crate::observer::Observer;
use crate::options::{Auth, CachePolicy, Destination, NetworkUse, PlainHttp, PullOptions};
use crate::pulled::Pulled;

pub use builder::{CONCURRENCY, ClientBuilder};

/// Fetches what registries hold.
///
/// A client is cheap to clone; clones share connections and settings. Its futures need a tokio
/// runtime with I/O and time enabled. Dropping one cancels: temporary files go, verified blobs stay.
///
/// ```no_run
/// # async fn run(auth_config: oci_fetcher::Auth) -> Result<(), Box<dyn std::error::Error>> {
/// use oci_fetcher::{Client, Reference, Destination};
/// let client = Client::new(auth_config);
/// let image_ref: Reference = "heroku/builder:22".parse()?;
/// client.pull(&image_ref, Destination::Directory("/tmp/my-image")).await?;
/// client.pull(&image_ref, Destination::OciLayout("/tmp/my-layout")).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    settings: Arc<Settings>,
}

/// What a client was built with.
struct Settings {
    auth: Auth,
    platform: PlatformChoice,
    cache: CachePolicy,
    network: NetworkUse,
    limits: Limits,
    retry: RetryPolicy,
    deadlines: Deadlines,
    concurrency: NonZeroUsize,
    observer: Arc<dyn Observer>,
    tls: TlsFiles,
    plain_http: PlainHttp,
    addresses: AddressPolicy,
    http: OnceLock<Http>,
}

impl Client {
    /// Makes a client with these credentials and the defaults for everything else.
    ///
    /// Neither reads nor connects to anything: faults in credential files appear at the first use.
    #[must_use]
    pub fn new(auth: Auth) -> Self {
        Self { settings: Arc::new(Settings { auth, ..Settings::default() }) }
    }

    /// Begins to build a client with other settings.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Pulls one image: resolves it, verifies every byte, and leaves a complete destination.
    ///
    /// # Errors
    /// [`Error`]; the destination is as it was before.
    pub async fn pull<P: Into<PathBuf>>(
        &self,
        source: &(impl Into<Source> + Clone + Sync),
        destination: Destination<P>,
    ) -> Result<Pulled, Error> {
        self.pull_all(&[source.clone().into()], destination, &PullOptions::default()).await
    }

    /// Pulls several images into one destination.
    ///
    /// A directory gets one tree, merged in their order, as if they were one image of all their
    /// layers; a layout gets each of them.
    ///
    /// # Errors
    /// [`Error`]; a directory is as it was before. A layout's index names no image that failed.
    pub async fn pull_all<P: Into<PathBuf>>(
        &self,
        sources: &[Source],
        destination: Destination<P>,
        options: &PullOptions,
    ) -> Result<Pulled, Error> {
        if sources.is_empty() {
            return Err(Error::Usage("there is nothing to pull: no source was given"));
        }
        match destination {
            Destination::Directory(path) => self.unpack(sources, path.into(), options).await,
            Destination::OciLayout(path) => self.copy(sources, path.into(), options).await,
        }
    }

    /// Returns the connections, which are set up when they are first needed.
    fn http(&self) -> Result<&Http, Error> {
        if let Some(http) = self.settings.http.get() {
            return Ok(http);
        }
        let http = Http::new(&self.settings.tls, self.settings.deadlines, self.settings.addresses)?;
        Ok(self.settings.http.get_or_init(|| http))
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("auth", &self.settings.auth)
            .field("platform", &self.settings.platform)
            .field("cache", &self.settings.cache)
            .finish_non_exhaustive()
    }
}
