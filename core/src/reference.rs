//! References to what a registry holds: `[registry/]repository[:tag][@digest]`.
//!
//! Repositories and tags follow distribution-spec 1.1 ("Pulling manifests"); defaults and the question
//! whether the first component is a registry follow Docker, as everybody's references do. Deviations
//! from Docker:
//!
//! - `localhost:5000`, `127.0.0.1:5000`, `docker.io`, `sub.example:5000` and a lone digest are refused:
//!   Docker reads them as repositories on Docker Hub, which nobody means.
//! - A registry's name is put in lower case, unless its capitals are all that makes it one, and its
//!   host follows the same rules as a URL's.
//! - `registry-1.docker.io` is Docker Hub too.

mod error;

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use crate::digest::{Algorithm, Digest};
use crate::url::host::Authority;
use crate::url::{Scheme, Url};
pub use error::{ReferenceError, ReferenceProblem};

/// A complete reference: registry, repository, and a tag or a digest or both.
///
/// `Display` is normalised and complete, and parses to an equal reference. References compare by what
/// they name, not by how they were typed.
///
/// ```
/// use oci_fetcher_core::reference::Reference;
///
/// let reference: Reference = "heroku/builder:22".parse()?;
/// assert_eq!(reference.registry(), "docker.io");
/// assert_eq!(reference.registry_host(), "registry-1.docker.io");
/// assert_eq!(reference.repository(), "heroku/builder");
/// assert_eq!(reference.target(), "22");
/// assert_eq!(reference.to_string(), "docker.io/heroku/builder:22");
/// assert_eq!(reference.as_typed(), "heroku/builder:22");
/// # Ok::<(), oci_fetcher_core::reference::ReferenceError>(())
/// ```
#[derive(Clone)]
pub struct Reference {
    registry: Box<str>,
    repository: Box<str>,
    tag: Option<Box<str>>,
    digest: Option<Digest>,
    typed: Box<str>,
}

impl Reference {
    /// Returns the registry's name, `host[:port]`. Docker Hub's is `docker.io`.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Returns the `host[:port]` to connect to. Docker Hub's is `registry-1.docker.io`.
    #[must_use]
    pub fn registry_host(&self) -> &str {
        match self.registry() {
            DOCKER_HUB => DOCKER_HUB_HOST,
            registry => registry,
        }
    }

    /// Returns the root of the registry's host, to join `/v2/...` to.
    ///
    /// ```
    /// use oci_fetcher_core::reference::Reference;
    /// use oci_fetcher_core::url::Scheme;
    ///
    /// let reference: Reference = "alpine".parse()?;
    /// assert_eq!(reference.base_url(Scheme::Https).as_str(), "https://registry-1.docker.io/");
    /// # Ok::<(), oci_fetcher_core::reference::ReferenceError>(())
    /// ```
    #[must_use]
    pub fn base_url(&self, scheme: Scheme) -> Url {
        Url::parse(&format!("{scheme}://{}/", self.registry_host()))
            .expect("hosts of references follow the URL's rules")
    }

    /// Returns the repository, at most 255 characters; Docker Hub's own images are below `library/`.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Returns the tag, which is `latest` where neither tag nor digest was given. With a digest, it is
    /// only for display and names.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Returns the digest, which decides wherever it is given.
    #[must_use]
    pub const fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Returns what stands after `/manifests/`: the digest, or else the tag.
    #[must_use]
    pub fn target(&self) -> &str {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.as_str(),
            (None, Some(tag)) => tag,
            (None, None) => DEFAULT_TAG,
        }
    }

    /// Returns the text that was parsed.
    #[must_use]
    pub fn as_typed(&self) -> &str {
        &self.typed
    }

    /// Returns the reference pinned to a digest, with its tag and the text it was parsed from.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self.clone() }
    }

    fn key(&self) -> (&str, &str, Option<&str>, Option<&Digest>) {
        (self.registry(), self.repository(), self.tag(), self.digest())
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        parse(text).map_err(|problem| ReferenceError::new(text, problem))
    }
}

fn parse(text: &str) -> Result<Reference, ReferenceProblem> {
    if text.is_empty() {
        return Err(ReferenceProblem::Empty);
    }
    if text.len() > MAX_LEN {
        return Err(ReferenceProblem::TooLong);
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ReferenceProblem::Character);
    }
    if text.contains("://") {
        return Err(ReferenceProblem::Scheme);
    }
    let (name, digest) = match text.split_once('@') {
        // No digest has a slash, but what follows a password has.
        Some((_, rest)) if rest.contains('/') => return Err(ReferenceProblem::UserInformation),
        Some((name, digest)) => (name, Some(digest.parse()?)),
        None => (text, None),
    };
    let (name, tag) = split_tag(name)?;
    let (registry, repository) = match name.split_once('/') {
        Some((first, rest)) if names_registry(first) => (parse_registry(first)?, rest),
        Some(_) => (DOCKER_HUB.into(), name),
        None => {
            check_bare_name(name, tag)?;
            (DOCKER_HUB.into(), name)
        }
    };
    let repository = if registry == DOCKER_HUB && !repository.contains('/') {
        format!("{DOCKER_HUB_OWN}/{repository}")
    } else {
        repository.to_owned()
    };
    check_repository(&repository)?;
    if let Some(tag) = tag {
        check_tag(tag)?;
    }
    let tag = match (tag, &digest) {
        (None, None) => Some(DEFAULT_TAG),
        (tag, _) => tag,
    };
    Ok(Reference {
        registry: registry.into(),
        repository: repository.into(),
        tag: tag.map(Into::into),
        digest,
        typed: text.into(),
    })
}

/// Registry, repository, tag and digest at their longest, with their separators.
const MAX_LEN: usize = 1_024;
const DEFAULT_TAG: &str = "latest";
const DOCKER_HUB: &str = "docker.io";
const DOCKER_HUB_HOST: &str = "registry-1.docker.io";
const DOCKER_HUB_NAMES: [&str; 3] = [DOCKER_HUB, "index.docker.io", DOCKER_HUB_HOST];
/// Where Docker Hub keeps the images that have no owner in their name.
const DOCKER_HUB_OWN: &str = "library";

/// Splits at the first colon after the last slash. Brackets hold an address and no tag.
fn split_tag(name: &str) -> Result<(&str, Option<&str>), ReferenceProblem> {
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    if last == 0 && name.starts_with('[') {
        return Err(ReferenceProblem::NoRepository);
    }
    Ok(match name[last..].find(':') {
        Some(colon) => (&name[..last + colon], Some(&name[last + colon + 1..])),
        None => (name, None),
    })
}

/// Tells a registry from a namespace of Docker Hub, as Docker does.
fn names_registry(first: &str) -> bool {
    first.contains(['.', ':'])
        || first.eq_ignore_ascii_case("localhost")
        || first.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn parse_registry(text: &str) -> Result<String, ReferenceProblem> {
    let Authority { host, port } = Authority::parse(text).map_err(ReferenceProblem::Registry)?;
    if text.ends_with(':') {
        return Err(ReferenceProblem::Registry(crate::url::UrlProblem::Port));
    }
    if DOCKER_HUB_NAMES.contains(&host.as_str()) && matches!(port, None | Some(443)) {
        return Ok(DOCKER_HUB.into());
    }
    Ok(match port {
        Some(port) => format!("{host}:{port}"),
        // Without its capitals it would be a namespace of Docker Hub.
        None if !names_registry(&host) => text.into(),
        None => host,
    })
}

/// Refuses what would go to Docker Hub although a registry, a digest or an image's id is meant.
fn check_bare_name(name: &str, tag: Option<&str>) -> Result<(), ReferenceProblem> {
    let lower = name.to_ascii_lowercase();
    let numeric = name.contains('.') && name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let like_port = tag.and_then(|tag| tag.parse::<u16>().ok()).is_some_and(|port| matches!(port, 80 | 443 | 1024..));
    let registry = lower == "localhost"
        || lower.ends_with(".localhost")
        || DOCKER_HUB_NAMES.contains(&lower.as_str())
        || numeric
        || (name.contains('.') && like_port);
    let hexadecimal = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let digest = [(Algorithm::Sha256, 64), (Algorithm::Sha512, 128)].iter().any(|(algorithm, digits)| {
        lower == algorithm.name() && tag.is_some_and(|tag| tag.len() == *digits && hexadecimal(tag))
    });
    if registry {
        Err(ReferenceProblem::NoRepository)
    } else if digest || (name.len() == 64 && hexadecimal(name)) {
        Err(ReferenceProblem::BareDigest)
    } else {
        Ok(())
    }
}

fn check_repository(repository: &str) -> Result<(), ReferenceProblem> {
    if repository.len() > MAX_REPOSITORY {
        return Err(ReferenceProblem::RepositoryTooLong);
    }
    for component in repository.split('/') {
        if component.is_empty() {
            return Err(ReferenceProblem::EmptyComponent);
        }
        if component.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(ReferenceProblem::UpperCase);
        }
        let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let bytes = component.as_bytes();
        let ends = bytes.first().is_some_and(alphanumeric) && bytes.last().is_some_and(alphanumeric);
        let separators = bytes.split(alphanumeric).all(|separator| {
            matches!(separator, b"" | b"." | b"_" | b"__") || separator.iter().all(|&byte| byte == b'-')
        });
        if !(ends && separators) {
            return Err(ReferenceProblem::Repository);
        }
    }
    Ok(())
}

/// What registries accept at most, by distribution-spec 1.1.
const MAX_REPOSITORY: usize = 255;

fn check_tag(tag: &str) -> Result<(), ReferenceProblem> {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let well_formed = tag.bytes().next().is_some_and(word)
        && tag.len() <= MAX_TAG
        && tag.bytes().all(|byte| word(byte) || matches!(byte, b'.' | b'-'));
    if well_formed { Ok(()) } else { Err(ReferenceProblem::Tag) }
}

/// The longest tag of distribution-spec 1.1.
const MAX_TAG: usize = 128;

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reference({self})")
    }
}

impl PartialEq for Reference {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Reference {}

impl PartialOrd for Reference {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Reference {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl Hash for Reference {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

#[cfg(test)]
mod tests;
