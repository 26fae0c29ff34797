//! Random stacks that can be unpacked, and that mean the same to everybody.
//!
//! What the specification leaves open is left out, so that every difference means something:
//! whiteouts may stand before or behind the entries of their layer, and the specification does not
//! say when they count. An item is kept only if it can be applied both ways and leads to the same
//! place both ways; and nothing on the way to a whiteout changes within its layer.

use std::collections::{BTreeMap, BTreeSet};

use oci_fetcher_core::memory::{Kind, MemoryFs};
use oci_fetcher_tests::image::Compression;

use super::memory::Merge;
use super::metadata;
use super::plan::{Item, PlannedLayer, Stack, What};
use super::way::{Way, clean, join, split};
use crate::random::Random;

/// A stack, with what others are known not to manage.
#[derive(Clone, Debug, Default)]
pub(crate) struct Planned {
    pub(crate) stack: Stack,
    /// Whether something is to be made where a dangling symlink leads.
    pub(crate) dangles: bool,
    /// An item that a further layer cannot hold.
    pub(crate) refused: Option<Item>,
}

/// Makes the stack of a seed.
pub(crate) fn planned(random: &mut Random) -> Planned {
    let mut names: Vec<&'static [u8]> = vec![b"a", b"b", b"c", b"d"];
    names.extend((0..random.within(1, 3)).map(|_| *random.pick(ODD_NAMES)));
    let mut generator = Generator {
        random,
        names,
        in_order: Merge::new(),
        marks_first: Merge::new(),
        fixed: BTreeSet::new(),
        attributed: BTreeMap::new(),
        planned: Planned::default(),
    };
    for _ in 0..generator.random.within(1, 5) {
        generator.layer();
    }
    generator.planned.refused = generator.refused();
    generator.planned
}

struct Generator<'r> {
    random: &'r mut Random,
    names: Vec<&'static [u8]>,
    /// What comes of the stack in the order of its entries.
    in_order: Merge,
    /// What comes of it if each layer's marks are applied before its other entries.
    marks_first: Merge,
    /// Places that the current layer may not give another type.
    fixed: BTreeSet<Vec<u8>>,
    /// Directories that the current layer has entries for, and whether one had attributes.
    attributed: BTreeMap<Vec<u8>, bool>,
    planned: Planned,
}

impl Generator<'_> {
    fn layer(&mut self) {
        self.in_order.begin_layer();
        self.marks_first.begin_layer();
        self.attributed.clear();
        let mut marks = self.marks();
        let mut items = Vec::new();
        let mut wanted = self.random.within(0, 14);
        while wanted + marks.len() > 0 {
            if self.random.below(wanted + marks.len()) >= wanted {
                let mark = marks.pop().expect("it was counted");
                if self.in_order.apply(&mark) {
                    items.push(mark);
                }
            } else {
                wanted -= 1;
                let item = self.item();
                if self.keep(&item) {
                    items.push(item);
                }
            }
        }
        let compression = self.random.pick(COMPRESSIONS).clone();
        self.planned.stack.layers.push(PlannedLayer { items, compression });
    }

    /// Looks for an item that has no place, in a layer of its own.
    fn refused(&mut self) -> Option<Item> {
        self.in_order.begin_layer();
        (0..8).find_map(|_| {
            let item = self.item();
            let is_refused = !self.in_order.apply(&item);
            if !is_refused {
                self.in_order.undo();
            }
            is_refused.then_some(item)
        })
    }

    /// Chooses whiteouts and opaque marks, applies them to what has them first, and fixes the ways
    /// that lead to them.
    fn marks(&mut self) -> Vec<Item> {
        let mut marks: Vec<(Item, Way)> = Vec::new();
        for _ in 0..self.random.below(5) {
            let (what, path) =
                if self.random.percent(30) { (What::Opaque, self.directory()) } else { (What::Whiteout, self.path()) };
            let directory = if what == What::Opaque { &path[..] } else { split(&path).0 };
            let Some(way) = Way::of(self.in_order.fs(), directory) else { continue };
            let name = split(&path).1;
            if what == What::Whiteout && (path.is_empty() || name.len() > 251 || name.starts_with(b".wh.")) {
                continue;
            }
            let metadata = metadata::random(self.random, &what);
            marks.push((Item { prefix: self.prefix(), path, what, metadata }, way));
        }
        // A mark that takes away what another one is reached by depends on which comes first.
        let links: Vec<Vec<u8>> = marks.iter().flat_map(|(_, way)| way.links.clone()).collect();
        marks.retain(|(mark, way)| {
            let hidden = if mark.what == What::Opaque { way.end.clone() } else { join(&way.end, split(&mark.path).1) };
            !links.iter().any(|link| is_at_or_below(link, &hidden))
        });
        marks.retain(|(mark, _)| self.marks_first.apply(mark));
        self.fixed = marks.iter().flat_map(|(_, way)| way.places.clone()).collect();
        marks.into_iter().map(|(mark, _)| mark).collect()
    }

    /// Applies an item if it has the same meaning whenever the layer's marks are applied.
    fn keep(&mut self, item: &Item) -> bool {
        let Some(place) = self.common_way(split(&item.path).0) else { return false };
        let here = if item.path.is_empty() { Vec::new() } else { join(&place.end, split(&item.path).1) };
        let is_link = |fs: &MemoryFs| matches!(fs.stat(&clean(&here)).map(|at| at.kind), Some(Kind::Symlink { .. }));
        let changes_type =
            item.what != What::Directory || is_link(self.in_order.fs()) || is_link(self.marks_first.fs());
        if self.fixed.contains(&here) && changes_type {
            return false;
        }
        // Through a link that leads up, a file would take away the way that it came.
        if changes_type && place.places.iter().any(|at| is_at_or_below(at, &here)) {
            return false;
        }
        if let What::HardLink(target) = &item.what
            && self.common_way(split(target).0).is_none()
        {
            return false;
        }
        if place.dangles && self.random.percent(85) {
            return false;
        }
        // A second entry for a directory replaces attributes, which others only add to.
        if item.what == What::Directory {
            let before = self.attributed.get(&here).copied();
            let has = !item.metadata.xattrs.is_empty();
            if before == Some(true) || (before.is_some() && has) {
                return false;
            }
            self.attributed.insert(here, has);
        }
        if !self.in_order.apply(item) {
            return false;
        }
        if !self.marks_first.apply(item) {
            self.in_order.undo();
            return false;
        }
        self.planned.dangles |= place.dangles;
        true
    }

    /// Returns the way to a directory, if it leads to the same place in both orders.
    fn common_way(&self, directory: &[u8]) -> Option<Way> {
        let way = Way::of(self.in_order.fs(), directory)?;
        let other = Way::of(self.marks_first.fs(), directory)?;
        (way.end == other.end).then_some(Way { dangles: way.dangles || other.dangles, ..way })
    }

    fn item(&mut self) -> Item {
        let what = match self.random.below(100) {
            0..30 => What::File(self.content()),
            30..50 => What::Directory,
            50..66 => What::Symlink(self.symlink_target()),
            66..82 => What::HardLink(self.hard_link_target()),
            82..87 => What::Fifo,
            87..90 => What::CharacterDevice(1, 3),
            90..92 => What::BlockDevice(7, 300),
            _ => {
                let offset = self.random.within(1, 200_000) as u64;
                let content = self.content();
                let end = offset + content.len() as u64;
                What::Sparse(end + self.random.below(100_000) as u64, offset, content)
            }
        };
        let is_root = what == What::Directory && self.random.percent(6);
        let path = if is_root { Vec::new() } else { self.path() };
        let metadata = metadata::random(self.random, &what);
        Item { prefix: self.prefix(), path, what, metadata }
    }

    /// Chooses a path, never the root: one that exists, one in a directory that exists, or a new one.
    fn path(&mut self) -> Vec<u8> {
        if self.random.percent(40)
            && let Some(path) = self.existing(|_| true)
        {
            return path;
        }
        let mut path = if self.random.percent(75) { self.directory() } else { Vec::new() };
        for _ in 0..*self.random.pick(&[1, 1, 1, 2, 3]) {
            path = join(&path, self.random.pick::<&[u8]>(&self.names));
        }
        path
    }

    /// Chooses a directory, or what may lead to one; the empty path is the root.
    fn directory(&mut self) -> Vec<u8> {
        self.existing(|kind| matches!(kind, Kind::Directory | Kind::Symlink { .. })).unwrap_or_default()
    }

    fn existing(&mut self, fits: impl Fn(Kind<'_>) -> bool) -> Option<Vec<u8>> {
        let all = self.in_order.fs().walk().filter(|at| !at.path.is_root() && fits(at.stat.kind));
        let paths: Vec<Vec<u8>> = all.map(|at| at.path.as_bytes().to_vec()).filter(|path| path.len() < 600).collect();
        if paths.is_empty() { None } else { Some(self.random.pick(&paths).clone()) }
    }

    fn prefix(&mut self) -> &'static str {
        self.random.pick::<&str>(&["", "", "", "./", "/"])
    }

    fn content(&mut self) -> Vec<u8> {
        let length = *self.random.pick(&[0, 1, 5, 511, 512, 513, 3_000, 70_000]);
        let mut content = self.random.bytes(length.min(2_000));
        content.resize(length, 0);
        content
    }

    fn symlink_target(&mut self) -> Vec<u8> {
        let path = self.path();
        match self.random.below(6) {
            0 => path,
            1 => [b"/", &path[..]].concat(),
            2 => split(&path).1.to_vec(),
            3 => [b"../", &path[..]].concat(),
            4 => [&path[..], b"/"].concat(),
            _ => self.random.pick(&[&b"."[..], b"..", b"/", b"nowhere", b"/no/where", b"a/../b", b"\xff\n "]).to_vec(),
        }
    }

    fn hard_link_target(&mut self) -> Vec<u8> {
        let target = self.existing(|kind| kind != Kind::Directory).unwrap_or_else(|| b"a".to_vec());
        [self.prefix().as_bytes(), &target].concat()
    }
}

fn is_at_or_below(path: &[u8], top: &[u8]) -> bool {
    path.strip_prefix(top).is_some_and(|rest| top.is_empty() || rest.is_empty() || rest.starts_with(b"/"))
}

const COMPRESSIONS: &[Compression] = &[
    Compression::Gzip,
    Compression::Gzip,
    Compression::GzipMembers(3),
    Compression::None,
    Compression::Zstd,
    Compression::ZstdFrames(2),
];

const ODD_NAMES: &[&[u8]] = &[
    b"sp ace",
    b" ",
    b"new\nline",
    "\u{fc}ml\u{e4}ut".as_bytes(),
    b"\xff\xfe",
    b".hid",
    b".whx",
    b"wh.a",
    b".wh",
    b"-rf",
    b"back\\slash",
    b"'quote\"",
    b"*",
    b"tab\t",
    b"\x1b[31m",
    b"...",
    b"NUL.",
    b"a=b",
    b"A",
    &[b'n'; 255],
    &[b'x'; 101],
];
