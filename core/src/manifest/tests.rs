//! Documents as registries hold them, and as an attacker would write them.

use super::*;
use crate::digest::{Algorithm, Digest};
use crate::error::{Class, Explain as _};

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

fn parse(text: &str, declared: Declared<'_>) -> Result<Manifest, ManifestError> {
    Manifest::parse(text.as_bytes(), declared, &Limits::default())
}

fn index(text: &str) -> Index {
    match parse(text, Declared::Served(None)).expect(text) {
        Manifest::Index(index) => index,
        Manifest::Image(image) => panic!("an image: {image:?}"),
    }
}

fn image(text: &str) -> ImageManifest {
    match parse(text, Declared::Served(None)).expect(text) {
        Manifest::Image(image) => image,
        Manifest::Index(index) => panic!("an index: {index:?}"),
    }
}

/// Writes a descriptor whose digest is that of `name`.
fn entry(media_type: &str, name: &str, more: &str) -> String {
    let digest = Digest::of(Algorithm::Sha256, name.as_bytes());
    let comma = if more.is_empty() { "" } else { "," };
    format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":7{comma}{more}}}"#)
}

/// Writes an entry for a platform, `os/architecture[/variant][:os.version]`, or without one (`-`).
fn platform_entry(media_type: &str, platform: &str) -> String {
    if platform == "-" {
        return entry(media_type, &format!("{media_type} {platform}"), "");
    }
    let (names, version) = platform.split_once(':').unwrap_or((platform, ""));
    let parts: Vec<&str> = names.split('/').collect();
    let variant = parts.get(2).map_or(String::new(), |variant| format!(r#","variant":"{variant}""#));
    let version = if version.is_empty() { String::new() } else { format!(r#","os.version":"{version}""#) };
    let more = format!(r#""platform":{{"os":"{}","architecture":"{}"{variant}{version}}}"#, parts[0], parts[1]);
    entry(media_type, &format!("{media_type} {platform}"), &more)
}

fn index_of(entries: &[String]) -> Index {
    index(&format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{}]}}"#, entries.join(",")))
}

mod real_world {
    use super::*;

    #[test]
    fn docker_hub_index_with_attestations() {
        let attestation = |of: &str| {
            let more = format!(
                r#""annotations":{{"vnd.docker.reference.digest":"{}","vnd.docker.reference.type":"attestation-manifest"}},
                   "platform":{{"architecture":"unknown","os":"unknown"}}"#,
                Digest::of(Algorithm::Sha256, of.as_bytes())
            );
            entry(OCI_MANIFEST, &format!("attestation of {of}"), &more)
        };
        let platforms = ["linux/amd64", "linux/arm/v5", "linux/arm/v7", "linux/arm64/v8", "linux/386", "linux/s390x"];
        let entries: Vec<String> = platforms
            .iter()
            .flat_map(|platform| [platform_entry(OCI_MANIFEST, platform), attestation(platform)])
            .collect();
        let index = index_of(&entries);
        assert_eq!(index.manifests.len(), 12);
        for (wanted, position) in
            [("linux/amd64", 0), ("linux/arm/v6", 2), ("linux/arm", 4), ("linux/aarch64", 6), ("linux/s390x", 10)]
        {
            let candidates = index.choose(&wanted.parse().expect(wanted)).expect(wanted);
            assert_eq!(candidates[0], Candidate::Image(&index.manifests[position]), "{wanted}");
        }
        let error = index.choose(&"linux/riscv64".parse().expect("a platform")).expect_err("not there");
        assert_eq!(error.class(), Class::NotFound);
        assert_eq!(
            error.to_string(),
            "no image for the platform linux/riscv64 (available: linux/amd64, linux/arm/v5, linux/arm/v7, \
             linux/arm64, linux/386, linux/s390x)"
        );
        index.choose(&"unknown/unknown".parse().expect("a platform")).expect_err("attestations never match");
    }

    #[test]
    fn builder_with_docker_types_and_repeated_layers() {
        let gzip = "application/vnd.docker.image.rootfs.diff.tar.gzip";
        let layers = ["base", "lifecycle", "empty", "buildpack", "empty", "stack", "empty"];
        let layers: Vec<String> = layers.iter().map(|name| entry(gzip, name, "")).collect();
        let text = format!(
            r#"{{"schemaVersion":2,"mediaType":"{DOCKER_MANIFEST}","config":{},"layers":[{}]}}"#,
            entry("application/vnd.docker.container.image.v1+json", "config", ""),
            layers.join(",")
        );
        let image = image(&text);
        assert_eq!((image.media_type.clone(), image.kind()), (MediaType::DockerManifest, Kind::Image));
        assert_eq!(image.layers[2].digest, image.layers[6].digest);
        let types = image.check_unpackable().expect("an image");
        assert_eq!(types.len(), 7);
        assert!(types.iter().all(|layer| layer.compression == Compression::Gzip));
    }

    #[test]
    fn windows_base_with_foreign_layers() {
        let foreign = entry(
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            "base",
            r#""urls":["https://mcr.example/v2/windows/nanoserver/blobs/sha256:0"]"#,
        );
        let text = format!(
            r#"{{"schemaVersion":2,"mediaType":"{DOCKER_MANIFEST}","config":{},"layers":[{foreign}]}}"#,
            entry("application/vnd.docker.container.image.v1+json", "config", "")
        );
        let image = image(&text);
        assert_eq!(image.check_unpackable().expect("supported")[0].distribution, Distribution::Foreign);
        assert_eq!(image.layers[0].urls.len(), 1);
    }

    /// config type, artifactType, layer type, annotations of the layer -> kind's type (image: none), code
    #[test]
    fn artifacts_are_told_from_images() {
        let (oci_config, empty) = ("application/vnd.oci.image.config.v1+json", "application/vnd.oci.empty.v1+json");
        for (what, config, artifact_type, layer, kind, code) in [
            (
                "cosign signature",
                oci_config,
                "null",
                "application/vnd.dev.cosign.simplesigning.v1+json",
                None,
                Some("unknown-layer-type"),
            ),
            (
                "build attestation",
                oci_config,
                r#""application/vnd.docker.attestation.manifest.v1+json""#,
                "application/vnd.in-toto+json",
                None,
                Some("unknown-layer-type"),
            ),
            (
                "helm chart",
                "application/vnd.cncf.helm.config.v1+json",
                "null",
                "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
                Some("application/vnd.cncf.helm.config.v1+json"),
                Some("not-an-image"),
            ),
            (
                "wasm module",
                "application/vnd.wasm.config.v0+json",
                "null",
                "application/wasm",
                Some("application/vnd.wasm.config.v0+json"),
                Some("not-an-image"),
            ),
            (
                "file pushed by oras",
                empty,
                r#""application/vnd.acme.rocket.config""#,
                "text/markdown",
                Some("application/vnd.acme.rocket.config"),
                Some("not-an-image"),
            ),
            ("artifact without a type", empty, r#""""#, "a/b", Some(empty), Some("not-an-image")),
            (
                "encrypted image",
                oci_config,
                "null",
                "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
                None,
                Some("encrypted-layer"),
            ),
            ("zstd image", oci_config, "null", "application/vnd.oci.image.layer.v1.tar+zstd", None, None),
        ] {
            let title = r#""annotations":{"org.opencontainers.image.title":"../READ\u202eME","x":[1]}"#;
            let image = image(&format!(
                r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","artifactType":{artifact_type},
                    "config":{},"layers":[{}]}}"#,
                entry(config, "config", ""),
                entry(layer, "layer", title)
            ));
            match (image.kind(), kind) {
                (Kind::Image, None) => {}
                (Kind::Artifact { artifact_type }, Some(expected)) => assert_eq!(artifact_type, expected, "{what}"),
                (found, expected) => panic!("{what}: {found:?}, expected {expected:?}"),
            }
            assert_eq!(image.check_unpackable().err().map(|error| error.code()), code, "{what}");
            assert_eq!(image.layers[0].title(), Some("../READ\u{202e}ME"));
            assert_eq!(image.has_empty_config(), config == empty, "{what}");
        }
    }
}

mod types {
    use super::*;

    fn bare(members: &str) -> String {
        format!(r#"{{"schemaVersion":2{members}}}"#)
    }

    /// Says what became of a document: `index`, `image`, or the error's code.
    fn outcome(text: &str, declared: Declared<'_>) -> &'static str {
        match parse(text, declared) {
            Ok(Manifest::Index(_)) => "index",
            Ok(Manifest::Image(_)) => "image",
            Err(error) => error.code(),
        }
    }

    #[test]
    fn the_descriptor_wins_and_the_server_must_agree() {
        let config = entry("a/b", "config", "");
        let typed = |media_type: &str, rest: &str| bare(&format!(r#","mediaType":"{media_type}"{rest}"#));
        let image = format!(r#","config":{config},"layers":[]"#);
        let list = r#","manifests":[]"#;
        let (ambiguous, malformed, unknown) = ("ambiguous-manifest", "malformed-manifest", "unknown-manifest-type");
        for (body, server, by_server, by_descriptor) in [
            // Agreement, in whatever spelling.
            (typed(OCI_INDEX, list), "application/vnd.OCI.image.index.v1+json; charset=utf-8", "index", "index"),
            (typed(DOCKER_MANIFEST, &image), DOCKER_MANIFEST, "image", "image"),
            // Disagreement between types of different shapes, and of the same.
            (typed(OCI_INDEX, list), OCI_MANIFEST, ambiguous, malformed),
            (typed(OCI_MANIFEST, &image), OCI_INDEX, ambiguous, malformed),
            (typed(OCI_MANIFEST, &image), DOCKER_MANIFEST, ambiguous, "image"),
            (typed(DOCKER_LIST, list), OCI_INDEX, ambiguous, "index"),
            (
                typed(DOCKER_MANIFEST, &image),
                "application/vnd.docker.distribution.manifest.v1+prettyjws",
                ambiguous,
                "schema-1",
            ),
            // Nobody says, or only in general: the body decides, by type and then by shape.
            (typed(OCI_INDEX, list), "application/json", "index", "index"),
            (typed(OCI_MANIFEST, &image), "text/plain; charset=utf-8", "image", "image"),
            (bare(list), "application/octet-stream", "index", "index"),
            (bare(&image), "", "image", "image"),
            (typed("application/json", &image), "application/json", "image", "image"),
            (bare(""), "application/json", malformed, malformed),
            // The body has no type of its own.
            (bare(list), OCI_INDEX, "index", "index"),
            (bare(&image), DOCKER_MANIFEST, "image", "image"),
            (bare(&image), OCI_INDEX, malformed, malformed),
            (bare(list), OCI_MANIFEST, malformed, malformed),
            // Types that are no manifest's.
            (typed("application/vnd.oci.artifact.manifest.v1+json", ""), "", unknown, unknown),
            (bare(&image), "text/html", unknown, unknown),
            (typed("a/b", &image), "", unknown, unknown),
            // Both shapes at once, whatever is said.
            (typed(OCI_INDEX, &format!("{image}{list}")), OCI_INDEX, ambiguous, ambiguous),
            (typed(OCI_MANIFEST, &format!("{image}{list}")), OCI_MANIFEST, ambiguous, ambiguous),
            // `null` is as good as absent.
            (bare(&format!(r#"{image},"manifests":null"#)), "", "image", "image"),
            (
                bare(&format!(r#"{list},"layers":null,"config":null,"mediaType":null,"subject":null"#)),
                "",
                "index",
                "index",
            ),
            (bare(&format!(r#","config":{config},"layers":null,"annotations":null"#)), "", "image", "image"),
            (bare(r#","manifests":null"#), "", "index", "index"),
        ] {
            assert_eq!(outcome(&body, Declared::Served(Some(server))), by_server, "{body} as {server:?}");
            let described = MediaType::parse(server);
            assert_eq!(outcome(&body, Declared::Described(&described)), by_descriptor, "{body} by {server:?}");
        }
    }

    #[test]
    fn schema_1_is_told_by_type_version_and_shape() {
        let shape = r#""name":"a/b","tag":"c","architecture":"amd64","fsLayers":[{"blobSum":"sha256:0"}],"history":[]"#;
        for (text, content_type) in [
            (format!(r#"{{"schemaVersion":1,{shape}}}"#), None),
            (format!("{{{shape}}}"), Some("application/json")),
            (format!("{{{shape}}}"), Some("application/vnd.docker.distribution.manifest.v1+json")),
            (
                format!(r#"{{"schemaVersion":1,{shape}}}"#),
                Some("application/vnd.docker.distribution.manifest.v1+prettyjws"),
            ),
            (format!(r#"{{"schemaVersion":1,{shape}}}"#), Some(DOCKER_MANIFEST)),
        ] {
            let error = parse(&text, Declared::Served(content_type)).expect_err(&text);
            assert_eq!((error.code(), error.class()), ("schema-1", Class::Unsupported), "{text}");
            assert!(error.advice().is_some());
        }
        assert_eq!(outcome(r#"{"schemaVersion":3,"manifests":[]}"#, Declared::Served(None)), "unknown-manifest-type");
    }

    #[test]
    fn malformed_documents_are_errors_that_say_where() {
        for (text, reason) in [
            (bare(r#","manifests":[],"manifests":[]"#), "repeated key"),
            (bare(r#","manifests":[{"mediaType":"a/b","digest":"sha256:../../x","size":1}]"#), "malformed digest"),
            (bare(r#","manifests":[{"mediaType":"a/b","digest":"x:y","size":-1}]"#), "invalid value"),
            (bare(r#","manifests":[{"mediaType":"a/b","digest":"x:y","size":9223372036854775807}]"#), "the size"),
            (bare(r#","manifests":{}"#), "invalid type"),
            (bare(r#","manifests":[null]"#), "invalid type"),
            (bare(r#","manifests":[],"x":{"y":[{"z":1,"z":2}]}"#), "repeated key"),
            ("<html>".to_owned(), "expected value"),
            (r#"[2,"application/vnd.oci.image.index.v1+json",[],null]"#.to_owned(), "expected an object"),
            (bare(r#","manifests":[["a/b","x:y",1,null,null,null,null,null]]"#), "expected an object"),
            (String::new(), "EOF"),
        ] {
            let error = parse(&text, Declared::Served(Some(OCI_INDEX))).expect_err(&text);
            assert_eq!(error.class(), Class::Integrity, "{text}");
            let cause = std::error::Error::source(&error).expect("the place").to_string();
            assert!(cause.contains(reason) && cause.contains(" at line "), "{text}: {cause}");
        }
    }

    #[test]
    fn a_document_cut_anywhere_is_malformed() {
        let one = platform_entry(OCI_MANIFEST, "linux/arm/v7");
        let text = bare(&format!(r#","manifests":[{one}],"annotations":{{"a":"b"}}"#));
        for end in 0..text.len() {
            let error = parse(&text[..end], Declared::Served(Some(OCI_INDEX))).expect_err(&text[..end]);
            assert_eq!(error.code(), "malformed-manifest");
        }
    }

    #[test]
    fn an_index_may_hold_what_is_unknown() {
        let text = bare(&format!(
            r#","mediaType":"{OCI_INDEX}","manifests":[
                {{"mediaType":"x","digest":"blake3:ab","size":0,"platform":{{"os":"","features":["sse4"]}},"y":[null]}},
                {}],"annotations":{{"a":null,"b":{{"c":1}},"d":"e"}},"mystery":{{}}"#,
            platform_entry(OCI_MANIFEST, "linux/amd64")
        ));
        let index = index(&text);
        assert_eq!((index.manifests.len(), index.annotations.len()), (2, 1));
        let candidates = index.choose(&Platform::default_for("x86_64")).expect("the second");
        assert_eq!(candidates, [Candidate::Image(&index.manifests[1])]);
    }

    #[test]
    fn limits_are_typed_errors_that_name_their_option() {
        let limits = Limits { manifest_bytes: 2_000, index_entries: 2, layers: 1, ..Limits::default() };
        let one = entry("a/b", "x", "");
        for (text, option) in [
            (bare(&format!(r#","manifests":[{one},{one}]"#)), None),
            (bare(&format!(r#","manifests":[{one},{one},{one}]"#)), Some("--max-index-entries")),
            (bare(&format!(r#","config":{one},"layers":[{one}]"#)), None),
            (bare(&format!(r#","config":{one},"layers":[{one},{one}]"#)), Some("--max-layers")),
            (bare(&format!(r#","manifests":[],"x":"{}""#, "y".repeat(2_000))), Some("--max-manifest-bytes")),
        ] {
            let result = Manifest::parse(text.as_bytes(), Declared::Served(None), &limits);
            match (result, option) {
                (Ok(_), None) => {}
                (Err(error), Some(option)) => {
                    assert_eq!(error.class(), Class::Refused);
                    assert!(error.advice().expect("the way out").contains(option), "{error:?}");
                }
                (result, option) => panic!("{result:?}, expected {option:?}"),
            }
        }
    }
}

mod choice {
    use super::*;

    /// entries -> platform wanted -> positions in order of preference
    #[test]
    fn ranks_candidates() {
        let (m, d, i) = (OCI_MANIFEST, DOCKER_MANIFEST, OCI_INDEX);
        for (entries, wanted, expected) in [
            // The exact variant, then lower ones, never higher ones.
            (
                vec![(m, "linux/arm/v5"), (m, "linux/arm/v8"), (d, "linux/arm/v7"), (m, "linux/arm/v6")],
                "linux/arm",
                vec![2, 3, 0],
            ),
            (vec![(m, "linux/amd64/v3"), (m, "linux/amd64"), (m, "linux/amd64/v2")], "linux/amd64/v2", vec![2, 1]),
            // The first among equals, in whatever spelling.
            (vec![(m, "linux/aarch64"), (m, "linux/arm64/v8"), (m, "linux/arm64")], "linux/arm64", vec![0, 1, 2]),
            // Entries without a platform come after those that match, nested indexes included.
            (vec![(m, "-"), (i, "linux/amd64"), (m, "linux/amd64"), (m, "linux/s390x")], "linux/amd64", vec![1, 2, 0]),
            (vec![(i, "-"), (m, "linux/amd64")], "linux/amd64", vec![1, 0]),
            (vec![(m, "-")], "linux/riscv64", vec![0]),
            // Types that hold no image, attestations, and a digest that is listed again.
            (
                vec![("a/b", "linux/amd64"), ("a/b", "-"), (m, "unknown/unknown"), (m, "linux/amd64")],
                "linux/amd64",
                vec![3],
            ),
            (vec![(m, "linux/amd64"), (m, "linux/amd64"), (m, "-"), (m, "-")], "linux/amd64", vec![0, 2]),
            // Windows: one version needs no name, and a name picks one.
            (vec![(m, "windows/amd64:10.0.17763.1"), (m, "linux/amd64")], "windows/amd64", vec![0]),
            (
                vec![(m, "windows/amd64:10.0.17763.1"), (m, "windows/amd64:10.0.20348.5")],
                "windows/amd64:10.0.20348",
                vec![1],
            ),
        ] {
            let entries: Vec<String> = entries.iter().map(|(kind, platform)| platform_entry(kind, platform)).collect();
            let index = index_of(&entries);
            let candidates = index.choose(&wanted.parse().expect(wanted)).expect(wanted);
            for (candidate, position) in candidates.iter().zip(&expected) {
                assert_eq!(candidate.descriptor(), &index.manifests[*position], "{wanted} in {entries:?}");
                match candidate {
                    Candidate::Index(descriptor) => assert!(descriptor.media_type.is_index()),
                    Candidate::Image(descriptor) => assert!(descriptor.platform.is_some()),
                    Candidate::Unlabelled(descriptor) => assert!(descriptor.platform.is_none()),
                }
            }
            assert_eq!(candidates.len(), expected.len(), "{wanted} in {entries:?}");
        }
    }

    #[test]
    fn windows_needs_a_version_among_several() {
        let entries = ["windows/amd64:10.0.17763.1", "windows/amd64:10.0.20348.5", "linux/amd64"];
        let index = index_of(&entries.map(|platform| platform_entry(OCI_MANIFEST, platform)));
        let error = index.choose(&"windows/amd64".parse().expect("a platform")).expect_err("two would do");
        assert_eq!((error.class(), error.code()), (Class::Usage, "windows-version-needed"));
        assert_eq!(
            error.to_string(),
            "the platform windows/amd64 needs an os.version \
             (available: windows/amd64:10.0.17763.1, windows/amd64:10.0.20348.5)"
        );
        let error = index.choose(&"windows/amd64:10.0.1".parse().expect("a platform")).expect_err("no such version");
        assert_eq!(error.class(), Class::NotFound);
    }

    #[test]
    fn a_hostile_index_costs_little_and_prints_safely() {
        let repeated = platform_entry(OCI_MANIFEST, "-");
        let index = index_of(&vec![repeated; 4_096]);
        assert_eq!(index.choose(&Platform::default_for("x86_64")).expect("one").len(), 1);

        let hostile: Vec<String> =
            (0..4_096).map(|count| platform_entry(OCI_MANIFEST, &format!("o\\u001b[2Js{count}/\\u202e"))).collect();
        let message = index_of(&hostile).choose(&Platform::default_for("x86_64")).expect_err("none fits").to_string();
        assert!(message.len() < 2_000 && message.ends_with("and 4076 more)"), "{message}");
        assert!(!message.contains(|character: char| character.is_control() || character == '\u{202e}'), "{message}");
    }

    #[test]
    fn a_single_image_is_refused_only_when_it_says_otherwise() {
        let wanted: Platform = "linux/arm/v6".parse().expect("a platform");
        for (config, accepted) in [
            (r#"{"os":"linux","architecture":"arm","variant":"v6"}"#, true),
            (r#"{"os":"linux","architecture":"arm","variant":"v5"}"#, true),
            (r#"{"os":"linux","architecture":"arm"}"#, false),
            (r#"{"os":"linux","architecture":"amd64"}"#, false),
            (r#"{"os":"","architecture":""}"#, false),
        ] {
            let result = wanted.accepts(&ImageConfig::parse(config.as_bytes()).expect(config));
            assert_eq!(result.is_ok(), accepted, "{config}");
            assert!(result.err().is_none_or(|error| error.class() == Class::NotFound), "{config}");
        }
    }
}
