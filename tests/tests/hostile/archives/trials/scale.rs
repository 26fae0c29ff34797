//! 46: a million entries in one layer, within the limits and without quadratic time.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use flate2::write::GzEncoder;
use oci_fetcher_core::digest::{Algorithm, Digest, Hasher};
use oci_fetcher_core::layer::{LayerDecoder, LayerSpec, Step};
use oci_fetcher_core::memory::MemoryFs;
use oci_fetcher_core::unpack::{Options, Outcome as Ended, Unpacker};
use oci_fetcher_tests::hostile::{Case, Outcome};
use oci_fetcher_tests::image::{Image, Layer, PackedLayer};
use tar::EntryType;

use super::{Stage, Trial, absent, limits, outcome, path};
use crate::archives::hosts::Answer;
use crate::archives::hosts::javascript::JavaScript;
use crate::archives::row::Host;

pub(super) fn trials() -> Vec<Trial> {
    let case = Case {
        number: 46,
        name: "1,000,000 entries in one layer, and 100,000",
        ids: &[],
        expected: "less than 20 times the time",
    };
    vec![Trial { case, run }]
}

const FEW: usize = 100_000;
const MANY: usize = 1_000_000;
const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Ten times the entries are ten times the work. Anything quadratic would be a hundred.
const RATIO: f64 = 20.0;

/// What a pull of a million entries may hold: a fifth of a kilobyte an entry, and what all pulls hold.
const MEMORY: u64 = 512 << 20;

fn run(_: Case) -> Vec<(Host, Outcome)> {
    let stage = Stage::new(Image::new());
    let packed = [FEW, MANY].map(|entries| {
        let path = stage.place.path(&entries.to_string());
        let layer = pack(&path, entries);
        (entries, path, layer)
    });
    stage.registry.change(|content| {
        for (entries, _, layer) in &packed {
            let image = Image::new().platform("linux/amd64").packed_layer(layer.clone());
            content.push("scale", &entries.to_string(), image);
        }
    });
    let reference = |entries: usize| format!("{}/scale:{entries}", stage.registry.host());
    let mut outcomes =
        vec![(Host::Root, outcome(native(&stage, &reference))), (Host::Memory, outcome(memory(&packed)))];
    outcomes.push((Host::Wasm, outcome(wasm(&reference))));
    outcomes.extend(absent(&[Host::User], "it makes the same calls as root"));
    outcomes.extend(absent(&[Host::Node], "a million files by calls that each take a whole path are minutes"));
    outcomes
}

fn native(stage: &Stage, reference: &impl Fn(usize) -> String) -> Vec<String> {
    let mut faults = Vec::new();
    let mut times = Vec::new();
    for entries in [FEW, MANY] {
        let folder = stage.folder(Host::Root, &format!("root-{entries}"));
        let (root, home) = (folder.join("root"), stage.folder(Host::Root, &format!("root-{entries}/home")));
        let (answer, measured) =
            stage.native(Host::Root).pull(&limits(&[]), &reference(entries), &root, &home, &["--no-cache"]);
        if let Answer::Failed { .. } = answer {
            faults.push(format!("{entries} entries: {answer:?}"));
        }
        if measured.peak_memory > MEMORY {
            faults.push(format!("{entries} entries: {} bytes of memory", measured.peak_memory));
        }
        faults.extend(oci_fetcher::disk::remove_tree(&folder).err().map(|error| error.to_string()));
        times.push(measured.busy);
    }
    faults.extend(not_linear(&times));
    faults
}

fn memory(packed: &[(usize, PathBuf, PackedLayer)]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut times = Vec::new();
    for (entries, path, layer) in packed {
        let bytes = std::fs::read(path).expect("it was written");
        let started = Instant::now();
        let spec = LayerSpec {
            digest: layer.digest.clone(),
            size: bytes.len() as u64,
            diff_id: layer.diff_id.clone(),
            media_type: GZIP.to_owned(),
            limits: Default::default(),
        };
        let mut decoder = LayerDecoder::new(spec).expect("sha256");
        let mut unpacker = Unpacker::new(MemoryFs::default(), Options::default());
        unpacker.begin_layer();
        for mut input in bytes.chunks(64 << 10).chain([&[][..]]) {
            while let Step::Op(op) = decoder.step(&mut input).expect("a good layer") {
                unpacker.op(op).expect("a good layer");
            }
        }
        decoder.finish().expect("a good layer");
        match unpacker.finish() {
            Ok(Ended::Complete(unpacked)) if unpacked.entries == *entries as u64 => {}
            other => faults.push(format!("{entries} entries: {:?}", other.map(|_| "another number"))),
        }
        times.push(started.elapsed());
    }
    faults.extend(not_linear(&times));
    faults
}

fn wasm(reference: &impl Fn(usize) -> String) -> Vec<String> {
    let mut faults = Vec::new();
    let mut times = Vec::new();
    for entries in [FEW, MANY] {
        let mut process = JavaScript::start(&path());
        let answer = process.count(&reference(entries));
        if answer != Ok(entries as u64) {
            faults.push(format!("{entries} entries: {answer:?}"));
        }
        times.push(process.busy);
        if process.resident > 3 * MEMORY {
            faults.push(format!("{entries} entries: {} bytes of memory", process.resident));
        }
    }
    faults.extend(not_linear(&times));
    faults
}

fn not_linear(times: &[Duration]) -> Option<String> {
    let (few, many) = (times.first()?.as_secs_f64(), times.last()?.as_secs_f64());
    // Below that, what every pull takes counts for more than its entries.
    let few = few.max(0.05);
    (many > few * RATIO).then(|| format!("{FEW} entries took {few:.2} s, {MANY} took {many:.2} s"))
}

/// Writes a layer of so many entries, a directory for each 1,000.
fn pack(path: &Path, entries: usize) -> PackedLayer {
    let file = BufWriter::new(File::create(path).expect("writable"));
    let mut gzip = GzEncoder::new(file, flate2::Compression::fast());
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut write = |bytes: &[u8]| {
        hasher.update(bytes);
        gzip.write_all(bytes).expect("there is room");
    };
    for entry in 0..entries {
        let directory = format!("usr/share/package{}", entry / 1000);
        let (kind, name) = match entry % 1000 {
            0 => (EntryType::Directory, format!("{directory}/")),
            number => (EntryType::Regular, format!("{directory}/file{number}")),
        };
        write(&Layer::new().raw_member(kind, name, |header| header.set_mode(0o755), b"").trailer(b"").tar());
    }
    write(&[0; 1024]);
    gzip.finish().expect("there is room").flush().expect("there is room");
    let diff_id: Digest = hasher.finish();
    PackedLayer::from_file(path, GZIP, diff_id)
}
