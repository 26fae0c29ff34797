//! Lists what refers to a manifest (distribution-spec 1.1, "Listing Referrers").

use super::engine::{Engine, Event};
use super::error::PullError;
use super::fetched::unusable;
use super::pages::Pages;
use super::sealed::Steps;
use crate::digest::Digest;
use crate::manifest::{ACCEPT, Declared, Descriptor, Manifest};
use crate::request::{Headers, Method, ResponseHead};
use crate::url::Url;

/// The plan that lists the signatures, attestations and other artifacts that name a manifest as their
/// subject.
///
/// A registry without the referrers API answers 404; then the index under the tag that the
/// specification makes of the digest is read, and where there is none, nothing refers to the manifest.
/// Where a registry does not say that it has filtered (`OCI-Filters-Applied`), that is done here.
#[derive(Debug)]
pub struct Referrers {
    subject: Digest,
    artifact_type: Option<String>,
    found: Vec<Descriptor>,
    at: At,
}

#[derive(Debug)]
enum At {
    /// Waits for a page of the registry's own listing.
    Listing(Pages),
    /// Waits for the index under the subject's tag.
    Tag,
}

impl Referrers {
    /// Plans to list the referrers of `subject`, or those of one artifact type.
    #[must_use]
    pub fn new(subject: Digest, artifact_type: Option<String>) -> Self {
        let at = At::Listing(Pages::new("the listing of referrers"));
        Self { subject, artifact_type, found: Vec::new(), at }
    }

    fn page(&mut self, url: Url, engine: &mut Engine) -> Flow {
        let At::Listing(pages) = &mut self.at else { return None };
        let limit = engine.session.limits.manifest_bytes;
        pages.ask(url, Some(INDEX), limit, engine).err().map(Err)
    }

    fn listed(&mut self, answer: Result<(ResponseHead, Vec<u8>), PullError>, engine: &mut Engine) -> Flow {
        let At::Listing(pages) = &self.at else { return None };
        let (head, body) = match answer {
            Ok(answer) => answer,
            Err(PullError::NotFound { .. }) if pages.is_first() => return self.ask_tag(engine),
            Err(error) => return Some(Err(error.naming(|| self.name()))),
        };
        let next = pages.next(&head.headers);
        let taken = self.take(&head.headers, &body, is_filtered(&head.headers), engine);
        match taken.and(next) {
            Ok(Some(next)) => self.page(next, engine),
            Ok(None) => self.end(),
            Err(error) => Some(Err(error)),
        }
    }

    fn ask_tag(&mut self, engine: &mut Engine) -> Flow {
        self.at = At::Tag;
        let url = engine.session.url(&format!("manifests/{}", tag(&self.subject)));
        engine.ask(Method::Get, url, Some(ACCEPT), engine.session.limits.manifest_bytes);
        None
    }

    fn tagged(&mut self, answer: Result<(ResponseHead, Vec<u8>), PullError>, engine: &Engine) -> Flow {
        match answer {
            Ok((head, body)) => match self.take(&head.headers, &body, false, engine) {
                Ok(()) => self.end(),
                Err(error) => Some(Err(error)),
            },
            Err(PullError::NotFound { .. }) => self.end(),
            Err(error) => Some(Err(error)),
        }
    }

    /// Takes the entries of an index that are asked for.
    fn take(&mut self, headers: &Headers, body: &[u8], filtered: bool, engine: &Engine) -> Result<(), PullError> {
        let declared = Declared::Served(headers.get("content-type"));
        let manifest = Manifest::parse(body, declared, &engine.session.limits);
        let Manifest::Index(index) = manifest.map_err(|source| unusable(&self.name(), source))? else {
            let (request, reason) = (self.name(), "an image stands where an index should".to_owned());
            return Err(PullError::Protocol { request, reason });
        };
        let wanted = self.artifact_type.as_deref().filter(|_| !filtered);
        let fits = |entry: &Descriptor| wanted.is_none_or(|wanted| entry.artifact_type.as_deref() == Some(wanted));
        self.found.extend(index.manifests.into_iter().filter(fits));
        Ok(())
    }

    fn end(&mut self) -> Flow {
        Some(Ok(std::mem::take(&mut self.found)))
    }

    fn name(&self) -> String {
        format!("the listing of what refers to {}", self.subject)
    }
}

/// What the referrers API answers with, and nothing else.
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Tells whether the registry has filtered by artifact type.
fn is_filtered(headers: &Headers) -> bool {
    let mut applied = headers.all("oci-filters-applied").flat_map(|value| value.split(','));
    applied.any(|filter| filter.trim() == "artifactType")
}

/// Returns the tag under which the referrers of a manifest are listed where there is no API ("Referrers
/// Tag Schema"): the digest with `-` for `:`, its parts cut to 32 and 64 characters.
fn tag(subject: &Digest) -> String {
    let cut = |part: &str, length: usize| part.chars().take(length).collect::<String>();
    format!("{}-{}", cut(subject.algorithm_name(), 32), cut(subject.encoded(), 64))
}

type Flow = Option<Result<Vec<Descriptor>, PullError>>;

impl Steps for Referrers {
    type Outcome = Vec<Descriptor>;

    fn start(&mut self, engine: &mut Engine) -> Flow {
        let url = engine.session.url(&format!("referrers/{}", self.subject));
        let url = match &self.artifact_type {
            Some(artifact_type) => url.with_query(&[("artifactType", artifact_type)]),
            None => url,
        };
        self.page(url, engine)
    }

    fn on(&mut self, event: Event, engine: &mut Engine) -> Flow {
        let answer = event.answer()?;
        match &self.at {
            At::Listing(_) => self.listed(answer, engine),
            At::Tag => self.tagged(answer, engine),
        }
    }
}
