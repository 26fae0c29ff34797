//! Certificates made for a test.

use std::fmt;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// A certificate authority that nobody else knows.
///
/// ```
/// let authority = oci_fetcher_tests::tls::Authority::new();
/// let server = authority.server();
/// assert!(authority.pem().starts_with("-----BEGIN CERTIFICATE-----"));
/// assert!(server.key_pem.contains("PRIVATE KEY"));
/// ```
#[derive(Clone)]
pub struct Authority(Arc<CertifiedIssuer<'static, KeyPair>>);

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// Makes an authority with a new key.
    #[must_use]
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("the system has randomness");
        let mut params = parameters("oci-fetcher test authority", &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self(Arc::new(CertifiedIssuer::self_signed(params, key).expect("the parameters are complete")))
    }

    /// Returns the authority's own certificate, for those who shall trust it.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Makes a certificate for a server on `localhost`, 127.0.0.1 and ::1.
    #[must_use]
    pub fn server(&self) -> Identity {
        self.server_named(&["localhost", "127.0.0.1", "::1"])
    }

    /// Makes a certificate for a server with these host names and addresses.
    #[must_use]
    pub fn server_named(&self, names: &[&str]) -> Identity {
        self.sign(parameters("oci-fetcher test server", names), ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// Makes a certificate for a local server that ran out in the year 2001.
    #[must_use]
    pub fn expired_server(&self) -> Identity {
        let mut params = parameters("oci-fetcher test server", &["localhost", "127.0.0.1", "::1"]);
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(2001, 1, 1);
        self.sign(params, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// Makes a certificate for a client.
    #[must_use]
    pub fn client(&self) -> Identity {
        self.sign(parameters("oci-fetcher test client", &[]), ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn sign(&self, mut params: CertificateParams, usage: ExtendedKeyUsagePurpose) -> Identity {
        params.extended_key_usages = vec![usage];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().expect("the system has randomness");
        let certificate = params.signed_by(&key, &self.0).expect("the parameters are complete");
        Identity { certificate_pem: certificate.pem(), key_pem: key.serialize_pem(), certificate, key: Arc::new(key) }
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authority(..)")
    }
}

/// A certificate and its private key.
#[derive(Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate_pem: String,
    /// The private key, as PKCS #8.
    pub key_pem: String,
    pub(crate) certificate: rcgen::Certificate,
    pub(crate) key: Arc<KeyPair>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(..)")
    }
}

/// How a server speaks TLS.
#[derive(Clone, Debug)]
pub struct Tls {
    identity: Identity,
    clients: Option<Authority>,
}

impl Tls {
    /// Speaks it with this certificate.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self { identity, clients: None }
    }

    /// Demands a certificate that this authority signed from each client.
    #[must_use]
    pub fn require_client_certificate(mut self, authority: &Authority) -> Self {
        self.clients = Some(authority.clone());
        self
    }

    pub(crate) fn server_config(&self) -> ServerConfig {
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("ring supports them");
        let builder = match &self.clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.0.der().clone()).expect("the authority's certificate is well-formed");
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().expect("there is a root"))
            }
        };
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.identity.key.serialize_der()));
        let mut config = builder
            .with_single_cert(vec![self.identity.certificate.der().clone()], key)
            .expect("the key belongs to the certificate");
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config
    }
}

fn parameters(name: &str, names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("the names are host names or addresses");
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
