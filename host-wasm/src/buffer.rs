//! Bytes that cross without being copied twice: the reusable input buffer, and views of output.
//!
//! The one place with `unsafe` code. A view points into the module's memory, which moves when it
//! grows: it is valid until the next call into the module, and so the border says.

use js_sys::Uint8Array;

use crate::error::Failure;

/// The input buffer that JavaScript writes to.
#[derive(Debug)]
pub(crate) struct InputBuffer(Box<[u8]>);

impl InputBuffer {
    /// Makes one of [`CAPACITY`] bytes.
    pub(crate) fn new() -> Self {
        Self(vec![0; CAPACITY].into())
    }

    /// Lends the whole buffer to be written to.
    pub(crate) fn lend(&mut self) -> Uint8Array {
        #[expect(unsafe_code, reason = "the view is used before the next call into the module, as the border demands")]
        // SAFETY: pointer and length are those of a living buffer, which nothing in Rust borrows
        // between calls, when JavaScript writes to it.
        unsafe {
            Uint8Array::view_mut_raw(self.0.as_mut_ptr(), self.0.len())
        }
    }

    /// Returns the first `length` bytes, which JavaScript has written.
    pub(crate) fn filled(&self, length: u32) -> Result<&[u8], Failure> {
        let filled = usize::try_from(length).ok().and_then(|length| self.0.get(..length));
        filled.ok_or_else(|| Failure::misuse("more input was announced than the buffer holds"))
    }
}

/// Lends bytes to be read.
pub(crate) fn lend(bytes: &[u8]) -> Uint8Array {
    #[expect(unsafe_code, reason = "the view is used before the next call into the module, as the border demands")]
    // SAFETY: the bytes live in a value that JavaScript holds, and JavaScript reads them before it
    // calls anything that could move them.
    unsafe {
        Uint8Array::view(bytes)
    }
}

/// What streams bring at once, or a little more: a 64 KiB chunk costs 1 to 26 us to copy in, and
/// some 150 us to inflate.
const CAPACITY: usize = 128 << 10;
