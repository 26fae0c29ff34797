//! Applies layers in order, however they are decoded.
//!
//! The unpacker is handed from layer to layer. The layer whose turn it is writes through it at
//! once; a layer before its turn keeps its operations in a bounded list and its contents in the
//! spool. A layer that is complete before its turn leaves both here, and whoever finishes the layer
//! before it applies them: no thread waits for its turn but one that has run out of room.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use oci_fetcher_core::entry::{Entry, EntryKind};
use oci_fetcher_core::fs::FileSystem;
use oci_fetcher_core::layer::Op;
use oci_fetcher_core::report::Skipped;
use oci_fetcher_core::unpack::Unpacker;

use crate::disk::DiskError;
use crate::error::Error;
use crate::spool::{LayerSpool, Spool, SpoolFile, Spooled};

/// A file system that layers can be applied to before the ones below them are complete.
pub(crate) trait Staged: FileSystem<Error: Into<Error>> + Sized + Send + 'static
where
    Self::File: Send,
{
    /// Puts spooled content in its place.
    fn place(unpacker: &mut Unpacker<Self>, entry: &Entry, spool: &LayerSpool, spooled: Spooled) -> Result<(), Error>;
}

/// The turns of the layers of one pull.
pub(crate) struct Chain<F: Staged>
where
    F::File: Send,
{
    state: Mutex<State<F>>,
    changed: Condvar,
    spool: Option<Spool>,
    /// Operations that all layers before their turn hold together.
    recorded: AtomicUsize,
}

struct State<F: FileSystem> {
    next: usize,
    unpacker: Option<Box<Unpacker<F>>>,
    waiting: BTreeMap<usize, Ahead>,
    abandoned: bool,
}

impl<F: FileSystem> State<F> {
    fn take_turn(&mut self, index: usize) -> Option<Box<Unpacker<F>>> {
        if self.next == index { self.unpacker.take() } else { None }
    }
}

/// What a layer did before its turn.
pub(crate) struct Ahead {
    spool: LayerSpool,
    recorded: Vec<Recorded>,
    writing: Option<(Entry, SpoolFile)>,
}

enum Recorded {
    Entry(Entry),
    File(Entry, Spooled),
    Skipped(Skipped),
}

/// Operations held before their turn, of all layers together: some ten megabytes. With a quarter of it a
/// layer of 30,000 entries waits for its turn, and one core rests: 6.9 instead of 5.2 seconds from a warm cache.
const RECORDED: usize = 64 << 10;

/// The pull is over before this layer had its turn.
#[derive(Debug)]
pub(crate) struct Abandoned;

impl<F: Staged> Chain<F>
where
    F::File: Send,
{
    /// Begins with the first layer's turn; without a spool no layer begins before its turn.
    pub(crate) fn new(unpacker: Unpacker<F>, spool: Option<Spool>) -> Arc<Self> {
        let unpacker = Some(Box::new(unpacker));
        Arc::new(Self {
            state: Mutex::new(State { next: 0, unpacker, waiting: BTreeMap::new(), abandoned: false }),
            changed: Condvar::new(),
            spool,
            recorded: AtomicUsize::new(0),
        })
    }

    /// Joins the chain for a layer.
    pub(crate) fn layer(self: &Arc<Self>, index: usize) -> Turn<F> {
        let ahead =
            self.spool.as_ref().map(|spool| Ahead { spool: spool.layer(), recorded: Vec::new(), writing: None });
        Turn { chain: self.clone(), index, stage: Stage::Before(ahead) }
    }

    /// Wakes every layer that waits, for good: the pull is over.
    pub(crate) fn abandon(&self) {
        self.lock().abandoned = true;
        self.changed.notify_all();
    }

    /// Takes the unpacker back after the last layer.
    pub(crate) fn take(&self) -> Option<Unpacker<F>> {
        self.lock().unpacker.take().map(|unpacker| *unpacker)
    }

    fn lock(&self) -> MutexGuard<'_, State<F>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One layer's place in the chain.
pub(crate) struct Turn<F: Staged>
where
    F::File: Send,
{
    chain: Arc<Chain<F>>,
    index: usize,
    stage: Stage<F>,
}

enum Stage<F: FileSystem> {
    /// Before its turn; `None` where nothing can be done before it.
    Before(Option<Ahead>),
    /// Its turn.
    Having(Box<Unpacker<F>>),
    Over,
}

impl<F: Staged> Turn<F>
where
    F::File: Send,
{
    /// Tells whether operations can be taken now; looks whether the turn has come.
    pub(crate) fn has_room(&mut self) -> Result<bool, Error> {
        match &self.stage {
            // The turn is taken between files, so that content is never half spooled.
            Stage::Before(Some(ahead)) if ahead.writing.is_some() => return Ok(true),
            Stage::Before(_) => {
                let unpacker = self.chain.lock().take_turn(self.index);
                if let Some(unpacker) = unpacker {
                    self.begin(unpacker)?;
                }
            }
            Stage::Having(_) | Stage::Over => {}
        }
        Ok(match &self.stage {
            Stage::Before(Some(_)) => self.chain.recorded.load(Ordering::Relaxed) < RECORDED,
            Stage::Before(None) | Stage::Over => false,
            Stage::Having(_) => true,
        })
    }

    /// Waits for the turn.
    pub(crate) fn wait(&mut self) -> Result<Result<(), Abandoned>, Error> {
        if let Stage::Before(_) = self.stage {
            let mut state = self.chain.lock();
            let unpacker = loop {
                if state.abandoned {
                    return Ok(Err(Abandoned));
                }
                if let Some(unpacker) = state.take_turn(self.index) {
                    break unpacker;
                }
                state = self.chain.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            };
            drop(state);
            self.begin(unpacker)?;
        }
        Ok(Ok(()))
    }

    /// Takes one operation, at once or for later.
    pub(crate) fn op(&mut self, op: Op<'_>) -> Result<(), Error> {
        match &mut self.stage {
            Stage::Having(unpacker) => unpacker.op(op).map_err(Error::from_unpack),
            Stage::Before(Some(ahead)) => {
                let before = ahead.recorded.len();
                ahead.op(op)?;
                self.chain.recorded.fetch_add(ahead.recorded.len() - before, Ordering::Relaxed);
                Ok(())
            }
            Stage::Before(None) | Stage::Over => Err(Error::internal("an operation without room for it")),
        }
    }

    /// Ends a layer that was verified: hands the unpacker on, or what was done ahead to whoever
    /// comes to its turn.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        let chain = self.chain.clone();
        let mut unpacker = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Having(unpacker) => unpacker,
            Stage::Before(Some(ahead)) => {
                let mut state = chain.lock();
                match state.take_turn(self.index) {
                    None => {
                        state.waiting.insert(self.index, ahead);
                        return Ok(());
                    }
                    Some(mut unpacker) => {
                        drop(state);
                        unpacker.begin_layer();
                        chain.replay(&mut unpacker, ahead)?;
                        unpacker
                    }
                }
            }
            Stage::Before(None) | Stage::Over => return Err(Error::internal("a layer ended without its turn")),
        };
        loop {
            let mut state = chain.lock();
            state.next += 1;
            let next = state.next;
            let Some(ahead) = state.waiting.remove(&next) else {
                state.unpacker = Some(unpacker);
                chain.changed.notify_all();
                return Ok(());
            };
            drop(state);
            unpacker.begin_layer();
            chain.replay(&mut unpacker, ahead)?;
        }
    }

    /// Begins the turn: what was done ahead is applied.
    fn begin(&mut self, mut unpacker: Box<Unpacker<F>>) -> Result<(), Error> {
        unpacker.begin_layer();
        if let Stage::Before(Some(ahead)) = std::mem::replace(&mut self.stage, Stage::Over) {
            self.chain.replay(&mut unpacker, ahead)?;
        }
        self.stage = Stage::Having(unpacker);
        Ok(())
    }
}

impl<F: Staged> Chain<F>
where
    F::File: Send,
{
    /// Applies what a layer did before its turn.
    fn replay(&self, unpacker: &mut Unpacker<F>, ahead: Ahead) -> Result<(), Error> {
        let Ahead { spool, recorded, writing: _ } = ahead;
        self.recorded.fetch_sub(recorded.len(), Ordering::Relaxed);
        for recorded in recorded {
            match recorded {
                Recorded::Entry(entry) => unpacker.op(Op::Entry(entry)).map_err(Error::from_unpack)?,
                Recorded::File(entry, spooled) => F::place(unpacker, &entry, &spool, spooled)?,
                Recorded::Skipped(skipped) => unpacker.op(Op::Skipped(skipped)).map_err(Error::from_unpack)?,
            }
        }
        Ok(())
    }
}

impl Ahead {
    fn op(&mut self, op: Op<'_>) -> Result<(), DiskError> {
        match op {
            Op::Entry(entry) => match entry.kind {
                EntryKind::File { size } => self.writing = Some((entry, self.spool.create(size)?)),
                EntryKind::Directory
                | EntryKind::Symlink { .. }
                | EntryKind::HardLink { .. }
                | EntryKind::Fifo
                | EntryKind::CharacterDevice(_)
                | EntryKind::BlockDevice(_)
                | EntryKind::Whiteout
                | EntryKind::Opaque => self.recorded.push(Recorded::Entry(entry)),
            },
            Op::Data { offset, bytes } => {
                if let Some((_, file)) = &mut self.writing {
                    self.spool.write(file, offset, bytes)?;
                }
            }
            Op::FileEnd => {
                if let Some((entry, file)) = self.writing.take() {
                    self.recorded.push(Recorded::File(entry, self.spool.finish(file)?));
                }
            }
            Op::Skipped(skipped) => self.recorded.push(Recorded::Skipped(skipped)),
        }
        Ok(())
    }
}
