//! Where archives are unpacked, each with the same answer.

pub(crate) mod javascript;
pub(crate) mod memory;
pub(crate) mod native;

/// What a host made of a case.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// It was unpacked; on a disk the tree is read from there.
    Unpacked {
        /// The lines of the canonical listing.
        lines: Vec<String>,
        skipped: Vec<Skipped>,
        warnings: Vec<String>,
    },
    /// It was refused.
    Failed { exit: i64, code: String, message: String },
}

/// An item of a report.
#[derive(Clone, Debug)]
pub(crate) struct Skipped {
    /// Path, kind and name, joined by spaces; the path without the slash at its front.
    pub(crate) item: String,
    pub(crate) reason: String,
}

impl Skipped {
    /// Reads an item as both hosts write it in JSON.
    pub(crate) fn read(json: &serde_json::Value) -> Self {
        let text = |key: &str| json[key].as_str().unwrap_or_default();
        let item = format!("{} {} {}", text("path").trim_start_matches('/'), text("what"), text("name"));
        Self { item: item.trim_end().to_owned(), reason: text("reason").to_owned() }
    }
}
