//! What a caller chooses.

use std::path::PathBuf;

use oci_fetcher_core::credentials::Secret;
use oci_fetcher_core::entry::NamePolicy;

use crate::staging::Existing;

/// Where a pull gets its credentials from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Auth {
    /// Nowhere: only what registries give to everybody.
    Anonymous,
    /// A user and a password, for the reference's registry only.
    Basic {
        /// The user.
        username: String,
        /// The password or personal token.
        password: Secret,
    },
    /// A bearer token that the registry accepts as it is.
    Token(Secret),
    /// Where docker and podman keep them: `DOCKER_AUTH_CONFIG`, `$REGISTRY_AUTH_FILE`, podman's
    /// `auth.json`, docker's `config.json`, and the credential helpers that these name. The first
    /// matching entry wins.
    #[default]
    Environment,
    /// One file, in the form of docker's `config.json` or podman's `auth.json`.
    File(PathBuf),
}

/// Where a pull puts what it fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination<P> {
    /// A directory that will hold the merged tree. It is absent or complete, never half.
    Directory(P),
    /// An OCI image layout, which may hold other images already.
    OciLayout(P),
}

/// Which images of an index are copied into a layout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Platforms {
    /// The one for the client's platform.
    #[default]
    One,
    /// All, with the index itself.
    All,
}

/// How one pull is done.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PullOptions {
    /// What becomes of what stands at the destination.
    pub existing: Existing,
    /// Paths in the image to unpack, with all below them; none means everything.
    pub paths: Vec<String>,
    /// What becomes of names in a directory that Windows cannot hold. On Windows they are always refused.
    pub names: NamePolicy,
    /// Which platforms an OCI layout gets.
    pub platforms: Platforms,
    /// The name in an OCI layout (`org.opencontainers.image.ref.name`), instead of the reference as
    /// it was typed.
    pub ref_name: Option<String>,
}

/// Where blobs and manifests are kept between pulls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CachePolicy {
    /// In the platform's place ([`Cache::default_root`](crate::Cache::default_root)).
    #[default]
    Default,
    /// In this folder.
    At(PathBuf),
    /// Nowhere: what one pull fetches is removed with it, and a pull that was killed begins anew.
    None,
}

/// Whether the network may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NetworkUse {
    /// For whatever is not in the cache.
    #[default]
    Online,
    /// Never: what the cache lacks is an error.
    Offline,
}

/// Whether a registry may be spoken to without encryption.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlainHttp {
    /// Only on loopback, and not even there where TLS files were given.
    #[default]
    Loopback,
    /// Any registry of this client.
    Allowed,
}
