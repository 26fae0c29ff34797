//! What is done with a blob while it flows: stored, verified, and decoded into a tree.

use std::any::Any;
use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;
use oci_fetcher_core::layer::{LayerDecoder, LayerSpec, Op, Step, Verifier};
use oci_fetcher_core::manifest::Descriptor;
use oci_fetcher_core::pull::Stored;

use crate::blob::Blob;
use crate::cache::{CacheError, Partial};
use crate::chain::{Chain, Staged, Turn};
use crate::error::Error;
use crate::observer::{Event, Observer};
use crate::sink::{Inbox, Received, Work};
use crate::store::{Holding, Store};

/// Reads so much of a file at once: large enough for few calls, small enough to stay in a cache.
const SLICE: usize = 128 << 10;

/// Does the work for the blobs of one image.
pub(crate) struct ImageWork<U> {
    pub(crate) store: Arc<Store>,
    pub(crate) observer: Arc<dyn Observer>,
    /// What becomes of each blob, by its place in the plan's list.
    pub(crate) uses: Vec<Use<U>>,
    /// What must not go before the last worker has ended.
    #[expect(dead_code, reason = "it is held for its drop alone")]
    pub(crate) keep: Option<Arc<dyn Any + Send + Sync>>,
}

/// What becomes of a blob.
#[derive(Clone)]
pub(crate) enum Use<U> {
    /// It is verified against size and digest.
    Verify,
    /// It is decoded too, and its entries go where `U` says.
    Decode(LayerSpec, U),
}

/// Where a decoded layer's operations go.
pub(crate) trait Operations {
    /// Tells whether operations can be taken now.
    fn has_room(&mut self) -> Result<bool, Error>;
    /// Waits until operations can be taken; `false` where the pull is over.
    fn wait(&mut self) -> Result<bool, Error>;
    /// Takes one.
    fn op(&mut self, op: Op<'_>) -> Result<(), Error>;
    /// Ends a layer that was verified.
    fn finish(self) -> Result<(), Error>;
}

/// Makes the receiver of a layer's operations.
pub(crate) trait Receiver: Send + Sync {
    /// What takes them.
    type Operations: Operations;
    /// Begins a layer.
    fn begin(&self) -> Self::Operations;
}

/// A layer's place in the chain of those that are unpacked into one tree.
pub(crate) struct Link<F: Staged>(pub(crate) Arc<Chain<F>>, pub(crate) usize)
where
    F::File: Send;

impl<F: Staged> Receiver for Link<F>
where
    F::File: Send,
{
    type Operations = Turn<F>;

    fn begin(&self) -> Turn<F> {
        self.0.layer(self.1)
    }
}

impl<F: Staged> Operations for Turn<F>
where
    F::File: Send,
{
    fn has_room(&mut self) -> Result<bool, Error> {
        Self::has_room(self)
    }

    fn wait(&mut self) -> Result<bool, Error> {
        Ok(Self::wait(self)?.is_ok())
    }

    fn op(&mut self, op: Op<'_>) -> Result<(), Error> {
        Self::op(self, op)
    }

    fn finish(self) -> Result<(), Error> {
        Self::finish(self)
    }
}

/// Decodes a layer only to verify its diff_id and its entries.
#[derive(Clone)]
pub(crate) struct Unused;

impl Receiver for Unused {
    type Operations = Self;

    fn begin(&self) -> Self {
        Self
    }
}

impl Operations for Unused {
    fn has_room(&mut self) -> Result<bool, Error> {
        Ok(true)
    }

    fn wait(&mut self) -> Result<bool, Error> {
        Ok(true)
    }

    fn op(&mut self, _op: Op<'_>) -> Result<(), Error> {
        Ok(())
    }

    fn finish(self) -> Result<(), Error> {
        Ok(())
    }
}

impl<U: Receiver> Work for ImageWork<U> {
    fn run(&self, index: usize, descriptor: &Descriptor, mut inbox: Inbox) -> Result<Option<()>, Error> {
        let mut bytes = match self.store.open(&descriptor.digest, descriptor.size)? {
            Holding::Whole(blob) => Source::whole(blob),
            Holding::Partial(partial) => Source::partial(partial)?,
            Holding::Nothing => {
                // The machine says that it is missing, and ends.
                inbox.opened(Stored::Partial { length: 0 });
                return Ok(None);
            }
        };
        let mut consumer = match &self.uses[index] {
            Use::Verify => Consumer::Verify(Box::new(Verifier::new(&descriptor.digest, descriptor.size)?)),
            Use::Decode(spec, receiver) => Consumer::Decode(
                Box::new(LayerDecoder::new(spec.clone()).map_err(|error| Error::layer(descriptor, error))?),
                receiver.begin(),
            ),
        };
        inbox.opened(bytes.stored());
        match self.consume(descriptor, &mut bytes, &mut consumer, &mut inbox) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) => {
                if error.is_wrong_bytes() {
                    bytes.discard()?;
                }
                return Err(error);
            }
        }
        match consumer {
            Consumer::Verify(verifier) => match verifier.finish() {
                Ok(_) => bytes.commit()?,
                Err(error) => {
                    bytes.discard()?;
                    return Err(error.into());
                }
            },
            Consumer::Decode(decoder, mut operations) => {
                match decoder.finish() {
                    Ok(report) => {
                        for warning in &report.warnings {
                            self.observer.on(&Event::Warning(warning));
                        }
                        bytes.commit()?;
                    }
                    Err(error) => {
                        let error = Error::layer(descriptor, error);
                        if error.is_wrong_bytes() {
                            bytes.discard()?;
                        } else if error.is_wrong_claim() {
                            bytes.commit()?;
                        }
                        return Err(error);
                    }
                }
                if !operations.has_room()? && !operations.wait()? {
                    return Ok(None);
                }
                operations.finish()?;
            }
        }
        self.observer.on(&Event::Verified { digest: &descriptor.digest });
        Ok(Some(()))
    }
}

impl<U: Receiver> ImageWork<U> {
    /// Feeds a blob through its consumer as it comes; `false` where the pull is over.
    ///
    /// What comes is stored at once. While there is room it is consumed at once too; otherwise it
    /// is read back from where it was stored, so that no connection ever waits for another layer.
    fn consume(
        &self,
        descriptor: &Descriptor,
        bytes: &mut Source,
        consumer: &mut Consumer<U::Operations>,
        inbox: &mut Inbox,
    ) -> Result<bool, Error> {
        let digest = &descriptor.digest;
        let mut consumed = 0;
        let mut slice = Vec::new();
        let mut complete = bytes.is_whole();
        loop {
            let behind = consumed < bytes.available();
            let room = consumer.has_room()?;
            if !complete {
                match if behind && room { inbox.look() } else { inbox.wait() } {
                    Received::Bytes(piece) => {
                        bytes.append(&piece)?;
                        self.observer.on(&Event::Downloaded { digest, bytes: bytes.available() });
                        if !behind && room {
                            consumer.feed(descriptor, &piece)?;
                            consumed += piece.len() as u64;
                            self.observer.on(&Event::Unpacked { digest, bytes: consumed });
                        }
                        continue;
                    }
                    Received::End => complete = true,
                    Received::Gone => return Ok(false),
                    Received::Nothing => {}
                }
            }
            if consumed < bytes.available() {
                if !room {
                    if complete && !consumer.wait()? {
                        return Ok(false);
                    }
                    continue;
                }
                slice.resize(SLICE, 0);
                let length = bytes.read(consumed, &mut slice)?;
                if length == 0 {
                    return Err(Error::internal("a stored blob became shorter"));
                }
                consumer.feed(descriptor, &slice[..length])?;
                consumed += length as u64;
                if bytes.is_whole() {
                    self.observer.on(&Event::Downloaded { digest, bytes: consumed });
                }
                self.observer.on(&Event::Unpacked { digest, bytes: consumed });
            } else if complete {
                consumer.end(descriptor)?;
                return Ok(true);
            }
        }
    }
}

/// What takes a blob's bytes.
enum Consumer<O> {
    Verify(Box<Verifier>),
    Decode(Box<LayerDecoder>, O),
}

impl<O: Operations> Consumer<O> {
    fn has_room(&mut self) -> Result<bool, Error> {
        match self {
            Self::Verify(_) => Ok(true),
            Self::Decode(_, operations) => operations.has_room(),
        }
    }

    fn wait(&mut self) -> Result<bool, Error> {
        match self {
            Self::Verify(_) => Ok(true),
            Self::Decode(_, operations) => operations.wait(),
        }
    }

    fn feed(&mut self, descriptor: &Descriptor, bytes: &[u8]) -> Result<(), Error> {
        match self {
            Self::Verify(verifier) => Ok(verifier.update(bytes)?),
            Self::Decode(decoder, operations) => {
                let mut input = bytes;
                loop {
                    match decoder.step(&mut input).map_err(|error| Error::layer(descriptor, error))? {
                        Step::NeedInput => return Ok(()),
                        Step::Op(op) => operations.op(op)?,
                    }
                }
            }
        }
    }

    /// Takes what is left after the last byte.
    fn end(&mut self, descriptor: &Descriptor) -> Result<(), Error> {
        match self {
            Self::Verify(_) => Ok(()),
            Self::Decode(..) => self.feed(descriptor, &[]),
        }
    }
}

/// Where a blob's bytes are.
enum Source {
    Whole(Blob),
    /// Being fetched; the second is for reading it back.
    Partial(Partial, Arc<File>),
}

impl Source {
    fn whole(blob: Blob) -> Self {
        Self::Whole(blob)
    }

    fn partial(partial: Partial) -> Result<Self, CacheError> {
        let reader = Arc::new(partial.reader()?);
        Ok(Self::Partial(partial, reader))
    }

    fn stored(&self) -> Stored {
        match self {
            Self::Whole(_) => Stored::Complete,
            Self::Partial(partial, _) => Stored::Partial { length: partial.length() },
        }
    }

    fn is_whole(&self) -> bool {
        matches!(self, Self::Whole(_))
    }

    fn available(&self) -> u64 {
        match self {
            Self::Whole(blob) => blob.length(),
            Self::Partial(partial, _) => partial.length(),
        }
    }

    fn append(&mut self, piece: &Bytes) -> Result<(), Error> {
        match self {
            Self::Whole(_) => Err(Error::internal("bytes came for a blob that is whole")),
            Self::Partial(partial, _) => Ok(partial.append(piece)?),
        }
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, Error> {
        let read = match self {
            Self::Whole(blob) => blob.read_at(offset, buffer),
            Self::Partial(partial, reader) => Blob::new(reader.clone(), 0, partial.length()).read_at(offset, buffer),
        };
        read.map_err(Error::read_back)
    }

    fn commit(self) -> Result<(), Error> {
        match self {
            Self::Whole(_) => Ok(()),
            Self::Partial(partial, _) => Ok(partial.commit()?),
        }
    }

    fn discard(self) -> Result<(), Error> {
        match self {
            // The machine has it discarded, where it is the cache's.
            Self::Whole(_) => Ok(()),
            Self::Partial(partial, _) => Ok(partial.discard()?),
        }
    }
}
