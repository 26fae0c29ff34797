//! Drives the core's machine: carries its effects out, and hands back what came of them.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use oci_fetcher_core::limits::Limits;
use oci_fetcher_core::pull::{Effect, Input, JobId, Next, Plan, Pull, PullError, Session, Verdict};
use oci_fetcher_core::time::Time;
use oci_fetcher_core::url::Origin;

use crate::error::Error;
use crate::http::{Body, Http};
use crate::observer::{Event, Observer};
use crate::sink::{Feed, Sinks};
use crate::store::Store;

/// What plans are carried out with.
#[derive(Clone, Copy)]
pub(crate) struct Host<'h> {
    pub(crate) http: &'h Http,
    pub(crate) store: &'h Store,
    pub(crate) observer: &'h dyn Observer,
    pub(crate) limits: &'h Limits,
}

/// Carries out a plan, whose blobs go into `sinks`. Dropping the future cancels it.
pub(crate) async fn drive<P>(
    host: Host<'_>,
    session: Session,
    plan: P,
    sinks: &Sinks,
) -> Result<(P::Outcome, Session), Error>
where
    P: Plan + Send,
    P::Outcome: Send,
{
    let home = session.registry().origin();
    let mut pull = Pull::new(session, plan, now());
    let mut running = Running { host, sinks, home: &home, flows: BTreeMap::new(), answers: FuturesUnordered::new() };
    loop {
        match pull.poll() {
            Next::Do(effect) => running.carry_out(effect)?,
            Next::Wait(until) => {
                let input = tokio::select! {
                    Some(answer) = running.answers.next() => running.settle(answer?),
                    () = sleep_until(until) => Some(Input::Tick),
                };
                if let Some(input) = input {
                    pull.handle(input, now());
                }
            }
            Next::Done(Ok(outcome)) => return Ok((outcome, pull.into_session())),
            Next::Done(Err(error)) => {
                // What a sink found out says more than that it found something.
                let found = if matches!(error, PullError::Blob { .. }) { sinks.take_failure() } else { None };
                return Err(found.unwrap_or_else(|| error.into()));
            }
        }
    }
}

/// The clock that all plans share: tokens outlive a plan.
fn now() -> Time {
    Time(u64::try_from(ORIGIN.elapsed().as_millis()).unwrap_or(u64::MAX))
}

static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

async fn sleep_until(until: Option<Time>) {
    match until.map(|until| ORIGIN.checked_add(Duration::from_millis(until.0))) {
        Some(Some(until)) => tokio::time::sleep_until(until.into()).await,
        // Never, or beyond what the clock can express.
        None | Some(None) => pending().await,
    }
}

/// The work of one plan that is under way.
struct Running<'h> {
    host: Host<'h>,
    sinks: &'h Sinks,
    home: &'h Origin,
    flows: BTreeMap<JobId, Flow>,
    answers: FuturesUnordered<BoxFuture<'h, Result<Answer, Error>>>,
}

/// A blob on its way into its sink.
struct Flow {
    feed: Feed,
    /// The body whose head was told, and which the machine has not decided on yet.
    body: Option<Body>,
}

/// What a piece of work came to.
enum Answer {
    Input(Input),
    /// An answer's head, with the body that may follow.
    Head(JobId, Input, Body),
    /// An open sink.
    Opened(JobId, Input, Feed),
    /// The sink has ended and tells why by itself.
    Nothing,
}

impl<'h> Running<'h> {
    /// Keeps what an answer holds beside its input.
    fn settle(&mut self, answer: Answer) -> Option<Input> {
        match answer {
            Answer::Input(input) => Some(input),
            Answer::Head(job, input, body) => {
                // Without a sink, only the head was wanted.
                if let Some(flow) = self.flows.get_mut(&job) {
                    flow.body = Some(body);
                }
                Some(input)
            }
            Answer::Opened(job, input, mut feed) => {
                if let Some(verdict) = feed.verdict() {
                    self.answer(async move {
                        // A sink that ends without a word has been dropped with the whole pull.
                        let verdict = verdict.await.unwrap_or(Verdict::HostFailed);
                        Ok(Answer::Input(Input::Sealed { job, verdict }))
                    });
                }
                self.flows.insert(job, Flow { feed, body: None });
                Some(input)
            }
            Answer::Nothing => None,
        }
    }

    fn answer(&self, work: impl Future<Output = Result<Answer, Error>> + Send + 'h) {
        self.answers.push(Box::pin(work));
    }

    fn carry_out(&mut self, effect: Effect) -> Result<(), Error> {
        let Host { http, store, observer, limits } = self.host;
        let home = self.home;
        match effect {
            Effect::LookUp { job, digest, limit } => self.answer(async move {
                let found = store.read(&digest, limit)?;
                Ok(Answer::Input(found.map_or(Input::Missing { job }, |bytes| Input::Found { job, bytes })))
            }),
            Effect::Recall { job, reference } => self.answer(async move {
                let digest = store.recall(&reference)?;
                Ok(Answer::Input(digest.map_or(Input::Missing { job }, |digest| Input::Recalled { job, digest })))
            }),
            Effect::Remember { reference, digest } => store.remember(&reference, &digest)?,
            Effect::Keep { digest, bytes } => store.keep(&digest, &bytes)?,
            Effect::Discard { digest } => store.discard(&digest)?,
            Effect::Fetch { job, request, limit } => self.answer(async move {
                let fetched = async {
                    let (head, body) = http.send(request, home).await?;
                    let body = if (200..300).contains(&head.status) {
                        body.whole(limit).await?
                    } else {
                        body.beginning(limits.token_bytes).await
                    };
                    Ok(Input::Response { job, head, body })
                };
                Ok(Answer::Input(fetched.await.unwrap_or_else(|failure| Input::Failed { job, failure, held: 0 })))
            }),
            Effect::Open { job, index, descriptor } => {
                let sinks = self.sinks;
                self.answer(async move {
                    let (stored, feed) = sinks.open(index, &descriptor).await?;
                    Ok(Answer::Opened(job, Input::Opened { job, stored }, feed))
                });
            }
            Effect::Stream { job, request } => {
                let held = self.flows.get(&job).map_or(0, |flow| flow.feed.held());
                self.answer(async move {
                    Ok(match http.send(request, home).await {
                        Ok((head, body)) if head.status >= 400 => {
                            let error = body.beginning(limits.token_bytes).await;
                            Answer::Input(Input::Head { job, head, error })
                        }
                        Ok((head, body)) => Answer::Head(job, Input::Head { job, head, error: Vec::new() }, body),
                        Err(failure) => Answer::Input(Input::Failed { job, failure, held }),
                    })
                });
            }
            Effect::Accept { job, skip } => {
                if let Some(flow) = self.flows.get_mut(&job)
                    && let Some(body) = flow.body.take()
                {
                    let feed = flow.feed.clone();
                    self.answer(flow_in(job, body, skip, feed));
                }
            }
            Effect::Refuse { job } => {
                if let Some(flow) = self.flows.get_mut(&job) {
                    flow.body = None;
                }
            }
            Effect::Seal { job } => {
                if let Some(flow) = self.flows.remove(&job) {
                    self.answer(async move {
                        flow.feed.seal().await;
                        Ok(Answer::Nothing)
                    });
                }
            }
            Effect::Abort { job } => {
                self.flows.remove(&job);
            }
            Effect::Note(note) => observer.on(&Event::Note(&note)),
        }
        Ok(())
    }
}

/// Lets a body flow into a sink, without its first `skip` bytes.
async fn flow_in(job: JobId, mut body: Body, mut skip: u64, feed: Feed) -> Result<Answer, Error> {
    loop {
        match body.chunk().await {
            Ok(Some(mut chunk)) => {
                let skipped = usize::try_from(skip).map_or(chunk.len(), |skip| skip.min(chunk.len()));
                skip -= skipped as u64;
                let wanted = chunk.split_off(skipped);
                if !wanted.is_empty() && !feed.push(wanted).await {
                    return Ok(Answer::Nothing);
                }
            }
            Ok(None) => return Ok(Answer::Input(Input::BodyEnd { job, held: feed.held() })),
            Err(failure) => return Ok(Answer::Input(Input::Failed { job, failure, held: feed.held() })),
        }
    }
}
