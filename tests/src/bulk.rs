//! Large layers, made by code and not of a machine's files, so that figures can be compared.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::write::GzEncoder;
use oci_fetcher_core::digest::{Algorithm, Digest, Hasher};
use tar::{EntryType, Header};

use crate::image::{Image, PackedLayer};

/// Sizes in MB of the compressed layers of [`image`]; the first is [`layer`]'s.
const LAYERS: [u64; 5] = [100, 80, 60, 40, 20];

/// Returns an image of one gzip layer of 100 MB.
#[must_use]
pub fn layer(folder: &Path) -> Image {
    Image::new().platform("linux/amd64").packed_layer(packed(folder, 0))
}

/// Returns an image of five gzip layers, 300 MB together.
#[must_use]
pub fn image(folder: &Path) -> Image {
    let image = Image::new().platform("linux/amd64");
    (0..LAYERS.len()).fold(image, |image, number| image.packed_layer(packed(folder, number)))
}

/// Builds a layer in the folder, or finds it there.
fn packed(folder: &Path, number: usize) -> PackedLayer {
    let blob = folder.join(format!("{number}.tar.gz"));
    let diff_id = folder.join(format!("{number}.diff_id"));
    if !diff_id.exists() {
        fs::create_dir_all(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let digest = build(&blob, number).unwrap_or_else(|error| panic!("{}: {error}", blob.display()));
        fs::write(&diff_id, digest.as_str()).unwrap_or_else(|error| panic!("{}: {error}", diff_id.display()));
    }
    let digest = fs::read_to_string(&diff_id).expect("it has been written");
    let digest = digest.parse().expect("a digest was written");
    PackedLayer::from_file(&blob, "application/vnd.oci.image.layer.v1.tar+gzip", digest)
}

/// Writes files until the blob has its size; returns the diff_id.
fn build(path: &Path, number: usize) -> io::Result<Digest> {
    let file = BufWriter::new(File::create(path)?);
    let mut archive = Archive {
        gzip: GzEncoder::new(Counted { inner: file, bytes: 0 }, flate2::Compression::fast()),
        hasher: Hasher::new(Algorithm::Sha256),
    };
    let mut random = Random(number as u64 + 1);
    let most = LAYERS[number] * 1_000_000;
    let mut content = Vec::new();
    for file in 0.. {
        if archive.gzip.get_ref().bytes >= most {
            break;
        }
        let folder = format!("layer{number}/folder{}", file / FILES_A_FOLDER);
        if file % FILES_A_FOLDER == 0 {
            archive.member(&format!("{folder}/"), EntryType::Directory, b"")?;
        }
        content.clear();
        random.fill(&mut content, file);
        archive.member(&format!("{folder}/file{file}"), EntryType::Regular, &content)?;
    }
    archive.write(&[0; 1024])?;
    archive.gzip.finish()?.inner.flush()?;
    Ok(archive.hasher.finish())
}

const FILES_A_FOLDER: usize = 100;

struct Archive {
    gzip: GzEncoder<Counted>,
    hasher: Hasher,
}

impl Archive {
    fn member(&mut self, path: &str, kind: EntryType, content: &[u8]) -> io::Result<()> {
        let mut header = Header::new_ustar();
        header.set_path(path)?;
        header.set_entry_type(kind);
        header.set_mode(if kind == EntryType::Directory { 0o755 } else { 0o644 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_700_000_000);
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.write(header.as_bytes())?;
        self.write(content)?;
        self.write(&[0; 512][..content.len().next_multiple_of(512) - content.len()])
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.gzip.write_all(bytes)
    }
}

/// Counts what it passes on.
struct Counted {
    inner: BufWriter<File>,
    bytes: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// A generator of numbers (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Makes the content of a file: most are small, few are large, and gzip shrinks them to two
    /// fifths, as it does a system's programs and texts.
    fn fill(&mut self, content: &mut Vec<u8>, file: usize) {
        let size = 512_usize << (self.next() % 10);
        let size = if file % 500 == 499 { 4 << 20 } else { size + self.next() as usize % size };
        while content.len() < size {
            let pick = self.next();
            if pick.is_multiple_of(8) {
                content.extend_from_slice(&pick.to_le_bytes()[2..]);
            } else {
                content.extend_from_slice(WORDS[(pick >> 8) as usize % WORDS.len()]);
            }
        }
        content.truncate(size);
    }
}

const WORDS: [&[u8]; 32] = [
    b"the ",
    b"return ",
    b"\0\0\0\0",
    b"function ",
    b"const ",
    b"_ZN4core3fmt",
    b"/usr/share/",
    b"\xff\xff\xff\xff",
    b"lib",
    b".so.6",
    b"GLIBC_2.34",
    b"import ",
    b"package ",
    b"\x48\x89\xe5",
    b"\x48\x8b\x45\xf8",
    b"\n    ",
    b"depends: ",
    b"version=",
    b"</key>\n",
    b"string",
    b"\xe8\0\0\0",
    b"license ",
    b"without ",
    b"warranty ",
    b"\x0f\x1f\x44\0\0",
    b"static ",
    b"int ",
    b"error: ",
    b"self.",
    b"None\n",
    b"#include <",
    b"\t\t",
];
