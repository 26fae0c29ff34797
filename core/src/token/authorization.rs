//! What the `Authorization` field holds (RFC 7617, RFC 6750).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::TokenError;
use crate::credentials::Secret;
use crate::request::Headers;

/// An opaque bearer token that can stand in a header field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(Secret);

impl Token {
    /// Checks a token.
    ///
    /// RFC 6750 asks for an alphabet of its own; any visible ASCII is taken, for tokens are the
    /// registry's business.
    ///
    /// # Errors
    /// [`TokenError::NoToken`] if it is empty, [`TokenError::UnsafeToken`] if it holds white space, a
    /// control character or one outside ASCII.
    pub fn new(secret: Secret) -> Result<Self, TokenError> {
        match secret.expose() {
            "" => Err(TokenError::NoToken),
            token if token.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(Self(secret)),
            _ => Err(TokenError::UnsafeToken),
        }
    }
}

/// The value of an `Authorization` field; it never shows.
///
/// ```
/// use oci_fetcher_core::credentials::Secret;
/// use oci_fetcher_core::request::Headers;
/// use oci_fetcher_core::token::Authorization;
///
/// let mut headers = Headers::new();
/// Authorization::basic("Aladdin", &Secret::new("open sesame"))?.apply(&mut headers);
/// assert_eq!(headers.get("authorization"), Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
/// # Ok::<(), oci_fetcher_core::token::TokenError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization(Secret);

impl Authorization {
    /// Presents a user and a password, in UTF-8.
    ///
    /// # Errors
    /// [`TokenError::UserName`] for a user with a colon, which would become part of the password, and
    /// for control characters; [`TokenError::Password`] for control characters.
    pub fn basic(username: &str, password: &Secret) -> Result<Self, TokenError> {
        if username.contains(|character: char| character == ':' || character.is_control()) {
            return Err(TokenError::UserName);
        }
        if password.expose().contains(char::is_control) {
            return Err(TokenError::Password);
        }
        let pair = STANDARD.encode(format!("{username}:{}", password.expose()));
        Ok(Self(Secret::new(format!("Basic {pair}"))))
    }

    /// Presents a token.
    #[must_use]
    pub fn bearer(token: &Token) -> Self {
        Self(Secret::new(format!("Bearer {}", token.0.expose())))
    }

    /// Sets the field in place of any other.
    pub fn apply(&self, headers: &mut Headers) {
        headers.insert("authorization", self.0.expose());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(authorization: &Authorization) -> String {
        let mut headers = Headers::from_iter([("Authorization", "old")]);
        authorization.apply(&mut headers);
        assert_eq!(headers.all("authorization").count(), 1);
        headers.get("authorization").expect("applied").to_owned()
    }

    #[test]
    fn builds_only_values_of_one_line() {
        let basic = |username, password| Authorization::basic(username, &Secret::new(password));
        // RFC 7617's own examples, and a password with a colon.
        assert_eq!(basic("test", "123£").map(|value| applied(&value)), Ok("Basic dGVzdDoxMjPCow==".into()));
        assert_eq!(basic("a", "b:c").map(|value| applied(&value)), Ok("Basic YTpiOmM=".into()));
        assert_eq!(basic("", "").map(|value| applied(&value)), Ok("Basic Og==".into()));
        assert_eq!(basic("a:b", "c"), Err(TokenError::UserName));
        assert_eq!(basic("a\r\n", "c"), Err(TokenError::UserName));
        assert_eq!(basic("a", "c\n"), Err(TokenError::Password));
        assert_eq!(basic("a", "c\0"), Err(TokenError::Password));

        let token = |text: &str| Token::new(Secret::new(text));
        assert_eq!(
            token("a.b-c_d~e+f/g==").map(|token| applied(&Authorization::bearer(&token))),
            Ok("Bearer a.b-c_d~e+f/g==".into())
        );
        assert_eq!(token(""), Err(TokenError::NoToken));
        for unsafe_token in ["a b", "a\r\nHost: b", "a\n", "ä", "a\u{7f}"] {
            assert_eq!(token(unsafe_token), Err(TokenError::UnsafeToken), "{unsafe_token:?}");
        }
    }

    #[test]
    fn shows_nothing() {
        let token = Token::new(Secret::new("hidden-value")).expect("safe");
        let shown = format!("{token:?} {:?}", Authorization::bearer(&token));
        assert!(!shown.contains("hidden-value"), "{shown}");
    }
}
