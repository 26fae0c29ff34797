//! What strangers may serve: each numbered attack as cases of a table, on every host that it applies to.
//!
//! `cargo test -p oci-fetcher-tests --test hostile -- 16` runs the cases of one number; a word in
//! place of the number, those whose names hold it.
#![cfg(unix)]

#[path = "hostile/archives.rs"]
mod archives;
#[path = "hostile/registries.rs"]
mod registries;

use std::process::ExitCode;

use oci_fetcher_tests::hostile::Case;

/// Which cases to run.
struct Filter(Vec<String>);

impl Filter {
    fn from_arguments() -> Self {
        Self(std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect())
    }

    fn selects(&self, case: &Case) -> bool {
        self.0.is_empty() || self.0.iter().any(|word| *word == case.number.to_string() || case.name.contains(&**word))
    }
}

#[expect(clippy::print_stdout, reason = "the table is what this suite is for")]
fn main() -> ExitCode {
    if registries::serve() {
        return ExitCode::SUCCESS;
    }
    let filter = Filter::from_arguments();
    let tables = [archives::table(&filter), registries::table(&filter)];
    for table in &tables {
        println!("{table}");
    }
    let passed: usize = tables.iter().map(|table| table.passed()).sum();
    let failed: usize = tables.iter().map(|table| table.failed()).sum();
    println!("{passed} passed, {failed} failed");
    ExitCode::from(u8::from(failed > 0))
}
