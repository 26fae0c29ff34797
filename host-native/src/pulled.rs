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

/// What refers to a manifest.
#[derive(Clone, Debug)]
pub struct Referrers {
    /// The manifest.
    pub subject: Digest,
    /// Descriptors of the manifests that name it as their subject, in the registry's order; nothing
    /// of them is verified or made safe for a terminal.
    pub manifests: Vec<Descriptor>,
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
    /// How blobs were verified.
    pub checked: Checked,
}

/// How blobs were verified, beside manifests and configs. A copy that a layout names already is not
/// looked at again, and counts in neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Images' layers: against size, digest and the diff_id that the config names, their entries too.
    pub diff_ids: usize,
    /// What has no diff_id (attestations, artifacts, layers of a kind that is not unpacked): against
    /// size and digest.
    pub digests_only: usize,
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
