//! Platforms and which images run on them (OCI image-spec 1.1, image-index.md, "platform").
//!
//! Names are normalised as container tools do: lower case; `x86_64` is `amd64`, `i386` is `386`,
//! `aarch64` is `arm64`; `armhf` and `arm` are `arm/v7`, `armel` is `arm/v6`; the variants `v1` of
//! amd64 and `v8` of arm64 are left out, since they are what no variant means.

use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;

use super::listing::excerpt;
use super::{ImageConfig, ManifestError, json};
use crate::error::{Class, Explain};

/// An operating system and a processor, normalised; both are never empty.
///
/// ```
/// use oci_fetcher_core::manifest::Platform;
///
/// let platform: Platform = "linux/armhf".parse()?;
/// assert_eq!(platform.to_string(), "linux/arm/v7");
/// assert_eq!("linux/aarch64/v8".parse::<Platform>()?, Platform::default_for("aarch64"));
/// # Ok::<(), oci_fetcher_core::manifest::PlatformError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
    os_version: Option<String>,
    os_features: Vec<String>,
}

impl Platform {
    /// Returns linux on a processor as `std::env::consts::ARCH` names it.
    ///
    /// A web page or worker has no processor to speak of: `wasm32` means `amd64`, for which nearly
    /// all images exist. `powerpc64` means little-endian, as every current distribution is.
    #[must_use]
    pub fn default_for(architecture: &str) -> Self {
        let architecture = match architecture {
            "wasm32" | "wasm64" | "" => "amd64",
            "powerpc64" => "ppc64le",
            "loongarch64" => "loong64",
            other => other,
        };
        Self::normalised("linux", architecture, None)
    }

    fn normalised(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let os = match os.to_ascii_lowercase() {
            os if os == "macos" => "darwin".to_owned(),
            os => os,
        };
        let architecture = architecture.to_ascii_lowercase();
        let variant = variant.filter(|variant| !variant.is_empty()).map(str::to_ascii_lowercase);
        let (architecture, implied) = match architecture.as_str() {
            "x86_64" | "x86-64" | "amd64" => ("amd64", None),
            "i386" | "i486" | "i586" | "i686" | "x86" | "386" => ("386", None),
            "aarch64" | "arm64" => ("arm64", None),
            "armhf" | "arm" => ("arm", Some("v7")),
            "armel" => ("arm", Some("v6")),
            other => (other, None),
        };
        let variant = match (architecture, variant.as_deref()) {
            ("amd64", Some("v1" | "1")) | ("arm64", Some("v8" | "8")) => None,
            ("amd64" | "arm64" | "arm", Some(number)) if number.starts_with(|first: char| first.is_ascii_digit()) => {
                Some(format!("v{number}"))
            }
            (_, None) => implied.map(str::to_owned),
            (_, Some(_)) => variant,
        };
        Self { os, architecture: architecture.to_owned(), variant, os_version: None, os_features: Vec::new() }
    }

    /// Returns the operating system, as Go's `GOOS` names it.
    #[must_use]
    pub fn os(&self) -> &str {
        &self.os
    }

    /// Returns the processor, as Go's `GOARCH` names it.
    #[must_use]
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// Returns the processor's variant, unless it is the one that the architecture stands for.
    #[must_use]
    pub fn variant(&self) -> Option<&str> {
        self.variant.as_deref()
    }

    /// Returns the operating system's version, for example `10.0.20348.2700`.
    #[must_use]
    pub fn os_version(&self) -> Option<&str> {
        self.os_version.as_deref()
    }

    /// Returns what the operating system must offer, for example `win32k`.
    #[must_use]
    pub fn os_features(&self) -> &[String] {
        &self.os_features
    }

    /// Tells whether this is the `unknown/unknown` of attestations, which no platform is.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" || self.architecture == "unknown"
    }

    /// Ranks what is offered for this platform, the best least; `None` if it does not run here.
    ///
    /// The exact variant is best, then lower ones. A version that is asked for is met by the same
    /// version or one that continues it (`10.0.20348` by `10.0.20348.2700`), features that are
    /// asked for by at least these.
    #[must_use]
    pub fn preference(&self, offered: &Self) -> Option<Preference> {
        let fits = !offered.is_unknown()
            && self.os == offered.os
            && self.architecture == offered.architecture
            && self.os_features.iter().all(|feature| offered.os_features.contains(feature));
        let longer_version = match (&self.os_version, &offered.os_version) {
            (None, _) => Some(false),
            (Some(wanted), Some(offered)) if wanted == offered => Some(false),
            (Some(wanted), Some(offered)) => {
                offered.strip_prefix(wanted.as_str()).filter(|rest| rest.starts_with('.')).map(|_| true)
            }
            (Some(_), None) => None,
        };
        let level = match (self.level(), offered.level()) {
            (Some(wanted), Some(offered)) if offered <= wanted => Some(offered),
            (Some(_), Some(_)) => None,
            (None, _) | (_, None) if self.variant == offered.variant => Some((1, 0)),
            (None, _) | (_, None) => offered.variant.is_none().then_some((0, 0)),
        };
        fits.then_some(())?;
        Some(Preference { level: Reverse(level?), longer_version: longer_version? })
    }

    /// Returns the generation and revision of a variant, where variants are ordered.
    fn level(&self) -> Option<(u32, u32)> {
        let variant = match (self.architecture.as_str(), self.variant.as_deref()) {
            ("amd64", None) => "v1",
            ("arm64", None) => "v8",
            ("amd64" | "arm64" | "arm", Some(variant)) => variant,
            _ => return None,
        };
        let number = variant.strip_prefix('v')?;
        let (generation, revision) = number.split_once('.').unwrap_or((number, "0"));
        Some((generation.parse().ok()?, revision.parse().ok()?))
    }

    /// Checks a single image's config against a platform that was asked for by name.
    ///
    /// # Errors
    /// [`ManifestError::PlatformMismatch`] if the image is for another platform or does not say.
    pub fn accepts(&self, config: &ImageConfig) -> Result<(), ManifestError> {
        let offered = config.platform();
        match offered.as_ref().and_then(|offered| self.preference(offered)) {
            Some(_) => Ok(()),
            None => Err(ManifestError::PlatformMismatch {
                wanted: self.to_string(),
                offered: offered.map_or_else(|| "unknown".to_owned(), |offered| offered.to_string()),
            }),
        }
    }
}

/// How well an offered platform fits one that is wanted; the least fits best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Preference {
    level: Reverse<(u32, u32)>,
    longer_version: bool,
}

impl FromStr for Platform {
    type Err = PlatformError;

    /// Reads `os/architecture[/variant][:os.version]`.
    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let malformed = || PlatformError { text: excerpt(text).to_string() };
        let (names, os_version) = match text.split_once(':') {
            Some((names, version)) => (names, Some(version)),
            None => (text, None),
        };
        let parts: Vec<&str> = names.split('/').collect();
        let is_name = |part: &&str| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
        };
        if text.len() > MAX_LEN || !parts.iter().chain(&os_version).all(is_name) {
            return Err(malformed());
        }
        let (os, architecture, variant) = match parts[..] {
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant)),
            _ => return Err(malformed()),
        };
        Ok(Self { os_version: os_version.map(str::to_owned), ..Self::normalised(os, architecture, variant) })
    }
}

/// Far more than the longest platform in use.
const MAX_LEN: usize = 255;

impl fmt::Display for Platform {
    /// Writes `os/architecture[/variant][:os.version]`, escaped, since a registry may have sent it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", excerpt(&self.os), excerpt(&self.architecture))?;
        if let Some(variant) = &self.variant {
            write!(f, "/{}", excerpt(variant))?;
        }
        if let Some(version) = &self.os_version {
            write!(f, ":{}", excerpt(version))?;
        }
        Ok(())
    }
}

impl serde::Serialize for Platform {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let mut members = serializer.serialize_map(None)?;
        members.serialize_entry("architecture", &self.architecture)?;
        members.serialize_entry("os", &self.os)?;
        if let Some(version) = &self.os_version {
            members.serialize_entry("os.version", version)?;
        }
        if !self.os_features.is_empty() {
            members.serialize_entry("os.features", &self.os_features)?;
        }
        if let Some(variant) = &self.variant {
            members.serialize_entry("variant", variant)?;
        }
        members.end()
    }
}

/// A platform as an index or config spells it.
#[derive(Clone, Debug, Default, serde::Deserialize)]
pub(super) struct WirePlatform {
    #[serde(default, deserialize_with = "json::or_default")]
    pub(super) os: String,
    #[serde(default, deserialize_with = "json::or_default")]
    pub(super) architecture: String,
    pub(super) variant: Option<String>,
    #[serde(rename = "os.version")]
    pub(super) os_version: Option<String>,
    #[serde(rename = "os.features", default, deserialize_with = "json::list")]
    pub(super) os_features: Vec<String>,
}

impl WirePlatform {
    /// Returns the platform, unless a part that it must have is empty.
    pub(super) fn complete(self) -> Option<Platform> {
        let complete = !self.os.is_empty() && !self.architecture.is_empty();
        complete.then(|| Platform {
            os_version: self.os_version.filter(|version| !version.is_empty()),
            os_features: self.os_features,
            ..Platform::normalised(&self.os, &self.architecture, self.variant.as_deref())
        })
    }
}

/// Text that is not a platform.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed platform \"{text}\"")]
pub struct PlatformError {
    text: String,
}

impl Explain for PlatformError {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn code(&self) -> &'static str {
        "malformed-platform"
    }

    fn advice(&self) -> Option<std::borrow::Cow<'static, str>> {
        Some("write it as os/architecture[/variant][:os.version], for example linux/arm64".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().expect(text)
    }

    #[test]
    fn normalises() {
        for (text, normal) in [
            ("linux/amd64", "linux/amd64"),
            ("Linux/X86_64", "linux/amd64"),
            ("linux/x86-64/v1", "linux/amd64"),
            ("linux/amd64/v3", "linux/amd64/v3"),
            ("linux/amd64/2", "linux/amd64/v2"),
            ("linux/i386", "linux/386"),
            ("linux/i686", "linux/386"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm64/8", "linux/arm64"),
            ("linux/arm64/v9", "linux/arm64/v9"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/armhf", "linux/arm/v7"),
            ("linux/armel", "linux/arm/v6"),
            ("linux/arm/v6", "linux/arm/v6"),
            ("linux/arm/5", "linux/arm/v5"),
            ("linux/s390x", "linux/s390x"),
            ("macos/arm64", "darwin/arm64"),
            ("windows/amd64:10.0.17763.1", "windows/amd64:10.0.17763.1"),
            ("linux/arm64/v8:1.2", "linux/arm64:1.2"),
            ("wasip1/wasm", "wasip1/wasm"),
        ] {
            assert_eq!(platform(text).to_string(), normal, "{text}");
            assert_eq!(platform(normal), platform(text), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_platform() {
        let long = format!("linux/{}", "a".repeat(300));
        for text in [
            "",
            "/",
            "linux",
            "linux/",
            "/amd64",
            "linux//v7",
            "a/b/c/d",
            "linux/amd64:",
            "a/b:c:d",
            "a/b:c/d",
            "a b/c",
            "linux/amd\u{1b}64",
            &long,
        ] {
            assert!(text.parse::<Platform>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn defaults_to_linux_on_the_hosts_processor() {
        for (architecture, default) in [
            ("x86_64", "linux/amd64"),
            ("aarch64", "linux/arm64"),
            ("arm", "linux/arm/v7"),
            ("x86", "linux/386"),
            ("powerpc64", "linux/ppc64le"),
            ("riscv64", "linux/riscv64"),
            ("loongarch64", "linux/loong64"),
            ("wasm32", "linux/amd64"),
        ] {
            assert_eq!(Platform::default_for(architecture).to_string(), default);
        }
    }

    #[test]
    fn prefers_the_exact_variant_and_then_lower_ones() {
        for (wanted, best_first, never) in [
            ("linux/arm", vec!["linux/arm/v7", "linux/arm/v6", "linux/arm/v5"], vec!["linux/arm/v8", "linux/arm64"]),
            ("linux/arm/v6", vec!["linux/armel", "linux/arm/v5"], vec!["linux/arm"]),
            ("linux/amd64/v3", vec!["linux/amd64/v3", "linux/amd64/v2", "linux/amd64"], vec!["linux/amd64/v4"]),
            ("linux/amd64", vec!["linux/amd64/v1"], vec!["linux/amd64/v2", "linux/386", "windows/amd64"]),
            ("linux/arm64", vec!["linux/arm64/v8"], vec!["linux/arm64/v8.1", "linux/arm64/v9", "linux/arm/v7"]),
            ("linux/arm64/v9.2", vec!["linux/arm64/v9.2", "linux/arm64/v9", "linux/arm64/v8.1", "linux/arm64"], vec![]),
            ("linux/amd64/odd", vec!["linux/amd64/odd", "linux/amd64"], vec!["linux/amd64/v2"]),
            ("linux/riscv64/rva22u64", vec!["linux/riscv64/rva22u64", "linux/riscv64"], vec!["linux/riscv64/rva20u64"]),
            (
                "windows/amd64:10.0.17763",
                vec!["windows/amd64:10.0.17763", "windows/amd64:10.0.17763.5"],
                vec!["windows/amd64:10.0.177630", "windows/amd64", "windows/amd64:10.0"],
            ),
            ("unknown/unknown", vec![], vec!["unknown/unknown"]),
        ] {
            let wanted = platform(wanted);
            let ranks: Vec<_> = best_first.iter().map(|offered| wanted.preference(&platform(offered))).collect();
            assert!(ranks.iter().all(Option::is_some), "{wanted}: {ranks:?}");
            assert!(ranks.is_sorted_by(|better, worse| better < worse), "{wanted}: {ranks:?}");
            for offered in never {
                assert_eq!(wanted.preference(&platform(offered)), None, "{offered} for {wanted}");
            }
        }
    }

    #[test]
    fn what_a_registry_sends_is_shown_escaped() {
        let wire = WirePlatform {
            os: "li\u{1b}[0mnux".to_owned(),
            architecture: "\u{202e}".to_owned(),
            variant: Some(String::new()),
            ..WirePlatform::default()
        };
        assert_eq!(wire.complete().expect("complete").to_string(), "li\\u{1b}[0mnux/\\u{202e}");
        assert_eq!(WirePlatform { os: "linux".to_owned(), ..WirePlatform::default() }.complete(), None);
    }
}
