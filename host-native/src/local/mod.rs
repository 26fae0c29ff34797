//! Images that lie on this machine: `oci:DIR[:NAME]`, `oci-archive:FILE[:NAME]` and
//! `docker-archive:FILE[:NAME]`.
//!
//! Implements OCI image-spec 1.1, image-layout.md, and the archives of `docker save`. Nothing read
//! here is trusted: what a descriptor names is verified by whoever uses it, as if a registry had
//! sent it.
//!
//! Deviations: a layout whose files or directories are symbolic links is refused, as they would lead
//! out of it; in archives, one link is followed to another member. An image in a docker archive gets
//! a manifest that is made here.

mod archive;
mod docker;
mod error;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use oci_fetcher_core::digest::Digest;
use oci_fetcher_core::entry::EntryPath;
use oci_fetcher_core::layout::{DockerArchive, INDEX_FILE, MARKER_FILE, blob_path, check_marker, find, parse_index};
use oci_fetcher_core::limits::Limits;
use oci_fetcher_core::manifest::Descriptor;
use oci_fetcher_core::source::Source;

use self::archive::{Archive, read_up_to};
use self::docker::DockerImage;
pub use self::error::LocalError;
use crate::blob::Blob;
use crate::layout::{LayoutFolder, MARKER_BYTES};

/// An image in a layout or archive on this machine.
///
/// ```
/// use oci_fetcher::layout::{Content, LayoutWriter};
/// use oci_fetcher::local::LocalSource;
/// use oci_fetcher_core::digest::{Algorithm, Digest};
/// use oci_fetcher_core::layout::Names;
/// use oci_fetcher_core::limits::Limits;
/// use oci_fetcher_core::manifest::{Descriptor, MediaType};
/// use oci_fetcher_core::source::Source;
///
/// let folder = tempfile::tempdir()?;
/// let limits = Limits::default();
/// let layout = LayoutWriter::open(folder.path(), &limits)?;
/// let manifest = br#"{"schemaVersion":2, "manifests":[]}"#;
/// let digest = Digest::of(Algorithm::Sha256, manifest);
/// layout.put_blob(&digest, Content::Bytes(manifest))?;
/// let entry = Descriptor::new(MediaType::OciIndex, digest.clone(), manifest.len() as u64);
/// layout.publish(&entry, &Names { reference: Some("example:1"), image: None })?;
///
/// let source = Source::Layout { path: folder.path().into(), name: Some("example:1".into()) };
/// let source = LocalSource::open(&source, &limits)?;
/// assert_eq!(source.descriptor().digest, digest);
/// assert_eq!(source.read(&digest, 1024)?.as_deref(), Some(&manifest[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct LocalSource {
    descriptor: Descriptor,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Layout(LayoutFolder),
    OciArchive(Archive),
    DockerArchive { path: PathBuf, image: Box<DockerImage> },
}

impl LocalSource {
    /// Opens a source and finds the image in it.
    ///
    /// Takes as long as indexing an archive, decompressing it into a temporary file where it is
    /// compressed, and hashing the compressed layers of a docker archive.
    ///
    /// # Errors
    /// [`LocalError`]; a name that is missing or ambiguous lists those that there are.
    pub fn open(source: &Source, limits: &Limits) -> Result<Self, LocalError> {
        match source {
            Source::Registry(_) => Err(LocalError::NotLocal),
            Source::Layout { path, name } => Self::open_layout(path, name.as_deref(), limits),
            Source::OciArchive { path, name } => Self::open_oci_archive(path, name.as_deref(), limits),
            Source::DockerArchive { path, name } => Self::open_docker_archive(path, name.as_deref(), limits),
        }
    }

    fn open_layout(path: &Path, name: Option<&str>, limits: &Limits) -> Result<Self, LocalError> {
        let other_kind = |prefix| LocalError::OtherKind { path: path.to_owned(), expected: LAYOUT, prefix };
        if !std::fs::metadata(path).map_err(LocalError::io("open", path))?.is_dir() {
            return Err(other_kind(Some("oci-archive:")));
        }
        let folder = LayoutFolder::new(path);
        let read = |file, limit| folder.read(file, limit).map_err(LocalError::io("read", &folder.path(file)));
        let marker = read(MARKER_FILE, MARKER_BYTES)?.ok_or_else(|| other_kind(None))?;
        let descriptor = find_in_layout(path, &marker, read(INDEX_FILE, index_bytes(limits))?, name, limits)?;
        Ok(Self { descriptor, place: Place::Layout(folder) })
    }

    fn open_oci_archive(path: &Path, name: Option<&str>, limits: &Limits) -> Result<Self, LocalError> {
        let archive = open_archive(path, OCI_ARCHIVE, limits)?;
        let marker = archive.read(&archive_path(MARKER_FILE), MARKER_BYTES)?.ok_or_else(|| {
            let is_docker = archive.blob(&archive_path(DockerArchive::MANIFEST_FILE)).is_some();
            LocalError::OtherKind {
                path: path.to_owned(),
                expected: OCI_ARCHIVE,
                prefix: is_docker.then_some("docker-archive:"),
            }
        })?;
        let index = archive.read(&archive_path(INDEX_FILE), index_bytes(limits))?;
        let descriptor = find_in_layout(path, &marker, index, name, limits)?;
        Ok(Self { descriptor, place: Place::OciArchive(archive) })
    }

    fn open_docker_archive(path: &Path, name: Option<&str>, limits: &Limits) -> Result<Self, LocalError> {
        let archive = open_archive(path, DOCKER_ARCHIVE, limits)?;
        if archive.blob(&archive_path(DockerArchive::MANIFEST_FILE)).is_none() {
            let is_oci = archive.blob(&archive_path(MARKER_FILE)).is_some();
            return Err(LocalError::OtherKind {
                path: path.to_owned(),
                expected: DOCKER_ARCHIVE,
                prefix: is_oci.then_some("oci-archive:"),
            });
        }
        let image = DockerImage::open(&archive, name, limits)?;
        let descriptor = image.descriptor().clone();
        Ok(Self { descriptor, place: Place::DockerArchive { path: path.to_owned(), image: Box::new(image) } })
    }

    /// Returns the descriptor of the manifest or index that the source names, as the source has it.
    #[must_use]
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Tells whether the manifest was made here, since the source has none.
    #[must_use]
    pub fn is_synthesised(&self) -> bool {
        matches!(self.place, Place::DockerArchive { .. })
    }

    /// Reads a small blob whole, without verifying it; one that is longer than `limit` is as good
    /// as missing.
    ///
    /// # Errors
    /// Those of [`open_blob`](Self::open_blob).
    pub fn read(&self, digest: &Digest, limit: u64) -> Result<Option<Vec<u8>>, LocalError> {
        match self.open_blob(digest)? {
            Some(blob) if blob.length() <= limit => {
                read_up_to(&blob, limit).map(Some).map_err(LocalError::io("read", &self.path(digest)))
            }
            Some(_) | None => Ok(None),
        }
    }

    /// Opens a blob; `None` if the source does not have it. Neither its content nor its size is
    /// verified.
    ///
    /// # Errors
    /// [`LocalError::Irregular`] for what is no regular file, and [`LocalError::Io`].
    pub fn open_blob(&self, digest: &Digest) -> Result<Option<Blob>, LocalError> {
        let opened = match &self.place {
            Place::Layout(folder) => folder.open(&blob_path(digest)).and_then(|file| file.map(Blob::whole).transpose()),
            Place::OciArchive(archive) => Ok(archive.blob(&archive_path(&blob_path(digest)))),
            Place::DockerArchive { image, .. } => image.blob(digest),
        };
        opened.map_err(LocalError::io("open", &self.path(digest)))
    }

    /// Returns the file that a blob lies in.
    fn path(&self, digest: &Digest) -> PathBuf {
        match &self.place {
            Place::Layout(folder) => folder.path(&blob_path(digest)),
            Place::OciArchive(archive) => archive.path().to_owned(),
            Place::DockerArchive { path, .. } => path.clone(),
        }
    }
}

const LAYOUT: &str = "an OCI image layout";
const OCI_ARCHIVE: &str = "an archive of an OCI image layout";
const DOCKER_ARCHIVE: &str = "an archive as docker save writes it";

fn open_archive(path: &Path, expected: &'static str, limits: &Limits) -> Result<Archive, LocalError> {
    if std::fs::metadata(path).map_err(LocalError::io("open", path))?.is_dir() {
        let is_layout = path.join(MARKER_FILE).exists();
        return Err(LocalError::OtherKind { path: path.to_owned(), expected, prefix: is_layout.then_some("oci:") });
    }
    Archive::open(path, limits)
}

fn find_in_layout(
    path: &Path,
    marker: &[u8],
    index: Option<Vec<u8>>,
    name: Option<&str>,
    limits: &Limits,
) -> Result<Descriptor, LocalError> {
    let index = index.ok_or_else(|| LocalError::Absent { path: path.to_owned(), file: archive_path(INDEX_FILE) })?;
    check_marker(marker)
        .and_then(|()| parse_index(&index, limits))
        .and_then(|index| find(&index, name).cloned())
        .map_err(|source| LocalError::Layout { path: path.to_owned(), source })
}

/// Returns how much of an `index.json` is read: one byte too many, for the core to refuse it.
fn index_bytes(limits: &Limits) -> u64 {
    limits.manifest_bytes.saturating_add(1)
}

/// Returns a file's place in an archive.
fn archive_path(name: &str) -> EntryPath {
    EntryPath::clean(name.as_bytes()).expect("the layout's own names are safe, and so are digests")
}
