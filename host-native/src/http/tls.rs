//! The files of TLS.

use std::path::PathBuf;

use oci_fetcher_core::error::{Class, Explain};

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
