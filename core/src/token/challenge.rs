//! `WWW-Authenticate` (RFC 9110 section 11.6.1; the Bearer challenge of RFC 6750 and `token.md`).
//!
//! Registries write challenges loosely, and a challenge is only a question, so reading one never
//! fails: what cannot be understood is [`Challenge::Other`] or skipped. Deviations from RFC 9110: an
//! unquoted value may hold any character but white space, comma and quote (realms are written without
//! quotes), and of a repeated parameter the first counts.

use crate::request::Headers;
use crate::request::field::Field;

/// One way to be let in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Challenge {
    /// A user and a password (RFC 7617).
    Basic {
        /// What is protected, in the registry's words; empty where it says nothing.
        realm: String,
    },
    /// A token from the realm.
    Bearer(BearerChallenge),
    /// A scheme that is not understood, or a Bearer challenge without a realm to ask.
    Other {
        /// The scheme as it was written.
        scheme: String,
    },
}

/// Where a token is to be had, and for what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BearerChallenge {
    /// The address of the token endpoint, unchecked.
    pub realm: String,
    /// The name of the registry, as the token endpoint knows it.
    pub service: Option<String>,
    /// What the token must allow: entries such as `repository:a/b:pull`, separated by spaces.
    pub scope: Option<String>,
}

/// Reads all challenges of a response, in order; at most 32.
///
/// ```
/// use oci_fetcher_core::request::Headers;
/// use oci_fetcher_core::token::{BearerChallenge, Challenge, challenges};
///
/// let value = r#"Basic realm="r", bearer realm="https://auth.example/token",service="s""#;
/// let headers = Headers::from_iter([("www-authenticate", value)]);
/// let bearer = BearerChallenge {
///     realm: "https://auth.example/token".into(),
///     service: Some("s".into()),
///     scope: None,
/// };
/// assert_eq!(challenges(&headers), [Challenge::Basic { realm: "r".into() }, Challenge::Bearer(bearer)]);
/// ```
#[must_use]
pub fn challenges(headers: &Headers) -> Vec<Challenge> {
    headers.all("www-authenticate").flat_map(parse).take(MAX_CHALLENGES).collect()
}

/// A registry offers one or two.
const MAX_CHALLENGES: usize = 32;

fn parse(value: &str) -> Vec<Challenge> {
    let mut field = Field::new(value);
    let mut found: Vec<Draft> = Vec::new();
    loop {
        field.skip_commas();
        if field.is_empty() || found.len() > MAX_CHALLENGES {
            return found.into_iter().map(Draft::finish).collect();
        }
        let name = field.token();
        if name.is_empty() {
            field.skip_element();
        } else if is_parameter(&field) {
            let value = parameter_value(&mut field);
            if let Some(draft) = found.last_mut() {
                draft.set(name, value);
            }
        } else {
            found.push(Draft { scheme: name.to_owned(), ..Draft::default() });
            field.skip_space();
            // What stands alone before the comma is a token68, of no use here; a parameter is read
            // in the next round.
            if !field.peek(|field| !field.token().is_empty() && is_parameter(field)) {
                field.skip_element();
            }
        }
    }
}

/// Tells whether an equals sign with a value follows, rather than the padding of a token68.
fn is_parameter(field: &Field<'_>) -> bool {
    field.peek(|field| {
        field.skip_space();
        field.eat('=') && {
            field.skip_space();
            !field.is_empty() && !field.eat(',') && !field.eat('=')
        }
    })
}

fn parameter_value(field: &mut Field<'_>) -> String {
    field.skip_space();
    field.eat('=');
    field.skip_space();
    let quoted = field.quoted();
    quoted.unwrap_or_else(|| field.until(|character| matches!(character, ',' | '"' | ' ' | '\t')).to_owned())
}

#[derive(Default)]
struct Draft {
    scheme: String,
    realm: Option<String>,
    service: Option<String>,
    scope: Option<String>,
}

impl Draft {
    fn set(&mut self, name: &str, value: String) {
        let known = match name.to_ascii_lowercase().as_str() {
            "realm" => &mut self.realm,
            "service" => &mut self.service,
            "scope" => &mut self.scope,
            _ => return,
        };
        known.get_or_insert(value);
    }

    fn finish(self) -> Challenge {
        let Self { scheme, realm, service, scope } = self;
        match (scheme.to_ascii_lowercase().as_str(), realm) {
            ("basic", realm) => Challenge::Basic { realm: realm.unwrap_or_default() },
            ("bearer", Some(realm)) if !realm.is_empty() => {
                Challenge::Bearer(BearerChallenge { realm, service, scope })
            }
            _ => Challenge::Other { scheme },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn basic(realm: &str) -> Challenge {
        Challenge::Basic { realm: realm.into() }
    }

    fn other(scheme: &str) -> Challenge {
        Challenge::Other { scheme: scheme.into() }
    }

    fn bearer(realm: &str, service: &str, scope: &str) -> Challenge {
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Challenge::Bearer(BearerChallenge { realm: realm.into(), service: given(service), scope: given(scope) })
    }

    fn read(values: &[&str]) -> Vec<Challenge> {
        challenges(&values.iter().map(|value| ("WWW-Authenticate", value)).collect())
    }

    #[test]
    fn reads_what_registries_send() {
        for (value, found) in [
            (
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/alpine:pull""#,
                vec![bearer("https://auth.docker.io/token", "registry.docker.io", "repository:library/alpine:pull")],
            ),
            (r#"BEARER REALM="https://a/t" , Service = "s""#, vec![bearer("https://a/t", "s", "")]),
            (r#"bearer realm="https://a/t""#, vec![bearer("https://a/t", "", "")]),
            (r#"Bearer   realm="r" ,, ,scope="a:b:pull,push c:d:*","#, vec![bearer("r", "", "a:b:pull,push c:d:*")]),
            ("Bearer realm=https://a/t?x=y,service=s", vec![bearer("https://a/t?x=y", "s", "")]),
            (r#"Bearer realm="a \"q\" \\ b""#, vec![bearer(r#"a "q" \ b"#, "", "")]),
            (r#"Bearer realm="first",realm="second""#, vec![bearer("first", "", "")]),
            (r#"Bearer error="invalid_token", realm="r", error_description="x, y=z""#, vec![bearer("r", "", "")]),
            (r#"Basic realm="Registry Realm""#, vec![basic("Registry Realm")]),
            ("Basic", vec![basic("")]),
            (r#"Basic realm="a", Bearer realm="b", service="c""#, vec![basic("a"), bearer("b", "c", "")]),
            (r#"Bearer realm="b",Basic realm="a""#, vec![bearer("b", "", ""), basic("a")]),
            (r#"Negotiate, Basic realm="a""#, vec![other("Negotiate"), basic("a")]),
            (r#"Negotiate YII+/a==, Basic realm="a""#, vec![other("Negotiate"), basic("a")]),
            (r#"Negotiate abc=, Bearer realm="b""#, vec![other("Negotiate"), bearer("b", "", "")]),
            (r#"Negotiate abc= , Bearer realm="b""#, vec![other("Negotiate"), bearer("b", "", "")]),
            (r#"Digest realm="d", nonce="n, Basic realm=\"x\"", qop=auth"#, vec![other("Digest")]),
            // RFC 9110's own example.
            (
                r#"Basic realm="simple", Newauth realm="apps", type=1, title="Login to \"apps\"""#,
                vec![basic("simple"), other("Newauth")],
            ),
            ("Bearer", vec![other("Bearer")]),
            ("Bearer realm=", vec![other("Bearer")]),
            (r#"Bearer realm="""#, vec![other("Bearer")]),
            (r#"Bearer realm="open, service="s""#, vec![bearer("open, service=", "", ""), other("s")]),
            (r#"realm="no scheme""#, vec![]),
            ("\"quoted\", =, Basic", vec![basic("")]),
            (",,,", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(read(&[value]), found, "{value}");
        }
    }

    #[test]
    fn reads_several_fields_in_order() {
        let found = read(&[r#"Basic realm="a""#, r#"service="stray", Bearer realm="b""#]);
        assert_eq!(found, [basic("a"), bearer("b", "", "")]);
        assert_eq!(challenges(&Headers::new()), []);
    }

    #[test]
    fn is_bounded() {
        assert_eq!(read(&[&"Basic,".repeat(10_000), &"Basic,".repeat(10_000)]).len(), MAX_CHALLENGES);
    }

    proptest! {
        #[test]
        fn reads_back_what_is_quoted(realm in "[ -~ä]{1,20}", scope in "[ -~]{1,20}") {
            let quote = |text: &str| text.replace('\\', r"\\").replace('"', "\\\"");
            let value = format!(r#"Other x="1", Bearer scope="{}", realm="{}", y=2"#, quote(&scope), quote(&realm));
            prop_assert_eq!(read(&[&value]), [other("Other"), bearer(&realm, "", &scope)]);
        }

        #[test]
        fn ends_on_any_text(value in "[A-Za-z=,\" \\\\ä]{0,60}") {
            let _ = read(&[&value]);
        }
    }
}
