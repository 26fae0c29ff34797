//! The protocol of credential helpers: `docker-credential-NAME get`, the registry's address on
//! standard input, a JSON object on standard output (docker-credential-helpers, `credentials`).
//!
//! Deviation: an answer without user and secret counts as "not found", as docker's own client
//! treats it in effect.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use super::{Credential, Secret};
use crate::error::{Class, Explain};

/// The `NAME` of a program `docker-credential-NAME`: letters, digits, `.`, `_` and `-`, the first
/// neither `-` nor `.`, so that it never leads to another folder.
///
/// ```
/// use oci_fetcher_core::credentials::HelperName;
///
/// let name: HelperName = "ecr-login".parse()?;
/// assert_eq!(name.program(), "docker-credential-ecr-login");
/// assert!("../../x".parse::<HelperName>().is_err());
/// # Ok::<(), oci_fetcher_core::credentials::HelperRequestError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HelperName(Box<str>);

impl HelperName {
    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the program's file name, without an extension.
    #[must_use]
    pub fn program(&self) -> String {
        format!("docker-credential-{self}")
    }
}

impl FromStr for HelperName {
    type Err = HelperRequestError;

    fn from_str(name: &str) -> Result<Self, HelperRequestError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if name.is_empty() || name.starts_with(['-', '.']) || !name.bytes().all(plain) {
            return Err(HelperRequestError::Name);
        }
        Ok(Self(name.into()))
    }
}

impl fmt::Display for HelperName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A question to a credential helper.
///
/// The host runs [`HelperName::program`] with the one argument `get`, writes
/// [`address`](Self::address) to its standard input, as it is and without a line end, closes that,
/// and hands its standard output to [`HelperAnswer::parse`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelperRequest {
    helper: HelperName,
    address: String,
}

impl HelperRequest {
    /// Creates a question about `address`: a registry's host name, or Docker Hub's URL.
    ///
    /// # Errors
    ///
    /// [`HelperRequestError::Address`] where the address is empty or holds control characters or
    /// spaces: a line end would begin another line of the protocol.
    pub fn new(helper: HelperName, address: &str) -> Result<Self, HelperRequestError> {
        if address.is_empty() || address.chars().any(|character| character.is_control() || character.is_whitespace()) {
            return Err(HelperRequestError::Address);
        }
        Ok(Self { helper, address: address.into() })
    }

    /// Returns the helper to ask.
    #[must_use]
    pub const fn helper(&self) -> &HelperName {
        &self.helper
    }

    /// Returns what to write to its standard input.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }
}

/// A question that may not be put to a helper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HelperRequestError {
    /// The name is not one.
    #[error("malformed name of a credential helper")]
    Name,
    /// The address is empty or holds control characters or spaces.
    #[error("the registry's address is empty or holds control characters or spaces")]
    Address,
}

impl Explain for HelperRequestError {
    fn class(&self) -> Class {
        Class::Authentication
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Name => "malformed-helper-name",
            Self::Address => "malformed-helper-address",
        }
    }
}

/// What a credential helper has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HelperAnswer {
    /// It has no credential for the address, which is no fault.
    NotFound,
    /// This credential; a user `<token>` makes the secret an identity token.
    Credential(Credential),
}

impl HelperAnswer {
    /// Parses what a helper wrote to its standard output.
    ///
    /// ```
    /// use oci_fetcher_core::credentials::{Credential, HelperAnswer, Secret};
    ///
    /// let output = br#"{"ServerURL":"registry.example","Username":"<token>","Secret":"opaque"}"#;
    /// let expected = Credential::IdentityToken(Secret::new("opaque"));
    /// assert_eq!(HelperAnswer::parse(output), Ok(HelperAnswer::Credential(expected)));
    /// ```
    ///
    /// # Errors
    ///
    /// Where the output is neither an answer nor one of the known messages for "not found". The
    /// error shows nothing of it.
    pub fn parse(output: &[u8]) -> Result<Self, AnswerError> {
        if Self::says_not_found(output) {
            return Ok(Self::NotFound);
        }
        let output = output.trim_ascii();
        if output.first() != Some(&b'{') {
            return Err(AnswerError);
        }
        let raw: RawAnswer = serde_json::from_slice(output).map_err(|_shows_content| AnswerError)?;
        let (username, secret) = (raw.username.unwrap_or_default(), raw.secret.unwrap_or_default());
        if secret.is_empty() && (username.is_empty() || username == TOKEN_USER) {
            return Ok(Self::NotFound);
        }
        let secret = Secret::new(secret);
        Ok(Self::Credential(if username == TOKEN_USER {
            Credential::IdentityToken(secret)
        } else {
            Credential::Basic { username, password: secret }
        }))
    }

    /// Tells whether a helper's output says that it has nothing, on whichever stream and with
    /// whatever exit status: helpers differ in both.
    #[must_use]
    pub fn says_not_found(output: &[u8]) -> bool {
        let output = output.trim_ascii();
        NOT_FOUND.iter().any(|message| output.eq_ignore_ascii_case(message.as_bytes()))
    }
}

/// The messages of docker-credential-helpers' own library, which is in every common helper. The
/// latter two are what a store says of an entry that was saved without address or user.
const NOT_FOUND: [&str; 3] =
    ["credentials not found in native keychain", "no credentials server url", "no credentials username"];
const TOKEN_USER: &str = "<token>";

#[derive(Deserialize)]
struct RawAnswer {
    #[serde(rename = "Username", alias = "username")]
    username: Option<String>,
    #[serde(rename = "Secret", alias = "secret")]
    secret: Option<String>,
}

/// Output of a credential helper that is not an answer; its content is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the output is not a credential helper's answer")]
pub struct AnswerError;

impl Explain for AnswerError {
    fn class(&self) -> Class {
        Class::Authentication
    }

    fn code(&self) -> &'static str {
        "malformed-helper-answer"
    }
}
