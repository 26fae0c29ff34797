//! The tree against a naive model of the specification: a map from paths to nodes, in which each
//! layer's whiteouts are applied first, to what is lower, and its other entries then, in order.

use std::collections::BTreeMap;
use std::rc::Rc;

use proptest::prelude::*;

use super::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn merging_is_what_the_specification_says(stack in stacks()) {
        let expected = Model::of(&stack);
        let merged = list(&stack, &Options::default());
        match expected {
            // A lower file may be in the way until its whiteout comes.
            Ok(model) if merged == ["!parent-not-directory"] => {
                let whiteouts_first = stack.into_iter().map(|mut layer| {
                    layer.sort_by_key(|line| !line.starts_with(['w', 'o']));
                    layer
                });
                prop_assert_eq!(list(&whiteouts_first.collect::<Vec<_>>(), &Options::default()), model.listing());
            }
            Ok(model) => prop_assert_eq!(merged, model.listing()),
            Err(Stop) => prop_assert!(merged == ["!parent-not-directory"], "{:?}", merged),
        }
    }

    /// What is selected is what would have been there anyway, no more and no less.
    #[test]
    fn a_selection_is_a_part_of_the_whole(stack in stacks(), selected in prop::collection::vec(path(), 1..3)) {
        let Ok(whole) = unpack(MemoryFs::default, &stack, &Options::default()) else { return Ok(()) };
        let selection = Selection::paths(selected.iter().map(|path| clean(path)));
        let options = Options { selection: selection.clone(), ..Options::default() };
        let part = unpack(MemoryFs::default, &stack, &options);
        if selected.iter().any(|path| whole.fs.stat(&clean(path)).is_none()) {
            prop_assert_eq!(part.expect_err("a path is missing").code(), "path-not-found");
            return Ok(());
        }
        let part = part.expect("all paths are there");
        let leads_there = |path: &EntryPath| {
            let below = [path.as_bytes(), b"/"].concat();
            path.is_root() || selected.iter().any(|selected| selected.as_bytes().starts_with(&below))
        };
        let expected: Vec<_> = whole.fs.walk().filter(|at| selection.covers(&at.path) || leads_there(&at.path)).collect();
        let found: Vec<_> = part.fs.walk().collect();
        prop_assert_eq!(expected.len(), found.len());
        for (expected, found) in expected.iter().zip(&found) {
            prop_assert_eq!(&expected.path, &found.path);
            prop_assert_eq!(expected.stat.metadata, found.stat.metadata);
            prop_assert_eq!(
                whole.fs.read(&expected.path).expect("memory never fails"),
                part.fs.read(&found.path).expect("memory never fails")
            );
        }
    }

    /// With symlinks anywhere, two passes do, and what is selected is still a part of the whole.
    #[test]
    fn symlinks_never_take_a_third_pass(
        stack in prop::collection::vec(prop::collection::vec(wild_line(), 0..10), 1..4).prop_map(workable),
        selected in prop::collection::vec(path(), 1..3),
    ) {
        let whole = unpack(MemoryFs::default, &stack, &Options::default()).expect("what does not work was left out");
        check_standing(&whole.standing, &listing(&whole.fs));
        let selection = Selection::paths(selected.iter().map(|path| clean(path)));
        let part = match unpack(MemoryFs::default, &stack, &Options { selection: selection.clone(), ..Options::default() }) {
            Ok(part) => part,
            Err(error) => {
                prop_assert!(["path-not-found", "too-many-symlinks"].contains(&error.code()), "{}", error);
                return Ok(());
            }
        };
        check_standing(&part.standing, &listing(&part.fs));
        for found in part.fs.walk() {
            let Some(expected) = whole.fs.stat(&found.path) else { panic!("{} is not in the whole", found.path) };
            prop_assert_eq!(expected.metadata, found.stat.metadata);
            prop_assert_eq!(
                whole.fs.read(&found.path).expect("memory never fails"),
                part.fs.read(&found.path).expect("memory never fails")
            );
        }
        for expected in whole.fs.walk().filter(|at| selection.covers(&at.path)) {
            prop_assert!(part.fs.stat(&expected.path).is_some(), "{} is missing", expected.path);
        }
    }
}

/// Where something that is no directory is a parent.
#[derive(Debug)]
struct Stop;

/// Paths are short, and their names few, so that layers meet.
fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..4).prop_map(|names| names.join("/"))
}

/// Layers of entries, whiteouts anywhere among them.
fn stacks() -> impl Strategy<Value = Vec<Vec<String>>> {
    let line = (path(), path(), 0..1_000u32, 0..20u8).prop_map(|(path, other, n, kind)| match kind {
        0..6 => format!("f {path}/f {n}"),
        6..8 => format!("f {path} {n}"),
        8..11 => format!("d {path} {:o}", 0o700 + n % 8),
        11 => format!("l {path}/f s{n}"),
        12 => format!("h {path}/f {other}/f"),
        13 => format!("h {path}/g {other}/f"),
        14 => format!("p {path}/p"),
        15..17 => format!("o {path}"),
        _ => format!("w {path}"),
    });
    let layers = prop::collection::vec(prop::collection::vec(line, 0..12), 1..5);
    layers.prop_map(|layers| layers.into_iter().map(tidy).collect())
}

/// Entries that meet symlinks, and symlinks and hard links that lead anywhere.
fn wild_line() -> impl Strategy<Value = String> {
    let target = prop::sample::select(vec!["a", "/b", "../c", "a/b", "..", "/c/a", "./b/..", "a/a", "/", "x"]);
    (path(), path(), target, 0..15u8).prop_map(|(path, other, target, kind)| match kind {
        0..4 => format!("f {path}"),
        4 => format!("f {path}/f {kind}"),
        5..7 => format!("d {path}"),
        7..10 => format!("l {path} {target}"),
        10..12 => format!("h {path} {other}"),
        12 => format!("o {path}"),
        _ => format!("w {path}"),
    })
}

/// Leaves out each line that cannot be applied after those before it.
fn workable(stack: Vec<Vec<String>>) -> Vec<Vec<String>> {
    let mut kept: Vec<Vec<String>> = Vec::new();
    for layer in stack {
        kept.push(Vec::new());
        for line in layer {
            kept.last_mut().expect("just pushed").push(line);
            if unpack(MemoryFs::default, &kept, &Options::default()).is_err() {
                kept.last_mut().expect("just pushed").pop();
            }
        }
    }
    kept
}

/// Leaves out what no layer should hold, and what depends on order by its nature: symlinks as
/// parents, and hard links to themselves or to what the same layer did not write before.
fn tidy(layer: Vec<String>) -> Vec<String> {
    let mut alone = Model::default();
    let mut tidied = Vec::new();
    for line in layer {
        let word = |n| line.split(' ').nth(n).expect("each line has a kind, a path and more");
        let linked = line.starts_with('h').then(|| alone.nodes.get(word(2)));
        let links_itself = line.starts_with('h') && word(1) == word(2);
        if links_itself || matches!(linked, Some(None)) || linked.flatten().is_some_and(|node| node.starts_with('d')) {
            continue;
        }
        // A file or link in the way is as good a reason to leave a line out.
        if !line.starts_with(['w', 'o']) && alone.add(&line, 0).is_err() {
            continue;
        }
        tidied.push(line);
    }
    tidied
}

#[derive(Clone, Default)]
struct Model {
    /// What stands at each path, as its line without the path. Hard links share theirs.
    nodes: BTreeMap<String, Rc<str>>,
}

impl Model {
    fn of(stack: &[Vec<String>]) -> Result<Self, Stop> {
        let mut model = Self::default();
        for (number, layer) in stack.iter().enumerate() {
            for line in layer {
                let (kind, path) = (&line[..1], line[2..].split(' ').next().expect("a path"));
                let below = format!("{path}/");
                match kind {
                    "w" => model.nodes.retain(|at, _| at != path && !at.starts_with(&below)),
                    "o" => model.nodes.retain(|at, _| !at.starts_with(&below)),
                    _ => {}
                }
            }
            for line in layer.iter().filter(|line| !line.starts_with(['w', 'o'])) {
                model.add(line, number)?;
            }
        }
        Ok(model)
    }

    fn add(&mut self, line: &str, layer: usize) -> Result<(), Stop> {
        let mut words = line.split(' ');
        let (kind, path) = (words.next().expect("a kind"), words.next().expect("a path"));
        let rest = words.next().unwrap_or_default();
        let linked = if kind == "h" { self.nodes.get(rest).cloned() } else { None };
        for (slash, _) in path.match_indices('/') {
            let parent = self.nodes.entry(path[..slash].to_owned()).or_insert_with(|| "d 755".into());
            if !parent.starts_with('d') {
                return Err(Stop);
            }
        }
        let is_directory = self.nodes.get(path).is_some_and(|node| node.starts_with('d'));
        if kind != "d" || !is_directory {
            let below = format!("{path}/");
            self.nodes.retain(|at, _| at != path && !at.starts_with(&below));
        }
        // The layer tells files of equal content apart.
        let node = linked.unwrap_or_else(|| format!("{kind} {rest} {layer}").into());
        self.nodes.insert(path.to_owned(), node);
        Ok(())
    }

    fn listing(&self) -> Vec<String> {
        let mut firsts: Vec<(&Rc<str>, &String)> = Vec::new();
        let mut lines = Vec::new();
        for (path, node) in &self.nodes {
            let first = firsts.iter().find(|(of, _)| Rc::ptr_eq(of, node));
            let mut words = node.split(' ');
            let (kind, rest) = (words.next().expect("a kind"), words.next().unwrap_or_default());
            lines.push(match (first, kind, rest) {
                (Some((_, first)), ..) => format!("h {path} {first}"),
                (None, "d", "755") => format!("d {path}"),
                (None, kind, rest) => format!("{kind} {path} {rest}").trim_end().to_owned(),
            });
            firsts.push((node, path));
        }
        lines
    }
}
