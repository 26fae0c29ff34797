//! Against others: random layer stacks and random archives, read by us in every way and by the
//! programs that people have trusted with them for years.
//!
//! `STACKS=5000` and `ARCHIVES=20000` compare more, `SEED=7` others; `SEED=7 STACKS=1 ARCHIVES=0`
//! is one stack again. Needs root. Everything runs in a mount namespace in which only an empty
//! file system can be written to.
#![cfg(target_os = "linux")]
#![expect(clippy::print_stdout, reason = "a suite of its own: it prints what it has found")]

#[path = "differential/listings/mod.rs"]
mod listings;
#[path = "differential/parallel.rs"]
mod parallel;
#[path = "differential/random.rs"]
mod random;
#[path = "differential/sandbox.rs"]
mod sandbox;
#[path = "differential/stacks/mod.rs"]
mod stacks;

use std::process::ExitCode;

/// How many cases agreed, and how many did not.
#[derive(Clone, Copy, Debug)]
struct Tally {
    passed: usize,
    failed: usize,
}

fn main() -> ExitCode {
    sandbox::enter();
    let folder = std::env::current_dir().expect("the sandbox starts in its folder");
    let seed = number("SEED", 1);
    let (stacks, archives) = (number("STACKS", 200), number("ARCHIVES", 1_000));
    let mut tallies = Vec::new();
    if stacks > 0 {
        tallies.push(stacks::run(seed, stacks, &folder));
    }
    if archives > 0 {
        tallies.push(listings::run(seed, archives, &folder));
    }
    let passed: usize = tallies.iter().map(|tally| tally.passed).sum();
    let failed: usize = tallies.iter().map(|tally| tally.failed).sum();
    // In the words of Rust's own tests, which are counted.
    println!("test result: {}. {passed} passed; {failed} failed", if failed == 0 { "ok" } else { "FAILED" });
    ExitCode::from(u8::from(failed > 0))
}

/// Reads a number from the environment.
fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}")),
        Err(_) => default,
    }
}
