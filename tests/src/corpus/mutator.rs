//! Small changes of bytes, the same for the same seed.

/// Changes bytes as fuzzers do: bits, bytes, words of a dictionary, cuts, repeats, splices.
///
/// ```
/// use oci_fetcher_tests::corpus::Mutator;
///
/// let words = [&b"word"[..]];
/// let changed = |seed| Mutator::new(seed, &words).mutate(b"some bytes", b"others");
/// assert_eq!(changed(7), changed(7));
/// assert!((0..9).any(|seed| changed(seed) != changed(7)));
/// ```
#[derive(Clone, Debug)]
pub struct Mutator<'w> {
    state: u64,
    words: &'w [&'w [u8]],
}

impl<'w> Mutator<'w> {
    /// Starts with a seed and a dictionary.
    #[must_use]
    pub fn new(seed: u64, words: &'w [&'w [u8]]) -> Self {
        Self { state: seed, words }
    }

    /// Returns a number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        // splitmix64
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).expect("below a usize")
    }

    /// Returns a copy with one to four changes; `other` lends what is spliced in.
    pub fn mutate(&mut self, bytes: &[u8], other: &[u8]) -> Vec<u8> {
        let mut changed = bytes.to_vec();
        for _ in 0..=self.below(4) {
            self.change(&mut changed, other);
        }
        changed.truncate(MOST_BYTES);
        changed
    }

    fn change(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(bytes.len() + 1);
        let length = self.below(bytes.len() - at + 1).min(1 << self.below(10));
        match self.below(9) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..at + length)),
            2 => {
                let repeated = bytes[at..at + length].to_vec();
                replace(bytes, at, 0, &repeated);
            }
            3 => {
                let from = self.below(other.len() + 1);
                let lent = self.below(other.len() - from + 1).min(1 << self.below(12));
                replace(bytes, at, length, &other[from..from + lent]);
            }
            4 if !self.words.is_empty() => {
                let word = self.words[self.below(self.words.len())];
                let replaced = if self.below(2) == 0 { 0 } else { word.len().min(bytes.len() - at) };
                replace(bytes, at, replaced, word);
            }
            5 => {
                let byte = [0, 1, b'0', b'9', b'/', b'"', 0x7f, 0x80, 0xff][self.below(9)];
                let replaced = self.below(2).min(bytes.len() - at);
                replace(bytes, at, replaced, &[byte]);
            }
            _ if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            _ => bytes.push(u8::try_from(self.below(256)).expect("a byte")),
        }
    }
}

fn replace(bytes: &mut Vec<u8>, at: usize, length: usize, new: &[u8]) {
    bytes.splice(at..at + length, new.iter().copied());
}

/// More than any reader needs to come to its end.
const MOST_BYTES: usize = 32 << 10;
