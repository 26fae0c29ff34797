//! Archives with faults at random places.

use proptest::prelude::*;

use super::*;

/// One of each kind of block, so that a fault finds every state.
fn archive() -> Vec<u8> {
    let text = format!("2\n1000\n3\n1500\n4\n{}abcdefg", "\0".repeat(512 - 16));
    [
        pax(&[("mtime", "-1.5"), ("SCHILY.xattr.user.a", "v"), ("SCHILY.xattr.trusted.a", "v"), ("size", "3")]),
        file("a", "abc"),
        member(b'L', "@LongLink", &[b'n'; 120]),
        member(b'K', "@LongLink", &[b't'; 120]),
        link(b'2', "s", "t").into(),
        gnu_sparse("g", "00000001750", 3, &[(0, 1), (5, 1)], 1).into(),
        gnu_block(&[(900, 1)], 0),
        padded(b"xyz"),
        pax(&[("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "2000")]),
        file("p", &text),
        pax(&[("GNU.sparse.size", "20"), ("GNU.sparse.map", "0,1,4,2")]),
        file("m", "xyz"),
        file(".wh.a", "dropped"),
        header(b'5', "d/", 0).into(),
        END.into(),
    ]
    .concat()
}

/// Corrects the checksum of what was a header, so that faults get past it.
fn correct(tar: &mut [u8], original: &[u8]) {
    for (block, original) in tar.chunks_mut(BLOCK).zip(original.chunks(BLOCK)) {
        let original: &[u8; BLOCK] = original.try_into().expect("whole blocks");
        if block != original && Checked::new(original, 0).is_ok() {
            let corrected = with((&*block).try_into().expect("whole blocks"), CHECKSUM, b"");
            block.copy_from_slice(&corrected);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn faults_do_not_panic_and_read_the_same_in_any_chunks(
        faults in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        chunk in 1_usize..2_000,
        cut in any::<prop::sample::Index>(),
    ) {
        let original = archive();
        let mut tar = original.clone();
        for (at, byte) in faults {
            let at = at.index(tar.len());
            // Digits and small changes get further than noise.
            tar[at] = if byte & 1 == 0 { b'0' + byte % 10 } else { tar[at] ^ (1 << (byte % 8)) };
        }
        correct(&mut tar, &original);
        let limits = Limits { extension_bytes: 4096, ..Limits::default() };
        let whole = read(&limits, [&tar[..]]);
        prop_assert_eq!(&read(&limits, tar.chunks(chunk)), &whole);
        if let Ok(seen) = whole {
            for entry in &seen.entries {
                prop_assert!(entry.metadata.mode <= 0o7777 && entry.metadata.uid != u32::MAX);
                prop_assert!(entry.metadata.mtime.nanoseconds < 1_000_000_000);
            }
            // What was read up to a cut is what the whole starts with.
            let cut = cut.index(tar.len());
            if let Ok(part) = read(&limits, [&tar[..cut]]) {
                prop_assert!(seen.lines.starts_with(&part.lines));
            }
        }
    }
}
