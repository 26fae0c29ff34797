//! oci-fetcher fetches what OCI registries hold, verifies every byte, and unpacks it safely or
//! copies it into an OCI image layout, with no container runtime.
//!
//! ```no_run
//! # async fn run(auth_config: oci_fetcher::Auth) -> Result<(), Box<dyn std::error::Error>> {
//! use oci_fetcher::{Client, Destination, Reference};
//! let client = Client::new(auth_config);
//! let image_ref: Reference = "heroku/builder:22".parse()?;
//! let pulled = client.pull(&image_ref, Destination::Directory("/tmp/my-image")).await?;
//! println!("{:?}", pulled.digest());
//! # Ok(())
//! # }
//! ```
//!
//! The rules (tokens, manifests, verification, merging) are those of
//! [`oci_fetcher_core`], which does no I/O; this crate drives it with tokio and reqwest.

mod artifact;
pub mod blob;
mod cache;
mod chain;
mod client;
pub mod credentials;
pub mod disk;
mod drive;
mod error;
mod http;
pub mod layout;
pub mod local;
mod lock;
mod observer;
mod options;
mod pulled;
mod sink;
pub mod spool;
pub mod staging;
mod store;
mod temporary;
mod work;

pub use artifact::ArtifactError;
pub use cache::{Cache, CacheError, CachedBlob, Pruned};
pub use client::{CONCURRENCY, Client, ClientBuilder};
#[cfg(unix)]
pub use disk::list_tree;
pub use disk::remove_tree;
pub use error::{Error, is_full, local_advice};
pub use http::{Deadlines, TlsError, TlsFiles};
pub use local::LocalError;
pub use observer::{Event, Observer, Silent};
pub use oci_fetcher_core as core;
pub use oci_fetcher_core::artifact::WasmKind;
pub use oci_fetcher_core::credentials::Secret;
pub use oci_fetcher_core::digest::Digest;
pub use oci_fetcher_core::error::{Class, Explain};
pub use oci_fetcher_core::limits::Limits;
pub use oci_fetcher_core::manifest::{Descriptor, ImageConfig, Platform};
pub use oci_fetcher_core::pull::{Note, RetryPolicy};
pub use oci_fetcher_core::reference::Reference;
pub use oci_fetcher_core::report::Report;
pub use oci_fetcher_core::source::Source;
pub use oci_fetcher_core::url::AddressPolicy;
pub use options::{Auth, CachePolicy, Destination, NetworkUse, PlainHttp, Platforms, PullOptions};
pub use pulled::{Checked, Counts, Got, GotFile, ImageInfo, Pulled, RawManifest, Referrers};
pub use staging::Existing;
pub use temporary::AtomicFile;

/// The examples of the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
