//! What the tests and the quick start share.
//!
//! - [`image`] builds layers, images, indexes and artifacts, good and bad, byte for byte the same each time;
//! - [`content`] is what a registry holds;
//! - [`registry`] serves it on loopback, with every fault a network can show;
//! - [`forward_proxy`] stands between a client and a registry;
//! - [`tls`] makes certificate authorities that live as long as a test;
//! - [`docker_registry`] starts the `distribution` registry that Debian packages, and fills it with `skopeo`;
//! - [`gateway`] starts `nginx` before a registry, or over a folder of files;
//! - [`access_log`] reads the logs of both;
//! - [`awkward`] and [`bulk`] are images that a host finds hard to hold, and large ones;
//! - [`debian`] builds a real image;
//! - [`in_memory`] lists what a file system in memory holds;
//! - [`process`] runs commands and measures them;
//! - [`fuzz`] is what must hold for any bytes whatever, and [`corpus`] the bytes to begin with;
//! - [`hostile`] is the table of attacks and of what came of them;
//! - [`compare`] holds two directories against each other, path by path.
//!
//! Nothing here returns an error: what a test needs and cannot have ends it, loudly.

#![forbid(unsafe_code)]

pub mod access_log;
pub mod awkward;
pub mod bulk;
#[cfg(unix)]
pub mod compare;
pub mod content;
pub mod corpus;
#[cfg(unix)]
pub mod debian;
#[cfg(unix)]
pub mod docker_registry;
pub mod forward_proxy;
pub mod fuzz;
#[cfg(unix)]
pub mod gateway;
pub mod hostile;
pub mod image;
pub mod in_memory;
#[cfg(unix)]
pub mod place;
#[cfg(unix)]
pub mod process;
pub mod program;
pub mod registry;
pub mod tls;
