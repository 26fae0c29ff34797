//! Images in archives as `docker save` writes them, which hold configs and layers but no manifest.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::Write;

use oci_fetcher_core::digest::{Algorithm, Digest};
use oci_fetcher_core::entry::EntryPath;
use oci_fetcher_core::layer::inflate;
use oci_fetcher_core::layout::{DockerArchive, Synthesised, synthesise};
use oci_fetcher_core::limits::Limits;
use oci_fetcher_core::manifest::{Compression, Descriptor, Distribution, Family, ImageConfig, LayerType, MediaType};

use super::archive::{Archive, MAGIC_BYTES, read_up_to};
use super::{LocalError, archive_path};
use crate::blob::Blob;

/// One image of an archive, with the manifest that was made for it.
#[derive(Debug)]
pub(super) struct DockerImage {
    manifest: Synthesised,
    /// Config and layers. What a layer hashes to is computed, or claimed by the config.
    blobs: BTreeMap<Digest, Blob>,
}

impl DockerImage {
    /// Finds an image in an archive, and makes a manifest for it.
    pub(super) fn open(archive: &Archive, name: Option<&str>, limits: &Limits) -> Result<Self, LocalError> {
        let layout_error = |source| LocalError::Layout { path: archive.path().to_owned(), source };
        let listing = archive_path(DockerArchive::MANIFEST_FILE);
        let listing = read(archive, &listing, limits.manifest_bytes, "manifest_bytes")?;
        let listing = DockerArchive::parse(&listing, limits).map_err(layout_error)?;
        let image = listing.find(name).map_err(layout_error)?;

        let config = read(archive, &image.config, limits.config_bytes, "config_bytes")?;
        let parsed = ImageConfig::parse(&config)
            .map_err(|source| LocalError::Config { path: archive.path().to_owned(), source })?;
        let mut layers = Layers { archive, known: BTreeMap::new() };
        let mut descriptors = Vec::with_capacity(image.layers.len());
        let mut blobs = BTreeMap::new();
        for (position, file) in image.layers.iter().enumerate() {
            let (descriptor, blob) = layers.describe(file, parsed.diff_ids.get(position))?;
            blobs.insert(descriptor.digest.clone(), blob);
            descriptors.push(descriptor);
        }
        let manifest = synthesise(&config, &descriptors);
        let config_blob = archive.blob(&image.config).expect("it was read just now");
        blobs.insert(Digest::of(Algorithm::Sha256, &config), config_blob);
        Ok(Self { manifest, blobs })
    }

    pub(super) fn descriptor(&self) -> &Descriptor {
        &self.manifest.descriptor
    }

    pub(super) fn blob(&self, digest: &Digest) -> std::io::Result<Option<Blob>> {
        if *digest != self.manifest.descriptor.digest {
            return Ok(self.blobs.get(digest).cloned());
        }
        let mut file = tempfile::tempfile()?;
        file.write_all(&self.manifest.bytes)?;
        Blob::whole(file).map(Some)
    }
}

/// The layers of an archive as far as they are described already: many names may lead to one.
struct Layers<'a> {
    archive: &'a Archive,
    known: BTreeMap<u64, Descriptor>,
}

impl Layers<'_> {
    fn describe(&mut self, file: &EntryPath, diff_id: Option<&Digest>) -> Result<(Descriptor, Blob), LocalError> {
        let blob = self.archive.blob(file).ok_or_else(|| absent(self.archive, file))?;
        let compression = self.compression(&blob)?;
        let digest = match (compression, diff_id) {
            // A plain layer is its own tar. Whether the config is right shows when it is decoded.
            (Compression::None, Some(diff_id)) if diff_id.algorithm().is_some() => diff_id.clone(),
            (Compression::None | Compression::Gzip | Compression::Zstd, _) => {
                return self.hash(&blob, compression).map(|descriptor| (descriptor, blob));
            }
        };
        Ok((describe(compression, digest, blob.length()), blob))
    }

    fn compression(&self, blob: &Blob) -> Result<Compression, LocalError> {
        let beginning = read_up_to(blob, MAGIC_BYTES).map_err(LocalError::io("read", self.archive.path()))?;
        Ok(match inflate::Compression::detect(&beginning) {
            Some(inflate::Compression::Gzip) => Compression::Gzip,
            Some(inflate::Compression::Zstd) => Compression::Zstd,
            Some(inflate::Compression::Uncompressed) | None => Compression::None,
        })
    }

    fn hash(&mut self, blob: &Blob, compression: Compression) -> Result<Descriptor, LocalError> {
        match self.known.entry(blob.start()) {
            Entry::Occupied(known) => Ok(known.get().clone()),
            Entry::Vacant(place) => {
                let digest = blob.digest(Algorithm::Sha256);
                let digest = digest.map_err(LocalError::io("read", self.archive.path()))?;
                Ok(place.insert(describe(compression, digest, blob.length())).clone())
            }
        }
    }
}

fn describe(compression: Compression, digest: Digest, size: u64) -> Descriptor {
    let layer = LayerType { family: Family::Oci, distribution: Distribution::Registry, compression };
    Descriptor::new(MediaType::Layer(layer), digest, size)
}

/// Reads a file whole, which must be there.
fn read(archive: &Archive, file: &EntryPath, limit: u64, field: &'static str) -> Result<Vec<u8>, LocalError> {
    let bytes = archive.read(file, limit.saturating_add(1))?.ok_or_else(|| absent(archive, file))?;
    if bytes.len() as u64 <= limit {
        Ok(bytes)
    } else {
        Err(LocalError::Limit { path: archive.path().to_owned(), file: file.clone(), limit, field })
    }
}

fn absent(archive: &Archive, file: &EntryPath) -> LocalError {
    LocalError::Absent { path: archive.path().to_owned(), file: file.clone() }
}
