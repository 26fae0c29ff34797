//! Credential files: docker's `config.json` and podman's `auth.json` (containers-auth.json(5)).
//!
//! Within one file `credHelpers` goes before `credsStore`, and that before `auths`. Deviations, each
//! because real files depend on it or a reader would be left without an explanation:
//!
//! - A helper that has nothing lets the search go on in the same file; docker would stop there.
//! - A malformed entry fails only the look-up that it matches; docker refuses the whole file.
//! - In docker's file a key that names exactly the repository is taken first, as podman and others
//!   write such keys there, and among several keys of one host name the best is taken, where docker
//!   takes any.
//! - An empty file, and a byte order mark, are accepted.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use super::Credential;
use super::entry::{self, EntryFault};
use super::helper::{HelperName, HelperRequest, HelperRequestError};
use super::key::Wanted;
use crate::error::{Class, Explain};

/// The format of a credential file, which decides how its keys match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AuthFileKind {
    /// Docker's `config.json`: the exact key first, then the host name without scheme and path.
    Docker,
    /// Podman's `auth.json`: the longest prefix `host/namespace/repository` first, then the host name.
    Containers,
}

/// A parsed credential file.
///
/// ```
/// use oci_fetcher_core::credentials::{AuthFile, AuthFileKind, Credential, Finding, Secret};
///
/// let bytes = br#"{ "auths": { "registry.example": { "auth": "YWxpY2U6czpjcmV0" } } }"#;
/// let file = AuthFile::parse(AuthFileKind::Docker, bytes)?;
/// assert_eq!(
///     file.find("registry.example", "team/app"),
///     Finding::Credential(Credential::Basic { username: "alice".into(), password: Secret::new("s:cret") }),
/// );
/// assert_eq!(file.find("registry.example.org", "team/app"), Finding::Nothing);
/// # Ok::<(), oci_fetcher_core::credentials::AuthFileError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct AuthFile {
    kind: AuthFileKind,
    entries: Vec<(String, Result<Credential, EntryFault>)>,
    helpers: Vec<(String, String)>,
    store: Option<String>,
}

impl AuthFile {
    /// Parses the content of a credential file, at most [`AUTH_FILE_BYTES`].
    ///
    /// Unknown keys are ignored, `null` equals absent, entries that hold nothing are skipped.
    ///
    /// # Errors
    ///
    /// Where the content is too large, or is not a JSON object of the expected shape. An entry that
    /// is malformed in itself is reported by [`find`](Self::find), to whoever needs it.
    pub fn parse(kind: AuthFileKind, bytes: &[u8]) -> Result<Self, AuthFileError> {
        if bytes.len() > AUTH_FILE_BYTES {
            return Err(AuthFileError::TooLarge { limit: AUTH_FILE_BYTES });
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii();
        // The derived types would take a JSON array as well, field by field.
        let raw = match bytes.first() {
            None => RawFile::default(),
            Some(b'[') => return Err(AuthFileError::Json { line: 1, column: 1 }),
            Some(_) => serde_json::from_slice::<Option<RawFile>>(bytes)
                .map_err(|error| AuthFileError::Json { line: error.line(), column: error.column() })?
                .unwrap_or_default(),
        };
        let entries = raw.auths.unwrap_or_default();
        let helpers = raw.cred_helpers.unwrap_or_default();
        Ok(Self {
            kind,
            entries: entries
                .into_iter()
                .filter_map(|(key, value)| Some((key, entry::credential(value).transpose()?)))
                .collect(),
            helpers: helpers.into_iter().filter_map(|(key, name)| Some((key, name?))).collect(),
            store: raw.creds_store.filter(|name| !name.is_empty()),
        })
    }

    /// Says what this file holds for a repository of a registry.
    ///
    /// `registry` is a host name with its port, if any; `docker.io`, `index.docker.io` and
    /// `registry-1.docker.io` are one. `repository` is the full name there (`library/alpine`).
    pub fn find(&self, registry: &str, repository: &str) -> Finding {
        let wanted = Wanted::new(self.kind, registry, repository);
        let named = wanted.best_of(&self.helpers).map(String::as_str);
        // An empty name takes the registry out of the store's hands.
        let store = if named == Some("") { None } else { self.store.as_deref() };
        let helper = named.filter(|name| !name.is_empty());
        let in_entries = || match wanted.best_of(&self.entries) {
            None => Finding::Nothing,
            Some(Ok(credential)) => Finding::Credential(credential.clone()),
            Some(Err(fault)) => Finding::Malformed(AuthFileError::Entry(*fault)),
        };
        let mut finding = in_entries();
        for name in [store.filter(|store| Some(*store) != helper), helper].into_iter().flatten() {
            finding = ask(name, wanted.address(), finding);
        }
        finding
    }
}

fn ask(name: &str, address: &str, otherwise: Finding) -> Finding {
    let Ok(name) = name.parse::<HelperName>() else {
        return Finding::Malformed(AuthFileError::HelperName);
    };
    match HelperRequest::new(name, address) {
        Ok(request) => Finding::Ask { request, otherwise: Box::new(otherwise) },
        Err(error) => Finding::Malformed(AuthFileError::Address(error)),
    }
}

impl fmt::Debug for AuthFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthFile")
            .field("kind", &self.kind)
            .field("entries", &self.entries.len())
            .finish_non_exhaustive()
    }
}

/// What a credential file holds for one repository.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Finding {
    /// Nothing: the search goes on in the next file.
    Nothing,
    /// This credential.
    Credential(Credential),
    /// A helper has to be asked.
    Ask {
        /// The question.
        request: HelperRequest,
        /// What the file holds besides, which counts where the helper has nothing. A helper that
        /// *fails* ends the search.
        otherwise: Box<Self>,
    },
    /// Something is meant for this repository, but cannot be used. It ends the search: to go on with
    /// another credential would send that where its owner did not mean it to go.
    Malformed(AuthFileError),
}

/// Most bytes of a credential file: what Kubernetes lets a secret hold, far above any file in use.
pub const AUTH_FILE_BYTES: usize = 1 << 20;

#[derive(Default, Deserialize)]
struct RawFile {
    auths: Option<BTreeMap<String, Value>>,
    #[serde(rename = "credHelpers")]
    cred_helpers: Option<BTreeMap<String, Option<String>>>,
    #[serde(rename = "credsStore")]
    creds_store: Option<String>,
}

/// A credential file that cannot be used. No variant shows content, since that may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthFileError {
    /// The content exceeds [`AUTH_FILE_BYTES`].
    #[error("a credential file holds at most {limit} bytes, and this one holds more")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The content is not JSON, or not of the expected shape.
    #[error("malformed credential file at line {line}, column {column}")]
    Json {
        /// The line, from 1.
        line: usize,
        /// The column in bytes, from 1; 0 where a line's end is at fault.
        column: usize,
    },
    /// The entry that matches is malformed.
    #[error("malformed entry for this registry")]
    Entry(#[source] EntryFault),
    /// The helper's name could not be a program's suffix.
    #[error("malformed name of a credential helper for this registry")]
    HelperName,
    /// The registry's address cannot be handed to a helper.
    #[error("no credential helper can be asked about this registry")]
    Address(#[source] HelperRequestError),
}

impl Explain for AuthFileError {
    fn class(&self) -> Class {
        Class::Authentication
    }

    fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "auth-file-too-large",
            Self::Json { .. } => "malformed-auth-file",
            Self::Entry(_) => "malformed-auth-entry",
            Self::HelperName => "malformed-helper-name",
            Self::Address(error) => error.code(),
        }
    }

    fn advice(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::TooLarge { .. } => Some("check that this is a credential file".into()),
            Self::Json { .. } => Some("correct the JSON, or log in again to write it anew".into()),
            Self::Entry(_) => Some("log in to the registry again, which writes the entry anew".into()),
            Self::HelperName => Some(
                "write NAME of the program docker-credential-NAME in \"credHelpers\" or \"credsStore\", of letters, \
                 digits, '.', '_' and '-'"
                    .into(),
            ),
            Self::Address(error) => error.advice(),
        }
    }
}
