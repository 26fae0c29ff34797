//! The cases, by theme and number.

mod accepted;
mod bounds;
mod decompressors;
mod gzip;
mod hard_links;
mod headers;
mod links;
mod metadata;
mod names;
mod portable;
mod sparse;
mod types;
mod whiteouts;
mod zstd;

use super::row::Row;

/// Returns all of them.
pub(crate) fn all() -> Vec<Row> {
    let themes = [
        names::rows(),
        links::rows(),
        hard_links::rows(),
        whiteouts::rows(),
        types::rows(),
        headers::rows(),
        sparse::rows(),
        bounds::rows(),
        accepted::rows(),
        metadata::rows(),
        portable::rows(),
        decompressors::rows(),
        gzip::rows(),
        zstd::rows(),
    ];
    themes.into_iter().flatten().collect()
}
