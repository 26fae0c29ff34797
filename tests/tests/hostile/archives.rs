//! Attacks by way of a layer: names, links, whiteouts, headers, bombs.
//!
//! Each case is an image that one registry serves, and has to come to the same on every host: an
//! exact tree, or an error. Beside each destination on a disk stand a sibling with a longer name and a victim,
//! which must be as they were before; so must the folder that holds them.

#[path = "archives/cases/mod.rs"]
mod cases;
#[path = "archives/hosts/mod.rs"]
mod hosts;
#[path = "archives/lures.rs"]
mod lures;
#[path = "archives/neighbours.rs"]
mod neighbours;
#[path = "archives/node.rs"]
mod node;
#[path = "archives/row.rs"]
mod row;
#[path = "archives/run.rs"]
mod run;
#[path = "archives/sight.rs"]
mod sight;
#[path = "archives/trials/mod.rs"]
mod trials;

use oci_fetcher_tests::hostile::Table;

use self::row::{Host, Row};
use crate::Filter;

/// Runs the cases.
pub(crate) fn table(filter: &Filter) -> Table {
    let mut table = Table::new("Archives", &Host::ALL.map(Host::name));
    let rows: Vec<Row> = cases::all().into_iter().filter(|row| filter.selects(&row.case)).collect();
    for (case, host, outcome) in run::run(&rows) {
        table.record(case, host.name(), outcome);
    }
    for trial in trials::all().into_iter().filter(|trial| filter.selects(&trial.case)) {
        for (host, outcome) in (trial.run)(trial.case) {
            table.record(trial.case, host.name(), outcome);
        }
    }
    table
}
