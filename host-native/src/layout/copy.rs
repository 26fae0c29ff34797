//! Copies blobs into files of a layout: by reflink where the file system can, else within the
//! kernel, else by hand.

use std::fs::File;
use std::io::{self, Write};

use oci_fetcher_core::digest::{Algorithm, Digest, Hasher};

use crate::blob::Blob;

/// Copies a blob into an empty file.
pub(super) fn copy(blob: &Blob, target: &File) -> io::Result<()> {
    if reflink(blob, target)? {
        return Ok(());
    }
    let done = copy_in_kernel(blob, target)?;
    blob.tail(done).for_each_chunk(|chunk| (&*target).write_all(chunk))
}

/// Copies a blob into an empty file, and computes the digest of what is there now.
pub(super) fn copy_hashing(blob: &Blob, target: &File, algorithm: Algorithm) -> io::Result<Digest> {
    if reflink(blob, target)? {
        return Blob::new(target.try_clone()?, 0, blob.length()).digest(algorithm);
    }
    let mut hasher = Hasher::new(algorithm);
    blob.for_each_chunk(|chunk| {
        hasher.update(chunk);
        (&*target).write_all(chunk)
    })?;
    Ok(hasher.finish())
}

/// Shares the blob's extents with `target`, if the blob is a whole file and the file system can.
#[cfg(target_os = "linux")]
fn reflink(blob: &Blob, target: &File) -> io::Result<bool> {
    let (source, start) = (&**blob.file(), blob.start());
    if start != 0 || source.metadata()?.len() != blob.length() || rustix::fs::ioctl_ficlone(target, source).is_err() {
        return Ok(false);
    }
    if target.metadata()?.len() == blob.length() {
        return Ok(true);
    }
    // The file changed in between.
    target.set_len(0)?;
    Ok(false)
}

#[cfg(not(target_os = "linux"))]
fn reflink(_blob: &Blob, _target: &File) -> io::Result<bool> {
    Ok(false)
}

/// Copies as much as the kernel does by itself, and returns how many bytes that were. `target`'s
/// cursor stands behind them.
#[cfg(target_os = "linux")]
fn copy_in_kernel(blob: &Blob, target: &File) -> io::Result<u64> {
    use rustix::io::Errno;

    let (source, start) = (&**blob.file(), blob.start());
    let mut done = 0;
    while done < blob.length() {
        let len = usize::try_from(blob.length() - done).map_or(CALL_BYTES, |left| left.min(CALL_BYTES));
        let mut position = start.saturating_add(done);
        match rustix::fs::copy_file_range(source, Some(&mut position), target, None, len) {
            // The source's end, or a file system that only claims to take part: reading tells.
            Ok(0) => break,
            Ok(len) => done += len as u64,
            Err(Errno::INTR) => {}
            Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => return Err(error.into()),
            // Not across these file systems, or not on this kernel. What is wrong with one of the
            // files will show again.
            Err(_) => break,
        }
    }
    Ok(done)
}

/// One call's share: a signal is noticed in between.
#[cfg(target_os = "linux")]
const CALL_BYTES: usize = 1 << 30;

#[cfg(not(target_os = "linux"))]
fn copy_in_kernel(_blob: &Blob, _target: &File) -> io::Result<u64> {
    Ok(0)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn copies_whole_files_and_stretches() {
        let content: Vec<u8> = (0..150_000_u32).flat_map(u32::to_le_bytes).collect();
        let mut source = tempfile::NamedTempFile::new().expect("a temporary file");
        source.write_all(&content).expect("writable");
        let read = |target: &tempfile::NamedTempFile| {
            let mut copied = Vec::new();
            target.reopen().and_then(|mut file| file.read_to_end(&mut copied)).expect("readable");
            copied
        };
        for (start, end) in [(0, content.len()), (0, 512), (512, 300_000), (1, content.len()), (9, 9)] {
            let file = source.reopen().expect("there");
            let blob = Blob::new(file, start as u64, (end - start) as u64);
            let target = tempfile::NamedTempFile::new().expect("a temporary file");
            copy(&blob, target.as_file()).expect("copied");
            assert!(read(&target) == content[start..end], "{start} {end}");

            let target = tempfile::NamedTempFile::new().expect("a temporary file");
            let digest = copy_hashing(&blob, target.as_file(), Algorithm::Sha512).expect("copied");
            assert_eq!(digest, Digest::of(Algorithm::Sha512, &content[start..end]), "{start} {end}");
            assert!(read(&target) == content[start..end], "{start} {end}");
        }
    }

    #[test]
    fn a_source_that_was_cut_is_an_error() {
        let mut source = tempfile::tempfile().expect("a temporary file");
        source.write_all(b"short").expect("writable");
        let blob = Blob::new(source, 0, 6);
        for result in [
            copy(&blob, &tempfile::tempfile().expect("a temporary file")),
            copy_hashing(&blob, &tempfile::tempfile().expect("a temporary file"), Algorithm::Sha256).map(drop),
        ] {
            assert_eq!(result.expect_err("cut").kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}
