//! Every bound on what a registry or an image may cost, with its reason.

/// What a pull may consume at the most; each bound ends in a typed error of class
/// [`Refused`](crate::error::Class::Refused) that names the field.
///
/// ```
/// let limits = oci_fetcher_core::limits::Limits { entries: 1_000, ..Default::default() };
/// assert_eq!(limits.manifest_bytes, 4 << 20);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Bytes of one manifest or index.
    pub manifest_bytes: u64,
    /// Descriptors in one index, and in all indexes below one reference together.
    pub index_entries: u32,
    /// Indexes inside indexes, the first included.
    pub index_depth: u32,
    /// Bytes of a token response or of an error's body.
    pub token_bytes: u64,
    /// Bytes of an image config.
    pub config_bytes: u64,
    /// Layers of one image.
    pub layers: u32,
    /// Bytes of one layer after decompression.
    pub layer_bytes: u64,
    /// Bytes of all layers of one pull after decompression.
    pub output_bytes: u64,
    /// Decompressed bytes for each compressed byte of a layer, counted beyond
    /// [`RATIO_FREE_BYTES`] of output.
    pub ratio: u32,
    /// Tar entries of all layers of one pull.
    pub entries: u64,
    /// Bytes of memory that the merged tree and the report of one pull hold: nodes, names, link
    /// targets, directories' attributes.
    pub tree_bytes: u64,
    /// Components of one path.
    pub path_depth: u32,
    /// Bytes of one path or link target.
    pub path_bytes: u32,
    /// Bytes of all extended attributes of one entry, names included.
    pub xattr_bytes: u32,
    /// Bytes of one tar extension (pax header, GNU long name, sparse map).
    pub extension_bytes: u32,
    /// Bytes of a zstd frame's window.
    pub zstd_window: u64,
    /// Pages of a tag listing.
    pub pages: u32,
    /// Seconds from the first answer to the last, of all plans of one session.
    pub wall_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            manifest_bytes: MANIFEST_BYTES,
            index_entries: INDEX_ENTRIES,
            index_depth: INDEX_DEPTH,
            token_bytes: TOKEN_BYTES,
            config_bytes: CONFIG_BYTES,
            layers: LAYERS,
            layer_bytes: LAYER_BYTES,
            output_bytes: OUTPUT_BYTES,
            ratio: RATIO,
            entries: ENTRIES,
            tree_bytes: TREE_BYTES,
            path_depth: PATH_DEPTH,
            path_bytes: PATH_BYTES,
            xattr_bytes: XATTR_BYTES,
            extension_bytes: EXTENSION_BYTES,
            zstd_window: ZSTD_WINDOW,
            pages: PAGES,
            wall_seconds: WALL_SECONDS,
        }
    }
}

/// The size that distribution-spec 1.1 says registries should accept, and most refuse to exceed.
pub const MANIFEST_BYTES: u64 = 4 << 20;
/// Ten times the largest index seen in use (every platform with its attestation).
pub const INDEX_ENTRIES: u32 = 4096;
/// Nested indexes are rare; deeper ones have no known use.
pub const INDEX_DEPTH: u32 = 4;
/// Tokens are some kilobytes.
pub const TOKEN_BYTES: u64 = 64 << 10;
/// As a manifest: configs hold history and labels (build packs' labels reach hundreds of kilobytes).
pub const CONFIG_BYTES: u64 = 8 << 20;
/// Four times what overlay-based runtimes can mount.
pub const LAYERS: u32 = 512;
/// Larger than any layer known in use (models are shipped in layers of tens of gigabytes).
pub const LAYER_BYTES: u64 = 256 << 30;
/// As above, for all layers together.
pub const OUTPUT_BYTES: u64 = 1 << 40;
/// Gzip reaches 1,030:1 on zeros legitimately; zstd's run-length blocks go far beyond.
pub const RATIO: u32 = 2_000;
/// Output below this many bytes never counts as a bomb.
pub const RATIO_FREE_BYTES: u64 = 64 << 20;
/// A hundred times a large distribution image; the tree stays below three gigabytes.
pub const ENTRIES: u64 = 10_000_000;
/// Room for ten million typical entries, and what a 32-bit address space can spare. Entries do not
/// bound it alone: one may imply thousands of directories, or carry names and attributes of kilobytes.
pub const TREE_BYTES: u64 = 3 << 30;
/// Linux resolves at most `PATH_MAX / 2` components in one path.
pub const PATH_DEPTH: u32 = 2_048;
/// Linux's `PATH_MAX`.
pub const PATH_BYTES: u32 = 4_096;
/// Linux's `XATTR_LIST_MAX`, which also bounds one value.
pub const XATTR_BYTES: u32 = 64 << 10;
/// A pax header with the largest xattrs, in base64, and long names.
pub const EXTENSION_BYTES: u32 = 1 << 20;
/// What `zstd --long` writes (2^27), and the most that the format asks decoders to support by choice.
pub const ZSTD_WINDOW: u64 = 128 << 20;
/// At a thousand tags a page, ten million tags.
pub const PAGES: u32 = 10_000;
/// A day: a hundred gigabytes at ten megabits a second. What takes longer is held open by its peer.
pub const WALL_SECONDS: u64 = 24 * 60 * 60;
