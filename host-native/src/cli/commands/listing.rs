//! `listing`: what a directory holds, for comparing.

use oci_fetcher::list_tree;

use crate::cli::args::{Listing, OutputOptions};
use crate::cli::failure::{Ended, Failure};
use crate::cli::output::{print, print_json};

pub(crate) fn run(options: &Listing, output: OutputOptions) -> Result<(), Ended> {
    let mut lines = Vec::new();
    let keep = |line: &str| {
        if !output.quiet {
            lines.push(line.to_owned());
        }
    };
    let digest = list_tree(&options.directory, &options.without, keep).map_err(|error| Failure::new(&error))?;
    if output.json {
        return print_json(&serde_json::json!({ "digest": digest, "lines": lines }));
    }
    lines.push(digest.to_string());
    print(&(lines.join("\n") + "\n"))
}
