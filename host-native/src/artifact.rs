//! Names and kinds of an artifact's files.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use oci_fetcher_core::digest::Digest;
use oci_fetcher_core::entry::EntryPath;
use oci_fetcher_core::error::{Class, Explain};
use oci_fetcher_core::manifest::{Descriptor, MediaType};

use crate::error::{is_full, local_advice};
use crate::pulled::WasmKind;

/// Why an artifact's files cannot be written.
#[derive(Debug, thiserror::Error)]
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
    /// Something stands there already.
    #[error("{} exists already", path.display())]
    Exists {
        /// What stands there.
        path: PathBuf,
    },
    /// A symbolic link, or a file, where a directory is needed.
    #[error("{} is not a directory", path.display())]
    NotADirectory {
        /// What stands there.
        path: PathBuf,
    },
    /// One file was wanted of an artifact that has none or several.
    #[error("the artifact has {count} files, not one")]
    NotOne {
        /// How many it has.
        count: usize,
    },
    /// Content of a WebAssembly type that is no WebAssembly binary.
    #[error("{digest} claims to be WebAssembly, but begins with {found:02x?}")]
    NotWasm {
        /// The blob.
        digest: Digest,
        /// Its first bytes.
        found: Vec<u8>,
    },
    /// The file system failed.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// What was done.
        operation: &'static str,
        /// With what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
}

impl Explain for ArtifactError {
    fn class(&self) -> Class {
        match self {
            Self::Title { .. } | Self::Collision { .. } => Class::Refused,
            Self::Exists { .. } | Self::NotADirectory { .. } | Self::NotOne { .. } => Class::Usage,
            Self::NotWasm { .. } => Class::Integrity,
            Self::Io { .. } => Class::Local,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Title { .. } => "unsafe-title",
            Self::Collision { .. } => "title-collision",
            Self::Exists { .. } => "file-exists",
            Self::NotADirectory { .. } => "not-a-directory",
            Self::NotOne { .. } => "not-one-file",
            Self::NotWasm { .. } => "not-wasm",
            Self::Io { source, .. } if is_full(source) => "disk-full",
            Self::Io { .. } => "io",
        }
    }

    fn advice(&self) -> Option<Cow<'static, str>> {
        Some(match self {
            Self::Title { .. } | Self::Collision { .. } => "fetch the files one by one with the command `blob`".into(),
            Self::Exists { .. } => "choose another directory, or pass --force to overwrite".into(),
            Self::NotADirectory { .. } => "choose another directory".into(),
            Self::NotOne { .. } => "give a directory instead of a single file".into(),
            Self::Io { source, .. } => local_advice(source).into(),
            Self::NotWasm { .. } => return None,
        })
    }
}

/// Returns the safe names of an artifact's files, in manifest order: the title, or the digest with
/// `-` for `:` where there is none.
pub(crate) fn names(files: &[Arc<Descriptor>]) -> Result<Vec<EntryPath>, ArtifactError> {
    let mut taken: BTreeMap<EntryPath, &Digest> = BTreeMap::new();
    let mut names = Vec::with_capacity(files.len());
    for file in files {
        let path = match file.title() {
            Some(title) => safe_title(title)?,
            None => EntryPath::clean(file.digest.as_str().replace(':', "-").as_bytes())
                .expect("a digest consists of safe characters"),
        };
        if taken.insert(path.clone(), &file.digest).is_some_and(|digest| *digest != file.digest) {
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

/// Tells whether a blob is of a WebAssembly type, and so has to begin as a binary does.
pub(crate) fn claims_wasm(descriptor: &Descriptor) -> bool {
    matches!(descriptor.media_type, MediaType::Wasm | MediaType::WasmLayer | MediaType::WasmModuleLayer)
}

/// Reads the first bytes of a WebAssembly binary: magic, version and layer.
pub(crate) fn wasm_kind(digest: &Digest, beginning: &[u8]) -> Result<WasmKind, ArtifactError> {
    match beginning {
        b"\0asm\x01\0\0\0" => Ok(WasmKind::Module),
        // The component model's layer is 1; its version still counts pre-releases.
        [b'\0', b'a', b's', b'm', _, _, 1, 0] => Ok(WasmKind::Component),
        _ => Err(ArtifactError::NotWasm { digest: digest.clone(), found: beginning.to_vec() }),
    }
}

#[cfg(test)]
mod tests {
    use oci_fetcher_core::digest::Algorithm;

    use super::*;

    fn file(title: Option<&str>, content: &[u8]) -> Arc<Descriptor> {
        let digest = Digest::of(Algorithm::Sha256, content);
        let mut descriptor = Descriptor::new(MediaType::parse("text/plain"), digest, content.len() as u64);
        if let Some(title) = title {
            descriptor.annotations.insert("org.opencontainers.image.title".to_owned(), title.to_owned());
        }
        Arc::new(descriptor)
    }

    #[test]
    fn titles_become_paths_and_untitled_files_are_named_by_digest() {
        let untitled = file(None, b"3");
        let digest = untitled.digest.as_str().replace(':', "-");
        let names = names(&[file(Some("a.txt"), b"1"), file(Some("bin/tool"), b"2"), untitled]).expect("safe");
        assert_eq!(
            names.iter().map(EntryPath::as_bytes).collect::<Vec<_>>(),
            [b"a.txt", b"bin/tool".as_slice(), digest.as_bytes()]
        );
    }

    #[test]
    fn titles_that_lead_elsewhere_are_refused() {
        for title in ["", ".", "..", "/etc/passwd", "a/../b", "a//b", "a/", "./a", "a\\b", "C:x", "a\nb", "a\0b"] {
            assert!(matches!(names(&[file(Some(title), b"1")]), Err(ArtifactError::Title { .. })), "{title:?}");
        }
    }

    #[test]
    fn names_that_collide_are_refused_unless_they_are_one_file() {
        assert!(names(&[file(Some("a"), b"1"), file(Some("a"), b"1")]).is_ok());
        for (one, other) in [("a", "a"), ("a", "a/b"), ("a/b/c", "a/b")] {
            let collision = names(&[file(Some(one), b"1"), file(Some(other), b"2")]);
            assert!(matches!(collision, Err(ArtifactError::Collision { .. })), "{one} {other}");
        }
    }

    #[test]
    fn wasm_is_known_by_its_beginning() {
        let digest = Digest::of(Algorithm::Sha256, b"");
        assert_eq!(wasm_kind(&digest, b"\0asm\x01\0\0\0").expect("a module"), WasmKind::Module);
        assert_eq!(wasm_kind(&digest, b"\0asm\x0d\0\x01\0").expect("a component"), WasmKind::Component);
        for wrong in [&b""[..], b"\0asm", b"\x7fELF\x01\0\0\0", b"\0asm\x02\0\0\0"] {
            assert!(wasm_kind(&digest, wrong).is_err());
        }
    }
}
