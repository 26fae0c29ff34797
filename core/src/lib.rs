//! The portable core of oci-fetcher.
//!
//! Everything here is sans-IO: no clock, file, socket, thread, async runtime, global or randomness.
//! A host feeds bytes and answers in, and carries effects out. The modules follow the route of the
//! data:
//!
//! ```text
//! reference -> token -> manifest (index -> platform -> image -> config) -> layer blob
//!   -> verify (size, digest) -> inflate (gzip | zstd | none) -> verify (diff_id) -> tar members
//!   -> safe entries -> merged tree -> file system (disk | memory) or layout | tar stream
//! ```

#![forbid(unsafe_code)]

pub mod artifact;
pub mod credentials;
pub mod digest;
pub mod entry;
pub mod error;
pub mod fs;
pub mod layer;
pub mod layout;
pub mod limits;
pub mod listing;
pub mod manifest;
pub mod memory;
pub mod pull;
pub mod reference;
pub mod report;
pub mod request;
pub mod sanitise;
mod sorted;
pub mod source;
pub mod tar;
pub mod time;
pub mod token;
pub mod tree;
pub mod unpack;
pub mod url;
