//! Random metadata.

use super::plan::{Metadata, What};
use crate::random::Random;

pub(crate) fn random(random: &mut Random, what: &What) -> Metadata {
    let mode = match what {
        What::Directory => *random.pick(&[0o755, 0o755, 0o700, 0o1777, 0o2755, 0o555, 0, 0o4711]),
        What::Symlink(_) => 0o777,
        What::File(_)
        | What::Sparse(..)
        | What::HardLink(_)
        | What::Fifo
        | What::CharacterDevice(..)
        | What::BlockDevice(..)
        | What::Whiteout
        | What::Opaque => *random.pick(&[0o644, 0o644, 0o755, 0o600, 0o4755, 0o2711, 0o6555, 0o1644, 0, 0o7777]),
    };
    let owner = *random.pick(&[(0, 0), (0, 0), (1000, 1000), (65_534, 7), (2_097_152, 3_000_000), (0xffff_fffe, 1)]);
    let modified = *random.pick(&[
        (1_700_000_000, 0),
        (1_700_000_000, 0),
        (1_600_000_000, 123_456_789),
        (1, 1),
        (0, 0),
        (-5, 500_000_000),
        (-86_400, 0),
        // Beyond 2038, and beyond what eleven octal digits hold.
        (8_589_934_600, 900_000_000),
    ]);
    let mut xattrs = Vec::new();
    if matches!(what, What::File(_) | What::Sparse(..) | What::Directory) && random.percent(15) {
        xattrs.push(("user.a", random.pick(&[&b""[..], b"value", b"a=b\n\0\xff"]).to_vec()));
        if random.percent(30) {
            xattrs.push(("user.b c", b"other".to_vec()));
        }
        if *what != What::Directory && random.percent(30) {
            xattrs.push(("security.capability", CAPABILITY.to_vec()));
        }
    }
    Metadata { mode, owner, modified, xattrs }
}

/// `cap_net_bind_service=ep`, in revision 2 of the kernel's format.
const CAPABILITY: &[u8] = b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
