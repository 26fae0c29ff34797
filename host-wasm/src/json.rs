//! Small things cross as JSON text.

use oci_fetcher_core::limits::Limits;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::Failure;
use crate::{limits, number};

/// Reads what JavaScript wrote; `what` names it in the error.
pub(crate) fn parse<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, Failure> {
    // As bytes, as the core reads: a reader of text would be all its code once more.
    serde_json::from_slice(text.as_bytes()).map_err(|error| Failure::json(what, &error))
}

/// Writes what JavaScript reads.
pub(crate) fn text(value: &impl Serialize) -> String {
    let bytes = serde_json::to_vec(value).expect("structs and maps with text keys always serialize");
    String::from_utf8(bytes).expect("JSON is written as UTF-8")
}

/// An object that JavaScript wrote. Properties that nobody asks for are ignored.
///
/// One type for all of them, where a derived reader for each is some kilobytes of the module.
#[derive(Debug)]
pub(crate) struct Object {
    what: &'static str,
    members: Map<String, Value>,
}

impl Object {
    /// Reads an object.
    pub(crate) fn parse(what: &'static str, text: &str) -> Result<Self, Failure> {
        let Value::Object(members) = parse(what, text)? else {
            return Err(Failure::usage(format!("malformed {what}: it is no object")));
        };
        Ok(Self { what, members })
    }

    /// Returns a property; `null` is as good as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    /// Returns a text.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, Failure> {
        self.get(name).map(|value| value.as_str().ok_or_else(|| self.wrong(name, "a text"))).transpose()
    }

    /// Returns a text that has to be there.
    pub(crate) fn required(&self, name: &str) -> Result<&str, Failure> {
        self.text(name)?.ok_or_else(|| self.missing(name))
    }

    /// Returns a whole number that is not negative.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Failure> {
        let whole = |value: &Value| whole(value).ok_or_else(|| self.wrong(name, "a whole number"));
        self.get(name).map(whole).transpose()
    }

    /// Returns a truth value, `false` where it is absent.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Failure> {
        self.get(name).map_or(Ok(false), |value| value.as_bool().ok_or_else(|| self.wrong(name, "true or false")))
    }

    /// Returns an object.
    pub(crate) fn object(&self, name: &'static str) -> Result<Option<Self>, Failure> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let members = value.as_object().ok_or_else(|| self.wrong(name, "an object"))?;
        Ok(Some(Self { what: name, members: members.clone() }))
    }

    /// Returns a list, empty where it is absent.
    pub(crate) fn list(&self, name: &str) -> Result<&[Value], Failure> {
        match self.get(name) {
            None => Ok(&[]),
            Some(Value::Array(values)) => Ok(values),
            Some(_) => Err(self.wrong(name, "a list")),
        }
    }

    /// Returns the property `limits`; what it does not name keeps its default.
    pub(crate) fn limits(&self) -> Result<Limits, Failure> {
        limits::from_json(self.object("limits")?.as_ref().map(|object| &object.members))
    }

    /// Says that a property has to be there.
    pub(crate) fn missing(&self, name: &str) -> Failure {
        Failure::usage(format!("malformed {}: {name} is missing", self.what))
    }

    fn wrong(&self, name: &str, expected: &str) -> Failure {
        Failure::usage(format!("malformed {}: {name} is not {expected}", self.what))
    }
}

/// Returns a whole number that is not negative, as JavaScript writes it.
pub(crate) fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_f64().and_then(|value| number::size(value).ok()))
}

/// Returns a list of texts.
pub(crate) fn texts(values: &[Value]) -> Result<Vec<&str>, Failure> {
    if let Some(other) = values.iter().find(|value| !value.is_string()) {
        return Err(Failure::usage(format!("{other} is not a text")));
    }
    Ok(values.iter().filter_map(Value::as_str).collect())
}
