//! What an artifact's files are called, and whether one is a WebAssembly binary.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::digest::Digest;
use crate::entry::EntryPath;
use crate::error::{Class, Explain};
use crate::manifest::MediaType;

/// Returns safe names for an artifact's files, in their order: the title, or the digest with `-` for
/// `:` where there is none.
///
/// ```
/// use oci_fetcher_core::artifact::file_names;
/// use oci_fetcher_core::digest::{Algorithm, Digest};
///
/// let digest = Digest::of(Algorithm::Sha256, b"");
/// assert_eq!(file_names([(&digest, Some("bin/tool"))])?[0].as_bytes(), b"bin/tool");
/// assert!(file_names([(&digest, Some("../tool"))]).is_err());
/// # Ok::<(), oci_fetcher_core::artifact::ArtifactError>(())
/// ```
///
/// # Errors
/// [`ArtifactError::Title`], and [`ArtifactError::Collision`] where different files would be one, or
/// one a directory.
pub fn file_names<'f>(
    files: impl IntoIterator<Item = (&'f Digest, Option<&'f str>)>,
) -> Result<Vec<EntryPath>, ArtifactError> {
    let mut taken: BTreeMap<EntryPath, &Digest> = BTreeMap::new();
    let mut names = Vec::new();
    for (digest, title) in files {
        let path = match title {
            Some(title) => safe_title(title)?,
            None => EntryPath::clean(digest.as_str().replace(':', "-").as_bytes())
                .expect("a digest consists of safe characters"),
        };
        if taken.insert(path.clone(), digest).is_some_and(|other| other != digest) {
            return Err(ArtifactError::Collision { path });
        }
        names.push(path);
    }
    for path in taken.keys() {
        let parent = |path: &EntryPath| path.split_last().map(|(parent, _)| parent);
        let mut ancestors = std::iter::successors(parent(path), parent);
        if let Some(path) = ancestors.find(|ancestor| taken.contains_key(ancestor)) {
            return Err(ArtifactError::Collision { path });
        }
    }
    Ok(names)
}

fn safe_title(title: &str) -> Result<EntryPath, ArtifactError> {
    let refused = || ArtifactError::Title { title: title.to_owned() };
    let unsafe_component = |component: &str| {
        matches!(component, "" | "." | "..")
            || component.contains(|character: char| character.is_control() || matches!(character, '\\' | ':'))
    };
    if title.split('/').any(unsafe_component) {
        return Err(refused());
    }
    EntryPath::clean(title.as_bytes()).map_err(|_| refused())
}

/// The two kinds of WebAssembly binaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WasmKind {
    /// A core module.
    Module,
    /// A component.
    Component,
}

impl WasmKind {
    /// Tells whether content of a media type has to be a WebAssembly binary.
    #[must_use]
    pub fn is_claimed_by(media_type: &MediaType) -> bool {
        matches!(media_type, MediaType::Wasm | MediaType::WasmLayer | MediaType::WasmModuleLayer)
    }

    /// Reads the first eight bytes of a binary: magic, version and layer. More are ignored.
    ///
    /// ```
    /// use oci_fetcher_core::artifact::WasmKind;
    ///
    /// assert_eq!(WasmKind::of(b"\0asm\x01\0\0\0\x01")?, WasmKind::Module);
    /// # Ok::<(), oci_fetcher_core::artifact::ArtifactError>(())
    /// ```
    ///
    /// # Errors
    /// [`ArtifactError::NotWasm`]
    pub fn of(beginning: &[u8]) -> Result<Self, ArtifactError> {
        match beginning {
            [b'\0', b'a', b's', b'm', 1, 0, 0, 0, ..] => Ok(Self::Module),
            // The component model's layer is 1; its version still counts pre-releases.
            [b'\0', b'a', b's', b'm', _, _, 1, 0, ..] => Ok(Self::Component),
            _ => Err(ArtifactError::NotWasm { found: beginning.iter().take(8).copied().collect() }),
        }
    }

    /// Returns the name: `module` or `component`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Module => "module",
            Self::Component => "component",
        }
    }
}

/// What is wrong with an artifact's files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArtifactError {
    /// A title that is no safe relative path.
    #[error("the title \"{}\" is no safe file name", title.escape_debug())]
    Title {
        /// The title.
        title: String,
    },
    /// Two different files of one name, or a file where another needs a directory.
    #[error("several files of the artifact claim the name {path}")]
    Collision {
        /// The name.
        path: EntryPath,
    },
    /// Content that is no WebAssembly binary.
    #[error("no WebAssembly binary begins with {found:02x?}")]
    NotWasm {
        /// Its first bytes.
        found: Vec<u8>,
    },
}

impl Explain for ArtifactError {
    fn class(&self) -> Class {
        match self {
            Self::Title { .. } | Self::Collision { .. } => Class::Refused,
            Self::NotWasm { .. } => Class::Integrity,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Title { .. } => "unsafe-title",
            Self::Collision { .. } => "title-collision",
            Self::NotWasm { .. } => "not-wasm",
        }
    }

    fn advice(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Title { .. } | Self::Collision { .. } => Some("fetch the files one by one, by digest".into()),
            Self::NotWasm { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Algorithm;

    fn digest(content: &str) -> Digest {
        Digest::of(Algorithm::Sha256, content.as_bytes())
    }

    fn names(files: &[(Option<&str>, &str)]) -> Result<Vec<String>, ArtifactError> {
        let digests: Vec<Digest> = files.iter().map(|(_, content)| digest(content)).collect();
        let names = file_names(digests.iter().zip(files).map(|(digest, (title, _))| (digest, *title)))?;
        Ok(names.iter().map(|name| String::from_utf8_lossy(name.as_bytes()).into_owned()).collect())
    }

    #[test]
    fn titles_become_paths_and_untitled_files_are_named_by_digest() {
        let untitled = digest("3").as_str().replace(':', "-");
        let files = [(Some("a.txt"), "1"), (Some("bin/tool"), "2"), (None, "3")];
        assert_eq!(names(&files), Ok(vec!["a.txt".to_owned(), "bin/tool".to_owned(), untitled]));
    }

    #[test]
    fn titles_that_lead_elsewhere_are_refused() {
        for title in ["", ".", "..", "/etc/passwd", "a/../b", "a//b", "a/", "./a", "a\\b", "C:x", "a\nb", "a\0b"] {
            assert!(matches!(names(&[(Some(title), "1")]), Err(ArtifactError::Title { .. })), "{title:?}");
        }
    }

    #[test]
    fn names_that_collide_are_refused_unless_they_are_one_file() {
        assert!(names(&[(Some("a"), "1"), (Some("a"), "1")]).is_ok());
        for (one, other) in [("a", "a"), ("a", "a/b"), ("a/b/c", "a/b")] {
            let collision = names(&[(Some(one), "1"), (Some(other), "2")]);
            assert!(matches!(collision, Err(ArtifactError::Collision { .. })), "{one} {other}");
        }
    }

    #[test]
    fn wasm_is_known_by_its_beginning() {
        assert_eq!(WasmKind::of(b"\0asm\x01\0\0\0"), Ok(WasmKind::Module));
        assert_eq!(WasmKind::of(b"\0asm\x0d\0\x01\0more"), Ok(WasmKind::Component));
        for wrong in [&b""[..], b"\0asm", b"\0asm\x01\0\0", b"\x7fELF\x01\0\0\0", b"\0asm\x02\0\0\0"] {
            assert!(WasmKind::of(wrong).is_err());
        }
    }
}
