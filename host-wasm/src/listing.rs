//! The canonical listing, by which the same image on different hosts is compared.

use oci_fetcher_core::digest::Digest;
use oci_fetcher_core::listing::{Attribute, Listing as CoreListing};
use serde_json::Value;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::error::Failure;
use crate::json::{self, texts};
use crate::record::Record;

/// Makes the lines of a listing and their digest.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Listing(Option<CoreListing>);

#[wasm_bindgen]
impl Listing {
    /// Starts a listing; `without` is a JSON array of the attributes to leave out.
    #[wasm_bindgen(constructor)]
    pub fn new(without: &str) -> Result<Self, Failure> {
        let names: Vec<Value> = json::parse("attributes", without)?;
        let mut attributes: Vec<Attribute> = Vec::new();
        for name in texts(&names)? {
            attributes.push(name.parse()?);
        }
        Ok(Self(Some(CoreListing::new(attributes))))
    }

    /// Adds a record, in the order of a walk, and the digest of a regular file's content; returns its
    /// line, or nothing where its kind is left out.
    pub fn add(&mut self, record: &[u8], content: Option<String>) -> Result<Option<String>, Failure> {
        let Some(listing) = &mut self.0 else { return Err(finished()) };
        let record = Record::read(record)?;
        let content: Option<Digest> = content.map(|digest| digest.parse()).transpose()?;
        let listed = record.listed(content.as_ref())?;
        Ok(listing.add(&record.path, listed, &record.metadata, record.hard_link_to.as_ref()))
    }

    /// Returns the digest of all lines.
    pub fn finish(&mut self) -> Result<String, Failure> {
        Ok(self.0.take().ok_or_else(finished)?.finish().to_string())
    }
}

fn finished() -> Failure {
    Failure::misuse("the listing is finished")
}
