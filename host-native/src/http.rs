//! Sends the core's requests with reqwest, and says in the core's words what went wrong.
//!
//! Where a registry leads elsewhere, the names that it gives out are looked up within [`Bounds`], and the
//! connection is made to an address that was checked. A proxy looks names up by itself, and so has to
//! bound them by itself: only addresses that are spelt out are checked before it is asked.

mod clients;
mod failure;
mod resolver;
mod tls;

use std::time::{Duration, Instant};

use bytes::Bytes;
use oci_fetcher_core::pull::{Failure, FailureKind};
use oci_fetcher_core::request::{Headers, Method, Request, ResponseHead};
use oci_fetcher_core::url::{AddressPolicy, Bounds, Origin};
use tokio::time::timeout;

use clients::Clients;
use failure::failure;
pub use tls::{TlsError, TlsFiles};

/// How long the host waits for a peer before it calls an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// Until a connection, TLS included, stands.
    pub connect: Duration,
    /// From the request to the head of the answer.
    pub first_byte: Duration,
    /// Between two pieces of a body.
    pub no_progress: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        // A distant host answers a handshake within seconds; registries that assemble an answer
        // from object storage have been seen to think for most of a minute.
        Self {
            connect: Duration::from_secs(15),
            first_byte: Duration::from_secs(60),
            no_progress: Duration::from_secs(60),
        }
    }
}

/// Sends requests.
#[derive(Debug)]
pub(crate) struct Http {
    clients: Clients,
    deadlines: Deadlines,
    addresses: AddressPolicy,
}

impl Http {
    pub(crate) fn new(files: &TlsFiles, deadlines: Deadlines, addresses: AddressPolicy) -> Result<Self, TlsError> {
        Ok(Self { clients: Clients::new(files, deadlines.connect)?, deadlines, addresses })
    }

    /// Sends a request and waits for the head of the answer.
    pub(crate) async fn send(&self, request: Request, home: &Origin) -> Result<(ResponseHead, Body), Failure> {
        let target = request.url.origin();
        let client = self.clients.of(home, &target, Bounds::between(home, &target, self.addresses))?;
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Head => reqwest::Method::HEAD,
            Method::Post => reqwest::Method::POST,
        };
        let mut builder = client.request(method, request.url.as_str());
        for (name, value) in request.headers.iter() {
            builder = builder.header(name, value);
        }
        if let Some(body) = request.body {
            builder = builder.body(body);
        }
        let secure = request.url.as_str().starts_with("https:");
        let response = match timeout(self.deadlines.first_byte, builder.send()).await {
            Err(_) => return Err(late("no answer", self.deadlines.first_byte)),
            Ok(Err(error)) => return Err(failure(&error, secure)),
            Ok(Ok(response)) => response,
        };
        let mut headers = Headers::default();
        for (name, value) in response.headers() {
            // Values that are not ASCII can only be ones that nobody here reads.
            if let Ok(value) = value.to_str() {
                headers.append(name.as_str(), value);
            }
        }
        let head = ResponseHead { status: response.status().as_u16(), headers };
        Ok((head, Body { response, no_progress: self.deadlines.no_progress }))
    }
}

/// The body of an answer, piece by piece.
#[derive(Debug)]
pub(crate) struct Body {
    response: reqwest::Response,
    no_progress: Duration,
}

impl Body {
    /// Returns the next piece; `None` at the end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        match timeout(self.no_progress, self.response.chunk()).await {
            Err(_) => Err(late("no progress", self.no_progress)),
            Ok(Err(error)) => Err(failure(&error, true)),
            Ok(Ok(chunk)) => Ok(chunk),
        }
    }

    /// Reads a small body to its end, which must come within some deadlines: pieces alone are no
    /// progress, if there is one of a byte a minute.
    pub(crate) async fn whole(mut self, limit: u64) -> Result<Vec<u8>, Failure> {
        let (begun, patience) = (Instant::now(), self.no_progress * SMALL_BODY);
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if begun.elapsed() > patience {
                return Err(late("no end of a small body", patience));
            }
            if (bytes.len() + chunk.len()) as u64 > limit {
                let message = format!("more than {limit} bytes");
                return Err(Failure { kind: FailureKind::TooLarge, message });
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// Reads what there is of an error's body, up to a limit and a deadline, without ever failing.
    pub(crate) async fn beginning(mut self, limit: u64) -> Vec<u8> {
        let begun = Instant::now();
        let mut bytes = Vec::new();
        while let Ok(Some(chunk)) = self.chunk().await {
            let room = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(bytes.len());
            bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() >= room || begun.elapsed() > self.no_progress {
                break;
            }
        }
        bytes
    }
}

/// Deadlines without progress that a manifest or a token may take as a whole.
const SMALL_BODY: u32 = 5;

fn late(what: &str, after: Duration) -> Failure {
    Failure { kind: FailureKind::TimedOut, message: format!("{what} for {} s", after.as_secs_f64()) }
}
