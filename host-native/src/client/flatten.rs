//! Images flattened into one tar.

use std::io::{self, Write};
use std::sync::Arc;

use oci_fetcher_core::entry::{Entry, EntryKind};
use oci_fetcher_core::error::{Class, Explain};
use oci_fetcher_core::memory::{ContentStore, Kind, MemoryFs};
use oci_fetcher_core::source::Source;
use oci_fetcher_core::tar::write;
use oci_fetcher_core::unpack::{Options, Unpacker};

use super::Client;
use super::prepare::blocking;
use super::unpack::{Merged, all_checked, counts, infos, selection};
use crate::blob::Blob;
use crate::chain::{Chain, Staged};
use crate::error::Error;
use crate::options::PullOptions;
use crate::pulled::Pulled;
use crate::spool::{LayerSpool, Spooled};

impl Client {
    /// Writes the merged tree of images as one tar: pax format, entries in byte order of their
    /// paths, the same bytes every time. Nothing is written before every layer has been verified.
    ///
    /// # Errors
    /// [`Error`]; nothing was written unless the writer itself failed.
    pub async fn pull_tar(
        &self,
        sources: &[Source],
        writer: impl Write + Send + 'static,
        options: &PullOptions,
    ) -> Result<Pulled, Error> {
        if sources.is_empty() {
            return Err(Error::Usage("there is nothing to pull: no source was given"));
        }
        let selection = selection(&options.paths)?;
        let operation = self.operation()?;
        let mut images = self.images(sources, &operation).await?;
        let (_, merged) = self
            .merge(&mut images, selection, async |selection| {
                let fs = MemoryFs::new(Pack::new()?);
                let limits = self.settings.limits.clone();
                let unpacker = Unpacker::new(fs, Options { limits, selection, ..Options::default() });
                Ok((Chain::new(unpacker, None), Arc::new(())))
            })
            .await?;
        let Merged { unpacked, fetched, stored } = merged;
        let (counts, report) = (counts(&unpacked), unpacked.report);
        let fs = unpacked.fs;
        blocking(move || write_tar(&fs, writer).map_err(Error::write)).await?;
        Ok(Pulled {
            checked: all_checked(&images),
            images: infos(images),
            destination: None,
            unpacked: Some(counts),
            report,
            warnings: operation.watch.warnings(),
            blobs_fetched: fetched,
            blobs_stored: stored,
        })
    }
}

/// The contents of all files, end to end in one nameless file.
pub(crate) struct Pack {
    file: std::fs::File,
    /// The same file, for reading it back.
    blob: Blob,
    length: u64,
}

impl Pack {
    fn new() -> Result<Self, Error> {
        let file = tempfile::tempfile()
            .map_err(|source| Error::Stream { operation: "cannot create a temporary file", source })?;
        let reader =
            file.try_clone().map_err(|source| Error::Stream { operation: "cannot open a temporary file", source })?;
        Ok(Self { file, blob: Blob::new(reader, 0, u64::MAX), length: 0 })
    }
}

impl ContentStore for Pack {
    type Error = PackError;

    fn append(&mut self, bytes: &[u8]) -> Result<u64, PackError> {
        let offset = self.length;
        self.file.write_all(bytes)?;
        self.length += bytes.len() as u64;
        Ok(offset)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), PackError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.blob.read_at(offset + filled as u64, &mut buffer[filled..])? {
                0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                length => filled += length,
            }
        }
        Ok(())
    }
}

/// A temporary file that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot keep content in a temporary file")]
pub(crate) struct PackError(#[from] io::Error);

impl Explain for PackError {
    fn class(&self) -> Class {
        Class::Local
    }

    fn code(&self) -> &'static str {
        "temporary-file"
    }
}

impl From<PackError> for Error {
    fn from(PackError(source): PackError) -> Self {
        Self::Stream { operation: "cannot keep content in a temporary file", source }
    }
}

/// Layers are applied in their turn only: nothing is ever spooled.
impl Staged for MemoryFs<Pack> {
    fn place(
        _unpacker: &mut Unpacker<Self>,
        _entry: &Entry,
        _spool: &LayerSpool,
        _spooled: Spooled,
    ) -> Result<(), Error> {
        Err(Error::internal("content was spooled for a tar"))
    }
}

/// Bytes of content that are copied at once.
const PIECE: usize = 128 << 10;

fn write_tar(fs: &MemoryFs<Pack>, writer: impl Write) -> io::Result<()> {
    let mut writer = io::BufWriter::with_capacity(PIECE, writer);
    let mut piece = vec![0; PIECE];
    for walked in fs.walk() {
        let mut frame = Vec::new();
        let kind = walked.entry_kind();
        write::header(&walked.path, &kind, walked.stat.metadata, &mut frame);
        writer.write_all(&frame)?;
        let (EntryKind::File { .. }, Kind::File(content)) = (kind, walked.stat.kind) else { continue };
        let mut offset = 0;
        while offset < content.size {
            let length = content.read_at(fs.content(), offset, &mut piece).map_err(|PackError(error)| error)?;
            writer.write_all(&piece[..length])?;
            offset += length as u64;
        }
        frame.clear();
        write::padding(content.size, &mut frame);
        writer.write_all(&frame)?;
    }
    let mut end = Vec::new();
    write::trailer(&mut end);
    writer.write_all(&end)?;
    writer.flush()
}
