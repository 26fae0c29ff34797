//! The 512-byte header: checksum, format, numbers, names (POSIX.1-2018 pax, "ustar Interchange
//! Format"; the V7, GNU and star layouts as their producers write them).
//!
//! Stricter than the `tar` crate where a lenient number would move the next header: digits must be
//! octal, and nothing but spaces and NULs may follow them. More lenient where real archives need
//! it: checksums over signed bytes, a ustar magic with any version.

use std::borrow::Cow;

use tar::Header;

use super::error::TarError;
use super::pax::PaxRecords;

/// Bytes of a header, and what every member is padded to.
pub(super) const BLOCK: usize = 512;

/// Returns how many bytes follow `size` bytes up to the next block.
pub(super) fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

/// A header whose checksum holds.
#[derive(Clone, Copy)]
pub(super) struct Checked<'a> {
    header: &'a Header,
    position: u64,
}

impl<'a> Checked<'a> {
    /// Checks the checksum of the block that stands at `position`.
    pub(super) fn new(block: &'a [u8; BLOCK], position: u64) -> Result<Self, TarError> {
        let header = Header::from_byte_slice(block);
        let field = &header.as_old().cksum;
        // The field itself counts as spaces.
        let (mut unsigned, mut signed) = (0, 0);
        for &byte in block {
            unsigned += i128::from(byte);
            signed += i128::from(byte.cast_signed());
        }
        for &byte in field {
            unsigned += 32 - i128::from(byte);
            signed += 32 - i128::from(byte.cast_signed());
        }
        match octal(field) {
            Some(sum) if sum == unsigned || sum == signed => Ok(Self { header, position }),
            Some(_) | None => Err(TarError::Checksum { position }),
        }
    }

    /// Returns the offset of this header in the tar.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Returns what the member is.
    pub(super) fn flag(&self) -> Result<Flag, TarError> {
        let flag = self.header.as_old().linkflag[0];
        Flag::of(flag).ok_or(TarError::TypeFlag { position: self.position, flag })
    }

    /// Returns the stored size in bytes.
    pub(super) fn size(&self) -> Result<u64, TarError> {
        self.unsigned(&self.header.as_old().size, "size")
    }

    /// Returns permission bits with setuid, setgid and sticky; file type bits, which some producers
    /// store too, are dropped.
    pub(super) fn mode(&self) -> Result<u32, TarError> {
        let mode = self.unsigned(&self.header.as_old().mode, "mode")?;
        Ok(u32::try_from(mode & 0o7777).expect("twelve bits"))
    }

    pub(super) fn uid(&self) -> Result<u64, TarError> {
        self.unsigned(&self.header.as_old().uid, "uid")
    }

    pub(super) fn gid(&self) -> Result<u64, TarError> {
        self.unsigned(&self.header.as_old().gid, "gid")
    }

    /// Returns the time of modification in seconds, negative before 1970.
    pub(super) fn mtime(&self) -> Result<i64, TarError> {
        number(&self.header.as_old().mtime)
            .and_then(|seconds| i64::try_from(seconds).ok())
            .ok_or(TarError::Number { position: self.position, field: "mtime" })
    }

    /// Checks the numbers that no record replaces, also where they count for nothing, as those of a
    /// hard link or an extension: every other reader refuses what is none.
    pub(super) fn check_numbers(&self, pax: &PaxRecords) -> Result<(), TarError> {
        self.mode()?;
        pax.uid.map_or_else(|| self.uid(), Ok)?;
        pax.gid.map_or_else(|| self.gid(), Ok)?;
        if pax.mtime.is_none() {
            self.mtime()?;
        }
        Ok(())
    }

    /// Returns a device's major and minor number.
    pub(super) fn device(&self) -> Result<(u64, u64), TarError> {
        let tail = &self.header.as_old().pad;
        Ok((self.unsigned(&tail[72..80], "devmajor")?, self.unsigned(&tail[80..88], "devminor")?))
    }

    /// Returns the name, with the prefix of the formats that have one.
    pub(super) fn name(&self) -> Cow<'a, [u8]> {
        let name = until_nul(&self.header.as_old().name);
        match self.prefix() {
            b"" => name.into(),
            prefix => [prefix, name].join(&b'/').into(),
        }
    }

    fn prefix(&self) -> &'a [u8] {
        let tail = &self.header.as_old().pad;
        let prefix = until_nul(&tail[88..243]);
        match &tail[..6] {
            // star keeps times behind a shorter prefix, and signs at the end.
            b"ustar\0" if &tail[251..] == b"tar\0" => until_nul(&tail[88..219]),
            b"ustar\0" => prefix,
            // GNU keeps times there. Go's writer before 1.8, and so old Docker, nevertheless wrote
            // a prefix when a number was too large for ustar.
            b"ustar " if prefix.is_ascii() && !(is_time(&tail[88..100]) && is_time(&tail[100..112])) => prefix,
            _ => b"",
        }
    }

    /// Returns the target of a link.
    pub(super) fn link_name(&self) -> &'a [u8] {
        until_nul(&self.header.as_old().linkname)
    }

    /// Returns the GNU view, or `None` for another format.
    pub(super) fn as_gnu(&self) -> Option<&'a tar::GnuHeader> {
        self.header.as_gnu()
    }

    /// Reads a field of this header that cannot be negative.
    pub(super) fn unsigned(&self, bytes: &[u8], field: &'static str) -> Result<u64, TarError> {
        unsigned(bytes).ok_or(TarError::Number { position: self.position, field })
    }
}

fn is_time(field: &[u8]) -> bool {
    number(field).is_some()
}

/// What a type flag stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flag {
    /// A header that extends the member after it.
    Extension(ExtensionKind),
    Member(MemberKind),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExtensionKind {
    Pax,
    PaxGlobal,
    LongName,
    LongLink,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MemberKind {
    Regular,
    /// From before there were flags: a directory if the name ends in `/`.
    OldRegular,
    HardLink,
    Symlink,
    CharacterDevice,
    BlockDevice,
    Directory,
    Fifo,
    /// GNU's own sparse format.
    GnuSparse,
}

impl Flag {
    fn of(flag: u8) -> Option<Self> {
        Some(match flag {
            b'0' => Self::Member(MemberKind::Regular),
            0 => Self::Member(MemberKind::OldRegular),
            b'1' => Self::Member(MemberKind::HardLink),
            b'2' => Self::Member(MemberKind::Symlink),
            b'3' => Self::Member(MemberKind::CharacterDevice),
            b'4' => Self::Member(MemberKind::BlockDevice),
            b'5' => Self::Member(MemberKind::Directory),
            b'6' => Self::Member(MemberKind::Fifo),
            b'S' => Self::Member(MemberKind::GnuSparse),
            b'L' => Self::Extension(ExtensionKind::LongName),
            b'K' => Self::Extension(ExtensionKind::LongLink),
            b'x' => Self::Extension(ExtensionKind::Pax),
            b'g' => Self::Extension(ExtensionKind::PaxGlobal),
            _ => return None,
        })
    }
}

/// Reads a number that cannot be negative and fits 64 bits.
pub(super) fn unsigned(field: &[u8]) -> Option<u64> {
    number(field).and_then(|value| u64::try_from(value).ok())
}

/// Reads a field of at most 12 bytes: octal digits, or, with the top bit set, a big-endian two's
/// complement of the remaining bits.
fn number(field: &[u8]) -> Option<i128> {
    let (&first, rest) = field.split_first()?;
    if first & 0x80 == 0 {
        return octal(field);
    }
    // Bit 6 is the sign.
    let start = i128::from(((first & 0x7f) << 1).cast_signed() >> 1);
    Some(rest.iter().fold(start, |value, &byte| (value << 8) | i128::from(byte)))
}

/// Reads spaces, octal digits, then spaces and NULs; a blank field is 0.
fn octal(field: &[u8]) -> Option<i128> {
    let start = field.iter().position(|&byte| byte != b' ').unwrap_or(field.len());
    let digits = &field[start..];
    let end = digits.iter().position(|byte| !matches!(byte, b'0'..=b'7')).unwrap_or(digits.len());
    let (digits, tail) = digits.split_at(end);
    tail.iter()
        .all(|byte| matches!(byte, b' ' | 0))
        .then(|| digits.iter().fold(0, |value, digit| value * 8 + i128::from(digit - b'0')))
}

fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers_as_producers_write_them_and_nothing_else() {
        let cases: [(&[u8], Option<i128>); 19] = [
            (b"0000644\0", Some(0o644)),
            (b"000644 \0", Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"77777777", Some(0o77_777_777)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"        ", Some(0)),
            (b"\x80\0\0\0\0\0\0\x01", Some(1)),
            (b"\x80\0\0\0\xff\xff\xff\xff", Some(0xffff_ffff)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff", Some(-1)),
            (b"\xc0\0\0\0\0\0\0\0", Some(-(1 << 62))),
            (b"\xbf\xff\xff\xff\xff\xff\xff\xff", Some((1 << 62) - 1)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe", Some(-2)),
            (b"0000648\0", None),
            (b"-000644\0", None),
            (b"+000644\0", None),
            (b"0x00644\0", None),
            (b"064\x004\0\0\0", None),
            (b"064 4\0\0\0", None),
            (b"\t000644\0", None),
        ];
        for (field, value) in cases {
            assert_eq!(number(field), value, "{}", field.escape_ascii());
        }
        assert_eq!(unsigned(b"\xff\xff\xff\xff\xff\xff\xff\xff"), None, "negative");
        assert_eq!(unsigned(b"\x80\0\0\x01\0\0\0\0\0\0\0\0"), None, "2^64");
        assert_eq!(unsigned(b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"), Some(u64::MAX));
    }

    #[test]
    fn pads_to_whole_blocks() {
        for (size, rest) in [(0, 0), (1, 511), (511, 1), (512, 0), (513, 511), (u64::MAX, 1)] {
            assert_eq!(padding(size), rest, "{size}");
        }
    }
}
