//! From a refused request to a token.
//!
//! ```text
//! 401 -> challenges -> acquire -> token request -> Grant -> TokenStore -> Authorization
//! ```
//!
//! Implements the token authentication of the distribution project (its `token.md` and `oauth.md`) on
//! top of RFC 9110 section 11, RFC 6750 and RFC 7617. Deviations:
//!
//! - A realm decides neither that credentials may go to it nor that it may be asked at all; [`acquire`]
//!   does.
//! - `issued_at` is ignored: age counts from receipt, on the host's clock.
//! - Where a realm does not serve POST, an identity token goes as the password of the user `<token>`,
//!   as Docker's credential helpers name it.

mod authorization;
pub mod challenge;
pub mod grant;
pub mod store;

use std::borrow::Cow;

pub use authorization::{Authorization, Token};
pub use challenge::{BearerChallenge, Challenge, challenges};
pub use grant::{Acquisition, Challenger, Grant, TokenRequest, Withheld, acquire};
pub use store::{TokenKey, TokenStore};

use crate::error::{Class, Explain};
use crate::url::{Origin, UrlError};

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The realm is no URL.
    #[error("{registry} names a malformed realm for its tokens")]
    Realm {
        /// The registry.
        registry: Origin,
        /// What is wrong with the realm.
        #[source]
        source: UrlError,
    },
    /// A registry behind TLS names a realm without.
    #[error("{registry} names a realm without TLS for its tokens, {realm}")]
    Downgrade {
        /// The registry.
        registry: Origin,
        /// The realm's origin.
        realm: Origin,
    },
    /// A registry names a realm in its client's own networks.
    #[error("{registry} names a realm inside its client's own network for its tokens, {realm}")]
    Reach {
        /// The registry.
        registry: Origin,
        /// The realm's origin.
        realm: Origin,
    },
    /// The answer of the realm is not the JSON that it should be. The answer may hold a secret, so
    /// nothing of it is shown.
    #[error("the answer to the token request is malformed at line {line}, column {column}")]
    Malformed {
        /// The line, from 1.
        line: usize,
        /// The column, from 1; 0 at the start of a line.
        column: usize,
    },
    /// The answer holds no token.
    #[error("the answer to the token request holds no token")]
    NoToken,
    /// A token that cannot stand in a header field.
    #[error("the token holds characters that no header field may hold")]
    UnsafeToken,
    /// A user that RFC 7617 cannot express.
    #[error("the user name holds a colon or a control character")]
    UserName,
    /// A password that RFC 7617 cannot express.
    #[error("the password holds a control character")]
    Password,
}

impl Explain for TokenError {
    fn class(&self) -> Class {
        match self {
            Self::Realm { source, .. } => source.class(),
            Self::Downgrade { .. } | Self::Reach { .. } => Class::Refused,
            Self::Malformed { .. } | Self::NoToken => Class::Network,
            Self::UnsafeToken => Class::Authentication,
            Self::UserName | Self::Password => Class::Usage,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Realm { .. } => "malformed-realm",
            Self::Downgrade { .. } => "realm-downgrade",
            Self::Reach { .. } => "realm-reach",
            Self::Malformed { .. } => "malformed-token-answer",
            Self::NoToken => "no-token",
            Self::UnsafeToken => "unsafe-token",
            Self::UserName => "unsafe-user-name",
            Self::Password => "unsafe-password",
        }
    }

    fn advice(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::UserName => Some("give the user name without the password".into()),
            Self::Password => Some("check that the password was given without a line break at its end".into()),
            Self::UnsafeToken => Some("check that the token was given without a line break at its end".into()),
            Self::Reach { .. } => Some("if the registry is meant to lead there, pass --insecure-any-address".into()),
            Self::Realm { .. } | Self::Downgrade { .. } | Self::Malformed { .. } | Self::NoToken => None,
        }
    }
}
