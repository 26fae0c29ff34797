//! Attacks by a registry: credentials, redirects, tokens, manifests, bodies, texts.

use oci_fetcher_tests::hostile::Table;

use crate::Filter;

/// Runs the cases.
pub(crate) fn table(_filter: &Filter) -> Table {
    Table::new("Registries", &["native", "wasm", "skopeo", "client"])
}
