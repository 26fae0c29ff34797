//! Images copied into an OCI image layout.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci_fetcher_core::digest::Digest;
use oci_fetcher_core::layout::{INDEX_FILE, Names, parse_index};
use oci_fetcher_core::limits::Limits;
use oci_fetcher_core::manifest::{Descriptor, Manifest};
use oci_fetcher_core::pull::{Closure, ClosureBlob, Fetched, Want};
use oci_fetcher_core::report::Report;
use oci_fetcher_core::source::Source;

use super::Client;
use super::prepare::{Access, blocking, raw};
use super::unpack::{layer_spec, uses};
use crate::blob::open_regular;
use crate::error::Error;
use crate::layout::{Content, LayoutWriter};
use crate::options::{Platforms, PullOptions};
use crate::pulled::{Checked, ImageInfo, Pulled};
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
            checked: Checked::default(),
        };
        for source in sources {
            let mut access = self.access(source, &operation).await?;
            let copy = match options.platforms {
                Platforms::One => self.copy_of_image(&mut access).await?,
                Platforms::All => self.copy_of_everything(&mut access).await?,
            };
            let brought = self.bring(&mut access, &copy, &path).await?;
            pulled.blobs_fetched += brought.fetched;
            pulled.blobs_stored += brought.stored;
            pulled.checked.diff_ids += brought.checked.diff_ids;
            pulled.checked.digests_only += brought.checked.digests_only;
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
        let config = Config { descriptor: manifest.config.clone(), bytes: Some(resolution.image.config.clone()) };
        Ok(Copy {
            named: resolution.image.manifest.clone(),
            manifests: vec![resolution.image.manifest],
            configs: vec![config],
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
            layers: closure.blobs.iter().map(|blob| blob.descriptor.clone()).collect(),
            synthesised: false,
        };
        let limits = &self.settings.limits;
        let blob = |blob: ClosureBlob| {
            let then = match blob.diff_id {
                Some(diff_id) => Use::Decode(layer_spec(&blob.descriptor, diff_id, limits), Unused),
                None => Use::Verify,
            };
            (blob.descriptor, then)
        };
        let blobs = closure.blobs.into_iter().map(blob).collect();
        let config = |descriptor: Arc<Descriptor>| {
            let bytes = descriptor.data.as_deref().map(Arc::from);
            Config { descriptor: Descriptor::clone(&descriptor), bytes }
        };
        let configs = closure.configs.into_iter().map(config).collect();
        Ok(Copy { named: top, manifests: closure.manifests, configs, blobs, info })
    }

    /// Brings a copy's blobs into the store, but for those that a layout which names the same
    /// manifest holds already.
    async fn bring(&self, access: &mut Access, copy: &Copy, path: &Path) -> Result<Brought, Error> {
        let complete = names(path, &copy.named.digest, &self.settings.limits)
            && copy.blobs.iter().all(|(blob, _)| {
                let path = path.join(oci_fetcher_core::layout::blob_path(&blob.digest));
                open_regular(&path).and_then(|file| file.metadata()).is_ok_and(|metadata| metadata.len() == blob.size)
            });
        if complete {
            return Ok(Brought { fetched: 0, stored: copy.blobs.len(), checked: Checked::default() });
        }
        let blobs: Vec<_> = copy.blobs.iter().map(|(blob, _)| blob.clone()).collect();
        access.announce(&copy.info, &blobs);
        let uses: Vec<_> = copy.blobs.iter().map(|(_, then)| then.clone()).collect();
        let diff_ids = uses.iter().filter(|then| matches!(then, Use::Decode(..))).count();
        let checked = Checked { diff_ids, digests_only: uses.len() - diff_ids };
        let (fetched, stored) = self.store_verified(access, &blobs, uses).await?;
        Ok(Brought { fetched, stored, checked })
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

/// What came of bringing a copy's blobs.
struct Brought {
    fetched: usize,
    stored: usize,
    checked: Checked,
}

/// A config that has been verified: these bytes, or else what the store has.
struct Config {
    descriptor: Descriptor,
    bytes: Option<Arc<[u8]>>,
}

/// What a layout gets for one source.
struct Copy {
    /// What the layout's index will name.
    named: Fetched,
    manifests: Vec<Fetched>,
    configs: Vec<Config>,
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
            put_stored(writer, store, descriptor)?;
        }
        for Config { descriptor, bytes } in &self.configs {
            match bytes {
                Some(bytes) => writer.put_blob(&descriptor.digest, Content::Bytes(bytes))?,
                None => put_stored(writer, store, descriptor)?,
            }
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

/// Copies a blob from the store, unless the layout has it.
fn put_stored(writer: &LayoutWriter, store: &Store, descriptor: &Descriptor) -> Result<(), Error> {
    if writer.has_blob(&descriptor.digest, descriptor.size) {
        return Ok(());
    }
    match store.open(&descriptor.digest, descriptor.size)? {
        Holding::Whole(blob) => Ok(writer.put_blob(&descriptor.digest, Content::Verified(&blob))?),
        Holding::Partial(_) | Holding::Nothing => Err(Error::internal("a stored blob is gone")),
    }
}
