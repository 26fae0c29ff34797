//! Merges the indexes of layers into one tree.

use std::convert::Infallible;

use oci_fetcher_core::entry::{Entry, EntryKind, EntryPath, NamePolicy};
use oci_fetcher_core::layer::Op;
use oci_fetcher_core::limits::Limits;
use oci_fetcher_core::memory::{ContentStore, Extent, MemoryFs};
use oci_fetcher_core::tree::Selection;
use oci_fetcher_core::unpack::{Options, Outcome, Unpacker};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::error::Failure;
use crate::file_tree::FileTree;
use crate::json::{Object, texts};
use crate::layer::index::{IndexReader, Item};
use crate::number::size;

/// The merge rules over layers that were decoded in any order, applied in the order of `layer`.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Merge {
    unpacker: Unpacker<MemoryFs<Elsewhere>>,
    limits: Limits,
    names: NamePolicy,
    /// Bytes of all packs so far.
    packs: u64,
    /// The layers, where another pass may be needed.
    kept: Option<Vec<(Vec<u8>, u64)>>,
}

/// Content that lies in packs outside this module: the host reads it where extents say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Elsewhere;

#[wasm_bindgen]
impl Merge {
    /// Starts with an empty root. Options are JSON of `limits`, `paths` and `names`, all optional; paths
    /// select what the tree shows, and names tells what becomes of those that Windows cannot hold.
    #[wasm_bindgen(constructor)]
    pub fn new(options: &str) -> Result<Self, Failure> {
        let options = Object::parse("options", options)?;
        let limits = options.limits()?;
        let paths = texts(options.list("paths")?)?;
        let paths = paths.iter().map(|path| EntryPath::clean(path.as_bytes()));
        let selection = Selection::paths(paths.collect::<Result<Vec<_>, _>>()?);
        let kept = (!selection.is_everything()).then(Vec::new);
        let names = match options.text("names")? {
            None | Some("any") => NamePolicy::Any,
            Some("report") => NamePolicy::Report,
            Some("refuse") => NamePolicy::Refuse,
            Some(_) => return Err(Failure::usage("names are `any`, or to `report` or `refuse`".to_owned())),
        };
        Ok(Self { unpacker: unpacker(selection, &limits, names), limits, names, packs: 0, kept })
    }

    /// Applies the next layer, whose files' contents lie in a pack of `packLength` bytes.
    pub fn layer(&mut self, index: Vec<u8>, pack_length: f64) -> Result<(), Failure> {
        let pack_length = size(pack_length)?;
        apply(&mut self.unpacker, &index, pack_length, self.packs)?;
        self.packs += pack_length;
        if let Some(kept) = &mut self.kept {
            kept.push((index, pack_length));
        }
        Ok(())
    }

    /// Ends after the last layer.
    pub fn finish(self) -> Result<FileTree, Failure> {
        let Self { mut unpacker, limits, names, kept, .. } = self;
        loop {
            let selection = match unpacker.finish()? {
                Outcome::Complete(unpacked) => return Ok(FileTree::new(unpacked)),
                Outcome::NeedsAnotherPass { selection, .. } => selection,
            };
            unpacker = self::unpacker(selection, &limits, names);
            let mut packs = 0;
            for (index, pack_length) in kept.iter().flatten() {
                apply(&mut unpacker, index, *pack_length, packs)?;
                packs += pack_length;
            }
        }
    }
}

fn unpacker(selection: Selection, limits: &Limits, names: NamePolicy) -> Unpacker<MemoryFs<Elsewhere>> {
    Unpacker::new(MemoryFs::new(Elsewhere), Options { limits: limits.clone(), selection, names })
}

/// Applies a layer whose pack begins `base` bytes after the first one.
fn apply(
    unpacker: &mut Unpacker<MemoryFs<Elsewhere>>,
    index: &[u8],
    pack_length: u64,
    base: u64,
) -> Result<(), Failure> {
    let mut reader = IndexReader::open(index, pack_length)?;
    unpacker.begin_layer();
    while let Some(item) = reader.next()? {
        match item {
            Item::Entry(entry @ Entry { kind: EntryKind::File { size }, .. }, mut extents) => {
                unpacker.place_file(&entry, |fs, place| {
                    for extent in &mut extents {
                        *extent = Extent { stored_at: extent.stored_at + base, ..*extent };
                    }
                    fs.place_file(place, size, extents, &entry.metadata);
                    Ok(())
                })?;
            }
            Item::Entry(entry, _) => unpacker.op(Op::Entry(entry))?,
            Item::Skipped(skipped) => unpacker.op(Op::Skipped(skipped))?,
        }
    }
    Ok(())
}

/// Nothing is ever appended or read here: both would be a fault of this module.
impl ContentStore for Elsewhere {
    type Error = Infallible;

    fn append(&mut self, _bytes: &[u8]) -> Result<u64, Infallible> {
        unreachable!("content lies in packs outside")
    }

    fn read_at(&self, _offset: u64, _buffer: &mut [u8]) -> Result<(), Infallible> {
        unreachable!("content lies in packs outside")
    }
}
