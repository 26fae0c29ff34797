//! The border between the core and JavaScript.
//!
//! It pushes and pulls, synchronously: streams, timers, `fetch`, storage and workers are the TypeScript
//! around it. What is small crosses as JSON text; bytes cross as `Uint8Array`; the bulk of them goes
//! through one reusable input buffer and views of the output, which are lent until the next call.
//! Paths and names are bytes. Whatever fails throws an `Error` with `code` and `class`.
//!
//! ```text
//! names      references, digests, media types
//! session    one repository's credentials and tokens --- machine   resolves, transfers, lists
//! blob       digests of any bytes
//! layer      decoder -> pack of contents and index --- merge -> file_tree -> record, listing
//! layout     index.json and what stands for manifests --- archive  tars and docker's manifest.json
//! credentials files and helpers
//! ```

pub mod archive;
pub mod blob;
mod buffer;
pub mod credentials;
pub mod error;
pub mod file_tree;
mod json;
pub mod layer;
pub mod layout;
mod limits;
pub mod listing;
pub mod machine;
#[cfg(feature = "measure")]
pub mod measure;
pub mod merge;
pub mod names;
mod number;
pub mod panic;
mod record;
pub mod session;
