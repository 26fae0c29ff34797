//! Large and deep trees: quick, unless something is quadratic.

use super::*;
use crate::tree::NodeId;

/// Tells how often what is asked of it, and holds nothing.
#[derive(Debug, Default)]
struct Counting {
    created: u64,
    removed: u64,
    finished: Vec<NodeId>,
}

impl FileSystem for Counting {
    type File = ();
    type Error = std::convert::Infallible;

    fn create_directory(&mut self, _: &Place<'_>) -> Result<(), Self::Error> {
        self.created += 1;
        Ok(())
    }
    fn create_file(&mut self, _: &Place<'_>, _: u64) -> Result<(), Self::Error> {
        self.created += 1;
        Ok(())
    }
    fn write(&mut self, (): &mut (), _: u64, _: &[u8]) -> Result<(), Self::Error> {
        Ok(())
    }
    fn finish_file(&mut self, (): (), _: &Place<'_>, _: &Metadata) -> Result<(), Self::Error> {
        Ok(())
    }
    fn create_symlink(&mut self, _: &Place<'_>, _: &[u8], _: &Metadata) -> Result<crate::fs::Created, Self::Error> {
        self.created += 1;
        Ok(crate::fs::Created::Made)
    }
    fn create_hard_link(&mut self, _: &Place<'_>, _: &Place<'_>) -> Result<crate::fs::Created, Self::Error> {
        self.created += 1;
        Ok(crate::fs::Created::Made)
    }
    fn create_special(&mut self, _: &Place<'_>, _: Special, _: &Metadata) -> Result<crate::fs::Created, Self::Error> {
        self.created += 1;
        Ok(crate::fs::Created::Made)
    }
    fn remove(&mut self, _: &Place<'_>) -> Result<(), Self::Error> {
        self.removed += 1;
        Ok(())
    }
    fn remove_directory(&mut self, _: &Place<'_>) -> Result<(), Self::Error> {
        self.removed += 1;
        Ok(())
    }
    fn finish_directory(&mut self, at: &Place<'_>, _: &Metadata) -> Result<(), Self::Error> {
        self.finished.push(at.node());
        Ok(())
    }
}

fn counting(layers: impl IntoIterator<Item = Vec<String>>, limits: Limits) -> Unpacked<Counting> {
    let mut unpacker = Unpacker::new(Counting::default(), Options { limits, ..Options::default() });
    for layer in layers {
        unpacker.begin_layer();
        for line in layer {
            apply(&mut unpacker, &line).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }
    match unpacker.finish() {
        Ok(Outcome::Complete(unpacked)) => unpacked,
        Ok(Outcome::NeedsAnotherPass { .. }) | Err(_) => panic!("all is selected"),
    }
}

/// 50,000 marks on a directory of 50,000 files that the same layer wrote: scanning it for each would
/// take 2,500 million steps.
#[test]
fn repeated_marks_do_not_scan_again() {
    let lower = (0..50_000).map(|n| format!("f d/{n}")).collect();
    let upper = (0..50_000).flat_map(|n| [format!("f d/{}", 2 * n), "o d".to_owned(), "w d".to_owned()]).collect();
    let unpacked = counting([lower, upper], Limits::default());
    assert_eq!(unpacked.standing.files, 50_000);
    assert_eq!(unpacked.fs.created - unpacked.fs.removed + 1, 50_000 + 2);
}

/// Marks from the innermost directory outwards, each around all that the former cleared.
#[test]
fn nested_marks_do_not_scan_again() {
    let directory = |depth: usize| "d/".repeat(depth);
    let lower = (1..=1_000).flat_map(|depth| (0..20).map(move |n| format!("f {}{n}", directory(depth)))).collect();
    let mut upper: Vec<_> =
        (1..=1_000).flat_map(|depth| (0..20).map(move |n| format!("f {}x{n}", directory(depth)))).collect();
    upper.extend((1..=1_000).rev().map(|depth| format!("o {}", directory(depth))));
    upper.extend((1..=1_000).rev().map(|depth| format!("w {}", directory(depth))));
    let unpacked = counting([lower, upper], Limits::default());
    assert_eq!(unpacked.standing.files, 20_000);
    assert_eq!(unpacked.standing.directories, 1_001);
}

/// One whiteout for each of many files in one directory, in the least handy order.
#[test]
fn many_whiteouts_in_one_directory() {
    let lower = (0..100_000).map(|n| format!("f d/{n}")).collect();
    let upper = (0..100_000).rev().map(|n| format!("w d/{n}")).collect();
    let unpacked = counting([lower, upper], Limits::default());
    assert_eq!((unpacked.standing.files, unpacked.fs.removed), (0, 100_000));
}

/// 10,000 directories one in another: made, finished from the inside out, listed, removed, freed.
#[test]
fn a_tree_ten_thousand_deep() {
    let limits = Limits { path_depth: 20_000, ..Limits::default() };
    let deep = format!("f {}f x", "d/".repeat(10_000));
    let unpacked = counting([vec![deep.clone()]], limits.clone());
    assert_eq!(unpacked.fs.finished.len(), 10_001);
    assert_eq!(unpacked.fs.finished.last(), Some(&NodeId::ROOT));
    let mut depths = unpacked.fs.finished.iter().map(|&node| unpacked.tree.place(node).ancestors().count());
    assert!(depths.by_ref().take(9_999).is_sorted_by(|deeper, shallower| deeper > shallower), "children first");

    let options = Options { limits, ..Options::default() };
    let whole = unpack(MemoryFs::default, &[vec![deep.clone()]], &options).expect("unpacked");
    assert_eq!(whole.fs.walk().count(), 10_002);
    for removal in ["w d", "o d", "f d", "l d x", "o ."] {
        let layers = [vec![deep.clone()], vec![removal.to_owned()]];
        let left = unpack(MemoryFs::default, &layers, &options).expect("unpacked");
        assert!(left.fs.walk().count() <= 2, "{removal}");
    }
}

/// A short entry cannot cause much work: symlinks add a bounded number of components.
#[test]
fn symlinks_that_multiply_are_refused() {
    let mut lines: Vec<_> = (1..30).map(|n| format!("l {n} {}", format!("{}/", n - 1).repeat(8))).collect();
    lines.push("l 0 .".to_owned());
    lines.push("f 29/x".to_owned());
    assert_eq!(list(&[lines], &Options::default()), ["!too-many-symlinks"]);

    let three = |turns: usize| {
        let wound = |name, on| format!("l {name} {}{on}", "d/../".repeat(turns));
        vec!["d d".to_owned(), wound("a", "b"), wound("b", "c"), wound("c", "d"), "f a/x".to_owned()]
    };
    assert_eq!(list(&[three(300)], &Options::default()).len(), 5, "1,803 components");
    assert_eq!(list(&[three(400)], &Options::default()), ["!too-many-symlinks"], "2,403 components");
}

/// A chain of hard links, each to the last, of which only the last is selected.
#[test]
fn long_chains_of_hard_links_under_a_selection() {
    let mut lines = vec!["f t/0 x".to_owned()];
    lines.extend((1..20_000).map(|n| format!("h t/{n} t/{}", n - 1)));
    lines.extend((1..20_000).map(|n| format!("h a/{n} t/{n}")));
    let selection = Selection::paths([clean("a")]);
    let listed = list(&[lines], &Options { selection, ..Options::default() });
    assert_eq!(listed.len(), 20_000);
    assert_eq!(listed[..3], ["d a", "f a/1 x", "h a/10 a/1"]);
}

/// The budget is 200 bytes for a typical entry, its name included.
#[test]
fn entries_are_small() {
    let lines = (0..20_000).map(|n| format!("f usr/share/doc/package-{}/changelog-{n}.gz", n / 10)).collect();
    let unpacked = counting([lines], Limits::default());
    let each = unpacked.tree.held_bytes() / 22_000;
    assert!((100..200).contains(&each), "{each} bytes an entry");
}
