//! Which key of a credential file is meant for a repository.

use std::borrow::Cow;
use std::cmp::Reverse;

use super::AuthFileKind;

/// What is looked for.
pub(super) struct Wanted<'a> {
    kind: AuthFileKind,
    registry: &'a str,
    host: Cow<'a, str>,
    repository: &'a str,
}

impl<'a> Wanted<'a> {
    pub(super) fn new(kind: AuthFileKind, registry: &'a str, repository: &'a str) -> Self {
        Self { kind, registry, host: canonical(registry), repository }
    }

    /// The address under which docker's files and helpers know the registry.
    pub(super) fn address(&self) -> &'a str {
        if self.host == HUB { HUB_KEY } else { self.registry }
    }

    /// The value whose key fits best; among equals the first in byte order.
    pub(super) fn best_of<'m, V>(&self, map: &'m [(String, V)]) -> Option<&'m V> {
        map.iter()
            .filter_map(|(key, value)| Some((self.fit(key)?, value)))
            .min_by_key(|(fit, _)| *fit)
            .map(|(_, value)| value)
    }

    fn fit(&self, key: &str) -> Option<Fit> {
        let (schemed, rest) = match strip_scheme(key) {
            Some(rest) => (true, rest),
            None => (false, key),
        };
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let path = path.trim_end_matches('/');
        if host.is_empty() || canonical(host) != self.host {
            return None;
        }
        let spelling = if key == self.registry {
            Spelling::AsAsked
        } else if !schemed && path.is_empty() {
            Spelling::HostName
        } else {
            Spelling::Url
        };
        match self.kind {
            AuthFileKind::Docker if !schemed && !path.is_empty() && path == self.repository => Some(Fit::Repository),
            AuthFileKind::Docker if key == self.address() => Some(Fit::Address),
            AuthFileKind::Docker if self.is_below(path) => Some(Fit::Prefix(Reverse(path.len()))),
            AuthFileKind::Docker if path.is_empty() || API_PATHS.contains(&path) => Some(Fit::Host(spelling)),
            AuthFileKind::Docker => Some(Fit::Elsewhere),
            AuthFileKind::Containers if schemed || path.is_empty() => Some(Fit::Host(spelling)),
            AuthFileKind::Containers if self.is_below(path) => Some(Fit::Prefix(Reverse(path.len()))),
            AuthFileKind::Containers => None,
        }
    }

    /// Tells whether the repository is `path` or lies in that namespace, by whole components.
    fn is_below(&self, path: &str) -> bool {
        !path.is_empty()
            && self.repository.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// How well a key fits, best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// Docker: exactly this repository.
    Repository,
    /// Docker: the key that `docker login` writes.
    Address,
    /// A namespace that holds the repository; the longest first.
    Prefix(Reverse<usize>),
    /// The registry as a whole.
    Host(Spelling),
    /// Docker: another path on the host, which docker disregards.
    Elsewhere,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Spelling {
    AsAsked,
    HostName,
    Url,
}

fn strip_scheme(key: &str) -> Option<&str> {
    key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"))
}

/// One spelling of a host: lower case, and one name for Docker Hub's three.
fn canonical(host: &str) -> Cow<'_, str> {
    if HUB_HOSTS.iter().any(|hub| hub.eq_ignore_ascii_case(host)) {
        Cow::Borrowed(HUB)
    } else if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

const HUB: &str = "docker.io";
const HUB_HOSTS: [&str; 3] = [HUB, "index.docker.io", "registry-1.docker.io"];
/// Docker Hub's address in docker's files and helpers, from the days of the first protocol.
const HUB_KEY: &str = "https://index.docker.io/v1/";
/// Paths that name a registry's interface, not a namespace.
const API_PATHS: [&str; 2] = ["v1", "v2"];
