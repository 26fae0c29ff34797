//! What must hold for any image: destinations agree, nothing depends on chunks, on how many layers are
//! at work or on the run, and no bit may be another.
#![cfg(unix)]

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use oci_fetcher::core::digest::{Algorithm, Digest};
use oci_fetcher::core::layer::{LayerDecoder, LayerSpec, Op, Step};
use oci_fetcher::core::listing::{Attribute, Listed, Listing, What};
use oci_fetcher::core::memory::{MemoryFs, Walked};
use oci_fetcher::core::unpack::{Options, Outcome, Unpacker};
use oci_fetcher::{Auth, CachePolicy, Class, Client, Destination, Error, Explain as _, Source, list_tree};
use oci_fetcher_tests::compare::Comparison;
use oci_fetcher_tests::content::{Blob, Content};
use oci_fetcher_tests::image::{Compression, Image, Layer, PackedLayer, Types};
use oci_fetcher_tests::place::Place;
use proptest::prelude::*;

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(64))]

    #[test]
    fn decoding_does_not_depend_on_chunks(layers in stack(), chunk in 1_usize..1_000) {
        let packed = pack(&layers);
        let whole = in_memory(&packed, usize::MAX);
        prop_assert_eq!(in_memory(&packed, chunk), whole.clone());
        prop_assert_eq!(in_memory(&packed, 1), whole);
    }
}

proptest! {
    // Each case pulls several times, with every file made and synced.
    #![proptest_config(config(16))]

    #[test]
    fn disk_memory_and_layout_agree_however_it_is_done(layers in stack()) {
        let place = Place::new();
        let packed = pack(&layers);
        let content = content(&packed);
        content.write_layout("app", "1", &place.path("layout"), "1");

        pull(&place.path("layout"), Destination::Directory(place.path("one")), 1).expect("a sound image");
        prop_assert_eq!(on_disk(&place.path("one")), in_memory(&packed, 700), "disk and memory");
        pull(&place.path("layout"), Destination::Directory(place.path("again")), 1).expect("a sound image");
        Comparison::new().assert_equal(&place.path("one"), &place.path("again"));
        pull(&place.path("layout"), Destination::Directory(place.path("eight")), 8).expect("a sound image");
        Comparison::new().assert_equal(&place.path("one"), &place.path("eight"));

        pull(&place.path("layout"), Destination::OciLayout(place.path("copy")), 3).expect("a sound image");
        pull(&place.path("copy"), Destination::Directory(place.path("copied")), 3).expect("a sound copy");
        Comparison::new().assert_equal(&place.path("one"), &place.path("copied"));
        for (digest, bytes) in blobs(&content) {
            let kept = place.read(&format!("copy/blobs/{}", digest.as_str().replace(':', "/")));
            prop_assert_eq!(kept, bytes, "bytes are kept as they are");
        }
    }

    #[test]
    fn no_bit_of_a_blob_may_be_another(
        layers in stack(), which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), bit in 0..8_u32,
    ) {
        let place = Place::new();
        let content = content(&pack(&layers));
        content.write_layout("app", "1", &place.path("layout"), "1");
        let blobs = blobs(&content);
        let (digest, bytes) = &blobs[which.index(blobs.len())];
        let (at, mut flipped) = (at.index(bytes.len()), bytes.clone());
        flipped[at] ^= 1 << bit;
        place.write(&format!("layout/blobs/{}", digest.as_str().replace(':', "/")), &flipped);
        for destination in [Destination::Directory(place.path("out")), Destination::OciLayout(place.path("copy"))] {
            let error = pull(&place.path("layout"), destination, 4).expect_err("a bit is another");
            prop_assert_eq!(error.class(), Class::Integrity, "{}", error);
        }
        prop_assert!(!place.path("out").exists(), "something was left");
        prop_assert!(!place.path("copy/index.json").exists(), "an image was named");
    }
}

/// Layers of entries that can always be applied, with what later layers hide and replace.
fn stack() -> impl Strategy<Value = Vec<(Vec<Entry>, Compression)>> {
    let compression = prop::sample::select(vec![
        Compression::None,
        Compression::Gzip,
        Compression::Zstd,
        Compression::GzipMembers(2),
        Compression::ZstdFrames(2),
    ]);
    prop::collection::vec((prop::collection::vec(entry(), 0..10), compression), 1..5)
}

/// What a layer gets: something in one of a few directories.
#[derive(Clone, Debug)]
struct Entry {
    directory: &'static str,
    name: &'static str,
    kind: u8,
    content: (u8, usize),
    mode: u32,
}

fn entry() -> impl Strategy<Value = Entry> {
    let directory = prop::sample::select(vec!["a", "b", "a/c", "a/c/d", "l"]);
    let name = prop::sample::select(vec!["f", "g", "gr\u{f6}\u{df}e", "h"]);
    let content = (any::<u8>(), prop::sample::select(vec![0_usize, 1, 511, 512, 3_000, 70_000]));
    (directory, name, 0..12_u8, content, 0..0o1000_u32).prop_map(|(directory, name, kind, content, mode)| Entry {
        directory,
        name,
        kind,
        content,
        mode,
    })
}

impl Entry {
    fn add(layer: Layer, entry: &Self) -> Layer {
        let Self { directory, name, kind, content: (byte, length), mode } = entry;
        let (path, content) = (format!("{directory}/{name}"), vec![*byte; *length]);
        match kind {
            // Below `l`, which is a link to one of the others or a directory, once it is made.
            0 => layer.symlink("l", if mode % 2 == 0 { "a" } else { "/b" }),
            1..4 => layer.file(path, content).mode(*mode).modified(i64::from(*mode) - 100, *mode),
            4 => layer.file(path, &content).mode(0o4755).xattr("user.origin", content.get(..9).unwrap_or(b"")),
            5 => layer.file(format!("{path}.first"), content).hard_link(&path, format!("{path}.first")),
            6 => layer.symlink(path, "../../../b/f"),
            7 => layer.fifo(path),
            8 => layer.whiteout(path),
            9 if *directory != "l" => layer.opaque(directory),
            10 => layer.directory(format!("{directory}/sub"), *mode).owner(u64::from(*mode), 7),
            _ if *directory != "l" => layer.whiteout(directory),
            _ => layer,
        }
    }
}

fn pack(stack: &[(Vec<Entry>, Compression)]) -> Vec<PackedLayer> {
    let layer = |(entries, how): &(Vec<Entry>, Compression)| {
        entries.iter().fold(Layer::new(), Entry::add).compress(how.clone()).pack(Types::Oci)
    };
    stack.iter().map(layer).collect()
}

fn content(packed: &[PackedLayer]) -> Content {
    let mut content = Content::new();
    let image = packed.iter().cloned().fold(Image::new().platform("linux/amd64"), Image::packed_layer);
    content.push("app", "1", image);
    content
}

/// Lists config, layers and manifest.
fn blobs(content: &Content) -> Vec<(Digest, Vec<u8>)> {
    let stored = content.manifest("app", "1").expect("it was pushed");
    let manifest: serde_json::Value = serde_json::from_slice(&stored.bytes).expect("JSON");
    let descriptors = std::iter::once(&manifest["config"]).chain(manifest["layers"].as_array().expect("layers"));
    let digests = descriptors.map(|descriptor| descriptor["digest"].as_str().expect("a digest"));
    let blob = |digest: &str| match content.blob(digest).expect("it was pushed") {
        Blob::Bytes(bytes) => (digest.parse().expect("a digest"), bytes.to_vec()),
        Blob::File { path, .. } => panic!("{} is large", path.display()),
    };
    let manifest = (Digest::of(Algorithm::Sha256, &stored.bytes), stored.bytes.clone());
    digests.map(blob).chain([manifest]).collect()
}

fn pull(layout: &Path, destination: Destination<PathBuf>, at_once: usize) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let concurrency = NonZeroUsize::new(at_once).expect("not zero");
    let client = Client::builder().auth(Auth::Anonymous).cache(CachePolicy::None).concurrency(concurrency).build()?;
    let source = Source::Layout { path: layout.to_owned(), name: None };
    runtime.expect("a runtime").block_on(client.pull(&source, destination)).map(drop)
}

/// What this user cannot have on disk.
fn without() -> &'static [Attribute] {
    if rustix::process::geteuid().is_root() { &[] } else { &[Attribute::Owner, Attribute::Mode] }
}

fn on_disk(directory: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    list_tree(directory, without(), |line| lines.push(line.to_owned())).expect("readable");
    lines
}

/// Unpacks layers in memory, fed in chunks, and lists what they come to.
fn in_memory(layers: &[PackedLayer], chunk: usize) -> Vec<String> {
    let mut unpacker = Unpacker::new(MemoryFs::default(), Options::default());
    for layer in layers {
        let Blob::Bytes(blob) = &layer.blob else { panic!("a large layer") };
        let spec = LayerSpec {
            digest: layer.digest.clone(),
            size: blob.len() as u64,
            diff_id: layer.diff_id.clone(),
            media_type: layer.descriptor["mediaType"].as_str().expect("a type").to_owned(),
            limits: Default::default(),
        };
        let mut decoder = LayerDecoder::new(spec).expect("digests that can be computed");
        unpacker.begin_layer();
        for piece in blob.chunks(chunk).chain([&[][..]]) {
            let mut input = piece;
            while let Step::Op(op) = decoder.step(&mut input).expect("a sound layer") {
                // What a file is cut into is no difference.
                if let Op::Data { bytes, .. } = &op {
                    assert!(!bytes.is_empty());
                }
                unpacker.op(op).expect("it can be applied");
            }
        }
        decoder.finish().expect("a sound layer");
    }
    let Ok(Outcome::Complete(unpacked)) = unpacker.finish() else { panic!("everything was selected") };
    let mut listing = Listing::without(without().iter().copied());
    unpacked.fs.walk().filter_map(|walked| line(&unpacked.fs, &walked, &mut listing)).collect()
}

fn line(fs: &MemoryFs, walked: &Walked<'_>, listing: &mut Listing) -> Option<String> {
    let Ok(content) = fs.read(&walked.path);
    let digest = Digest::of(Algorithm::Sha256, &content.unwrap_or_default());
    let Ok(what) = What::found(walked, || Ok::<_, std::convert::Infallible>(&digest));
    let linked = walked.hard_link_to.as_ref().map(|first| What::HardLink { of: &what, first });
    listing.add(&Listed { path: &walked.path, what: linked.unwrap_or(what), metadata: walked.stat.metadata })
}
