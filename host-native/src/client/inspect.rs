//! What can be had without unpacking: manifests, configs, tags, referrers, single blobs.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::Arc;

use oci_fetcher_core::digest::Digest;
use oci_fetcher_core::manifest::{Descriptor, MediaType};
use oci_fetcher_core::pull::{self, PlatformChoice, Tags, Want};
use oci_fetcher_core::reference::Reference;
use oci_fetcher_core::source::Source;

use super::Client;
use super::prepare::{Access, blocking, raw};
use crate::error::Error;
use crate::pulled::{ImageInfo, RawManifest, Referrers};
use crate::store::{Holding, Store};
use crate::work::{ImageWork, Unused, Use};

impl Client {
    /// Returns the manifest or index that a source names, exactly as served; where a platform was
    /// asked for by name, the manifest of its image.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn manifest(&self, source: &Source) -> Result<RawManifest, Error> {
        let operation = self.operation()?;
        self.named(&mut self.access(source, &operation).await?).await
    }

    async fn named(&self, access: &mut Access) -> Result<RawManifest, Error> {
        match self.platform() {
            PlatformChoice::Host(_) => Ok(raw(&access.resolve(Want::Manifest).await?.top)),
            PlatformChoice::Explicit(_) => Ok(access.image().await?.info.manifest),
        }
    }

    /// Returns an image's manifest and config (environment, labels and the like) without unpacking it.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn image(&self, source: &Source) -> Result<ImageInfo, Error> {
        let operation = self.operation()?;
        Ok(self.access(source, &operation).await?.image().await?.info)
    }

    /// Lists the tags of a reference's repository, in the registry's order.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn tags(&self, reference: &Reference) -> Result<Vec<String>, Error> {
        let operation = self.operation()?;
        let mut access = self.access(&Source::Registry(reference.clone()), &operation).await?;
        access.run(Tags::new()).await
    }

    /// Lists what names the manifest of a reference as its subject: signatures, attestations and other
    /// artifacts; where a platform was asked for by name, what names its image. With an artifact type,
    /// only those of that type.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn referrers(&self, reference: &Reference, artifact_type: Option<&str>) -> Result<Referrers, Error> {
        let operation = self.operation()?;
        let mut access = self.access(&Source::Registry(reference.clone()), &operation).await?;
        let subject = self.named(&mut access).await?.digest;
        let plan = pull::Referrers::new(subject.clone(), artifact_type.map(str::to_owned));
        Ok(Referrers { subject, manifests: access.run(plan).await? })
    }

    /// Writes one blob of a source's repository, after all of it has been verified; returns its
    /// size in bytes.
    ///
    /// # Errors
    /// [`Error`]; nothing was written unless the writer itself failed.
    pub async fn blob(
        &self,
        source: &Source,
        digest: &Digest,
        writer: impl Write + Send + 'static,
    ) -> Result<u64, Error> {
        let operation = self.operation()?;
        let mut access = self.access(source, &operation).await?;
        let size = access.blob_size(digest).await?;
        let descriptor = Arc::new(Descriptor::new(MediaType::parse("application/octet-stream"), digest.clone(), size));
        self.store_verified(&mut access, std::slice::from_ref(&descriptor), vec![Use::Verify]).await?;
        let store = access.store.clone();
        blocking(move || write_blob(&store, &descriptor, writer)).await
    }

    /// Brings blobs into the store and verifies them; returns how many were fetched and stored.
    pub(super) async fn store_verified(
        &self,
        access: &mut Access,
        blobs: &[Arc<Descriptor>],
        uses: Vec<Use<Unused>>,
    ) -> Result<(usize, usize), Error> {
        let work = ImageWork { store: access.store.clone(), observer: access.watch.clone(), uses, keep: None };
        let work = Arc::new(work);
        let mut stale = BTreeSet::new();
        loop {
            match access.transfer(blobs.to_vec(), work.clone(), || {}).await {
                Err(error) => match error.stale() {
                    Some(digest) if stale.insert(digest.clone()) => {}
                    Some(_) | None => return Err(error),
                },
                Ok(outcome) => return Ok((outcome.fetched, outcome.stored)),
            }
        }
    }
}

/// Copies a stored and verified blob to a writer; returns its size.
pub(super) fn write_blob(store: &Store, descriptor: &Descriptor, mut writer: impl Write) -> Result<u64, Error> {
    let blob = match store.open(&descriptor.digest, descriptor.size)? {
        Holding::Whole(blob) => blob,
        Holding::Partial(_) | Holding::Nothing => return Err(Error::internal("a stored blob is gone")),
    };
    let mut buffer = vec![0; 128 << 10];
    let mut offset = 0;
    loop {
        let length = blob.read_at(offset, &mut buffer).map_err(Error::read_back)?;
        if length == 0 {
            writer.flush().map_err(Error::write)?;
            return Ok(offset);
        }
        writer.write_all(&buffer[..length]).map_err(Error::write)?;
        offset += length as u64;
    }
}
