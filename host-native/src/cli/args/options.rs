//! The options that several commands share.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use oci_fetcher_core::error::Explain;
use oci_fetcher_core::manifest::Platform;

use super::LimitOptions;
use crate::cli::period::Period;

/// How much is told, and in which form.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputOptions {
    /// Print one JSON object: the result, or the error
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Print only the digest, and no progress
    #[arg(short, long, global = true, conflicts_with_all = ["json", "verbose"])]
    pub(crate) quiet: bool,

    /// Tell every request and retry
    #[arg(short, long, global = true, overrides_with = "verbose")]
    pub(crate) verbose: bool,
}

/// Which image of an index.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Selection")]
pub(crate) struct PlatformOption {
    /// Choose the image for OS/ARCH[/VARIANT][:VERSION]
    ///
    /// Without it, the image for linux on this machine's processor is chosen, and a lone image for
    /// another platform is taken as it is.
    #[arg(long, value_name = "PLATFORM", value_parser = explained::<Platform>)]
    pub(crate) platform: Option<Platform>,
}

/// How registries are spoken to, what is kept, and what may be spent.
#[derive(Debug, Args)]
pub(crate) struct ClientOptions {
    #[command(flatten)]
    pub(crate) registry: RegistryOptions,
    #[command(flatten)]
    pub(crate) network: NetworkOptions,
    #[command(flatten)]
    pub(crate) cache: CacheOptions,
    #[command(flatten)]
    pub(crate) limits: LimitOptions,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Registry")]
pub(crate) struct RegistryOptions {
    /// Take credentials from FILE only
    ///
    /// It is a config.json of docker's or an auth.json of podman's.
    #[arg(long, value_name = "FILE", conflicts_with = "username")]
    pub(crate) auth_file: Option<PathBuf>,

    /// Log in to the source's registry as NAME
    #[arg(long, value_name = "NAME", requires = "password_stdin")]
    pub(crate) username: Option<String>,

    /// Read the password or token from standard input
    #[arg(long, requires = "username")]
    pub(crate) password_stdin: bool,

    /// Speak to the registry without encryption
    ///
    /// Everybody on the way can then read and change what is sent, passwords too. Registries on
    /// this machine need no such permission.
    #[arg(long)]
    pub(crate) plain_http: bool,

    /// Trust the certificate authorities in FILE (PEM) too
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,

    /// Show the registry the certificate in FILE (PEM)
    #[arg(long, value_name = "FILE", requires = "key_file")]
    pub(crate) cert_file: Option<PathBuf>,

    /// The key of --cert-file (PEM)
    #[arg(long, value_name = "FILE", requires = "cert_file")]
    pub(crate) key_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Network")]
pub(crate) struct NetworkOptions {
    /// Let registries lead to every address
    ///
    /// Without it, redirects, token realms and addresses of foreign layers may not lead to this machine
    /// or to the local link, where a cloud's machines get their credentials, by whatever name: only a
    /// registry on this machine may name its neighbours. Https is never given up for http. A proxy looks
    /// names up by itself.
    #[arg(long, hide_short_help = true)]
    pub(crate) insecure_any_address: bool,

    /// Transfer at most N blobs at once
    #[arg(long, value_name = "N", default_value = "4")]
    pub(crate) concurrency: NonZeroUsize,

    /// Try a failed request again at most N times
    #[arg(long, value_name = "N", default_value_t = 5, hide_short_help = true)]
    pub(crate) retries: u32,

    /// Give a request TIME to go on failing, pauses included
    #[arg(long, value_name = "TIME", default_value_t = Period(Duration::from_secs(600)), hide_short_help = true)]
    pub(crate) retry_time: Period,

    /// Give a connection TIME to stand, TLS included
    #[arg(long, value_name = "TIME", default_value_t = Period(Duration::from_secs(15)), hide_short_help = true)]
    pub(crate) connect_timeout: Period,

    /// Give a registry TIME to begin its answer
    #[arg(long, value_name = "TIME", default_value_t = Period(Duration::from_secs(60)), hide_short_help = true)]
    pub(crate) first_byte_timeout: Period,

    /// Give up a transfer that stands still for TIME
    #[arg(long, value_name = "TIME", default_value_t = Period(Duration::from_secs(60)), hide_short_help = true)]
    pub(crate) no_progress_timeout: Period,
}

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Cache")]
pub(crate) struct CacheOptions {
    /// Keep blobs in DIR [default: see "cache path"]
    #[arg(long, value_name = "DIR")]
    pub(crate) cache_dir: Option<PathBuf>,

    /// Keep nothing; a pull that was killed begins anew
    #[arg(long, conflicts_with_all = ["cache_dir", "offline"])]
    pub(crate) no_cache: bool,

    /// Use what the cache holds, and never the network
    #[arg(long)]
    pub(crate) offline: bool,
}

/// Parses an argument; a message of clap's has room for the advice too.
pub(crate) fn explained<T>(text: &str) -> Result<T, String>
where
    T: FromStr<Err: Explain>,
{
    text.parse().map_err(|error: T::Err| match error.advice() {
        Some(advice) => format!("{error}; {advice}"),
        None => error.to_string(),
    })
}
