//! What the scripted registry holds.

use std::sync::{Arc, LazyLock};

use oci_fetcher_core::digest::{Algorithm, Digest};
use oci_fetcher_core::manifest::{Descriptor, MediaType};

/// A document under its digest.
pub(super) struct Document {
    pub(super) digest: Digest,
    pub(super) bytes: Arc<[u8]>,
    pub(super) media_type: MediaType,
}

impl Document {
    fn new(media_type: MediaType, text: String) -> Self {
        Self { digest: Digest::of(Algorithm::Sha256, text.as_bytes()), bytes: text.into_bytes().into(), media_type }
    }

    fn descriptor(&self) -> String {
        format!(r#"{{"mediaType":"{}","digest":"{}","size":{}"#, self.media_type, self.digest, self.bytes.len())
    }
}

/// An index over an index, an image, one without a platform, and an artifact, with their blobs.
pub(super) struct Served {
    pub(super) index: Document,
    pub(super) image: Document,
    pub(super) image_by_sha512: Digest,
    pub(super) blobs: Vec<Descriptor>,
    all: Vec<Document>,
}

impl Served {
    /// Returns the document of this digest, by either algorithm.
    pub(super) fn find(&self, digest: &str) -> Option<&Document> {
        let by_sha512 = || (digest == self.image_by_sha512.as_str()).then_some(&self.image);
        self.documents().find(|document| document.digest.as_str() == digest).or_else(by_sha512)
    }

    /// Returns one of the documents.
    pub(super) fn pick(&self, number: usize) -> &Document {
        let documents: Vec<&Document> = self.documents().collect();
        documents[number % documents.len()]
    }

    fn documents(&self) -> impl Iterator<Item = &Document> {
        [&self.index, &self.image].into_iter().chain(&self.all)
    }
}

/// Returns what is served, which is made once.
pub(super) fn served() -> &'static Served {
    static SERVED: LazyLock<Served> = LazyLock::new(make);
    &SERVED
}

fn make() -> Served {
    let layer = Digest::of(Algorithm::Sha256, b"layer");
    let config = Document::new(
        MediaType::OciConfig,
        format!(r#"{{"os":"linux","architecture":"amd64","rootfs":{{"type":"layers","diff_ids":["{layer}"]}}}}"#),
    );
    let layers = format!(
        r#"[{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{layer}","size":5,"urls":["https://foreign.example/l","http://foreign.example/l"]}}]"#
    );
    let manifest = |config: &Document, note: &str| {
        let text = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","config":{}}},"layers":{layers},"annotations":{{"note":"{note}"}}}}"#,
            MediaType::OciManifest,
            config.descriptor()
        );
        Document::new(MediaType::OciManifest, text)
    };
    let (image, unlabelled) = (manifest(&config, "image"), manifest(&config, "unlabelled"));
    let empty = Document::new(MediaType::parse("application/vnd.oci.empty.v1+json"), "{}".to_owned());
    let artifact = manifest(&empty, "artifact");
    let index = |entries: String| {
        let head = format!(r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[{entries}]}}"#, MediaType::OciIndex);
        Document::new(MediaType::OciIndex, head)
    };
    let platform = |architecture: &str| format!(r#","platform":{{"os":"linux","architecture":"{architecture}"}}}}"#);
    let inner = index(format!("{}{},{}}}", image.descriptor(), platform("arm64"), unlabelled.descriptor()));
    let outer = index(format!(
        "{}{},{}}},{}}},{}}}",
        image.descriptor(),
        platform("amd64"),
        inner.descriptor(),
        unlabelled.descriptor(),
        artifact.descriptor()
    ));
    let foreign = Descriptor {
        urls: vec!["https://foreign.example/l".to_owned(), "http://127.0.0.1/l".to_owned()],
        ..Descriptor::new(MediaType::parse("application/vnd.oci.image.layer.v1.tar"), layer, 5)
    };
    let other = Descriptor::new(MediaType::OciConfig, config.digest.clone(), config.bytes.len() as u64);
    let image_by_sha512 = Digest::of(Algorithm::Sha512, &image.bytes);
    Served {
        index: outer,
        image,
        image_by_sha512,
        blobs: vec![foreign.clone(), other, foreign],
        all: vec![config, unlabelled, empty, artifact, inner],
    }
}
