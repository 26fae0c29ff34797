//! Where blobs flow to: one worker thread a blob, fed through a bounded channel.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use oci_fetcher_core::manifest::Descriptor;
use oci_fetcher_core::pull::{Stored, Verdict};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::error::Error;

/// Pieces of a body on their way to a worker: enough to keep both sides busy, at some tens to
/// hundreds of kilobytes a piece.
const PIECES: usize = 4;

/// Makes the work for a blob: what to do with it once it flows.
pub(crate) trait Work: Send + Sync {
    /// Does all the work for the blob at `index`, on a thread that may block.
    ///
    /// Calls `inbox.opened` once, takes what follows from the inbox, and ends when the blob was
    /// verified, or with the first error; `Ok(None)` where the sender went away.
    fn run(&self, index: usize, descriptor: &Descriptor, inbox: Inbox) -> Result<Option<()>, Error>;
}

/// The sinks of one plan.
pub(crate) struct Sinks {
    work: Option<Arc<dyn Work>>,
    failure: Arc<Mutex<Option<Error>>>,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

impl Sinks {
    /// For a plan without blobs.
    pub(crate) fn none() -> Self {
        Self { work: None, failure: Arc::default(), workers: Mutex::default() }
    }

    pub(crate) fn new(work: Arc<dyn Work>) -> Self {
        Self { work: Some(work), ..Self::none() }
    }

    /// Takes the first error that a worker ended with.
    pub(crate) fn take_failure(&self) -> Option<Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Waits until every worker has ended. Their feeds must be gone, or they wait for more.
    pub(crate) async fn join(&self) {
        let workers = std::mem::take(&mut *self.workers.lock().unwrap_or_else(PoisonError::into_inner));
        for worker in workers {
            // A panic has been turned into a failure by the worker's own guard.
            let _ = worker.await;
        }
    }

    /// Starts the worker of a blob; returns what it has stored of it, and the way to feed it.
    pub(crate) async fn open(&self, index: usize, descriptor: &Arc<Descriptor>) -> Result<(Stored, Feed), Error> {
        let work = self.work.clone().ok_or_else(|| Error::internal("a plan without sinks has blobs"))?;
        let (sender, receiver) = mpsc::channel(PIECES);
        let (opened_sender, opened) = oneshot::channel();
        let (verdict_sender, verdict) = oneshot::channel();
        let inbox = Inbox { opened: Some(opened_sender), receiver };
        let (blob, failure) = (descriptor.clone(), self.failure.clone());
        let worker = tokio::task::spawn_blocking(move || {
            let run = std::panic::AssertUnwindSafe(|| work.run(index, &blob, inbox));
            let result = std::panic::catch_unwind(run).unwrap_or_else(|_| Err(Error::internal("a worker panicked")));
            let verdict = match result {
                Ok(Some(())) => Verdict::Verified,
                Ok(None) => return,
                Err(error) => {
                    let verdict = if error.is_wrong_bytes() { Verdict::Wrong } else { Verdict::HostFailed };
                    failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                    verdict
                }
            };
            // Nobody waits for it where the pull has ended meanwhile.
            let _ = verdict_sender.send(verdict);
        });
        self.workers.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
        match opened.await {
            Ok(stored) => {
                let held = match stored {
                    Stored::Partial { length } => length,
                    Stored::Complete => descriptor.size,
                };
                let feed = Feed {
                    sender,
                    held: Arc::new(AtomicU64::new(held)),
                    verdict: Some(Arc::new(Mutex::new(Some(verdict)))),
                };
                Ok((stored, feed))
            }
            Err(_) => {
                // The worker ended before it had opened anything; its verdict is not far.
                let _ = verdict.await;
                Err(self.take_failure().unwrap_or_else(|| Error::internal("a worker ended without a word")))
            }
        }
    }
}

/// The sending end of a worker's channel.
#[derive(Clone)]
pub(crate) struct Feed {
    sender: mpsc::Sender<Piece>,
    held: Arc<AtomicU64>,
    verdict: Option<Arc<Mutex<Option<oneshot::Receiver<Verdict>>>>>,
}

impl Feed {
    /// Takes the receiver of the worker's verdict; there is one.
    pub(crate) fn verdict(&mut self) -> Option<oneshot::Receiver<Verdict>> {
        self.verdict.take()?.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Returns how many bytes of the blob the worker was given, from its beginning.
    pub(crate) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Gives the worker the bytes that follow; `false` where it has ended.
    pub(crate) async fn push(&self, bytes: Bytes) -> bool {
        let length = bytes.len() as u64;
        let taken = self.sender.send(Piece::Bytes(bytes)).await.is_ok();
        if taken {
            self.held.fetch_add(length, Ordering::Relaxed);
        }
        taken
    }

    /// Tells the worker that it has all bytes.
    pub(crate) async fn seal(self) {
        // One that has ended has told its verdict.
        let _ = self.sender.send(Piece::End).await;
    }
}

enum Piece {
    Bytes(Bytes),
    End,
}

/// The receiving end.
pub(crate) struct Inbox {
    opened: Option<oneshot::Sender<Stored>>,
    receiver: mpsc::Receiver<Piece>,
}

/// What a worker finds in its inbox.
pub(crate) enum Received {
    /// The bytes that follow.
    Bytes(Bytes),
    /// All bytes have come.
    End,
    /// Nothing for the moment.
    Nothing,
    /// The pull is over.
    Gone,
}

impl Inbox {
    /// Tells what the worker has of the blob.
    pub(crate) fn opened(&mut self, stored: Stored) {
        if let Some(opened) = self.opened.take() {
            // Nobody waits for it where the pull has ended meanwhile.
            let _ = opened.send(stored);
        }
    }

    /// Waits for the next piece.
    pub(crate) fn wait(&mut self) -> Received {
        self.receiver.blocking_recv().map_or(Received::Gone, Received::from)
    }

    /// Takes the next piece if there is one.
    pub(crate) fn look(&mut self) -> Received {
        match self.receiver.try_recv() {
            Ok(piece) => piece.into(),
            Err(mpsc::error::TryRecvError::Empty) => Received::Nothing,
            Err(mpsc::error::TryRecvError::Disconnected) => Received::Gone,
        }
    }
}

impl From<Piece> for Received {
    fn from(piece: Piece) -> Self {
        match piece {
            Piece::Bytes(bytes) => Self::Bytes(bytes),
            Piece::End => Self::End,
        }
    }
}
