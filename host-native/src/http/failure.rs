//! What an error of reqwest means to the core.

use std::error::Error as StdError;

use oci_fetcher_core::pull::{Failure, FailureKind};
use rustls::AlertDescription;

use super::resolver::Unresolved;

/// Says what an error of reqwest means to the core.
pub(super) fn failure(error: &reqwest::Error, secure: bool) -> Failure {
    let chain: Vec<&(dyn StdError + 'static)> =
        std::iter::successors(error.source(), |&source| source.source()).collect();
    let unresolved = chain.iter().find_map(|source| source.downcast_ref::<Unresolved>());
    let tls = chain.iter().find_map(|source| tls_error(*source));
    let kind = match tls {
        Some(rustls::Error::InvalidMessage(_)) if secure => FailureKind::PlainHttp,
        Some(rustls::Error::AlertReceived(alert)) if is_about_our_certificate(*alert) => FailureKind::ClientCertificate,
        Some(rustls::Error::InvalidCertificate(fault)) => certificate(fault),
        Some(_) => FailureKind::Tls,
        None if let Some(unresolved) = unresolved => unresolved.kind(),
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
