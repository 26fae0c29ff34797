//! A stack of layers as a list of items, for all that unpack it and for people.

use std::fmt;

use oci_fetcher_tests::image::{Compression, Layer};

/// Layers, the lowest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stack {
    pub(crate) layers: Vec<PlannedLayer>,
}

#[derive(Clone, Debug)]
pub(crate) struct PlannedLayer {
    pub(crate) items: Vec<Item>,
    pub(crate) compression: Compression,
}

/// One entry of a layer.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// As in the archive: what stands before `path`, `./` for instance.
    pub(crate) prefix: &'static str,
    /// From the root; for a whiteout what it hides, for an opaque mark the directory.
    pub(crate) path: Vec<u8>,
    pub(crate) what: What,
    pub(crate) metadata: Metadata,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Directory,
    File(Vec<u8>),
    /// A file of this size that is zeros but for these bytes at this offset.
    Sparse(u64, u64, Vec<u8>),
    Symlink(Vec<u8>),
    /// The target as in the archive.
    HardLink(Vec<u8>),
    Fifo,
    CharacterDevice(u32, u32),
    BlockDevice(u32, u32),
    Whiteout,
    Opaque,
}

#[derive(Clone, Debug)]
pub(crate) struct Metadata {
    pub(crate) mode: u32,
    pub(crate) owner: (u64, u64),
    pub(crate) modified: (i64, u32),
    pub(crate) xattrs: Vec<(&'static str, Vec<u8>)>,
}

impl Item {
    /// Tells whether it hides instead of adding.
    pub(crate) fn is_mark(&self) -> bool {
        matches!(self.what, What::Whiteout | What::Opaque)
    }

    /// Adds it to a layer.
    pub(crate) fn add(&self, layer: Layer) -> Layer {
        let name = [self.prefix.as_bytes(), &self.path].concat();
        let layer = match &self.what {
            What::Directory => layer.directory(if name.is_empty() { b"./".to_vec() } else { name }, 0),
            What::File(content) => layer.file(name, content),
            What::Sparse(size, offset, content) => sparse(layer, &name, *size, *offset, content),
            What::Symlink(target) => layer.symlink(name, target),
            What::HardLink(target) => return layer.hard_link(name, target),
            What::Fifo => layer.fifo(name),
            What::CharacterDevice(major, minor) => layer.character_device(name, *major, *minor),
            What::BlockDevice(major, minor) => layer.block_device(name, *major, *minor),
            What::Whiteout => return layer.whiteout(name),
            What::Opaque => return layer.opaque(name),
        };
        let Metadata { mode, owner: (uid, gid), modified: (seconds, nanoseconds), xattrs } = &self.metadata;
        let layer = layer.mode(*mode).owner(*uid, *gid).modified(*seconds, *nanoseconds);
        xattrs.iter().fold(layer, |layer, (name, value)| layer.xattr(name, value))
    }
}

/// Format 1.0, as GNU tar writes it: the map stands before the content.
fn sparse(layer: Layer, name: &[u8], size: u64, offset: u64, content: &[u8]) -> Layer {
    // A hole at the end is an extent of nothing.
    let mut payload = format!("2\n{offset}\n{}\n{size}\n0\n", content.len()).into_bytes();
    payload.resize(512, 0);
    payload.extend_from_slice(content);
    layer
        .file(b"GNUSparseFile.0/sparse", payload)
        .pax("GNU.sparse.major", "1")
        .pax("GNU.sparse.minor", "0")
        .pax("GNU.sparse.name", name)
        .pax("GNU.sparse.realsize", size.to_string())
}

impl PlannedLayer {
    /// Builds what the program gets to see.
    pub(crate) fn layer(&self) -> Layer {
        self.items.iter().fold(Layer::new(), |layer, item| item.add(layer)).compress(self.compression.clone())
    }
}

impl Stack {
    pub(crate) fn items(&self) -> impl Iterator<Item = &Item> {
        self.layers.iter().flat_map(|layer| &layer.items)
    }

    /// Returns the stack without one of its items, counted through all layers.
    pub(crate) fn without(&self, index: usize) -> Self {
        let mut stack = self.clone();
        let mut index = index;
        for layer in &mut stack.layers {
            if index < layer.items.len() {
                layer.items.remove(index);
                break;
            }
            index -= layer.items.len();
        }
        stack
    }
}

/// A line an item.
impl fmt::Display for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, layer) in self.layers.iter().enumerate() {
            writeln!(f, "layer {} ({:?})", number + 1, layer.compression)?;
            layer.items.iter().try_for_each(|item| writeln!(f, "  {item}"))?;
        }
        Ok(())
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.what {
            What::Directory => "directory",
            What::File(_) => "file",
            What::Sparse(..) => "sparse",
            What::Symlink(_) => "symlink",
            What::HardLink(_) => "hard-link",
            What::Fifo => "fifo",
            What::CharacterDevice(..) => "character-device",
            What::BlockDevice(..) => "block-device",
            What::Whiteout => "whiteout of",
            What::Opaque => "opaque",
        };
        write!(f, "{word} \"{}{}\"", self.prefix, self.path.escape_ascii())?;
        match &self.what {
            What::File(content) => write!(f, " {} bytes", content.len())?,
            What::Sparse(size, offset, content) => write!(f, " {size} bytes, {} of them at {offset}", content.len())?,
            What::Symlink(target) | What::HardLink(target) => write!(f, " -> \"{}\"", target.escape_ascii())?,
            What::CharacterDevice(major, minor) | What::BlockDevice(major, minor) => write!(f, " {major}:{minor}")?,
            What::Directory | What::Fifo | What::Whiteout | What::Opaque => {}
        }
        if self.is_mark() || matches!(self.what, What::HardLink(_)) {
            return Ok(());
        }
        let Metadata { mode, owner: (uid, gid), modified: (seconds, nanoseconds), xattrs } = &self.metadata;
        write!(f, " {mode:04o} {uid}:{gid} {seconds}+{nanoseconds}ns")?;
        xattrs.iter().try_for_each(|(name, value)| write!(f, " {name}=\"{}\"", value.escape_ascii()))
    }
}
