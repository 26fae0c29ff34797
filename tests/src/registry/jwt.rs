//! JSON web tokens (RFC 7519) signed by ES256 (RFC 7518, section 3.4), as `distribution` accepts them.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::SigningKey as _;
use serde_json::{Value, json};

use crate::tls::{Authority, Identity};

/// Signs tokens with a key made for the test.
#[derive(Clone)]
pub struct Signer {
    issuer: String,
    authority: Authority,
    identity: Identity,
}

impl Signer {
    /// Makes a key; tokens will name this issuer.
    #[must_use]
    pub fn new(issuer: &str) -> Self {
        let authority = Authority::new();
        let identity = authority.server();
        Self { issuer: issuer.to_owned(), authority, identity }
    }

    /// Returns the name of the issuer in the tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Returns the certificate that a registry checks tokens against.
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        self.authority.pem()
    }

    /// Signs a token for `subject`, for use with `service` from now on for `lifetime`.
    #[must_use]
    pub fn sign(&self, subject: &str, service: &str, access: &Value, lifetime: Duration, id: usize) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let header = json!({
            "typ": "JWT", "alg": "ES256",
            "x5c": [STANDARD.encode(self.identity.certificate.der())],
        });
        let claims = json!({
            "iss": self.issuer, "sub": subject, "aud": service, "jti": id.to_string(),
            "iat": now, "nbf": now, "exp": now + lifetime.as_secs(), "access": access,
        });
        let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(header), encode(claims));
        let signature = self.identity.key.sign(signed.as_bytes()).expect("the key can sign");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(fixed_size(&signature)))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// Turns the signature's DER, a sequence of two integers, into their 32 bytes each.
fn fixed_size(der: &[u8]) -> [u8; 64] {
    let mut fixed = [0; 64];
    let mut rest = &der[2..];
    for half in fixed.chunks_exact_mut(32) {
        let (integer, after) = rest[2..].split_at(usize::from(rest[1]));
        let digits = &integer[integer.len().saturating_sub(32)..];
        half[32 - digits.len()..].copy_from_slice(digits);
        rest = after;
    }
    fixed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_padded_and_stripped() {
        let mut der = vec![0x30, 3 + 2 + 33 + 1, 0x02, 1, 7, 0x02, 33, 0];
        der.extend([0xff; 32]);
        let fixed = fixed_size(&der);
        assert_eq!(fixed[..32], [[0; 31].as_slice(), &[7]].concat());
        assert_eq!(fixed[32..], [0xff; 32]);
    }
}
