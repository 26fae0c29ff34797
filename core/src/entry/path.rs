//! Paths inside a root: cleaned, relative, byte for byte.

use std::fmt;

use crate::error::{Class, Explain};

/// A path below the root, cleaned lexically: components joined by one `/`, none of them empty, `.`
/// or `..`, and no NUL. The root itself is the empty path.
///
/// Names are bytes: they need not be UTF-8. `Display` escapes what could harm a terminal.
///
/// ```
/// use oci_fetcher_core::entry::EntryPath;
///
/// assert_eq!(EntryPath::clean(b"./usr//lib/../bin/")?.as_bytes(), b"usr/bin");
/// assert!(EntryPath::clean(b"a/../../etc/passwd").is_err());
/// # Ok::<(), oci_fetcher_core::entry::PathError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryPath(Box<[u8]>);

impl EntryPath {
    /// Cleans a name from an archive. An absolute name counts from the root.
    ///
    /// # Errors
    /// [`PathError`] if the name is empty, holds a NUL or leads out of the root.
    pub fn clean(name: &[u8]) -> Result<Self, PathError> {
        let refuse = |reason| PathError { name: name.into(), reason };
        if name.is_empty() {
            return Err(refuse("the name is empty"));
        }
        if name.contains(&0) {
            return Err(refuse("the name holds a NUL"));
        }
        let mut clean: Vec<u8> = Vec::with_capacity(name.len());
        for component in name.split(|&byte| byte == b'/') {
            match component {
                b"" | b"." => {}
                b".." if clean.is_empty() => return Err(refuse("the name leads out of the root")),
                b".." => clean.truncate(clean.iter().rposition(|&byte| byte == b'/').unwrap_or(0)),
                _ => {
                    if !clean.is_empty() {
                        clean.push(b'/');
                    }
                    clean.extend_from_slice(component);
                }
            }
        }
        Ok(Self(clean.into()))
    }

    /// Returns the path of the root itself.
    #[must_use]
    pub fn root() -> Self {
        Self(Box::default())
    }

    /// Tells whether this is the root itself.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the components from the root down; none for the root.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|&byte| byte == b'/').filter(|component| !component.is_empty())
    }

    /// Returns the path up to the last component, and that component; `None` for the root.
    #[must_use]
    pub fn split_last(&self) -> Option<(Self, &[u8])> {
        let (parent, name) = match self.0.iter().rposition(|&byte| byte == b'/') {
            Some(slash) => (&self.0[..slash], &self.0[slash + 1..]),
            None => (&self.0[..0], &self.0[..]),
        };
        (!self.is_root()).then(|| (Self(parent.into()), name))
    }

    /// Returns the bytes, without a leading or trailing slash.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntryPath({self})")
    }
}

/// A name that is no path inside a root.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unsafe name \"{}\": {reason}", name.escape_ascii())]
pub struct PathError {
    name: Box<[u8]>,
    reason: &'static str,
}

impl Explain for PathError {
    fn class(&self) -> Class {
        Class::Refused
    }

    fn code(&self) -> &'static str {
        "unsafe-name"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleans_lexically() {
        for (name, clean) in [
            ("a", "a"),
            ("./a/", "a"),
            ("/e", "e"),
            ("//a//b", "a/b"),
            ("a/../b", "b"),
            ("a/b/../../c", "c"),
            (".", ""),
            ("/", ""),
            ("a/..", ""),
            ("..a/b..", "..a/b.."),
        ] {
            assert_eq!(EntryPath::clean(name.as_bytes()).expect(name).as_bytes(), clean.as_bytes(), "{name}");
        }
    }

    #[test]
    fn refuses_names_that_lead_out() {
        for name in ["", "..", "../e", "/../e", "a/../../e", "a/b/../../../c", "a\0b"] {
            assert!(EntryPath::clean(name.as_bytes()).is_err(), "{name:?} was accepted");
        }
    }

    #[test]
    fn splits_off_the_last_component() {
        let path = EntryPath::clean(b"a/b/c").expect("a safe name");
        let (parent, name) = path.split_last().expect("not the root");
        assert_eq!((parent.as_bytes(), name), (&b"a/b"[..], &b"c"[..]));
        assert_eq!(EntryPath::root().split_last(), None);
        assert_eq!(path.components().collect::<Vec<_>>(), [b"a", b"b", b"c"]);
    }
}
