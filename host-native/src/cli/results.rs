//! What commands say they did, as `--json` and `--report` write it.

use std::borrow::Cow;
use std::path::Path;

use oci_fetcher::{Checked, Counts, Got, GotFile, ImageInfo, WasmKind};
use oci_fetcher_core::digest::Digest;
use oci_fetcher_core::entry::EntryPath;
use oci_fetcher_core::manifest::{Descriptor, RuntimeConfig};
use oci_fetcher_core::report::{Report, Skipped, What};
use serde::Serialize;

/// What `pull` did.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PullResult<'p> {
    pub(crate) digest: Option<&'p Digest>,
    pub(crate) destination: DestinationResult,
    pub(crate) images: Vec<ImageResult<'p>>,
    pub(crate) unpacked: Option<UnpackedResult>,
    pub(crate) blobs: BlobsResult,
    pub(crate) checked: CheckedResult,
    pub(crate) report: ReportResult<'p>,
    pub(crate) warnings: &'p [String],
}

/// Where it went.
#[derive(Debug, Serialize)]
pub(crate) struct DestinationResult {
    /// `directory`, `oci-layout`, `tar`, `file` or `stdout`.
    pub(crate) kind: &'static str,
    pub(crate) path: Option<String>,
}

impl DestinationResult {
    pub(crate) fn new(kind: &'static str, path: &Path) -> Self {
        Self { kind, path: Some(path.to_string_lossy().into_owned()) }
    }

    pub(crate) const fn standard_output() -> Self {
        Self { kind: "stdout", path: None }
    }
}

/// One image or artifact.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ImageResult<'i> {
    source: &'i str,
    digest: &'i Digest,
    media_type: &'i str,
    /// The index that the source names, if it names one.
    index: Option<&'i Digest>,
    platform: Option<String>,
    artifact_type: Option<&'i str>,
    synthesised: bool,
    config: Option<&'i RuntimeConfig>,
    layers: Vec<LayerResult<'i>>,
}

impl<'i> From<&'i ImageInfo> for ImageResult<'i> {
    fn from(info: &'i ImageInfo) -> Self {
        let platform = info.config.as_ref().and_then(|config| config.platform());
        Self {
            source: &info.source,
            digest: &info.manifest.digest,
            media_type: &info.manifest.media_type,
            index: (info.top.digest != info.manifest.digest).then_some(&info.top.digest),
            platform: platform.map(|platform| platform.to_string()),
            artifact_type: info.artifact_type.as_deref(),
            synthesised: info.synthesised,
            config: info.config.as_ref().map(|config| &config.runtime),
            layers: info.layers.iter().map(|layer| LayerResult::from(&**layer)).collect(),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LayerResult<'l> {
    media_type: &'l str,
    digest: &'l Digest,
    size: u64,
}

impl<'l> From<&'l Descriptor> for LayerResult<'l> {
    fn from(layer: &'l Descriptor) -> Self {
        Self { media_type: layer.media_type.as_str(), digest: &layer.digest, size: layer.size }
    }
}

/// What the unpacked tree holds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UnpackedResult {
    directories: u64,
    files: u64,
    symlinks: u64,
    hard_links: u64,
    specials: u64,
    entries: u64,
    bytes: u64,
}

impl From<Counts> for UnpackedResult {
    fn from(counts: Counts) -> Self {
        let Counts { standing, entries, bytes } = counts;
        Self {
            directories: standing.directories,
            files: standing.files,
            symlinks: standing.symlinks,
            hard_links: standing.hard_links,
            specials: standing.specials,
            entries,
            bytes,
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct BlobsResult {
    pub(crate) fetched: usize,
    pub(crate) stored: usize,
}

/// How blobs were verified.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CheckedResult {
    diff_ids: usize,
    digests_only: usize,
}

impl From<Checked> for CheckedResult {
    fn from(Checked { diff_ids, digests_only }: Checked) -> Self {
        Self { diff_ids, digests_only }
    }
}

/// What could not be applied.
#[derive(Debug, Serialize)]
pub(crate) struct ReportResult<'r> {
    counts: std::collections::BTreeMap<&'static str, u64>,
    /// How many entries of each owner belong to the caller instead.
    ownership: Vec<OwnershipResult>,
    skipped: Vec<SkippedResult<'r>>,
}

impl<'r> From<&'r Report> for ReportResult<'r> {
    fn from(report: &'r Report) -> Self {
        let ownership = report.ownership.iter();
        Self {
            counts: report.counts(),
            ownership: ownership.map(|(&(uid, gid), &entries)| OwnershipResult { uid, gid, entries }).collect(),
            skipped: report.skipped.iter().map(SkippedResult::from).collect(),
        }
    }
}

#[derive(Debug, Serialize)]
struct OwnershipResult {
    uid: u32,
    gid: u32,
    entries: u64,
}

#[derive(Debug, Serialize)]
struct SkippedResult<'r> {
    path: Cow<'r, str>,
    what: &'static str,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gid: Option<u32>,
    /// In octal, as chmod takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Cow<'r, str>>,
}

impl<'r> From<&'r Skipped> for SkippedResult<'r> {
    fn from(skipped: &'r Skipped) -> Self {
        let what = skipped.what.name();
        let bare = Self {
            path: path(&skipped.path),
            what,
            reason: skipped.reason.name(),
            uid: None,
            gid: None,
            mode: None,
            name: None,
        };
        match &skipped.what {
            What::Ownership { uid, gid } => Self { uid: Some(*uid), gid: Some(*gid), ..bare },
            What::SpecialMode { mode } => Self { mode: Some(format!("{mode:04o}")), ..bare },
            What::Xattr { name } => Self { name: Some(String::from_utf8_lossy(name)), ..bare },
            What::Name(_) | What::Device | What::Fifo | What::HardLink | What::ModificationTime | What::UnionMark => {
                bare
            }
            _ => bare,
        }
    }
}

/// Returns a path of an image as text; bytes that are no UTF-8 are escaped as in `\xff`.
fn path(path: &EntryPath) -> Cow<'_, str> {
    match str::from_utf8(path.as_bytes()) {
        Ok(text) => format!("/{text}").into(),
        Err(_) => path.to_string().into(),
    }
}

/// What `get` wrote.
#[derive(Debug, Serialize)]
pub(crate) struct GetResult<'g> {
    digest: &'g Digest,
    destination: DestinationResult,
    image: ImageResult<'g>,
    files: Vec<FileResult<'g>>,
    checked: CheckedResult,
}

impl<'g> GetResult<'g> {
    pub(crate) fn new(got: &'g Got, destination: DestinationResult) -> Self {
        Self {
            digest: &got.image.manifest.digest,
            destination,
            image: ImageResult::from(&got.image),
            files: got.files.iter().map(FileResult::from).collect(),
            // Files are written as they are, an image's layers too.
            checked: Checked { diff_ids: 0, digests_only: got.files.len() }.into(),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FileResult<'f> {
    path: Option<Cow<'f, str>>,
    title: Option<&'f str>,
    media_type: &'f str,
    digest: &'f Digest,
    size: u64,
    wasm: Option<&'static str>,
}

impl<'f> From<&'f GotFile> for FileResult<'f> {
    fn from(file: &'f GotFile) -> Self {
        Self {
            path: file.path.as_ref().map(|path| path.to_string_lossy()),
            title: file.descriptor.title(),
            media_type: file.descriptor.media_type.as_str(),
            digest: &file.descriptor.digest,
            size: file.descriptor.size,
            wasm: file.wasm.map(WasmKind::name),
        }
    }
}

#[cfg(test)]
mod tests;
