//! Parts of trees.

use super::*;
use crate::fs::Created;

struct Case {
    name: &'static str,
    selected: &'static [&'static str],
    layers: &'static [&'static [&'static str]],
    expected: &'static [&'static str],
}

#[test]
fn selections_come_to_their_listings() {
    for Case { name, selected, layers: given, expected } in CASES {
        let selection = Selection::paths(selected.iter().map(|path| clean(path)));
        assert_eq!(list(&layers(given), &Options { selection, ..Options::default() }), *expected, "{name}");
    }
}

const CASES: &[Case] = &[
    Case {
        name: "full paths are kept, with the metadata of their parents",
        selected: &["a/b"],
        layers: &[&["d a 700", "d a/b 711", "f a/b/c 1", "f a/d 2", "f e 3", "d a/f"]],
        expected: &["d a 700", "d a/b 711", "f a/b/c 1"],
    },
    Case {
        name: "several paths, one within another",
        selected: &["a/b", "a", "c/d"],
        layers: &[&["f a/b", "f a/x", "f c/d", "f c/y"]],
        expected: &["d a", "f a/b", "f a/x", "d c", "f c/d"],
    },
    Case { name: "none selects all", selected: &[], layers: &[&["f a"]], expected: &["f a"] },
    Case { name: "the root selects all", selected: &["."], layers: &[&["f a"]], expected: &["f a"] },
    Case { name: "missing", selected: &["a/b"], layers: &[&["d a"]], expected: &["!path-not-found"] },
    Case { name: "under a file", selected: &["a/b"], layers: &[&["f a"]], expected: &["!path-not-found"] },
    Case { name: "hidden later", selected: &["a"], layers: &[&["f a"], &["w a"]], expected: &["!path-not-found"] },
    Case { name: "one of two is missing", selected: &["a", "b"], layers: &[&["f a"]], expected: &["!path-not-found"] },
    Case {
        name: "later layers change what is selected and what is not",
        selected: &["a"],
        layers: &[&["f a/x", "f b/y", "d c"], &["o a", "w b", "f c", "f a/z 1"], &["d c", "l b a"]],
        expected: &["d a", "f a/z 1"],
    },
    Case {
        name: "a symlink on the way is kept with what it leads to",
        selected: &["bin/sh"],
        layers: &[&["l bin usr/bin", "f usr/bin/sh 1", "f usr/bin/ls 2"]],
        expected: &["l bin usr/bin", "d usr", "d usr/bin", "f usr/bin/sh 1"],
    },
    Case {
        name: "so is a last symlink, and a chain",
        selected: &["x/b"],
        layers: &[&["l x /y", "l y z", "l z/b ../w/c", "f w/c 1", "f z/d 2", "f w/e 3"]],
        expected: &["d w", "f w/c 1", "l x /y", "l y z", "d z", "l z/b ../w/c"],
    },
    Case {
        name: "a symlink to a directory brings the directory",
        selected: &["l", "d/e/f"],
        layers: &[&["l l d", "f d/e/f 1", "f d/g 2"]],
        expected: &["d d", "d d/e", "f d/e/f 1", "f d/g 2", "l l d"],
    },
    Case {
        name: "a last symlink that dangles is kept as it is",
        selected: &["l", "m", "n"],
        layers: &[&["l l nowhere", "l m m", "f f", "l n f/x"]],
        expected: &["l l nowhere", "l m m", "l n f/x"],
    },
    Case {
        name: "through a loop",
        selected: &["l/x"],
        layers: &[&["l l m", "l m l"]],
        expected: &["!too-many-symlinks"],
    },
    Case {
        name: "a symlink under a selected directory is not followed",
        selected: &["a"],
        layers: &[&["l a/l ../b", "f b"]],
        expected: &["d a", "l a/l ../b"],
    },
    Case {
        name: "a hard link to what is outside becomes a file",
        selected: &["a"],
        layers: &[&["f t/f 1", "h a/l t/f"]],
        expected: &["d a", "f a/l 1"],
    },
    Case {
        name: "two such links stay one file",
        selected: &["a"],
        layers: &[&["f t/f 1", "h a/l t/f"], &["h a/m t/f"]],
        expected: &["d a", "f a/l 1", "h a/m a/l"],
    },
    Case {
        name: "a link to what is selected stays a link, one from outside has no effect",
        selected: &["a"],
        layers: &[&["f a/f 1", "h a/l a/f", "h b a/f"]],
        expected: &["d a", "f a/f 1", "h a/l a/f"],
    },
    Case {
        name: "a chain of links outside, whose members go",
        selected: &["a"],
        layers: &[&["f t/1 1", "h t/2 t/1"], &["w t/1", "h t/3 t/2"], &["f t/2 2", "h a t/3"], &["w t"]],
        expected: &["f a 1"],
    },
    Case {
        name: "a link from inside to inside by way of the outside",
        selected: &["a", "b"],
        layers: &[&["f a 1", "h t a", "h b t"]],
        expected: &["f a 1", "h b a"],
    },
    Case {
        name: "a link that is replaced needs nothing",
        selected: &["a"],
        layers: &[&["f t 1", "h a t"], &["f a 2"]],
        expected: &["f a 2"],
    },
    Case {
        name: "what was needed is gone although it changed meanwhile",
        selected: &["a"],
        layers: &[&["f t/f 1", "h a t/f"], &["d t/f 700", "f t/f/x", "f t/g"], &["w t/f", "l t/f g"]],
        expected: &["f a 1"],
    },
    Case {
        name: "a link in what a symlink leads to, to what is outside",
        selected: &["l"],
        layers: &[&["f t 1", "h d/f t", "l l d"]],
        expected: &["d d", "f d/f 1", "l l d"],
    },
    Case {
        name: "a hard link to a symlink outside",
        selected: &["a"],
        layers: &[&["l t/l x", "h a/l t/l"]],
        expected: &["d a", "l a/l x"],
    },
    Case {
        name: "a hard-linked symlink on the way",
        selected: &["a/f"],
        layers: &[&["l t/l /d", "h a t/l", "f d/f 1"]],
        expected: &["l a /d", "d d", "f d/f 1"],
    },
    Case {
        name: "a needed file beside a selected path",
        selected: &["d/a"],
        layers: &[&["f d/t 1", "h d/a d/t"]],
        expected: &["d d", "f d/a 1"],
    },
    Case {
        name: "a needed file where a selected path passes later",
        selected: &["d/a"],
        layers: &[&["f d 1", "h e d"], &["d d", "h d/a e"]],
        expected: &["d d", "f d/a 1"],
    },
];

#[test]
fn only_what_is_selected_is_reported() {
    let selection = Selection::paths([clean("bin")]);
    let mut unpacker = Unpacker::new(MemoryFs::default(), Options { selection, ..Options::default() });
    unpacker.begin_layer();
    apply(&mut unpacker, "f bin/sh").expect("a file");
    apply(&mut unpacker, "l s bin").expect("a symlink");
    for path in ["bin", "bin/sh", "bin/new/x", "s/sh", "s", "etc", "bin.d", "."] {
        let skipped = Skipped { path: clean(path), what: What::Device, reason: Reason::Policy };
        unpacker.op(Op::Skipped(skipped)).expect("within limits");
    }
    let Ok(Outcome::Complete(unpacked)) = unpacker.finish() else { panic!("one pass will do") };
    let reported: Vec<_> = unpacked.report.skipped.iter().map(|skipped| skipped.path.to_string()).collect();
    assert_eq!(reported, ["/bin", "/bin/sh", "/bin/new/x", "/s/sh"]);
}

/// A file system without devices and FIFOs, as an unprivileged one is.
#[derive(Default)]
struct Unprivileged(MemoryFs);

impl FileSystem for Unprivileged {
    type File = <MemoryFs as FileSystem>::File;
    type Error = <MemoryFs as FileSystem>::Error;

    fn create_special(&mut self, _: &Place<'_>, _: Special, _: &Metadata) -> Result<Created, Self::Error> {
        Ok(Created::Skipped)
    }
    fn create_directory(&mut self, at: &Place<'_>) -> Result<(), Self::Error> {
        self.0.create_directory(at)
    }
    fn create_file(&mut self, at: &Place<'_>, size: u64) -> Result<Self::File, Self::Error> {
        self.0.create_file(at, size)
    }
    fn write(&mut self, file: &mut Self::File, offset: u64, bytes: &[u8]) -> Result<(), Self::Error> {
        self.0.write(file, offset, bytes)
    }
    fn finish_file(&mut self, file: Self::File, at: &Place<'_>, metadata: &Metadata) -> Result<(), Self::Error> {
        self.0.finish_file(file, at, metadata)
    }
    fn create_symlink(&mut self, at: &Place<'_>, target: &[u8], metadata: &Metadata) -> Result<Created, Self::Error> {
        self.0.create_symlink(at, target, metadata)
    }
    fn create_hard_link(&mut self, at: &Place<'_>, existing: &Place<'_>) -> Result<Created, Self::Error> {
        self.0.create_hard_link(at, existing)
    }
    fn remove(&mut self, at: &Place<'_>) -> Result<(), Self::Error> {
        self.0.remove(at)
    }
    fn remove_directory(&mut self, at: &Place<'_>) -> Result<(), Self::Error> {
        self.0.remove_directory(at)
    }
    fn finish_directory(&mut self, at: &Place<'_>, metadata: &Metadata) -> Result<(), Self::Error> {
        self.0.finish_directory(at, metadata)
    }
}

#[test]
fn what_the_file_system_skips_is_never_removed_or_linked() {
    let given =
        layers(&[&["c dev/null", "h dev/zero dev/null", "p d/p", "f a"], &["h b dev/zero", "w dev", "f d 1", "h c a"]]);
    let unpacked = unpack(Unprivileged::default, &given, &Options::default()).expect("unpacked");
    assert_eq!(listing(&unpacked.fs.0), ["f a", "h c a", "f d 1"]);
    let reported: Vec<_> =
        unpacked.report.skipped.iter().map(|item| (item.path.to_string(), item.what.name())).collect();
    assert_eq!(reported, [("/dev/zero".to_owned(), "hard-link"), ("/b".to_owned(), "hard-link")]);
    assert_eq!((unpacked.standing.specials, unpacked.standing.hard_links), (0, 1));

    let selection = Selection::paths([clean("b"), clean("d")]);
    let unpacked =
        unpack(Unprivileged::default, &given, &Options { selection, ..Options::default() }).expect("unpacked");
    assert_eq!(listing(&unpacked.fs.0), ["f d 1"]);
    let reported: Vec<_> = unpacked.report.skipped.iter().map(|item| item.path.to_string()).collect();
    assert_eq!(reported, ["/b"], "the link that was selected, not the one it was made from");
}
