//! What may stand on the command line.

mod limits;
mod options;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::Styles;
use clap::builder::styling::AnsiColor;
use clap::{ArgGroup, Args, Parser, Subcommand};
use clap_complete::Shell;
use oci_fetcher_core::digest::Digest;
#[cfg(unix)]
use oci_fetcher_core::listing::Attribute;

pub(crate) use limits::LimitOptions;
pub(crate) use options::{ClientOptions, OutputOptions, PlatformOption, explained};

use super::size::Size;

/// Fetches what OCI registries hold, verifies every byte, and unpacks it safely
///
/// Container images, WebAssembly modules, plug-ins and other artifacts, from registries or from
/// local layouts and archives, without a container runtime.
#[derive(Debug, Parser)]
#[command(
    name = "oci-fetcher",
    version,
    styles = STYLES,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  oci-fetcher pull alpine ./alpine            Unpack an image into a directory
  oci-fetcher pull alpine --layout ./images   Keep it as an OCI image layout
  oci-fetcher pull alpine --tar - | tar t     Flatten it into a tar stream
  oci-fetcher get ghcr.io/org/plugin:1 ./out  Fetch an artifact's files
  oci-fetcher tags ghcr.io/org/app            List the tags of a repository

A SOURCE is a registry's reference (alpine, ghcr.io/org/app:1.2, name@sha256:...),
oci:DIR[:NAME], oci-archive:FILE[:NAME] or docker-archive:FILE[:NAME]. What starts
with docker:// is always a reference.",
    after_long_help = "\
Examples:
  oci-fetcher pull alpine ./alpine            Unpack an image into a directory
  oci-fetcher pull alpine --layout ./images   Keep it as an OCI image layout
  oci-fetcher pull alpine --tar - | tar t     Flatten it into a tar stream
  oci-fetcher get ghcr.io/org/plugin:1 ./out  Fetch an artifact's files
  oci-fetcher tags ghcr.io/org/app            List the tags of a repository

A SOURCE is a registry's reference (alpine, ghcr.io/org/app:1.2, name@sha256:...),
oci:DIR[:NAME], oci-archive:FILE[:NAME] or docker-archive:FILE[:NAME]. What starts
with docker:// is always a reference.

Credentials are looked for in $DOCKER_AUTH_CONFIG, $REGISTRY_AUTH_FILE, podman's
auth.json and docker's config.json; credential helpers are asked. Proxies are taken
from $HTTPS_PROXY, $HTTP_PROXY and $NO_PROXY, colours are left out with $NO_COLOR.

Exit codes:
  0    done
  1    internal: a bug in oci-fetcher
  2    usage: arguments, a malformed reference, a destination that is not empty
  3    not found: image, tag, platform, path, or an --offline miss
  4    authentication: credentials missing or refused
  5    network: connection, TLS, deadline, or a registry that keeps failing
  6    integrity: bytes that disagree with their digest, or are malformed
  7    refused: unsafe content, or a limit, which the message names
  8    local: disk full, permissions, other input and output
  9    unsupported: a kind of content that is not handled
  130  interrupted by SIGINT
  143  ended by SIGTERM"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

/// The colours of cargo.
const STYLES: Styles = Styles::styled()
    .header(AnsiColor::BrightGreen.on_default().bold())
    .usage(AnsiColor::BrightGreen.on_default().bold())
    .literal(AnsiColor::BrightCyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default())
    .error(AnsiColor::BrightRed.on_default().bold())
    .valid(AnsiColor::BrightCyan.on_default().bold())
    .invalid(AnsiColor::BrightYellow.on_default().bold());

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Pull(Box<Pull>),
    Get(Box<Get>),
    /// Print the manifest or index that a source names, exactly as served
    ///
    /// With --platform, the manifest of that platform's image.
    Manifest(Box<Inspect>),
    /// Print an image's config, exactly as served
    ///
    /// With --json, what the config says about running it, and its digest.
    Config(Box<Inspect>),
    /// Print the digest that a source names
    ///
    /// With --platform, the digest of that platform's image.
    Digest(Box<Inspect>),
    Tags(Box<Tags>),
    Referrers(Box<Referrers>),
    Blob(Box<Blob>),
    #[cfg(unix)]
    Listing(Listing),
    /// Show or clear what is kept between runs
    Cache(Cache),
    /// Print a shell's completion script
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print a manual page, in roff
    Man {
        /// The command to describe, instead of the whole program
        command: Option<String>,
    },
}

impl Command {
    /// Returns how registries are spoken to, where a command may do that.
    pub(crate) fn client_options(&self) -> Option<&ClientOptions> {
        match self {
            Self::Pull(pull) => Some(&pull.client),
            Self::Get(get) => Some(&get.client),
            Self::Manifest(inspect) | Self::Config(inspect) | Self::Digest(inspect) => Some(&inspect.client),
            Self::Tags(tags) => Some(&tags.client),
            Self::Referrers(referrers) => Some(&referrers.client),
            Self::Blob(blob) => Some(&blob.client),
            #[cfg(unix)]
            Self::Listing(_) => None,
            Self::Cache(_) | Self::Completions { .. } | Self::Man { .. } => None,
        }
    }
}

/// Unpack images into a directory, or copy them into a layout or a tar
///
/// Several sources are merged in their order, as if they were one image of all their layers.
/// The directory is absent or complete, never half: it is filled under another name beside it
/// and renamed when every byte has been verified.
#[derive(Debug, Args)]
#[command(
    override_usage = "\
oci-fetcher pull [OPTIONS] <SOURCE>... <DIR>
       oci-fetcher pull [OPTIONS] <SOURCE>... --layout <DIR>
       oci-fetcher pull [OPTIONS] <SOURCE>... --tar <FILE|->",
    after_help = "\
Examples:
  oci-fetcher pull heroku/builder:22 ./rootfs
  oci-fetcher pull heroku/builder:22 ghcr.io/org/buildpack:1 ./rootfs
  oci-fetcher pull debian --platform linux/arm64 --path etc --path usr ./part
  oci-fetcher pull debian --all-platforms --layout ./images
  oci-fetcher pull oci:images:debian --tar debian.tar"
)]
pub(crate) struct Pull {
    /// The images, and last the directory to unpack into
    #[arg(value_name = "SOURCE|DIR", required = true)]
    pub(crate) operands: Vec<OsString>,

    /// Copy into the OCI image layout DIR
    ///
    /// What the layout holds already stays, but for an image of the same name.
    #[arg(long, value_name = "DIR", conflicts_with = "tar", help_heading = "Destination")]
    pub(crate) layout: Option<PathBuf>,

    /// Name the image NAME in the layout, instead of as typed
    #[arg(long, value_name = "NAME", requires = "layout", help_heading = "Destination")]
    pub(crate) ref_name: Option<String>,

    /// Copy the images of all platforms, with the index
    #[arg(long, requires = "layout", conflicts_with = "platform", help_heading = "Destination")]
    pub(crate) all_platforms: bool,

    /// Flatten into the tar FILE; "-" is standard output
    #[arg(long, value_name = "FILE", help_heading = "Destination")]
    pub(crate) tar: Option<PathBuf>,

    /// Replace a directory that is not empty, or a file
    #[arg(long, conflicts_with = "layout", help_heading = "Destination")]
    pub(crate) force: bool,

    /// Fill an empty directory where it stands
    ///
    /// This gives up atomicity, and is needed where DIR is a mount point or its parent cannot be written. A pull that fails leaves
    /// what it has unpacked so far.
    #[arg(long, conflicts_with_all = ["force", "layout", "tar"], help_heading = "Destination")]
    pub(crate) in_place: bool,

    /// Report names that Windows cannot hold
    ///
    /// Drives and streams (`C:x`, `a:b`), devices (`nul.txt`), backslashes, and dots or spaces at the
    /// end. They are unpacked all the same; on Windows they are always refused.
    #[arg(long, conflicts_with_all = ["layout", "tar"], help_heading = "Destination")]
    pub(crate) portable_names: bool,

    #[command(flatten)]
    pub(crate) platform: PlatformOption,

    /// Unpack only PATH and what lies below it
    ///
    /// May be given several times. Paths are kept in full. Every layer is still fetched and verified.
    #[arg(long = "path", value_name = "PATH", conflicts_with = "layout", help_heading = "Selection")]
    pub(crate) paths: Vec<String>,

    #[command(flatten)]
    pub(crate) report: ReportOption,
    #[command(flatten)]
    pub(crate) client: ClientOptions,
}

/// Fetch an artifact's files, as they are
///
/// Layers with a title are written under it, the others by their digest. Nothing is unpacked.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("destination").args(["directory", "output"]).required(true),
    override_usage = "\
oci-fetcher get [OPTIONS] <SOURCE> <DIR>
       oci-fetcher get [OPTIONS] <SOURCE> --output <FILE|->",
    after_help = "\
Examples:
  oci-fetcher get ghcr.io/org/plugin:1 ./plugin
  oci-fetcher get ghcr.io/org/module:1 -o module.wasm
  oci-fetcher get ghcr.io/org/policy:1 -o - | less"
)]
pub(crate) struct Get {
    /// The artifact
    pub(crate) source: String,

    /// The directory for its files
    #[arg(value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,

    /// Write its only file to FILE; "-" is standard output
    #[arg(short, long, value_name = "FILE", help_heading = "Destination")]
    pub(crate) output: Option<PathBuf>,

    /// Replace files that exist
    #[arg(long, help_heading = "Destination")]
    pub(crate) force: bool,

    #[command(flatten)]
    pub(crate) platform: PlatformOption,
    #[command(flatten)]
    pub(crate) report: ReportOption,
    #[command(flatten)]
    pub(crate) client: ClientOptions,
}

// The commands that hold it describe themselves.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// The image or artifact
    pub(crate) source: String,
    #[command(flatten)]
    pub(crate) platform: PlatformOption,
    #[command(flatten)]
    pub(crate) client: ClientOptions,
}

/// List the tags of a repository
#[derive(Debug, Args)]
#[command(visible_alias = "ls")]
pub(crate) struct Tags {
    /// The repository; a tag or digest makes no difference
    pub(crate) repository: String,
    #[command(flatten)]
    pub(crate) client: ClientOptions,
}

/// List what refers to an image: signatures, attestations and the like
///
/// A line for each, with its digest and its artifact type.
#[derive(Debug, Args)]
pub(crate) struct Referrers {
    /// The image or artifact, in a registry
    pub(crate) source: String,

    /// List only those of artifact type T
    #[arg(long, value_name = "T", help_heading = "Selection")]
    pub(crate) artifact_type: Option<String>,

    #[command(flatten)]
    pub(crate) platform: PlatformOption,
    #[command(flatten)]
    pub(crate) client: ClientOptions,
}

/// Print one blob, after all of it has been verified
#[derive(Debug, Args)]
pub(crate) struct Blob {
    /// An image or artifact of the repository
    pub(crate) source: String,

    /// The blob
    #[arg(value_parser = explained::<Digest>)]
    pub(crate) digest: Digest,

    /// Write to FILE; "-" is standard output
    #[arg(short, long, value_name = "FILE", default_value = "-", help_heading = "Destination")]
    pub(crate) output: PathBuf,

    /// Replace a file that exists
    #[arg(long, help_heading = "Destination")]
    pub(crate) force: bool,

    #[command(flatten)]
    pub(crate) client: ClientOptions,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct ReportOption {
    /// Write the result to FILE as JSON
    ///
    /// It is what --json prints, with all that could not be applied, for where standard output carries content.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
}

/// List an unpacked directory in a form that can be compared
///
/// A line for each name with its type, mode, owner, time, size, content and links as they are on the
/// disk, in an order and form that are the same on every system; the last line is the digest of the
/// others. Two directories with equal digests hold the same.
#[cfg(unix)]
#[derive(Debug, Args)]
pub(crate) struct Listing {
    /// The directory
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,

    /// Leave out ATTRIBUTE; may be repeated
    ///
    /// One of mode, owner, mtime, nanoseconds, xattrs, devices and hard-links: what the other system cannot hold.
    #[arg(long, value_name = "ATTRIBUTE", value_parser = explained::<Attribute>, help_heading = "Selection")]
    pub(crate) without: Vec<Attribute>,
}

#[derive(Debug, Args)]
pub(crate) struct Cache {
    #[command(subcommand)]
    pub(crate) command: CacheCommand,
}

#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub(crate) enum CacheCommand {
    /// Print where the cache is
    Path(#[command(flatten)] CachePlace),
    /// List the blobs, the least recently used first
    Ls(#[command(flatten)] CachePlace),
    /// Remove the least recently used blobs, and abandoned downloads
    Prune {
        /// How much to keep, such as 10GiB; 0 removes everything
        #[arg(long, value_name = "SIZE")]
        keep: Size,
        #[command(flatten)]
        place: CachePlace,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CachePlace {
    /// Use the cache in DIR
    #[arg(long, value_name = "DIR")]
    pub(crate) cache_dir: Option<PathBuf>,
}
