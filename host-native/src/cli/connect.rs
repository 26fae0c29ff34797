//! From the options to a client.

use std::io::Read;
use std::sync::Arc;

use oci_fetcher::{AddressPolicy, Auth, CachePolicy, Client, Deadlines, NetworkUse, Observer, PlainHttp, TlsFiles};
use oci_fetcher_core::credentials::Secret;
use oci_fetcher_core::limits::Limits;
use oci_fetcher_core::manifest::Platform;
use oci_fetcher_core::pull::RetryPolicy;
use oci_fetcher_core::source::Source;

use super::args::ClientOptions;
use super::failure::{Ended, Failure};
use super::usage::{FileError, UsageError};

/// What every command that fetches works with.
#[derive(Clone)]
pub(crate) struct Context {
    /// Watches what the client does.
    pub(crate) observer: Arc<dyn Observer>,
    /// What standard input held, where it was asked for.
    pub(crate) password: Option<Secret>,
}

impl Context {
    /// Sets a client up for these sources.
    pub(crate) fn client(
        &self,
        options: &ClientOptions,
        platform: Option<&Platform>,
        sources: &[Source],
    ) -> Result<Client, Ended> {
        let ClientOptions { registry, network, cache, limits } = options;
        let auth = match (&registry.username, &self.password, &registry.auth_file) {
            (Some(username), Some(password), _) => {
                one_registry(sources)?;
                Auth::Basic { username: username.clone(), password: password.clone() }
            }
            (_, _, Some(file)) => Auth::File(file.clone()),
            (_, _, None) => Auth::Environment,
        };
        let mut builder = Client::builder()
            .auth(auth)
            .cache(match &cache.cache_dir {
                Some(folder) => CachePolicy::At(folder.clone()),
                None if cache.no_cache => CachePolicy::None,
                None => CachePolicy::Default,
            })
            .network(if cache.offline { NetworkUse::Offline } else { NetworkUse::Online })
            .limits(Limits::from(limits))
            .retry(RetryPolicy {
                attempts: network.retries.saturating_add(1),
                patience: u64::try_from(network.retry_time.0.as_millis()).unwrap_or(u64::MAX),
                ..RetryPolicy::default()
            })
            .deadlines(Deadlines {
                connect: network.connect_timeout.0,
                first_byte: network.first_byte_timeout.0,
                no_progress: network.no_progress_timeout.0,
            })
            .concurrency(network.concurrency)
            .observer(Arc::clone(&self.observer))
            .tls(TlsFiles {
                ca_file: registry.ca_file.clone(),
                cert_file: registry.cert_file.clone(),
                key_file: registry.key_file.clone(),
            })
            .plain_http(if registry.plain_http { PlainHttp::Allowed } else { PlainHttp::Loopback });
        if network.insecure_any_address {
            builder = builder.addresses(AddressPolicy::Any);
        }
        if let Some(platform) = platform {
            builder = builder.platform(platform.clone());
        }
        builder.build().map_err(|error| Failure::new(&error).into())
    }
}

/// Sees to it that a password goes to no other registry than the one it was meant for.
fn one_registry(sources: &[Source]) -> Result<(), UsageError> {
    let mut registries = sources.iter().filter_map(|source| match source {
        Source::Registry(reference) => Some(reference.registry()),
        Source::Layout { .. } | Source::OciArchive { .. } | Source::DockerArchive { .. } => None,
    });
    let first = registries.next();
    if registries.all(|registry| Some(registry) == first) { Ok(()) } else { Err(UsageError::SeveralRegistries) }
}

/// Parses a source as it stands on the command line.
pub(crate) fn source(text: &str) -> Result<Source, Ended> {
    text.parse::<Source>().map_err(|error| Failure::new(&error).into())
}

/// Reads a password to its end, without the line feed that ends it.
pub(crate) fn read_password(input: impl Read) -> Result<Secret, Ended> {
    let mut bytes = Vec::new();
    let read = input.take(PASSWORD_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|source| FileError::new("read", "the password from standard input", source))?;
    if bytes.len() as u64 > PASSWORD_BYTES {
        return Err(UsageError::NotPassword.into());
    }
    let Ok(text) = String::from_utf8(bytes) else { return Err(UsageError::NotPassword.into()) };
    let password = text.strip_suffix('\n').unwrap_or(&text);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() { Err(UsageError::NoPassword.into()) } else { Ok(Secret::new(password)) }
}

/// Tokens of cloud registries, which stand for passwords, have some kilobytes.
const PASSWORD_BYTES: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_loses_one_line_end() {
        for (input, password) in [
            (&b"secret"[..], Some("secret")),
            (b"secret\n", Some("secret")),
            (b"secret\r\n", Some("secret")),
            (b"secret\n\n", Some("secret\n")),
            (b" secret \n", Some(" secret ")),
            ("pä:ss\n".as_bytes(), Some("pä:ss")),
            (b"", None),
            (b"\n", None),
            (b"\xff\n", None),
            (&[b'a'; (64 << 10) + 1], None),
        ] {
            let read = read_password(input).ok();
            assert_eq!(read.as_ref().map(Secret::expose), password);
        }
    }

    #[test]
    fn a_password_is_for_one_registry() {
        for (sources, fine) in [
            (&["ghcr.io/a/b", "ghcr.io/c/d:1"][..], true),
            (&["alpine", "docker.io/library/debian", "oci:dir"], true),
            (&["oci:dir"], true),
            (&["ghcr.io/a/b", "oci:dir", "quay.io/a/b"], false),
            (&["alpine", "ghcr.io/a/b"], false),
        ] {
            let sources: Vec<Source> = sources.iter().map(|text| text.parse().expect("a source")).collect();
            assert_eq!(one_registry(&sources).is_ok(), fine, "{sources:?}");
        }
    }
}
