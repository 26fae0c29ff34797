//! What must hold for any bytes, held against seeds, past failures and small changes of both.
//!
//! `CORPUS_MUTATIONS` sets how many changes each target is given; `CORPUS_SEED`, which.

use std::fs;
use std::panic::catch_unwind;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use oci_fetcher_tests::corpus::{Mutator, dictionary, regressions, seeds};
use oci_fetcher_tests::fuzz::{TARGETS, Target};

#[test]
fn every_target_has_seeds_and_its_own_name() {
    for (index, Target { name, .. }) in TARGETS.iter().enumerate() {
        assert!(!seeds(name).is_empty(), "{name}");
        assert!(TARGETS[..index].iter().all(|other| other.name < *name), "{name} is out of order");
    }
}

#[test]
fn past_failures_stay_past() {
    for target in TARGETS {
        regressions(target.name).iter().for_each(|bytes| try_one(*target, bytes));
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "how much was tried is what this run is for")]
fn seeds_and_their_mutations_keep_every_promise() {
    let (mutations, seed) = (number("CORPUS_MUTATIONS", 5_000), number("CORPUS_SEED", 1));
    let next = AtomicUsize::new(0);
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let work = || {
            while let Some(target) = TARGETS.get(next.fetch_add(1, Ordering::Relaxed)) {
                let (tried, elapsed) = replay(*target, mutations, seed);
                println!("{:>16}: {tried:>5} inputs in {:.1} s", target.name, elapsed.as_secs_f64());
            }
        };
        let handles: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        // A worker that failed has said so; it fails the test as well.
        handles.into_iter().for_each(|worker| worker.join().expect("no target failed"));
    });
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number")))
}

/// Gives a target its seeds and changes of them, and of what changed before.
fn replay(target: Target, mutations: u64, seed: u64) -> (usize, Duration) {
    let started = Instant::now();
    let mut pool: Vec<Vec<u8>> = seeds(target.name);
    pool.extend(regressions(target.name).iter().map(|bytes| bytes.to_vec()));
    pool.iter().for_each(|bytes| try_one(target, bytes));
    let (seeded, mut tried) = (pool.len(), pool.len());
    let mut mutator = Mutator::new(seed, dictionary(target.name));
    for _ in 0..mutations {
        // So that a slow machine ends, too; how many were tried is printed.
        if started.elapsed() > LONGEST {
            break;
        }
        let (at, lender) = (mutator.below(pool.len()), mutator.below(seeded));
        let changed = mutator.mutate(&pool[at], &pool[lender]);
        try_one(target, &changed);
        tried += 1;
        let place = mutator.below(4 * seeded);
        match place.checked_sub(seeded) {
            Some(place) if seeded + place < pool.len() => pool[seeded + place] = changed,
            Some(_) => pool.push(changed),
            None => {}
        }
    }
    (tried, started.elapsed())
}

/// For one target; all together take a fraction of the targets' number of it.
const LONGEST: Duration = Duration::from_secs(20);

/// Runs a target, and says with which bytes it failed.
fn try_one(Target { name, run }: Target, bytes: &[u8]) {
    if catch_unwind(|| run(bytes)).is_err() {
        let kept = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-failure"));
        fs::write(&kept, bytes).expect("the folder is there");
        let beginning = bytes[..bytes.len().min(200)].escape_ascii();
        panic!("{name} fails with {} ({} bytes): b\"{beginning}\"", kept.display(), bytes.len());
    }
}
