//! Each system call of a pull broken in each way.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::calls::{Call, Fault};
use crate::promises::{Expected, Stored, leftovers};
use crate::scenario::{Bench, PATIENCE, SCENARIOS, Scenario, Start, Target};
use crate::tracer::{Point, Traced, trace};

/// Which points are tried.
enum Selection {
    /// One of so many, spread evenly.
    Share(usize),
    /// The one of this name, `SCENARIO/CALL/N/FAULT`.
    One(String),
}

impl Selection {
    /// Reads `$FAULTS`.
    fn of_environment() -> Self {
        match std::env::var("FAULTS") {
            Err(_) => Self::Share(STRIDE),
            Ok(all) if all == "all" => Self::Share(1),
            Ok(name) => Self::One(name),
        }
    }
}

/// A prime, so that no kind of fault falls into step with it.
const STRIDE: usize = 11;

/// Some points wait, for a pause before a retry or for a lock to go stale.
const WORKERS: usize = 4;

/// Calls beyond those of the first run: threads do not always meet in the same way.
const MARGIN: usize = 2;

/// Tries the points that `$FAULTS` selects.
///
/// # Panics
///
/// Panics if a promise was broken.
#[expect(clippy::print_stdout, reason = "the number of points tried is what this suite is for")]
pub(crate) fn run() {
    let began = Instant::now();
    let selection = Selection::of_environment();
    let first = Bench::new();
    let (mut points, mut expected) = (Vec::new(), Vec::new());
    for (index, scenario) in SCENARIOS.iter().enumerate() {
        first.reset(scenario);
        let whole = trace(&first.command(scenario), None, PATIENCE);
        assert_eq!(whole.code, 0, "{}: {whole:?}", scenario.name);
        expected.push(Expected::learn(&first, scenario));
        let kept = expected[index].check_end(&first, scenario);
        assert!(kept.is_empty(), "{}: {kept:?}", scenario.name);
        for (call, count) in whole.counts {
            for nth in 1..=count + MARGIN {
                points.extend(call.faults().map(|fault| (index, Point { call, nth, fault })));
            }
        }
    }
    let all = points.len();
    match &selection {
        Selection::Share(of) => {
            let mut number = 0;
            points.retain(|_| {
                number += 1;
                number % of == 0
            });
        }
        Selection::One(name) => points.retain(|(index, point)| point_name(&SCENARIOS[*index], point) == *name),
    }
    assert!(!points.is_empty(), "no such point");
    // The slowest are those that wait; they are not left to the end.
    points.sort_by_key(|(_, point)| !matches!(point.call, Call::Connect | Call::Receive | Call::Send | Call::Socket));
    println!("{} of {all} points, from {:?} on", points.len(), began.elapsed());
    let queue = Mutex::new(points.into_iter());
    let tally = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for bench in std::iter::once(Some(first)).chain((1..WORKERS).map(|_| None)) {
            scope.spawn(|| {
                let bench = bench.unwrap_or_else(Bench::new);
                loop {
                    let next = queue.lock().expect("no worker panicked").next();
                    let Some((index, point)) = next else { break };
                    let scenario = &SCENARIOS[index];
                    let tried = attempt(&bench, scenario, &expected[index], point);
                    if matches!(selection, Selection::One(_)) {
                        println!("{tried:#?}");
                    }
                    tally.lock().expect("no worker panicked").add(scenario, point, tried);
                }
            });
        }
    });
    let tally = tally.into_inner().expect("no worker panicked");
    println!("{tally}in {:?}", began.elapsed());
    for violation in &tally.violations {
        println!("{violation}");
    }
    assert!(tally.violations.is_empty(), "{} promises were broken", tally.violations.len());
}

fn point_name(scenario: &Scenario, point: &Point) -> String {
    format!("{}/{}/{}/{}", scenario.name, point.call, point.nth, point.fault)
}

/// What came of a point.
#[derive(Debug)]
#[expect(dead_code, reason = "shown where a single point is tried")]
struct Tried {
    first: Traced,
    again: Vec<String>,
    broken: Vec<String>,
    took: Duration,
}

fn attempt(bench: &Bench, scenario: &Scenario, expected: &Expected, point: Point) -> Tried {
    bench.reset(scenario);
    let before = Stored::look(bench);
    let began = Instant::now();
    let first = trace(&bench.command(scenario), Some(point), PATIENCE);
    let mut broken = judge(&first, point);
    broken.extend(expected.check_always(bench, scenario, &before));
    let complete = expected.is_complete(bench, scenario);
    if first.code == 0 && !complete {
        broken.push("P2: it ended well, and the destination is not complete".into());
    }
    let mut again = Vec::new();
    if first.fired && first.code != 0 {
        let stands = complete && may_refuse(scenario);
        again.push(run_again(bench, scenario, expected, stands, &mut broken));
    }
    if first.fired && !leftovers(bench, scenario).is_empty() {
        // They stay while there is nothing to do.
        if may_refuse(scenario) {
            remove(&bench.out());
        }
        again.push(run_again(bench, scenario, expected, false, &mut broken));
    }
    if first.fired && first.code != 0 {
        broken.extend(expected.check_end(bench, scenario));
    } else {
        broken.extend(leftovers(bench, scenario));
    }
    Tried { first, again, broken, took: began.elapsed() }
}

fn remove(path: &Path) {
    let removed = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    removed.expect("it is complete");
}

/// Tells whether a command refuses to run where its destination is complete.
fn may_refuse(scenario: &Scenario) -> bool {
    scenario.target != Target::Layout && scenario.start != Start::Existing
}

/// Runs the command without faults, and checks P1 to P4.
fn run_again(
    bench: &Bench,
    scenario: &Scenario,
    expected: &Expected,
    stands: bool,
    broken: &mut Vec<String>,
) -> String {
    let before = Stored::look(bench);
    bench.registry.forget_requests();
    let began = Instant::now();
    let output = bench.command(scenario).stdin(Stdio::null()).output().expect("the program runs");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.code() {
        Some(0) => {}
        Some(2) if stands => {}
        code => broken.push(format!("P3: the second run ends with {code:?}: {message}")),
    }
    if began.elapsed() > PATIENCE {
        broken.push(format!("P6: the second run took {:?}", began.elapsed()));
    }
    broken.extend(expected.check_always(bench, scenario, &before));
    if !expected.is_complete(bench, scenario) {
        broken.push("P3: the destination is not complete after the second run".into());
    }
    if scenario.has_cache() {
        broken.extend(expected.check_fetched(bench, &before));
    }
    message
}

/// Checks P5 and P6 of the run that was broken.
fn judge(first: &Traced, point: Point) -> Vec<String> {
    let mut broken = Vec::new();
    if first.hung {
        broken.push(format!("P6: it did not end within {PATIENCE:?}"));
    }
    let killed = matches!(point.fault, Fault::KillBefore | Fault::KillAfter);
    match first.code {
        0 => {}
        _ if first.hung => {}
        137 if killed && first.fired => {}
        // The network's or this machine's: nothing else is broken.
        5 | 8 if !killed => {
            let parts = ["error: ", "caused by: ", "help: "];
            if point.call != Call::Print && !parts.iter().all(|part| first.stderr.contains(part)) {
                broken.push(format!("P5: the message lacks a part: {}", first.stderr));
            }
            if point.call.must_survive(point.fault) {
                broken.push(format!("P5: that is no reason to fail: {}", first.stderr));
            }
        }
        code => broken.push(format!("P5: exit code {code}: {}", first.stderr)),
    }
    broken
}

#[derive(Default)]
struct Tally {
    calls: BTreeMap<Call, BTreeMap<String, usize>>,
    scenarios: BTreeMap<&'static str, usize>,
    codes: BTreeMap<i32, usize>,
    tried: usize,
    missed: usize,
    slowest: Option<(Duration, String)>,
    violations: Vec<String>,
}

impl Tally {
    fn add(&mut self, scenario: &Scenario, point: Point, tried: Tried) {
        let name = point_name(scenario, &point);
        self.violations.extend(tried.broken.into_iter().map(|broken| format!("{name}: {broken}")));
        if !tried.first.fired {
            self.missed += 1;
            return;
        }
        self.tried += 1;
        *self.calls.entry(point.call).or_default().entry(point.fault.to_string()).or_default() += 1;
        *self.scenarios.entry(scenario.name).or_default() += 1;
        *self.codes.entry(tried.first.code).or_default() += 1;
        if self.slowest.as_ref().is_none_or(|(took, _)| *took < tried.took) {
            self.slowest = Some((tried.took, name));
        }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (call, faults) in &self.calls {
            let faults: Vec<String> = faults.iter().map(|(fault, count)| format!("{fault} {count}")).collect();
            writeln!(f, "  {call}: {}", faults.join(", "))?;
        }
        writeln!(f, "  by command: {:?}", self.scenarios)?;
        writeln!(f, "  by exit code: {:?}", self.codes)?;
        if let Some((took, name)) = &self.slowest {
            writeln!(f, "  slowest: {name}, {took:?}")?;
        }
        let Self { tried, missed, violations, .. } = self;
        write!(f, "{tried} points tried, {missed} never came, {} violations, ", violations.len())
    }
}
