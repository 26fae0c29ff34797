//! What can be wrong with a layout or archive.

use std::borrow::Cow;

use crate::entry::PathError;
use crate::error::{Class, Explain};
use crate::manifest::listing::excerpt;
use crate::manifest::{JsonError, ManifestError};

/// Why a layout or docker archive cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// A file that is not what its name promises.
    #[error("malformed {file}")]
    Malformed {
        /// The file.
        file: &'static str,
        /// What is wrong with it.
        source: JsonError,
    },
    /// A layout of another version.
    #[error("unknown image layout version \"{}\"", excerpt(.0))]
    Version(String),
    /// An `index.json` that is no usable index.
    #[error("unusable index.json")]
    Index(#[source] ManifestError),
    /// An archive's path that leads out of it, or nowhere.
    #[error("unsafe path in manifest.json")]
    Path(#[source] PathError),
    /// An archive's path that names no file.
    #[error("manifest.json names the archive's root as a file")]
    RootAsFile,
    /// More than a [limit](crate::limits::Limits) allows.
    #[error("{found} {what}, which is over the limit of {limit}")]
    Limit {
        /// What was counted.
        what: &'static str,
        /// How many there are.
        found: u64,
        /// How many there may be.
        limit: u64,
        /// The field of `Limits`.
        field: &'static str,
    },
    /// Nothing has the name.
    #[error("no image is named \"{}\" (available: {available})", excerpt(wanted))]
    NotFound {
        /// The name.
        wanted: String,
        /// The names there are, escaped and bounded.
        available: String,
    },
    /// There is no image at all.
    #[error("there is no image")]
    Empty,
    /// There are several images, and no name tells which.
    #[error("there are several images (available: {available})")]
    Several {
        /// Their names, escaped and bounded.
        available: String,
    },
    /// A part of a name, or one name given twice, fits several images.
    #[error("the name \"{}\" fits several images (they are: {available})", excerpt(wanted))]
    Ambiguous {
        /// The name.
        wanted: String,
        /// The full names, escaped and bounded.
        available: String,
    },
}

impl LayoutError {
    /// Checks a count against a limit.
    pub(super) fn limit(what: &'static str, found: usize, limit: u32, field: &'static str) -> Result<(), Self> {
        let (found, limit) = (found as u64, u64::from(limit));
        if found <= limit { Ok(()) } else { Err(Self::Limit { what, found, limit, field }) }
    }
}

impl Explain for LayoutError {
    fn class(&self) -> Class {
        match self {
            Self::Malformed { .. } | Self::RootAsFile => Class::Integrity,
            Self::Version(_) => Class::Unsupported,
            Self::Index(source) => source.class(),
            Self::Path(source) => source.class(),
            Self::Limit { .. } => Class::Refused,
            Self::NotFound { .. } | Self::Empty => Class::NotFound,
            Self::Several { .. } | Self::Ambiguous { .. } => Class::Usage,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } | Self::RootAsFile => "malformed-layout",
            Self::Version(_) => "unknown-layout-version",
            Self::Index(source) => source.code(),
            Self::Path(source) => source.code(),
            Self::Limit { .. } => "limit-exceeded",
            Self::NotFound { .. } | Self::Empty => "image-not-found",
            Self::Several { .. } | Self::Ambiguous { .. } => "ambiguous-image-name",
        }
    }

    fn advice(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Index(source) => source.advice(),
            Self::Path(source) => source.advice(),
            Self::Limit { field, .. } => Some(
                format!("raise Limits::{field} (--max-{}) if the source is trusted", field.replace('_', "-")).into(),
            ),
            Self::NotFound { .. } | Self::Several { .. } | Self::Ambiguous { .. } => {
                Some("name one of the available images after the path and a colon".into())
            }
            Self::Malformed { .. } | Self::RootAsFile | Self::Version(_) | Self::Empty => None,
        }
    }
}
