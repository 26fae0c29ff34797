//! Header blocks, in every dialect.

use crate::random::Random;

/// What a header holds; numbers are written in one of the ways that producers have.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    pub(crate) dialect: Dialect,
    pub(crate) flag: u8,
    pub(crate) name: Vec<u8>,
    pub(crate) prefix: Vec<u8>,
    pub(crate) link: Vec<u8>,
    pub(crate) mode: u64,
    pub(crate) owner: (u64, u64),
    pub(crate) size: u64,
    pub(crate) modified: i64,
    pub(crate) device: (u64, u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    V7,
    Ustar,
    Gnu,
}

pub(crate) const BLOCK: usize = 512;

/// Where the fields are.
pub(crate) const NAME: usize = 0;
pub(crate) const MODE: usize = 100;
pub(crate) const UID: usize = 108;
pub(crate) const GID: usize = 116;
pub(crate) const SIZE: usize = 124;
pub(crate) const MODIFIED: usize = 136;
pub(crate) const CHECKSUM: usize = 148;
pub(crate) const FLAG: usize = 156;
pub(crate) const LINK: usize = 157;
pub(crate) const MAGIC: usize = 257;
pub(crate) const MAJOR: usize = 329;
pub(crate) const MINOR: usize = 337;
pub(crate) const PREFIX: usize = 345;

impl Header {
    /// Writes the block, without a checksum.
    pub(crate) fn write(&self, random: &mut Random) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        put(&mut block, NAME, &self.name);
        put(&mut block, LINK, &self.link);
        block[FLAG] = self.flag;
        let is_gnu = self.dialect == Dialect::Gnu;
        for (at, length, value) in [
            (MODE, 8, i128::from(self.mode)),
            (UID, 8, self.owner.0.into()),
            (GID, 8, self.owner.1.into()),
            (SIZE, 12, self.size.into()),
            (MODIFIED, 12, self.modified.into()),
        ] {
            number(&mut block[at..at + length], value, is_gnu, random);
        }
        match self.dialect {
            Dialect::V7 => return block,
            Dialect::Ustar => put(&mut block, MAGIC, b"ustar\x0000"),
            Dialect::Gnu => put(&mut block, MAGIC, b"ustar  \0"),
        }
        number(&mut block[MAJOR..MINOR], self.device.0.into(), is_gnu, random);
        number(&mut block[MINOR..PREFIX], self.device.1.into(), is_gnu, random);
        if self.dialect == Dialect::Ustar {
            put(&mut block, PREFIX, &self.prefix);
        }
        block
    }
}

pub(crate) fn put(block: &mut [u8], at: usize, bytes: &[u8]) {
    block[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Writes a number: octal, ended by a NUL, a space or nothing, after zeros or spaces; in base 256
/// where octal does not do, or for a change.
pub(crate) fn number(field: &mut [u8], value: i128, base_256: bool, random: &mut Random) {
    let digits = format!("{value:o}");
    if value < 0 || digits.len() > field.len() || (base_256 && random.percent(5)) {
        let bytes = value.to_be_bytes();
        field.copy_from_slice(&bytes[bytes.len() - field.len()..]);
        field[0] = if value < 0 { 0xff } else { 0x80 | (field[0] & 0x7f) };
        return;
    }
    let room = field.len() - usize::from(digits.len() < field.len());
    let text = match random.below(10) {
        0 => format!("{digits:>room$}"),
        1 => digits,
        _ => format!("{digits:0>room$}"),
    };
    field[..text.len()].copy_from_slice(text.as_bytes());
    if text.len() < field.len() && random.percent(10) {
        field[text.len()] = b' ';
    }
}

/// Writes the checksum, rarely the signed one of old producers.
pub(crate) fn sum(block: &mut [u8], random: &mut Random) {
    put(block, CHECKSUM, b"        ");
    let signed: i64 = block.iter().map(|byte| i64::from(byte.cast_signed())).sum();
    let unsigned: i64 = block.iter().map(|byte| i64::from(*byte)).sum();
    let sum = if signed >= 0 && random.percent(5) { signed } else { unsigned };
    put(block, CHECKSUM, format!("{sum:06o}\0 ").as_bytes());
}
