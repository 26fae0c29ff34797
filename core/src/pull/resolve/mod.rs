//! From a reference to a manifest, and through indexes to the image for a platform.

mod candidates;

use std::sync::Arc;

use self::candidates::{Candidates, Trial};
use super::effect::{Effect, JobId};
use super::engine::{Engine, Event};
use super::error::PullError;
use super::fetched::{self, Fetched, unusable};
use super::load::{Kind, Load};
use super::sealed::Steps;
use super::session::Network;
use crate::digest::Digest;
use crate::manifest::{ACCEPT, Declared, Descriptor, ImageConfig, Kind as ManifestKind, Manifest, MediaType, Platform};
use crate::reference::Reference;
use crate::request::Method;

/// What a [`Resolve`] is to end with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want {
    /// The manifest or index that the reference names.
    Manifest,
    /// The image or artifact too, chosen for a platform where there is an index, and its config.
    Image(PlatformChoice),
}

/// The platform that an image is for, and whether somebody asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlatformChoice {
    /// The host's own: chooses in an index; a single image is taken whatever it is for.
    Host(Platform),
    /// Asked for by name: a single image for another platform is refused.
    Explicit(Platform),
}

/// What a reference resolved to.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The manifest or index that the reference names.
    pub top: Fetched,
    /// The image, where one was wanted.
    pub image: Option<Image>,
}

/// An image or artifact and its config.
#[derive(Clone, Debug)]
pub struct Image {
    /// The manifest; the same as the top one where there is no index.
    pub manifest: Fetched,
    /// The config exactly as served.
    pub config: Arc<[u8]>,
    /// What the config says; an artifact's is never parsed.
    pub kind: ImageKind,
}

/// Whether a manifest describes an image.
#[derive(Clone, Debug)]
pub enum ImageKind {
    /// An image, with as many diff_ids as layers.
    Image(Box<ImageConfig>),
    /// An artifact.
    Artifact {
        /// Its type, not made safe for a terminal.
        artifact_type: String,
    },
}

/// The plan that resolves a reference.
///
/// A tag is looked up once; everything after it uses digests. What the local store has is verified
/// and used, so that a known image costs one answer of the registry.
#[derive(Debug)]
pub struct Resolve {
    target: Target,
    want: Want,
    at: At,
    top: Option<Fetched>,
    candidates: Candidates,
}

#[derive(Debug)]
enum Target {
    Tag { reference: String, tag: String },
    Digest { digest: Digest, media_type: Option<MediaType> },
}

/// Where the plan is.
#[derive(Debug)]
enum At {
    Start,
    /// Waits for what the tag was when it was last resolved.
    Recalling(JobId),
    /// Waits for the head of the tag's manifest, to know whether it is stored.
    Asking(JobId),
    /// Waits for the tag's manifest from the local store.
    Finding(JobId, Digest),
    /// Waits for the tag's manifest from the registry.
    Getting(JobId),
    /// Loads the manifest that a digest names.
    Top(Load),
    /// Loads a candidate's manifest.
    Candidate(Load, Box<Trial>),
    /// Loads the config of an image.
    Config(Load, Box<Fetched>, Option<Box<Trial>>),
    Ended,
}

impl Resolve {
    /// Plans to resolve a reference; with a tag and a digest, the digest decides.
    #[must_use]
    pub fn new(reference: &Reference, want: Want) -> Self {
        let target = match (reference.digest(), reference.tag()) {
            (Some(digest), _) => Target::Digest { digest: digest.clone(), media_type: None },
            (None, tag) => {
                let tag = tag.unwrap_or(reference.target()).to_owned();
                Target::Tag { reference: reference.to_string(), tag }
            }
        };
        Self::begin(target, want)
    }

    /// Plans to resolve what a descriptor names, for example one of a local layout's index.
    #[must_use]
    pub fn descriptor(descriptor: &Descriptor, want: Want) -> Self {
        let media_type = Some(descriptor.media_type.clone());
        Self::begin(Target::Digest { digest: descriptor.digest.clone(), media_type }, want)
    }

    fn begin(target: Target, want: Want) -> Self {
        Self { target, want, at: At::Start, top: None, candidates: Candidates::default() }
    }
}

type Flow = Option<Result<Resolved, PullError>>;

impl Steps for Resolve {
    type Outcome = Resolved;

    fn start(&mut self, engine: &mut Engine) -> Flow {
        self.at = match &self.target {
            Target::Tag { reference, .. } => At::Recalling(engine.recall(reference.clone())),
            Target::Digest { digest, .. } => match Load::start(engine, Kind::Manifest, digest, None) {
                Ok(load) => At::Top(load),
                Err(error) => return Some(Err(error)),
            },
        };
        None
    }

    fn on(&mut self, event: Event, engine: &mut Engine) -> Flow {
        match std::mem::replace(&mut self.at, At::Ended) {
            At::Start | At::Ended => None,
            At::Recalling(job) => self.recalled(job, event, engine),
            At::Asking(job) => self.asked(job, event, engine),
            At::Finding(job, digest) => self.found(job, digest, event, engine),
            At::Getting(job) => self.got(job, event, engine),
            At::Top(mut load) => match load.on(event, engine) {
                None => {
                    self.at = At::Top(load);
                    None
                }
                Some(Err(error)) => Some(Err(error)),
                Some(Ok(bytes)) => {
                    let Target::Digest { digest, media_type } = &self.target else { return None };
                    let declared = match media_type {
                        Some(media_type) => Declared::Described(media_type),
                        None => Declared::Served(None),
                    };
                    let limits = &engine.session.limits;
                    match fetched::read(load.what(), Some(digest.clone()), bytes, declared, limits) {
                        Ok(top) => self.resolved(top, engine),
                        Err(error) => Some(Err(error)),
                    }
                }
            },
            At::Candidate(mut load, trial) => match load.on(event, engine) {
                None => {
                    self.at = At::Candidate(load, trial);
                    None
                }
                Some(Err(error)) => Some(Err(error)),
                Some(Ok(bytes)) => {
                    let declared = Declared::Described(&trial.descriptor.media_type);
                    let digest = trial.descriptor.digest.clone();
                    match fetched::read(load.what(), Some(digest), bytes, declared, &engine.session.limits) {
                        Ok(fetched) => self.enter(fetched, Some(trial), engine),
                        Err(error) => Some(Err(error)),
                    }
                }
            },
            At::Config(mut load, manifest, trial) => match load.on(event, engine) {
                None => {
                    self.at = At::Config(load, manifest, trial);
                    None
                }
                Some(Err(error)) => Some(Err(error)),
                Some(Ok(config)) => self.configured(load.what(), *manifest, config, trial, engine),
            },
        }
    }
}

/// A tag's manifest.
impl Resolve {
    fn recalled(&mut self, job: JobId, event: Event, engine: &mut Engine) -> Flow {
        let Some(recalled) = event.recalled() else {
            self.at = At::Recalling(job);
            return None;
        };
        match (recalled, engine.session.network) {
            (Some(_), Network::Online) => {
                // Its manifest is likely to be stored: then a head is all that has to be asked for.
                let url = engine.session.url(&format!("manifests/{}", self.tag()));
                let limit = engine.session.limits.token_bytes;
                self.at = At::Asking(engine.ask(Method::Head, url, Some(ACCEPT), limit));
                None
            }
            (Some(digest), Network::Offline | Network::Local) => {
                match Load::start(engine, Kind::Manifest, &digest, None) {
                    Ok(load) => {
                        self.target = Target::Digest { digest, media_type: None };
                        self.at = At::Top(load);
                        None
                    }
                    Err(error) => Some(Err(error)),
                }
            }
            (None, _) => match engine.session.must_be_online(|| format!("the tag {}", self.tag())) {
                Ok(()) => self.get(engine),
                Err(error) => Some(Err(error)),
            },
        }
    }

    fn asked(&mut self, job: JobId, event: Event, engine: &mut Engine) -> Flow {
        match event.answer() {
            None => {
                self.at = At::Asking(job);
                None
            }
            Some(Ok((head, _))) => {
                // The header is a claim: it may select what is stored and verified, no more.
                match head.headers.get("Docker-Content-Digest").and_then(|value| value.parse::<Digest>().ok()) {
                    Some(digest) => {
                        let job = engine.look_up(digest.clone(), engine.session.limits.manifest_bytes);
                        self.at = At::Finding(job, digest);
                        None
                    }
                    None => self.get(engine),
                }
            }
            // GET's answer says why, too.
            Some(Err(error)) if error.may_be_of_head_alone() || matches!(error, PullError::NotFound { .. }) => {
                self.get(engine)
            }
            Some(Err(error)) => Some(Err(error)),
        }
    }

    fn found(&mut self, job: JobId, digest: Digest, event: Event, engine: &mut Engine) -> Flow {
        let what = format!("the manifest {digest}");
        match event.found() {
            None => {
                self.at = At::Finding(job, digest);
                None
            }
            Some(Some(bytes)) if fetched::verify(&what, &digest, &bytes).is_ok() => {
                let limits = &engine.session.limits;
                match fetched::read(&what, Some(digest), bytes.into(), Declared::Served(None), limits) {
                    Ok(top) => {
                        self.remember(&top, engine);
                        self.resolved(top, engine)
                    }
                    Err(error) => Some(Err(error)),
                }
            }
            Some(Some(_) | None) => self.get(engine),
        }
    }

    fn get(&mut self, engine: &mut Engine) -> Flow {
        let url = engine.session.url(&format!("manifests/{}", self.tag()));
        self.at = At::Getting(engine.ask(Method::Get, url, Some(ACCEPT), engine.session.limits.manifest_bytes));
        None
    }

    fn got(&mut self, job: JobId, event: Event, engine: &mut Engine) -> Flow {
        let (head, body) = match event.answer() {
            None => {
                self.at = At::Getting(job);
                return None;
            }
            Some(Ok(answer)) => answer,
            Some(Err(error)) => return Some(Err(error.naming(|| self.name()))),
        };
        let what = format!("the manifest {}", self.tag());
        let declared = Declared::Served(head.headers.get("Content-Type"));
        match fetched::read(&what, None, body.into(), declared, &engine.session.limits) {
            Ok(top) => {
                engine.tell(Effect::Keep { digest: top.digest.clone(), bytes: top.bytes.clone() });
                self.remember(&top, engine);
                self.resolved(top, engine)
            }
            Err(error) => Some(Err(error)),
        }
    }

    fn remember(&self, top: &Fetched, engine: &mut Engine) {
        if let Target::Tag { reference, .. } = &self.target {
            engine.tell(Effect::Remember { reference: reference.clone(), digest: top.digest.clone() });
        }
    }

    fn tag(&self) -> &str {
        match &self.target {
            Target::Tag { tag, .. } => tag,
            Target::Digest { digest, .. } => digest.as_str(),
        }
    }

    fn name(&self) -> String {
        match &self.target {
            Target::Tag { reference, .. } => reference.clone(),
            Target::Digest { digest, .. } => format!("the manifest {digest}"),
        }
    }
}

/// Through indexes to an image.
impl Resolve {
    fn resolved(&mut self, top: Fetched, engine: &mut Engine) -> Flow {
        self.top = Some(top.clone());
        match &self.want {
            Want::Manifest => self.end(None),
            Want::Image(_) => self.enter(top, None, engine),
        }
    }

    fn end(&mut self, image: Option<Image>) -> Flow {
        self.top.take().map(|top| Ok(Resolved { top, image }))
    }

    fn enter(&mut self, fetched: Fetched, trial: Option<Box<Trial>>, engine: &mut Engine) -> Flow {
        match &fetched.manifest {
            Manifest::Index(index) => {
                let depth = trial.map_or(0, |trial| trial.depth);
                match self.candidates.add(&fetched.digest, index, &self.platform(), depth, engine) {
                    Ok(()) => self.next_candidate(engine),
                    Err(error) => Some(Err(error)),
                }
            }
            Manifest::Image(manifest) => {
                let config = &manifest.config;
                if let Some(data) = &config.data {
                    let data: Arc<[u8]> = data.as_slice().into();
                    let what = format!("the config {}", config.digest);
                    return self.configured(&what, fetched, data, trial, engine);
                }
                match Load::start(engine, Kind::Config, &config.digest, Some(config.size)) {
                    Ok(load) => {
                        self.at = At::Config(load, Box::new(fetched), trial);
                        None
                    }
                    Err(error) => Some(Err(error)),
                }
            }
        }
    }

    fn platform(&self) -> Platform {
        match &self.want {
            Want::Image(PlatformChoice::Host(platform) | PlatformChoice::Explicit(platform)) => platform.clone(),
            Want::Manifest => Platform::default_for("amd64"),
        }
    }

    fn next_candidate(&mut self, engine: &mut Engine) -> Flow {
        let Some(trial) = self.candidates.next() else {
            return self.candidates.none_fits(&self.platform()).map(Err);
        };
        match Load::start(engine, Kind::Manifest, &trial.descriptor.digest, Some(trial.descriptor.size)) {
            Ok(load) => {
                self.at = At::Candidate(load, Box::new(trial));
                None
            }
            Err(error) => Some(Err(error)),
        }
    }

    fn configured(
        &mut self,
        what: &str,
        manifest: Fetched,
        config: Arc<[u8]>,
        trial: Option<Box<Trial>>,
        engine: &mut Engine,
    ) -> Flow {
        let Manifest::Image(image) = &manifest.manifest else { return None };
        let kind = match image.kind() {
            ManifestKind::Artifact { artifact_type } => ImageKind::Artifact { artifact_type: artifact_type.to_owned() },
            ManifestKind::Image => match ImageConfig::parse(&config) {
                Err(error) => return Some(Err(unusable(what, error))),
                Ok(parsed) => ImageKind::Image(Box::new(parsed)),
            },
        };
        if let ImageKind::Image(parsed) = &kind {
            let fits = || parsed.platform().is_some_and(|platform| self.platform().preference(&platform).is_some());
            match (&trial, &self.want) {
                (Some(trial), _) if trial.unlabelled && !fits() => {
                    self.candidates.note(parsed.platform().iter());
                    return self.next_candidate(engine);
                }
                (None, Want::Image(PlatformChoice::Explicit(platform))) => {
                    if let Err(error) = platform.accepts(parsed) {
                        return Some(Err(unusable(what, error)));
                    }
                }
                (Some(_) | None, _) => {}
            }
            if let Err(error) = parsed.check_layers(image) {
                return Some(Err(unusable(what, error)));
            }
        }
        self.end(Some(Image { manifest, config, kind }))
    }
}
