//! Reaches every entry point of the core from one exported function, which decodes, merges and reads
//! back a small layer and drives a pull. Built for `wasm32-unknown-unknown`, the module must import
//! nothing: then the core can have asked for no clock, file, socket or randomness.

use oci_fetcher_core::digest::{Algorithm, Digest};
use oci_fetcher_core::entry::{EntryKind, EntryPath, Metadata};
use oci_fetcher_core::layer::{LayerDecoder, LayerSpec, Step};
use oci_fetcher_core::limits::Limits;
use oci_fetcher_core::manifest::{Declared, ImageConfig, Manifest, Platform};
use oci_fetcher_core::memory::MemoryFs;
use oci_fetcher_core::pull::{Closure, Effect, Input, Network, Next, Pull, Resolve, Session, Tags, Want};
use oci_fetcher_core::reference::Reference;
use oci_fetcher_core::request::{Headers, ResponseHead};
use oci_fetcher_core::source::Source;
use oci_fetcher_core::tar::write;
use oci_fetcher_core::time::Time;
use oci_fetcher_core::unpack::{Options, Outcome, Unpacker};

/// What [`run`] returns if everything came out as it should: "oci!" as a number.
pub const WELL: u32 = 0x6f63_6921;

/// Runs the fixture; returns [`WELL`], or the number of the step that came out wrong.
#[expect(unsafe_code, reason = "an exported name is the point of this module")]
#[unsafe(no_mangle)]
pub extern "C" fn run() -> u32 {
    let steps: [fn() -> Option<()>; 4] = [layer, manifests, pull, names];
    match steps.iter().position(|step| step().is_none()) {
        None => WELL,
        Some(step) => u32::try_from(step).unwrap_or(u32::MAX),
    }
}

/// Writes a layer, and reads it back through decoder, tree and memory.
fn layer() -> Option<()> {
    let (path, content) = (EntryPath::clean(b"etc/motd").ok()?, b"hello");
    let mut tar = Vec::new();
    write::header(&path, &EntryKind::File { size: 5 }, &Metadata::IMPLIED, &mut tar);
    tar.extend_from_slice(content);
    write::padding(5, &mut tar);
    write::trailer(&mut tar);
    // Plain, in a stored gzip member, and as a raw zstd block.
    for blob in [tar.clone(), gzip(&tar)?, zstd(&tar)?] {
        let spec = LayerSpec {
            digest: Digest::of(Algorithm::Sha256, &blob),
            size: blob.len() as u64,
            diff_id: Digest::of(Algorithm::Sha512, &tar),
            media_type: "application/vnd.oci.image.layer.v1.tar".to_owned(),
            limits: Limits::default(),
        };
        let mut decoder = LayerDecoder::new(spec).ok()?;
        let mut unpacker = Unpacker::new(MemoryFs::default(), Options::default());
        unpacker.begin_layer();
        for mut input in [blob.as_slice(), &[]] {
            while let Step::Op(op) = decoder.step(&mut input).ok()? {
                unpacker.op(op).ok()?;
            }
        }
        decoder.finish().ok()?;
        let Outcome::Complete(unpacked) = unpacker.finish().ok()? else { return None };
        (unpacked.fs.read(&path).ok()?? == content).then_some(())?;
        (unpacked.fs.walk().count() == 3).then_some(())?;
    }
    Some(())
}

fn gzip(plain: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(plain.len()).ok()?;
    let mut blob = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    blob.extend(length.to_le_bytes());
    blob.extend((!length).to_le_bytes());
    blob.extend_from_slice(plain);
    blob.extend(crc32(plain).to_le_bytes());
    blob.extend(u32::from(length).to_le_bytes());
    Some(blob)
}

/// RFC 1952, section 8, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

fn zstd(plain: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(plain.len()).ok()?;
    let mut blob = vec![0x28, 0xb5, 0x2f, 0xfd, 0xa0];
    blob.extend(length.to_le_bytes());
    blob.extend_from_slice(&(length << 3 | 1).to_le_bytes()[..3]);
    blob.extend_from_slice(plain);
    Some(blob)
}

const CONFIG: &[u8] = b"{}";
const MANIFEST: &[u8] = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
    "config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":2,
    "digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},"layers":[]}"#;

fn manifests() -> Option<()> {
    Manifest::parse(MANIFEST, Declared::Served(None), &Limits::default()).ok()?;
    ImageConfig::parse(br#"{"os":"linux","architecture":"arm64"}"#).ok()?.platform()?;
    (Platform::default_for("aarch64").to_string() == "linux/arm64").then_some(())
}

/// Resolves a tag with an answer, lists what it refers to, and begins to list tags.
fn pull() -> Option<()> {
    let reference: Reference = "registry.example/app:1".parse().ok()?;
    let mut pull =
        Pull::new(Session::new(&reference, Network::Online), Resolve::new(&reference, Want::Manifest), Time(0));
    let resolved = loop {
        match pull.poll() {
            Next::Do(Effect::Recall { job, .. }) => pull.handle(Input::Missing { job }, Time(1)),
            Next::Do(Effect::Fetch { job, .. }) => {
                let head = ResponseHead { status: 200, headers: Headers::new() };
                pull.handle(Input::Response { job, head, body: MANIFEST.to_vec() }, Time(2));
            }
            Next::Do(_) => {}
            Next::Wait(_) => return None,
            Next::Done(result) => break result.ok()?,
        }
    };
    let mut closure = Pull::new(pull.into_session(), Closure::new(resolved.top), Time(3));
    let Next::Do(Effect::LookUp { job, .. }) = closure.poll() else { return None };
    closure.handle(Input::Found { job, bytes: CONFIG.to_vec() }, Time(3));
    let Next::Done(Ok(outcome)) = closure.poll() else { return None };
    (outcome.configs.len() == 1).then_some(())?;
    let mut tags = Pull::new(closure.into_session(), Tags::new(), Time(4));
    matches!(tags.poll(), Next::Do(_)).then_some(())
}

fn names() -> Option<()> {
    matches!("oci:folder:tag".parse(), Ok(Source::Layout { .. })).then_some(())
}
