//! The machine that resolves references and directs transfers, without doing any of it itself.
//!
//! A [`Pull`] carries out one [`Plan`]: [`Resolve`] a reference to an image, list every manifest
//! below one ([`Closure`]), transfer [`Blobs`], or list [`Tags`] or [`Referrers`]. It sees kilobytes: references,
//! tokens, manifests, heads of answers. The gigabytes flow from the host's connections into the
//! host's sinks, and only their beginnings and ends are told.
//!
//! # The driver's contract
//!
//! 1. Call [`poll`](Pull::poll) until it returns [`Next::Wait`] or [`Next::Done`], and carry out
//!    every [`Effect`] on the way. Effects name their job; any number run at once.
//! 2. On `Wait`, sleep until an answer is there or the named time has come. Hand it over with
//!    [`handle`](Pull::handle) and the present time (for the time alone, [`Input::Tick`]); begin
//!    again at 1.
//! 3. On `Done`, all is over: answers to jobs still under way are ignored.
//!
//! Answers may come in any order; those to jobs that the machine no longer has are ignored.
//! Failures are inputs like any other, so that all policy (retries, back-off, tokens, redirects,
//! resuming) is here.
//!
//! # One exchange
//!
//! ```text
//!               401                  token, or Basic
//!    +------> AwaitingToken ------------------------------+
//!    |                                                    v
//!  Ready --- send ---> Sent --- 2xx ---> answered      Ready
//!                       | \--- 3xx, allowed ------------> Ready, at the target
//!                       | \--- 401 twice, 403, 404, 4xx -> refused
//!                       +-- 408 425 429 5xx, broken, late, short --> Backoff -- time --> Ready
//!                                                             \-- no attempt left --> refused
//! ```

mod answer;
mod auth;
mod authorize;
mod blobs;
mod closure;
mod effect;
mod engine;
mod entries;
mod error;
mod exchange;
mod fetched;
mod load;
mod pages;
mod redirect;
mod referrers;
mod resolve;
mod retry;
mod session;
mod size;
mod tags;
#[cfg(test)]
mod tests;

use crate::time::Time;

pub use blobs::{BlobOutcome, Blobs};
pub use closure::{Closure, ClosureBlob, ClosureOutcome};
pub use effect::{Effect, Failure, FailureKind, Input, JobId, Note, Stored, Verdict};
pub use error::{Place, PullError};
pub use fetched::Fetched;
pub use referrers::Referrers;
pub use resolve::{Image, ImageKind, PlatformChoice, Resolve, Resolved, Want};
pub use retry::{PROGRESS_BYTES, RetryPolicy};
pub use session::{Network, Session};
pub use size::BlobSize;
pub use tags::Tags;

use engine::Engine;

/// What the host has to do next.
#[derive(Debug)]
pub enum Next<O> {
    /// Carry this out, and poll again.
    Do(Effect),
    /// Wait for an answer, at the longest until the time named.
    Wait(Option<Time>),
    /// The plan has ended. Returned once; afterwards the machine only waits.
    Done(Result<O, PullError>),
}

/// Something that a [`Pull`] can carry out.
pub trait Plan: sealed::Steps {}

impl<P: sealed::Steps> Plan for P {}

mod sealed {
    use super::engine::{Engine, Event};
    use super::error::PullError;

    /// The steps of a plan: `None` means there is more to come.
    pub trait Steps {
        /// What the plan ends with.
        type Outcome;
        /// Begins.
        fn start(&mut self, engine: &mut Engine) -> Option<Result<Self::Outcome, PullError>>;
        /// Goes on.
        fn on(&mut self, event: Event, engine: &mut Engine) -> Option<Result<Self::Outcome, PullError>>;
    }
}

/// One plan being carried out within one [`Session`].
///
/// ```
/// use oci_fetcher_core::pull::{Effect, Network, Next, Pull, Resolve, Session, Want};
/// use oci_fetcher_core::time::Time;
///
/// let reference = "registry.example/app:1".parse()?;
/// let session = Session::new(&reference, Network::default());
/// let mut pull = Pull::new(session, Resolve::new(&reference, Want::Manifest), Time(0));
/// // Nothing is remembered of the tag yet, so the machine first asks the local store.
/// assert!(matches!(pull.poll(), Next::Do(Effect::Recall { .. })));
/// assert!(matches!(pull.poll(), Next::Wait(None)));
/// # Ok::<(), oci_fetcher_core::reference::ReferenceError>(())
/// ```
#[derive(Debug)]
pub struct Pull<P: Plan> {
    engine: Engine,
    plan: P,
    state: State<P::Outcome>,
}

#[derive(Debug)]
enum State<O> {
    New,
    Running,
    Ended(Result<O, PullError>),
    Told,
}

impl<P: Plan> Pull<P> {
    /// Begins a plan at the time `now`.
    pub fn new(session: Session, plan: P, now: Time) -> Self {
        Self { engine: Engine::new(session, now), plan, state: State::New }
    }

    /// Returns what to do next.
    pub fn poll(&mut self) -> Next<P::Outcome> {
        if matches!(self.state, State::New) {
            self.state = State::Running;
            let flow = self.plan.start(&mut self.engine);
            self.settle(flow);
        }
        self.advance();
        if let Some(effect) = self.engine.next_effect() {
            return Next::Do(effect);
        }
        match std::mem::replace(&mut self.state, State::Told) {
            State::Ended(result) => Next::Done(result),
            state @ (State::New | State::Running) => {
                self.state = state;
                Next::Wait(self.engine.next_wake())
            }
            State::Told => Next::Wait(None),
        }
    }

    /// Takes an answer, or the passing of time.
    pub fn handle(&mut self, input: Input, now: Time) {
        if !matches!(self.state, State::Running) {
            return;
        }
        if let Err(late) = self.engine.advance(now) {
            return self.settle(Some(Err(late)));
        }
        self.engine.handle(input);
        self.advance();
    }

    /// Ends the plan: aborts of all that is under way follow from `poll`, then `Done` with
    /// [`PullError::Cancelled`].
    pub fn cancel(&mut self) {
        if matches!(self.state, State::New | State::Running) {
            self.settle(Some(Err(PullError::Cancelled)));
        }
    }

    /// Returns the session with the tokens it has learned, for the next plan.
    pub fn into_session(self) -> Session {
        self.engine.into_session()
    }

    fn advance(&mut self) {
        while matches!(self.state, State::Running) {
            let Some(event) = self.engine.next_event() else { return };
            let flow = self.plan.on(event, &mut self.engine);
            self.settle(flow);
        }
    }

    fn settle(&mut self, flow: Option<Result<P::Outcome, PullError>>) {
        if let Some(result) = flow {
            self.engine.abort_all();
            self.state = State::Ended(result);
        }
    }
}
