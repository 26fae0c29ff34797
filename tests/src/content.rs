//! What a registry holds: blobs by digest, manifests by repository and reference.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci_fetcher_core::digest::{Algorithm, Digest, Hasher};
use serde_json::{Value, json};

use crate::image::Manifest;

/// A blob, in memory or in a file.
#[derive(Clone, Debug)]
pub enum Blob {
    /// Bytes in memory.
    Bytes(Arc<[u8]>),
    /// A file, read piece by piece while it is served.
    File {
        /// Where it is.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
    },
}

impl Blob {
    /// Makes a blob of a file, which must not change while it is served.
    #[must_use]
    pub fn file(path: &Path) -> Self {
        let size = fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).len();
        Self::File { path: path.to_owned(), size }
    }

    /// Returns the size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { size, .. } => *size,
        }
    }

    /// Computes the SHA-256 digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        let mut reader = self.reader(0);
        loop {
            let piece = reader.read(PIECE);
            if piece.is_empty() {
                return hasher.finish();
            }
            hasher.update(&piece);
        }
    }

    /// Reads from `offset` on.
    pub(crate) fn reader(&self, offset: u64) -> BlobReader {
        match self {
            Self::Bytes(bytes) => BlobReader::Bytes { bytes: Arc::clone(bytes), offset },
            Self::File { path, .. } => {
                let mut file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                file.seek(SeekFrom::Start(offset)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                BlobReader::File(file)
            }
        }
    }
}

impl<B: Into<Vec<u8>>> From<B> for Blob {
    fn from(bytes: B) -> Self {
        Self::Bytes(bytes.into().into())
    }
}

/// Bytes read at a time: enough to keep a loopback socket busy.
pub(crate) const PIECE: usize = 64 * 1024;

/// Reads a blob piece by piece.
#[derive(Debug)]
pub(crate) enum BlobReader {
    Bytes { bytes: Arc<[u8]>, offset: u64 },
    File(File),
}

impl BlobReader {
    /// Reads up to `most` bytes; none at the end.
    pub(crate) fn read(&mut self, most: usize) -> Vec<u8> {
        match self {
            Self::Bytes { bytes, offset } => {
                let start = usize::try_from(*offset).map_or(bytes.len(), |offset| offset.min(bytes.len()));
                let end = start.saturating_add(most).min(bytes.len());
                *offset = end as u64;
                bytes[start..end].to_vec()
            }
            Self::File(file) => {
                let mut piece = Vec::with_capacity(most);
                file.take(most as u64).read_to_end(&mut piece).expect("the file can be read");
                piece
            }
        }
    }
}

/// A manifest as it is served.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its `Content-Type`.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What a registry holds.
///
/// ```
/// use oci_fetcher_tests::content::Content;
/// use oci_fetcher_tests::image::{Image, Layer};
///
/// let mut content = Content::new();
/// let digest = content.push("library/app", "1", Image::new().layer(Layer::new().file("a", b"b")));
/// assert_eq!(content.manifest("library/app", "1").expect("pushed").bytes.len() > 0, true);
/// assert!(content.manifest("library/app", digest.as_str()).is_some());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Content {
    blobs: BTreeMap<String, Blob>,
    manifests: BTreeMap<(String, String), Stored>,
}

impl Content {
    /// Holds nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Stores an image, index or artifact with everything beneath it, and gives it a tag.
    pub fn push(&mut self, repository: &str, tag: &str, manifest: impl Into<Manifest>) -> Digest {
        let manifest = manifest.into();
        self.put_manifest(repository, tag, &manifest.media_type, manifest.bytes.clone());
        self.push_untagged(repository, manifest)
    }

    /// Stores an image, index or artifact with everything beneath it, by digest alone.
    pub fn push_untagged(&mut self, repository: &str, manifest: impl Into<Manifest>) -> Digest {
        let manifest = manifest.into();
        let digest = manifest.digest();
        self.put_manifest(repository, digest.as_str(), &manifest.media_type, manifest.bytes);
        for (digest, blob) in manifest.blobs {
            self.put_blob(digest.as_str(), blob);
        }
        for child in manifest.children {
            self.push_untagged(repository, child);
        }
        digest
    }

    /// Stores bytes under a tag or digest, which need not be theirs.
    pub fn put_manifest(&mut self, repository: &str, reference: &str, media_type: &str, bytes: impl Into<Vec<u8>>) {
        let stored = Stored { media_type: media_type.to_owned(), bytes: bytes.into() };
        self.manifests.insert((repository.to_owned(), reference.to_owned()), stored);
    }

    /// Stores a blob under a digest, which need not be its own.
    pub fn put_blob(&mut self, digest: &str, blob: impl Into<Blob>) {
        self.blobs.insert(digest.to_owned(), blob.into());
    }

    /// Forgets a tag or digest.
    pub fn remove_manifest(&mut self, repository: &str, reference: &str) {
        self.manifests.remove(&(repository.to_owned(), reference.to_owned()));
    }

    /// Forgets a blob.
    pub fn remove_blob(&mut self, digest: &str) {
        self.blobs.remove(digest);
    }

    /// Looks up a manifest by tag or digest.
    #[must_use]
    pub fn manifest(&self, repository: &str, reference: &str) -> Option<&Stored> {
        self.manifests.get(&(repository.to_owned(), reference.to_owned()))
    }

    /// Looks up a blob. Repositories share them.
    #[must_use]
    pub fn blob(&self, digest: &str) -> Option<&Blob> {
        self.blobs.get(digest)
    }

    /// Says whether anything was stored in the repository.
    #[must_use]
    pub fn has_repository(&self, repository: &str) -> bool {
        self.references(repository).next().is_some()
    }

    /// Lists the tags of a repository, in byte order.
    #[must_use]
    pub fn tags(&self, repository: &str) -> Vec<&str> {
        self.references(repository).map(|(reference, _)| reference).filter(|name| !name.contains(':')).collect()
    }

    /// Lists the descriptors of the manifests whose subject is `digest`.
    #[must_use]
    pub fn referrers(&self, repository: &str, digest: &str) -> Vec<Value> {
        let manifests = self.references(repository).filter(|(reference, _)| reference.contains(':'));
        let descriptors = manifests.filter_map(|(_, stored)| {
            let manifest: Value = serde_json::from_slice(&stored.bytes).ok()?;
            (manifest["subject"]["digest"] == digest).then_some(())?;
            let mut packed = Manifest::raw(&stored.media_type, stored.bytes.clone());
            let artifact_type = manifest["artifactType"].as_str().or(manifest["config"]["mediaType"].as_str());
            packed.artifact_type = artifact_type.map(str::to_owned);
            let mut descriptor = packed.descriptor();
            if manifest["annotations"].is_object() {
                descriptor["annotations"] = manifest["annotations"].clone();
            }
            Some(descriptor)
        });
        descriptors.collect()
    }

    /// Writes an OCI image layout (image-spec 1.1, image-layout.md) that holds one manifest with
    /// everything beneath it, named `tag`.
    ///
    /// All blobs of this content are written, for any of them may belong to the manifest.
    pub fn write_layout(&self, repository: &str, reference: &str, directory: &Path, tag: &str) {
        let put = |path: PathBuf, bytes: &[u8]| {
            fs::create_dir_all(path.parent().expect("a file's path has a parent")).expect("a directory can be made");
            fs::write(&path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        };
        let place = |digest: &str| directory.join("blobs").join(digest.replace(':', "/"));
        for (digest, blob) in &self.blobs {
            match blob {
                Blob::Bytes(bytes) => put(place(digest), bytes),
                Blob::File { path, .. } => {
                    put(place(digest), b"");
                    fs::copy(path, place(digest)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                }
            }
        }
        for (digest, stored) in self.references(repository).filter(|(reference, _)| reference.contains(':')) {
            put(place(digest), &stored.bytes);
        }
        let stored = self.manifest(repository, reference).expect("the manifest was pushed");
        let mut descriptor = Manifest::raw(&stored.media_type, stored.bytes.clone()).descriptor();
        descriptor["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
        let index = json!({ "schemaVersion": 2, "manifests": [descriptor] });
        put(directory.join("index.json"), index.to_string().as_bytes());
        put(directory.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#);
    }

    fn references<'a>(&'a self, repository: &str) -> impl Iterator<Item = (&'a str, &'a Stored)> {
        let from = (repository.to_owned(), String::new());
        let all = self.manifests.range(from..).take_while(move |((name, _), _)| name == repository);
        all.map(|((_, reference), stored)| (reference.as_str(), stored))
    }
}
