//! The merged tree, to be read: every path, but no content, which lies in packs outside.

use std::cell::OnceCell;

use oci_fetcher_core::entry::EntryPath;
use oci_fetcher_core::fs::Special;
use oci_fetcher_core::memory::{FirstNames, InodeId, Kind, MemoryFs, Stat, Walked};
use oci_fetcher_core::report::What;
use oci_fetcher_core::tar::write;
use oci_fetcher_core::tree::LastSymlink;
use oci_fetcher_core::unpack::Unpacked;
use serde::Serialize;
use std::collections::BTreeMap;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::error::Failure;
use crate::merge::Elsewhere;
use crate::number::number;
use crate::{json, record};

/// The merged tree of an image.
#[wasm_bindgen]
#[derive(Debug)]
pub struct FileTree {
    unpacked: Unpacked<MemoryFs<Elsewhere>>,
    /// Found when first needed: it takes a walk.
    firsts: OnceCell<FirstNames>,
}

#[wasm_bindgen]
impl FileTree {
    /// Returns a record of what stands at a path, if anything does. Symlinks are followed inside the
    /// root; one at the end only if `follow` is set.
    pub fn stat(&self, path: &[u8], follow: bool) -> Result<Option<Vec<u8>>, Failure> {
        let last = if follow { LastSymlink::Follow } else { LastSymlink::Keep };
        let Some((path, stat)) = self.find(path, last)? else { return Ok(None) };
        let mut out = Vec::new();
        record::write(path.as_bytes(), &stat, self.first(&path, &stat), &mut out)?;
        Ok(Some(out))
    }

    /// Returns records of the names in a directory, in byte order; nothing if no directory stands
    /// at the path. Symlinks are followed.
    pub fn readdir(&self, path: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        let Some((directory, stat)) = self.find(path, LastSymlink::Follow)? else { return Ok(None) };
        let Some(names) = self.unpacked.fs.read_dir_inode(stat.inode) else { return Ok(None) };
        let mut out = Vec::new();
        for (name, stat) in names {
            let path = || EntryPath::clean(&[directory.as_bytes(), name].join(&b'/'));
            let first = if stat.links > 1 { self.first(&path()?, &stat) } else { None };
            record::write(name, &stat, first, &mut out)?;
        }
        Ok(Some(out))
    }

    /// Returns up to `max` records in byte order of full paths, the root first, after a path; nothing
    /// at the end.
    pub fn walk(&self, after: Option<Vec<u8>>, max: u32) -> Result<Vec<u8>, Failure> {
        let after = after.map(|after| parse(&after)).transpose()?;
        let mut out = Vec::new();
        let walk = self.unpacked.fs.walk_after(after.as_ref(), self.firsts());
        for Walked { path, stat, hard_link_to } in walk.take(usize::try_from(max).unwrap_or(usize::MAX)) {
            record::write(path.as_bytes(), &stat, hard_link_to.as_ref(), &mut out)?;
        }
        Ok(out)
    }

    /// Returns where a file's content lies, three numbers for each run: the offset in the file, the
    /// offset in all packs end to end, the length. What lies between runs are holes.
    pub fn extents(&self, node: u32) -> Result<Vec<f64>, Failure> {
        let Some(Stat { kind: Kind::File(content), .. }) = self.unpacked.fs.stat_inode(InodeId(node)) else {
            return Err(Failure::misuse("the node is no file"));
        };
        let mut numbers = Vec::with_capacity(3 * content.extents.len());
        for extent in content.extents {
            for value in [extent.offset, extent.stored_at, extent.length] {
                numbers.push(number(value)?);
            }
        }
        Ok(numbers)
    }

    /// Returns an entry's header in the flattened tar; nothing is followed.
    #[wasm_bindgen(js_name = tarHeader)]
    pub fn tar_header(&self, path: &[u8]) -> Result<Vec<u8>, Failure> {
        let path = parse(path)?;
        let stat = self.unpacked.fs.stat(&path).ok_or_else(|| Failure::misuse("nothing stands at the path"))?;
        let walked = Walked { hard_link_to: self.first(&path, &stat).cloned(), path, stat };
        let mut out = Vec::new();
        write::header(&walked.path, &walked.entry_kind(), walked.stat.metadata, &mut out);
        Ok(out)
    }

    /// Returns the end of the flattened tar.
    #[wasm_bindgen(js_name = tarTrailer)]
    #[must_use]
    pub fn tar_trailer(&self) -> Vec<u8> {
        let mut out = Vec::new();
        write::trailer(&mut out);
        out
    }

    /// Returns what the tree holds, as JSON numbers by kind.
    #[must_use]
    pub fn counts(&self) -> String {
        let standing = &self.unpacked.standing;
        let fifos =
            self.unpacked.fs.walk().filter(|walked| {
                walked.hard_link_to.is_none() && matches!(walked.stat.kind, Kind::Special(Special::Fifo))
            });
        let fifos = fifos.count() as u64;
        json::text(&Counts {
            directories: standing.directories,
            files: standing.files,
            symlinks: standing.symlinks,
            hard_links: standing.hard_links,
            specials: standing.specials,
            fifos,
            devices: standing.specials.saturating_sub(fifos),
            entries: self.unpacked.entries,
            bytes: self.unpacked.bytes,
        })
    }

    /// Returns what was left out, as JSON of `counts` and `skipped`; each character of a path is a byte.
    #[must_use]
    pub fn report(&self) -> String {
        let report = &self.unpacked.report;
        let skipped = report.skipped.iter().map(|skipped| SkippedJson {
            // A letter for each byte: JSON holds no others, and paths are to read as everywhere else.
            path: skipped.path.as_bytes().iter().copied().map(char::from).collect(),
            what: skipped.what.name(),
            reason: skipped.reason.name(),
            name: if let What::Xattr { name } = &skipped.what {
                Some(String::from_utf8_lossy(name).into_owned())
            } else {
                None
            },
        });
        json::text(&ReportJson { counts: report.counts(), skipped: skipped.collect() })
    }
}

impl FileTree {
    pub(crate) fn new(unpacked: Unpacked<MemoryFs<Elsewhere>>) -> Self {
        Self { unpacked, firsts: OnceCell::new() }
    }

    fn find(&self, path: &[u8], last: LastSymlink) -> Result<Option<(EntryPath, Stat<'_>)>, Failure> {
        let Unpacked { tree, fs, .. } = &self.unpacked;
        let Some(node) = tree.find(&parse(path)?, last)? else { return Ok(None) };
        // Outside a selection, the tree knows more than is shown.
        Ok(fs.stat_node(node).map(|stat| (tree.place(node).path(), stat)))
    }

    fn first(&self, path: &EntryPath, stat: &Stat<'_>) -> Option<&EntryPath> {
        if stat.links > 1 { self.firsts().before(path, stat.inode) } else { None }
    }

    fn firsts(&self) -> &FirstNames {
        self.firsts.get_or_init(|| self.unpacked.fs.first_names())
    }
}

/// Reads a path from the root; an empty one is the root.
fn parse(path: &[u8]) -> Result<EntryPath, Failure> {
    if path.is_empty() { Ok(EntryPath::root()) } else { Ok(EntryPath::clean(path)?) }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    directories: u64,
    files: u64,
    symlinks: u64,
    hard_links: u64,
    specials: u64,
    fifos: u64,
    devices: u64,
    entries: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct ReportJson {
    counts: BTreeMap<&'static str, u64>,
    skipped: Vec<SkippedJson>,
}

#[derive(Serialize)]
struct SkippedJson {
    /// With a slash before it; bytes that are not UTF-8 are escaped.
    path: String,
    what: &'static str,
    reason: &'static str,
    /// An extended attribute's.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}
