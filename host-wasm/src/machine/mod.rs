//! One plan of the core's pull machine, driven from JavaScript.

mod effect;
mod input;
mod outcome;

use std::cell::RefCell;
use std::fmt;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::sync::Arc;

use oci_fetcher_core::digest::Digest;
use oci_fetcher_core::manifest::Descriptor;
use oci_fetcher_core::pull::{
    BlobSize, Blobs, Closure, Input, Next, Plan, PlatformChoice, Pull, PullError, Resolve, Session as CoreSession,
    Tags, Want,
};
use oci_fetcher_core::reference::Reference;
use oci_fetcher_core::time::Time;
use wasm_bindgen::prelude::wasm_bindgen;

use self::outcome::Outcome;
use crate::error::Failure;
use crate::json::{self, Object};
use crate::session::{Session, Shared};

/// Carries out one plan: it says what to do next, and is told what came of it.
///
/// Call `poll` until it returns `wait` or `done`, and carry out every effect on the way; hand answers
/// over with `handle`, and poll again.
#[wasm_bindgen]
pub struct Machine {
    running: Option<Box<dyn Running>>,
    ended: Option<Result<Outcome, PullError>>,
    shared: Rc<RefCell<Shared>>,
    now: Time,
    /// What the effect that was polled last carries.
    carried: Vec<u8>,
}

#[wasm_bindgen]
impl Machine {
    /// Resolves a reference. `want` is JSON: `{"kind":"manifest"}`, or `{"kind":"image","platform":
    /// "linux/amd64","explicit":true}`.
    pub fn resolve(session: &Session, reference: &str, want: &str) -> Result<Self, Failure> {
        let reference: Reference = reference.parse()?;
        Ok(Self::begin(session, Resolve::new(&reference, wanted(want)?)))
    }

    /// Resolves what a descriptor names, which is JSON as in a manifest.
    #[wasm_bindgen(js_name = resolveDescriptor)]
    pub fn resolve_descriptor(session: &Session, descriptor: &str, want: &str) -> Result<Self, Failure> {
        let descriptor: Descriptor = json::parse("descriptor", descriptor)?;
        Ok(Self::begin(session, Resolve::descriptor(&descriptor, wanted(want)?)))
    }

    /// Loads every manifest below what another machine has resolved, for all platforms.
    pub fn closure(session: &Session, resolved: &Self) -> Result<Self, Failure> {
        Ok(Self::begin(session, Closure::new(resolved.outcome_of()?.resolved()?.top.clone())))
    }

    /// Transfers blobs, `concurrency` at once; `descriptors` is a JSON array.
    pub fn blobs(session: &Session, descriptors: &str, concurrency: u32) -> Result<Self, Failure> {
        let descriptors: Vec<Descriptor> = json::parse("descriptors", descriptors)?;
        let concurrency = usize::try_from(concurrency).ok().and_then(NonZeroUsize::new);
        let concurrency = concurrency.ok_or_else(|| Failure::usage("the concurrency must be at least 1".to_owned()))?;
        Ok(Self::begin(session, Blobs::new(descriptors.into_iter().map(Arc::new).collect(), concurrency)))
    }

    /// Lists the tags of the session's repository.
    #[must_use]
    pub fn tags(session: &Session) -> Self {
        Self::begin(session, Tags::new())
    }

    /// Asks how large a blob is, where no descriptor says so.
    #[wasm_bindgen(js_name = blobSize)]
    pub fn blob_size(session: &Session, digest: &str) -> Result<Self, Failure> {
        Ok(Self::begin(session, BlobSize::new(digest.parse::<Digest>()?)))
    }

    /// Returns what to do next, as JSON: an effect, `{"wait":MILLISECONDS|null}` or `{"done":true}`.
    pub fn poll(&mut self) -> Result<String, Failure> {
        self.carried = Vec::new();
        let Some(running) = &mut self.running else { return Ok(DONE.to_owned()) };
        match running.poll() {
            Next::Do(effect) => effect::to_json(effect, &mut self.carried),
            Next::Wait(until) => effect::wait(until),
            Next::Done(result) => {
                self.ended = Some(result);
                if let Some(running) = self.running.take() {
                    self.shared.borrow_mut().learn(running.into_session(), self.now);
                }
                Ok(DONE.to_owned())
            }
        }
    }

    /// Returns what the effect that was polled last carries: a blob to keep, a request's body.
    #[wasm_bindgen(js_name = takeBytes)]
    pub fn take_bytes(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.carried)
    }

    /// Takes an answer, as JSON and perhaps bytes, at the time `now`: milliseconds of any clock that
    /// never goes back.
    pub fn handle(&mut self, input: &str, bytes: Option<Vec<u8>>, now: f64) -> Result<(), Failure> {
        let input = input::from_json(input, bytes.unwrap_or_default())?;
        // Fractions of a millisecond do not matter; a time before the clock's start is its start.
        self.now = Time(now as u64);
        if let Some(running) = &mut self.running {
            running.handle(input, self.now);
        }
        Ok(())
    }

    /// Ends the plan: what is under way is aborted by effects that follow.
    pub fn cancel(&mut self) {
        if let Some(running) = &mut self.running {
            running.cancel();
        }
    }

    /// Returns what the plan came to, as JSON, after `{"done":true}`; throws its error.
    pub fn outcome(&self) -> Result<String, Failure> {
        self.outcome_of()?.to_json()
    }

    /// Returns bytes of a resolved image, exactly as served: its `top` manifest or index, its
    /// `manifest` or its `config`.
    pub fn bytes(&self, what: &str) -> Result<Vec<u8>, Failure> {
        self.outcome_of()?.bytes(what)
    }

    /// Returns a manifest of a closure, exactly as served.
    #[wasm_bindgen(js_name = manifestBytes)]
    pub fn manifest_bytes(&self, index: u32) -> Result<Vec<u8>, Failure> {
        self.outcome_of()?.manifest_bytes(index)
    }

    /// Checks that the resolved image's layers can all be unpacked; throws if not.
    #[wasm_bindgen(js_name = checkUnpackable)]
    pub fn check_unpackable(&self) -> Result<(), Failure> {
        self.outcome_of()?.check_unpackable()
    }
}

const DONE: &str = r#"{"done":true}"#;

impl Machine {
    fn begin<P>(session: &Session, plan: P) -> Self
    where
        P: Plan + 'static,
        P::Outcome: Into<Outcome>,
    {
        let shared = session.share();
        let (session, now) = shared.borrow().begin();
        let running: Box<dyn Running> = Box::new(Pull::new(session, plan, now));
        Self { running: Some(running), ended: None, shared, now, carried: Vec::new() }
    }

    fn outcome_of(&self) -> Result<&Outcome, Failure> {
        match &self.ended {
            Some(Ok(outcome)) => Ok(outcome),
            Some(Err(error)) => Err(Failure::of(error)),
            None => Err(Failure::misuse("the machine is not done")),
        }
    }
}

fn wanted(text: &str) -> Result<Want, Failure> {
    let wanted = Object::parse("want", text)?;
    Ok(match wanted.required("kind")? {
        "manifest" => Want::Manifest,
        "image" => {
            let platform = wanted.required("platform")?.parse()?;
            let explicit = wanted.flag("explicit")?;
            Want::Image(if explicit { PlatformChoice::Explicit(platform) } else { PlatformChoice::Host(platform) })
        }
        other => return Err(Failure::usage(format!("nothing of the kind {other} can be wanted"))),
    })
}

/// A [`Pull`] of any plan.
trait Running {
    fn poll(&mut self) -> Next<Outcome>;
    fn handle(&mut self, input: Input, now: Time);
    fn cancel(&mut self);
    fn into_session(self: Box<Self>) -> CoreSession;
}

impl<P> Running for Pull<P>
where
    P: Plan,
    P::Outcome: Into<Outcome>,
{
    fn poll(&mut self) -> Next<Outcome> {
        match self.poll() {
            Next::Do(effect) => Next::Do(effect),
            Next::Wait(until) => Next::Wait(until),
            Next::Done(result) => Next::Done(result.map(Into::into)),
        }
    }

    fn handle(&mut self, input: Input, now: Time) {
        self.handle(input, now);
    }

    fn cancel(&mut self) {
        self.cancel();
    }

    fn into_session(self: Box<Self>) -> CoreSession {
        (*self).into_session()
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine").field("running", &self.running.is_some()).finish_non_exhaustive()
    }
}
