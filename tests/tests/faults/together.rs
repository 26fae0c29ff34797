//! Several processes on one cache and one layout, some of which are killed.

use std::fs;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::promises::{Expected, Stored, leftovers};
use crate::scenario::{Bench, SCENARIOS, Scenario, Start, Target};

/// Rounds of one number of processes with one target.
const ROUNDS: u64 = 16;

/// Lets two and eight processes do the same at once, with and without kills.
#[expect(clippy::print_stdout, reason = "the number of points tried is what this suite is for")]
pub(crate) fn run() {
    let began = Instant::now();
    let bench = Bench::new();
    let mut broken = Vec::new();
    let (mut processes, mut killed) = (0, 0);
    for scenario in SCENARIOS.iter().filter(|scenario| {
        matches!(scenario.target, Target::Layout | Target::Directory)
            && matches!(scenario.start, Start::Nothing | Start::Killed)
    }) {
        bench.reset(scenario);
        let output = bench.command(scenario).output().expect("the program runs");
        assert!(output.status.success(), "{}: {output:?}", scenario.name);
        let expected = Expected::learn(&bench, scenario);
        for count in [2, 8] {
            for round in 0..ROUNDS {
                // Half of the rounds end half of the processes, at times that differ from round to round.
                let kills = if round % 2 == 1 { count / 2 } else { 0 };
                let what =
                    at_once(&bench, scenario, &expected, count, kills, Duration::from_micros(1_500 * round * round));
                let name = format!("{} by {count} processes, round {round}", scenario.name);
                broken.extend(what.into_iter().map(|what| format!("{name}: {what}")));
                processes += count;
                killed += kills;
            }
        }
    }
    println!("{processes} processes, {killed} killed, {} violations in {:?}", broken.len(), began.elapsed());
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

fn at_once(
    bench: &Bench,
    scenario: &Scenario,
    expected: &Expected,
    count: usize,
    kills: usize,
    delay: Duration,
) -> Vec<String> {
    bench.reset(scenario);
    let before = Stored::look(bench);
    let start = |_| {
        let mut command = bench.command(scenario);
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().expect("the program starts")
    };
    // Who fails removes the layout that it created, unless somebody else has begun to use it.
    let fail = |_| {
        let mut command = bench.failing_command();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts")
    };
    let failing = if scenario.target == Target::Layout { count / 2 } else { 0 };
    let failing: Vec<Child> = (0..failing).map(fail).collect();
    let mut children: Vec<Child> = (0..count).map(start).collect();
    if kills > 0 {
        std::thread::sleep(delay);
    }
    for child in &mut children[..kills] {
        child.kill().expect("it has not been waited for");
    }
    let mut broken = Vec::new();
    let mut succeeded = 0;
    for (index, child) in children.into_iter().enumerate() {
        let output = child.wait_with_output().expect("it ends");
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        match output.status.code() {
            Some(0) => succeeded += 1,
            None if index < kills => {}
            // Whoever comes second to a directory is refused.
            Some(2) if scenario.target == Target::Directory && message.contains("not empty") => {}
            code => broken.push(format!("P5: process {index} ends with {code:?}: {message}")),
        }
    }
    for mut child in failing {
        let code = child.wait().expect("it ends").code();
        if code != Some(3) {
            broken.push(format!("P5: a process that pulls nothing ends with {code:?}"));
        }
    }
    broken.extend(expected.check_always(bench, scenario, &before));
    let complete = expected.is_complete(bench, scenario);
    if !complete && (kills == 0 || succeeded > 0) {
        broken.push("P2: nobody completed the destination".to_owned());
    }
    let before = Stored::look(bench);
    bench.registry.forget_requests();
    let again = bench.command(scenario).output().expect("the program runs");
    let refused = complete && scenario.target == Target::Directory && again.status.code() == Some(2);
    if !again.status.success() && !refused {
        broken.push(format!("P3: {}", String::from_utf8_lossy(&again.stderr)));
    }
    broken.extend(expected.check_always(bench, scenario, &before));
    if !expected.is_complete(bench, scenario) {
        broken.push("P3: the destination is not complete after another run".to_owned());
    }
    if scenario.has_cache() {
        broken.extend(expected.check_fetched(bench, &before));
    }
    if refused && !leftovers(bench, scenario).is_empty() {
        // They stay while there is nothing to do.
        fs::remove_dir_all(bench.out()).expect("it is complete");
        let last = bench.command(scenario).output().expect("the program runs");
        if !last.status.success() {
            broken.push(format!("P3: {}", String::from_utf8_lossy(&last.stderr)));
        }
    }
    broken.extend(expected.check_end(bench, scenario));
    broken
}
