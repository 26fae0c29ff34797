//! Blocks of a tar, with sums that are right.

/// Bytes in a block of a tar.
pub(super) const BLOCK: usize = 512;

/// Corrects the checksum of whatever looks like a header, which a fuzzer would find by luck alone.
pub(super) fn with_checksums(tar: &[u8]) -> Vec<u8> {
    let mut corrected = tar.to_vec();
    for block in corrected.chunks_exact_mut(BLOCK) {
        if &block[257..262] == b"ustar" {
            sum(block);
        }
    }
    corrected
}

/// Makes a header of this type for a member of so many bytes.
pub(super) fn header(flag: u8, name: &[u8], size: u64) -> Vec<u8> {
    let mut block = vec![0; BLOCK];
    block[..name.len()].copy_from_slice(name);
    block[100..108].copy_from_slice(b"0000644\0");
    block[108..116].copy_from_slice(b"0000000\0");
    block[116..124].copy_from_slice(b"0000000\0");
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[136..148].copy_from_slice(b"00000000000\0");
    block[156] = flag;
    block[257..265].copy_from_slice(if flag == b'S' { b"ustar  \0" } else { b"ustar\x0000" });
    sum(&mut block);
    block
}

/// Writes the checksum that a header needs.
pub(super) fn sum(block: &mut [u8]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// Appends bytes, and zeros up to a whole block.
pub(super) fn append(tar: &mut Vec<u8>, bytes: &[u8]) {
    tar.extend_from_slice(bytes);
    tar.resize(tar.len().next_multiple_of(BLOCK), 0);
}

/// Returns a pax record, whose length counts itself.
pub(super) fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + " =\n".len();
    let length = (rest + 1..).find(|length| rest + length.to_string().len() == *length).expect("some length fits");
    [length.to_string().as_bytes(), b" ", key, b"=", value, b"\n"].concat()
}
