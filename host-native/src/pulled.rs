//! What a pull returns.

use std::path::PathBuf;
use std::sync::Arc;

use oci_fetcher_core::artifact::WasmKind;
use oci_fetcher_core::digest::Digest;
use oci_fetcher_core::manifest::{Descriptor, ImageConfig};
use oci_fetcher_core::report::Report;
use oci_fetcher_core::tree::Standing;

/// A manifest or index exactly as it was served.
#[derive(Clone, Debug)]
pub struct RawManifest {
    /// Its digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Arc<[u8]>,
}

/// An image or artifact, as far as its manifest and config tell.
#[derive(Clone, Debug)]
pub struct ImageInfo {
    /// The reference or source, as typed.
    pub source: String,
    /// What the reference names; the image's own manifest where there is no index.
    pub top: RawManifest,
    /// The image's own manifest.
    pub manifest: RawManifest,
    /// The config exactly as served.
    pub config_bytes: Arc<[u8]>,
    /// What the config says: environment, command, entry point, labels, working directory, user.
    /// `None` for an artifact, whose config is never parsed.
    pub config: Option<Box<ImageConfig>>,
    /// An artifact's type; it is not made safe for a terminal.
    pub artifact_type: Option<String>,
    /// The layers, in manifest order.
    pub layers: Vec<Arc<Descriptor>>,
    /// Whether the manifest was made here, since the source (a `docker-archive:`) has none.
    pub synthesised: bool,
}

/// What a pull did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Pulled {
    /// The images, in the order in which they were merged.
    pub images: Vec<ImageInfo>,
    /// Where it went; `None` for a stream.
    pub destination: Option<PathBuf>,
    /// What the unpacked tree holds; `None` where nothing was unpacked.
    pub unpacked: Option<Counts>,
    /// What could not be applied.
    pub report: Report,
    /// What was odd but accepted, each once; not made safe for a terminal.
    pub warnings: Vec<String>,
    /// Blobs for which a registry was asked.
    pub blobs_fetched: usize,
    /// Blobs that were stored already.
    pub blobs_stored: usize,
}

impl Pulled {
    /// Returns the digest that the last reference resolved to for its platform.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.images.last().map(|image| &image.manifest.digest)
    }
}

/// What an unpacked tree holds, and what went through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// What the tree holds, by kind.
    pub standing: Standing,
    /// Tar entries of all layers, whiteouts included.
    pub entries: u64,
    /// Sizes of all layers' files together, in bytes.
    pub bytes: u64,
}

/// What `get` wrote.
#[derive(Clone, Debug)]
pub struct Got {
    /// The artifact.
    pub image: ImageInfo,
    /// The files, in manifest order.
    pub files: Vec<GotFile>,
}

/// One file of an artifact.
#[derive(Clone, Debug)]
pub struct GotFile {
    /// Where it was written; `None` for a stream.
    pub path: Option<PathBuf>,
    /// Its blob.
    pub descriptor: Arc<Descriptor>,
    /// Whether it is a WebAssembly module or component, by type and by magic bytes.
    pub wasm: Option<WasmKind>,
}
