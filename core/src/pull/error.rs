//! Everything that can end a pull before or beside its layers.

use std::borrow::Cow;

use super::effect::{Failure, FailureKind};
use super::redirect::OUT_OF_REACH;
use crate::digest::Digest;
use crate::error::{Class, Explain};
use crate::manifest::ManifestError;
use crate::token::TokenError;
use crate::url::Origin;

/// Why a [`Pull`](super::Pull) ended without its outcome.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PullError {
    /// The registry knows no such thing, or does not show it.
    #[error("{what} was not found{}", told(message))]
    NotFound {
        /// The manifest or blob, as a person would name it.
        what: String,
        /// The registry's own words, made safe to print.
        message: Option<String>,
    },
    /// The registry lacks something that a manifest it serves refers to.
    #[error("{what}, which the image refers to, was not found{}", told(message))]
    PartMissing {
        /// The manifest, config or layer, as a person would name it.
        what: String,
        /// The registry's own words, made safe to print.
        message: Option<String>,
    },
    /// The local store lacks something, and the network is not to be used.
    #[error("{what} is not stored locally")]
    NotStored {
        /// The manifest, tag or blob.
        what: String,
        /// Where it was looked for.
        place: Place,
    },
    /// 401 or 403: the repository does not exist or needs authorisation.
    #[error("{request}: the repository does not exist or needs authorisation (status {status}){}", told(message))]
    Denied {
        /// Method and address.
        request: String,
        /// 401 or 403.
        status: u16,
        /// The registry's own words, made safe to print.
        message: Option<String>,
    },
    /// The token endpoint did not grant a token.
    #[error("no token for {origin}")]
    Token {
        /// The registry.
        origin: Origin,
        /// Why.
        #[source]
        source: TokenError,
    },
    /// The token endpoint refused, with an HTTP status.
    #[error("{request}: no token was granted (status {status}){}", told(message))]
    TokenRefused {
        /// Method and address.
        request: String,
        /// The status.
        status: u16,
        /// The endpoint's own words, made safe to print.
        message: Option<String>,
    },
    /// A status that leaves nothing to try, after all attempts.
    #[error("{request}: status {status} after {attempts} attempt(s){}", told(message))]
    Status {
        /// Method and address.
        request: String,
        /// The status.
        status: u16,
        /// How often it was tried.
        attempts: u32,
        /// The registry's own words, made safe to print.
        message: Option<String>,
    },
    /// The exchange failed below HTTP, after all attempts.
    #[error("{request} failed after {attempts} attempt(s)")]
    Exchange {
        /// Method and address.
        request: String,
        /// How often it was tried.
        attempts: u32,
        /// The last failure.
        #[source]
        source: Failure,
    },
    /// A blob stayed shorter than its descriptor says, after all attempts.
    #[error("{digest} ended at byte {held} of {size} after {attempts} attempt(s)")]
    Short {
        /// The blob.
        digest: Digest,
        /// Bytes that came.
        held: u64,
        /// Bytes that should have come.
        size: u64,
        /// How often it was tried.
        attempts: u32,
    },
    /// A redirect that policy does not follow.
    #[error("{request} was redirected to {target}: {reason}")]
    Redirect {
        /// Method and address.
        request: String,
        /// The target, without a query.
        target: String,
        /// Why it is not followed.
        reason: &'static str,
    },
    /// The answer makes no sense as HTTP or by the distribution specification.
    #[error("{request}: {reason}")]
    Protocol {
        /// Method and address.
        request: String,
        /// What is wrong.
        reason: String,
    },
    /// Bytes that disagree with the digest they were asked for by.
    #[error("{what} has digest {found}, expected {expected}")]
    DigestMismatch {
        /// The manifest or config.
        what: String,
        /// The digest asked for.
        expected: Digest,
        /// The digest of what came.
        found: Digest,
    },
    /// Bytes that disagree with their descriptor's size.
    #[error("{what} has {found} bytes, expected {expected}")]
    SizeMismatch {
        /// The manifest or config.
        what: String,
        /// The descriptor's size.
        expected: u64,
        /// The number of bytes that came.
        found: u64,
    },
    /// A digest whose algorithm cannot be computed.
    #[error("{digest} uses an algorithm that is not supported")]
    Algorithm {
        /// The digest.
        digest: Digest,
    },
    /// A manifest, index or config that is malformed, unsupported or holds no fitting platform.
    #[error("{what} cannot be used")]
    Manifest {
        /// The manifest, index or config.
        what: String,
        /// Why.
        #[source]
        source: ManifestError,
    },
    /// More than a limit allows.
    #[error("{what} exceeds the limit of {limit}")]
    Limit {
        /// What is too large or too many.
        what: String,
        /// The limit.
        limit: u64,
        /// The command line's option that raises it.
        option: &'static str,
    },
    /// Stored bytes of a blob turned out wrong; they have been discarded. Starting again fetches
    /// the blob from its beginning.
    #[error("the stored bytes of {digest} were wrong")]
    Stale {
        /// The blob.
        digest: Digest,
    },
    /// A blob is wrong; the host has the typed error of its sink.
    #[error("the blob {digest} is wrong")]
    Blob {
        /// The blob's place in the list that the plan was given.
        index: usize,
        /// The blob.
        digest: Digest,
    },
    /// The caller ended it.
    #[error("the pull was cancelled")]
    Cancelled,
}

/// Where something was looked for without the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The cache, because of `--offline`.
    Cache,
    /// A local layout or archive.
    Source,
}

impl PullError {
    /// Calls what was not found by a name that says more than an address.
    pub(super) fn naming(self, what: impl FnOnce() -> String) -> Self {
        if let Self::NotFound { message, .. } = self { Self::NotFound { what: what(), message } } else { self }
    }

    /// Says the same of something that a manifest refers to.
    pub(super) fn naming_part(self, what: impl FnOnce() -> String) -> Self {
        if let Self::NotFound { message, .. } = self { Self::PartMissing { what: what(), message } } else { self }
    }

    /// Tells whether a refusal may be of HEAD alone, so that GET is worth a try.
    pub(super) fn may_be_of_head_alone(&self) -> bool {
        matches!(self, Self::Denied { status: 403, .. } | Self::Status { status: 405 | 501, .. })
    }
}

fn told(message: &Option<String>) -> String {
    message.as_ref().map(|message| format!(": {message}")).unwrap_or_default()
}

impl Explain for PullError {
    fn class(&self) -> Class {
        match self {
            Self::NotFound { .. } | Self::PartMissing { .. } | Self::NotStored { .. } => Class::NotFound,
            Self::Denied { .. } | Self::TokenRefused { .. } => Class::Authentication,
            Self::Token { source, .. } => source.class(),
            Self::Exchange { source, .. } => match source.kind {
                FailureKind::TooLarge | FailureKind::Forbidden => Class::Refused,
                FailureKind::UnknownHost
                | FailureKind::Connect
                | FailureKind::Tls
                | FailureKind::ClientCertificate
                | FailureKind::UntrustedCertificate
                | FailureKind::CertificateName
                | FailureKind::CertificateTime
                | FailureKind::PlainHttp
                | FailureKind::TlsExpected
                | FailureKind::TimedOut
                | FailureKind::Broken => Class::Network,
            },
            Self::Status { .. } | Self::Short { .. } | Self::Protocol { .. } => Class::Network,
            Self::Redirect { .. } | Self::Limit { .. } => Class::Refused,
            Self::DigestMismatch { .. } | Self::SizeMismatch { .. } | Self::Stale { .. } | Self::Blob { .. } => {
                Class::Integrity
            }
            Self::Algorithm { .. } => Class::Unsupported,
            Self::Manifest { source, .. } => source.class(),
            Self::Cancelled => Class::Interrupted,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not-found",
            Self::PartMissing { .. } => "part-missing",
            Self::NotStored { .. } => "not-stored",
            Self::Denied { .. } => "denied",
            Self::Token { source, .. } => source.code(),
            Self::TokenRefused { .. } => "token-refused",
            Self::Status { .. } => "status",
            Self::Exchange { source, .. } => match source.kind {
                FailureKind::UnknownHost => "unknown-host",
                FailureKind::Connect => "connect",
                FailureKind::ClientCertificate => "client-certificate",
                FailureKind::Tls
                | FailureKind::UntrustedCertificate
                | FailureKind::CertificateName
                | FailureKind::CertificateTime => "tls",
                FailureKind::PlainHttp => "plain-http",
                FailureKind::TlsExpected => "tls-expected",
                FailureKind::TimedOut => "timed-out",
                FailureKind::Broken => "connection-broken",
                FailureKind::TooLarge => "body-too-large",
                FailureKind::Forbidden => "address-refused",
            },
            Self::Short { .. } => "blob-short",
            Self::Redirect { .. } => "redirect-refused",
            Self::Protocol { .. } => "protocol",
            Self::DigestMismatch { .. } => "digest-mismatch",
            Self::SizeMismatch { .. } => "size-mismatch",
            Self::Algorithm { .. } => "unsupported-algorithm",
            Self::Manifest { source, .. } => source.code(),
            Self::Limit { .. } => "limit",
            Self::Stale { .. } => "stale",
            Self::Blob { .. } => "blob-wrong",
            Self::Cancelled => "cancelled",
        }
    }

    fn advice(&self) -> Option<Cow<'static, str>> {
        Some(Cow::Borrowed(match self {
            Self::NotFound { .. } => "check the name and the tag; the command `tags` lists the tags of a repository",
            Self::PartMissing { .. } => {
                "the registry has lost a part of the image: push it again, or tell who runs the registry"
            }
            Self::NotStored { place: Place::Cache, .. } => "run it once without --offline",
            Self::NotStored { place: Place::Source, .. } => "check that the layout or archive is complete",
            Self::Denied { .. } | Self::TokenRefused { .. } => {
                "check the name, and log in (docker login, podman login) or pass --username with --password-stdin"
            }
            Self::Status { status: 429, .. } => {
                "the registry limits how often it is asked: wait, or log in for a higher limit"
            }
            Self::Status { status: 400..=499, .. } => {
                "check that this is a registry, and its port: it does not take what every registry does"
            }
            Self::Status { .. } | Self::Short { .. } => "try again later; what was fetched is kept",
            Self::Exchange { source, request, .. } => match source.kind {
                FailureKind::UnknownHost => "check the registry's name in the reference, and the network",
                FailureKind::Connect => "check that the registry is reachable from here, and the proxy settings",
                FailureKind::Tls => "check the registry's port",
                FailureKind::ClientCertificate => {
                    "pass a certificate that the registry trusts with --cert-file and --key-file"
                }
                FailureKind::TlsExpected => {
                    "leave out --plain-http; for a registry on this machine, pass its certificate authority with --ca-file"
                }
                FailureKind::UntrustedCertificate => "pass the registry's certificate authority with --ca-file",
                FailureKind::CertificateName => {
                    "check the registry's name in the reference: the server there calls itself by another"
                }
                FailureKind::CertificateTime => {
                    "check this machine's clock; if it is right, tell who runs the registry to renew the certificate"
                }
                FailureKind::PlainHttp => {
                    "pass --plain-http if the registry is meant to be spoken to without encryption"
                }
                FailureKind::Broken if is_plain(request) => WANTS_TLS,
                FailureKind::TimedOut | FailureKind::Broken => "try again; what was fetched is kept",
                FailureKind::TooLarge => "raise --max-manifest-bytes or --max-config-bytes if the content is trusted",
                FailureKind::Forbidden => IF_MEANT,
            },
            Self::Limit { option, .. } => {
                return Some(format!("raise it with {option} if the content is trusted").into());
            }
            Self::DigestMismatch { .. } | Self::SizeMismatch { .. } | Self::Blob { .. } => {
                "the registry, or something on the way, changed the content: do not use it"
            }
            Self::Token { source, .. } => return source.advice(),
            Self::Manifest { source, .. } => return source.advice(),
            Self::Protocol { .. } => "check that this is a registry; if it is one, tell who runs it what it answers",
            Self::Redirect { reason: OUT_OF_REACH, .. } => IF_MEANT,
            Self::Redirect { .. } => "tell who runs the registry: no client follows it there",
            Self::Algorithm { .. } | Self::Stale { .. } | Self::Cancelled => return None,
        }))
    }
}

/// Where only the policy on addresses stands against a registry.
const IF_MEANT: &str =
    "the registry leads into this machine's own network; if it is meant to, pass --insecure-any-address";

/// Tells whether a request went out in plain http.
fn is_plain(request: &str) -> bool {
    request.contains(" http://")
}

/// A server that speaks TLS may close a connection in plain http without a word.
const WANTS_TLS: &str =
    "try again; if the registry speaks TLS, pass its certificate authority with --ca-file, and leave out --plain-http";
