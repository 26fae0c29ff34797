//! One entry of a credential file's `auths`.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde_json::Value;

use super::{Credential, Secret};
use crate::error::{Class, Explain};

/// Reads an entry: `registrytoken`, then `identitytoken`, then `auth`, then `username` and
/// `password`, as docker ranks them. An entry without any holds nothing.
pub(super) fn credential(entry: Value) -> Result<Option<Credential>, EntryFault> {
    if entry.is_null() {
        return Ok(None);
    }
    if !entry.is_object() {
        return Err(EntryFault::Shape);
    }
    let entry: RawEntry = serde_json::from_value(entry).map_err(|_shows_content| EntryFault::Shape)?;
    if let Some(token) = filled(entry.registry_token) {
        // It becomes a header's value as it is.
        return if token.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Some(Credential::RegistryToken(Secret::new(token))))
        } else {
            Err(EntryFault::RegistryToken)
        };
    }
    if let Some(token) = filled(entry.identity_token) {
        return Ok(Some(Credential::IdentityToken(Secret::new(token))));
    }
    let (username, password) = match filled(entry.auth) {
        Some(auth) => decode(&auth)?,
        None => (entry.username.unwrap_or_default(), entry.password.unwrap_or_default()),
    };
    let (username, password) = (trim_nuls(&username), trim_nuls(&password));
    if username.is_empty() && password.is_empty() {
        return Ok(None);
    }
    Ok(Some(Credential::Basic { username: username.into(), password: Secret::new(password) }))
}

/// Splits `base64(user:password)`; only the first colon separates.
fn decode(auth: &str) -> Result<(String, String), EntryFault> {
    // `base64` at a shell wraps its lines, and docker's decoder skips the breaks.
    let compact: String = auth.chars().filter(|character| !character.is_ascii_whitespace()).collect();
    let decoded = BASE64.decode(compact).map_err(|_shows_content| EntryFault::Base64)?;
    let text = String::from_utf8(decoded).map_err(|_shows_content| EntryFault::Utf8)?;
    let (username, password) = text.split_once(':').ok_or(EntryFault::Colon)?;
    Ok((username.into(), password.into()))
}

fn filled(field: Option<String>) -> Option<String> {
    field.map(|text| trim_nuls(&text).to_owned()).filter(|text| !text.is_empty())
}

/// Early versions of docker padded what they encoded.
fn trim_nuls(text: &str) -> &str {
    text.trim_matches('\0')
}

/// Padding is optional, since people write these entries by hand.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The aliases are what hand-written files hold: docker reads names in any case.
#[derive(Deserialize)]
struct RawEntry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    #[serde(rename = "identitytoken", alias = "identityToken")]
    identity_token: Option<String>,
    #[serde(rename = "registrytoken", alias = "registryToken")]
    registry_token: Option<String>,
}

/// What is wrong with an entry, without its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryFault {
    /// The entry is not an object, or a field of it is not a string.
    #[error("it is not an object of strings")]
    Shape,
    /// `auth` is not base64.
    #[error("\"auth\" is not base64")]
    Base64,
    /// `auth` does not decode to UTF-8.
    #[error("\"auth\" is not the base64 of UTF-8 text")]
    Utf8,
    /// `auth` does not decode to a user and a password.
    #[error("\"auth\" is not the base64 of user:password")]
    Colon,
    /// `registrytoken` could not stand in a header.
    #[error("\"registrytoken\" has characters that no token has")]
    RegistryToken,
}

impl Explain for EntryFault {
    fn class(&self) -> Class {
        Class::Authentication
    }

    fn code(&self) -> &'static str {
        "malformed-auth-entry"
    }
}
