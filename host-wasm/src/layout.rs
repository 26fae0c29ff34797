//! OCI image layouts, as functions over the bytes of their files.

use oci_fetcher_core::layout::{self as core, MARKER, Names, check_marker, find, merge, parse_index};
use oci_fetcher_core::limits::Limits;
use oci_fetcher_core::manifest::Descriptor;
use serde::Serialize;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::error::Failure;
use crate::json::{self, Object};

/// Checks what a layout's `oci-layout` holds; throws where it is no layout of a known version.
#[wasm_bindgen(js_name = checkLayoutMarker)]
pub fn check_layout_marker(bytes: &[u8]) -> Result<(), Failure> {
    Ok(check_marker(bytes)?)
}

/// Returns what a new layout's `oci-layout` holds.
#[wasm_bindgen(js_name = layoutMarker)]
#[must_use]
pub fn layout_marker() -> Vec<u8> {
    MARKER.to_vec()
}

/// Finds an image in a layout's `index.json` by name, or the only one; returns its descriptor as JSON.
#[wasm_bindgen(js_name = layoutFind)]
pub fn layout_find(index: &[u8], name: Option<String>) -> Result<String, Failure> {
    let index = parse_index(index, &Limits::default())?;
    Ok(json::text(find(&index, name.as_deref())?))
}

/// Adds an image to a layout's `index.json`, or writes a first one. `names` is JSON of `refName` and
/// `containerd`, both optional. Returns JSON of `index`, the file's text, and perhaps a `warning`.
#[wasm_bindgen(js_name = layoutMerge)]
pub fn layout_merge(index: Option<Vec<u8>>, descriptor: &str, names: &str) -> Result<String, Failure> {
    #[derive(Serialize)]
    struct Merged {
        index: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        warning: Option<String>,
    }

    let descriptor: Descriptor = json::parse("descriptor", descriptor)?;
    let names = Object::parse("names", names)?;
    let names = Names { reference: names.text("refName")?, image: names.text("containerd")? };
    let merged = merge(index.as_deref(), &descriptor, &names, &Limits::default())?;
    Ok(json::text(&Merged {
        index: text(merged.bytes),
        warning: merged.left_out.map(|error| format!("the image is in the layout without a name: {error}")),
    }))
}

/// Writes the manifest of an image that came without one, from its config and its layers' descriptors,
/// a JSON array. Returns JSON of `manifest`, its text, and of `mediaType`, `digest` and `size`.
#[wasm_bindgen]
pub fn synthesise(config: &[u8], layers: &str) -> Result<String, Failure> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Synthesised<'s> {
        manifest: String,
        media_type: &'s str,
        digest: &'s str,
        size: u64,
    }

    let layers: Vec<Descriptor> = json::parse("descriptors", layers)?;
    let core::Synthesised { bytes, descriptor } = core::synthesise(config, &layers);
    Ok(json::text(&Synthesised {
        manifest: text(bytes),
        media_type: descriptor.media_type.as_str(),
        digest: descriptor.digest.as_str(),
        size: descriptor.size,
    }))
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("JSON is written as UTF-8")
}
