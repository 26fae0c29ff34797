//! The commands, one file for each kind.

pub(crate) mod cache;
mod get;
mod inspect;
#[cfg(unix)]
mod listing;
mod pull;
pub(crate) mod shell;

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use super::args::{Command, OutputOptions};
use super::connect::Context;
use super::content::{Content, Overwrite, is_standard_output};
use super::failure::Ended;
use super::output::{Layout, json};
use super::progress::Progress;
use super::usage::{FileError, UsageError};

/// What a command is carried out with.
pub(crate) struct Surroundings {
    pub(crate) context: Context,
    pub(crate) output: OutputOptions,
    pub(crate) progress: Arc<Progress>,
}

/// Carries out a command. Dropping the future cancels it.
pub(crate) async fn run(command: &Command, with: &Surroundings) -> Result<(), Ended> {
    match command {
        Command::Pull(pull) => pull::run(pull, with).await,
        Command::Get(get) => get::run(get, with).await,
        Command::Manifest(options) => inspect::manifest(options, with).await,
        Command::Config(options) => inspect::config(options, with).await,
        Command::Digest(options) => inspect::digest(options, with).await,
        Command::Tags(options) => inspect::tags(options, with).await,
        Command::Referrers(options) => inspect::referrers(options, with).await,
        Command::Blob(options) => inspect::blob(options, with).await,
        #[cfg(unix)]
        Command::Listing(options) => listing::run(options, with.output),
        Command::Cache(options) => cache::run(&options.command, with.output),
        Command::Completions { shell } => shell::completions(*shell),
        Command::Man { command } => shell::manual(command.as_deref()),
    }
}

/// The file of `--report`, whose place is taken before anything is fetched.
struct ReportFile(Option<Content>);

impl ReportFile {
    /// Opens it, unless it would lie in the directory that is about to be replaced.
    fn open(path: Option<&Path>, destination: Option<&Path>) -> Result<Self, Ended> {
        let Some(path) = path else { return Ok(Self(None)) };
        if is_standard_output(path) {
            return Err(UsageError::ReportToStandardOutput.into());
        }
        if let Some(destination) = destination {
            let absolute = |path: &Path| {
                std::path::absolute(path).map_err(|source| FileError::new("find", path.display().to_string(), source))
            };
            if absolute(path)?.starts_with(absolute(destination)?) {
                return Err(UsageError::ReportInside.into());
            }
        }
        Content::open(path, Overwrite::Replace, "--report").map(|content| Self(Some(content)))
    }

    /// Writes what came of the command: its result, or why there is none.
    fn write(self, result: &impl Serialize) -> Result<(), Ended> {
        let Some(content) = self.0 else { return Ok(()) };
        let text = json(result, Layout::Indented);
        let written = std::io::Write::write_all(&mut content.writer(), text.as_bytes());
        written.map_err(|source| FileError::new("write", "the report", source))?;
        content.finish()
    }

    /// Writes why the command failed, and hands that back.
    fn failed(self, ended: Ended) -> Ended {
        match &ended {
            // The first failure is the one to tell.
            Ended::Failed(failure) => drop(self.write(&failure.json())),
            Ended::PipeClosed | Ended::Signalled(_) => {}
        }
        ended
    }
}
