//! Images copied into an OCI image layout.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci_fetcher_core::digest::Digest;
use oci_fetcher_core::layout::{INDEX_FILE, Names, parse_index};
use oci_fetcher_core::limits::Limits;
use oci_fetcher_core::manifest::{Descriptor, Manifest};
use oci_fetcher_core::pull::{Closure, Fetched, Want};
use oci_fetcher_core::report::Report;
use oci_fetcher_core::source::Source;

use super::Client;
use super::prepare::{Access, blocking, raw};
use super::unpack::uses;
use crate::blob::open_regular;
use crate::error::Error;
use crate::layout::{Content, LayoutWriter};
use crate::options::{Platforms, PullOptions};
use crate::pulled::{ImageInfo, Pulled};
use crate::store::{Holding, Store};
use crate::work::{Unused, Use};

impl Client {
    /// Copies images into a layout, whose index names each of them only when all its blobs are in
    /// place.
    pub(super) async fn copy(&self, sources: &[Source], path: PathBuf, options: &PullOptions) -> Result<Pulled, Error> {
        if !options.paths.is_empty() {
            return Err(Error::Usage("a layout holds whole images: paths cannot be selected"));
        }
        if options.ref_name.is_some() && sources.len() > 1 {
            return Err(Error::Usage("one name cannot be given to several images"));
        }
        let limits = self.settings.limits.clone();
        let writer = {
            let path = path.clone();
            blocking(move || Ok(Arc::new(LayoutWriter::open(&path, &limits)?))).await?
        };
        let operation = self.operation()?;
        let mut pulled = Pulled {
            images: Vec::new(),
            destination: Some(path.clone()),
            unpacked: None,
            report: Report::default(),
            warnings: Vec::new(),
            blobs_fetched: 0,
            blobs_stored: 0,
        };
        for source in sources {
            let mut access = self.access(source, &operation).await?;
            let copy = match options.platforms {
                Platforms::One => self.copy_of_image(&mut access).await?,
                Platforms::All => self.copy_of_everything(&mut access).await?,
            };
            let (fetched, stored) = self.bring(&mut access, &copy, &path).await?;
            pulled.blobs_fetched += fetched;
            pulled.blobs_stored += stored;
            let (image, named) = match source {
                Source::Registry(reference) => (Some(reference.to_string()), Some(reference.as_typed().to_owned())),
                Source::Layout { name, .. } | Source::OciArchive { name, .. } | Source::DockerArchive { name, .. } => {
                    (None, name.clone())
                }
            };
            let name = options.ref_name.clone().or(named);
            let (writer, store, info) = (writer.clone(), access.store.clone(), copy.info.clone());
            let published = blocking(move || copy.publish(&writer, &store, name.as_deref(), image.as_deref())).await?;
            pulled.warnings.extend(published);
            pulled.images.push(info);
        }
        pulled.warnings.splice(0..0, operation.watch.warnings());
        Ok(pulled)
    }

    async fn copy_of_image(&self, access: &mut Access) -> Result<Copy, Error> {
        let resolution = access.image().await?;
        let Manifest::Image(manifest) = &resolution.image.manifest.manifest else {
            return Err(Error::internal("an image's manifest is an index"));
        };
        // An image's layers are decoded, so that its diff_ids are verified; an artifact has none.
        let uses = if manifest.check_unpackable().is_ok() {
            uses(&resolution.info, &self.settings.limits, |_| Unused)
        } else {
            manifest.layers.iter().map(|_| Use::Verify).collect()
        };
        let config = (manifest.config.clone(), resolution.image.config.clone());
        Ok(Copy {
            named: resolution.image.manifest.clone(),
            manifests: vec![resolution.image.manifest],
            config: Some(config),
            blobs: resolution.info.layers.iter().cloned().zip(uses).collect(),
            info: resolution.info,
        })
    }

    async fn copy_of_everything(&self, access: &mut Access) -> Result<Copy, Error> {
        let top = access.resolve(Want::Manifest).await?.top;
        let closure = access.run(Closure::new(top.clone())).await?;
        let info = ImageInfo {
            source: access.typed(),
            top: raw(&top),
            manifest: raw(&top),
            config_bytes: Arc::new([]),
            config: None,
            artifact_type: None,
            layers: closure.blobs.clone(),
            synthesised: false,
        };
        let blobs = closure.blobs.into_iter().map(|blob| (blob, Use::Verify)).collect();
        Ok(Copy { named: top, manifests: closure.manifests, config: None, blobs, info })
    }

    /// Brings a copy's blobs into the store, but for those that a layout which names the same
    /// manifest holds already.
    async fn bring(&self, access: &mut Access, copy: &Copy, path: &Path) -> Result<(usize, usize), Error> {
        let complete = names(path, &copy.named.digest, &self.settings.limits)
            && copy.blobs.iter().all(|(blob, _)| {
                let path = path.join(oci_fetcher_core::layout::blob_path(&blob.digest));
                open_regular(&path).and_then(|file| file.metadata()).is_ok_and(|metadata| metadata.len() == blob.size)
            });
        if complete {
            return Ok((0, copy.blobs.len()));
        }
        let blobs: Vec<_> = copy.blobs.iter().map(|(blob, _)| blob.clone()).collect();
        access.announce(&copy.info, &blobs);
        let uses = copy.blobs.iter().map(|(_, then)| then.clone()).collect();
        self.store_verified(access, &blobs, uses).await
    }
}

/// Tells whether a layout's index names a manifest.
fn names(layout: &Path, digest: &Digest, limits: &Limits) -> bool {
    let read = || -> Option<bool> {
        use std::io::Read;
        let mut bytes = Vec::new();
        open_regular(&layout.join(INDEX_FILE)).ok()?.take(limits.manifest_bytes).read_to_end(&mut bytes).ok()?;
        let index = parse_index(&bytes, limits).ok()?;
        Some(index.manifests.iter().any(|entry| entry.digest == *digest))
    };
    read().unwrap_or(false)
}

/// What a layout gets for one source.
struct Copy {
    /// What the layout's index will name.
    named: Fetched,
    manifests: Vec<Fetched>,
    config: Option<(Descriptor, Arc<[u8]>)>,
    blobs: Vec<(Arc<Descriptor>, Use<Unused>)>,
    info: ImageInfo,
}

impl Copy {
    /// Puts everything in its place, and names it; returns what was odd.
    fn publish(
        &self,
        writer: &LayoutWriter,
        store: &Store,
        name: Option<&str>,
        image: Option<&str>,
    ) -> Result<Option<String>, Error> {
        for (descriptor, _) in &self.blobs {
            if writer.has_blob(&descriptor.digest, descriptor.size) {
                continue;
            }
            match store.open(&descriptor.digest, descriptor.size)? {
                Holding::Whole(blob) => writer.put_blob(&descriptor.digest, Content::Verified(&blob))?,
                Holding::Partial(_) | Holding::Nothing => return Err(Error::internal("a stored blob is gone")),
            }
        }
        if let Some((descriptor, bytes)) = &self.config {
            writer.put_blob(&descriptor.digest, Content::Bytes(bytes))?;
        }
        for manifest in &self.manifests {
            writer.put_blob(&manifest.digest, Content::Bytes(&manifest.bytes))?;
        }
        let size = self.named.bytes.len() as u64;
        let entry = Descriptor::new(self.named.media_type().clone(), self.named.digest.clone(), size);
        let published = writer.publish(&entry, &Names { reference: name, image })?;
        Ok(published.left_out.map(|error| error.to_string()))
    }
}
