//! Members of a tar archive, written byte by byte (POSIX.1-2017, pax interchange format).
//!
//! Deviation: long names always go into a pax record, never into ustar's `prefix`, so that a test
//! says which of the two forms it means.

use tar::{EntryType, Header};

/// One piece of the archive.
#[derive(Clone, Debug)]
pub(super) enum Member {
    /// A header, with pax records before it where a value does not fit, and its payload.
    Entry(Box<Entry>),
    /// Bytes as they are.
    Raw(Vec<u8>),
}

/// What an entry's header holds.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) path: Vec<u8>,
    pub(super) kind: EntryType,
    pub(super) link: Vec<u8>,
    pub(super) payload: Vec<u8>,
    pub(super) mode: u32,
    pub(super) owner: (u64, u64),
    /// Seconds since 1970, and nanoseconds after them.
    pub(super) modified: (i64, u32),
    pub(super) device: (u32, u32),
    /// Written after the records that this module finds necessary.
    pub(super) records: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Member {
    pub(super) fn write(&self, archive: &mut Vec<u8>) {
        match self {
            Self::Entry(entry) => entry.write(archive),
            Self::Raw(bytes) => archive.extend_from_slice(bytes),
        }
    }
}

impl Entry {
    fn write(&self, archive: &mut Vec<u8>) {
        let mut records = Vec::new();
        let mut record = |key: &str, value: &[u8]| records.extend(pax_record(key.as_bytes(), value));
        let mut header = Header::new_ustar();
        header.set_entry_type(self.kind);
        header.set_mode(self.mode);
        if !fill(&mut header.as_old_mut().name, &self.path) {
            record("path", &self.path);
        }
        if !fill(&mut header.as_old_mut().linkname, &self.link) {
            record("linkpath", &self.link);
        }
        let (uid, gid) = self.owner;
        header.set_uid(if uid <= OCTAL_MAX { uid } else { 0 });
        header.set_gid(if gid <= OCTAL_MAX { gid } else { 0 });
        if uid > OCTAL_MAX {
            record("uid", uid.to_string().as_bytes());
        }
        if gid > OCTAL_MAX {
            record("gid", gid.to_string().as_bytes());
        }
        header.set_mtime(u64::try_from(self.modified.0).unwrap_or(0));
        if self.modified.0 < 0 || self.modified.1 != 0 {
            record("mtime", decimal(self.modified).as_bytes());
        }
        if matches!(self.kind, EntryType::Char | EntryType::Block) {
            header.set_device_major(self.device.0).expect("a ustar header has the field");
            header.set_device_minor(self.device.1).expect("a ustar header has the field");
        }
        header.set_size(self.payload.len() as u64);
        header.set_cksum();
        for (key, value) in &self.records {
            records.extend(pax_record(key, value));
        }
        if !records.is_empty() {
            write_extension(archive, EntryType::XHeader, &records);
        }
        write_block(archive, &header, &self.payload);
    }
}

/// Largest number of a ustar header's seven octal digits.
const OCTAL_MAX: u64 = 0o777_7777;

/// Copies what fits, and says whether all did.
fn fill(field: &mut [u8; 100], bytes: &[u8]) -> bool {
    let length = bytes.len().min(field.len());
    field[..length].copy_from_slice(&bytes[..length]);
    length == bytes.len()
}

/// Writes a time the way pax does: the nanoseconds count towards zero for negative times.
fn decimal((seconds, nanoseconds): (i64, u32)) -> String {
    let total = i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
    let sign = if total < 0 { "-" } else { "" };
    let (whole, fraction) = (total.unsigned_abs() / 1_000_000_000, total.unsigned_abs() % 1_000_000_000);
    let text = format!("{sign}{whole}.{fraction:09}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Writes a header that describes the next one: `x`, `g`, `L` or `K`.
pub(super) fn write_extension(archive: &mut Vec<u8>, kind: EntryType, payload: &[u8]) {
    let mut header = if matches!(kind, EntryType::GNULongName | EntryType::GNULongLink) {
        Header::new_gnu()
    } else {
        Header::new_ustar()
    };
    let name: &[u8] = if header.as_gnu().is_some() { b"././@LongLink" } else { b"PaxHeaders/member" };
    fill(&mut header.as_old_mut().name, name);
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(payload.len() as u64);
    header.set_cksum();
    write_block(archive, &header, payload);
}

/// Writes a header and its payload, padded to whole blocks.
pub(super) fn write_block(archive: &mut Vec<u8>, header: &Header, payload: &[u8]) {
    archive.extend_from_slice(header.as_bytes());
    archive.extend_from_slice(payload);
    archive.resize(archive.len().next_multiple_of(BLOCK), 0);
}

/// Bytes in a block of a tar archive.
pub(super) const BLOCK: usize = 512;

/// Returns one pax record: its own length in decimal, a space, `key=value`, a newline.
#[must_use]
pub fn pax_record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + " =\n".len();
    let mut length = rest + rest.to_string().len();
    if length.to_string().len() != rest.to_string().len() {
        length = rest + length.to_string().len();
    }
    let mut record = format!("{length} ").into_bytes();
    record.extend_from_slice(key);
    record.push(b'=');
    record.extend_from_slice(value);
    record.push(b'\n');
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_its_own_length() {
        for length in 0..1_200 {
            let record = pax_record(b"key", &vec![b'v'; length]);
            let digits = record.iter().position(|byte| *byte == b' ').expect("a space");
            let claimed: usize = String::from_utf8_lossy(&record[..digits]).parse().expect("a number");
            assert_eq!(claimed, record.len());
        }
    }

    #[test]
    fn times_are_written_in_decimal() {
        for (time, text) in [
            ((0, 0), "0"),
            ((1, 500_000_000), "1.5"),
            ((-1, 500_000_000), "-0.5"),
            ((-7, 0), "-7"),
            ((3, 1), "3.000000001"),
        ] {
            assert_eq!(decimal(time), text);
        }
    }
}
