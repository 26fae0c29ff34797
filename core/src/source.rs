//! Where an image comes from: a registry, or a layout or archive that is already here.
//!
//! The prefixes are skopeo's: `oci:DIR[:NAME]`, `oci-archive:FILE[:NAME]`, `docker-archive:FILE[:NAME]`
//! and `docker://REFERENCE`. They win over a reference that reads alike, so that an image `oci` on
//! Docker Hub is `docker://oci:TAG`.
//!
//! As in skopeo, the path ends at the first colon and the rest is the name, colons and slashes
//! included: `oci:dir:heroku/builder:22`. A path that holds a colon cannot be written. The colon of a
//! Windows drive (`C:\`, `C:/`) is part of the path on every system, for no name begins with a slash.
//! Deviations from skopeo: a colon with nothing behind it is an error, since an empty shell variable
//! would otherwise choose some image, and so are skopeo's prefixes for places that are not read here.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::{Class, Explain};
use crate::reference::{Reference, ReferenceError};

/// A place to take an image from.
///
/// ```
/// use oci_fetcher_core::source::Source;
///
/// let source: Source = "oci:images:heroku/builder:22".parse()?;
/// assert_eq!(source, Source::Layout { path: "images".into(), name: Some("heroku/builder:22".into()) });
///
/// let source: Source = "heroku/builder:22".parse()?;
/// assert!(matches!(source, Source::Registry(reference) if reference.registry() == "docker.io"));
/// # Ok::<(), oci_fetcher_core::source::SourceError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// What a registry holds.
    Registry(Reference),
    /// A directory in OCI image layout.
    Layout {
        /// The directory.
        path: PathBuf,
        /// The `org.opencontainers.image.ref.name` to choose, never empty.
        name: Option<String>,
    },
    /// A tar archive of an OCI image layout.
    OciArchive {
        /// The file.
        path: PathBuf,
        /// The `org.opencontainers.image.ref.name` to choose, never empty.
        name: Option<String>,
    },
    /// A tar archive as `docker save` writes it.
    DockerArchive {
        /// The file.
        path: PathBuf,
        /// The repository tag to choose, never empty.
        name: Option<String>,
    },
}

impl From<Reference> for Source {
    fn from(reference: Reference) -> Self {
        Self::Registry(reference)
    }
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        if let Some(reference) = text.strip_prefix(DOCKER) {
            return Ok(Self::Registry(reference.parse()?));
        }
        if let Some(prefix) = FOREIGN.into_iter().find(|prefix| text.starts_with(prefix)) {
            return Err(SourceError::Foreign { prefix });
        }
        if let Some(rest) = text.strip_prefix(LAYOUT) {
            let (path, name) = split_path(LAYOUT, rest)?;
            return Ok(Self::Layout { path, name });
        }
        if let Some(rest) = text.strip_prefix(OCI_ARCHIVE) {
            let (path, name) = split_path(OCI_ARCHIVE, rest)?;
            return Ok(Self::OciArchive { path, name });
        }
        if let Some(rest) = text.strip_prefix(DOCKER_ARCHIVE) {
            let (path, name) = split_path(DOCKER_ARCHIVE, rest)?;
            return Ok(Self::DockerArchive { path, name });
        }
        Ok(Self::Registry(text.parse()?))
    }
}

const DOCKER: &str = "docker://";
const LAYOUT: &str = "oci:";
const OCI_ARCHIVE: &str = "oci-archive:";
const DOCKER_ARCHIVE: &str = "docker-archive:";
/// As references, these would be images on Docker Hub that nobody means.
const FOREIGN: [&str; 6] = ["containers-storage:", "dir:", "docker-daemon:", "ostree:", "sif:", "tarball:"];

fn split_path(prefix: &'static str, text: &str) -> Result<(PathBuf, Option<String>), SourceError> {
    let drive = match text.as_bytes() {
        [letter, b':', b'\\' | b'/', ..] if letter.is_ascii_alphabetic() => "C:".len(),
        _ => 0,
    };
    let (path, name) = match text[drive..].find(':') {
        Some(colon) => (&text[..drive + colon], Some(&text[drive + colon + 1..])),
        None => (text, None),
    };
    if path.is_empty() {
        return Err(SourceError::NoPath { prefix });
    }
    if name == Some("") {
        return Err(SourceError::EmptyName { prefix });
    }
    Ok((path.into(), name.map(Into::into)))
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (prefix, path, name) = match self {
            Self::Registry(reference) => return write!(f, "{DOCKER}{reference}"),
            Self::Layout { path, name } => (LAYOUT, path, name),
            Self::OciArchive { path, name } => (OCI_ARCHIVE, path, name),
            Self::DockerArchive { path, name } => (DOCKER_ARCHIVE, path, name),
        };
        write!(f, "{prefix}{}", path.display())?;
        name.as_ref().map_or(Ok(()), |name| write!(f, ":{name}"))
    }
}

/// Text that names no source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// A registry's reference is malformed.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// Nothing stands between the prefix and a colon or the end.
    #[error("there is no path after \"{prefix}\"")]
    NoPath {
        /// The prefix, with its colon.
        prefix: &'static str,
    },
    /// A colon ends the text.
    #[error("there is nothing after the colon that follows the path of \"{prefix}\"")]
    EmptyName {
        /// The prefix, with its colon.
        prefix: &'static str,
    },
    /// Another tool's prefix.
    #[error("sources that start with \"{prefix}\" are not read here")]
    Foreign {
        /// The prefix, with its colon.
        prefix: &'static str,
    },
}

impl Explain for SourceError {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Reference(error) => error.code(),
            Self::NoPath { .. } | Self::EmptyName { .. } => "malformed-source",
            Self::Foreign { .. } => "unknown-source",
        }
    }

    fn advice(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Reference(error) => error.advice(),
            Self::NoPath { prefix } => Some(format!("write \"{prefix}PATH\" or \"{prefix}PATH:NAME\"").into()),
            Self::EmptyName { prefix } => Some(format!("write \"{prefix}PATH:NAME\", or leave out the colon").into()),
            Self::Foreign { .. } => Some(
                "use a reference, \"oci:\", \"oci-archive:\" or \"docker-archive:\", \
                 or \"docker://\" in front of a reference that reads like this"
                    .into(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_sources_apart() {
        let name = |name: Option<&str>| name.map(str::to_owned);
        let layout = |path: &str, tag| Source::Layout { path: path.into(), name: name(tag) };
        let registry = |text: &str| Source::Registry(text.parse().expect(text));
        for (text, source) in [
            ("oci:dir", layout("dir", None)),
            ("oci:/a/b:22", layout("/a/b", Some("22"))),
            ("oci:dir:heroku/builder:22", layout("dir", Some("heroku/builder:22"))),
            ("oci:dir::x", layout("dir", Some(":x"))),
            (r"oci:C:\images", layout(r"C:\images", None)),
            (r"oci:C:\images:a:b", layout(r"C:\images", Some("a:b"))),
            ("oci:c:/images:a", layout("c:/images", Some("a"))),
            ("oci:c:images", layout("c", Some("images"))),
            ("oci:ä:b", layout("ä", Some("b"))),
            ("oci-archive:a.tar:b", Source::OciArchive { path: "a.tar".into(), name: name(Some("b")) }),
            ("docker-archive:a.tar", Source::DockerArchive { path: "a.tar".into(), name: None }),
            (
                "docker-archive:a.tar:ghcr.io/a/b:c",
                Source::DockerArchive { path: "a.tar".into(), name: name(Some("ghcr.io/a/b:c")) },
            ),
            ("docker://oci:22", registry("oci:22")),
            ("docker://ghcr.io/a/b", registry("ghcr.io/a/b")),
            ("docker:24", registry("docker.io/library/docker:24")),
            ("oci/a", registry("docker.io/oci/a:latest")),
            ("docker://dir:1", registry("docker.io/library/dir:1")),
        ] {
            let parsed: Source = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(parsed, source, "{text}");
            assert_eq!(parsed.to_string().parse::<Source>().as_ref(), Ok(&source), "{text}");
        }
    }

    #[test]
    fn refuses_with_advice() {
        for (text, code) in [
            ("oci:", "malformed-source"),
            ("oci::tag", "malformed-source"),
            ("oci:dir:", "malformed-source"),
            (r"oci:C:\dir:", "malformed-source"),
            ("oci-archive:", "malformed-source"),
            ("docker-archive:a.tar:", "malformed-source"),
            ("docker-daemon:alpine", "unknown-source"),
            ("containers-storage:alpine", "unknown-source"),
            ("dir:/tmp/a", "unknown-source"),
            ("docker://", "malformed-reference"),
            ("docker://docker://a", "malformed-reference"),
            ("OCI:dir", "malformed-reference"),
            ("https://ghcr.io/a", "malformed-reference"),
            ("", "malformed-reference"),
        ] {
            let error = text.parse::<Source>().expect_err(text);
            assert_eq!((error.code(), error.class()), (code, Class::Usage), "{text:?}");
            assert!(error.advice().is_some(), "{text:?}");
        }
    }
}
