//! Everything that one manifest or index refers to: what a copy of it has to hold.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::effect::JobId;
use super::engine::{Engine, Event};
use super::entries::Entries;
use super::error::PullError;
use super::fetched::{self, Fetched, unusable};
use super::load::{Kind, Load};
use super::sealed::Steps;
use crate::digest::Digest;
use crate::manifest::{Declared, Descriptor, ImageConfig, ImageManifest, Manifest};
use crate::sorted::SortedMap;

/// The plan that loads every manifest below one, for all platforms, attestations included, and the
/// configs of those that can be unpacked, for what their layers must decode to.
#[derive(Debug)]
pub struct Closure {
    waiting: VecDeque<Item>,
    active: SortedMap<JobId, (Load, Item)>,
    /// Manifests, configs and entries of indexes that were met.
    seen: BTreeSet<String>,
    /// Blobs that are listed, as digest, space and diff_id.
    listed: BTreeSet<String>,
    /// Entries of all indexes.
    entries: Entries,
    outcome: ClosureOutcome,
    top: Option<Fetched>,
}

/// Something to load.
#[derive(Debug)]
enum Item {
    Manifest { descriptor: Box<Descriptor>, depth: u32 },
    Config { image: Box<ImageManifest> },
}

/// What a manifest or index refers to.
#[derive(Clone, Debug, Default)]
pub struct ClosureOutcome {
    /// The manifests and indexes, the outermost first, each once.
    pub manifests: Vec<Fetched>,
    /// The configs of the images, each once; they have been loaded, and are in the store or embedded.
    pub configs: Vec<Arc<Descriptor>>,
    /// The other blobs, each once, or once for each diff_id that images claim for it: layers, artifacts'
    /// configs, and entries of an index that are no manifests.
    pub blobs: Vec<ClosureBlob>,
}

/// A blob, and what is to be verified of it.
#[derive(Clone, Debug)]
pub struct ClosureBlob {
    /// The blob.
    pub descriptor: Arc<Descriptor>,
    /// The digest of the plain tar, of an image's layer. Attestations and artifacts have none.
    pub diff_id: Option<Digest>,
}

/// Manifests and configs that are loaded at once.
const AT_ONCE: usize = 8;

impl Closure {
    /// Plans to load what is below `top`.
    #[must_use]
    pub fn new(top: Fetched) -> Self {
        Self {
            waiting: VecDeque::new(),
            active: SortedMap::default(),
            seen: BTreeSet::new(),
            listed: BTreeSet::new(),
            entries: Entries::default(),
            outcome: ClosureOutcome::default(),
            top: Some(top),
        }
    }

    fn take(&mut self, fetched: Fetched, depth: u32, engine: &Engine) -> Result<(), PullError> {
        self.seen.insert(fetched.digest.to_string());
        match &fetched.manifest {
            Manifest::Index(index) => {
                let limit = engine.session.limits.index_depth;
                if depth >= limit {
                    return Err(PullError::Limit {
                        what: format!("the nesting of the index {}", fetched.digest),
                        limit: u64::from(limit),
                        option: "--max-index-depth",
                    });
                }
                self.entries.add(index.manifests.len(), engine)?;
                for entry in &index.manifests {
                    if !self.seen.insert(entry.digest.to_string()) {
                        continue;
                    }
                    if entry.media_type.is_index() || entry.media_type.is_image_manifest() {
                        self.waiting
                            .push_back(Item::Manifest { descriptor: Box::new(entry.clone()), depth: depth + 1 });
                    } else {
                        self.list(entry, None);
                    }
                }
            }
            Manifest::Image(image) if image.check_unpackable().is_ok() => match &image.config.data {
                Some(data) => self.configured(image, data)?,
                None => self.waiting.push_back(Item::Config { image: Box::new(image.clone()) }),
            },
            Manifest::Image(image) => {
                for blob in std::iter::once(&image.config).chain(&image.layers) {
                    self.list(blob, None);
                }
            }
        }
        self.outcome.manifests.push(fetched);
        Ok(())
    }

    /// Lists the layers of an image with what its config says of them.
    fn configured(&mut self, image: &ImageManifest, config: &[u8]) -> Result<(), PullError> {
        let what = || format!("the config {}", image.config.digest);
        let parsed = ImageConfig::parse(config).map_err(|error| unusable(&what(), error))?;
        parsed.check_layers(image).map_err(|error| unusable(&what(), error))?;
        if self.seen.insert(image.config.digest.to_string()) {
            self.outcome.configs.push(Arc::new(image.config.clone()));
        }
        for (layer, diff_id) in image.layers.iter().zip(parsed.diff_ids) {
            self.list(layer, Some(diff_id));
        }
        Ok(())
    }

    fn list(&mut self, blob: &Descriptor, diff_id: Option<Digest>) {
        let diff_id_text = diff_id.as_ref().map_or("", Digest::as_str);
        if self.listed.insert(format!("{} {diff_id_text}", blob.digest)) {
            self.outcome.blobs.push(ClosureBlob { descriptor: Arc::new(blob.clone()), diff_id });
        }
    }

    fn loaded(&mut self, what: &str, item: Item, bytes: Arc<[u8]>, engine: &Engine) -> Result<(), PullError> {
        match item {
            Item::Manifest { descriptor, depth } => {
                let declared = Declared::Described(&descriptor.media_type);
                let digest = descriptor.digest.clone();
                let fetched = fetched::read(what, Some(digest), bytes, declared, &engine.session.limits)?;
                self.take(fetched, depth, engine)
            }
            Item::Config { image } => self.configured(&image, &bytes),
        }
    }

    fn begin(&mut self, engine: &mut Engine) -> Option<Result<ClosureOutcome, PullError>> {
        while self.active.len() < AT_ONCE {
            let Some(item) = self.waiting.pop_front() else { break };
            let (kind, descriptor) = match &item {
                Item::Manifest { descriptor, .. } => (Kind::Manifest, &**descriptor),
                Item::Config { image } => (Kind::Config, &image.config),
            };
            match Load::start(engine, kind, &descriptor.digest, Some(descriptor.size)) {
                Ok(load) => self.active.insert(load.job(), (load, item)),
                Err(error) => return Some(Err(error)),
            };
        }
        self.active.is_empty().then(|| Ok(std::mem::take(&mut self.outcome)))
    }
}

impl Steps for Closure {
    type Outcome = ClosureOutcome;

    fn start(&mut self, engine: &mut Engine) -> Option<Result<ClosureOutcome, PullError>> {
        let top = self.top.take()?;
        match self.take(top, 0, engine) {
            Ok(()) => self.begin(engine),
            Err(error) => Some(Err(error)),
        }
    }

    fn on(&mut self, event: Event, engine: &mut Engine) -> Option<Result<ClosureOutcome, PullError>> {
        let (mut load, item) = self.active.remove(&event.job())?;
        match load.on(event, engine) {
            None => {
                self.active.insert(load.job(), (load, item));
                None
            }
            Some(loaded) => match loaded.and_then(|bytes| self.loaded(load.what(), item, bytes, engine)) {
                Ok(()) => self.begin(engine),
                Err(error) => Some(Err(error)),
            },
        }
    }
}
