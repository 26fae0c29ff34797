//! The builder of layers.

use std::path::Path;

use oci_fetcher_core::digest::{Algorithm, Digest};
use serde_json::{Value, json};
use tar::{EntryType, Header};

use super::archive::{self, BLOCK, Entry, Member};
use super::{Compression, Types, annotate, descriptor};
use crate::content::Blob;

/// Builds a layer, entry by entry.
///
/// The calls that add an entry come first; those that describe it (`mode`, `owner`, `modified`,
/// `xattr`, `pax`) change the entry added last. An entry's owner is 0:0, its time [`MODIFIED`],
/// until told otherwise. Names are stored byte for byte, unsafe ones too.
///
/// ```
/// use oci_fetcher_tests::image::{Compression, Layer};
///
/// let layer = Layer::new()
///     .directory("etc", 0o755)
///     .file("etc/hostname", b"box\n").mode(0o600).owner(1000, 1000)
///     .symlink("etc/name", "hostname")
///     .whiteout("etc/motd")
///     .compress(Compression::Zstd);
/// assert_eq!(layer.blob()[..4], [0x28, 0xb5, 0x2f, 0xfd]);
/// ```
#[derive(Clone, Debug)]
pub struct Layer {
    members: Vec<Member>,
    trailer: Vec<u8>,
    compression: Compression,
    blob: Option<Vec<u8>>,
    media_type: Option<String>,
    urls: Vec<String>,
    annotations: Vec<(String, String)>,
}

/// The modification time of entries that are given none: seconds since 1970, in November 2023.
pub const MODIFIED: i64 = 1_700_000_000;

impl Default for Layer {
    fn default() -> Self {
        Self::new()
    }
}

impl Layer {
    /// Starts a layer without entries, compressed by gzip.
    #[must_use]
    pub fn new() -> Self {
        Self {
            members: Vec::new(),
            trailer: vec![0; 2 * BLOCK],
            compression: Compression::Gzip,
            blob: None,
            media_type: None,
            urls: Vec::new(),
            annotations: Vec::new(),
        }
    }

    /// Starts a layer that is this archive, as it is.
    #[must_use]
    pub fn from_tar(archive: impl Into<Vec<u8>>) -> Self {
        Self::new().raw(archive).trailer(b"")
    }

    /// Adds a directory; its name gets the slash at the end that producers write.
    #[must_use]
    pub fn directory(self, path: impl AsRef<[u8]>, mode: u32) -> Self {
        let mut name = path.as_ref().to_vec();
        if !name.ends_with(b"/") {
            name.push(b'/');
        }
        self.entry(&name, EntryType::Directory, b"", Vec::new()).mode(mode)
    }

    /// Adds a regular file of mode 0644.
    #[must_use]
    pub fn file(self, path: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        self.entry(path.as_ref(), EntryType::Regular, b"", content.as_ref().to_vec())
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn symlink(self, path: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.entry(path.as_ref(), EntryType::Symlink, target.as_ref(), Vec::new()).mode(0o777)
    }

    /// Adds a further name for `target`, which is a path in the archive.
    #[must_use]
    pub fn hard_link(self, path: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.entry(path.as_ref(), EntryType::Link, target.as_ref(), Vec::new())
    }

    /// Adds a named pipe.
    #[must_use]
    pub fn fifo(self, path: impl AsRef<[u8]>) -> Self {
        self.entry(path.as_ref(), EntryType::Fifo, b"", Vec::new())
    }

    /// Adds a character device.
    #[must_use]
    pub fn character_device(self, path: impl AsRef<[u8]>, major: u32, minor: u32) -> Self {
        let layer = self.entry(path.as_ref(), EntryType::Char, b"", Vec::new());
        layer.change(|entry| entry.device = (major, minor))
    }

    /// Adds a block device.
    #[must_use]
    pub fn block_device(self, path: impl AsRef<[u8]>, major: u32, minor: u32) -> Self {
        let layer = self.entry(path.as_ref(), EntryType::Block, b"", Vec::new());
        layer.change(|entry| entry.device = (major, minor))
    }

    /// Adds the mark that removes `path` from the layers below.
    #[must_use]
    pub fn whiteout(self, path: impl AsRef<[u8]>) -> Self {
        let path = path.as_ref();
        let name = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
        self.file([&path[..name], b".wh.", &path[name..]].concat(), b"")
    }

    /// Adds the mark that hides what the layers below hold in `directory`; an empty one is the root.
    #[must_use]
    pub fn opaque(self, directory: impl AsRef<[u8]>) -> Self {
        let directory = directory.as_ref();
        let separator: &[u8] = if directory.is_empty() { b"" } else { b"/" };
        self.file([directory, separator, b".wh..wh..opq"].concat(), b"")
    }

    /// Sets the mode of the last entry.
    #[must_use]
    pub fn mode(self, mode: u32) -> Self {
        self.change(|entry| entry.mode = mode)
    }

    /// Sets the owner of the last entry.
    #[must_use]
    pub fn owner(self, uid: u64, gid: u64) -> Self {
        self.change(|entry| entry.owner = (uid, gid))
    }

    /// Sets the modification time of the last entry, in seconds since 1970 and nanoseconds after them.
    #[must_use]
    pub fn modified(self, seconds: i64, nanoseconds: u32) -> Self {
        self.change(|entry| entry.modified = (seconds, nanoseconds))
    }

    /// Adds an extended attribute to the last entry.
    #[must_use]
    pub fn xattr(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.pax(&format!("SCHILY.xattr.{name}"), value)
    }

    /// Adds a pax record to the last entry.
    #[must_use]
    pub fn pax(self, key: &str, value: impl AsRef<[u8]>) -> Self {
        self.change(|entry| entry.records.push((key.as_bytes().to_vec(), value.as_ref().to_vec())))
    }

    /// Gives the last entry a payload, whatever its type.
    #[must_use]
    pub fn payload(self, payload: impl AsRef<[u8]>) -> Self {
        self.change(|entry| entry.payload = payload.as_ref().to_vec())
    }

    /// Adds a global pax header with one record.
    #[must_use]
    pub fn global_pax(self, key: &str, value: impl AsRef<[u8]>) -> Self {
        self.extension(EntryType::XGlobalHeader, archive::pax_record(key.as_bytes(), value.as_ref()))
    }

    /// Adds a GNU long name, for the entry that comes next.
    #[must_use]
    pub fn gnu_long_name(self, path: impl AsRef<[u8]>) -> Self {
        self.extension(EntryType::GNULongName, [path.as_ref(), b"\0"].concat())
    }

    /// Adds a GNU long link target, for the entry that comes next.
    #[must_use]
    pub fn gnu_long_link(self, target: impl AsRef<[u8]>) -> Self {
        self.extension(EntryType::GNULongLink, [target.as_ref(), b"\0"].concat())
    }

    /// Adds a header of this type (`x`, `g`, `L`, `K`) with this payload, right or wrong.
    #[must_use]
    pub fn extension(self, kind: EntryType, payload: impl AsRef<[u8]>) -> Self {
        let mut bytes = Vec::new();
        archive::write_extension(&mut bytes, kind, payload.as_ref());
        self.raw(bytes)
    }

    /// Adds a member whose header `change` made by hand, up to the checksum, which is set after it.
    ///
    /// What `change` gets is a header in ustar format of mode 0644, owner 0:0 and time [`MODIFIED`], with
    /// this name, which must fit, and with the payload's size.
    #[must_use]
    pub fn raw_member(
        self,
        kind: EntryType,
        path: impl AsRef<[u8]>,
        change: impl FnOnce(&mut Header),
        payload: impl AsRef<[u8]>,
    ) -> Self {
        let (path, payload) = (path.as_ref(), payload.as_ref());
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..path.len()].copy_from_slice(path);
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(MODIFIED.unsigned_abs());
        header.set_size(payload.len() as u64);
        change(&mut header);
        header.set_cksum();
        self.raw_header(&header, payload)
    }

    /// Adds a header as it is, its checksum too, and a payload that is padded to whole blocks.
    #[must_use]
    pub fn raw_header(self, header: &Header, payload: impl AsRef<[u8]>) -> Self {
        let mut bytes = Vec::new();
        archive::write_block(&mut bytes, header, payload.as_ref());
        self.raw(bytes)
    }

    /// Adds bytes as they are.
    #[must_use]
    pub fn raw(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.members.push(Member::Raw(bytes.into()));
        self
    }

    /// Ends the archive with these bytes instead of two blocks of zeros.
    #[must_use]
    pub fn trailer(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.trailer = bytes.as_ref().to_vec();
        self
    }

    /// Sets the compression.
    #[must_use]
    pub fn compress(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Makes these bytes the blob; the diff_id stays that of the archive.
    #[must_use]
    pub fn replace_blob(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.blob = Some(bytes.into());
        self
    }

    /// Sets the media type, instead of the one that follows from the compression.
    #[must_use]
    pub fn media_type(mut self, media_type: &str) -> Self {
        self.media_type = Some(media_type.to_owned());
        self
    }

    /// Adds an address to the descriptor's `urls`.
    #[must_use]
    pub fn url(mut self, url: &str) -> Self {
        self.urls.push(url.to_owned());
        self
    }

    /// Adds an annotation to the descriptor.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Returns the archive, uncompressed.
    #[must_use]
    pub fn tar(&self) -> Vec<u8> {
        let mut archive = Vec::new();
        for member in &self.members {
            member.write(&mut archive);
        }
        archive.extend_from_slice(&self.trailer);
        archive
    }

    /// Returns the blob.
    #[must_use]
    pub fn blob(&self) -> Vec<u8> {
        self.blob.clone().unwrap_or_else(|| self.compression.apply(&self.tar()))
    }

    /// Packs the layer for a manifest with media types of this kind.
    #[must_use]
    pub fn pack(&self, types: Types) -> PackedLayer {
        let blob = self.blob();
        let media_type = self.media_type.clone().unwrap_or_else(|| match types {
            Types::Oci => format!("application/vnd.oci.image.layer.v1.tar{}", self.compression.suffix('+')),
            Types::Docker => format!("application/vnd.docker.image.rootfs.diff.tar{}", self.compression.suffix('.')),
        });
        let digest = Digest::of(Algorithm::Sha256, &blob);
        let mut descriptor = descriptor(&media_type, &digest, blob.len() as u64);
        if !self.urls.is_empty() {
            descriptor["urls"] = json!(self.urls);
        }
        annotate(&mut descriptor, &self.annotations);
        let diff_id = Digest::of(Algorithm::Sha256, &self.tar());
        PackedLayer { descriptor, diff_id, digest, blob: Blob::from(blob) }
    }

    fn entry(mut self, path: &[u8], kind: EntryType, link: &[u8], payload: Vec<u8>) -> Self {
        self.members.push(Member::Entry(Box::new(Entry {
            path: path.to_vec(),
            kind,
            link: link.to_vec(),
            payload,
            mode: 0o644,
            owner: (0, 0),
            modified: (MODIFIED, 0),
            device: (0, 0),
            records: Vec::new(),
        })));
        self
    }

    fn change(mut self, change: impl FnOnce(&mut Entry)) -> Self {
        match self.members.last_mut() {
            Some(Member::Entry(entry)) => change(entry),
            Some(Member::Raw(_)) | None => panic!("there is no entry that this could describe"),
        }
        self
    }
}

/// A layer's blob, and how a manifest and a config name it.
#[derive(Clone, Debug)]
pub struct PackedLayer {
    /// The descriptor in the manifest.
    pub descriptor: Value,
    /// The digest of the archive, for the config.
    pub diff_id: Digest,
    /// The digest of the blob.
    pub digest: Digest,
    /// The blob.
    pub blob: Blob,
}

impl PackedLayer {
    /// Makes a layer of a file that may be large: it is hashed and served without being read whole.
    #[must_use]
    pub fn from_file(path: &Path, media_type: &str, diff_id: Digest) -> Self {
        let blob = Blob::file(path);
        let digest = blob.digest();
        Self { descriptor: descriptor(media_type, &digest, blob.size()), diff_id, digest, blob }
    }
}
