//! `get`: the files of an artifact, as they are.

use oci_fetcher::{Existing, Got};
use oci_fetcher_core::sanitise::sanitise;

use super::{ReportFile, Surroundings};
use crate::cli::args::Get;
use crate::cli::connect;
use crate::cli::content::{Content, Overwrite, is_standard_output};
use crate::cli::failure::{Ended, Failure};
use crate::cli::output::{print, print_json};
use crate::cli::results::{DestinationResult, GetResult};
use crate::cli::usage::UsageError;

pub(super) async fn run(options: &Get, with: &Surroundings) -> Result<(), Ended> {
    let source = connect::source(&options.source)?;
    let to_standard_output = options.output.as_deref().is_some_and(is_standard_output);
    if with.output.json && to_standard_output {
        return Err(UsageError::JsonBesideContent.into());
    }
    let platform = options.platform.platform.as_ref();
    let client = with.context.client(&options.client, platform, std::slice::from_ref(&source))?;
    let report = ReportFile::open(options.report.report.as_deref(), options.directory.as_deref())?;
    let (got, destination) = match (&options.output, &options.directory) {
        (Some(output), _) => {
            let got = async {
                let content = Content::open(output, Overwrite::forced(options.force), "--output")?;
                let got = client.get_one(&source, content.writer()).await;
                let got = got.map_err(|error| content.explain(Failure::new(&error).into()))?;
                content.finish()?;
                Ok(got)
            };
            let destination = if to_standard_output {
                DestinationResult::standard_output()
            } else {
                DestinationResult::new("file", output)
            };
            (got.await, destination)
        }
        (None, Some(directory)) => {
            let existing = if options.force { Existing::Replace } else { Existing::Refuse };
            let got = client.get_directory(&source, directory, existing).await;
            (got.map_err(|error| Failure::new(&error).into()), DestinationResult::new("directory", directory))
        }
        (None, None) => return Err(UsageError::NoDestination.into()),
    };
    let got = match got {
        Ok(got) => got,
        Err(Ended::Failed(failure)) => {
            let place = destination.path.as_deref().unwrap_or("standard output");
            let action = format!("cannot get {} into {place}", options.source);
            return Err(report.failed(failure.during(&action).into()));
        }
        Err(ended) => return Err(ended),
    };
    let place = destination.path.clone();
    let result = GetResult::new(&got, destination);
    report.write(&result)?;
    if to_standard_output {
        Ok(())
    } else if with.output.json {
        print_json(&result)
    } else if with.output.quiet {
        print(&format!("{}\n", got.image.manifest.digest))
    } else {
        print(&lines(&got, place.as_deref().unwrap_or_default()))
    }
}

/// Returns a line for each file, as `sha256sum` writes it.
fn lines(got: &Got, place: &str) -> String {
    let line = |file: &oci_fetcher::GotFile| {
        let path = file.path.as_ref().map_or_else(|| place.into(), |path| path.to_string_lossy());
        format!("{}  {}\n", file.descriptor.digest, sanitise(&path, TEXT_CHARS))
    };
    got.files.iter().map(line).collect()
}

/// Linux's `PATH_MAX`.
const TEXT_CHARS: usize = 4_096;
