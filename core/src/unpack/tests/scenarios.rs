//! The merge rules, case by case.

use super::*;

#[test]
fn layers_come_to_their_listings() {
    for Case { name, layers: given, expected } in CASES {
        assert_eq!(list(&layers(given), &Options::default()), *expected, "{name}");
    }
}

/// What layers come to.
struct Case {
    name: &'static str,
    layers: &'static [&'static [&'static str]],
    expected: &'static [&'static str],
}

/// Whiteouts and opaque marks mean the same wherever they stand among a layer's entries.
#[test]
fn whiteouts_mean_the_same_in_any_order() {
    let lower: &[&str] =
        &["d d 700", "d d/s 711", "f d/s/old", "f d/old", "f a old", "l k d/old", "d e 700", "f e/x", "d e/y"];
    let upper = ["f d/s/new 1", "o d", "f a new", "w a", "w k", "w e", "f e/z 2"];
    let expected = ["f a new", "d d 700", "d d/s", "f d/s/new 1", "d e", "f e/z 2"];
    let mut orders = vec![upper.to_vec()];
    for at in 0..upper.len() {
        for to in 0..upper.len() {
            let mut order = upper.to_vec();
            let line = order.remove(at);
            order.insert(to, line);
            orders.push(order.clone());
            order.reverse();
            orders.push(order);
        }
    }
    for order in orders {
        assert_eq!(list(&layers(&[lower, &order]), &Options::default()), expected, "{order:?}");
    }
}

const CASES: &[Case] = &[
    // Names and places.
    Case { name: "2: an absolute name counts from the root", layers: &[&["f /e 1"]], expected: &["f e 1"] },
    Case {
        name: "parents that no entry names are implied",
        layers: &[&["f a/b/c 1", "d a 700"]],
        expected: &["d a 700", "d a/b", "f a/b/c 1"],
    },
    Case { name: "`.` sets the root's metadata", layers: &[&["d . 711"], &["f a"]], expected: &["d . 711", "f a"] },
    Case { name: "14: the root as a file", layers: &[&["f ."]], expected: &["!root-replaced"] },
    Case { name: "14: the root as a symlink", layers: &[&["l . /t"]], expected: &["!root-replaced"] },
    Case { name: "14: the root as a hard link", layers: &[&["f a", "h . a"]], expected: &["!root-replaced"] },
    Case { name: "14: the root as a FIFO", layers: &[&["p ."]], expected: &["!root-replaced"] },
    Case { name: "14: the root hidden", layers: &[&["w ."]], expected: &["!root-replaced"] },
    // Symlinks on the way.
    Case {
        name: "4: a write through a symlink stays inside",
        layers: &[&["l l ../../../etc", "f l/g 1"]],
        expected: &["d etc", "f etc/g 1", "l l ../../../etc"],
    },
    Case {
        name: "5: a chain of symlinks stays inside",
        layers: &[&["d a/b", "l a/b/c ..", "l a/b/d c/..", "l a/b/e d/../..", "f a/b/e/x 1"]],
        expected: &["d a", "d a/b", "l a/b/c ..", "l a/b/d c/..", "l a/b/e d/../..", "f x 1"],
    },
    Case {
        name: "6: across layers, an absolute target counts from the root",
        layers: &[&["l l /t"], &["f l/g 1"]],
        expected: &["l l /t", "d t", "f t/g 1"],
    },
    Case {
        name: "6: so it does from within a directory",
        layers: &[&["l a/l /t/u", "f a/l/g 1"]],
        expected: &["d a", "l a/l /t/u", "d t", "d t/u", "f t/u/g 1"],
    },
    Case {
        name: "6: a file and a directory replace a symlink",
        layers: &[&["d t", "l a t", "l b t"], &["f a 1", "d b 700"]],
        expected: &["f a 1", "d b 700", "d t"],
    },
    Case {
        name: "7: a directory made through a symlink",
        layers: &[&["d r/s", "l l r/s/../q", "d l/m 700"]],
        expected: &["l l r/s/../q", "d r", "d r/q", "d r/q/m 700", "d r/s"],
    },
    Case {
        name: "22: a dangling link's missing parts are made, but not those it takes back",
        layers: &[&["l d/l x/../y/z", "f d/l/f"]],
        expected: &["d d", "l d/l x/../y/z", "d d/y", "d d/y/z", "f d/y/z/f"],
    },
    Case {
        name: "8: a directory's metadata is never set through a symlink",
        layers: &[&["d t 700", "l l t", "d l 777"]],
        expected: &["d l 777", "d t 700"],
    },
    Case {
        name: "9: metadata goes with its directory",
        layers: &[&["d d 777", "d v 700", "l d v"]],
        expected: &["l d v", "d v 700"],
    },
    Case {
        name: "15: a directory that became a symlink is no longer a directory",
        layers: &[&["d v", "d d", "f d/x", "l d v", "f d/y 1"]],
        expected: &["l d v", "d v", "f v/y 1"],
    },
    Case { name: "22: the parent is a file", layers: &[&["f a"], &["f a/b"]], expected: &["!parent-not-directory"] },
    Case { name: "22: the parent is a FIFO", layers: &[&["p a", "d a/b"]], expected: &["!parent-not-directory"] },
    Case {
        name: "22: `..` after a file",
        layers: &[&["f a", "l l a/..", "f l/b"]],
        expected: &["!parent-not-directory"],
    },
    Case { name: "22: a loop", layers: &[&["l a b", "l b a", "f a/x"]], expected: &["!too-many-symlinks"] },
    Case { name: "22: a link to itself", layers: &[&["l a a", "w a/x"]], expected: &["!too-many-symlinks"] },
    // Hard links.
    Case {
        name: "10: to a lower layer, absolute and plain",
        layers: &[&["f d/a 1"], &["h b /d/a", "h c ./d/a"]],
        expected: &["f b 1", "h c b", "d d", "h d/a b"],
    },
    Case {
        name: "10: a target's parents are resolved, the target is not followed",
        layers: &[&["f d/a 1", "l d/l a", "l s d", "h h s/l"]],
        expected: &["d d", "f d/a 1", "l d/l a", "h h d/l", "l s d"],
    },
    Case { name: "10: forward", layers: &[&["h a b", "f b"]], expected: &["!hard-link-to-missing"] },
    Case { name: "10: to itself, missing", layers: &[&["h a a"]], expected: &["!hard-link-to-itself"] },
    Case { name: "10: to itself", layers: &[&["f a"], &["h a a"]], expected: &["!hard-link-to-itself"] },
    Case {
        name: "10: to itself, by a symlink",
        layers: &[&["f d/a", "l s d", "h s/a d/a"]],
        expected: &["!hard-link-to-itself"],
    },
    Case { name: "10: to a directory", layers: &[&["d a", "h b a"]], expected: &["!hard-link-to-directory"] },
    Case { name: "10: to the root", layers: &[&["h b ."]], expected: &["!hard-link-to-directory"] },
    Case { name: "10: into a file", layers: &[&["f a", "h b a/c"]], expected: &["!parent-not-directory"] },
    Case { name: "10: to what it removes", layers: &[&["f a/b", "h a a/b"]], expected: &["!hard-link-to-missing"] },
    Case {
        name: "10: to what is hidden",
        layers: &[&["f a"], &["w a", "h b a"]],
        expected: &["!hard-link-to-missing"],
    },
    Case {
        name: "11: a deep symlink, linked at a shallower place, still stays inside",
        layers: &[&["l a/b/l ../../v", "h l a/b/l", "f l/x 1"]],
        expected: &["d a", "d a/b", "l a/b/l ../../v", "h l a/b/l", "d v", "f v/x 1"],
    },
    Case {
        name: "12: overwriting one name leaves the others",
        layers: &[&["f a 1", "h b a", "h c b"], &["f a 2", "w c"]],
        expected: &["f a 2", "f b 1"],
    },
    Case {
        name: "a link replaces one of the same file, and a directory",
        layers: &[&["f a 1", "h b a", "f d/x"], &["h b a", "h d a"]],
        expected: &["f a 1", "h b a", "h d a"],
    },
    Case {
        name: "links to a FIFO and a device",
        layers: &[&["p a", "h b a", "c d", "h e d"]],
        expected: &["p a", "h b a", "c d", "h e d"],
    },
    // Whiteouts.
    Case {
        name: "18: a symlink is hidden, not followed",
        layers: &[&["f t/x", "l l t"], &["w l"]],
        expected: &["d t", "f t/x"],
    },
    Case {
        name: "18: a whiteout's directory is resolved as parents are",
        layers: &[&["f t/x", "f t/y", "l l t"], &["w l/x"]],
        expected: &["l l t", "d t", "f t/y"],
    },
    Case {
        name: "18: an opaque mark's directory is resolved as parents are",
        layers: &[&["f t/x", "l l /t"], &["o l"]],
        expected: &["l l /t", "d t"],
    },
    Case {
        name: "18: removing a tree with outward links",
        layers: &[&["f v/x 1", "l d/a ../v", "l d/e/b /v", "h d/h v/x"], &["w d"]],
        expected: &["d v", "f v/x 1"],
    },
    Case {
        name: "18: replacing a tree with outward links",
        layers: &[&["f v/x 1", "l d/a ../v", "l d/e/b /v"], &["f d 2"]],
        expected: &["f d 2", "d v", "f v/x 1"],
    },
    Case {
        name: "19: an opaque mark after siblings",
        layers: &[&["f d/s/old", "f d/old"], &["f d/s/new 1", "o d"]],
        expected: &["d d", "d d/s", "f d/s/new 1"],
    },
    Case { name: "20: a whiteout after its sibling", layers: &[&["f a 1"], &["f a 2", "w a"]], expected: &["f a 2"] },
    Case { name: "20: without a lower layer", layers: &[&["f a 1", "w a"]], expected: &["f a 1"] },
    Case {
        name: "a hidden directory that is written again is new",
        layers: &[&["d d 700", "f d/x"], &["f d/y 1", "w d"]],
        expected: &["d d", "f d/y 1"],
    },
    Case {
        name: "a hidden directory with an entry of its own keeps that",
        layers: &[&["d d 700", "f d/x"], &["d d 711", "w d"]],
        expected: &["d d 711"],
    },
    Case {
        name: "an opaque mark, then a whiteout of the directory",
        layers: &[&["d d 700", "f d/x", "d d/e 700", "f d/e/y"], &["o d/e", "o d", "w d"]],
        expected: &[],
    },
    Case {
        name: "an opaque mark within, then outside, keeps what was written between",
        layers: &[&["d d 700", "f d/e/y", "f d/x"], &["o d/e", "f d/e/z 1", "o d", "o ."]],
        expected: &["d d", "d d/e", "f d/e/z 1"],
    },
    Case {
        name: "an opaque root",
        layers: &[&["d . 711", "f a/b", "f c"], &["f d 1", "o ."]],
        expected: &["d . 711", "f d 1"],
    },
    Case {
        name: "marks of several layers",
        layers: &[&["f d/1"], &["o d", "f d/2"], &["f d/3", "o d"], &["w d/3", "f d/4"]],
        expected: &["d d", "f d/4"],
    },
    Case { name: "21: in a missing directory", layers: &[&["w a/b", "o c/d"]], expected: &[] },
    Case { name: "21: in a dangling directory", layers: &[&["l l t", "w l/b", "o l"]], expected: &["l l t"] },
    Case { name: "21: in a file", layers: &[&["f a 1"], &["w a/b", "o a", "o a/c"]], expected: &["f a 1"] },
    Case { name: "21: of a hidden name", layers: &[&["f .hid"], &["w .hid"]], expected: &[] },
    // Type changes.
    Case { name: "23: file, symlink, file", layers: &[&["f a 1", "l a b", "f a 2"]], expected: &["f a 2"] },
    Case { name: "23: symlink, file, symlink", layers: &[&["l a b"], &["f a 1"], &["l a c"]], expected: &["l a c"] },
    Case {
        name: "23: directory, file, directory",
        layers: &[&["d a 700", "f a/b/c"], &["f a 1"], &["d a 711"]],
        expected: &["d a 711"],
    },
    Case {
        name: "23: directory over directory replaces metadata only",
        layers: &[&["d a 700", "f a/b 1"], &["d a 555"], &["f a/c 2"]],
        expected: &["d a 555", "f a/b 1", "f a/c 2"],
    },
    Case {
        name: "23: directories that cannot be entered",
        layers: &[&["d a 0", "f a/b 1", "d c 555"], &["f c/d 2"]],
        expected: &["d a 0", "f a/b 1", "d c 555", "f c/d 2"],
    },
    Case { name: "a name that is taken again and again", layers: &[&["p a", "c a", "d a", "p a"]], expected: &["p a"] },
    Case {
        name: "the listing is in byte order of full paths",
        layers: &[&["d a", "f a/b", "f a-b", "f a.b", "f a0", "d a-", "f a-/c"]],
        expected: &["d a", "d a-", "f a-/c", "f a-b", "f a.b", "f a/b", "f a0"],
    },
];
