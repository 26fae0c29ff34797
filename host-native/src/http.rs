//! Sends the core's requests with reqwest, and says in the core's words what went wrong.

use std::error::Error as StdError;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use oci_fetcher_core::error::{Class, Explain};
use oci_fetcher_core::pull::{Failure, FailureKind};
use oci_fetcher_core::request::{Headers, Method, Request, ResponseHead};
use oci_fetcher_core::url::Origin;
use rustls::AlertDescription;
use tokio::time::timeout;

/// How long the host waits for a peer before it calls an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// Until a connection, TLS included, stands.
    pub connect: Duration,
    /// From the request to the head of the answer.
    pub first_byte: Duration,
    /// Between two pieces of a body.
    pub no_progress: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        // A distant host answers a handshake within seconds; registries that assemble an answer
        // from object storage have been seen to think for most of a minute.
        Self {
            connect: Duration::from_secs(15),
            first_byte: Duration::from_secs(60),
            no_progress: Duration::from_secs(60),
        }
    }
}

/// Files that decide whom TLS trusts, and who we are.
#[derive(Clone, Debug, Default)]
pub struct TlsFiles {
    /// Certificate authorities in PEM, trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The client's certificate chain in PEM, shown to the registry alone.
    pub cert_file: Option<PathBuf>,
    /// The client certificate's key in PEM.
    pub key_file: Option<PathBuf>,
}

impl TlsFiles {
    /// Tells whether there are any.
    pub(crate) fn is_given(&self) -> bool {
        self.ca_file.is_some() || self.cert_file.is_some() || self.key_file.is_some()
    }
}

/// TLS material that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file holds something else than it should.
    #[error("{} holds no usable {what}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What was expected.
        what: &'static str,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// A file holds no certificate at all.
    #[error("{} holds no certificate", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A certificate without its key, or the other way round.
    #[error("a client certificate needs both a certificate file and a key file")]
    Incomplete,
    /// The client could not be set up.
    #[error("cannot set up TLS")]
    SetUp(#[source] reqwest::Error),
}

impl Explain for TlsError {
    fn class(&self) -> Class {
        match self {
            Self::Read { .. } | Self::Malformed { .. } | Self::Empty { .. } | Self::Incomplete => Class::Usage,
            Self::SetUp(_) => Class::Local,
        }
    }

    fn code(&self) -> &'static str {
        "tls-files"
    }

    fn advice(&self) -> Option<std::borrow::Cow<'static, str>> {
        Some("pass PEM files with --ca-file, or --cert-file together with --key-file".into())
    }
}

/// The connections of a client.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    /// For every address but the registry's own.
    plain: reqwest::Client,
    /// With the client certificate, for the registry's own origin.
    identified: Option<reqwest::Client>,
    deadlines: Deadlines,
}

impl Http {
    pub(crate) fn new(files: &TlsFiles, deadlines: Deadlines) -> Result<Self, TlsError> {
        // A program that has chosen a provider for itself keeps it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let read = |path: &PathBuf| std::fs::read(path).map_err(|source| TlsError::Read { path: path.clone(), source });
        let authorities = match &files.ca_file {
            None => Vec::new(),
            Some(path) => {
                let bundle = reqwest::Certificate::from_pem_bundle(&read(path)?)
                    .map_err(|source| TlsError::Malformed { path: path.clone(), what: "certificate", source })?;
                if bundle.is_empty() {
                    return Err(TlsError::Empty { path: path.clone() });
                }
                bundle
            }
        };
        let builder = || {
            let builder = reqwest::Client::builder()
                .user_agent(concat!("oci-fetcher/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .retry(reqwest::retry::never())
                .connect_timeout(deadlines.connect)
                .tcp_nodelay(true)
                .dns_resolver(Resolver);
            let builder = if proxies_are_ruled_out() { builder.no_proxy() } else { builder };
            if authorities.is_empty() { builder } else { builder.tls_certs_merge(authorities.clone()) }
        };
        let plain = builder().build().map_err(TlsError::SetUp)?;
        let identified = match (&files.cert_file, &files.key_file) {
            (None, None) => None,
            (Some(certificate), Some(key)) => {
                let mut pem = read(certificate)?;
                pem.push(b'\n');
                pem.extend(read(key)?);
                let malformed = |source| {
                    let what = "client certificate with its key";
                    TlsError::Malformed { path: certificate.clone(), what, source }
                };
                let identity = reqwest::Identity::from_pem(&pem).map_err(malformed)?;
                let identified = builder().identity(identity).build();
                // What the other client has too cannot be at fault: the key is another certificate's.
                Some(identified.map_err(malformed)?)
            }
            (Some(_), None) | (None, Some(_)) => return Err(TlsError::Incomplete),
        };
        Ok(Self { plain, identified, deadlines })
    }

    /// Sends a request and waits for the head of the answer.
    pub(crate) async fn send(&self, request: Request, home: &Origin) -> Result<(ResponseHead, Body), Failure> {
        let client = match &self.identified {
            Some(identified) if request.url.origin() == *home => identified,
            Some(_) | None => &self.plain,
        };
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Head => reqwest::Method::HEAD,
            Method::Post => reqwest::Method::POST,
        };
        let mut builder = client.request(method, request.url.as_str());
        for (name, value) in request.headers.iter() {
            builder = builder.header(name, value);
        }
        if let Some(body) = request.body {
            builder = builder.body(body);
        }
        let secure = request.url.as_str().starts_with("https:");
        let response = match timeout(self.deadlines.first_byte, builder.send()).await {
            Err(_) => return Err(late("no answer", self.deadlines.first_byte)),
            Ok(Err(error)) => return Err(failure(&error, secure)),
            Ok(Ok(response)) => response,
        };
        let mut headers = Headers::default();
        for (name, value) in response.headers() {
            // Values that are not ASCII can only be ones that nobody here reads.
            if let Ok(value) = value.to_str() {
                headers.append(name.as_str(), value);
            }
        }
        let head = ResponseHead { status: response.status().as_u16(), headers };
        Ok((head, Body { response, no_progress: self.deadlines.no_progress }))
    }
}

/// Tells whether `$NO_PROXY` lists `*`, which reqwest holds against names but not against addresses.
fn proxies_are_ruled_out() -> bool {
    let exceptions = std::env::var("NO_PROXY").or_else(|_| std::env::var("no_proxy"));
    exceptions.is_ok_and(|exceptions| exceptions.split(',').any(|exception| exception.trim() == "*"))
}

/// The body of an answer, piece by piece.
#[derive(Debug)]
pub(crate) struct Body {
    response: reqwest::Response,
    no_progress: Duration,
}

impl Body {
    /// Returns the next piece; `None` at the end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        match timeout(self.no_progress, self.response.chunk()).await {
            Err(_) => Err(late("no progress", self.no_progress)),
            Ok(Err(error)) => Err(failure(&error, true)),
            Ok(Ok(chunk)) => Ok(chunk),
        }
    }

    /// Reads the body to its end.
    pub(crate) async fn whole(mut self, limit: u64) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if (bytes.len() + chunk.len()) as u64 > limit {
                let message = format!("more than {limit} bytes");
                return Err(Failure { kind: FailureKind::TooLarge, message });
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// Reads what there is of an error's body, up to a limit, without ever failing.
    pub(crate) async fn beginning(mut self, limit: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Ok(Some(chunk)) = self.chunk().await {
            let room = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(bytes.len());
            bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() >= room {
                break;
            }
        }
        bytes
    }
}

fn late(what: &str, after: Duration) -> Failure {
    Failure { kind: FailureKind::TimedOut, message: format!("{what} for {} s", after.as_secs_f64()) }
}

/// Looks names up with the system's resolver.
struct Resolver;

impl reqwest::dns::Resolve for Resolver {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0))
                .await
                .map_err(|error| Box::new(UnknownHost(error.to_string())) as Box<dyn StdError + Send + Sync>)?
                .collect();
            Ok(Box::new(addresses.into_iter()) as reqwest::dns::Addrs)
        })
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct UnknownHost(String);

/// Says what an error of reqwest means to the core.
fn failure(error: &reqwest::Error, secure: bool) -> Failure {
    let chain: Vec<&(dyn StdError + 'static)> =
        std::iter::successors(error.source(), |&source| source.source()).collect();
    let unknown_host = chain.iter().any(|source| source.is::<UnknownHost>());
    let tls = chain.iter().find_map(|source| tls_error(*source));
    let kind = match tls {
        Some(rustls::Error::InvalidMessage(_)) if secure => FailureKind::PlainHttp,
        Some(rustls::Error::AlertReceived(alert)) if is_about_our_certificate(*alert) => FailureKind::ClientCertificate,
        Some(rustls::Error::InvalidCertificate(fault)) => certificate(fault),
        Some(_) => FailureKind::Tls,
        None if unknown_host => FailureKind::UnknownHost,
        None if error.is_timeout() => FailureKind::TimedOut,
        None if error.is_connect() => FailureKind::Connect,
        None => FailureKind::Broken,
    };
    let innermost = chain.last().map_or_else(|| "the exchange failed".to_owned(), ToString::to_string);
    Failure { kind, message: innermost }
}

/// Tells whether a server's alert is about what the client has shown, or has not.
fn is_about_our_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            // A signature that does not fit, as of an authority that was made anew under its old name.
            | AlertDescription::DecryptError
    )
}

fn certificate(fault: &rustls::CertificateError) -> FailureKind {
    use rustls::CertificateError as Fault;
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "rustls adds reasons; those named here have advice of their own"
    )]
    match fault {
        // The second is of an authority that was made anew under its old name.
        Fault::UnknownIssuer | Fault::BadSignature => FailureKind::UntrustedCertificate,
        Fault::NotValidForName | Fault::NotValidForNameContext { .. } => FailureKind::CertificateName,
        Fault::Expired | Fault::ExpiredContext { .. } | Fault::NotValidYet | Fault::NotValidYetContext { .. } => {
            FailureKind::CertificateTime
        }
        _ => FailureKind::Tls,
    }
}

/// Finds an error of rustls in an error, which `io::Error`s may wrap any number of times without
/// naming it as their source.
fn tls_error<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e rustls::Error> {
    let wrapped = |error: &'e std::io::Error| error.get_ref().and_then(|inner| tls_error(inner));
    error.downcast_ref::<rustls::Error>().or_else(|| error.downcast_ref::<std::io::Error>().and_then(wrapped))
}
