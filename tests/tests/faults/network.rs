//! A network that breaks, stalls and lies, at every byte of a small pull.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use oci_fetcher::{Class, Deadlines, Explain};
use oci_fetcher_tests::registry::{Action, Method, Rule};

use crate::puller::Puller;

/// An answer of the registry, in the order of a pull.
#[derive(Clone, Debug)]
struct Answer {
    path: String,
    /// Bytes of the head and of the whole.
    head: u64,
    whole: u64,
}

/// What is done to one answer.
struct Point {
    answer: usize,
    action: Action,
    /// Whether the pull may try again by itself; otherwise the next one has to go on.
    again: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Cut,
    Reset,
    Stall,
}

/// Tries a cut and a reset at every byte of every answer, and stalls at some.
#[expect(clippy::print_stdout, reason = "the number of points tried is what this suite is for")]
pub(crate) fn break_everywhere() {
    let began = Instant::now();
    let (answers, all) = (answers(), is_all());
    let mut points = Vec::new();
    for (answer, Answer { whole, .. }) in answers.iter().enumerate() {
        for offset in 0..*whole {
            for again in [true, false] {
                // By turns, unless everything is to be tried.
                if all || (offset % 2 == 0) == again {
                    points.push(Point { answer, action: Action::CutAnswer(offset), again });
                }
                if all || (offset % 2 == 0) != again {
                    points.push(Point { answer, action: Action::ResetAnswer(offset), again });
                }
                if offset % STALLS == 0 {
                    points.push(Point { answer, action: Action::StallAnswer(offset), again });
                }
            }
        }
    }
    let count = |kind| points.iter().filter(|point| kind_of(&point.action) == kind).count();
    println!(
        "{} answers of {:?} bytes: {} cuts, {} resets, {} stalls",
        answers.len(),
        answers.iter().map(|answer| answer.whole).collect::<Vec<_>>(),
        count(Kind::Cut),
        count(Kind::Reset),
        count(Kind::Stall),
    );
    let broken = over_all(points, |puller, point| break_once(puller, &answers[point.answer], point));
    println!("{} violations in {:?}", broken.len(), began.elapsed());
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Tells whether everything is to be tried.
fn is_all() -> bool {
    std::env::var_os("FAULTS").is_some_and(|which| which == "all")
}

/// One offset of so many is stalled at, which takes a deadline's time.
const STALLS: u64 = 16;

const DEADLINE: Duration = Duration::from_millis(250);

fn kind_of(action: &Action) -> Kind {
    if matches!(action, Action::CutAnswer(_)) {
        Kind::Cut
    } else if matches!(action, Action::ResetAnswer(_)) {
        Kind::Reset
    } else {
        Kind::Stall
    }
}

fn break_once(puller: &Puller, answer: &Answer, point: &Point) -> Vec<String> {
    puller.clear();
    puller.registry.add_rule(Rule::on(Method::Get, &answer.path).times(1).then(point.action.clone()));
    let kind = kind_of(&point.action);
    let deadlines = if kind == Kind::Stall {
        Deadlines { first_byte: DEADLINE, no_progress: DEADLINE, ..Deadlines::default() }
    } else {
        Deadlines::default()
    };
    let began = Instant::now();
    let result = puller.pull(if point.again { 4 } else { 1 }, deadlines);
    let mut broken = puller.check(result.is_ok());
    match result {
        Ok(()) if point.again => {}
        Ok(()) => broken.push("P5: a broken answer was accepted".to_owned()),
        Err(error) if point.again => broken.push(format!("P5: {error}, though it may try again")),
        Err(error) if error.class() == Class::Network => {}
        Err(error) => broken.push(format!("P5: {:?}: {error}", error.class())),
    }
    if !point.again {
        let stored = puller.stored();
        puller.registry.forget_requests();
        let result = puller.pull(1, Deadlines::default());
        if let Err(error) = &result {
            broken.push(format!("P3: {error}"));
        }
        broken.extend(puller.check(result.is_ok()));
        let (fetched, most) = (puller.registry.bytes_sent(), puller.whole - stored + puller.manifest);
        if fetched > most {
            broken.push(format!("P4: {fetched} bytes were fetched, {most} at most were missing"));
        }
    }
    if began.elapsed() > LONGEST {
        broken.push(format!("P6: {:?}", began.elapsed()));
    }
    let name =
        format!("{} {:?}, {}", answer.path, point.action, if point.again { "tried again" } else { "pulled again" });
    broken.into_iter().map(|what| format!("{name}: {what}")).collect()
}

const LONGEST: Duration = Duration::from_secs(20);

/// Flips each byte of each body, cuts each body short by its own account, and adds to it.
#[expect(clippy::print_stdout, reason = "the number of points tried is what this suite is for")]
pub(crate) fn lie_everywhere() {
    let began = Instant::now();
    let (answers, all) = (answers(), is_all());
    let mut points = Vec::new();
    for (answer, Answer { head, whole, .. }) in answers.iter().enumerate() {
        for offset in 0..whole - head {
            for again in [true, false] {
                points.push(Point { answer, action: Action::FlipByte(offset), again });
                if all || (offset % 2 == 0) == again {
                    points.push(Point { answer, action: Action::Truncate(offset), again });
                }
            }
        }
        for length in 0..whole - head {
            // Always told, it is the truth of some range, and what follows that never comes.
            points.push(Point { answer, action: Action::ContentLength(length), again: true });
        }
        for length in [1, 2, 511, 512, 513, 70_000] {
            for byte in [0, b' ', b'x'] {
                for again in [true, false] {
                    points.push(Point { answer, action: Action::Append(vec![byte; length]), again });
                }
            }
        }
    }
    println!("{} flips, truncations and additions", points.len());
    let broken = over_all(points, |puller, point| lie_once(puller, &answers[point.answer], point));
    println!("{} violations in {:?}", broken.len(), began.elapsed());
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Lies always, or once; an answer to one lie may be to ask again.
fn lie_once(puller: &Puller, answer: &Answer, point: &Point) -> Vec<String> {
    puller.clear();
    let rule = Rule::on(Method::Get, &answer.path).then(point.action.clone());
    puller.registry.add_rule(if point.again { rule.times(1) } else { rule });
    let began = Instant::now();
    let patient = Deadlines { first_byte: STANDSTILL, no_progress: STANDSTILL, ..Deadlines::default() };
    let result = puller.pull(2, patient);
    let mut broken = puller.check(result.is_ok());
    // Nobody stands still here, and so nobody is to be waited for.
    if began.elapsed() >= STANDSTILL {
        broken.push(format!("P6: {:?}, {result:?}", began.elapsed()));
    }
    let is_free = if let Action::Append(bytes) = &point.action {
        // White space after JSON changes nothing but the digest, which a tag does not tell.
        bytes[0] == b' ' && answer.path.ends_with("/manifests/1")
    } else if let Action::Truncate(length) = &point.action {
        // What is missing comes with the second attempt, as a range.
        2 * length >= answer.whole - answer.head && answer.path.contains("/blobs/")
    } else {
        false
    };
    match result {
        Ok(()) if point.again || is_free => {}
        Ok(()) => broken.push("P5: a lie was believed".to_owned()),
        Err(error) if matches!(error.class(), Class::Integrity | Class::Network) => {}
        Err(error) => broken.push(format!("P5: {:?}: {error}", error.class())),
    }
    puller.registry.forget_rules();
    let result = puller.pull(1, patient);
    if let Err(error) = &result {
        broken.push(format!("P3: {error}"));
    }
    broken.extend(puller.check(result.is_ok()));
    let name = format!("{} {:?} {}", answer.path, point.action, if point.again { "once" } else { "always" });
    broken.into_iter().map(|what| format!("{name}: {what}")).collect()
}

const STANDSTILL: Duration = Duration::from_secs(5);

/// Works through points, on as many registries as there are workers.
fn over_all(points: Vec<Point>, attempt: impl Fn(&Puller, &Point) -> Vec<String> + Sync) -> Vec<String> {
    let queue = Mutex::new(points.into_iter());
    let broken = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                let puller = Puller::new();
                loop {
                    let next = queue.lock().expect("no worker panicked").next();
                    let Some(point) = next else { break };
                    let what = attempt(&puller, &point);
                    broken.lock().expect("no worker panicked").extend(what);
                }
            });
        }
    });
    broken.into_inner().expect("no worker panicked")
}

/// Most of them wait, for a pause or a deadline to be over.
const WORKERS: usize = 8;

/// Learns what is asked for in a pull, and how long the answers are.
fn answers() -> Vec<Answer> {
    let puller = Puller::new();
    puller.pull(1, Deadlines::default()).expect("nothing is broken");
    let requests = puller.registry.requests();
    let measure = |path: &str| {
        let mut socket = TcpStream::connect(puller.registry.address()).expect("it listens");
        write!(socket, "GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").expect("it reads");
        let mut text = Vec::new();
        let mut byte = [0];
        while !text.ends_with(b"\r\n\r\n") {
            socket.read_exact(&mut byte).expect("it answers");
            text.extend(byte);
        }
        let head = String::from_utf8(text).expect("ASCII").to_ascii_lowercase();
        let length =
            head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()).expect("a length");
        (head.len() as u64, length.parse::<u64>().expect("a number"))
    };
    let answers = requests.iter().map(|request| {
        let (head, body) = measure(request.path());
        Answer { path: request.path().to_owned(), head, whole: head + body }
    });
    answers.collect()
}
