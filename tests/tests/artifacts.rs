//! Artifacts: files by title or digest, one to a file or a pipe, WebAssembly checked.
#![cfg(unix)]

use oci_fetcher_core::digest::{Algorithm, Digest};
use oci_fetcher_tests::content::Content;
use oci_fetcher_tests::image::{Artifact, Image, Layer, Manifest, wasm_module};
use oci_fetcher_tests::place::Place;
use oci_fetcher_tests::process::Measured;
use oci_fetcher_tests::registry::{Action, Method, Registry, Rule};
use serde_json::json;

fn registry(manifest: impl Into<Manifest>) -> Registry {
    let mut content = Content::new();
    content.push("app", "1", manifest);
    Registry::open(content)
}

fn source(registry: &Registry) -> String {
    format!("{}/app:1", registry.host())
}

fn get(place: &Place, registry: &Registry, to: &str, more: &[&str]) -> Measured {
    place.run(&[&["get", &source(registry), &place.text(to)], more].concat())
}

fn digest_of(content: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, content)
}

#[test]
fn files_are_named_by_title_or_digest() {
    let place = Place::new();
    let artifact = Artifact::new("application/vnd.example.plugin")
        .file("plugin.bin", b"\x01\x02")
        .file("doc/größe name.txt", b"text")
        .file(".hidden", b"")
        .layer("application/octet-stream", b"untitled");
    let registry = registry(&artifact);
    let got = get(&place, &registry, "out", &["--json"]).expect_code(0).json();
    let untitled = digest_of(b"untitled").to_string().replace(':', "-");
    for (name, content) in
        [("plugin.bin", &b"\x01\x02"[..]), ("doc/größe name.txt", b"text"), (".hidden", b""), (&untitled, b"untitled")]
    {
        assert_eq!(place.read(&format!("out/{name}")), content, "{name}");
    }
    assert_eq!(place.names("out"), [".hidden", "doc", "plugin.bin", &untitled]);
    assert_eq!(place.names("out/doc"), ["größe name.txt"]);
    assert_eq!(got["digest"], artifact.pack().digest().as_str());
    assert_eq!(got["image"]["artifactType"], "application/vnd.example.plugin");
    assert_eq!(got["files"][0]["title"], "plugin.bin");
    assert_eq!(got["files"][0]["size"], 2);
    assert_eq!(got["files"][3]["title"], json!(null));

    let lines = get(&place, &registry, "again", &[]).expect_code(0).stdout_text();
    assert!(lines.starts_with(&format!("{}  {}\n", digest_of(b"\x01\x02"), place.text("again/plugin.bin"))), "{lines}");
    let quiet = get(&place, &registry, "quiet", &["-q"]).expect_code(0).stdout_text();
    assert_eq!(quiet, format!("{}\n", artifact.pack().digest()));
}

#[test]
fn titles_that_lead_elsewhere_are_refused() {
    let place = Place::new();
    place.write("outer/victim", b"precious");
    let titles = [
        "../x",
        "..",
        ".",
        "",
        "a/../../x",
        "a/../b",
        "a//b",
        "a/",
        "/etc/x",
        "//x",
        "a\\b",
        "C:x",
        "line\nbreak",
        "esc\u{1b}[2J",
        "nul\0",
        "del\u{7f}",
        "c1\u{9b}",
    ];
    for title in titles {
        let registry = registry(Artifact::new("application/vnd.example").file("fine", b"1").file(title, b"2"));
        let refused = get(&place, &registry, "outer/out", &["--force"]).expect_code(7);
        assert_eq!(place.names("outer"), ["victim"], "{title:?}");
        let layers = [b"1", b"2"].map(|content| format!("/v2/app/blobs/{}", digest_of(content)));
        assert!(layers.iter().all(|layer| registry.requests_to(Method::Get, layer).is_empty()), "{title:?}");
        let strange = |character: char| character.is_control() && character != '\n';
        assert!(!refused.stderr_text().contains(strange), "{refused:?}");
        let told = get(&place, &registry, "outer/out", &["--json"]).expect_code(7).json();
        assert_eq!(told["error"]["code"], "unsafe-title");
        // What such a layer holds can be had all the same.
        place.run(&["get", &source(&registry), "-o", "-"]).expect_code(2);
        let raw = place.run(&["blob", &source(&registry), digest_of(b"2").as_str()]).expect_code(0);
        assert_eq!(raw.stdout, b"2");
    }
    for (one, other) in [("a", "a"), ("a", "a/b"), ("a/b", "a")] {
        let registry = registry(Artifact::new("application/vnd.example").file(one, b"1").file(other, b"2"));
        let told = get(&place, &registry, "outer/out", &["--json"]).expect_code(7).json();
        assert_eq!(told["error"]["code"], "title-collision", "{one} {other}");
    }
    assert_eq!(place.read("outer/victim"), b"precious");
    assert_eq!(place.names("outer"), ["victim"]);
}

#[test]
fn nothing_is_overwritten_unless_it_is_forced() {
    let place = Place::new();
    let registry = registry(Artifact::new("application/vnd.example").file("a", b"new a").file("d/b", b"new b"));
    place.write("file/d/b", b"mine");
    std::os::unix::fs::symlink("../victim", place.path("file/link")).expect("writable");
    place.write("victim", b"precious");
    let refused = get(&place, &registry, "file", &["--json"]).expect_code(2).json();
    assert_eq!(refused["error"]["code"], "file-exists");
    assert_eq!(
        (place.names("file"), place.read("file/d/b")),
        (vec!["d".to_owned(), "link".to_owned()], b"mine".to_vec())
    );
    get(&place, &registry, "file", &["--force"]).expect_code(0);
    assert_eq!((place.read("file/a"), place.read("file/d/b")), (b"new a".to_vec(), b"new b".to_vec()));
    assert_eq!(place.names("file"), ["a", "d", "link"], "what else is there stays");

    // What is there already is not in the way: so goes on what was killed between two files.
    std::fs::remove_file(place.path("file/a")).expect("there");
    std::fs::write(place.path("file/d/.b.oci-fetcher-dead00"), b"x").expect("writable");
    get(&place, &registry, "file", &[]).expect_code(0);
    assert_eq!((place.read("file/a"), place.names("file/d")), (b"new a".to_vec(), vec!["b".to_owned()]));

    // Links are replaced, never followed; a directory is neither.
    for (name, expected) in [("linked", 0), ("parent", 2), ("directory", 2)] {
        std::fs::create_dir(place.path(name)).expect("writable");
        let link = |at: &str| std::os::unix::fs::symlink(place.path("victims"), place.path(at)).expect("writable");
        std::fs::create_dir_all(place.path("victims")).expect("writable");
        match name {
            "linked" => std::os::unix::fs::symlink(place.path("victim"), place.path("linked/a")).expect("writable"),
            "parent" => link("parent/d"),
            _ => std::fs::create_dir(place.path("directory/a")).expect("writable"),
        }
        get(&place, &registry, name, &[]).expect_code(2);
        get(&place, &registry, name, &["--force"]).expect_code(expected);
        assert_eq!(place.read("victim"), b"precious");
        assert_eq!(place.names("victims"), [] as [&str; 0]);
    }
    assert_eq!(place.read("linked/a"), b"new a");
    assert!(!place.path("linked/a").is_symlink());
}

#[test]
fn one_file_goes_to_a_file_or_a_pipe() {
    let place = Place::new();
    let content: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let registry = registry(Artifact::new("application/vnd.example").file("../ignored here", &content));
    let to = |output: &str, more: &[&str]| place.run(&[&["get", &source(&registry), "-o", output], more].concat());
    let piped = to("-", &[]).expect_code(0);
    assert!(piped.stdout == content);
    let file = place.text("file");
    to(&file, &[]).expect_code(0);
    assert!(place.read("file") == content);
    place.write("file", b"mine");
    registry.forget_requests();
    to(&file, &[]).expect_code(2);
    assert_eq!((place.read("file"), registry.requests().len()), (b"mine".to_vec(), 0));
    to(&file, &["--force"]).expect_code(0);
    assert!(place.read("file") == content);
    to("-", &["--json"]).expect_code(2);
    place.run(&["get", &source(&registry), &file, "-o", &file]).expect_code(2);
    place.run(&["get", &source(&registry)]).expect_code(2);
    assert_eq!(
        to("/dev/stdout", &[]).expect_code(0).stdout.len(),
        content.len() + digest_of(&content).to_string().len() + 2 + 12
    );
    assert_eq!(place.names(""), [".cache", "file"]);

    // Nothing is written of what does not verify.
    registry.add_rule(Rule::on(Method::Get, "/v2/app/blobs/*").then(Action::FlipByte(99_999)));
    let failed = to("-", &["--no-cache"]).expect_code(6);
    assert_eq!(failed.stdout, b"");
    to(&place.text("other"), &["--no-cache"]).expect_code(6);
    assert_eq!(place.names(""), [".cache", "file"]);
}

#[test]
fn one_file_is_one_file() {
    let place = Place::new();
    for files in [0, 2] {
        let artifact = Artifact::new("application/vnd.example");
        let registry = registry((0..files).fold(artifact, |artifact, number| artifact.file(&number.to_string(), b"x")));
        let refused = place.run(&["get", &source(&registry), "-o", "-", "--json", "--report", &place.text("r")]);
        assert_eq!(refused.code, 2);
        let refused = place.run(&["get", &source(&registry), "-o", &place.text("one"), "--json"]).expect_code(2).json();
        assert_eq!(refused["error"]["code"], "not-one-file");
        assert!(!place.path("one").exists());
    }
}

#[test]
fn webassembly_is_known_by_its_beginning() {
    let place = Place::new();
    let component = b"\0asm\x0d\0\x01\0".to_vec();
    let module = wasm_module();
    let types = [
        "application/wasm",
        "application/vnd.wasm.content.layer.v1+wasm",
        "application/vnd.module.wasm.content.layer.v1+wasm",
    ];
    let contents: [(&[u8], Result<&str, &str>); 5] = [
        (&module, Ok("module")),
        (&component, Ok("component")),
        (b"\x7fELF\x02\x01\x01\0", Err("not-wasm")),
        (b"\0asm\x02\0\0\0", Err("not-wasm")),
        (b"\0asm", Err("not-wasm")),
    ];
    for media_type in types {
        for (number, (content, expected)) in contents.into_iter().enumerate() {
            let config = "application/vnd.wasm.config.v0+json";
            let artifact = Artifact::new("application/vnd.example").config(config, b"{}".to_vec());
            let registry = registry(artifact.layer(media_type, content));
            let to = place.text(&format!("{}-{number}.wasm", media_type.replace('/', "-")));
            let got = place.run(&["get", &source(&registry), "-o", &to, "--json"]);
            match expected {
                Ok(kind) => {
                    assert_eq!(got.expect_code(0).json()["files"][0]["wasm"], kind, "{media_type}");
                    assert_eq!(std::fs::read(&to).expect("written"), content);
                }
                Err(code) => {
                    assert_eq!(got.expect_code(6).json()["error"]["code"], code, "{media_type} {content:?}");
                    assert!(!std::path::Path::new(&to).exists());
                    get(&place, &registry, "directory", &[]).expect_code(6);
                    assert!(!place.path("directory").exists());
                }
            }
        }
    }
    // What does not claim to be WebAssembly may be anything.
    let other = registry(Artifact::new("application/vnd.example").layer("application/octet-stream", b"\0asm"));
    get(&place, &other, "other", &[]).expect_code(0);
    let shipped = registry(Artifact::wasm(&module));
    let got = place.run(&["get", &source(&shipped), "-o", &place.text("shipped.wasm"), "--json"]).expect_code(0).json();
    assert_eq!(got["image"]["artifactType"], "application/vnd.wasm.config.v0+json");
}

#[test]
fn an_artifact_is_not_pulled_as_an_image() {
    let place = Place::new();
    for (artifact, kind) in [
        (Artifact::new("application/vnd.example.plugin").file("a", b"a"), "application/vnd.example.plugin"),
        (Artifact::wasm(&wasm_module()), "application/vnd.wasm.config.v0+json"),
        (Artifact::new("application/vnd.evil\u{1b}[2J").file("a", b"a"), "application/vnd.evil"),
    ] {
        let registry = registry(&artifact);
        let refused = place.pull(&source(&registry), "out", &[]).expect_code(9).stderr_text();
        assert!(refused.contains("`get`") && refused.contains(kind) && !refused.contains('\u{1b}'), "{refused}");
        let told = place.pull(&source(&registry), "out", &["--json"]).expect_code(9).json();
        assert_eq!(told["error"]["code"], "not-an-image");
        place.run(&["pull", &source(&registry), "--tar", &place.text("out.tar")]).expect_code(9);
        assert!(registry.blob_downloads() <= 1, "no more than the config is fetched");
        assert!(!place.path("out").exists() && !place.path("out.tar").exists());
        // A layout takes everything.
        let layout = place.text("layout");
        place.run(&["pull", &source(&registry), "--layout", &layout, "--ref-name", "a"]).expect_code(0);
        place.run(&["get", &format!("oci:{layout}:a"), "-o", &place.text("file"), "--force"]).expect_code(0);
    }
    // An image's layers are files, too.
    let layer = Layer::new().file("a", b"a");
    let registry = registry(Image::new().layer(layer.clone()));
    let blob = place.run(&["get", &source(&registry), "-o", "-"]).expect_code(0).stdout;
    assert_eq!(blob, layer.blob());
}

#[test]
fn embedded_data_is_taken_once_it_is_checked() {
    let place = Place::new();
    let artifact = Artifact::new("application/vnd.example").file("a", b"embedded");
    for (data, fine) in [("ZW1iZWRkZWQ=", true), ("RU1CRURERUQ=", false), ("ZW1iZWRk", false), ("not base64", false)] {
        let registry = registry(artifact.clone().edit(move |manifest| manifest["layers"][0]["data"] = json!(data)));
        let got = get(&place, &registry, "out", &["--force", "--no-cache"]);
        if fine {
            got.expect_code(0);
            assert_eq!(place.read("out/a"), b"embedded");
            assert_eq!(registry.blob_downloads(), 1, "the config alone is fetched");
        } else {
            assert_eq!(got.code, 6, "{data}: {got:?}");
        }
    }
    let registry = registry(artifact);
    assert_eq!(place.run(&["config", &source(&registry)]).expect_code(0).stdout, b"{}");
    let told = place.run(&["config", &source(&registry), "--json"]).expect_code(0).json();
    assert_eq!((&told["artifactType"], &told["image"]), (&json!("application/vnd.example"), &json!(null)));
}
