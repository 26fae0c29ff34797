//! oci-fetcher: fetches what OCI registries hold, verifies every byte, and unpacks it safely.

pub mod credentials;
mod disk;
