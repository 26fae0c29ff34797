//! From a source to an image whose blobs can be transferred.

use std::sync::Arc;

use oci_fetcher_core::credentials::Credential;
use oci_fetcher_core::digest::Digest;
use oci_fetcher_core::manifest::{Descriptor, Manifest};
use oci_fetcher_core::pull::{
    BlobOutcome, BlobSize, Blobs, Fetched, Image, ImageKind, Network, Plan, PlatformChoice, PullError, Resolve,
    Resolved, Session, Want,
};
use oci_fetcher_core::reference::Reference;
use oci_fetcher_core::source::Source;
use oci_fetcher_core::url::Scheme;

use super::Client;
use crate::cache::Cache;
use crate::credentials::{CredentialError, Environment, Lookup, Search};
use crate::drive::{Host, drive};
use crate::error::Error;
use crate::local::LocalSource;
use crate::observer::{Event, Observer, Watch};
use crate::options::{Auth, CachePolicy, NetworkUse, PlainHttp};
use crate::pulled::{ImageInfo, RawManifest};
use crate::sink::{Sinks, Work};
use crate::store::Store;

/// A source that can be asked: its registry's session and its store.
pub(super) struct Access {
    client: Client,
    source: Source,
    session: Session,
    pub(super) store: Arc<Store>,
    local: Option<Arc<LocalSource>>,
    credentials: Credentials,
    pub(super) watch: Arc<Watch>,
}

/// What is known of the credentials, for the message of a refusal.
enum Credentials {
    Given,
    Looked(Box<Lookup>),
    /// They could not be had: only a refusal makes that a failure.
    Failed(CredentialError),
}

/// What all steps of one call share.
pub(super) struct Operation {
    /// The client's cache, or one that goes with all that work with it.
    cache: Cache,
    pub(super) watch: Arc<Watch>,
}

impl Client {
    /// Begins an operation; without a cache, it gets a temporary one of its own.
    pub(super) fn operation(&self) -> Result<Operation, Error> {
        let watch = Arc::new(Watch::new(self.settings.observer.clone()));
        let root = match &self.settings.cache {
            CachePolicy::Default => Cache::default_root().ok_or(Error::NoCachePlace)?,
            CachePolicy::At(root) => root.clone(),
            CachePolicy::None => return Ok(Operation { cache: Cache::temporary()?, watch }),
        };
        let cache = Cache::new(root);
        cache.reclaim();
        Ok(Operation { cache, watch })
    }

    /// Opens a source.
    pub(super) async fn access(&self, source: &Source, operation: &Operation) -> Result<Access, Error> {
        let settings = &self.settings;
        let access = |session: Session, store, local, credentials| Access {
            client: self.clone(),
            source: source.clone(),
            session: session
                .limits(settings.limits.clone())
                .retry(settings.retry.clone())
                .addresses(settings.addresses)
                .seed(seed()),
            store: Arc::new(store),
            local,
            credentials,
            watch: operation.watch.clone(),
        };
        let reference = match source {
            Source::Registry(reference) => reference,
            Source::Layout { .. } | Source::OciArchive { .. } | Source::DockerArchive { .. } => {
                let (source, limits) = (source.clone(), settings.limits.clone());
                let local = blocking(move || Ok(LocalSource::open(&source, &limits)?)).await?;
                let local = Arc::new(local);
                let store = Store::Local(local.clone());
                return Ok(access(Session::local(), store, Some(local), Credentials::Given));
            }
        };
        let (session, credentials) = self.session(reference).await?;
        Ok(access(session, Store::Cache(operation.cache.clone()), None, credentials))
    }

    async fn session(&self, reference: &Reference) -> Result<(Session, Credentials), Error> {
        let network = match self.settings.network {
            NetworkUse::Online => Network::Online,
            NetworkUse::Offline => Network::Offline,
        };
        let session = Session::new(reference, network);
        let session = match self.settings.plain_http {
            PlainHttp::Loopback if self.settings.tls.is_given() => session.scheme(reference, Scheme::Https),
            PlainHttp::Loopback => session,
            PlainHttp::Allowed => session.scheme(reference, Scheme::Http),
        };
        if network == Network::Offline {
            return Ok((session, Credentials::Given));
        }
        let search = match &self.settings.auth {
            Auth::Anonymous => return Ok((session, Credentials::Given)),
            Auth::Basic { username, password } => {
                let credential = Credential::Basic { username: username.clone(), password: password.clone() };
                return Ok((session.credential(credential), Credentials::Given));
            }
            Auth::Token(token) => {
                return Ok((session.credential(Credential::RegistryToken(token.clone())), Credentials::Given));
            }
            Auth::Environment => Search::new(Environment::from_process()),
            Auth::File(path) => Search::new(Environment::from_process()).with_auth_file(path),
        };
        Ok(match search.find(reference.registry(), reference.repository()).await {
            Ok(lookup) => {
                let credential = lookup.found.as_ref().map(|found| found.credential.clone()).unwrap_or_default();
                (session.credential(credential), Credentials::Looked(Box::new(lookup)))
            }
            Err(error @ CredentialError::Missing { .. }) => return Err(error.into()),
            Err(error) => (session, Credentials::Failed(error)),
        })
    }

    /// Says what a platform choice asks for.
    pub(super) fn platform(&self) -> &PlatformChoice {
        &self.settings.platform
    }
}

impl Access {
    /// Carries out a plan that has no blobs.
    pub(super) async fn run<P>(&mut self, plan: P) -> Result<P::Outcome, Error>
    where
        P: Plan + Send,
        P::Outcome: Send,
    {
        self.drive(plan, &Sinks::none()).await
    }

    /// Transfers blobs into the work's hands. Whatever the outcome, no worker is left when it
    /// returns.
    pub(super) async fn transfer(
        &mut self,
        blobs: Vec<Arc<Descriptor>>,
        work: Arc<dyn Work>,
        abandon: impl FnOnce(),
    ) -> Result<BlobOutcome, Error> {
        let sinks = Sinks::new(work);
        let plan = Blobs::new(blobs, self.client.settings.concurrency);
        let result = self.drive(plan, &sinks).await;
        if result.is_err() {
            abandon();
        }
        sinks.join().await;
        result
    }

    async fn drive<P>(&mut self, plan: P, sinks: &Sinks) -> Result<P::Outcome, Error>
    where
        P: Plan + Send,
        P::Outcome: Send,
    {
        let host = Host {
            http: self.client.http()?,
            store: &self.store,
            observer: &*self.watch,
            limits: &self.client.settings.limits,
        };
        match drive(host, self.session.clone(), plan, sinks).await {
            Ok((outcome, session)) => {
                self.session = session;
                Ok(outcome)
            }
            Err(Error::Pull(error @ (PullError::Denied { .. } | PullError::TokenRefused { .. }))) => {
                Err(match std::mem::replace(&mut self.credentials, Credentials::Given) {
                    Credentials::Given => error.into(),
                    Credentials::Looked(tried) => Error::Denied { source: Box::new(error), tried },
                    Credentials::Failed(error) => error.into(),
                })
            }
            Err(error) => Err(error),
        }
    }

    /// Resolves what the source names.
    pub(super) async fn resolve(&mut self, want: Want) -> Result<Resolved, Error> {
        let plan = match (&self.source, &self.local) {
            (_, Some(local)) => Resolve::descriptor(local.descriptor(), want),
            (Source::Registry(reference), None) => Resolve::new(reference, want),
            (Source::Layout { .. } | Source::OciArchive { .. } | Source::DockerArchive { .. }, None) => {
                return Err(Error::internal("a local source was not opened"));
            }
        };
        self.run(plan).await
    }

    /// Resolves the image for the client's platform.
    pub(super) async fn image(&mut self) -> Result<Resolution, Error> {
        let resolved = self.resolve(Want::Image(self.client.platform().clone())).await?;
        let image = resolved.image.ok_or_else(|| Error::internal("an image was wanted"))?;
        let Manifest::Image(manifest) = &image.manifest.manifest else {
            return Err(Error::internal("an image's manifest is an index"));
        };
        let layers: Vec<Arc<Descriptor>> = manifest.layers.iter().cloned().map(Arc::new).collect();
        let (config, artifact_type) = match &image.kind {
            ImageKind::Image(config) => (Some(config.clone()), None),
            ImageKind::Artifact { artifact_type } => (None, Some(artifact_type.clone())),
        };
        let info = ImageInfo {
            source: self.typed(),
            top: raw(&resolved.top),
            manifest: raw(&image.manifest),
            config_bytes: image.config.clone(),
            config,
            artifact_type,
            layers,
            synthesised: self.local.as_ref().is_some_and(|local| local.is_synthesised()),
        };
        Ok(Resolution { image, info })
    }

    /// Returns the size of a blob that no descriptor is known of.
    pub(super) async fn blob_size(&mut self, digest: &Digest) -> Result<u64, Error> {
        match self.store.stored_size(digest)? {
            Some(size) => Ok(size),
            None => self.run(BlobSize::new(digest.clone())).await,
        }
    }

    /// Tells whoever watches what comes next.
    pub(super) fn announce(&self, info: &ImageInfo, blobs: &[Arc<Descriptor>]) {
        let blobs: Vec<_> = blobs.iter().map(|blob| (blob.digest.clone(), blob.size)).collect();
        let event = Event::Resolved { source: &info.source, digest: &info.manifest.digest, blobs: &blobs };
        self.watch.on(&event);
    }

    /// Returns the source as it was typed.
    pub(super) fn typed(&self) -> String {
        match &self.source {
            Source::Registry(reference) => reference.as_typed().to_owned(),
            local @ (Source::Layout { .. } | Source::OciArchive { .. } | Source::DockerArchive { .. }) => {
                local.to_string()
            }
        }
    }
}

/// An image, in the core's words and in the caller's.
pub(super) struct Resolution {
    pub(super) image: Image,
    pub(super) info: ImageInfo,
}

pub(super) fn raw(fetched: &Fetched) -> RawManifest {
    RawManifest {
        digest: fetched.digest.clone(),
        media_type: fetched.media_type().as_str().to_owned(),
        bytes: fetched.bytes.clone(),
    }
}

/// Does what may block on a thread that may.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(Error::internal("a thread panicked")))
}

/// Returns a number that differs between runs, for the jitter of pauses.
fn seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}
