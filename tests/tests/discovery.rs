//! What a registry tells without a pull: referrers, tags, single blobs; and how HEAD may be missing.
#![cfg(unix)]

use oci_fetcher_core::digest::{Algorithm, Digest};
use oci_fetcher_tests::content::Content;
use oci_fetcher_tests::image::{Artifact, Image, Index, Layer};
use oci_fetcher_tests::place::Place;
use oci_fetcher_tests::registry::{Action, Method, Options, Referrers, Registry, RetryAfter, Rule};

fn image() -> Image {
    Image::new().platform("linux/amd64").layer(Layer::new().file("a", vec![1; 50_000]))
}

/// Returns the digest of the image's layer.
fn layer() -> String {
    let manifest: serde_json::Value = serde_json::from_slice(&image().pack().bytes).expect("JSON");
    manifest["layers"][0]["digest"].as_str().expect("a digest").to_owned()
}

const SIGNATURE: &str = "application/vnd.example.signature";
const REPORT: &str = "application/vnd.example.report";

/// An image with a signature and two reports, which also stand in the index of the tag scheme.
fn attested() -> (Content, Vec<(String, &'static str)>) {
    let subject = image().pack();
    let mut content = Content::new();
    content.push("app", "1", image());
    let mut index = Index::new();
    let mut lines = Vec::new();
    for (artifact_type, text) in [(SIGNATURE, "s"), (REPORT, "r1"), (REPORT, "r2")] {
        let artifact = Artifact::new(artifact_type).file("text", text).subject(&subject);
        let digest = content.push_untagged("app", &artifact);
        index = index.manifest(&artifact);
        lines.push((digest.to_string(), artifact_type));
    }
    // A bystander, which refers to something else.
    content.push_untagged("app", Artifact::new(SIGNATURE).subject(&Image::new().pack()));
    content.push("app", &subject.digest().as_str().replace(':', "-"), index);
    lines.sort();
    (content, lines)
}

#[test]
fn referrers_are_listed_with_and_without_the_api() {
    let place = Place::new();
    let (content, expected) = attested();
    for api in [Referrers::Served, Referrers::Absent] {
        let registry = Registry::start(content.clone(), Options::new().referrers(api));
        let source = format!("{}/app:1", registry.host());
        for wanted in [None, Some(SIGNATURE), Some(REPORT), Some("application/vnd.example.none")] {
            let filter: Vec<&str> = wanted.map(|wanted| ["--artifact-type", wanted]).into_iter().flatten().collect();
            let listed = place.run(&[&["referrers", &source], &filter[..]].concat()).expect_code(0).stdout_text();
            let mut lines: Vec<&str> = listed.lines().collect();
            lines.sort_unstable();
            let fits = |(_, artifact_type): &&(String, &str)| wanted.is_none_or(|wanted| wanted == *artifact_type);
            let expected: Vec<String> =
                expected.iter().filter(fits).map(|(digest, kind)| format!("{digest}  {kind}")).collect();
            assert_eq!(lines, expected, "{api:?} {wanted:?}");
        }
        let told = place.run(&["referrers", &source, "--json"]).expect_code(0).stdout;
        let told: serde_json::Value = serde_json::from_slice(&told).expect("one object");
        assert_eq!(told["subject"], image().pack().digest().as_str());
        assert_eq!(told["referrers"].as_array().map(Vec::len), Some(3), "{told}");
        assert_eq!(told["referrers"][0]["mediaType"], "application/vnd.oci.image.manifest.v1+json", "{told}");
        let quiet = place.run(&["referrers", "-q", &source]).expect_code(0).stdout_text();
        assert!(quiet.lines().all(|line| line.starts_with("sha256:") && !line.contains(' ')), "{quiet}");
    }
    let missing = place.run(&["referrers", "oci:layout:1"]).expect_code(2);
    assert!(missing.stderr_text().contains("help: "), "{missing:?}");
}

#[test]
fn the_referrers_of_a_platforms_image_are_its_own() {
    let place = Place::new();
    let subject = image().pack();
    let mut content = Content::new();
    content.push("app", "1", Index::new().manifest(image()).manifest(Image::new().platform("linux/arm64")));
    let signature = content.push_untagged("app", Artifact::new(SIGNATURE).file("text", "s").subject(&subject));
    let registry = Registry::open(content);
    let source = format!("{}/app:1", registry.host());
    assert_eq!(place.run(&["referrers", "-q", &source]).expect_code(0).stdout_text(), "");
    let of_image = place.run(&["referrers", "-q", &source, "--platform", "linux/amd64"]).expect_code(0);
    assert_eq!(of_image.stdout_text(), format!("{signature}\n"));
}

#[test]
fn a_registry_that_refuses_head_is_asked_by_get() {
    let layer = layer();
    let rules = [
        Action::Refuse(403, RetryAfter::Absent),
        Action::Refuse(405, RetryAfter::Absent),
        Action::RemoveHeader("Docker-Content-Digest".to_owned()),
        Action::Chunked,
    ];
    for action in rules {
        let place = Place::new();
        let mut content = Content::new();
        content.push("app", "1", image());
        let rule = Rule::on(Method::Head, "/v2/app/*").then(action.clone());
        let registry = Registry::start(content, Options::new().rule(rule));
        let source = format!("{}/app:1", registry.host());
        let blob = place.run(&["blob", &source, &layer]).expect_code(0);
        assert_eq!(Digest::of(Algorithm::Sha256, &blob.stdout).as_str(), layer, "{action:?}");
        // The first remembers the tag, so that the second begins with HEAD.
        for _ in 0..2 {
            let digest = place.run(&["digest", &source]).expect_code(0).stdout_text();
            assert_eq!(digest, format!("{}\n", image().pack().digest()), "{action:?}");
        }
        assert!(!registry.requests_to(Method::Head, "/v2/app/manifests/1").is_empty(), "{action:?}");
    }
}

#[test]
fn listings_are_not_asked_for_offline() {
    let place = Place::new();
    let mut content = Content::new();
    content.push("app", "1", image());
    let registry = Registry::open(content);
    let source = format!("{}/app:1", registry.host());
    place.run(&["digest", &source]).expect_code(0);
    registry.forget_requests();
    for arguments in [&["tags", &source, "--offline"][..], &["referrers", &source, "--offline"]] {
        let refused = place.run(arguments).expect_code(3);
        assert!(refused.stderr_text().contains("--offline"), "{refused:?}");
    }
    place.run(&["blob", &source, &layer(), "--offline"]).expect_code(3);
    assert_eq!(registry.requests().len(), 0);
}
