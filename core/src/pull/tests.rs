//! The machine driven by scenarios, with time that passes when the scenario says so.

#![expect(clippy::wildcard_enum_match_arm, reason = "a scenario names the one thing that it expects")]

mod closure;
mod listing;
mod page;
mod resolve;
mod retry;
mod transfer;

use std::num::NonZeroUsize;
use std::sync::Arc;

use super::*;
use crate::credentials::{Credential, Secret};
use crate::digest::{Algorithm, Digest};
use crate::error::{Class, Explain};
use crate::limits::Limits;
use crate::manifest::{Descriptor, MediaType, Platform};
use crate::reference::Reference;
use crate::request::{Headers, Method, Request, ResponseHead};

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A machine, the time, and the effects that wait for their answers.
struct Scenario<P: Plan> {
    pull: Pull<P>,
    now: Time,
    notes: Vec<Note>,
}

impl<P: Plan> Scenario<P> {
    fn new(session: Session, plan: P) -> Self {
        Self { pull: Pull::new(session, plan, Time(0)), now: Time(0), notes: Vec::new() }
    }

    /// Returns the next effect that somebody has to see to.
    fn effect(&mut self) -> Effect {
        loop {
            match self.pull.poll() {
                Next::Do(Effect::Note(note)) => self.notes.push(note),
                Next::Do(effect) => return effect,
                Next::Wait(until) => panic!("waits until {until:?} where an effect was expected"),
                Next::Done(result) => panic!("ended ({:?}) where an effect was expected", result.err()),
            }
        }
    }

    /// Answers look-ups in the local store with nothing.
    fn nothing_stored(&mut self) -> &mut Self {
        match self.effect() {
            Effect::LookUp { job, .. } | Effect::Recall { job, .. } => self.input(Input::Missing { job }),
            other => panic!("{other:?} is no look-up"),
        }
        self
    }

    fn input(&mut self, input: Input) {
        self.pull.handle(input, self.now);
    }

    fn request(&mut self, method: Method, url: &str) -> (JobId, Request) {
        match self.effect() {
            Effect::Fetch { job, request, .. } | Effect::Stream { job, request } => {
                assert_eq!((request.method, request.url.as_str()), (method, url));
                (job, request)
            }
            other => panic!("{other:?} is no request"),
        }
    }

    fn get(&mut self, url: &str) -> (JobId, Request) {
        self.request(Method::Get, url)
    }

    fn respond(&mut self, job: JobId, status: u16, headers: &[(&str, &str)], body: &[u8]) {
        self.input(Input::Response { job, head: head(status, headers), body: body.to_vec() });
    }

    fn head(&mut self, job: JobId, status: u16, headers: &[(&str, &str)]) {
        self.input(Input::Head { job, head: head(status, headers), error: Vec::new() });
    }

    /// Lets the time pass that the machine waits for; returns how much it was.
    fn sleep(&mut self) -> u64 {
        loop {
            match self.pull.poll() {
                Next::Do(Effect::Note(note)) => self.notes.push(note),
                Next::Wait(Some(until)) => {
                    let pause = until.0 - self.now.0;
                    self.now = until;
                    self.input(Input::Tick);
                    return pause;
                }
                other => panic!("{:?} where a pause was expected", matches!(other, Next::Wait(None))),
            }
        }
    }

    /// Carries out what needs no answer, and returns the end.
    fn end(&mut self) -> Result<P::Outcome, PullError> {
        loop {
            match self.pull.poll() {
                Next::Do(Effect::Note(note)) => self.notes.push(note),
                Next::Do(
                    Effect::Keep { .. } | Effect::Remember { .. } | Effect::Abort { .. } | Effect::Discard { .. },
                ) => {}
                Next::Do(effect) => panic!("{effect:?} where the end was expected"),
                Next::Wait(until) => panic!("waits until {until:?} where the end was expected"),
                Next::Done(result) => return result,
            }
        }
    }

    fn error(&mut self) -> PullError {
        match self.end() {
            Ok(_) => panic!("succeeded where an error was expected"),
            Err(error) => error,
        }
    }
}

fn head(status: u16, headers: &[(&str, &str)]) -> ResponseHead {
    let mut all = Headers::default();
    for (name, value) in headers {
        all.append(name, value);
    }
    ResponseHead { status, headers: all }
}

fn reference(text: &str) -> Reference {
    text.parse().expect("a valid reference")
}

fn session(text: &str) -> Session {
    Session::new(&reference(text), Network::Online)
}

fn password() -> Credential {
    Credential::Basic { username: "ann".to_owned(), password: Secret::new("s3cret") }
}

fn empty_image() -> Vec<u8> {
    let config = Digest::of(Algorithm::Sha256, CONFIG);
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":{}}},"layers":[]}}"#,
        CONFIG.len()
    )
    .into_bytes()
}

const CONFIG: &[u8] = br#"{"os":"linux","architecture":"arm64","rootfs":{"type":"layers","diff_ids":[]}}"#;
