//! Media types of manifests, configs and layers (OCI image-spec 1.1, media-types.md; Docker
//! registry, image manifest version 2 schema 2).

use std::fmt;

/// What a blob is, as its descriptor or a server says.
///
/// Parameters (`; charset=utf-8`) are dropped and case does not count, so that two values are equal
/// exactly if they name the same type.
///
/// ```
/// use oci_fetcher_core::manifest::MediaType;
///
/// assert_eq!(MediaType::parse("Application/vnd.OCI.image.index.v1+json; charset=utf-8"), MediaType::OciIndex);
/// assert_eq!(MediaType::parse("text/x-acme").as_str(), "text/x-acme");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MediaType {
    /// An OCI image index.
    OciIndex,
    /// An OCI image manifest, of images and artifacts alike.
    OciManifest,
    /// The artifact manifest of image-spec 1.1's release candidates, withdrawn since.
    OciArtifactManifest,
    /// An OCI image config.
    OciConfig,
    /// The two bytes `{}` of artifacts without a config.
    OciEmpty,
    /// Docker's manifest list.
    DockerManifestList,
    /// Docker's image manifest, version 2, schema 2.
    DockerManifest,
    /// Docker's image manifest, version 2, schema 1.
    DockerSchema1,
    /// The same, signed.
    DockerSchema1Signed,
    /// Docker's image config.
    DockerConfig,
    /// The config of a Docker engine plugin.
    DockerPluginConfig,
    /// A change set of a root file system.
    Layer(LayerType),
    /// A Helm chart's metadata.
    HelmConfig,
    /// A packed Helm chart.
    HelmChart,
    /// A Helm chart's provenance.
    HelmProvenance,
    /// The config of a WebAssembly artifact.
    WasmConfig,
    /// A WebAssembly module or component.
    Wasm,
    /// The same, as older tools named it.
    WasmLayer,
    /// The same, as proxies with plug-ins and actor hosts named it.
    WasmModuleLayer,
    /// Any other, in lower case.
    Other(Box<str>),
}

/// The kinds of layers that can be unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LayerType {
    /// Whose name it is.
    pub family: Family,
    /// Where its bytes may be had.
    pub distribution: Distribution,
    /// The compression that the name claims; the bytes themselves decide.
    pub compression: Compression,
}

/// The two families of names for the same formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// `application/vnd.oci.*`
    Oci,
    /// `application/vnd.docker.*`
    Docker,
}

/// Where a layer's bytes may be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Distribution {
    /// In the registry.
    Registry,
    /// Perhaps only at the descriptor's `urls`: Docker's foreign and OCI's non-distributable layers.
    Foreign,
}

/// The compressions that layers use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Compression {
    /// A plain tar.
    None,
    /// gzip (RFC 1952).
    Gzip,
    /// zstd (RFC 8878).
    Zstd,
}

/// The value of `Accept` for a manifest: every type that [`Manifest::parse`](super::Manifest::parse) reads.
pub const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json";

/// The part of [`ACCEPT`] that a web page may send without a preflight, which longer values cause.
pub const ACCEPT_OCI: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json";

impl MediaType {
    /// Reads a media type, for example from a descriptor or a `Content-Type`; text that is none
    /// becomes [`Other`](Self::Other).
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let essence = text.split(';').next().unwrap_or_default().trim();
        match KNOWN.iter().find(|(name, _)| name.eq_ignore_ascii_case(essence)) {
            Some((_, known)) => known.clone(),
            None => Self::Other(essence.to_ascii_lowercase().into()),
        }
    }

    /// Returns the type's name without parameters, in lower case.
    ///
    /// An [`Other`](Self::Other) type is what a registry sent: escape it before it is shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        if let Self::Other(name) = self {
            return name;
        }
        let known = KNOWN.iter().find(|(_, known)| known == self);
        known.expect("every combination stands in the table, as a test checks").0
    }

    /// Tells whether this is an index or manifest list.
    #[must_use]
    pub fn is_index(&self) -> bool {
        matches!(self, Self::OciIndex | Self::DockerManifestList)
    }

    /// Tells whether this is a manifest that has a config and layers.
    #[must_use]
    pub fn is_image_manifest(&self) -> bool {
        matches!(self, Self::OciManifest | Self::DockerManifest)
    }

    /// Tells whether this is an image's config, which lists diff_ids.
    #[must_use]
    pub fn is_image_config(&self) -> bool {
        matches!(self, Self::OciConfig | Self::DockerConfig)
    }

    /// Returns the kind of layer, if it is one that can be unpacked.
    #[must_use]
    pub fn layer_type(&self) -> Option<LayerType> {
        if let Self::Layer(layer_type) = self { Some(*layer_type) } else { None }
    }

    /// Tells whether this is a layer encrypted as ocicrypt does it (`+encrypted`).
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        matches!(self, Self::Other(name) if name.ends_with("+encrypted"))
    }

    /// Tells whether a server that was asked for [`ACCEPT_OCI`] may answer with this type.
    pub(crate) fn answers_short_accept(&self) -> bool {
        matches!(self, Self::OciIndex | Self::OciManifest) || self.is_generic()
    }

    /// Tells whether the type says so little that content has to speak for itself.
    pub(super) fn is_generic(&self) -> bool {
        const GENERIC: [&str; 7] = [
            "",
            "*/*",
            "application/json",
            "application/octet-stream",
            "binary/octet-stream",
            "text/json",
            "text/plain",
        ];
        matches!(self, Self::Other(name) if GENERIC.contains(&&**name))
    }
}

const fn layer(family: Family, distribution: Distribution, compression: Compression) -> MediaType {
    MediaType::Layer(LayerType { family, distribution, compression })
}

const KNOWN: &[(&str, MediaType)] = {
    use Compression::{Gzip, None, Zstd};
    use Distribution::{Foreign, Registry};
    use Family::{Docker, Oci};
    &[
        ("application/vnd.oci.image.index.v1+json", MediaType::OciIndex),
        ("application/vnd.oci.image.manifest.v1+json", MediaType::OciManifest),
        ("application/vnd.oci.artifact.manifest.v1+json", MediaType::OciArtifactManifest),
        ("application/vnd.oci.image.config.v1+json", MediaType::OciConfig),
        ("application/vnd.oci.empty.v1+json", MediaType::OciEmpty),
        ("application/vnd.oci.image.layer.v1.tar", layer(Oci, Registry, None)),
        ("application/vnd.oci.image.layer.v1.tar+gzip", layer(Oci, Registry, Gzip)),
        ("application/vnd.oci.image.layer.v1.tar+zstd", layer(Oci, Registry, Zstd)),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar", layer(Oci, Foreign, None)),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", layer(Oci, Foreign, Gzip)),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", layer(Oci, Foreign, Zstd)),
        ("application/vnd.docker.distribution.manifest.list.v2+json", MediaType::DockerManifestList),
        ("application/vnd.docker.distribution.manifest.v2+json", MediaType::DockerManifest),
        ("application/vnd.docker.distribution.manifest.v1+json", MediaType::DockerSchema1),
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", MediaType::DockerSchema1Signed),
        ("application/vnd.docker.container.image.v1+json", MediaType::DockerConfig),
        ("application/vnd.docker.plugin.v1+json", MediaType::DockerPluginConfig),
        ("application/vnd.docker.image.rootfs.diff.tar", layer(Docker, Registry, None)),
        ("application/vnd.docker.image.rootfs.diff.tar.gzip", layer(Docker, Registry, Gzip)),
        ("application/vnd.docker.image.rootfs.diff.tar.zstd", layer(Docker, Registry, Zstd)),
        ("application/vnd.docker.image.rootfs.foreign.diff.tar", layer(Docker, Foreign, None)),
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", layer(Docker, Foreign, Gzip)),
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.zstd", layer(Docker, Foreign, Zstd)),
        ("application/vnd.cncf.helm.config.v1+json", MediaType::HelmConfig),
        ("application/vnd.cncf.helm.chart.content.v1.tar+gzip", MediaType::HelmChart),
        ("application/vnd.cncf.helm.chart.provenance.v1.prov", MediaType::HelmProvenance),
        ("application/vnd.wasm.config.v0+json", MediaType::WasmConfig),
        ("application/wasm", MediaType::Wasm),
        ("application/vnd.wasm.content.layer.v1+wasm", MediaType::WasmLayer),
        ("application/vnd.module.wasm.content.layer.v1+wasm", MediaType::WasmModuleLayer),
    ]
};

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::listing::excerpt(self.as_str()).fmt(f)
    }
}

impl<'de> serde::Deserialize<'de> for MediaType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::parse(&text))
    }
}

impl serde::Serialize for MediaType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_read_and_written_back() {
        for (name, known) in KNOWN {
            assert_eq!(MediaType::parse(name), *known);
            assert_eq!(MediaType::parse(&name.to_ascii_uppercase()), *known);
            assert_eq!(MediaType::parse(&format!(" {name} ;charset=utf-8; q=\"a;b\"")), *known);
            assert_eq!(known.as_str(), *name);
        }
    }

    #[test]
    fn every_combination_of_a_layer_has_a_name() {
        for family in [Family::Oci, Family::Docker] {
            for distribution in [Distribution::Registry, Distribution::Foreign] {
                for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
                    let media_type = layer(family, distribution, compression);
                    assert_eq!(MediaType::parse(media_type.as_str()), media_type);
                }
            }
        }
    }

    #[test]
    fn accept_lists_exactly_what_can_be_parsed() {
        let accepted: Vec<MediaType> = ACCEPT.split(", ").map(MediaType::parse).collect();
        assert_eq!(accepted.len(), 4);
        assert!(accepted.iter().all(|media_type| media_type.is_index() || media_type.is_image_manifest()));
        assert!(ACCEPT_OCI.split(", ").all(|media_type| ACCEPT.contains(media_type)));
        // What the Fetch standard allows in a request that needs no preflight.
        assert!(ACCEPT_OCI.len() <= 128);
    }

    #[test]
    fn other_types_are_compared_without_case_and_shown_escaped() {
        assert_eq!(MediaType::parse("Text/HTML; x=y"), MediaType::Other("text/html".into()));
        assert_eq!(MediaType::parse("a/\u{1b}[31m\u{202e}").to_string(), "a/\\u{1b}[31m\\u{202e}");
        assert!(MediaType::parse("application/vnd.oci.image.layer.v1.tar+gzip+encrypted").is_encrypted());
        for generic in ["", "text/plain; charset=utf-8", "Application/JSON", "application/octet-stream"] {
            assert!(MediaType::parse(generic).is_generic(), "{generic}");
        }
        assert!(!MediaType::parse("text/html").is_generic());
    }
}
