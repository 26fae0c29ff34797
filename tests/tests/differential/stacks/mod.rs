//! Random layer stacks, unpacked in every way there is, must come to the same tree.

mod generate;
mod memory;
mod metadata;
mod others;
mod ours;
mod plan;
mod rules;
mod way;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Instant, SystemTime};

use oci_fetcher_tests::compare::{Comparison, Tree};
use oci_fetcher_tests::image::Compression;

use self::generate::Planned;
use self::others::GnuTar;
use self::plan::{Item, PlannedLayer, Stack};
use self::rules::{Applied, Found, Other, Seen};
use crate::Tally;
use crate::parallel;
use crate::random::Random;

/// Compares this many stacks, of the seeds from `seed` on.
pub(crate) fn run(seed: u64, count: u64, folder: &Path) -> Tally {
    let began = Instant::now();
    let started = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("1970 is past").as_secs();
    let bench = Bench {
        gnu_tar: GnuTar::new(folder),
        folder: folder.to_owned(),
        started: started.cast_signed(),
        applied: Applied::default(),
        counts: Mutex::default(),
    };
    let failures = parallel::map(seed..seed + count, |seed| bench.stack(seed));
    let failed: Vec<String> = failures.into_iter().flatten().collect();
    for failure in failed.iter().take(FAILURES_SHOWN) {
        println!("{failure}");
    }
    let counts = bench.counts.lock().expect("no one panics with it");
    println!("stacks: {count}, of seeds from {seed} on, {counts:?}, in {:.1?}", began.elapsed());
    print!("{}", bench.applied);
    Tally { passed: usize::try_from(count).expect("few") - failed.len(), failed: failed.len() }
}

const FAILURES_SHOWN: usize = 10;

struct Bench {
    gnu_tar: GnuTar,
    folder: PathBuf,
    started: i64,
    applied: Applied,
    counts: Mutex<BTreeMap<&'static str, usize>>,
}

impl Bench {
    /// Compares the stack of a seed; returns what is wrong with it.
    fn stack(&self, seed: u64) -> Option<String> {
        let planned = generate::planned(&mut Random::new(seed));
        let folder = self.folder.join(format!("stack-{seed}"));
        fs::create_dir(&folder).expect("there is room for a folder");
        self.count("layers", planned.stack.layers.len());
        self.count("items", planned.stack.items().count());
        let wrong = self.compare(&planned, seed, &folder, &Other::ALL);
        let refused = planned.refused.as_ref().and_then(|item| self.refuse(&planned.stack, item, &folder));
        let told = wrong.first().map(|(other, _)| {
            let small = self.shrink(planned.clone(), seed, &folder, *other);
            let lines = self.compare(&small, seed, &folder, &Other::ALL);
            let lines: Vec<String> = lines.into_iter().map(|(_, line)| line).collect();
            format!("SEED={seed} STACKS=1\n{}{}", small.stack, lines.join("\n"))
        });
        ours::remove(&folder);
        told.or_else(|| refused.map(|why| format!("SEED={seed} STACKS=1\n{}{why}", planned.stack)))
    }

    /// Adds a layer with an item that we refuse: others must not find a place for it either.
    fn refuse(&self, stack: &Stack, item: &Item, folder: &Path) -> Option<String> {
        self.count("refused items", 1);
        let mut stack = stack.clone();
        stack.layers.push(PlannedLayer { items: vec![item.clone()], compression: Compression::Gzip });
        let (layout, plain) = (folder.join("layout"), folder.join("plain"));
        ours::write_layout(&stack, &layout);
        ours::write_layout(&ours::without_zstd(&stack), &plain);
        let disk = ours::pull(&ours::source(&layout), folder, &[]).map(drop);
        let umoci = others::umoci(&plain, folder).map(drop);
        let gnu_tar = self.gnu_tar.apply(&stack, folder).map(drop);
        ours::remove(&layout);
        ours::remove(&plain);
        match disk {
            Err(said) if said.contains("exit status: 7") => {}
            other => return Some(format!("then {item}: not refused, but {other:?}")),
        }
        (umoci.is_ok() && gnu_tar.is_ok()).then(|| format!("then {item}: refused, but umoci and GNU tar unpack it"))
    }

    fn count(&self, what: &'static str, number: usize) {
        *self.counts.lock().expect("no one panics with it").entry(what).or_default() += number;
    }

    /// Leaves out item after item as long as the same one differs.
    fn shrink(&self, mut planned: Planned, seed: u64, folder: &Path, other: Other) -> Planned {
        let mut index = planned.stack.items().count();
        while index > 0 {
            index -= 1;
            let smaller = Planned { stack: planned.stack.without(index), ..planned.clone() };
            let is_sound = memory::unpack(&smaller.stack, &mut Random::new(seed)).is_ok();
            if is_sound && !self.compare(&smaller, seed, folder, &[other]).is_empty() {
                planned = smaller;
            }
        }
        planned
    }

    /// Unpacks a stack by these, and lists the differences that no rule allows.
    fn compare(&self, planned: &Planned, seed: u64, folder: &Path, others: &[Other]) -> Vec<(Other, String)> {
        let stack = &planned.stack;
        let (layout, plain) = (folder.join("layout"), folder.join("plain"));
        ours::write_layout(stack, &layout);
        ours::write_layout(&ours::without_zstd(stack), &plain);
        let disk = ours::pull(&ours::source(&layout), folder, &[]);
        let mut wrong = Vec::new();
        for &other in others {
            let tree = match other {
                Other::Sequential => ours::pull(&ours::source(&layout), folder, &["--concurrency", "1"]),
                Other::LowestLast => ours::pull_lowest_last(stack, folder),
                Other::Memory => memory::unpack(stack, &mut Random::new(seed)),
                Other::Flattened => ours::flatten(&layout, folder),
                Other::Umoci => others::umoci(&plain, folder),
                Other::GnuTar => self.gnu_tar.apply(stack, folder),
            };
            wrong.extend(self.judge(planned, &disk, other, &tree).into_iter().map(|line| (other, line)));
        }
        ours::remove(&layout);
        ours::remove(&plain);
        wrong
    }

    fn judge(
        &self,
        planned: &Planned,
        disk: &Result<Tree, String>,
        other: Other,
        tree: &Result<Tree, String>,
    ) -> Vec<String> {
        let disk = match disk {
            Ok(disk) => disk,
            Err(said) => return vec![format!("disk: {said}")],
        };
        let seen = |found| Seen { other, planned, disk, started: self.started, found };
        let name = other.name();
        match tree {
            Ok(tree) => {
                let differences = Comparison::new().compare_trees(disk, tree);
                let left = differences.iter().filter(|at| !self.applied.allows(&seen(Found::Difference(at))));
                left.map(|difference| format!("disk | {name}: {difference}")).collect()
            }
            Err(said) if self.applied.allows(&seen(Found::Failure(said))) => Vec::new(),
            Err(said) => vec![format!("{name}: {said}")],
        }
    }
}
