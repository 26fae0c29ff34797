//! From the bytes of a layer's tar to checked entries, in bounded memory (OCI image-spec 1.1,
//! layer.md; POSIX.1-2018 pax; ustar, V7 and GNU as their producers write them).
//!
//! ```text
//!            x g L K
//!          +---------> Extension --+
//!          |                       |
//! --> Header <---------------------+
//!      ^   |
//!      |   |  a member                     a file
//!      |   +-----------------------> Emit --------> Content
//!      |   |                        ^ |  |             | padding
//!      |   |  a sparse file         | |  |  dropped    v
//!      |   +----------------> Map --+ |  +---------> Discard --+
//!      |   |                          |                        |
//!      +---|--------------------------+------------------------+
//!          |  a zero block        no content
//!          +----------------> ZeroBlock ---> Done
//! ```
//!
//! Deviations from POSIX: an archive may end without the two zero blocks, or with one of them, as
//! real layers do; what follows them is ignored. Unknown type flags are an error instead of a
//! regular file, so that nothing of a layer is misread silently. Those that concern one header are
//! listed in `header`, `pax` and `member`.

mod error;
mod gnu;
mod header;
mod index;
mod member;
mod pax;
mod sparse;
pub mod write;

pub use error::TarError;
pub use index::{TarIndex, TarIndexer, TarLocation};

use std::fmt;
use std::mem;

use self::error::MAX_STACKED;
use self::header::{BLOCK, Checked, ExtensionKind, Flag, padding};
use self::member::{Content, Extensions, Map, Member, Outcome};
use self::pax::PaxRecords;
use self::sparse::Extents;
use crate::entry::{Entry, EntryKind};
use crate::limits::Limits;
use crate::report::{Reason, Skipped, What};
use crate::sorted::SortedMap;

/// Reads a tar that is pushed through it.
///
/// Its memory is one extension header or sparse map (bounded by
/// [`Limits::extension_bytes`], at most sixteen of them for one member) and one entry; content passes
/// by.
///
/// ```
/// use oci_fetcher_core::entry::{EntryKind, EntryPath, Metadata};
/// use oci_fetcher_core::limits::Limits;
/// use oci_fetcher_core::tar::{TarEvent, TarReader, write};
///
/// let mut tar = Vec::new();
/// write::header(&EntryPath::clean(b"etc/motd")?, &EntryKind::File { size: 5 }, &Metadata::IMPLIED, &mut tar);
/// tar.extend_from_slice(b"hello");
/// write::padding(5, &mut tar);
/// write::trailer(&mut tar);
///
/// let (mut reader, mut content) = (TarReader::new(&Limits::default()), Vec::new());
/// let mut input = &tar[..];
/// loop {
///     let before = input;
///     match reader.step(&mut input)? {
///         TarEvent::NeedInput => break,
///         TarEvent::Entry(entry) => assert_eq!(entry.path.as_bytes(), b"etc/motd"),
///         TarEvent::Data { len, .. } => content.extend_from_slice(&before[..len]),
///         TarEvent::FileEnd | TarEvent::Skipped(_) => {}
///     }
/// }
/// assert_eq!(reader.finish()?.entries, 1);
/// assert_eq!(content, b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TarReader {
    limits: Limits,
    state: State,
    block: Block,
    /// Offset in the tar of the next byte.
    position: u64,
    entries: u64,
    warnings: SortedMap<&'static str, ()>,
}

/// What a step made.
#[derive(Debug, PartialEq, Eq)]
pub enum TarEvent {
    /// All of the input was consumed; feed more, or finish.
    NeedInput,
    /// An entry. A regular file is followed by its data and a [`FileEnd`](Self::FileEnd).
    Entry(Entry),
    /// Content of the file just named: the `len` bytes, at least one, at the front of `input` before
    /// this step, which has advanced `input` past them.
    Data {
        /// Bytes from the file's start; increases within a file, and what it jumps over is a hole.
        offset: u64,
        /// How many bytes.
        len: usize,
    },
    /// The file just named is complete; what is missing up to its size is a hole.
    FileEnd,
    /// Something that policy leaves out: an attribute of the next entry, or a member of its own.
    Skipped(Skipped),
}

/// What a complete tar was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TarSummary {
    /// Members, whiteouts and skipped ones included.
    pub entries: u64,
    /// What was odd but accepted, as sentences for a reader.
    pub warnings: Vec<String>,
}

impl TarReader {
    /// Starts at the first byte of a tar. [`Limits::entries`] applies to this tar alone.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self {
            limits: limits.clone(),
            state: State::Header { extensions: None },
            block: Block { bytes: [0; BLOCK], filled: 0 },
            position: 0,
            entries: 0,
            warnings: SortedMap::default(),
        }
    }

    /// Consumes from the front of `input`, and returns after at most one event. After the last input
    /// it must be called with none until [`TarEvent::NeedInput`].
    ///
    /// # Errors
    /// [`TarError`] if the tar is malformed, unsafe, over a limit or of an unknown kind. The reader
    /// then stays failed.
    pub fn step(&mut self, input: &mut &[u8]) -> Result<TarEvent, TarError> {
        loop {
            let (state, event) = match mem::replace(&mut self.state, State::Failed) {
                State::Header { extensions } => match self.fill(input) {
                    Some((block, position)) => (self.header(&block, position, extensions)?, None),
                    None => (State::Header { extensions }, Some(TarEvent::NeedInput)),
                },
                State::Extension(mut extension) => {
                    let part = self.take(input, extension.missing);
                    extension.bytes.extend_from_slice(part);
                    extension.missing -= part.len() as u64;
                    if extension.missing > 0 {
                        (State::Extension(extension), Some(TarEvent::NeedInput))
                    } else {
                        (State::Header { extensions: Some(self.extend(*extension)?) }, None)
                    }
                }
                State::Map { member, mut map } => match self.fill(input) {
                    Some((block, _)) if map.block(&block)? => {
                        (State::Emit { member, content: Content::from_map(map)? }, None)
                    }
                    Some(_) => (State::Map { member, map }, None),
                    None => (State::Map { member, map }, Some(TarEvent::NeedInput)),
                },
                State::Emit { member, content } => {
                    let (state, event) = Self::emit(member, content);
                    (state, Some(event))
                }
                State::Content { mut extents, stored } => match extents.take(input.len() as u64) {
                    None => (State::discard(padding(stored)), Some(TarEvent::FileEnd)),
                    Some((_, 0)) => (State::Content { extents, stored }, Some(TarEvent::NeedInput)),
                    Some((offset, len)) => {
                        let len = self.take(input, len).len();
                        (State::Content { extents, stored }, Some(TarEvent::Data { offset, len }))
                    }
                },
                State::Discard { missing } => {
                    let missing = missing - self.take(input, missing).len() as u64;
                    (State::discard(missing), (missing > 0).then_some(TarEvent::NeedInput))
                }
                State::ZeroBlock => match self.fill(input) {
                    Some((block, _)) if is_zero(&block) => (State::Done, None),
                    Some((_, position)) => return Err(TarError::AfterZeroBlock { position }),
                    None => (State::ZeroBlock, Some(TarEvent::NeedInput)),
                },
                State::Done => {
                    if !is_zero(self.take(input, u64::MAX)) {
                        self.warnings.insert("bytes after the end of the tar were ignored", ());
                    }
                    (State::Done, Some(TarEvent::NeedInput))
                }
                State::Failed => return Err(TarError::Failed { position: self.position }),
            };
            self.state = state;
            if let Some(event) = event {
                return Ok(event);
            }
        }
    }

    /// Checks that the archive may end here.
    ///
    /// # Errors
    /// [`TarError::Truncated`] in the middle of a member, [`TarError::Orphan`] after extension
    /// headers, [`TarError::Failed`] after another error.
    pub fn finish(self) -> Result<TarSummary, TarError> {
        let position = self.position;
        match self.state {
            State::Header { extensions } if self.block.filled == 0 => {
                check_no_orphans(extensions.as_deref(), position)?
            }
            State::ZeroBlock if self.block.filled == 0 => {}
            State::Done => {}
            State::Failed => return Err(TarError::Failed { position }),
            State::Header { .. }
            | State::Extension(_)
            | State::Map { .. }
            | State::Emit { .. }
            | State::Content { .. }
            | State::Discard { .. }
            | State::ZeroBlock => return Err(TarError::Truncated { position }),
        }
        let warnings = self.warnings.keys().map(ToString::to_string).collect();
        Ok(TarSummary { entries: self.entries, warnings })
    }

    /// Returns how many bytes of content come next, holes not counted; 0 outside a file.
    fn content_ahead(&self) -> u64 {
        if let State::Content { extents, .. } = &self.state { extents.stored() } else { 0 }
    }

    /// Passes over content without seeing it: at most [`content_ahead`](Self::content_ahead).
    fn skip_content(&mut self, bytes: u64) {
        if let State::Content { extents, .. } = &mut self.state {
            self.position += extents.skip(bytes);
        }
    }

    /// Reads a header, or the first zero block.
    fn header(
        &mut self,
        block: &[u8; BLOCK],
        position: u64,
        extensions: Option<Box<Extensions>>,
    ) -> Result<State, TarError> {
        if is_zero(block) {
            check_no_orphans(extensions.as_deref(), position)?;
            return Ok(State::ZeroBlock);
        }
        let header = Checked::new(block, position)?;
        let kind = match header.flag()? {
            Flag::Extension(kind) => return self.extension(&header, kind, extensions.unwrap_or_default()),
            Flag::Member(kind) => kind,
        };
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(TarError::Limit { position, field: "entries", limit: self.limits.entries });
        }
        let (member, content) = member::read(&header, kind, *extensions.unwrap_or_default(), &self.limits)?;
        Ok(match content {
            Content::Unmapped(map) => State::Map { member: Box::new(member), map },
            content @ (Content::Nothing | Content::Stored { .. }) => State::Emit { member: Box::new(member), content },
        })
    }

    /// Starts an extension.
    fn extension(
        &self,
        header: &Checked<'_>,
        kind: ExtensionKind,
        mut extensions: Box<Extensions>,
    ) -> Result<State, TarError> {
        let position = header.position();
        header.check_numbers(&PaxRecords::default())?;
        extensions.count += 1;
        if extensions.count > MAX_STACKED {
            return Err(TarError::Stacked { position });
        }
        let (size, limit) = (header.size()?, self.limits.extension_bytes);
        let size = u32::try_from(size).ok().filter(|&size| size <= limit);
        let size = size.ok_or(TarError::Limit { position, field: "extension_bytes", limit: limit.into() })?;
        let missing = u64::from(size) + padding(size.into());
        // The size is a claim: memory grows with what comes.
        let bytes = Vec::new();
        Ok(State::Extension(Box::new(Extension { kind, size, position, missing, bytes, extensions })))
    }

    /// Adds a complete extension to those before it.
    fn extend(&mut self, extension: Extension) -> Result<Box<Extensions>, TarError> {
        let Extension { kind, size, position, bytes, mut extensions, .. } = extension;
        let content = &bytes[..size as usize];
        match kind {
            ExtensionKind::Pax => extensions.pax.get_or_insert_default().read(content, position, &self.limits)?,
            ExtensionKind::PaxGlobal => {
                if pax::read_global(content, position)? {
                    self.warnings.insert("global pax records were ignored", ());
                }
            }
            ExtensionKind::LongName => extensions.long_name = Some(gnu::long_name(content)),
            ExtensionKind::LongLink => extensions.long_link = Some(gnu::long_name(content)),
        }
        Ok(extensions)
    }

    /// Makes the next event of a member, and lets its content follow the last.
    fn emit(mut member: Box<Member>, content: Content) -> (State, TarEvent) {
        let path = match &member.outcome {
            Outcome::Entry(entry) => &entry.path,
            Outcome::Skipped(skipped) => &skipped.path,
        };
        if let Some(name) = member.skipped.next() {
            let skipped = Skipped { path: path.clone(), what: What::Xattr { name }, reason: Reason::Policy };
            return (State::Emit { member, content }, TarEvent::Skipped(skipped));
        }
        let (is_file, event) = match member.outcome {
            Outcome::Entry(entry) => (matches!(entry.kind, EntryKind::File { .. }), TarEvent::Entry(entry)),
            Outcome::Skipped(skipped) => (false, TarEvent::Skipped(skipped)),
        };
        let state = match content {
            Content::Stored { extents, stored } if is_file => State::Content { extents, stored },
            // A whiteout's content, or that of a mark: nobody asks for it.
            Content::Stored { stored, .. } => State::discard(stored.saturating_add(padding(stored))),
            Content::Nothing | Content::Unmapped(_) => State::discard(0),
        };
        (state, event)
    }

    /// Consumes up to `missing` bytes.
    fn take<'i>(&mut self, input: &mut &'i [u8], missing: u64) -> &'i [u8] {
        let len = usize::try_from(missing).map_or(input.len(), |missing| missing.min(input.len()));
        let (taken, rest) = input.split_at(len);
        *input = rest;
        self.position += len as u64;
        taken
    }

    /// Consumes up to a block; returns it and its offset once it is whole.
    fn fill(&mut self, input: &mut &[u8]) -> Option<([u8; BLOCK], u64)> {
        let part = self.take(input, (BLOCK - self.block.filled) as u64);
        self.block.bytes[self.block.filled..][..part.len()].copy_from_slice(part);
        self.block.filled += part.len();
        if self.block.filled < BLOCK {
            return None;
        }
        self.block.filled = 0;
        Some((self.block.bytes, self.position - BLOCK as u64))
    }
}

impl fmt::Debug for TarReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { position, entries, .. } = self;
        f.debug_struct("TarReader").field("position", position).field("entries", entries).finish_non_exhaustive()
    }
}

/// What comes next; see the diagram above.
enum State {
    /// A header, or the end.
    Header { extensions: Option<Box<Extensions>> },
    /// The content of an extension header.
    Extension(Box<Extension>),
    /// A sparse file's map.
    Map { member: Box<Member>, map: Map },
    /// Events of a member that is known.
    Emit { member: Box<Member>, content: Content },
    /// A file's content.
    Content { extents: Extents, stored: u64 },
    /// Content that nobody asks for, or padding.
    Discard { missing: u64 },
    /// A second zero block, or the end.
    ZeroBlock,
    /// Nothing that matters.
    Done,
    /// Nothing: there was an error.
    Failed,
}

impl State {
    fn discard(missing: u64) -> Self {
        if missing == 0 { Self::Header { extensions: None } } else { Self::Discard { missing } }
    }
}

/// An extension header whose content is being collected.
struct Extension {
    kind: ExtensionKind,
    size: u32,
    position: u64,
    /// Bytes to come, padding included.
    missing: u64,
    bytes: Vec<u8>,
    /// Those before it.
    extensions: Box<Extensions>,
}

struct Block {
    bytes: [u8; BLOCK],
    filled: usize,
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

fn check_no_orphans(extensions: Option<&Extensions>, position: u64) -> Result<(), TarError> {
    match extensions {
        Some(extensions) if extensions.are_orphans() => Err(TarError::Orphan { position }),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
