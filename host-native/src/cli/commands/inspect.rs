//! Commands that print what a registry holds: `manifest`, `config`, `digest`, `tags`,
//! `referrers`, `blob`.

use oci_fetcher::{Client, Error, RawManifest};
use oci_fetcher_core::digest::{Algorithm, Digest};
use oci_fetcher_core::manifest::{Descriptor, ImageConfig, Platform};
use oci_fetcher_core::sanitise::sanitise;
use oci_fetcher_core::source::Source;
use serde::Serialize;

use super::Surroundings;
use crate::cli::args::{Blob, ClientOptions, Inspect, Referrers, Tags};
use crate::cli::connect;
use crate::cli::content::{Content, Overwrite, is_standard_output};
use crate::cli::failure::{Ended, Failure};
use crate::cli::output::{print, print_content, print_json};
use crate::cli::results::DestinationResult;
use crate::cli::usage::UsageError;

pub(super) async fn manifest(options: &Inspect, with: &Surroundings) -> Result<(), Ended> {
    let raw = raw_manifest(options, with).await?;
    if !with.output.json {
        return print_content(&raw.bytes);
    }
    #[derive(Serialize)]
    struct Result<'r> {
        #[serde(flatten)]
        named: Named<'r>,
        manifest: serde_json::Value,
    }
    // It has been parsed before: what is no JSON does not come this far.
    let manifest = serde_json::from_slice(&raw.bytes).unwrap_or_default();
    print_json(&Result { named: Named::from(&raw), manifest })
}

pub(super) async fn digest(options: &Inspect, with: &Surroundings) -> Result<(), Ended> {
    let raw = raw_manifest(options, with).await?;
    if with.output.json { print_json(&Named::from(&raw)) } else { print(&format!("{}\n", raw.digest)) }
}

/// A manifest without its content.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Named<'m> {
    digest: &'m Digest,
    media_type: &'m str,
    size: usize,
}

impl<'m> From<&'m RawManifest> for Named<'m> {
    fn from(raw: &'m RawManifest) -> Self {
        Self { digest: &raw.digest, media_type: &raw.media_type, size: raw.bytes.len() }
    }
}

async fn raw_manifest(options: &Inspect, with: &Surroundings) -> Result<RawManifest, Ended> {
    let (client, source) = connected(&options.source, &options.client, options.platform.platform.as_ref(), with)?;
    client.manifest(&source).await.map_err(|error| failed(&error, "read the manifest of", &options.source))
}

pub(super) async fn config(options: &Inspect, with: &Surroundings) -> Result<(), Ended> {
    let (client, source) = connected(&options.source, &options.client, options.platform.platform.as_ref(), with)?;
    let info = client.image(&source).await;
    let info = info.map_err(|error| failed(&error, "read the config of", &options.source))?;
    if !with.output.json {
        return print_content(&info.config_bytes);
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Result<'r> {
        digest: Digest,
        size: usize,
        platform: Option<String>,
        artifact_type: Option<&'r str>,
        image: Option<&'r ImageConfig>,
    }
    print_json(&Result {
        digest: config_digest(&info.manifest.bytes, &info.config_bytes),
        size: info.config_bytes.len(),
        platform: info.config.as_ref().and_then(|config| config.platform()).map(|platform| platform.to_string()),
        artifact_type: info.artifact_type.as_deref(),
        image: info.config.as_deref(),
    })
}

/// Returns the digest by which a manifest names its config.
fn config_digest(manifest: &[u8], config: &[u8]) -> Digest {
    let manifest: serde_json::Value = serde_json::from_slice(manifest).unwrap_or_default();
    let named = manifest["config"]["digest"].as_str().and_then(|digest| digest.parse().ok());
    named.unwrap_or_else(|| Digest::of(Algorithm::Sha256, config))
}

pub(super) async fn tags(options: &Tags, with: &Surroundings) -> Result<(), Ended> {
    let (client, source) = connected(&options.repository, &options.client, None, with)?;
    let Source::Registry(reference) = &source else { return Err(UsageError::NotRegistry.into()) };
    let tags = client.tags(reference).await;
    let tags = tags.map_err(|error| failed(&error, "list the tags of", &options.repository))?;
    if !with.output.json {
        return print(&tags.iter().map(|tag| format!("{}\n", sanitise(tag, TAG_CHARS))).collect::<String>());
    }
    #[derive(Serialize)]
    struct Result<'r> {
        repository: String,
        tags: &'r [String],
    }
    let repository = format!("{}/{}", reference.registry(), reference.repository());
    print_json(&Result { repository, tags: &tags })
}

/// Twice what the specification lets a tag have.
const TAG_CHARS: usize = 256;

pub(super) async fn referrers(options: &Referrers, with: &Surroundings) -> Result<(), Ended> {
    let (client, source) = connected(&options.source, &options.client, options.platform.platform.as_ref(), with)?;
    let Source::Registry(reference) = &source else { return Err(UsageError::NotRegistry.into()) };
    let referrers = client.referrers(reference, options.artifact_type.as_deref()).await;
    let referrers = referrers.map_err(|error| failed(&error, "list what refers to", &options.source))?;
    if with.output.json {
        #[derive(Serialize)]
        struct Result<'r> {
            subject: &'r Digest,
            referrers: &'r [Descriptor],
        }
        return print_json(&Result { subject: &referrers.subject, referrers: &referrers.manifests });
    }
    let line = |entry: &Descriptor| match &entry.artifact_type {
        Some(artifact_type) if !with.output.quiet => {
            format!("{}  {}\n", entry.digest, sanitise(artifact_type, TYPE_CHARS))
        }
        Some(_) | None => format!("{}\n", entry.digest),
    };
    print(&referrers.manifests.iter().map(line).collect::<String>())
}

/// Twice the longest media type (RFC 6838 section 4.2).
const TYPE_CHARS: usize = 512;

pub(super) async fn blob(options: &Blob, with: &Surroundings) -> Result<(), Ended> {
    let to_standard_output = is_standard_output(&options.output);
    if with.output.json && to_standard_output {
        return Err(UsageError::JsonBesideContent.into());
    }
    let (client, source) = connected(&options.source, &options.client, None, with)?;
    let content = Content::open(&options.output, Overwrite::forced(options.force), "--output")?;
    let size = client.blob(&source, &options.digest, content.writer()).await;
    let size = size.map_err(|error| {
        let what = format!("fetch the blob {} of", options.digest);
        content.explain(failed(&error, &what, &options.source))
    })?;
    content.finish()?;
    if to_standard_output {
        return Ok(());
    }
    #[derive(Serialize)]
    struct Result<'r> {
        digest: &'r Digest,
        size: u64,
        destination: DestinationResult,
    }
    let destination = DestinationResult::new("file", &options.output);
    if with.output.json {
        print_json(&Result { digest: &options.digest, size, destination })
    } else if with.output.quiet {
        print(&format!("{}\n", options.digest))
    } else {
        print(&format!("{}  {}\n", options.digest, sanitise(&options.output.to_string_lossy(), PATH_CHARS)))
    }
}

/// Linux's `PATH_MAX`.
const PATH_CHARS: usize = 4_096;

fn connected(
    text: &str,
    options: &ClientOptions,
    platform: Option<&Platform>,
    with: &Surroundings,
) -> Result<(Client, Source), Ended> {
    let source = connect::source(text)?;
    let client = with.context.client(options, platform, std::slice::from_ref(&source))?;
    Ok((client, source))
}

fn failed(error: &Error, what: &str, source: &str) -> Ended {
    Failure::new(error).during(&format!("cannot {what} {source}")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_has_the_digest_that_its_manifest_names() {
        let config = b"{}";
        let sha512 = Digest::of(Algorithm::Sha512, config);
        let manifest = format!(r#"{{"config":{{"digest":"{sha512}"}}}}"#);
        assert_eq!(config_digest(manifest.as_bytes(), config), sha512);
        for without in ["{}", r#"{"config":null}"#, r#"{"config":{"digest":"../x"}}"#] {
            assert_eq!(config_digest(without.as_bytes(), config), Digest::of(Algorithm::Sha256, config));
        }
    }
}
