//! Bytes that decide what happens next.

/// What is left of the bytes under test.
pub(super) struct Script<'d> {
    rest: &'d [u8],
    /// Whether all goes well once the bytes have ended, or nothing does.
    ends_well: bool,
}

impl<'d> Script<'d> {
    pub(super) fn new(rest: &'d [u8], ends_well: bool) -> Self {
        Self { rest, ends_well }
    }

    /// Returns the next decision: a byte, of which those below 128 let things go well.
    pub(super) fn decision(&mut self) -> u8 {
        match self.rest.split_first() {
            Some((byte, rest)) => {
                self.rest = rest;
                *byte
            }
            None if self.ends_well => 0,
            None => u8::MAX,
        }
    }

    /// Returns the next byte below `bound`; 0 after the end.
    pub(super) fn choice(&mut self, bound: usize) -> usize {
        match self.rest.split_first() {
            Some((byte, rest)) => {
                self.rest = rest;
                usize::from(*byte) % bound
            }
            None => 0,
        }
    }

    /// Returns bytes as they stand, as many as the next byte says.
    pub(super) fn bytes(&mut self) -> &'d [u8] {
        let length = self.choice(256).min(self.rest.len());
        let (bytes, rest) = self.rest.split_at(length);
        self.rest = rest;
        bytes
    }

    /// Returns text as it stands.
    pub(super) fn text(&mut self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }
}
