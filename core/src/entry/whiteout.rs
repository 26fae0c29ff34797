//! Whiteouts and opaque marks (OCI image-spec 1.1, layer.md, "Representing Changes").
//!
//! The name alone makes a mark, whatever the entry's type or content. Deviations, because real
//! layers hold them: what lies at or below a root-level `.wh..wh.*` other than the opaque mark is
//! the bookkeeping of aufs, and is neither a whiteout nor content.

use super::EntryPath;
use crate::error::{Class, Explain};

/// What a name in a layer stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Nothing but itself.
    Plain,
    /// It hides this path in lower layers.
    Whiteout(EntryPath),
    /// It hides what this directory holds in lower layers.
    Opaque(EntryPath),
    /// It belongs to a union file system and means nothing here.
    Union,
}

impl Mark {
    /// Tells what `path` stands for.
    ///
    /// ```
    /// use oci_fetcher_core::entry::{EntryPath, Mark};
    ///
    /// let hidden = EntryPath::clean(b"etc/.hid")?;
    /// assert_eq!(Mark::of(&EntryPath::clean(b"etc/.wh..hid")?)?, Mark::Whiteout(hidden));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`WhiteoutError`] if the mark would hide its own directory or that one's parent, names
    /// nothing, or stands for a directory of other entries.
    pub fn of(path: &EntryPath) -> Result<Self, WhiteoutError> {
        let Some((directory, name)) = path.split_last() else { return Ok(Self::Plain) };
        let refuse = |reason| WhiteoutError { path: path.clone(), reason };
        if path.as_bytes().starts_with(UNION_PREFIX) && path.components().next() != Some(OPAQUE) {
            return Ok(Self::Union);
        }
        if directory.components().any(|component| component.starts_with(PREFIX)) {
            return Err(refuse("a whiteout is no directory"));
        }
        match name.strip_prefix(PREFIX) {
            None => Ok(Self::Plain),
            Some(_) if name == OPAQUE => Ok(Self::Opaque(directory)),
            Some(b"") => Err(refuse("it names nothing to hide")),
            Some(b"." | b"..") => Err(refuse("it would hide a directory that it stands in")),
            Some(hidden) => {
                let path = [directory.as_bytes(), hidden].join(&b'/');
                Ok(Self::Whiteout(EntryPath::clean(&path).expect("a component of a clean path, neither `.` nor `..`")))
            }
        }
    }
}

/// The prefix of whiteouts' names.
pub(crate) const PREFIX: &[u8] = b".wh.";
/// The name of the opaque mark.
pub(crate) const OPAQUE: &[u8] = b".wh..wh..opq";
const UNION_PREFIX: &[u8] = b".wh..wh.";

/// A whiteout's name that hides nothing it may hide.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unsafe whiteout \"{path}\": {reason}")]
pub struct WhiteoutError {
    path: EntryPath,
    reason: &'static str,
}

impl Explain for WhiteoutError {
    fn class(&self) -> Class {
        Class::Refused
    }

    fn code(&self) -> &'static str {
        "unsafe-whiteout"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> EntryPath {
        EntryPath::clean(name.as_bytes()).expect("a safe name")
    }

    #[test]
    fn reads_marks_by_name_alone() {
        for (name, mark) in [
            (".", Mark::Plain),
            ("a/b", Mark::Plain),
            ("wh.a", Mark::Plain),
            ("a/.whx", Mark::Plain),
            (".wh.a", Mark::Whiteout(path("a"))),
            ("d/e/.wh.a", Mark::Whiteout(path("d/e/a"))),
            ("d/.wh.a/", Mark::Whiteout(path("d/a"))),
            (".wh..hid", Mark::Whiteout(path(".hid"))),
            (".wh....", Mark::Whiteout(path("..."))),
            ("d/.wh..wh.x", Mark::Whiteout(path("d/.wh.x"))),
            (".wh..wh..opq", Mark::Opaque(path("."))),
            ("d/.wh..wh..opq", Mark::Opaque(path("d"))),
            ("d/.wh..wh..opqx", Mark::Whiteout(path("d/.wh..opqx"))),
            (".wh..wh.plnk", Mark::Union),
            (".wh..wh.plnk/12.34", Mark::Union),
            (".wh..wh.orph", Mark::Union),
        ] {
            assert_eq!(Mark::of(&path(name)), Ok(mark), "{name}");
        }
    }

    #[test]
    fn refuses_marks_that_hide_their_own_directory() {
        for name in
            [".wh.", ".wh..", ".wh...", "d/.wh.", "d/.wh..", "d/.wh...", ".wh.d/a", "d/.wh.e/.wh.a", ".wh..wh..opq/a"]
        {
            assert!(Mark::of(&path(name)).is_err(), "{name} was accepted");
        }
    }
}
