//! The images that are served, and what of them is kept from run to run.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use oci_fetcher_tests::content::Content;
use oci_fetcher_tests::docker_registry::DockerRegistry;
use oci_fetcher_tests::image::{Artifact, Image, Index, Layer};
use oci_fetcher_tests::process::{required, run};
use oci_fetcher_tests::{awkward, bulk, debian};

/// Repository and tag, and all that belongs to the image.
type Entry = ((&'static str, &'static str), Content);

pub(crate) struct Stock {
    folder: PathBuf,
    entries: Vec<Entry>,
    small: Content,
}

impl Stock {
    pub(crate) fn new(folder: &Path) -> Self {
        let mut entries = Vec::new();
        let mut small = Content::new();
        let mut put = |repository, tag, content: Content| entries.push(((repository, tag), content));
        for (repository, tag, manifest) in small_images() {
            let mut content = Content::new();
            content.push(repository, tag, manifest.clone());
            small.push(repository, tag, manifest);
            put(repository, tag, content);
        }
        for (tag, image) in [("layer", bulk::layer(&folder.join("bulk"))), ("image", bulk::image(&folder.join("bulk")))]
        {
            let mut content = Content::new();
            content.push("bulk", tag, image);
            put("bulk", tag, content);
        }
        let built = debian::layers(folder.parent().expect("it lies in the target folder"));
        put("debian", "1", debian::image(&built, "gz", debian::GZIP));
        Self { folder: folder.to_owned(), entries, small }
    }

    /// Returns where docker-registry keeps what is pushed.
    pub(crate) fn storage(&self) -> PathBuf {
        self.folder.join("storage")
    }

    /// Returns the small images alone.
    pub(crate) fn small(&self) -> &Content {
        &self.small
    }

    /// Returns the digest of each image by its name.
    pub(crate) fn digests(&self) -> BTreeMap<String, String> {
        self.entries.iter().map(|(name, content)| (join(*name), digest(*name, content))).collect()
    }

    /// Pushes what the storage does not hold yet.
    pub(crate) fn push(&self, registry: &DockerRegistry) {
        for (name, content) in &self.entries {
            let (repository, tag) = *name;
            let mark = self.storage().join(format!("pushed-{repository}-{tag}"));
            let digest = digest(*name, content);
            if fs::read_to_string(&mark).is_ok_and(|pushed| pushed == digest) {
                continue;
            }
            registry.push_content(content, repository, tag);
            fs::write(&mark, &digest).unwrap_or_else(|error| panic!("{}: {error}", mark.display()));
        }
    }

    /// Has skopeo write a layout of two images and archives of a third; returns the folder that holds them.
    pub(crate) fn files(&self, registry: &DockerRegistry) -> PathBuf {
        let folder = self.folder.join("files");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for name in ["awkward", "platforms"] {
            let to = format!("oci:{}/layout:{name}", folder.display());
            // A layer that is not compressed stays so.
            copy(registry, &format!("{name}:1"), &to, &["--preserve-digests"]);
        }
        for kind in ["oci-archive", "docker-archive"] {
            copy(registry, "plain:1", &format!("{kind}:{}/{kind}.tar:example.org/plain:1", folder.display()), &[]);
        }
        folder
    }
}

fn small_images() -> Vec<(&'static str, &'static str, oci_fetcher_tests::image::Manifest)> {
    let of_platform = |name: &str| {
        let layer = Layer::new().directory("etc", 0o755).file("etc/platform", name);
        Image::new().platform(name).layer(layer)
    };
    let platforms = ["linux/amd64", "linux/arm64/v8", "linux/arm/v7"].map(of_platform);
    let platforms = platforms.into_iter().fold(Index::new(), Index::attested);
    let plain = Image::new()
        .layer(Layer::new().directory("etc", 0o755).file("etc/hostname", b"plain\n"))
        .layer(Layer::new().file("hello", b"hello, world\n").whiteout("etc/none"))
        .env("GREETING=hello")
        .command("/hello");
    vec![
        ("awkward", "1", awkward::image().pack()),
        ("plain", "1", plain.pack()),
        ("plain", "2", plain.label("two", "2").pack()),
        ("platforms", "1", platforms.pack()),
        ("module", "1", Artifact::wasm(&ADD).pack()),
        ("component", "1", Artifact::wasm(b"\0asm\x0d\0\x01\0").pack()),
        ("not-wasm", "1", Artifact::wasm(b"neither module nor component").pack()),
        ("files", "1", Artifact::new("application/vnd.example.files").file("a.txt", b"a").file("b.bin", b"\0").pack()),
    ]
}

/// A module that exports `add`, of two 32-bit integers.
const ADD: [u8; 41] = *b"\0asm\x01\0\0\0\x01\x07\x01\x60\x02\x7f\x7f\x01\x7f\x03\x02\x01\0\x07\x07\x01\x03add\0\0\
                         \x0a\x09\x01\x07\0\x20\0\x20\x01\x6a\x0b";

fn digest((repository, tag): (&str, &str), content: &Content) -> String {
    let stored = content.manifest(repository, tag).expect("it was put there");
    oci_fetcher_tests::image::Manifest::raw(&stored.media_type, stored.bytes.clone()).digest().to_string()
}

fn join((repository, tag): (&str, &str)) -> String {
    format!("{repository}:{tag}")
}

fn copy(registry: &DockerRegistry, from: &str, to: &str, more: &[&str]) {
    let from = format!("docker://{}/{from}", registry.host());
    let arguments = ["copy", "--insecure-policy", "--all", "--src-tls-verify=false", "--src-no-creds", &from, to];
    let arguments: Vec<&OsStr> = arguments.iter().chain(more).map(OsStr::new).collect();
    run(&required("skopeo", "skopeo"), &arguments);
}
