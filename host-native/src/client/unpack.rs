//! Images unpacked into one directory.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use oci_fetcher_core::digest::Digest;
use oci_fetcher_core::entry::{Entry, EntryPath, NamePolicy};
use oci_fetcher_core::layer::LayerSpec;
use oci_fetcher_core::limits::Limits;
use oci_fetcher_core::manifest::{Descriptor, Manifest};

use oci_fetcher_core::source::Source;
use oci_fetcher_core::tree::Selection;
use oci_fetcher_core::unpack::{Options, Outcome, Unpacked, Unpacker};

use super::Client;
use super::prepare::{Access, Operation, Resolution, blocking};
use crate::chain::{Chain, Staged};
use crate::disk::DiskFs;
use crate::error::Error;
use crate::observer::{Event, Observer};
use crate::options::PullOptions;
use crate::pulled::{Checked, Counts, ImageInfo, Pulled};
use crate::spool::{LayerSpool, Spool, Spooled};
use crate::staging::{self, Existing, Staging};
use crate::work::{ImageWork, Link, Use};

impl Client {
    /// Unpacks images into a directory that is absent or complete.
    pub(super) async fn unpack(
        &self,
        sources: &[Source],
        path: PathBuf,
        options: &PullOptions,
    ) -> Result<Pulled, Error> {
        let selection = selection(&options.paths)?;
        let names = if cfg!(windows) { NamePolicy::Refuse } else { options.names };
        // A destination that cannot be used is refused before anything is fetched.
        let prepare = {
            let (path, existing) = (path.clone(), options.existing);
            move || Ok(Staging::prepare(&path, staging::Options { existing })?)
        };
        let staging = blocking(prepare.clone()).await?;
        let operation = self.operation()?;
        if options.existing == Existing::InPlace {
            operation.watch.on(&Event::Warning(
                "the directory is filled in place: until the pull has succeeded, it may hold a part of the image",
            ));
        }
        let mut images = self.images(sources, &operation).await?;
        let mut staging = Some(staging);
        let (staging, merged) = self
            .merge(&mut images, selection, async |selection| {
                let staging = match staging.take() {
                    Some(staging) => staging,
                    None => blocking(prepare.clone()).await?,
                };
                let fs = DiskFs::open(staging.root())?.limit_report(self.settings.limits.tree_bytes);
                let spool = Spool::open(&staging.spool())?;
                let unpacker = Unpacker::new(fs, Options { limits: self.settings.limits.clone(), selection, names });
                Ok((Chain::new(unpacker, Some(spool)), Arc::new(staging)))
            })
            .await?;
        let Merged { unpacked, fetched, stored } = merged;
        let counts = counts(&unpacked);
        let mut report = unpacked.report;
        report.absorb(unpacked.fs.into_report());
        let staging = Arc::into_inner(staging).ok_or_else(|| Error::internal("a worker outlived its pull"))?;
        let committed = blocking(move || Ok(staging.commit()?)).await?;
        let mut warnings = operation.watch.warnings();
        warnings.extend(committed.leftover.map(|error| error.to_string()));
        Ok(Pulled {
            checked: all_checked(&images),
            images: infos(images),
            destination: Some(path),
            unpacked: Some(counts),
            report,
            warnings,
            blobs_fetched: fetched,
            blobs_stored: stored,
        })
    }

    /// Resolves images that can be unpacked.
    pub(super) async fn images(
        &self,
        sources: &[Source],
        operation: &Operation,
    ) -> Result<Vec<(Access, Resolution)>, Error> {
        let mut images = Vec::new();
        for source in sources {
            let mut access = self.access(source, operation).await?;
            let resolution = access.image().await?;
            if let Manifest::Image(manifest) = &resolution.image.manifest.manifest {
                let digest = resolution.info.manifest.digest.clone();
                manifest.check_unpackable().map_err(|source| Error::NotUnpackable { digest, source })?;
            }
            access.announce(&resolution.info, &resolution.info.layers);
            images.push((access, resolution));
        }
        Ok(images)
    }

    /// Decodes the layers of all images into one tree, again from the beginning where stored bytes
    /// turn out wrong or a selection has to grow.
    pub(super) async fn merge<F, G>(
        &self,
        images: &mut [(Access, Resolution)],
        mut selection: Selection,
        mut begin: impl AsyncFnMut(Selection) -> Result<(Arc<Chain<F>>, Arc<G>), Error>,
    ) -> Result<(Arc<G>, Merged<F>), Error>
    where
        F: Staged,
        F::File: Send,
        F::Error: Into<Error>,
        G: Send + Sync + 'static,
    {
        let mut stale = BTreeSet::new();
        loop {
            let (chain, guard) = begin(selection.clone()).await?;
            let _abandon = Abandon(chain.clone());
            match self.decode(images, &chain, &guard).await {
                Err(error) => match error.stale() {
                    Some(digest) if stale.insert(digest.clone()) => continue,
                    Some(_) | None => return Err(error),
                },
                Ok((fetched, stored)) => {
                    let unpacker = chain.take().ok_or_else(|| Error::internal("the last layer kept the tree"))?;
                    match blocking(move || unpacker.finish().map_err(Error::from_unpack)).await? {
                        Outcome::Complete(unpacked) => return Ok((guard, Merged { unpacked, fetched, stored })),
                        Outcome::NeedsAnotherPass { selection: grown, .. } => selection = grown,
                    }
                }
            }
        }
    }

    /// Runs all layers of all images through a chain; returns how many blobs were fetched and stored.
    async fn decode<F, G>(
        &self,
        images: &mut [(Access, Resolution)],
        chain: &Arc<Chain<F>>,
        guard: &Arc<G>,
    ) -> Result<(usize, usize), Error>
    where
        F: Staged,
        F::File: Send,
        G: Send + Sync + 'static,
    {
        let (mut fetched, mut stored, mut first) = (0, 0, 0);
        for (access, resolution) in images {
            let layers = resolution.info.layers.clone();
            let uses = uses(&resolution.info, &self.settings.limits, |index| Link(chain.clone(), first + index));
            first += layers.len();
            let keep = Some(guard.clone() as Arc<dyn std::any::Any + Send + Sync>);
            let observer = access.watch.clone();
            let work = Arc::new(ImageWork { store: access.store.clone(), observer, uses, keep });
            let outcome = access.transfer(layers, work, || chain.abandon()).await?;
            fetched += outcome.fetched;
            stored += outcome.stored;
        }
        Ok((fetched, stored))
    }
}

/// Wakes the layers that wait for their turn when the pull is over or dropped.
struct Abandon<F: Staged>(Arc<Chain<F>>)
where
    F::File: Send;

impl<F: Staged> Drop for Abandon<F>
where
    F::File: Send,
{
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// A merged tree, and where its blobs came from.
pub(super) struct Merged<F> {
    pub(super) unpacked: Unpacked<F>,
    pub(super) fetched: usize,
    pub(super) stored: usize,
}

impl Staged for DiskFs {
    fn place(unpacker: &mut Unpacker<Self>, entry: &Entry, spool: &LayerSpool, spooled: Spooled) -> Result<(), Error> {
        unpacker
            .place_file(entry, |fs, place| fs.adopt(place, spool, spooled, &entry.metadata))
            .map_err(Error::from_unpack)
    }
}

/// Says what becomes of each layer of an image: decoded, towards where `receiver` says.
pub(super) fn uses<U>(info: &ImageInfo, limits: &Limits, receiver: impl Fn(usize) -> U) -> Vec<Use<U>> {
    let diff_ids = info.config.as_ref().map(|config| config.diff_ids.as_slice()).unwrap_or_default();
    let decode = |(index, (layer, diff_id)): (usize, (&Arc<Descriptor>, _))| {
        Use::Decode(layer_spec(layer, Clone::clone(diff_id), limits), receiver(index))
    };
    info.layers.iter().zip(diff_ids).enumerate().map(decode).collect()
}

pub(super) fn layer_spec(layer: &Descriptor, diff_id: Digest, limits: &Limits) -> LayerSpec {
    LayerSpec {
        digest: layer.digest.clone(),
        size: layer.size,
        diff_id,
        media_type: layer.media_type.as_str().to_owned(),
        limits: limits.clone(),
    }
}

/// Reads the paths of a selection; none selects everything.
pub(super) fn selection(paths: &[String]) -> Result<Selection, Error> {
    if paths.is_empty() {
        return Ok(Selection::everything());
    }
    let clean =
        |path: &String| EntryPath::clean(path.as_bytes()).map_err(|source| Error::Path { path: path.clone(), source });
    Ok(Selection::paths(paths.iter().map(clean).collect::<Result<Vec<_>, _>>()?))
}

pub(super) fn counts<F>(unpacked: &Unpacked<F>) -> Counts {
    Counts { standing: unpacked.standing, entries: unpacked.entries, bytes: unpacked.bytes }
}

/// Says that all layers have been decoded.
pub(super) fn all_checked(images: &[(Access, Resolution)]) -> Checked {
    let diff_ids = images.iter().map(|(_, resolution)| resolution.info.layers.len()).sum();
    Checked { diff_ids, digests_only: 0 }
}

pub(super) fn infos(images: Vec<(Access, Resolution)>) -> Vec<ImageInfo> {
    images.into_iter().map(|(_, resolution)| resolution.info).collect()
}
