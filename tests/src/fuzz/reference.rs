//! References, sources and platforms: what is accepted reads the same when it is written.

use oci_fetcher_core::manifest::Platform;
use oci_fetcher_core::reference::Reference;
use oci_fetcher_core::source::Source;
use oci_fetcher_core::url::Scheme;

use super::config::check_platform;
use super::error;

/// Reads the bytes as a reference, a source, and a platform.
pub(super) fn target(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(reference) = text.parse::<Reference>().inspect_err(|error| error::check(error)) {
        check(&reference, &text);
    }
    if let Ok(source) = text.parse::<Source>().inspect_err(|error| error::check(error)) {
        let written = source.to_string();
        assert_eq!(written.parse::<Source>().expect("what was written reads"), source, "{written:?}");
    }
    if let Ok(platform) = text.parse::<Platform>().inspect_err(|error| error::check(error)) {
        check_platform(&platform);
        let written = platform.to_string();
        // Written for people, who are shown no more of a name.
        if text.split('/').any(|name| name.chars().count() > 200) {
            return;
        }
        assert_eq!(written.parse::<Platform>().expect("what was written reads"), platform, "{written:?}");
    }
}

fn check(reference: &Reference, text: &str) {
    assert_eq!(reference.as_typed(), text);
    let written = reference.to_string();
    let read: Reference = written.parse().expect("what was written reads");
    assert_eq!(&read, reference, "{written:?}");
    assert_eq!(read.to_string(), written, "normalised twice");
    assert!(written.bytes().all(|byte| byte.is_ascii_graphic()), "{written:?}");
    let base = reference.base_url(Scheme::Https);
    let manifest = base.join(&format!("/v2/{}/manifests/{}", reference.repository(), reference.target()));
    let manifest = manifest.expect("a repository and a target are what a path may hold");
    assert_eq!(manifest.origin(), base.origin(), "another origin");
    let path = format!("/v2/{}/manifests/{}", reference.repository(), reference.target());
    assert_eq!(manifest.path_and_query(), path, "a path that reads otherwise");
    if let Some(digest) = reference.digest() {
        assert_eq!(reference.target(), digest.as_str(), "the digest decides");
    }
    assert!(reference.repository().len() <= 255 && reference.tag().is_none_or(|tag| tag.len() <= 128), "{written}");
}
