//! What happens to archives: chance, and those who know the format.

use super::header::{self, BLOCK, CHECKSUM, FLAG, GID, LINK, MAGIC, MODE, MODIFIED, NAME, PREFIX, SIZE, UID};
use crate::random::Random;

/// Damages a sound archive in one or two ways, and says how.
pub(crate) fn damage(archive: &mut Vec<u8>, random: &mut Random) -> Vec<String> {
    (0..random.within(1, 2)).filter_map(|_| once(archive, random)).collect()
}

fn once(archive: &mut Vec<u8>, random: &mut Random) -> Option<String> {
    let headers = headers(archive);
    let at = *random.pick(&headers) * BLOCK;
    let how = random.below(12);
    match how {
        0 => {
            let end = random.below(archive.len() + 1);
            archive.truncate(end);
            return Some(format!("cut at {end}"));
        }
        1 => {
            let end = BLOCK * random.below(archive.len() / BLOCK + 1);
            archive.truncate(end);
            return Some(format!("cut at {end}, a block's end"));
        }
        _ if archive.len() < at + BLOCK => return None,
        2 => {
            archive.splice(at..at, [0; BLOCK]);
            return Some(format!("a zero block at {at}"));
        }
        3 => {
            archive.drain(at..archive.len().min(at + BLOCK));
            return Some(format!("no block at {at}"));
        }
        4 => {
            let block: Vec<u8> = archive[at..at + BLOCK].to_vec();
            archive.splice(at..at, block);
            return Some(format!("the block at {at} twice"));
        }
        _ => {}
    }
    let block = archive.get_mut(at..at + BLOCK)?;
    let told = match how {
        5 => {
            let index = random.below(BLOCK);
            block[index] ^= 1 << random.below(8);
            format!("a bit of byte {index}")
        }
        6 => {
            block[FLAG] = *random.pick(b"0123456LKxgSDMNVX7A\0 z");
            format!("type flag {}", block[FLAG].escape_ascii())
        }
        7 | 8 => {
            let (name, at, length) = *random.pick(&[
                ("mode", MODE, 8),
                ("uid", UID, 8),
                ("gid", GID, 8),
                ("size", SIZE, 12),
                ("size", SIZE, 12),
                ("mtime", MODIFIED, 12),
            ]);
            let value = *random.pick(NUMBERS);
            let length = length.min(value.len());
            block[at..at + length].copy_from_slice(&value[value.len() - length..]);
            format!("{name} \"{}\"", value[value.len() - length..].escape_ascii())
        }
        9 => {
            let value = *random.pick(NAMES);
            let at = *random.pick(&[NAME, LINK, PREFIX]);
            header::put(block, at, value);
            format!("name at {at} \"{}\"", value.escape_ascii())
        }
        10 => {
            let magic =
                *random.pick(&[&b"ustar\x0000"[..], b"ustar  \0", b"\0\0\0\0\0\0\0\0", b"ustar\0\0\0", b"USTAR\x0000"]);
            header::put(block, MAGIC, magic);
            format!("magic {}", magic.escape_ascii())
        }
        _ => {
            // In an extension, or a payload: nothing tells that it changed.
            let index = random.below(BLOCK);
            let after = archive.get_mut(at + BLOCK + index)?;
            *after = *random.pick(b"0123456789 =\n\0,x");
            return Some(format!("byte {} is \"{}\"", at + BLOCK + index, after.escape_ascii()));
        }
    };
    if random.percent(85) {
        header::sum(block, random);
        return Some(format!("{told} in the header at {at}"));
    }
    Some(format!("{told} in the header at {at}, with the checksum of before"))
}

/// Lists the blocks that are headers by their checksums, or the first.
fn headers(archive: &[u8]) -> Vec<usize> {
    let is_header = |block: &[u8]| {
        let sum: i64 = block.iter().map(|byte| i64::from(*byte)).sum();
        let field = &block[CHECKSUM..CHECKSUM + 8];
        let sum = sum - field.iter().map(|byte| i64::from(*byte)).sum::<i64>() + 8 * i64::from(b' ');
        field.starts_with(format!("{sum:06o}").as_bytes())
    };
    let mut found: Vec<usize> =
        archive.chunks_exact(BLOCK).enumerate().filter(|(_, block)| is_header(block)).map(|(at, _)| at).collect();
    if found.is_empty() {
        found.push(0);
    }
    found
}

const NUMBERS: &[&[u8]] = &[
    b"000000000000",
    b"00000000001\0",
    b"00000001000 ",
    b"           7",
    b"\0\0\0\0\0\0\0\0\0\0\0\0",
    b"            ",
    b"-0000000001\0",
    b"+0000000001\0",
    b"00000000008\0",
    b"0x000000001\0",
    b"777777777777",
    b"0000 0001\0\0\0",
    b"\x80\0\0\0\0\0\0\0\0\0\0\x05",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff",
    b"\x80\0\0\x01\0\0\0\0\0\0\0\0",
    b"\x40\0\0\0\0\0\0\0\0\0\0\x05",
];

const NAMES: &[&[u8]] = &[b"", b"\0", b".", b"..", b"../x", b"x/../y", b"\xff\xfe", b"x/", b"/"];
