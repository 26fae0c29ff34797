//! The file system that a merged tree is written to.

use crate::entry::{DeviceNumber, Metadata};
use crate::error::Explain;
use crate::tree::Place;

/// A file system that holds one tree, as the [merged tree](crate::tree::Tree) directs.
///
/// Every [`Place`] has been resolved by the tree: its parent is a directory that this file system
/// was told to create, reached through directories alone, and its name is one safe component. The
/// tree removes what stands in the way before it creates. What cannot be applied is kept by the
/// implementation in its own [`Report`](crate::report::Report).
pub trait FileSystem {
    /// A regular file being written.
    type File;
    /// What can go wrong.
    type Error: Explain + Send + Sync + 'static;

    /// Creates an empty directory, writable for the caller. Its metadata comes last, with
    /// [`finish_directory`](Self::finish_directory).
    fn create_directory(&mut self, at: &Place<'_>) -> Result<(), Self::Error>;

    /// Creates a regular file that will hold `size` bytes; bytes never written are holes.
    fn create_file(&mut self, at: &Place<'_>, size: u64) -> Result<Self::File, Self::Error>;

    /// Writes content at `offset`; offsets never decrease.
    fn write(&mut self, file: &mut Self::File, offset: u64, bytes: &[u8]) -> Result<(), Self::Error>;

    /// Gives the file its size and metadata: owner, extended attributes, mode, times, in this order.
    fn finish_file(&mut self, file: Self::File, at: &Place<'_>, metadata: &Metadata) -> Result<(), Self::Error>;

    /// Creates a symbolic link that holds `target` byte for byte.
    fn create_symlink(&mut self, at: &Place<'_>, target: &[u8], metadata: &Metadata) -> Result<Created, Self::Error>;

    /// Creates a further name for what stands at `existing`, which is never a directory.
    fn create_hard_link(&mut self, at: &Place<'_>, existing: &Place<'_>) -> Result<Created, Self::Error>;

    /// Creates a FIFO or device, or skips it.
    fn create_special(&mut self, at: &Place<'_>, special: Special, metadata: &Metadata)
    -> Result<Created, Self::Error>;

    /// Removes one name that is no directory.
    fn remove(&mut self, at: &Place<'_>) -> Result<(), Self::Error>;

    /// Removes one directory, which the tree has emptied. Its node may be used again for another.
    fn remove_directory(&mut self, at: &Place<'_>) -> Result<(), Self::Error>;

    /// Gives a directory its metadata, after everything in it has been written. Called once for
    /// each directory at the end, children first; the root's place has an empty name.
    fn finish_directory(&mut self, at: &Place<'_>, metadata: &Metadata) -> Result<(), Self::Error>;
}

/// What is neither file, directory nor link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    /// A named pipe.
    Fifo,
    /// A character device.
    CharacterDevice(DeviceNumber),
    /// A block device.
    BlockDevice(DeviceNumber),
}

/// Whether something stands at its place now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Created {
    /// It does.
    Made,
    /// It was skipped and reported.
    Skipped,
}
