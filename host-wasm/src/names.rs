//! References, digests and media types.

use oci_fetcher_core::artifact::{WasmKind, file_names};
use oci_fetcher_core::digest::Digest;
use oci_fetcher_core::error::Class;
use oci_fetcher_core::layout::blob_path as path_of;
use oci_fetcher_core::limits::Limits;
use oci_fetcher_core::manifest::MediaType;
use oci_fetcher_core::reference::Reference;
use serde::Serialize;
use serde_json::Value;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::error::Failure;
use crate::{json, limits};

/// Reads a reference; returns JSON of `registry`, `repository`, `tag`, `digest`, `typed` and
/// `normalised`.
#[wasm_bindgen(js_name = parseReference)]
pub fn parse_reference(text: &str) -> Result<String, Failure> {
    #[derive(Serialize)]
    struct Parts<'r> {
        registry: &'r str,
        repository: &'r str,
        #[serde(skip_serializing_if = "Option::is_none")]
        tag: Option<&'r str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        digest: Option<&'r Digest>,
        typed: &'r str,
        normalised: String,
    }

    let reference: Reference = text.parse()?;
    Ok(json::text(&Parts {
        registry: reference.registry(),
        repository: reference.repository(),
        tag: reference.tag(),
        digest: reference.digest(),
        typed: reference.as_typed(),
        normalised: reference.to_string(),
    }))
}

/// Returns the exit code that the command line has for a class of errors; 1 for an unknown class.
#[wasm_bindgen(js_name = classExitCode)]
#[must_use]
pub fn class_exit_code(class: &str) -> u8 {
    let classes = [
        Class::Internal,
        Class::Usage,
        Class::NotFound,
        Class::Authentication,
        Class::Network,
        Class::Integrity,
        Class::Refused,
        Class::Local,
        Class::Unsupported,
        Class::Interrupted,
    ];
    classes.into_iter().find(|known| known.name() == class).unwrap_or(Class::Internal).exit_code()
}

/// Returns a blob's path in a layout or cache, with `/` between its components.
#[wasm_bindgen(js_name = blobPath)]
pub fn blob_path(digest: &str) -> Result<String, Failure> {
    Ok(path_of(&digest.parse::<Digest>()?))
}

/// Tells whether a media type is that of a WebAssembly binary.
#[wasm_bindgen(js_name = isWasmType)]
#[must_use]
pub fn is_wasm_type(media_type: &str) -> bool {
    WasmKind::is_claimed_by(&MediaType::parse(media_type))
}

/// Reads the first eight bytes of a WebAssembly binary: `module` or `component`; throws for anything else.
#[wasm_bindgen(js_name = wasmKind)]
pub fn wasm_kind(beginning: &[u8]) -> Result<String, Failure> {
    Ok(WasmKind::of(beginning)?.name().to_owned())
}

/// Returns safe names for an artifact's files, as a JSON array; `files` is one of `digest` and perhaps
/// `title`.
#[wasm_bindgen(js_name = artifactNames)]
pub fn artifact_names(files: &str) -> Result<String, Failure> {
    let files: Vec<Value> = json::parse("files", files)?;
    let text = |file: &Value, name: &str| file.get(name).and_then(Value::as_str).map(str::to_owned);
    let mut parsed: Vec<(Digest, Option<String>)> = Vec::with_capacity(files.len());
    for file in &files {
        parsed.push((text(file, "digest").unwrap_or_default().parse()?, text(file, "title")));
    }
    let names = file_names(parsed.iter().map(|(digest, title)| (digest, title.as_deref())))?;
    // Titles are text, and so are what they become.
    let names: Vec<_> = names.iter().map(|name| String::from_utf8_lossy(name.as_bytes())).collect();
    Ok(json::text(&names))
}

/// Returns the limits that hold where no others are given, as JSON.
#[wasm_bindgen(js_name = defaultLimits)]
#[must_use]
pub fn default_limits() -> String {
    json::text(&limits::to_json(&Limits::default()))
}
