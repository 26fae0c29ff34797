//! Random archives, sound and damaged, listed by the core and by three other readers.
//!
//! They differ among themselves about most that is odd. What counts is where all three agree
//! against us, and what we accept though all three refuse it.

mod archive;
mod damage;
mod header;
mod listed;
mod others;
mod ours;
mod verdict;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use self::listed::Listing;
use self::verdict::{Against, DELIBERATE};
use crate::random::Random;
use crate::{Tally, parallel};

/// Compares the listings of this many archives, of the seeds from `seed` on.
pub(crate) fn run(seed: u64, count: u64, folder: &Path) -> Tally {
    let began = Instant::now();
    let folder = folder.join("archives");
    let mut bench = Bench::default();
    let mut from = seed;
    while from < seed + count {
        let to = (from + BATCH).min(seed + count);
        fs::create_dir(&folder).expect("there is room for a folder");
        bench.batch(from..to, &folder);
        fs::remove_dir_all(&folder).expect("it was made here");
        from = to;
    }
    let Bench { read_by_all, refused_by_us, deliberate, failures } = bench;
    let mut shown: BTreeMap<&str, usize> = BTreeMap::new();
    for (what, failure) in &failures {
        let shown = shown.entry(what).or_default();
        *shown += 1;
        if *shown <= FAILURES_SHOWN {
            println!("{failure}");
        }
    }
    if !failures.is_empty() {
        println!("failures by kind: {shown:?}");
    }
    println!(
        "archives: {count}, of seeds from {seed} on; {read_by_all} read to the end by all, {refused_by_us} refused by us, \
         in {:.1?}",
        began.elapsed()
    );
    for rule in DELIBERATE {
        let times = deliberate.get(rule.what).copied().unwrap_or_default();
        println!("  allowed {times:>6} times: {}\n{:17}({})", rule.what, "", rule.reason);
    }
    let passed = usize::try_from(count).expect("few") - failures.len();
    Tally { passed, failed: failures.len() }
}

/// Archives on disk at once, and for one Python.
const BATCH: u64 = 1_000;
/// Of one kind.
const FAILURES_SHOWN: usize = 3;

#[derive(Default)]
struct Bench {
    read_by_all: usize,
    refused_by_us: usize,
    deliberate: BTreeMap<&'static str, usize>,
    /// By what is wrong, in the order of their seeds.
    failures: Vec<(String, String)>,
}

impl Bench {
    fn batch(&mut self, seeds: std::ops::Range<u64>, folder: &Path) {
        let path = |seed: u64, end: &str| folder.join(format!("{seed}.{end}"));
        let read = parallel::map(seeds.clone(), |seed| {
            let mut random = Random::new(seed);
            let mut archive = archive::sound(&mut random);
            let damage = if random.percent(60) { damage::damage(&mut archive, &mut random) } else { Vec::new() };
            let (plain, anew) = (path(seed, "tar"), path(seed, "anew"));
            fs::write(&plain, &archive).expect("there is room for a file");
            let ours = ours::list(&archive, &mut random);
            let of_tar = others::gnu_tar(&plain);
            let refusal = others::bsdtar(&plain, &anew);
            if !anew.exists() {
                fs::write(&anew, [0; 1_024]).expect("there is room for a file");
            }
            (damage, ours, of_tar, refusal)
        });
        let paths: Vec<PathBuf> = seeds.clone().flat_map(|seed| [path(seed, "tar"), path(seed, "anew")]).collect();
        let mut of_python = others::python(&paths, folder).into_iter();
        for (seed, (damage, ours, of_tar, refusal)) in seeds.zip(read) {
            let of_python = [of_python.next(), of_python.next()].map(|listing| listing.expect("two for each archive"));
            let [of_python, anew] = of_python;
            let of_bsdtar = Listing { members: anew.members, refusal: refusal.or(anew.refusal) };
            self.judge(seed, &damage, &ours, &[("GNU tar", &of_tar), ("bsdtar", &of_bsdtar), ("Python", &of_python)]);
        }
    }

    fn judge(&mut self, seed: u64, damage: &[String], ours: &Listing, others: &[(&str, &Listing)]) {
        let listings: Vec<&Listing> = others.iter().map(|(_, listing)| *listing).collect();
        let all = listings.iter().chain([&ours]).all(|listing| listing.refusal.is_none());
        self.read_by_all += usize::from(all);
        self.refused_by_us += usize::from(ours.refusal.is_some());
        let mut wrong = Vec::new();
        if damage.is_empty() && ours.refusal.is_some() {
            wrong.push(Against { what: "sound".to_owned(), told: "nothing is wrong with it".to_owned() });
        }
        for against in verdict::judge(ours, &listings) {
            match DELIBERATE.iter().find(|rule| rule.what == against.what && !damage.is_empty()) {
                Some(rule) => *self.deliberate.entry(rule.what).or_default() += 1,
                None => wrong.push(against),
            }
        }
        let Some(first) = wrong.first() else { return };
        let what = first.what.clone();
        let mut told = format!("SEED={seed} ARCHIVES=1 STACKS=0\n");
        wrong.iter().for_each(|against| told.push_str(&format!("{}: {}\n", against.what, against.told)));
        if !damage.is_empty() {
            told.push_str(&format!("damage: {}\n", damage.join(", ")));
        }
        for (name, listing) in [("us", ours)].iter().chain(others) {
            told.push_str(&format!("  {name}:\n{listing}"));
        }
        self.failures.push((what, told));
    }
}
