//! From a decoder's operations to a file system: the tree decides, this carries out and counts.
//!
//! ```text
//! Nothing --Entry(file)--> Writing --Data..., FileEnd--> Nothing
//!         --Entry(file outside the selection)--> Passing --Data..., FileEnd--> Nothing
//!         --any other entry--> Nothing
//! ```

use std::borrow::Cow;

use crate::entry::{Entry, EntryKind, Metadata, NamePolicy};
use crate::error::{Class, Explain};
use crate::fs::FileSystem;
use crate::layer::Op;
use crate::limits::Limits;
use crate::report::{Reason, Report, Skipped, What};
use crate::tree::{Applied, ApplyError, NodeId, Place, Selection, Standing, Tree, TreeError};

#[cfg(test)]
mod tests;

/// Applies the layers of one pull, lowest first, to one file system.
///
/// After an error the file system holds a part of the tree and is to be discarded.
///
/// ```
/// use oci_fetcher_core::entry::{Entry, EntryKind, EntryPath, Metadata};
/// use oci_fetcher_core::layer::Op;
/// use oci_fetcher_core::memory::MemoryFs;
/// use oci_fetcher_core::unpack::{Options, Outcome, Unpacker};
///
/// let directory = Entry { path: EntryPath::clean(b"srv")?, kind: EntryKind::Directory, metadata: Metadata::IMPLIED };
/// let whiteout = Entry { kind: EntryKind::Whiteout, ..directory.clone() };
///
/// let mut unpacker = Unpacker::new(MemoryFs::default(), Options::default());
/// unpacker.begin_layer();
/// unpacker.op(Op::Entry(directory))?;
/// unpacker.begin_layer();
/// unpacker.op(Op::Entry(whiteout))?;
/// let Outcome::Complete(unpacked) = unpacker.finish()? else { unreachable!("everything is selected") };
/// assert_eq!(unpacked.standing.directories, 1, "the root is left");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Unpacker<F: FileSystem> {
    tree: Tree,
    fs: F,
    state: State<F::File>,
    limits: Limits,
    entries: u64,
    bytes: u64,
    report: Report,
    report_bytes: u64,
}

/// What to unpack, and what it may cost.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Of these, entries, path depth, output bytes and tree bytes are seen to here.
    pub limits: Limits,
    /// What the file system gets to see.
    pub selection: Selection,
    /// What becomes of names that Windows cannot hold.
    pub names: NamePolicy,
}

/// How unpacking ended.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a pull makes one of them")]
pub enum Outcome<F> {
    /// The file system holds what was selected.
    Complete(Unpacked<F>),
    /// Selected paths need more than was selected: empty the file system, and apply the same layers
    /// again under this selection, which will do.
    NeedsAnotherPass {
        /// The file system, with what is to be discarded.
        fs: F,
        /// Grown by what symlinks and hard links lead to.
        selection: Selection,
    },
}

/// A tree that was unpacked whole.
#[derive(Debug)]
pub struct Unpacked<F> {
    /// The file system that holds it.
    pub fs: F,
    /// The merged tree.
    pub tree: Tree,
    /// What the file system holds, by kind.
    pub standing: Standing,
    /// Entries of all layers, whiteouts included.
    pub entries: u64,
    /// Sizes of all layers' files together, those replaced later and outside the selection included.
    pub bytes: u64,
    /// What was left out; what the file system left out is in its own report.
    pub report: Report,
}

/// Where in a layer's operations this stands.
#[derive(Debug)]
enum State<File> {
    Nothing,
    Writing { node: NodeId, file: File, size: u64, metadata: Metadata },
    Passing { size: u64 },
}

impl<F: FileSystem> Unpacker<F> {
    /// Starts with an empty file system, which holds its root only.
    pub fn new(fs: F, options: Options) -> Self {
        let Options { limits, selection, names } = options;
        let tree = Tree::new(selection, limits.path_depth).with_names(names);
        let (state, report) = (State::Nothing, Report::default());
        Self { tree, fs, state, limits, entries: 0, bytes: 0, report, report_bytes: 0 }
    }

    /// Begins the next layer. What was applied before is lower from now on.
    pub fn begin_layer(&mut self) {
        self.tree.begin_layer();
    }

    /// Applies one operation of the current layer, in the order in which the decoder made them.
    ///
    /// # Errors
    /// [`UnpackError`] if the entry is refused, a limit is passed, or the file system fails.
    pub fn op(&mut self, op: Op<'_>) -> Result<(), UnpackError<F::Error>> {
        match op {
            Op::Entry(entry) => self.entry(entry),
            Op::Data { offset, bytes } => self.data(offset, bytes),
            Op::FileEnd => self.file_end(),
            Op::Skipped(skipped) => self.skipped(skipped),
        }
    }

    /// Applies a regular file whose content the host has already: `create` puts it in its place,
    /// with size and metadata, unless it lies outside the selection.
    ///
    /// # Errors
    /// As [`op`](Self::op); the error of `create` counts as the file system's.
    pub fn place_file(
        &mut self,
        entry: &Entry,
        create: impl FnOnce(&mut F, &Place<'_>) -> Result<(), F::Error>,
    ) -> Result<(), UnpackError<F::Error>> {
        let EntryKind::File { .. } = entry.kind else {
            return Err(UnpackError::OutOfOrder { what: "content for what is not a file" });
        };
        match self.apply(entry)? {
            Applied::File(node) => create(&mut self.fs, &self.tree.place(node)).map_err(UnpackError::FileSystem),
            Applied::Done | Applied::FileOutside | Applied::HardLinkSkipped(_) => Ok(()),
        }
    }

    /// Returns the file system as it stands.
    pub fn fs(&self) -> &F {
        &self.fs
    }

    /// Returns the file system, for what a host does beside the tree's names.
    pub fn fs_mut(&mut self) -> &mut F {
        &mut self.fs
    }

    /// Gives up, and returns the file system with what it holds by now.
    pub fn into_fs(self) -> F {
        self.fs
    }

    /// Ends after the last layer: gives all directories their metadata, children before parents.
    ///
    /// # Errors
    /// [`TreeError::PathNotFound`] for a selected path that the image does not have, and what the
    /// file system answers.
    pub fn finish(mut self) -> Result<Outcome<F>, UnpackError<F::Error>> {
        let State::Nothing = self.state else { return Err(UnpackError::OutOfOrder { what: "the end within a file" }) };
        if let Some(selection) = self.tree.grown_selection()? {
            return Ok(Outcome::NeedsAnotherPass { fs: self.fs, selection });
        }
        self.tree.finish(&mut self.fs).map_err(UnpackError::FileSystem)?;
        for (path, unportable) in self.tree.unportable() {
            self.skipped(Skipped { path, what: What::Name(unportable), reason: Reason::NotPortable })?;
        }
        let Self { fs, tree, entries, bytes, report, .. } = self;
        Ok(Outcome::Complete(Unpacked { standing: tree.standing(), fs, tree, entries, bytes, report }))
    }

    fn entry(&mut self, entry: Entry) -> Result<(), UnpackError<F::Error>> {
        let applied = self.apply(&entry)?;
        let EntryKind::File { size } = entry.kind else { return Ok(()) };
        self.state = match applied {
            Applied::File(node) => {
                let file = self.fs.create_file(&self.tree.place(node), size).map_err(UnpackError::FileSystem)?;
                State::Writing { node, file, size, metadata: entry.metadata }
            }
            Applied::Done | Applied::FileOutside | Applied::HardLinkSkipped(_) => State::Passing { size },
        };
        Ok(())
    }

    /// Has the tree apply an entry, within the limits.
    fn apply(&mut self, entry: &Entry) -> Result<Applied, UnpackError<F::Error>> {
        let State::Nothing = self.state else {
            return Err(UnpackError::OutOfOrder { what: "an entry within a file" });
        };
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(UnpackError::Entries { limit: self.limits.entries });
        }
        if let EntryKind::File { size } = entry.kind {
            // The size, not what is stored of it: not every destination can hold holes.
            self.bytes = self.bytes.saturating_add(size);
            if self.bytes > self.limits.output_bytes {
                return Err(UnpackError::OutputBytes { limit: self.limits.output_bytes });
            }
        }
        let applied = self.tree.apply(entry, &mut self.fs)?;
        if let Applied::HardLinkSkipped(node) = applied {
            let path = self.tree.place(node).path();
            self.skipped(Skipped { path, what: What::HardLink, reason: Reason::NotSupported })?;
        }
        self.check_memory()?;
        Ok(applied)
    }

    fn data(&mut self, offset: u64, bytes: &[u8]) -> Result<(), UnpackError<F::Error>> {
        let (State::Writing { size, .. } | State::Passing { size }) = &self.state else {
            return Err(UnpackError::OutOfOrder { what: "content without a file" });
        };
        if offset.checked_add(bytes.len() as u64).is_none_or(|end| end > *size) {
            return Err(UnpackError::OutOfOrder { what: "content beyond the file's end" });
        }
        match &mut self.state {
            State::Writing { file, .. } => self.fs.write(file, offset, bytes).map_err(UnpackError::FileSystem),
            State::Passing { .. } | State::Nothing => Ok(()),
        }
    }

    fn file_end(&mut self) -> Result<(), UnpackError<F::Error>> {
        match std::mem::replace(&mut self.state, State::Nothing) {
            State::Writing { node, file, metadata, .. } => {
                self.fs.finish_file(file, &self.tree.place(node), &metadata).map_err(UnpackError::FileSystem)
            }
            State::Passing { .. } => Ok(()),
            State::Nothing => Err(UnpackError::OutOfOrder { what: "a file's end without a file" }),
        }
    }

    /// Reports what was left out, if it was selected.
    fn skipped(&mut self, skipped: Skipped) -> Result<(), UnpackError<F::Error>> {
        let Skipped { path, what, reason } = skipped;
        if !self.tree.selects(&path) {
            return Ok(());
        }
        let name = if let What::Xattr { name } = &what { name.len() } else { 0 };
        self.report_bytes += (size_of::<Skipped>() + path.as_bytes().len() + name) as u64;
        self.report.skip(path, what, reason);
        self.check_memory()
    }

    fn check_memory(&self) -> Result<(), UnpackError<F::Error>> {
        let limit = self.limits.tree_bytes;
        if self.tree.held_bytes() + self.report_bytes > limit {
            return Err(UnpackError::TreeBytes { limit });
        }
        Ok(())
    }
}

/// Why layers could not be unpacked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError<E> {
    /// The tree has no safe place for an entry.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The file system failed.
    #[error(transparent)]
    FileSystem(E),
    /// Too many entries.
    #[error("the layers hold more than {limit} entries")]
    Entries {
        /// [`Limits::entries`].
        limit: u64,
    },
    /// Too much content.
    #[error("the layers' files hold more than {limit} bytes")]
    OutputBytes {
        /// [`Limits::output_bytes`].
        limit: u64,
    },
    /// Too large a tree, by directories, names, link targets or attributes.
    #[error("the merged tree takes more than {limit} bytes of memory")]
    TreeBytes {
        /// [`Limits::tree_bytes`].
        limit: u64,
    },
    /// Operations that no decoder makes in this order: a fault of the host.
    #[error("operations came out of order: {what}")]
    OutOfOrder {
        /// What came.
        what: &'static str,
    },
}

impl<E> From<ApplyError<E>> for UnpackError<E> {
    fn from(error: ApplyError<E>) -> Self {
        match error {
            ApplyError::Tree(error) => Self::Tree(error),
            ApplyError::FileSystem(error) => Self::FileSystem(error),
        }
    }
}

impl<E: Explain + 'static> Explain for UnpackError<E> {
    fn class(&self) -> Class {
        match self {
            Self::Tree(error) => error.class(),
            Self::FileSystem(error) => error.class(),
            Self::Entries { .. } | Self::OutputBytes { .. } | Self::TreeBytes { .. } => Class::Refused,
            Self::OutOfOrder { .. } => Class::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Tree(error) => error.code(),
            Self::FileSystem(error) => error.code(),
            Self::Entries { .. } => "limit-entries",
            Self::OutputBytes { .. } => "limit-output-bytes",
            Self::TreeBytes { .. } => "limit-tree-bytes",
            Self::OutOfOrder { .. } => "operations-out-of-order",
        }
    }

    fn advice(&self) -> Option<Cow<'static, str>> {
        let (field, option) = match self {
            Self::Tree(error) => return error.advice(),
            Self::FileSystem(error) => return error.advice(),
            Self::Entries { .. } => ("entries", "--max-entries"),
            Self::OutputBytes { .. } => ("output_bytes", "--max-output-bytes"),
            Self::TreeBytes { .. } => ("tree_bytes", "--max-tree-bytes"),
            Self::OutOfOrder { .. } => return None,
        };
        Some(format!("raise Limits::{field} ({option}) if the image is to be trusted").into())
    }
}
