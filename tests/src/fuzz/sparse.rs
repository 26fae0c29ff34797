//! Sparse files in the four formats: what is well-formed is read as what it describes.

use super::blocks::{BLOCK, append, header, record, sum};
use super::entry::Seen;
use super::tar;

/// Makes a sparse file of the bytes: a format, then gaps and lengths, or offsets and lengths.
pub(super) fn target(data: &[u8]) {
    let Some((&control, rest)) = data.split_first() else { return };
    let sound = control & 0x80 == 0;
    let (mut extents, mut end) = (Vec::new(), 0);
    for pair in rest.chunks_exact(3).take(200) {
        let (far, len) = (u64::from(u16::from_le_bytes([pair[0], pair[1]])), u64::from(pair[2]));
        let offset = if sound { end + far } else { far };
        extents.push((offset, len));
        end = end.max(offset + len);
    }
    // A hole at the end, or a file that is too short.
    let size = if sound { end + u64::from(control >> 2) } else { end.saturating_sub(u64::from(control >> 3 & 1)) };
    let stored: u64 = extents.iter().map(|(_, len)| len).sum();
    let content: Vec<u8> = (0..stored).map(|at| u8::try_from(at % 255).expect("below 255") + 1).collect();
    let archive = match control & 3 {
        0 => gnu(&extents, size, &content),
        format => pax(format, &extents, size, &content),
    };
    let (listing, end) = tar::check(&archive);
    if !sound || size > super::limits().layer_bytes {
        return;
    }
    end.expect("well-formed");
    let [Seen::File { entry, extents: found, ended: true }] = &listing.0[..] else { panic!("one file: {listing:?}") };
    assert_eq!(entry.path.as_bytes(), b"f");
    let expected = lay_out(
        size,
        extents.iter().scan(&content[..], |rest, (offset, len)| {
            let (bytes, after) = rest.split_at(usize::try_from(*len).expect("small"));
            *rest = after;
            Some((*offset, bytes))
        }),
    );
    assert_eq!(lay_out(size, found.iter().map(|(offset, bytes)| (*offset, &bytes[..]))), expected);
}

fn lay_out<'b>(size: u64, extents: impl Iterator<Item = (u64, &'b [u8])>) -> Vec<u8> {
    let mut file = vec![0; usize::try_from(size).expect("small")];
    for (offset, bytes) in extents {
        file[usize::try_from(offset).expect("small")..][..bytes.len()].copy_from_slice(bytes);
    }
    file
}

fn gnu(extents: &[(u64, u64)], size: u64, content: &[u8]) -> Vec<u8> {
    let mut tar = header(b'S', b"f", content.len() as u64);
    let write = |field: &mut [u8], extent: &(u64, u64)| {
        field[..12].copy_from_slice(format!("{:011o}\0", extent.0).as_bytes());
        field[12..24].copy_from_slice(format!("{:011o}\0", extent.1).as_bytes());
    };
    let (first, rest) = extents.split_at(extents.len().min(4));
    for (index, extent) in first.iter().enumerate() {
        write(&mut tar[386 + 24 * index..], extent);
    }
    tar[482] = u8::from(!rest.is_empty());
    tar[483..495].copy_from_slice(format!("{size:011o}\0").as_bytes());
    sum(&mut tar);
    let blocks = rest.chunks(21);
    let last = blocks.len().saturating_sub(1);
    for (number, extents) in blocks.enumerate() {
        let mut block = [0; BLOCK];
        for (index, extent) in extents.iter().enumerate() {
            write(&mut block[24 * index..], extent);
        }
        block[504] = u8::from(number < last);
        tar.extend(block);
    }
    append(&mut tar, content);
    tar
}

fn pax(format: u8, extents: &[(u64, u64)], size: u64, content: &[u8]) -> Vec<u8> {
    let numbers = || extents.iter().flat_map(|(offset, len)| [offset.to_string(), len.to_string()]);
    let text = |key: &str, value: &str| record(format!("GNU.sparse.{key}").as_bytes(), value.as_bytes());
    let (mut records, mut map) = (Vec::new(), Vec::new());
    match format {
        1 => {
            records.extend(text("size", &size.to_string()));
            records.extend(text("numblocks", &extents.len().to_string()));
            for (offset, len) in extents {
                records.extend(text("offset", &offset.to_string()));
                records.extend(text("numbytes", &len.to_string()));
            }
        }
        2 => {
            records.extend(text("name", "f"));
            records.extend(text("size", &size.to_string()));
            records.extend(text("numblocks", &extents.len().to_string()));
            if !extents.is_empty() {
                records.extend(text("map", &numbers().collect::<Vec<_>>().join(",")));
            }
        }
        _ => {
            records.extend(text("major", "1"));
            records.extend(text("minor", "0"));
            records.extend(text("name", "f"));
            records.extend(text("realsize", &size.to_string()));
            let lines = std::iter::once(extents.len().to_string()).chain(numbers());
            append(&mut map, lines.map(|line| line + "\n").collect::<String>().as_bytes());
        }
    }
    let mut tar = header(b'x', b"PaxHeaders/f", records.len() as u64);
    append(&mut tar, &records);
    let name: &[u8] = if format == 1 { b"f" } else { b"GNUSparseFile.0/f" };
    tar.extend(header(b'0', name, (map.len() + content.len()) as u64));
    tar.extend(map);
    append(&mut tar, content);
    tar
}
