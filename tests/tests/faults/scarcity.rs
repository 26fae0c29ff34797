//! Disks that fill up, files that may not grow, and descriptors that run out, at every amount.

use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::promises::{Expected, Stored};
use crate::scenario::{Bench, SCENARIOS, Scenario, Start};

/// What there is too little of, and how a shell brings that about before it runs `"$@"`.
const KINDS: [(&str, &str); 3] = [
    // A limit ends a process by a signal, unless that is ignored.
    ("file size", "trap '' XFSZ; ulimit -f $AMOUNT && exec \"$@\""),
    ("file size, with its signal", "ulimit -c 0; ulimit -f $AMOUNT && exec \"$@\""),
    ("descriptors", "ulimit -n $AMOUNT && exec \"$@\""),
];

/// Tries every amount until a command succeeds with it.
#[expect(clippy::print_stdout, reason = "the number of points tried is what this suite is for")]
pub(crate) fn run() {
    let began = Instant::now();
    let scenarios = SCENARIOS.iter().filter(|scenario| !["cached", "after-kill", "uncached"].contains(&scenario.name));
    let (points, broken) = for_each(scenarios, amounts);
    println!("{points} amounts, {} violations in {:?}", broken.len(), began.elapsed());
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Works on scenarios at the same time, and adds up how many points were tried and what was broken.
fn for_each(
    scenarios: impl Iterator<Item = &'static Scenario>,
    work: impl Fn(&Bench, &Scenario) -> (usize, Vec<String>) + Sync,
) -> (usize, Vec<String>) {
    let sum = Mutex::new((0, Vec::new()));
    std::thread::scope(|scope| {
        for scenario in scenarios {
            let (work, sum) = (&work, &sum);
            scope.spawn(move || {
                let (points, broken) = work(&Bench::new(), scenario);
                let mut sum = sum.lock().expect("no other panicked");
                sum.0 += points;
                sum.1.extend(broken);
            });
        }
    });
    sum.into_inner().expect("none panicked")
}

/// Tries amounts of everything with one scenario.
fn amounts(bench: &Bench, scenario: &Scenario) -> (usize, Vec<String>) {
    let (mut points, mut broken) = (0, Vec::new());
    bench.reset(scenario);
    let output = bench.command(scenario).output().expect("the program runs");
    assert!(output.status.success(), "{}: {output:?}", scenario.name);
    let expected = Expected::learn(bench, scenario);
    for (kind, script) in KINDS {
        // The loader needs some descriptors, too; sizes count half kilobytes.
        let (from, step, most) = if kind == "descriptors" { (5, 1, 200) } else { (0, 16, 2_000) };
        let mut is_enough = false;
        for amount in (from..most).step_by(step) {
            bench.reset(scenario);
            let mut command = under(bench, scenario, script);
            command.env("AMOUNT", amount.to_string());
            let (code, what) = attempt(bench, scenario, &expected, &mut command);
            let name = format!("{}, {kind} {amount}", scenario.name);
            broken.extend(what.into_iter().map(|what| format!("{name}: {what}")));
            points += 1;
            is_enough = code == Some(0);
            if is_enough {
                break;
            }
        }
        assert!(is_enough, "{}: no {kind} is enough", scenario.name);
    }
    (points, broken)
}

/// Makes a scenario's command, run by a shell that brings something about first.
fn under(bench: &Bench, scenario: &Scenario, script: &str) -> Command {
    let command = bench.command(scenario);
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh"]).arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.current_dir(command.get_current_dir().expect("set"));
    shell
}

fn attempt(
    bench: &Bench,
    scenario: &Scenario,
    expected: &Expected,
    command: &mut Command,
) -> (Option<i32>, Vec<String>) {
    let before = Stored::look(bench);
    let began = Instant::now();
    let output = command.output().expect("a shell runs");
    let mut broken = expected.check_always(bench, scenario, &before);
    broken.extend(judge(&output));
    if began.elapsed() > LONGEST {
        broken.push(format!("P6: {:?}", began.elapsed()));
    }
    if !output.status.success() {
        let before = Stored::look(bench);
        bench.registry.forget_requests();
        let again = bench.command(scenario).output().expect("the program runs");
        if !again.status.success() {
            broken.push(format!("P3: {}", String::from_utf8_lossy(&again.stderr)));
        }
        broken.extend(expected.check_always(bench, scenario, &before));
        broken.extend(expected.check_fetched(bench, &before));
        if !expected.is_complete(bench, scenario) {
            broken.push("P3: the destination is not complete after the second run".to_owned());
        }
    }
    broken.extend(expected.check_end(bench, scenario));
    (output.status.code(), broken)
}

const LONGEST: Duration = Duration::from_secs(30);

fn judge(output: &Output) -> Option<String> {
    let message = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        // A signal's, here SIGXFSZ's.
        Some(0) | None => None,
        // The dynamic loader's, before anything of ours.
        Some(127) if message.contains("error while loading shared libraries") => None,
        Some(5 | 8) if ["error: ", "caused by: ", "help: "].iter().all(|part| message.contains(part)) => None,
        code => Some(format!("P5: exit code {code:?}: {message}")),
    }
}

/// Fills up file systems of all sizes on which everything lies: cache, destination and temporaries.
#[expect(clippy::print_stdout, reason = "what is left out is said, and the number of points")]
pub(crate) fn full_disks() {
    let may_mount = Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|status| status.success());
    if !may_mount {
        println!("left out: file systems cannot be mounted here");
        return;
    }
    let scenarios = SCENARIOS.iter().filter(|scenario| scenario.start == Start::Nothing);
    let (points, broken) = for_each(scenarios, sizes);
    println!("{points} sizes of a disk, {} violations", broken.len());
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Tries sizes of a disk with one scenario.
fn sizes(bench: &Bench, scenario: &Scenario) -> (usize, Vec<String>) {
    let (mut points, mut broken) = (0, Vec::new());
    for size in (16..1_500).step_by(24) {
        bench.reset(scenario);
        let mut command = under(bench, scenario, FULL);
        command.env("SIZE", format!("{size}k")).env("WORK", bench.work());
        let output = unshared(&command).output().expect("unshare runs");
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let codes: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("code ")).collect();
        points += 1;
        match codes[..] {
            ["0"] => return (points, broken),
            ["8", "0"] => {}
            _ => {
                let message = String::from_utf8_lossy(&output.stderr);
                broken.push(format!("{}, {size} KiB: {told}: {message}", scenario.name));
            }
        }
    }
    panic!("{}: no size is enough", scenario.name);
}

/// Runs a command on a small file system, and again when that has grown.
const FULL: &str = "
    mount -t tmpfs -o size=$SIZE none \"$WORK\" && mkdir -p \"$WORK/home\" \"$WORK/parent\" \"$WORK/tmp\" || exit 99
    cd \"$WORK/parent\"
    \"$@\" >/dev/null; code=$?; echo code $code
    [ $code != 0 ] || exit 0
    [ -z \"$(ls -A)\" ] || echo code left: $(ls -A . out)
    mount -o remount,size=10m \"$WORK\" || exit 99
    \"$@\" >/dev/null; echo code $?
";

fn unshared(command: &Command) -> Command {
    let mut unshare = Command::new("unshare");
    unshare.arg("-m").arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => unshare.env(name, value),
            None => unshare.env_remove(name),
        };
    }
    unshare.current_dir(command.get_current_dir().expect("set"));
    unshare
}
