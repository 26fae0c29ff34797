//! Stacks unpacked by the core alone, in memory.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use oci_fetcher_core::digest::{Algorithm, Digest};
use oci_fetcher_core::entry::Timestamp;
use oci_fetcher_core::fs::Special;
use oci_fetcher_core::layer::{LayerDecoder, LayerSpec, Op, Step};
use oci_fetcher_core::limits::Limits;
use oci_fetcher_core::memory::{Kind, MemoryFs, Stat};
use oci_fetcher_core::tar::{TarEvent, TarReader};
use oci_fetcher_core::unpack::{Options, Outcome, Unpacker};
use oci_fetcher_tests::compare::{Aspect, Tree};
use oci_fetcher_tests::image::Layer;

use super::plan::{Item, Stack};
use crate::random::Random;

/// A merge that goes on item by item.
pub(crate) struct Merge {
    unpacker: Unpacker<MemoryFs>,
    /// What was applied, a list for each layer: a refused item leaves its half behind, and all is
    /// done again without it.
    applied: Vec<Vec<Item>>,
}

impl Merge {
    pub(crate) fn new() -> Self {
        Self { unpacker: Unpacker::new(MemoryFs::default(), Options::default()), applied: Vec::new() }
    }

    pub(crate) fn begin_layer(&mut self) {
        self.unpacker.begin_layer();
        self.applied.push(Vec::new());
    }

    /// Returns what there is by now.
    pub(crate) fn fs(&self) -> &MemoryFs {
        self.unpacker.fs()
    }

    /// Applies an item, and tells whether that was possible.
    pub(crate) fn apply(&mut self, item: &Item) -> bool {
        if apply(&mut self.unpacker, item).is_ok() {
            self.applied.last_mut().expect("a layer was begun").push(item.clone());
            return true;
        }
        self.redo();
        false
    }

    /// Takes back the last item.
    pub(crate) fn undo(&mut self) {
        self.applied.last_mut().expect("a layer was begun").pop();
        self.redo();
    }

    fn redo(&mut self) {
        self.unpacker = Unpacker::new(MemoryFs::default(), Options::default());
        for layer in &self.applied {
            self.unpacker.begin_layer();
            for item in layer {
                apply(&mut self.unpacker, item).expect("it could be applied before");
            }
        }
    }
}

fn apply(unpacker: &mut Unpacker<MemoryFs>, item: &Item) -> Result<(), String> {
    let tar = item.add(Layer::new()).tar();
    let mut reader = TarReader::new(&Limits::default());
    let mut input = &tar[..];
    loop {
        let before = input;
        let op = match reader.step(&mut input).map_err(|error| error.to_string())? {
            TarEvent::NeedInput => return Ok(()),
            TarEvent::Entry(entry) => Op::Entry(entry),
            TarEvent::Data { offset, len } => Op::Data { offset, bytes: &before[..len] },
            TarEvent::FileEnd => Op::FileEnd,
            TarEvent::Skipped(skipped) => Op::Skipped(skipped),
        };
        unpacker.op(op).map_err(|error| error.to_string())?;
    }
}

/// Decodes the layers' blobs, in pieces of random sizes, and returns the merged tree.
pub(crate) fn unpack(stack: &Stack, random: &mut Random) -> Result<Tree, String> {
    let mut unpacker = Unpacker::new(MemoryFs::default(), Options::default());
    for layer in &stack.layers {
        let layer = layer.layer();
        let blob = layer.blob();
        let spec = LayerSpec {
            digest: Digest::of(Algorithm::Sha256, &blob),
            size: blob.len() as u64,
            diff_id: Digest::of(Algorithm::Sha256, &layer.tar()),
            media_type: String::new(),
            limits: Limits::default(),
        };
        let mut decoder = LayerDecoder::new(spec).map_err(|error| error.to_string())?;
        unpacker.begin_layer();
        let most = *random.pick(&[1, 100, 512, 5_000, 1 << 20]);
        let mut rest = &blob[..];
        loop {
            let (mut piece, after) = rest.split_at(rest.len().min(random.within(1, most)));
            let is_last = piece.is_empty();
            while let Step::Op(op) = decoder.step(&mut piece).map_err(|error| error.to_string())? {
                unpacker.op(op).map_err(|error| error.to_string())?;
            }
            if is_last {
                break;
            }
            rest = after;
        }
        decoder.finish().map_err(|error| error.to_string())?;
    }
    match unpacker.finish().map_err(|error| error.to_string())? {
        Outcome::Complete(unpacked) => Ok(tree(&unpacked.fs)),
        Outcome::NeedsAnotherPass { .. } => Err("all was selected, and yet another pass is needed".to_owned()),
    }
}

/// Describes a tree in memory as one on disk is described.
fn tree(fs: &MemoryFs) -> Tree {
    let mut tree = Tree::default();
    for walked in fs.walk() {
        let Stat { inode, kind, metadata, links } = walked.stat;
        let mut aspects = vec![
            (Aspect::Owner, format!("{}:{}", metadata.uid, metadata.gid)),
            (Aspect::Modified, {
                let Timestamp { seconds, nanoseconds } = metadata.mtime;
                format!("{seconds}.{nanoseconds:09}")
            }),
        ];
        if !matches!(kind, Kind::Symlink { .. }) {
            aspects.push((Aspect::Mode, format!("{:04o}", metadata.mode)));
        }
        let mut xattrs: Vec<_> = metadata.xattrs.iter().collect();
        xattrs.sort_by(|left, right| left.name.cmp(&right.name));
        let xattrs: Vec<String> =
            xattrs.iter().map(|at| format!("{}=\"{}\"", at.name.escape_ascii(), at.value.escape_ascii())).collect();
        if !xattrs.is_empty() {
            aspects.push((Aspect::Xattrs, xattrs.join(",")));
        }
        let kind = match kind {
            Kind::Directory => "directory",
            Kind::File(file) => {
                let content = fs.read(&walked.path).expect("memory never fails").expect("it is a file");
                aspects.push((Aspect::Size, file.size.to_string()));
                aspects.push((Aspect::Content, Digest::of(Algorithm::Sha256, &content).to_string()));
                "file"
            }
            Kind::Symlink { target } => {
                aspects.push((Aspect::Target, format!("\"{}\"", target.escape_ascii())));
                "symlink"
            }
            Kind::Special(Special::Fifo) => "fifo",
            Kind::Special(Special::CharacterDevice(number)) => {
                aspects.push((Aspect::Device, format!("{}:{}", number.major, number.minor)));
                "character-device"
            }
            Kind::Special(Special::BlockDevice(number)) => {
                aspects.push((Aspect::Device, format!("{}:{}", number.major, number.minor)));
                "block-device"
            }
        };
        aspects.push((Aspect::Kind, kind.to_owned()));
        let path = PathBuf::from(OsString::from_vec(walked.path.as_bytes().to_vec()));
        let file = (links > 1).then_some(u64::from(inode.0));
        tree.insert(path, aspects, file);
    }
    tree
}
