//! What lies below an index, and what its layers must decode to.

use super::*;
use crate::limits::Limits;
use crate::manifest::{Declared, Manifest};

const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const TAR: &str = "application/vnd.oci.image.layer.v1.tar";
const STATEMENT: &str = "application/vnd.in-toto+json";

fn digest(bytes: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, bytes)
}

fn descriptor(media_type: &str, bytes: &[u8]) -> String {
    format!(r#"{{"mediaType":"{media_type}","digest":"{}","size":{}}}"#, digest(bytes), bytes.len())
}

fn config(diff_ids: &[&[u8]]) -> Vec<u8> {
    let diff_ids: Vec<String> = diff_ids.iter().map(|plain| format!("\"{}\"", digest(plain))).collect();
    let diff_ids = diff_ids.join(",");
    format!(r#"{{"os":"linux","architecture":"arm64","rootfs":{{"type":"layers","diff_ids":[{diff_ids}]}}}}"#)
        .into_bytes()
}

fn manifest(config: &str, layers: &[String]) -> Vec<u8> {
    let layers = layers.join(",");
    format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{config},"layers":[{layers}]}}"#).into_bytes()
}

fn index(entries: &[String]) -> Fetched {
    let bytes = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entries.join(",")).into_bytes();
    let manifest = Manifest::parse(&bytes, Declared::Served(None), &Limits::default()).expect("an index");
    Fetched { digest: digest(&bytes), bytes: bytes.into(), manifest }
}

/// Runs the plan to its end, with everything in the store.
fn close(top: Fetched, stored: &[&[u8]]) -> Result<ClosureOutcome, PullError> {
    let mut pull = Pull::new(session("registry.example/a"), Closure::new(top), Time(0));
    loop {
        match pull.poll() {
            Next::Do(Effect::LookUp { job, digest: wanted, .. }) => {
                let found = stored.iter().find(|bytes| digest(bytes) == wanted);
                let bytes = found.unwrap_or_else(|| panic!("{wanted} is not expected")).to_vec();
                pull.handle(Input::Found { job, bytes }, Time(0));
            }
            Next::Do(Effect::Abort { .. } | Effect::Note(_)) => {}
            Next::Do(effect) => panic!("{effect:?}"),
            Next::Wait(_) => panic!("it waits for nothing"),
            Next::Done(result) => return result,
        }
    }
}

#[test]
fn layers_bear_the_diff_ids_of_their_images_and_everything_else_none() {
    let base = descriptor(TAR, b"base");
    let (config_one, config_other) = (config(&[b"base", b"one"]), config(&[b"base"]));
    let one = manifest(&descriptor(OCI_CONFIG, &config_one), &[base.clone(), descriptor(TAR, b"one, packed")]);
    let other = manifest(&descriptor(OCI_CONFIG, &config_other), &[base]);
    // As BuildKit writes it: an image's config, which says nothing, and a statement for a layer.
    let attestation = manifest(&descriptor(OCI_CONFIG, &config(&[])), &[descriptor(STATEMENT, b"{}")]);
    let artifact = manifest(&descriptor("application/vnd.example", b"x"), &[descriptor(TAR, b"tar, not unpacked")]);
    let manifests = [&one, &other, &attestation, &artifact];
    let top = index(&manifests.map(|bytes| descriptor(OCI_MANIFEST, bytes)));
    let outcome = close(top, &[&one, &other, &attestation, &artifact, &config_one, &config_other]).expect("loaded");

    assert_eq!(outcome.manifests.len(), 5);
    let configs: Vec<&Digest> = outcome.configs.iter().map(|config| &config.digest).collect();
    assert_eq!(configs.len(), 2);
    assert!(configs.contains(&&digest(&config_one)) && configs.contains(&&digest(&config_other)));
    let mut blobs: Vec<_> =
        outcome.blobs.into_iter().map(|blob| (blob.descriptor.digest.clone(), blob.diff_id)).collect();
    let mut expected = vec![
        (digest(b"base"), Some(digest(b"base"))),
        (digest(b"one, packed"), Some(digest(b"one"))),
        (digest(&config(&[])), None),
        (digest(b"{}"), None),
        (digest(b"x"), None),
        (digest(b"tar, not unpacked"), None),
    ];
    blobs.sort();
    expected.sort();
    assert_eq!(blobs, expected);
}

#[test]
fn images_that_claim_different_diff_ids_for_a_layer_get_both_checked() {
    let layer = descriptor(TAR, b"base");
    let (config_one, config_other) = (config(&[b"base"]), config(&[b"something else"]));
    let one = manifest(&descriptor(OCI_CONFIG, &config_one), std::slice::from_ref(&layer));
    let other = manifest(&descriptor(OCI_CONFIG, &config_other), &[layer]);
    let top = index(&[descriptor(OCI_MANIFEST, &one), descriptor(OCI_MANIFEST, &other)]);
    let outcome = close(top, &[&one, &other, &config_one, &config_other]).expect("loaded");
    let diff_ids: Vec<_> = outcome.blobs.iter().filter_map(|blob| blob.diff_id.clone()).collect();
    assert_eq!(diff_ids.len(), 2, "{diff_ids:?}");
}

#[test]
fn a_config_that_does_not_fit_its_image_is_an_error() {
    for (config, code) in [(config(&[]), "layer-count-mismatch"), (b"[]".to_vec(), "malformed-config")] {
        let image = manifest(&descriptor(OCI_CONFIG, &config), &[descriptor(TAR, b"base")]);
        let top = index(&[descriptor(OCI_MANIFEST, &image)]);
        assert_eq!(close(top, &[&image, &config]).expect_err("a misfit").code(), code);
    }
}

#[test]
fn an_embedded_config_is_not_asked_for() {
    use base64::Engine as _;
    let config = config(&[b"base"]);
    let data = base64::engine::general_purpose::STANDARD.encode(&config);
    let embedded = descriptor(OCI_CONFIG, &config).replace('}', &format!(r#","data":"{data}"}}"#));
    let image = manifest(&embedded, &[descriptor(TAR, b"base")]);
    let outcome = close(index(&[descriptor(OCI_MANIFEST, &image)]), &[&image]).expect("loaded");
    assert_eq!(outcome.configs[0].data.as_deref(), Some(&*config));
    assert_eq!(outcome.blobs[0].diff_id, Some(digest(b"base")));
}
