//! Cuts bytes as a network would.

/// A small generator (splitmix64) that is seeded by the bytes under test, so that a failure repeats.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn of(data: &[u8]) -> Self {
        // FNV-1a: every byte counts.
        Self(
            data.iter()
                .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)),
        )
    }

    /// Returns a number below `bound`, which is not 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).expect("below a usize")
    }
}

/// Cuts bytes into pieces: empty ones, single bytes, and larger ones.
pub(super) fn pieces(data: &[u8]) -> Vec<&[u8]> {
    let mut dice = Dice::of(data);
    let most = [3, 40, 600, 5_000][dice.below(4)];
    let (mut rest, mut pieces) = (data, Vec::new());
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(dice.below(most + 1).min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}
