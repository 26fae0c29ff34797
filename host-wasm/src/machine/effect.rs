//! Effects as JSON; what they carry in bytes stands beside it.

use oci_fetcher_core::digest::Digest;
use oci_fetcher_core::manifest::{Descriptor, MediaType};
use oci_fetcher_core::pull::{Effect, JobId, Note};
use oci_fetcher_core::request::Request;
use oci_fetcher_core::time::Time;
use serde::Serialize;

use crate::error::Failure;
use crate::json;
use crate::number::number;

/// Writes a pause: until when it lasts, or `null` where only an answer ends it.
pub(super) fn wait(until: Option<Time>) -> Result<String, Failure> {
    #[derive(Serialize)]
    struct Wait {
        wait: Option<u64>,
    }
    Ok(json::text(&Wait { wait: until.map(|Time(until)| until) }))
}

/// Writes an effect, and puts its bytes into `carried`.
pub(super) fn to_json(effect: Effect, carried: &mut Vec<u8>) -> Result<String, Failure> {
    let step = match &effect {
        Effect::LookUp { job: JobId(job), digest, limit } => Step::LookUp { job: *job, digest, limit: *limit },
        Effect::Recall { job: JobId(job), reference } => Step::Recall { job: *job, reference },
        Effect::Remember { reference, digest } => Step::Remember { reference, digest },
        Effect::Keep { digest, bytes } => {
            carried.extend_from_slice(bytes);
            Step::Keep { digest }
        }
        Effect::Fetch { job: JobId(job), request, limit } => {
            carried.extend_from_slice(request.body.as_deref().unwrap_or_default());
            Step::Fetch { job: *job, request: Sent::from(request), limit: *limit }
        }
        Effect::Open { job: JobId(job), index, descriptor } => {
            number(descriptor.size)?;
            Step::Open { job: *job, index: *index, descriptor: Described::from(&**descriptor) }
        }
        Effect::Stream { job: JobId(job), request } => {
            carried.extend_from_slice(request.body.as_deref().unwrap_or_default());
            Step::Stream { job: *job, request: Sent::from(request) }
        }
        Effect::Accept { job: JobId(job), skip } => Step::Accept { job: *job, skip: *skip },
        Effect::Refuse { job: JobId(job) } => Step::Refuse { job: *job },
        Effect::Seal { job: JobId(job) } => Step::Seal { job: *job },
        Effect::Discard { digest } => Step::Discard { digest },
        Effect::Abort { job: JobId(job) } => Step::Abort { job: *job },
        Effect::Note(note) => Step::Note { note: Told::of(note)? },
    };
    Ok(json::text(&step))
}

#[derive(Serialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
enum Step<'e> {
    LookUp { job: u64, digest: &'e Digest, limit: u64 },
    Recall { job: u64, reference: &'e str },
    Remember { reference: &'e str, digest: &'e Digest },
    Keep { digest: &'e Digest },
    Fetch { job: u64, request: Sent<'e>, limit: u64 },
    Open { job: u64, index: usize, descriptor: Described<'e> },
    Stream { job: u64, request: Sent<'e> },
    Accept { job: u64, skip: u64 },
    Refuse { job: u64 },
    Seal { job: u64 },
    Discard { digest: &'e Digest },
    Abort { job: u64 },
    Note { note: Told<'e> },
}

#[derive(Serialize)]
struct Sent<'r> {
    method: &'static str,
    url: &'r str,
    headers: Vec<(&'r str, &'r str)>,
}

impl<'r> From<&'r Request> for Sent<'r> {
    fn from(request: &'r Request) -> Self {
        Self { method: request.method.name(), url: request.url.as_str(), headers: request.headers.iter().collect() }
    }
}

/// A descriptor, as a manifest has it, with what is wanted of it beside.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Described<'d> {
    media_type: &'d MediaType,
    digest: &'d Digest,
    size: u64,
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    annotations: &'d std::collections::BTreeMap<String, String>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    urls: &'d [String],
    /// The name that its author gave it; not checked in any way.
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diff_id: Option<&'d Digest>,
}

impl<'d> Described<'d> {
    /// Adds the digest of the plain tar, of an image's layer.
    pub(super) fn with_diff_id(self, diff_id: Option<&'d Digest>) -> Self {
        Self { diff_id, ..self }
    }
}

impl<'d> From<&'d Descriptor> for Described<'d> {
    fn from(descriptor: &'d Descriptor) -> Self {
        Self {
            media_type: &descriptor.media_type,
            digest: &descriptor.digest,
            size: descriptor.size,
            annotations: &descriptor.annotations,
            urls: &descriptor.urls,
            title: descriptor.title(),
            diff_id: None,
        }
    }
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Told<'n> {
    Request { request: &'n str },
    Retry { request: &'n str, reason: &'n str, pause: u64 },
    Warning { text: &'n str },
}

impl<'n> Told<'n> {
    fn of(note: &'n Note) -> Result<Self, Failure> {
        Ok(match note {
            Note::Request { request } => Self::Request { request },
            Note::Retry { request, reason, pause } => Self::Retry { request, reason, pause: *pause },
            Note::Warning { text } => Self::Warning { text },
            _ => return Err(Failure::misuse("the border does not know this note")),
        })
    }
}
