//! Secrets, and where configuration files keep them.
//!
//! Docker's `config.json` and podman's `auth.json` (containers-auth.json(5)) are read here, as bytes
//! that a host found; credential helpers (docker-credential-helpers' protocol) are questions and
//! answers as data, which a host carries to a process. What a host has to do is in [`Finding`].

mod auth_file;
mod entry;
mod helper;
mod key;

pub use auth_file::{AUTH_FILE_BYTES, AuthFile, AuthFileError, AuthFileKind, Finding};
pub use entry::EntryFault;
pub use helper::{AnswerError, HelperAnswer, HelperName, HelperRequest, HelperRequestError};

use std::fmt;

/// Text that never shows in `Debug`, logs or errors.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// Returns the secret itself, for the one request that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// What a caller can present to one registry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Credential {
    /// Nothing: the registry may grant anonymous tokens.
    #[default]
    Anonymous,
    /// A user and a password or personal token (RFC 7617).
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: Secret,
    },
    /// An OAuth2 refresh token, which the token endpoint exchanges for access tokens.
    IdentityToken(Secret),
    /// A bearer token that the registry accepts as it is.
    RegistryToken(Secret),
}

#[cfg(test)]
mod tests;
