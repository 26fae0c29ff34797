//! Descriptors (OCI image-spec 1.1, descriptor.md).
//!
//! Deviations, both to read what is in use: annotations that are not texts are left out, and a
//! platform without an operating system or architecture counts as none.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::platform::WirePlatform;
use super::{MediaType, Platform, json};
use crate::digest::Digest;

/// What a blob is, how it is verified and how large it is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "json::Object<Wire>")]
pub struct Descriptor {
    /// What the blob is.
    pub media_type: MediaType,
    /// What the blob hashes to.
    pub digest: Digest,
    /// The blob's size in bytes, at most [`MAX_SIZE`].
    pub size: u64,
    /// Free texts; escape them before they are shown.
    pub annotations: BTreeMap<String, String>,
    /// Other places of the blob.
    pub urls: Vec<String>,
    /// What the image runs on, in an index.
    pub platform: Option<Platform>,
    /// The type of the artifact that a manifest describes, in an index.
    pub artifact_type: Option<String>,
    /// The blob itself, which agrees with size and digest. Data that claims a digest which cannot
    /// be computed is left out.
    pub data: Option<Vec<u8>>,
}

/// The largest size of a blob in bytes: what every JSON reader holds exactly (RFC 7493, I-JSON),
/// and far from where adding sizes overflows.
pub const MAX_SIZE: u64 = (1 << 53) - 1;

impl Descriptor {
    /// Creates a descriptor with the three properties that each has.
    #[must_use]
    pub fn new(media_type: MediaType, digest: Digest, size: u64) -> Self {
        Self {
            media_type,
            digest,
            size,
            annotations: BTreeMap::new(),
            urls: Vec::new(),
            platform: None,
            artifact_type: None,
            data: None,
        }
    }

    /// Returns the name that the blob's author gave it (`org.opencontainers.image.title`); it is
    /// not checked in any way.
    #[must_use]
    pub fn title(&self) -> Option<&str> {
        self.annotations.get("org.opencontainers.image.title").map(String::as_str)
    }
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    media_type: MediaType,
    digest: Digest,
    size: u64,
    #[serde(default, deserialize_with = "json::texts")]
    annotations: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "json::list")]
    urls: Vec<String>,
    platform: Option<json::Object<WirePlatform>>,
    artifact_type: Option<String>,
    data: Option<String>,
}

impl TryFrom<json::Object<Wire>> for Descriptor {
    type Error = DescriptorError;

    fn try_from(json::Object(wire): json::Object<Wire>) -> Result<Self, DescriptorError> {
        if wire.size > MAX_SIZE {
            return Err(DescriptorError::Size(wire.size));
        }
        let data = wire.data.map(|text| embedded(&text, &wire.digest, wire.size)).transpose()?.flatten();
        Ok(Self {
            media_type: wire.media_type,
            digest: wire.digest,
            size: wire.size,
            annotations: wire.annotations,
            urls: wire.urls,
            platform: wire.platform.and_then(|json::Object(platform)| platform.complete()),
            artifact_type: wire.artifact_type.filter(|text| !text.is_empty()),
            data,
        })
    }
}

/// Decodes and verifies embedded data; `None` where its digest cannot be computed.
fn embedded(text: &str, digest: &Digest, size: u64) -> Result<Option<Vec<u8>>, DescriptorError> {
    let data = STANDARD.decode(text).map_err(|_| DescriptorError::Base64)?;
    if data.len() as u64 != size {
        return Err(DescriptorError::DataSize);
    }
    match digest.algorithm() {
        Some(algorithm) if Digest::of(algorithm, &data) != *digest => Err(DescriptorError::DataDigest),
        Some(_) => Ok(Some(data)),
        None => Ok(None),
    }
}

/// Becomes the reason of a [`JsonError`](super::JsonError), which adds the place.
#[derive(Debug, thiserror::Error)]
enum DescriptorError {
    #[error("the size {0} is beyond {MAX_SIZE}")]
    Size(u64),
    #[error("the embedded data is not base64")]
    Base64,
    #[error("the embedded data does not have the descriptor's size")]
    DataSize,
    #[error("the embedded data does not have the descriptor's digest")]
    DataDigest,
}

impl serde::Serialize for Descriptor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let mut members = serializer.serialize_map(None)?;
        members.serialize_entry("mediaType", &self.media_type)?;
        members.serialize_entry("digest", &self.digest)?;
        members.serialize_entry("size", &self.size)?;
        if !self.urls.is_empty() {
            members.serialize_entry("urls", &self.urls)?;
        }
        if !self.annotations.is_empty() {
            members.serialize_entry("annotations", &self.annotations)?;
        }
        if let Some(data) = &self.data {
            members.serialize_entry("data", &STANDARD.encode(data))?;
        }
        if let Some(artifact_type) = &self.artifact_type {
            members.serialize_entry("artifactType", artifact_type)?;
        }
        if let Some(platform) = &self.platform {
            members.serialize_entry("platform", platform)?;
        }
        members.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    fn parse(members: &str) -> Result<Descriptor, json::JsonError> {
        json::parse(format!(r#"{{"mediaType":"a/b",{members}}}"#).as_bytes())
    }

    #[test]
    fn refuses_sizes_and_digests_that_cannot_be() {
        let digest = format!(r#""digest":"{EMPTY}""#);
        for (size, legal) in [
            ("0", true),
            ("9007199254740991", true),
            ("9007199254740992", false),
            ("9223372036854775807", false),
            ("9223372036854775808", false),
            ("18446744073709551616", false),
            ("-1", false),
            ("-0.0", false),
            ("1.5", false),
            ("1e3", false),
            ("\"1\"", false),
            ("null", false),
        ] {
            assert_eq!(parse(&format!(r#"{digest},"size":{size}"#)).is_ok(), legal, "{size}");
        }
        let upper = EMPTY.replace("sha256:44136f", "sha256:44136F");
        for (digest, legal) in [
            (EMPTY, true),
            ("blake3:af1349b9", true),
            (upper.as_str(), false),
            (&EMPTY[..70], false),
            ("sha256:../../x", false),
            ("../../x", false),
            ("", false),
        ] {
            assert_eq!(parse(&format!(r#""size":2,"digest":"{digest}""#)).is_ok(), legal, "{digest}");
        }
        assert!(parse(r#""size":2"#).is_err());
    }

    #[test]
    fn embedded_data_agrees_with_size_and_digest() {
        for (members, data) in [
            (format!(r#""size":2,"digest":"{EMPTY}","data":"e30=""#), Some(Some(&b"{}"[..]))),
            (format!(r#""size":2,"digest":"{EMPTY}","data":null"#), Some(None)),
            (r#""size":2,"digest":"blake3:ab","data":"e30=""#.to_owned(), Some(None)),
            (format!(r#""size":3,"digest":"{EMPTY}","data":"e30=""#), None),
            (format!(r#""size":2,"digest":"{EMPTY}","data":"e31=""#), None),
            (format!(r#""size":2,"digest":"{EMPTY}","data":"e30""#), None),
            (r#""size":3,"digest":"blake3:ab","data":"e30=""#.to_owned(), None),
        ] {
            let parsed = parse(&members);
            assert_eq!(parsed.as_ref().ok().map(|descriptor| descriptor.data.as_deref()), data, "{parsed:?}");
        }
    }

    #[test]
    fn null_is_absent_and_what_is_unknown_is_ignored() {
        let bare = parse(&format!(r#""size":2,"digest":"{EMPTY}""#)).expect("bare");
        assert_eq!(bare, Descriptor::new(MediaType::parse("a/b"), EMPTY.parse().expect("a digest"), 2));
        let nulls = r#""annotations":null,"urls":null,"platform":null,"artifactType":null,"data":null,"x":[{}]"#;
        assert_eq!(parse(&format!(r#""size":2,"digest":"{EMPTY}",{nulls}"#)), Ok(bare));
    }

    #[test]
    fn what_is_written_reads_back_equal() {
        let full = format!(
            r#""size":2,"digest":"{EMPTY}","data":"e30=","urls":["https://a.example/b"],"artifactType":"x/y",
               "annotations":{{"a":"b","c":1,"d":null}},
               "platform":{{"os":"windows","architecture":"amd64","os.version":"10.0.1","os.features":["win32k"]}}"#
        );
        let descriptor = parse(&full).expect("well-formed");
        assert_eq!(descriptor.annotations, BTreeMap::from([("a".to_owned(), "b".to_owned())]));
        let written = serde_json::to_vec(&descriptor).expect("serializable");
        assert_eq!(json::parse(&written), Ok(descriptor));
    }
}
