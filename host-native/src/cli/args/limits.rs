//! One option for each field of the core's limits.

use clap::Args;
use oci_fetcher_core::limits::{self, Limits};

use crate::cli::size::Size;

/// What an image may cost; going beyond ends with exit code 7.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits (raise them only for content you trust)")]
pub(crate) struct LimitOptions {
    /// Bytes of one manifest or index
    #[arg(long, value_name = "SIZE", default_value_t = Size(limits::MANIFEST_BYTES), hide_short_help = true)]
    max_manifest_bytes: Size,

    /// Descriptors in one index, and in all that it leads to
    #[arg(long, value_name = "N", default_value_t = limits::INDEX_ENTRIES, hide_short_help = true)]
    max_index_entries: u32,

    /// Indexes inside indexes
    #[arg(long, value_name = "N", default_value_t = limits::INDEX_DEPTH, hide_short_help = true)]
    max_index_depth: u32,

    /// Bytes of a token response or an error's body
    #[arg(long, value_name = "SIZE", default_value_t = Size(limits::TOKEN_BYTES), hide_short_help = true)]
    max_token_bytes: Size,

    /// Bytes of an image config
    #[arg(long, value_name = "SIZE", default_value_t = Size(limits::CONFIG_BYTES), hide_short_help = true)]
    max_config_bytes: Size,

    /// Layers of one image
    #[arg(long, value_name = "N", default_value_t = limits::LAYERS, hide_short_help = true)]
    max_layers: u32,

    /// Bytes of one layer after decompression
    #[arg(long, value_name = "SIZE", default_value_t = Size(limits::LAYER_BYTES), hide_short_help = true)]
    max_layer_bytes: Size,

    /// Bytes of all layers after decompression
    #[arg(long, value_name = "SIZE", default_value_t = Size(limits::OUTPUT_BYTES), hide_short_help = true)]
    max_output_bytes: Size,

    /// Decompressed bytes for each compressed byte of a layer
    #[arg(long, value_name = "N", default_value_t = limits::RATIO, hide_short_help = true)]
    max_ratio: u32,

    /// Tar entries of all layers
    #[arg(long, value_name = "N", default_value_t = limits::ENTRIES, hide_short_help = true)]
    max_entries: u64,

    /// Bytes of memory for the merged tree and the report
    #[arg(long, value_name = "SIZE", default_value_t = Size(limits::TREE_BYTES), hide_short_help = true)]
    max_tree_bytes: Size,

    /// Components of one path
    #[arg(long, value_name = "N", default_value_t = limits::PATH_DEPTH, hide_short_help = true)]
    max_path_depth: u32,

    /// Bytes of one path or link target
    #[arg(long, value_name = "SIZE", default_value_t = Size(limits::PATH_BYTES), hide_short_help = true)]
    max_path_bytes: Size<u32>,

    /// Bytes of all extended attributes of one entry
    #[arg(long, value_name = "SIZE", default_value_t = Size(limits::XATTR_BYTES), hide_short_help = true)]
    max_xattr_bytes: Size<u32>,

    /// Bytes of one tar extension header
    #[arg(long, value_name = "SIZE", default_value_t = Size(limits::EXTENSION_BYTES), hide_short_help = true)]
    max_extension_bytes: Size<u32>,

    /// Bytes of a zstd frame's window
    #[arg(long, value_name = "SIZE", default_value_t = Size(limits::ZSTD_WINDOW), hide_short_help = true)]
    max_zstd_window: Size,

    /// Pages of a tag listing
    #[arg(long, value_name = "N", default_value_t = limits::PAGES, hide_short_help = true)]
    max_pages: u32,

    /// Seconds that a pull may take
    #[arg(long, value_name = "N", default_value_t = limits::WALL_SECONDS, hide_short_help = true)]
    max_wall_seconds: u64,
}

impl From<&LimitOptions> for Limits {
    fn from(options: &LimitOptions) -> Self {
        Self {
            manifest_bytes: options.max_manifest_bytes.0,
            index_entries: options.max_index_entries,
            index_depth: options.max_index_depth,
            token_bytes: options.max_token_bytes.0,
            config_bytes: options.max_config_bytes.0,
            layers: options.max_layers,
            layer_bytes: options.max_layer_bytes.0,
            output_bytes: options.max_output_bytes.0,
            ratio: options.max_ratio,
            entries: options.max_entries,
            tree_bytes: options.max_tree_bytes.0,
            path_depth: options.max_path_depth,
            path_bytes: options.max_path_bytes.0,
            xattr_bytes: options.max_xattr_bytes.0,
            extension_bytes: options.max_extension_bytes.0,
            zstd_window: options.max_zstd_window.0,
            pages: options.max_pages,
            wall_seconds: options.max_wall_seconds,
        }
    }
}
