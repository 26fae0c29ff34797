//! Small things cross as JSON text.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Failure;

/// Reads what JavaScript wrote; `what` names it in the error.
pub(crate) fn parse<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|error| Failure::json(what, &error))
}

/// Writes what JavaScript reads.
pub(crate) fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("structs and maps with text keys always serialize")
}
