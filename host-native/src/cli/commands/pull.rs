//! `pull`: images into a directory, a layout or a tar.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use oci_fetcher::{Checked, Client, Destination, Existing, ImageInfo, Platforms, PullOptions, Pulled};
use oci_fetcher_core::digest::Digest;
use oci_fetcher_core::entry::NamePolicy;
use oci_fetcher_core::report::Report;
use oci_fetcher_core::sanitise::sanitise;
use oci_fetcher_core::source::Source;

use super::{ReportFile, Surroundings};
use crate::cli::args::Pull;
use crate::cli::connect;
use crate::cli::content::{Content, Overwrite, is_standard_output};
use crate::cli::failure::{Ended, Failure};
use crate::cli::output::{print, print_json};
use crate::cli::progress::{Progress, counted};
use crate::cli::results::{BlobsResult, DestinationResult, ImageResult, PullResult, ReportResult, UnpackedResult};
use crate::cli::size::rounded;
use crate::cli::usage::UsageError;

/// Where images go.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    Directory(PathBuf),
    Layout(PathBuf),
    /// "-" is standard output.
    Tar(PathBuf),
}

pub(super) async fn run(options: &Pull, with: &Surroundings) -> Result<(), Ended> {
    let (texts, target) = operands(options)?;
    let sources = texts.iter().map(|text| connect::source(text)).collect::<Result<Vec<_>, _>>()?;
    if options.ref_name.is_some() && sources.len() > 1 {
        return Err(UsageError::SeveralNames.into());
    }
    if with.output.json && target.is_standard_output() {
        return Err(UsageError::JsonBesideContent.into());
    }
    let client = with.context.client(&options.client, options.platform.platform.as_ref(), &sources)?;
    let report = ReportFile::open(options.report.report.as_deref(), target.folder())?;
    let pulled = match fetch(&client, &sources, &target, options).await {
        Ok(pulled) => pulled,
        Err(Ended::Failed(failure)) => {
            let action = format!("cannot pull {} {}", texts.join(", "), target.with_preposition());
            return Err(report.failed(failure.during(&action).into()));
        }
        Err(ended) => return Err(ended),
    };
    for warning in &pulled.warnings {
        with.progress.warn(warning);
    }
    let digests: Vec<&Digest> = pulled.images.iter().map(|image| named(image, options)).collect();
    let result = PullResult {
        digest: digests.last().copied(),
        destination: target.result(),
        images: pulled.images.iter().map(ImageResult::from).collect(),
        unpacked: pulled.unpacked.map(UnpackedResult::from),
        blobs: BlobsResult { fetched: pulled.blobs_fetched, stored: pulled.blobs_stored },
        checked: pulled.checked.into(),
        report: ReportResult::from(&pulled.report),
        warnings: &pulled.warnings,
    };
    report.write(&result)?;
    summarise(&pulled, &with.progress);
    if target.is_standard_output() {
        return Ok(());
    }
    if with.output.json {
        return print_json(&result);
    }
    let lines = pulled.images.iter().zip(digests).map(|(image, digest)| {
        if with.output.quiet { format!("{digest}\n") } else { line(digest, &image.source, &target) }
    });
    print(&lines.collect::<String>())
}

/// Tells sources and the directory apart.
fn operands(options: &Pull) -> Result<(Vec<String>, Target), Ended> {
    let mut operands: Vec<&OsStr> = options.operands.iter().map(|operand| &**operand).collect();
    let target = match (&options.layout, &options.tar) {
        (Some(layout), _) => Target::Layout(layout.clone()),
        (None, Some(tar)) => Target::Tar(tar.clone()),
        (None, None) => match operands.pop() {
            Some(directory) if !operands.is_empty() => Target::Directory(directory_operand(directory)?),
            Some(_) | None => return Err(UsageError::NoDestination.into()),
        },
    };
    let texts = operands.into_iter().map(|operand| match operand.to_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(UsageError::NotText { text: operand.to_string_lossy().into_owned() }.into()),
    });
    Ok((texts.collect::<Result<_, Ended>>()?, target))
}

/// Refuses what other tools read as a destination's kind, and what a forgotten directory leaves.
fn directory_operand(operand: &OsStr) -> Result<PathBuf, UsageError> {
    let text = operand.to_string_lossy();
    let reads_like_source =
        ["docker://", "oci:", "oci-archive:", "docker-archive:", "dir:"].iter().any(|prefix| text.starts_with(prefix))
            || text.contains("@sha256:");
    if reads_like_source {
        return Err(UsageError::SourceAsDirectory { text: text.into_owned() });
    }
    Ok(operand.into())
}

async fn fetch(client: &Client, sources: &[Source], target: &Target, options: &Pull) -> Result<Pulled, Ended> {
    let mut how = PullOptions::default();
    how.existing = match (options.force, options.in_place) {
        (_, true) => Existing::InPlace,
        (true, false) => Existing::Replace,
        (false, false) => Existing::Refuse,
    };
    how.paths.clone_from(&options.paths);
    how.names = if options.portable_names { NamePolicy::Report } else { NamePolicy::Any };
    how.platforms = if options.all_platforms { Platforms::All } else { Platforms::One };
    how.ref_name.clone_from(&options.ref_name);
    let pulled = match target {
        Target::Directory(path) => client.pull_all(sources, Destination::Directory(path), &how).await,
        Target::Layout(path) => client.pull_all(sources, Destination::OciLayout(path), &how).await,
        Target::Tar(path) => {
            let content = Content::open(path, Overwrite::forced(options.force), "--tar")?;
            let pulled = client.pull_tar(sources, content.writer(), &how).await;
            let pulled = pulled.map_err(|error| content.explain(Failure::new(&error).into()))?;
            content.finish()?;
            return Ok(pulled);
        }
    };
    pulled.map_err(|error| Failure::new(&error).into())
}

/// Returns the digest that stands for an image where it went.
fn named<'i>(image: &'i ImageInfo, options: &Pull) -> &'i Digest {
    if options.all_platforms { &image.top.digest } else { &image.manifest.digest }
}

fn line(digest: &Digest, source: &str, target: &Target) -> String {
    format!("{digest}  {} -> {}\n", sanitise(source, TEXT_CHARS), target.text())
}

/// References and paths are shorter, unless somebody means to hide something.
const TEXT_CHARS: usize = 4_096;

impl Target {
    fn path(&self) -> &Path {
        match self {
            Self::Directory(path) | Self::Layout(path) | Self::Tar(path) => path,
        }
    }

    fn text(&self) -> String {
        sanitise(&self.path().to_string_lossy(), TEXT_CHARS)
    }

    fn is_standard_output(&self) -> bool {
        matches!(self, Self::Tar(path) if is_standard_output(path))
    }

    /// Returns the folder that the pull has for itself.
    fn folder(&self) -> Option<&Path> {
        match self {
            Self::Directory(path) | Self::Layout(path) => Some(path),
            Self::Tar(_) => None,
        }
    }

    fn with_preposition(&self) -> String {
        match self {
            Self::Directory(_) => format!("into {}", self.text()),
            Self::Layout(_) => format!("into the layout {}", self.text()),
            Self::Tar(_) if self.is_standard_output() => "to standard output".to_owned(),
            Self::Tar(_) => format!("into {}", self.text()),
        }
    }

    fn result(&self) -> DestinationResult {
        match self {
            Self::Directory(path) => DestinationResult::new("directory", path),
            Self::Layout(path) => DestinationResult::new("oci-layout", path),
            Self::Tar(_) if self.is_standard_output() => DestinationResult::standard_output(),
            Self::Tar(path) => DestinationResult::new("tar", path),
        }
    }
}

/// Tells a person what there is now, and what is missing from it.
fn summarise(pulled: &Pulled, progress: &Progress) {
    let blobs = counted(pulled.blobs_fetched, "blob");
    let stored = match pulled.blobs_stored {
        0 => String::new(),
        stored => format!(", had {stored}"),
    };
    match &pulled.unpacked {
        Some(counts) => {
            let entries = counts.entries;
            progress.conclude(
                "unpacked",
                &format!("{entries} entries, {}; fetched {blobs}{stored}", rounded(counts.bytes)),
            );
        }
        None => {
            let Checked { diff_ids, digests_only } = pulled.checked;
            let checked = format!("checked {diff_ids} by diff_id, {digests_only} by digest alone");
            progress.conclude("fetched", &format!("{blobs}{stored}; {checked}"));
        }
    }
    if let Some(text) = left_out(&pulled.report) {
        progress.conclude("not applied", &format!("{text}; --report FILE lists them"));
    }
}

/// Sums up what was skipped. That files belong to whoever unpacks them says nothing by itself.
fn left_out(report: &Report) -> Option<String> {
    let counts = report.counts();
    let kinds: Vec<String> = counts
        .iter()
        .filter(|(kind, _)| **kind != "ownership")
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    let others: u64 = report.ownership.iter().filter(|(owner, _)| **owner != (0, 0)).map(|(_, count)| count).sum();
    let owners = (others > 0).then(|| format!("{others} ownership"));
    let texts: Vec<String> = kinds.into_iter().chain(owners).collect();
    (!texts.is_empty()).then(|| texts.join(", "))
}

#[cfg(test)]
mod tests;
