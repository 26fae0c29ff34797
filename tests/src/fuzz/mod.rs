//! What must hold for any bytes whatever: one function for each reader of foreign bytes.
//!
//! Each takes bytes as a stranger would serve them and panics where a promise is broken, not only
//! where the reader itself panics. `tests/fuzz` gives them to libFuzzer, and the suite `corpus` to
//! seeds, past failures and simple mutations of both. They need the core alone, so that a fuzzer
//! has nothing else to instrument.

mod archive_index;
mod artifact;
mod auth_file;
mod blocks;
mod challenge;
mod config;
mod digest;
mod docker_archive;
mod entry;
mod error;
mod grant;
mod gzip;
mod helper;
mod inflate;
mod layer;
mod layout_index;
mod link;
mod manifest;
mod merge;
mod pax;
mod pieces;
mod pull;
mod range;
mod reference;
mod sparse;
mod tar;
mod texts;
mod tree;
mod url;
mod zstd;

use oci_fetcher_core::limits::Limits;

/// One reader of foreign bytes, and what must hold of it.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// What commands and corpora call it.
    pub name: &'static str,
    /// Panics if these bytes break a promise.
    pub run: fn(&[u8]),
}

/// Everything that is fuzzed, in the order of names.
pub const TARGETS: &[Target] = &[
    Target { name: "archive-index", run: archive_index::target },
    Target { name: "artifact", run: artifact::target },
    Target { name: "auth-file", run: auth_file::target },
    Target { name: "challenge", run: challenge::target },
    Target { name: "config", run: config::target },
    Target { name: "content-range", run: range::target },
    Target { name: "digest", run: digest::target },
    Target { name: "docker-archive", run: docker_archive::target },
    Target { name: "grant", run: grant::target },
    Target { name: "gzip", run: gzip::target },
    Target { name: "helper", run: helper::target },
    Target { name: "layer", run: layer::target },
    Target { name: "layout-index", run: layout_index::target },
    Target { name: "link", run: link::target },
    Target { name: "manifest", run: manifest::target },
    Target { name: "merge", run: merge::target },
    Target { name: "pax", run: pax::target },
    Target { name: "pull", run: pull::target },
    Target { name: "reference", run: reference::target },
    Target { name: "sparse", run: sparse::target },
    Target { name: "tar", run: tar::target },
    Target { name: "texts", run: texts::target },
    Target { name: "url", run: url::target },
    Target { name: "zstd", run: zstd::target },
];

/// Runs the target of this name once.
///
/// # Panics
///
/// Panics if there is no such target, or a promise is broken.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.unwrap_or_else(|| panic!("no target {name}")).run)(data);
}

/// Limits that a fuzzer's few bytes can reach.
fn limits() -> Limits {
    Limits {
        layer_bytes: 1 << 20,
        output_bytes: 4 << 20,
        entries: 2_000,
        tree_bytes: 4 << 20,
        path_depth: 64,
        path_bytes: 600,
        xattr_bytes: 1_000,
        extension_bytes: 16 << 10,
        zstd_window: 1 << 20,
        index_entries: 64,
        layers: 32,
        pages: 8,
        ..Limits::default()
    }
}
