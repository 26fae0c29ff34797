//! The disk as a [`FileSystem`](oci_fetcher_core::fs::FileSystem), and the safe removal of what was
//! written to it.
//!
//! The [tree](oci_fetcher_core::tree) has resolved every path before it arrives here. What this module adds
//! is that nobody can make it leave the root, not even somebody who renames directories at the same
//! time:
//!
//! - every system call names one component in an open directory, and none follows a link;
//! - directories are opened from the nearest open ancestor by `openat2` with `RESOLVE_BENEATH`,
//!   `RESOLVE_NO_SYMLINKS` and `RESOLVE_NO_MAGICLINKS`, or component by component with `O_NOFOLLOW`
//!   where a kernel or sandbox lacks it;
//! - a bounded number of them stays open, by node and not by name.
//!
//! Until its end a tree is private: directories have mode 0700 and files 0600, and each gets its
//! owner, extended attributes, mode and times, in this order, after its content.
//!
//! | file | holds |
//! |---|---|
//! | `native` | [`DiskFs`] on Unix |
//! | `handles` | its open directories |
//! | `metadata` | owner, extended attributes, mode, times, and what could not be applied |
//! | `remove` | [`remove_tree`] |
//! | `listing` | [`list_tree`] |
//! | `portable` | [`DiskFs`] elsewhere, by path |
//! | `error` | [`DiskError`] |

mod error;
#[cfg(unix)]
mod handles;
#[cfg(unix)]
mod listing;
#[cfg(unix)]
mod metadata;
#[cfg(unix)]
mod native;
#[cfg(not(unix))]
mod portable;
#[cfg(unix)]
mod remove;

#[cfg(all(test, target_os = "linux"))]
pub(crate) mod tests;

pub(crate) use error::escaped;
pub use error::{DiskError, Operation};
#[cfg(unix)]
pub use listing::list_tree;
#[cfg(unix)]
pub use native::{DiskFile, DiskFs};
#[cfg(not(unix))]
pub(crate) use portable::remove_contents;
#[cfg(not(unix))]
pub use portable::{DiskFile, DiskFs, remove_tree};
#[cfg(unix)]
pub(crate) use remove::remove_contents;
#[cfg(unix)]
pub use remove::remove_tree;
