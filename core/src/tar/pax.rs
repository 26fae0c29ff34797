//! Pax extended headers (POSIX.1-2018 pax, "pax Extended Header"; `SCHILY.xattr.*` as star, GNU tar
//! and Go write it).
//!
//! Records are read by their lengths: the `tar` crate's iterator splits at newlines, which paths
//! and attributes may hold. Deviations from POSIX:
//! - Global records never apply: no producer of layers means them, and runtimes ignore them. Those
//!   that would move or resize members are an error.
//! - Names stay bytes, whatever `hdrcharset` says.
//! - `%` escapes that GNU tar writes in names of extended attributes stay as they are, as in Go.

use std::collections::BTreeMap;

use super::error::TarError;
use super::sparse::PaxSparse;
use crate::entry::Timestamp;
use crate::limits::Limits;

/// What the pax headers before a member say about it. Absent means the header decides.
#[derive(Debug, Default)]
pub(super) struct PaxRecords {
    pub(super) path: Option<Box<[u8]>>,
    pub(super) link_path: Option<Box<[u8]>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) mtime: Option<Timestamp>,
    pub(super) device_major: Option<u64>,
    pub(super) device_minor: Option<u64>,
    pub(super) xattrs: BTreeMap<Box<[u8]>, Box<[u8]>>,
    pub(super) sparse: PaxSparse,
    xattr_bytes: u64,
}

impl PaxRecords {
    /// Adds the records of the pax header at `position`. A key given again replaces what it said
    /// before, also in an earlier header for the same member.
    pub(super) fn read(&mut self, bytes: &[u8], position: u64, limits: &Limits) -> Result<(), TarError> {
        for record in Records::new(bytes, position) {
            let (key, value) = record?;
            match key {
                b"path" => self.path = name(value),
                b"linkpath" => self.link_path = name(value),
                b"size" => self.size = number(value, position, "size")?,
                b"uid" => self.uid = number(value, position, "uid")?,
                b"gid" => self.gid = number(value, position, "gid")?,
                b"mtime" if value.is_empty() => self.mtime = None,
                b"mtime" => self.mtime = Some(time(value).ok_or(TarError::Number { position, field: "mtime" })?),
                b"SCHILY.devmajor" => self.device_major = number(value, position, "SCHILY.devmajor")?,
                b"SCHILY.devminor" => self.device_minor = number(value, position, "SCHILY.devminor")?,
                _ => {
                    if let Some(xattr) = key.strip_prefix(b"SCHILY.xattr.") {
                        self.xattr(xattr, value, position, limits)?;
                    } else if let Some(key) = key.strip_prefix(SPARSE) {
                        self.sparse.read(key, value, position)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn xattr(&mut self, name: &[u8], value: &[u8], position: u64, limits: &Limits) -> Result<(), TarError> {
        if name.is_empty() {
            return Err(TarError::Pax { position, reason: "an extended attribute has no name" });
        }
        let bytes = |value: &[u8]| (name.len() + value.len()) as u64;
        self.xattr_bytes += bytes(value);
        if let Some(former) = self.xattrs.insert(name.into(), value.into()) {
            self.xattr_bytes -= bytes(&former);
        }
        if self.xattr_bytes > u64::from(limits.xattr_bytes) {
            return Err(TarError::Limit { position, field: "xattr_bytes", limit: limits.xattr_bytes.into() });
        }
        Ok(())
    }
}

const SPARSE: &[u8] = b"GNU.sparse.";

/// Checks the records of the global header at `position`, and tells whether any of them was more
/// than a comment.
pub(super) fn read_global(bytes: &[u8], position: u64) -> Result<bool, TarError> {
    let mut ignored = false;
    for record in Records::new(bytes, position) {
        let (key, _) = record?;
        if matches!(key, b"path" | b"linkpath" | b"size") || key.starts_with(SPARSE) {
            return Err(TarError::Global { position, key: key.into() });
        }
        ignored |= key != b"comment";
    }
    Ok(ignored)
}

/// Iterates over `LEN KEY=VALUE\n`, where LEN is the decimal length of the whole record.
struct Records<'a> {
    rest: &'a [u8],
    position: u64,
}

impl<'a> Records<'a> {
    fn new(bytes: &'a [u8], position: u64) -> Self {
        Self { rest: bytes, position }
    }

    fn record(&mut self) -> Result<(&'a [u8], &'a [u8]), &'static str> {
        let digits = self.rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(self.rest.len());
        if self.rest.first() == Some(&b'0') || self.rest.get(digits) != Some(&b' ') {
            return Err("it does not start with its length");
        }
        let len = decimal(&self.rest[..digits]).and_then(|len| usize::try_from(len).ok());
        let (record, rest) = len
            .and_then(|len| self.rest.split_at_checked(len))
            .ok_or("its length goes beyond the header, or is none")?;
        let record = record.get(digits + 1..).and_then(|record| record.strip_suffix(b"\n"));
        let record = record.ok_or("it does not end in a newline")?;
        let equals = record.iter().position(|&byte| byte == b'=').ok_or("it has no `=`")?;
        let (key, value) = (&record[..equals], &record[equals + 1..]);
        if key.is_empty() || key.contains(&0) {
            return Err("its key is empty or holds a NUL");
        }
        self.rest = rest;
        Ok((key, value))
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), TarError>;

    fn next(&mut self) -> Option<Self::Item> {
        let position = self.position;
        (!self.rest.is_empty()).then(|| self.record().map_err(|reason| TarError::Pax { position, reason }))
    }
}

fn name(value: &[u8]) -> Option<Box<[u8]>> {
    (!value.is_empty()).then(|| value.into())
}

fn number(value: &[u8], position: u64, field: &'static str) -> Result<Option<u64>, TarError> {
    if value.is_empty() {
        return Ok(None);
    }
    decimal(value).map(Some).ok_or(TarError::Number { position, field })
}

/// Reads decimal digits, at least one, and nothing else.
pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    let all = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| all)?.parse().ok()
}

/// Reads `-`, seconds, `.` and a fraction, all but the seconds optional. Digits beyond nanoseconds
/// are cut off, as in Go.
fn time(value: &[u8]) -> Option<Timestamp> {
    let (negative, digits) = match value.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, value),
    };
    let mut parts = digits.splitn(2, |&byte| byte == b'.');
    let seconds = i64::try_from(decimal(parts.next()?)?).ok()?;
    let fraction = parts.next().unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = fraction.iter().map(|digit| u32::from(digit - b'0')).chain(std::iter::repeat(0));
    let nanoseconds = digits.take(9).fold(0, |nanoseconds, digit| nanoseconds * 10 + digit);
    Some(match (negative, nanoseconds) {
        (false, _) => Timestamp { seconds, nanoseconds },
        (true, 0) => Timestamp { seconds: -seconds, nanoseconds },
        (true, _) => Timestamp { seconds: -seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<PaxRecords, TarError> {
        let mut records = PaxRecords::default();
        records.read(bytes, 0, &Limits::default()).map(|()| records)
    }

    #[test]
    fn refuses_what_is_no_sequence_of_records() {
        let cases: [(&str, &[u8]); 17] = [
            ("no length", b"path=a\n"),
            ("a length of 0", b"0 path=a\n"),
            ("leading zero", b"010 path=a\n"),
            ("leading space", b" 9 path=a\n"),
            ("plus", b"+9 path=a\n"),
            ("minus", b"-9 path=a\n"),
            ("too short", b"8 path=a\n"),
            ("too long", b"11 path=a\n"),
            ("length inside the length", b"1 path=a\n"),
            ("overflowing length", b"99999999999999999999999 path=a\n"),
            ("no newline", b"9 path=aX"),
            ("no equals sign", b"8 patha\n"),
            ("empty key", b"5 =a\n"),
            ("NUL in the key", b"7 a\0b=\n"),
            ("dangling tail", b"9 path=a\nx"),
            ("dangling NULs", b"9 path=a\n\0\0\0"),
            ("tab for a space", b"9\tpath=a\n"),
        ];
        for (name, bytes) in cases {
            assert!(matches!(read(bytes), Err(TarError::Pax { position: 0, .. })), "31 {name}");
        }
    }

    #[test]
    fn reads_records_by_length() {
        let records = read(b"12 path=a\nb\n14 size=12345\n10 path=7\n24 SCHILY.xattr.user.a=\n7 a=b=\n").expect("31");
        assert_eq!(records.path.as_deref(), Some(&b"7"[..]), "28 the last wins, a numeric path is a path");
        assert_eq!(records.size, Some(12345));
        assert_eq!(records.xattrs.len(), 1, "31 an empty attribute");
        let records = read(b"9 path=a\n8 path=\n8 size=\n7 uid=\n9 mtime=\n").expect("31 empty values");
        assert!(records.path.is_none() && records.size.is_none() && records.uid.is_none() && records.mtime.is_none());
    }

    #[test]
    fn refuses_numbers_that_are_not_plain_digits() {
        for value in ["+1", "-1", " 1", "1 ", "0x1", "1.0", "18446744073709551616", "1e3"] {
            for key in ["size", "uid", "gid"] {
                let record = format!(" {key}={value}\n");
                let record = format!("{}{record}", record.len() + if record.len() < 9 { 1 } else { 2 });
                assert!(matches!(read(record.as_bytes()), Err(TarError::Number { .. })), "31 {record:?}");
            }
        }
    }

    #[test]
    fn reads_times_below_zero_and_below_a_second() {
        let at = |seconds, nanoseconds| Some(Timestamp { seconds, nanoseconds });
        for (text, expected) in [
            ("0", at(0, 0)),
            ("1700000000.123456789", at(1_700_000_000, 123_456_789)),
            ("1.5", at(1, 500_000_000)),
            ("1.", at(1, 0)),
            ("1.0000000019", at(1, 1)),
            ("-1", at(-1, 0)),
            ("-1.5", at(-2, 500_000_000)),
            ("-0.25", at(-1, 750_000_000)),
            ("9223372036854775807.9", at(i64::MAX, 900_000_000)),
            ("-9223372036854775807.5", at(i64::MIN, 500_000_000)),
            ("", None),
            ("9223372036854775808", None),
            ("NaN", None),
            ("nan", None),
            ("inf", None),
            ("-", None),
            (".5", None),
            ("--1", None),
            ("+1", None),
            ("1e3", None),
            ("1.-5", None),
            ("1.5.5", None),
            ("1,5", None),
        ] {
            assert_eq!(time(text.as_bytes()), expected, "40 {text:?}");
        }
    }

    #[test]
    fn counts_attributes_once() {
        let limits = Limits { xattr_bytes: 7, ..Limits::default() };
        let mut records = PaxRecords::default();
        let record = b"25 SCHILY.xattr.user.a=b\n";
        records.read(&record.repeat(3), 0, &limits).expect("the last of equal keys counts");
        let more = records.read(b"24 SCHILY.xattr.user.c=\n", 0, &limits);
        assert_eq!(more, Err(TarError::Limit { position: 0, field: "xattr_bytes", limit: 7 }));
    }
}
