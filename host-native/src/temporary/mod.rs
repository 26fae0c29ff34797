//! What exists only until its work is done, and what killed processes left of it.
//!
//! ```text
//! .NAME.oci-fetcher-x7k2p9      beside NAME: a file or a directory that will get that name
//! .oci-fetcher-x7k2p9           in a folder that is all ours
//! ```
//!
//! A name says whose it is, a lock says that its owner lives: the system drops it when the owner ends,
//! in whatever way. An owner makes a file or directory, locks it, and looks whether it is still there;
//! who finds one that is not locked locks it, looks whether it still is what it found, and removes it.
//! So one of two that meet always sees the other, and whoever comes for the same name removes what a
//! killed process left there.

mod file;
mod folder;
mod leftover;

pub use file::AtomicFile;
pub(crate) use file::{Access, TemporaryFile};
pub(crate) use folder::{Folder, Scratch, create_private, make_private};
pub(crate) use leftover::{
    ANONYMOUS, ASIDE, for_each_dead, is_temporary, open, prefix, random_name, remove_dead_files, rename_to_free,
};
