//! Indexes and the choice of a platform in them (OCI image-spec 1.1, image-index.md; Docker
//! manifest list).

use std::collections::{BTreeMap, BTreeSet};

use super::{Descriptor, ManifestError, MediaType, Platform, listing};

/// A checked index or manifest list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// [`OciIndex`](MediaType::OciIndex) or [`DockerManifestList`](MediaType::DockerManifestList).
    pub media_type: MediaType,
    /// The entries, of whatever types, in their order.
    pub manifests: Vec<Descriptor>,
    /// The artifact's type, where the index as a whole is an artifact.
    pub artifact_type: Option<String>,
    /// The manifest that this one refers to.
    pub subject: Option<Descriptor>,
    /// Free texts; escape them before they are shown.
    pub annotations: BTreeMap<String, String>,
}

/// An entry of an index that may hold the image for a platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Candidate<'i> {
    /// An image manifest whose entry names a fitting platform: the image.
    Image(&'i Descriptor),
    /// An index, to [choose](Index::choose) in again.
    Index(&'i Descriptor),
    /// An image manifest without a platform: the image if [`Platform::preference`] takes its
    /// config's [platform](super::ImageConfig::platform).
    Unlabelled(&'i Descriptor),
}

impl<'i> Candidate<'i> {
    /// Returns the entry.
    #[must_use]
    pub fn descriptor(self) -> &'i Descriptor {
        match self {
            Self::Image(descriptor) | Self::Index(descriptor) | Self::Unlabelled(descriptor) => descriptor,
        }
    }
}

impl Index {
    /// Lists the entries that may hold the image for a platform, the best first; never none.
    ///
    /// Entries that name a fitting platform come first, ranked by [`Platform::preference`], the
    /// first one among equals; then, in their order, those that name none. Try them until one holds
    /// the image; if none does, the answer is [`no_match`](Self::no_match). Attestations and
    /// entries of unknown types are never candidates; a digest is listed once, however often it
    /// occurs.
    ///
    /// ```
    /// use oci_fetcher_core::limits::Limits;
    /// use oci_fetcher_core::manifest::{Candidate, Declared, Manifest, Platform};
    ///
    /// let bytes = br#"{
    ///     "schemaVersion": 2,
    ///     "mediaType": "application/vnd.oci.image.index.v1+json",
    ///     "manifests": [{
    ///         "mediaType": "application/vnd.oci.image.manifest.v1+json",
    ///         "digest": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ///         "size": 0,
    ///         "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}
    ///     }]
    /// }"#;
    /// let Manifest::Index(index) = Manifest::parse(bytes, Declared::Served(None), &Limits::default())? else {
    ///     panic!("an index by its own type");
    /// };
    /// let candidates = index.choose(&Platform::default_for("aarch64"))?;
    /// assert_eq!(candidates, [Candidate::Image(&index.manifests[0])]);
    /// # Ok::<(), oci_fetcher_core::manifest::ManifestError>(())
    /// ```
    ///
    /// # Errors
    /// [`ManifestError::PlatformNotFound`] if there is no candidate, and
    /// [`ManifestError::WindowsVersion`] if images for several versions of Windows fit equally well
    /// and `wanted` names no version.
    pub fn choose(&self, wanted: &Platform) -> Result<Vec<Candidate<'_>>, ManifestError> {
        let mut ranked = Vec::new();
        let mut unlabelled = Vec::new();
        for entry in &self.manifests {
            let (is_index, is_image) = (entry.media_type.is_index(), entry.media_type.is_image_manifest());
            match &entry.platform {
                Some(platform) if is_index || is_image => {
                    let candidate = if is_index { Candidate::Index(entry) } else { Candidate::Image(entry) };
                    ranked.extend(wanted.preference(platform).map(|preference| (preference, candidate)));
                }
                None if is_index => unlabelled.push(Candidate::Index(entry)),
                None if is_image => unlabelled.push(Candidate::Unlabelled(entry)),
                Some(_) | None => {}
            }
        }
        ranked.sort_by_key(|(preference, _)| *preference);
        if wanted.os() == "windows" && wanted.os_version().is_none() {
            let best = ranked.first().map(|(preference, _)| *preference);
            let equals = ranked.iter().take_while(|(preference, _)| Some(*preference) == best);
            one_version(wanted, equals.filter_map(|(_, candidate)| candidate.descriptor().platform.as_ref()))?;
        }
        let mut seen = BTreeSet::<String>::new();
        let mut candidates: Vec<_> = ranked.into_iter().map(|(_, candidate)| candidate).chain(unlabelled).collect();
        candidates.retain(|candidate| seen.insert(candidate.descriptor().digest.to_string()));
        if candidates.is_empty() { Err(self.no_match(wanted)) } else { Ok(candidates) }
    }

    /// Lists the platforms that entries name.
    pub(crate) fn offered(&self) -> impl Iterator<Item = &Platform> {
        self.manifests.iter().filter_map(|entry| entry.platform.as_ref())
    }

    /// Returns the error that names the platforms there are.
    #[must_use]
    pub fn no_match(&self, wanted: &Platform) -> ManifestError {
        no_match(wanted, self.offered())
    }
}

/// Returns the error that names the platforms there are, in one index or several.
pub(crate) fn no_match<'i>(wanted: &Platform, offered: impl Iterator<Item = &'i Platform>) -> ManifestError {
    ManifestError::PlatformNotFound { wanted: wanted.to_string(), available: platforms(offered) }
}

fn one_version<'i>(wanted: &Platform, equals: impl Iterator<Item = &'i Platform> + Clone) -> Result<(), ManifestError> {
    let first = equals.clone().next().map(Platform::os_version);
    if equals.clone().all(|platform| Some(platform.os_version()) == first) {
        return Ok(());
    }
    Err(ManifestError::WindowsVersion { wanted: wanted.to_string(), available: platforms(equals) })
}

/// Lists platforms once each, in their order; attestations are none.
fn platforms<'i>(offered: impl Iterator<Item = &'i Platform>) -> String {
    let mut seen = BTreeSet::new();
    listing::listing(
        offered
            .filter(|platform| !platform.is_unknown())
            .map(Platform::to_string)
            .filter(|name| seen.insert(name.clone())),
    )
}
