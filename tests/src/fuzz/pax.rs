//! Pax headers before a file: raw records, and lines made into records.

use super::blocks::{append, header, record};
use super::tar;

/// Puts the bytes before a file as a pax header: as they are, and each line `key=value` as a record.
pub(super) fn target(data: &[u8]) {
    for flag in [b'x', b'g'] {
        let _ = tar::check(&before_a_file(flag, data));
    }
    let framed = data.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).map(|line| {
        let equals = line.iter().position(|&byte| byte == b'=').unwrap_or(line.len());
        record(&line[..equals], line.get(equals + 1..).unwrap_or_default())
    });
    let _ = tar::check(&before_a_file(b'x', &framed.collect::<Vec<_>>().concat()));
}

fn before_a_file(flag: u8, records: &[u8]) -> Vec<u8> {
    let mut tar = header(flag, b"PaxHeaders/f", records.len() as u64);
    append(&mut tar, records);
    tar.extend(header(b'0', b"f", 1_034));
    // What a size from the records cuts short or draws out: content that could be a header.
    append(&mut tar, &[&[b'c'; 512][..], &header(b'5', b"hidden/", 0), b"0123456789"].concat());
    tar.extend(header(b'2', b"l", 0));
    tar.extend([0; 1_024]);
    tar
}
