//! A small image, pulled by the library into a directory.

use std::fs;
use std::path::Path;
use std::process::Command;

use oci_fetcher::{Auth, CachePolicy, Client, Deadlines, Destination, Error, Reference, RetryPolicy, TlsFiles};
use oci_fetcher_core::digest::{Algorithm, Digest};
use oci_fetcher_tests::compare::Comparison;
use oci_fetcher_tests::content::Content;
use oci_fetcher_tests::image::{Image, Layer};
use oci_fetcher_tests::place::Place;
use oci_fetcher_tests::registry::{Method, Options, Registry};
use oci_fetcher_tests::tls::Authority;
use tokio::runtime::{Builder, Runtime};

/// Runs the test of this name in a process of its own, and returns whether this is that process.
///
/// There one certificate stands for the system's hundreds, which each client reads.
pub(crate) fn is_entered(test: &str) -> bool {
    if std::env::var_os(ENTERED).is_some() {
        return true;
    }
    let place = Place::new();
    let authority = place.write("authority.pem", Authority::new().pem());
    let mut again = Command::new(std::env::current_exe().expect("the system tells where the test is"));
    again.args([test, "--exact", "--nocapture"]).env(ENTERED, "").env("SSL_CERT_FILE", authority);
    let status = again.env_remove("SSL_CERT_DIR").status().expect("it runs");
    assert!(status.success(), "{test} failed");
    false
}

const ENTERED: &str = "OCI_FETCHER_TEST_ENTERED";

/// A registry that holds one small image, and a place to pull it to.
pub(crate) struct Puller {
    pub(crate) registry: Registry,
    /// Bytes of all bodies of a pull.
    pub(crate) whole: u64,
    /// Bytes of the manifest.
    pub(crate) manifest: u64,
    place: Place,
    runtime: Runtime,
    complete: String,
    tls: TlsFiles,
}

impl Puller {
    /// Makes one, and learns from a pull without faults what is to come of it.
    pub(crate) fn new() -> Self {
        Self::serving(Options::new(), TlsFiles::default())
    }

    /// Makes one whose registry has these options, and which trusts these files.
    pub(crate) fn serving(options: Options, tls: TlsFiles) -> Self {
        let mut puller = Self::untried(options, tls);
        puller.pull(1, Deadlines::default()).expect("nothing is broken");
        puller.complete = puller.listing().expect("it was made");
        puller.whole = puller.registry.bytes_sent();
        let manifests = puller.registry.requests_to(Method::Get, "/v2/app/manifests/*");
        puller.manifest = manifests.last().expect("asked for").bytes_sent;
        puller.clear();
        puller
    }

    /// Makes one that has not pulled yet.
    pub(crate) fn untried(options: Options, tls: TlsFiles) -> Self {
        let mut content = Content::new();
        let layer = Layer::new().directory("d", 0o755).file("d/file", b"content").symlink("link", "d/file");
        content.push("app", "1", Image::new().layer(layer));
        let memory = Path::new("/dev/shm");
        let puller = Self {
            registry: Registry::start(content, options),
            whole: 0,
            manifest: 0,
            place: if memory.is_dir() { Place::within(memory) } else { Place::new() },
            runtime: Builder::new_current_thread().enable_all().build().expect("a runtime"),
            complete: String::new(),
            tls,
        };
        puller.clear();
        puller
    }

    /// Forgets everything: what was stored, what was asked, and the rules.
    pub(crate) fn clear(&self) {
        self.registry.forget_rules();
        self.registry.forget_requests();
        for folder in ["cache", "parent"] {
            let _ = fs::remove_dir_all(self.place.path(folder));
        }
        fs::create_dir(self.place.path("parent")).expect("writable");
    }

    /// Pulls, with short pauses between at most so many attempts.
    pub(crate) fn pull(&self, attempts: u32, deadlines: Deadlines) -> Result<(), Error> {
        self.runtime.block_on(self.pulling(self.client(attempts, deadlines)))
    }

    /// Makes a client that keeps what it fetches.
    pub(crate) fn client(&self, attempts: u32, deadlines: Deadlines) -> Client {
        let retry = RetryPolicy {
            attempts,
            first_pause: 2,
            longest_pause: 4,
            longest_retry_after: 50,
            ..RetryPolicy::default()
        };
        let cache = CachePolicy::At(self.place.path("cache"));
        let builder = Client::builder().auth(Auth::Anonymous).cache(cache).retry(retry).deadlines(deadlines);
        builder.tls(self.tls.clone()).build().expect("nothing is read")
    }

    /// Pulls with a client, in a runtime of the caller's.
    pub(crate) async fn pulling(&self, client: Client) -> Result<(), Error> {
        let reference: Reference = format!("{}/app:1", self.registry.host()).parse().expect("a reference");
        client.pull(&reference, Destination::Directory(self.out())).await.map(drop)
    }

    fn out(&self) -> std::path::PathBuf {
        self.place.path("parent/out")
    }

    fn listing(&self) -> Option<String> {
        self.out().exists().then(|| Comparison::new().listing(&self.out()))
    }

    /// Tells whether the destination is complete.
    pub(crate) fn is_complete(&self) -> bool {
        self.listing().is_some_and(|listing| listing == self.complete)
    }

    /// Checks P1, P2 and P7, and removes the destination.
    pub(crate) fn check(&self, succeeded: bool) -> Vec<String> {
        let mut broken = Vec::new();
        match self.listing() {
            None if succeeded => broken.push("P2: there is nothing".to_owned()),
            None => {}
            Some(listing) if succeeded && listing == self.complete => {}
            Some(listing) => broken.push(format!("P2: {listing}")),
        }
        let _ = fs::remove_dir_all(self.out());
        let left = self.place.names("parent");
        if !left.is_empty() {
            broken.push(format!("P7: {left:?}"));
        }
        let partial = self.names("cache/partial");
        if succeeded && !partial.is_empty() || partial.iter().any(|name| name.contains('.')) {
            broken.push(format!("P7: {partial:?}"));
        }
        for name in self.names("cache/blobs/sha256") {
            let found = Digest::of(Algorithm::Sha256, &self.place.read(&format!("cache/blobs/sha256/{name}")));
            if found.encoded() != name {
                broken.push(format!("P1: {name} is {found}"));
            }
        }
        broken
    }

    /// Returns how many bytes of blobs, whole and in part, are stored.
    pub(crate) fn stored(&self) -> u64 {
        let size = |folder: &str| -> u64 {
            let size = |name: String| fs::metadata(self.place.path(&format!("{folder}/{name}"))).expect("there").len();
            self.names(folder).into_iter().map(size).sum()
        };
        size("cache/blobs/sha256") + size("cache/partial")
    }

    fn names(&self, folder: &str) -> Vec<String> {
        if self.place.path(folder).exists() { self.place.names(folder) } else { Vec::new() }
    }
}
