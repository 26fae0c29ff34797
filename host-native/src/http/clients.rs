//! The clients of reqwest: one for each bound on addresses, and one that shows a certificate.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use oci_fetcher_core::pull::{Failure, FailureKind};
use oci_fetcher_core::url::{Bounds, Origin};

use super::resolver::{Resolver, proxies};
use super::tls::{TlsError, TlsFiles};

/// Pools of connections, which are not shared: what one may reach, another may not.
#[derive(Debug)]
pub(super) struct Clients {
    settings: Settings,
    /// For the registry's own host, and where everything may be reached.
    unbounded: reqwest::Client,
    /// As that, with the client certificate: for the registry's own origin.
    identified: Option<reqwest::Client>,
    networks: OnceLock<reqwest::Client>,
    public: OnceLock<reqwest::Client>,
}

/// What every client is made with.
#[derive(Debug)]
struct Settings {
    connect: Duration,
    authorities: Vec<reqwest::Certificate>,
    proxies: Arc<[String]>,
}

impl Clients {
    pub(super) fn new(files: &TlsFiles, connect: Duration) -> Result<Self, TlsError> {
        // A program that has chosen a provider for itself keeps it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let authorities = files.ca_file.as_deref().map_or_else(|| Ok(Vec::new()), authorities)?;
        let settings = Settings { connect, authorities, proxies: proxies() };
        let unbounded = settings.builder(Bounds::Unbounded).build().map_err(TlsError::SetUp)?;
        let identified = match (&files.cert_file, &files.key_file) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some(settings.identified(certificate, key)?),
            (Some(_), None) | (None, Some(_)) => return Err(TlsError::Incomplete),
        };
        Ok(Self { settings, unbounded, identified, networks: OnceLock::new(), public: OnceLock::new() })
    }

    /// Returns the client for a request to `target` that is made on behalf of the registry at `home`.
    pub(super) fn of(&self, home: &Origin, target: &Origin, bounds: Bounds) -> Result<&reqwest::Client, Failure> {
        let cell = match bounds {
            Bounds::Unbounded => {
                let identified = self.identified.as_ref().filter(|_| target == home);
                return Ok(identified.unwrap_or(&self.unbounded));
            }
            Bounds::Networks => &self.networks,
            Bounds::Public => &self.public,
        };
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        // Few registries lead elsewhere, and a client reads the system's authorities.
        let client = self.settings.builder(bounds).build();
        let client = client.map_err(|error| Failure { kind: FailureKind::Tls, message: error.to_string() })?;
        Ok(cell.get_or_init(|| client))
    }
}

impl Settings {
    fn builder(&self, bounds: Bounds) -> reqwest::ClientBuilder {
        let builder = reqwest::Client::builder()
            .user_agent(concat!("oci-fetcher/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .connect_timeout(self.connect)
            .tcp_nodelay(true)
            .dns_resolver(Resolver::new(bounds, &self.proxies));
        let builder = if proxies_are_ruled_out() { builder.no_proxy() } else { builder };
        if self.authorities.is_empty() { builder } else { builder.tls_certs_merge(self.authorities.clone()) }
    }

    fn identified(&self, certificate: &Path, key: &Path) -> Result<reqwest::Client, TlsError> {
        let mut pem = read(certificate)?;
        pem.push(b'\n');
        pem.extend(read(key)?);
        let malformed = |source| {
            let what = "client certificate with its key";
            TlsError::Malformed { path: certificate.to_owned(), what, source }
        };
        let identity = reqwest::Identity::from_pem(&pem).map_err(malformed)?;
        // What the other client has too cannot be at fault: the key is another certificate's.
        self.builder(Bounds::Unbounded).identity(identity).build().map_err(malformed)
    }
}

fn authorities(path: &Path) -> Result<Vec<reqwest::Certificate>, TlsError> {
    let bundle = reqwest::Certificate::from_pem_bundle(&read(path)?).map_err(|source| TlsError::Malformed {
        path: path.to_owned(),
        what: "certificate",
        source,
    })?;
    if bundle.is_empty() { Err(TlsError::Empty { path: path.to_owned() }) } else { Ok(bundle) }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

/// Tells whether `$NO_PROXY` lists `*`, which reqwest holds against names but not against addresses.
fn proxies_are_ruled_out() -> bool {
    let exceptions = std::env::var("NO_PROXY").or_else(|_| std::env::var("no_proxy"));
    exceptions.is_ok_and(|exceptions| exceptions.split(',').any(|exception| exception.trim() == "*"))
}
