//! The search for credentials: files and variables of docker and podman, and their helpers.
//!
//! The order is `DOCKER_AUTH_CONFIG` (a file's content), `$REGISTRY_AUTH_FILE`,
//! `$XDG_RUNTIME_DIR/containers/auth.json`, `/run/containers/$UID/auth.json`,
//! `$XDG_CONFIG_HOME/containers/auth.json` (or below `~/.config`), and `$DOCKER_CONFIG/config.json`
//! (or below `~/.docker`); the first entry that matches wins. How entries match is the core's
//! ([`oci_fetcher_core::credentials`]).
//!
//! Deviation from podman: `$REGISTRY_AUTH_FILE` goes first, but does not hide the other places.

mod environment;
mod error;
mod helper;
mod place;
#[cfg(all(test, unix))]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use oci_fetcher_core::credentials::{AuthFile, Credential, Finding, HelperAnswer};

pub use self::environment::Environment;
pub use self::error::{CredentialError, HelperError};
pub use self::helper::HELPER_OUTPUT_BYTES;
pub use self::place::Origin;
use self::place::{Necessity, Place};

/// Searches an [`Environment`] for the credentials of a registry.
///
/// ```
/// use oci_fetcher::credentials::{Environment, Search};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut environment = Environment::default();
/// let json = r#"{ "auths": { "registry.example": { "auth": "YWxpY2U6c2VjcmV0" } } }"#;
/// environment.variables.insert("DOCKER_AUTH_CONFIG".into(), json.into());
///
/// let lookup = Search::new(environment).find("registry.example", "team/app").await?;
/// assert_eq!(lookup.to_string(), "credentials from $DOCKER_AUTH_CONFIG");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Search {
    environment: Environment,
    auth_file: Option<PathBuf>,
    helper_time_limit: Duration,
}

impl Search {
    /// Searches the places that this environment names.
    #[must_use]
    pub const fn new(environment: Environment) -> Self {
        Self { environment, auth_file: None, helper_time_limit: HELPER_TIME_LIMIT }
    }

    /// Searches this file alone, which must exist. `config.json` is read as docker's file, any other
    /// name as podman's.
    #[must_use]
    pub fn with_auth_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.auth_file = Some(path.into());
        self
    }

    /// Sets how long one helper may take; [`HELPER_TIME_LIMIT`] by default.
    #[must_use]
    pub const fn with_helper_time_limit(mut self, limit: Duration) -> Self {
        self.helper_time_limit = limit;
        self
    }

    /// Finds the first credential for a repository of a registry (`registry.example:5000`,
    /// `team/app`), and says where it looked.
    ///
    /// Dropping the future kills a helper that is running.
    ///
    /// # Errors
    ///
    /// Where a place that comes before the first match is there, but cannot be used, or a helper
    /// fails; a helper that has nothing does not.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with its I/O and time drivers enabled.
    pub async fn find(&self, registry: &str, repository: &str) -> Result<Lookup, CredentialError> {
        let mut tried = Vec::new();
        for place in place::places(&self.environment, self.auth_file.as_deref()) {
            let Some(file) = self.open(&place).await? else {
                tried.push(Tried { origin: place.origin, miss: Miss::Absent });
                continue;
            };
            let finding = file.find(registry, repository);
            if let Some(found) = self.follow(finding, place.origin, &mut tried).await? {
                return Ok(Lookup { found: Some(found), tried });
            }
        }
        Ok(Lookup { found: None, tried })
    }

    async fn open(&self, place: &Place) -> Result<Option<AuthFile>, CredentialError> {
        let bytes = place::read(place, &self.environment)
            .await
            .map_err(|source| CredentialError::Unreadable { origin: place.origin.clone(), source })?;
        match (bytes, place.necessity) {
            (Some(bytes), Necessity::Optional | Necessity::Required) => AuthFile::parse(place.kind, &bytes)
                .map(Some)
                .map_err(|source| CredentialError::Malformed { origin: place.origin.clone(), source }),
            (None, Necessity::Optional) => Ok(None),
            (None, Necessity::Required) => Err(CredentialError::Missing { origin: place.origin.clone() }),
        }
    }

    /// Asks the helpers that a finding names, until one has a credential or none is left.
    async fn follow(
        &self,
        mut finding: Finding,
        origin: Origin,
        tried: &mut Vec<Tried>,
    ) -> Result<Option<Found>, CredentialError> {
        loop {
            match finding {
                Finding::Nothing => {
                    tried.push(Tried { origin, miss: Miss::NoEntry });
                    return Ok(None);
                }
                Finding::Credential(credential) => return Ok(Some(Found { credential, origin })),
                Finding::Malformed(source) => return Err(CredentialError::Malformed { origin, source }),
                Finding::Ask { request, otherwise } => {
                    let name = request.helper().clone();
                    let helper = Origin::Helper { name, named_by: Box::new(origin.clone()) };
                    match helper::ask(&request, &self.environment, self.helper_time_limit).await {
                        Ok(HelperAnswer::Credential(credential)) => {
                            return Ok(Some(Found { credential, origin: helper }));
                        }
                        Ok(HelperAnswer::NotFound) => tried.push(Tried { origin: helper, miss: Miss::NoEntry }),
                        Err(source) => return Err(CredentialError::Helper { origin: helper, source }),
                    }
                    finding = *otherwise;
                }
            }
        }
    }
}

/// How long one helper may take: a keychain may have to ask its user for a passphrase.
pub const HELPER_TIME_LIMIT: Duration = Duration::from_secs(30);

/// The outcome of a search.
///
/// Its `Display` is for a message, such as that of a refused request: `credentials from …`, or where
/// none were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// The credential, if any place had one.
    pub found: Option<Found>,
    /// The places before it that had none, in the order of the search.
    pub tried: Vec<Tried>,
}

/// A credential, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The credential.
    pub credential: Credential,
    /// Where it comes from.
    pub origin: Origin,
}

/// A place that had no credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The place.
    pub origin: Origin,
    /// Why it had none.
    pub miss: Miss,
}

/// Why a place had no credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// There is no such file.
    Absent,
    /// It holds none for this registry.
    NoEntry,
}

impl fmt::Display for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(found) = &self.found {
            return write!(f, "credentials from {}", found.origin);
        }
        f.write_str("no credentials found")?;
        for (index, tried) in self.tried.iter().enumerate() {
            f.write_str(if index == 0 { " in " } else { ", " })?;
            write!(f, "{tried}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.miss {
            Miss::Absent => write!(f, "{} (absent)", self.origin),
            Miss::NoEntry => write!(f, "{}", self.origin),
        }
    }
}
