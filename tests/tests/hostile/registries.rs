//! Attacks by a registry: credentials, redirects, tokens, manifests, bodies, texts.
//!
//! Each case sets servers up and asks for something; what is held against all of them is in `answer.rs`:
//! the exit code, no secret where it does not belong, an untouched destination and cache, an end.

#[path = "registries/addresses.rs"]
mod addresses;
#[path = "registries/answer.rs"]
mod answer;
#[path = "registries/bounds.rs"]
mod bounds;
#[path = "registries/client.rs"]
mod client;
#[path = "registries/digests.rs"]
mod digests;
#[path = "registries/hosts.rs"]
mod hosts;
#[path = "registries/manifests.rs"]
mod manifests;
#[path = "registries/realms.rs"]
mod realms;
#[path = "registries/redirects.rs"]
mod redirects;
#[path = "registries/row.rs"]
mod row;
#[path = "registries/stage.rs"]
mod stage;
#[path = "registries/texts.rs"]
mod texts;
#[path = "registries/tokens.rs"]
mod tokens;
#[path = "registries/transfers.rs"]
mod transfers;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use oci_fetcher_tests::hostile::{Outcome, Table};

use crate::Filter;
pub(crate) use client::serve;
use hosts::Hosts;
use row::Row;

const HOSTS: [&str; 4] = ["native", "wasm", "skopeo", "client"];
/// How many cases each runs at once: two are one process, and skopeo often waits until it is stopped.
const WORKERS: [usize; 4] = [2, 1, 3, 1];
/// Whose outcomes count; the others stand beside them.
const OURS: [&str; 2] = ["native", "wasm"];

/// Runs the cases.
pub(crate) fn table(filter: &Filter) -> Table {
    let mut table = Table::new("Registries", &HOSTS);
    let rows: Vec<_> = rows().into_iter().filter(|row| filter.selects(&row.case)).collect();
    if rows.is_empty() {
        return table;
    }
    let hosts = Hosts::new();
    for (row, host, outcome) in outcomes(&rows, &hosts) {
        table.record(row.case, host, outcome);
    }
    table
}

/// Runs all cases on all hosts. Each host goes its own way through them, with servers of its own, since
/// most of the time is spent waiting.
fn outcomes<'r>(rows: &'r [Row], hosts: &Hosts) -> Vec<(&'r Row, &'static str, Outcome)> {
    std::thread::scope(|scope| {
        let mut running = Vec::new();
        for (host, workers) in HOSTS.into_iter().zip(WORKERS) {
            let next = Arc::new(AtomicUsize::new(0));
            for _ in 0..workers {
                let next = Arc::clone(&next);
                let work = move || -> Vec<_> {
                    let rows = std::iter::from_fn(|| rows.get(next.fetch_add(1, Ordering::Relaxed)));
                    rows.map(|row| (row, host, outcome(row, host, hosts))).collect()
                };
                running.push(scope.spawn(work));
            }
        }
        running.into_iter().flat_map(|thread| thread.join().expect("a case ends with an outcome")).collect()
    })
}

/// Runs a case on one host.
fn outcome(row: &Row, host: &'static str, hosts: &Hosts) -> Outcome {
    if let Some((_, reason)) = row.absent.iter().find(|(on, _)| *on == host) {
        return Outcome::Absent(reason);
    }
    let stage = row.stage();
    let answer = hosts.ask(host, &stage);
    if OURS.contains(&host) { answer.judge(&row.case, &stage) } else { answer.describe(&row.case, &stage) }
}

fn rows() -> Vec<Row> {
    let all = [
        redirects::rows(),
        realms::rows(),
        addresses::rows(),
        tokens::rows(),
        digests::rows(),
        manifests::rows(),
        bounds::rows(),
        transfers::rows(),
        texts::rows(),
    ];
    all.into_iter().flatten().collect()
}
