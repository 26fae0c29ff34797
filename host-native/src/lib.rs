//! oci-fetcher: fetches what OCI registries hold, verifies every byte, and unpacks it safely.

pub mod credentials;
pub mod disk;
pub mod spool;
pub mod staging;
