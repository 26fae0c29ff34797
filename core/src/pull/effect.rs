//! What passes between the machine and its host: effects out, inputs in, all plain data.

use std::fmt;
use std::sync::Arc;

use crate::digest::Digest;
use crate::manifest::Descriptor;
use crate::request::{Request, ResponseHead};

/// Names one piece of work of one [`Pull`](super::Pull); never used again by that machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

/// Something the host has to do. What is answered says so; the rest is fire and forget.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Look for a small blob (a manifest, an index, a config) in the local store.
    ///
    /// Answer: [`Input::Found`] or [`Input::Missing`]. What is found is verified here again.
    LookUp {
        /// The job to answer.
        job: JobId,
        /// The blob.
        digest: Digest,
        /// More bytes than this are as good as missing.
        limit: u64,
    },
    /// Look for the digest that a tag had when it was last resolved.
    ///
    /// Answer: [`Input::Recalled`] or [`Input::Missing`].
    Recall {
        /// The job to answer.
        job: JobId,
        /// The reference without a digest, normalised.
        reference: String,
    },
    /// Keep the digest that a tag has now.
    Remember {
        /// The reference without a digest, normalised.
        reference: String,
        /// What it resolved to.
        digest: Digest,
    },
    /// Keep a small blob, which has been verified.
    Keep {
        /// The blob's digest.
        digest: Digest,
        /// The blob, exactly as served.
        bytes: Arc<[u8]>,
    },
    /// Send a request and read its whole body.
    ///
    /// Answer: [`Input::Response`], or [`Input::Failed`]; with a body longer than `limit`,
    /// [`FailureKind::TooLarge`].
    Fetch {
        /// The job to answer.
        job: JobId,
        /// What to send.
        request: Request,
        /// Bytes of the body at the most.
        limit: u64,
    },
    /// Make a sink ready for a blob, and look what of it is stored already.
    ///
    /// Answer: [`Input::Opened`].
    Open {
        /// The job to answer, and the name of the sink from now on.
        job: JobId,
        /// The blob's place in the list that the plan was given.
        index: usize,
        /// The blob.
        descriptor: Arc<Descriptor>,
    },
    /// Send a request whose body belongs into the job's sink; where the job has none, only the head is
    /// wanted, and the body is closed at once.
    ///
    /// Answer: [`Input::Head`] as soon as the head is there (a body of an error status is read up
    /// to the token limit and comes with it), or [`Input::Failed`].
    Stream {
        /// The job to answer.
        job: JobId,
        /// What to send.
        request: Request,
    },
    /// Let the body of the head just given flow into the sink, without its first `skip` bytes.
    ///
    /// Answer: [`Input::BodyEnd`], [`Input::Failed`], or [`Input::Sealed`] with an error where the
    /// sink refused the bytes.
    Accept {
        /// The job to answer.
        job: JobId,
        /// Bytes of the body that the sink has already.
        skip: u64,
    },
    /// Close the response of the head just given without reading its body.
    Refuse {
        /// The job.
        job: JobId,
    },
    /// Check that the sink's blob is whole and right, and give it its final name.
    ///
    /// Answer: [`Input::Sealed`].
    Seal {
        /// The job to answer.
        job: JobId,
    },
    /// Forget a stored blob that turned out not to be what its name says.
    Discard {
        /// The blob.
        digest: Digest,
    },
    /// Stop the job and close its sink; what was stored safely may stay for a later resume.
    Abort {
        /// The job; no answer is expected any more.
        job: JobId,
    },
    /// Tell whoever watches.
    Note(Note),
}

impl Effect {
    /// Returns the job that it is a step of; `None` for what is carried out in any case.
    #[must_use]
    pub fn job(&self) -> Option<JobId> {
        match self {
            Self::LookUp { job, .. }
            | Self::Recall { job, .. }
            | Self::Fetch { job, .. }
            | Self::Open { job, .. }
            | Self::Stream { job, .. }
            | Self::Accept { job, .. }
            | Self::Refuse { job }
            | Self::Seal { job }
            | Self::Abort { job } => Some(*job),
            Self::Remember { .. } | Self::Keep { .. } | Self::Discard { .. } | Self::Note(_) => None,
        }
    }
}

/// What the host answers.
#[derive(Clone, Debug)]
pub enum Input {
    /// The local store has the blob.
    Found {
        /// The job.
        job: JobId,
        /// The blob, not necessarily intact.
        bytes: Vec<u8>,
    },
    /// The local store knows what the tag was.
    Recalled {
        /// The job.
        job: JobId,
        /// What it resolved to.
        digest: Digest,
    },
    /// The local store has nothing.
    Missing {
        /// The job.
        job: JobId,
    },
    /// A whole answer of any status.
    Response {
        /// The job.
        job: JobId,
        /// Status and headers.
        head: ResponseHead,
        /// The body.
        body: Vec<u8>,
    },
    /// The sink is ready.
    Opened {
        /// The job.
        job: JobId,
        /// What it holds.
        stored: Stored,
    },
    /// The head of an answer to [`Effect::Stream`].
    Head {
        /// The job.
        job: JobId,
        /// Status and headers.
        head: ResponseHead,
        /// The beginning of the body, of an error status only.
        error: Vec<u8>,
    },
    /// A streamed body ended by itself.
    BodyEnd {
        /// The job.
        job: JobId,
        /// Bytes of the blob that the sink has now, from its beginning.
        held: u64,
    },
    /// The sink's blob was verified, or is wrong.
    Sealed {
        /// The job.
        job: JobId,
        /// Whether the blob is what its descriptor says.
        verdict: Verdict,
    },
    /// The exchange broke, or was never begun.
    Failed {
        /// The job.
        job: JobId,
        /// How.
        failure: Failure,
        /// Bytes of the blob that the sink has now, from its beginning; of a stream only.
        held: u64,
    },
    /// The time that [`Next::Wait`](super::Next::Wait) named has come.
    Tick,
}

/// What a sink holds when it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// The first `length` bytes, perhaps none; the rest has to be fetched.
    Partial {
        /// Bytes from the blob's beginning.
        length: u64,
    },
    /// The whole blob, which the host verifies by itself: [`Input::Sealed`] follows.
    Complete,
}

/// What verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The blob is right and has its final name.
    Verified,
    /// The bytes are wrong. The host keeps the typed error; the machine decides what follows.
    Wrong,
    /// The host could not go on for a reason of its own, which it keeps.
    HostFailed,
}

/// Why an exchange failed below HTTP.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct Failure {
    /// What is known of the reason.
    pub kind: FailureKind,
    /// The host's words, without secrets.
    pub message: String,
}

/// The reasons that the machine tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// The host name has no address.
    UnknownHost,
    /// No connection came about.
    Connect,
    /// TLS failed in a way that no other reason names: no common version, a client certificate wanted.
    Tls,
    /// The peer wants a client certificate, or another one than it was shown.
    ClientCertificate,
    /// The peer's certificate is from an authority that is not trusted.
    UntrustedCertificate,
    /// The peer's certificate is for another name.
    CertificateName,
    /// The peer's certificate has expired, or is not valid yet.
    CertificateTime,
    /// The peer spoke plain HTTP where TLS was expected.
    PlainHttp,
    /// The peer expected TLS where plain HTTP was spoken.
    TlsExpected,
    /// A deadline passed.
    TimedOut,
    /// The connection broke, or the body ended early.
    Broken,
    /// The body is longer than allowed.
    TooLarge,
    /// The address is one that must not be reached.
    Forbidden,
}

impl FailureKind {
    /// Tells whether trying again can help.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        match self {
            Self::Connect | Self::TimedOut | Self::Broken => true,
            Self::UnknownHost
            | Self::Tls
            | Self::ClientCertificate
            | Self::UntrustedCertificate
            | Self::CertificateName
            | Self::CertificateTime
            | Self::PlainHttp
            | Self::TlsExpected
            | Self::TooLarge
            | Self::Forbidden => false,
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownHost => "unknown host",
            Self::Connect => "cannot connect",
            Self::Tls => "TLS failed",
            Self::ClientCertificate => "the server demands a client certificate that it trusts",
            Self::UntrustedCertificate => "the certificate's authority is not trusted",
            Self::CertificateName => "the certificate is for another name",
            Self::CertificateTime => "the certificate is not valid now",
            Self::PlainHttp => "the server speaks plain http, not https",
            Self::TlsExpected => "the server speaks https, not plain http",
            Self::TimedOut => "deadline passed",
            Self::Broken => "connection broke",
            Self::TooLarge => "body too large",
            Self::Forbidden => "address refused",
        })
    }
}

/// Something worth telling to whoever watches a pull.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// A request is about to be sent.
    Request {
        /// Its method and address, without a query.
        request: String,
    },
    /// A request is tried again after a pause.
    Retry {
        /// Its method and address, without a query.
        request: String,
        /// What went wrong.
        reason: String,
        /// The pause, in milliseconds.
        pause: u64,
    },
    /// A registry's own warning (`Warning: 299`), made safe for a terminal.
    Warning {
        /// The text.
        text: String,
    },
}
