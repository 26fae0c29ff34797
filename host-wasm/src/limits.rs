//! [`Limits`] as JSON, under their names in camel case.

use oci_fetcher_core::limits::Limits;
use serde_json::{Map, Value};

use crate::error::Failure;
use crate::json;

macro_rules! limits {
    ($($name:literal $field:ident),+ $(,)?) => {
        /// Writes all limits.
        pub(crate) fn to_json(limits: &Limits) -> Map<String, Value> {
            let mut json = Map::new();
            for (name, value) in [$(($name, u64::from(limits.$field))),+] {
                json.insert(name.to_owned(), value.into());
            }
            json
        }

        fn set(limits: &mut Limits, name: &str, value: u64) -> Option<()> {
            match name {
                $($name => limits.$field = value.try_into().ok()?,)+
                _ => return None,
            }
            Some(())
        }
    };
}

limits! {
    "manifestBytes" manifest_bytes,
    "indexEntries" index_entries,
    "indexDepth" index_depth,
    "tokenBytes" token_bytes,
    "configBytes" config_bytes,
    "layers" layers,
    "layerBytes" layer_bytes,
    "outputBytes" output_bytes,
    "ratio" ratio,
    "entries" entries,
    "treeBytes" tree_bytes,
    "pathDepth" path_depth,
    "pathBytes" path_bytes,
    "xattrBytes" xattr_bytes,
    "extensionBytes" extension_bytes,
    "zstdWindow" zstd_window,
    "pages" pages,
    "wallSeconds" wall_seconds,
}

/// Reads limits; those that are not named keep their defaults.
pub(crate) fn from_json(given: Option<&Map<String, Value>>) -> Result<Limits, Failure> {
    let mut limits = Limits::default();
    for (name, value) in given.into_iter().flatten() {
        json::whole(value)
            .and_then(|number| set(&mut limits, name, number))
            .ok_or_else(|| Failure::usage(format!("no limit {name} can be {value}")))?;
    }
    Ok(limits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_come_back_as_they_were_written() {
        let limits = Limits { layers: 3, tree_bytes: 1 << 33, ..Limits::default() };
        assert_eq!(from_json(Some(&to_json(&limits))).expect("well-formed"), limits);
        assert_eq!(from_json(None).expect("well-formed"), Limits::default());
        let partial = serde_json::json!({ "ratio": 5.0 });
        assert_eq!(from_json(partial.as_object()).expect("well-formed"), Limits { ratio: 5, ..Limits::default() });
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        for text in
            [r#"{"rati":1}"#, r#"{"ratio":-1}"#, r#"{"ratio":4294967296}"#, r#"{"ratio":1.5}"#, r#"{"ratio":null}"#]
        {
            let given: Map<String, Value> = serde_json::from_str(text).expect("an object");
            assert_eq!(from_json(Some(&given)).expect_err(text).code(), "usage", "{text}");
        }
    }
}
