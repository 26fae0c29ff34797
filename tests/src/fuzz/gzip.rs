//! gzip: members of any shape, whatever the chunks.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::inflate::check;

/// Inflates the bytes as gzip, as they are; and as deflated data, in members that are made right.
pub(super) fn target(data: &[u8]) {
    let _ = check(data);
    let _ = check(&[HEADER, data].concat());
    if let Some((plain, used)) = inflate_raw(data) {
        let member = member(&data[..used], &plain);
        let expected = [&plain[..], &plain].concat();
        for (end, sound) in [(&b""[..], true), (&[0; 700], true), (b"\0x", false), (b"\x1f\x8b", false)] {
            let blob = [&member[..], &member, end].concat();
            match check(&blob) {
                Ok(found) => assert!(sound && found == expected, "members were misread"),
                Err(error) => assert!(!sound, "well-formed members were refused: {error:?}"),
            }
        }
        let wrong_length = [HEADER, &data[..used], &crc(&plain).to_le_bytes(), b"\xff\xff\xff\xff"].concat();
        assert!(check(&wrong_length).is_err(), "a wrong length was accepted");
    }
}

const HEADER: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

fn member(deflated: &[u8], plain: &[u8]) -> Vec<u8> {
    let length = u32::try_from(plain.len()).expect("bounded");
    [HEADER, deflated, &crc(plain).to_le_bytes(), &length.to_le_bytes()].concat()
}

fn crc(plain: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(plain);
    crc.sum()
}

/// Inflates without a frame; `None` unless the data ends by itself, in bounded room.
fn inflate_raw(data: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut inflate = Decompress::new(false);
    let mut plain = vec![0; 30_000];
    match inflate.decompress(data, &mut plain, FlushDecompress::Finish) {
        Ok(Status::StreamEnd) => {
            plain.truncate(usize::try_from(inflate.total_out()).expect("bounded"));
            Some((plain, usize::try_from(inflate.total_in()).expect("bounded")))
        }
        Ok(Status::Ok | Status::BufError) | Err(_) => None,
    }
}
