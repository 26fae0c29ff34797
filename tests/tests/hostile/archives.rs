//! Attacks by way of a layer: names, links, whiteouts, headers, bombs.

use oci_fetcher_tests::hostile::Table;

use crate::Filter;

/// Runs the cases.
pub(crate) fn table(_filter: &Filter) -> Table {
    Table::new("Archives", &["root", "user", "memory", "wasm", "node"])
}
