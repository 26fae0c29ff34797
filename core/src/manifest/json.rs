//! JSON as manifests need it: strict about what is ambiguous, lenient about what is absent.
//!
//! Deviation from RFC 8259, which leaves the meaning of repeated keys open: they are an error at
//! every depth, since two readers may take different ones for the content of one digest.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// JSON that cannot be read, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at line {line} column {column}")]
pub struct JsonError {
    reason: String,
    line: usize,
    column: usize,
}

impl JsonError {
    fn new(error: &serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        let message = error.to_string();
        let reason = message.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&message);
        Self { reason: super::listing::excerpt(reason).to_string(), line, column }
    }
}

/// Reads one document and nothing after it. Repeated keys, text that is not UTF-8 and nesting
/// deeper than [`MAX_DEPTH`] are errors wherever they stand, also in properties that `T` ignores.
pub(crate) fn parse<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, JsonError> {
    let read = || {
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        UniqueKeys { depth: 0 }.deserialize(&mut deserializer)?;
        serde_json::from_slice(bytes)
    };
    read().map_err(|error| JsonError::new(&error))
}

/// Known documents nest less than ten deep; recursion must end long before the stack does.
const MAX_DEPTH: u32 = 64;

/// Walks a value and keeps of it only the keys of the objects that are open.
#[derive(Clone, Copy)]
struct UniqueKeys {
    depth: u32,
}

impl UniqueKeys {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.depth {
            MAX_DEPTH => Err(E::custom(format_args!("nested deeper than {MAX_DEPTH} levels"))),
            depth => Ok(Self { depth: depth + 1 }),
        }
    }
}

impl<'de> DeserializeSeed<'de> for UniqueKeys {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for UniqueKeys {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        let deeper = self.deeper()?;
        while values.next_element_seed(deeper)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let deeper = self.deeper()?;
        let mut keys = BTreeSet::new();
        while let Some(key) = members.next_key::<String>()? {
            if keys.contains(&key) {
                return Err(A::Error::custom(format_args!("repeated key \"{}\"", super::listing::excerpt(&key))));
            }
            keys.insert(key);
            members.next_value_seed(deeper)?;
        }
        Ok(())
    }
}

/// A value that is an object. A derived reader alone would take an array as well, by position,
/// and so see a manifest where others see none.
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members)).map(Object)
            }
        }

        deserializer.deserialize_map(Members(PhantomData))
    }
}

/// Reads `null` as the default.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Reads `null` as an empty list, and leaves out elements that are `null`.
pub(crate) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let list: Option<Vec<Option<T>>> = Option::deserialize(deserializer)?;
    Ok(list.unwrap_or_default().into_iter().flatten().collect())
}

/// Reads a map of texts, as annotations and labels are; `null` is an empty one, and values that are
/// not texts have no meaning and are left out.
pub(crate) fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let members: serde_json::Map<String, serde_json::Value> = or_default(deserializer)?;
    let mut texts = BTreeMap::new();
    // One by one: to collect them would sort them first, by code for each pair of types.
    for (key, value) in members {
        if let serde_json::Value::String(text) = value {
            texts.insert(key, text);
        }
    }
    Ok(texts)
}

/// Tells a property that is `null` from one that is absent, which `default` makes `None`.
pub(crate) fn present<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &[u8]) -> Result<serde::de::IgnoredAny, JsonError> {
        parse(text)
    }

    #[test]
    fn refuses_repeated_keys_at_every_depth_and_spelling() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"b":2,"\u0061":3}"#,
            r#"[[{"x":[{"a":null,"a":null}]}]]"#,
            r#"{"ignored":{"deep":{"a":{},"b":[],"a":{}}}}"#,
            r#"{"":0,"":0}"#,
        ] {
            let error = check(text.as_bytes()).expect_err(text).to_string();
            assert!(error.starts_with("repeated key"), "{text}: {error}");
        }
        check(br#"[{"a":1,"A":2},{"a":{"a":{"a":3}}}]"#).expect("each object has its own keys");
    }

    #[test]
    fn refuses_what_is_not_one_json_text() {
        let cases: [&[u8]; 9] =
            [b"", b"{", b"{} {}", b"{}x", b"\xef\xbb\xbf{}", b"[\"\xff\"]", b"[1,]", b"{'a':1}", b"[\"\\ud800\"]"];
        for bytes in cases {
            assert!(check(bytes).is_err(), "{:?} was accepted", bytes.escape_ascii().to_string());
        }
    }

    #[test]
    fn bounds_the_depth() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        check(nested(64).as_bytes()).expect("at the limit");
        for depth in [65, 128, 1_000_000] {
            let error = check(nested(depth).as_bytes()).expect_err("too deep").to_string();
            assert!(error.starts_with("nested deeper than 64"), "{error}");
        }
        check("[".repeat(4 << 20).as_bytes()).expect_err("never closed");
        check(br#"{"a":"#.repeat(1 << 20).as_slice()).expect_err("never closed");
    }

    #[test]
    fn many_keys_take_no_quadratic_time() {
        let members: Vec<String> = (0..300_000).map(|key| format!("\"{key}\":0")).collect();
        check(format!("{{{}}}", members.join(",")).as_bytes()).expect("all keys differ");
    }

    #[test]
    fn messages_are_bounded_and_escaped() {
        let text = format!("\"\u{1b}\u{202e}{}\"", "x".repeat(100_000)).replace('\u{1b}', "\\u001b");
        let error = parse::<u64>(text.as_bytes()).expect_err("not a number").to_string();
        assert!(error.len() < 500, "{error}");
        assert!(!error.contains(['\u{1b}', '\u{202e}']), "{error}");
        assert!(error.ends_with(&format!("at line 1 column {}", text.len())), "{error}");
    }
}
