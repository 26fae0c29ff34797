//! gzip members (RFC 1952), pushed in.
//!
//! Header and trailer are read here, around the raw deflate of the chosen backend: that is about
//! one and a half times as fast as a reader that does both, and bounds what a header can cost.
//! Deviations: FTEXT, MTIME, XFL, OS and the extra field's inner structure are not looked at, and
//! zero bytes may follow the last member.

use flate2::{Crc, Decompress, FlushDecompress, Status};

/// Decompresses a series of members.
///
/// ```text
/// Fixed -> [ExtraLength -> Extra] -> [Name] -> [Comment] -> [HeaderChecksum] -> Body -> Trailer -> Between
///   ^                                                                                                |   \
///   +------------------------------------------------------------------------------------------------+    Padding
/// ```
pub(super) struct Gzip {
    state: State,
    /// The header's optional fields that are still to come.
    flags: u8,
    /// Of the header's bytes until the body begins, then of the content.
    checksum: Crc,
    inflater: Decompress,
}

enum State {
    Fixed(Field<10>),
    ExtraLength(Field<2>),
    Extra { left: usize },
    Name,
    Comment,
    HeaderChecksum(Field<2>),
    Body,
    Trailer(Field<8>),
    Between,
    Padding,
}

impl Gzip {
    /// Starts a series of which `held`, part of the magic bytes, has already come.
    pub(super) fn new(mut held: &[u8]) -> Self {
        let mut fixed = Field::new();
        fixed.fill(&mut held);
        Self { state: State::Fixed(fixed), flags: 0, checksum: Crc::new(), inflater: Decompress::new(RAW) }
    }

    /// Consumes from `input` and returns how many bytes of `output` were filled; none if all input
    /// was used and nothing is held back.
    pub(super) fn step(&mut self, input: &mut &[u8], output: &mut [u8]) -> Result<usize, GzipFault> {
        loop {
            match &mut self.state {
                State::Fixed(field) => {
                    let Some(bytes) = field.fill(input) else { return Ok(0) };
                    self.begin_member(bytes)?;
                }
                State::ExtraLength(field) => {
                    let Some(bytes) = field.fill(input) else { return Ok(0) };
                    self.checksum.update(&bytes);
                    self.state = State::Extra { left: usize::from(u16::from_le_bytes(bytes)) };
                }
                State::Extra { left } => {
                    let (skipped, rest) = input.split_at(input.len().min(*left));
                    self.checksum.update(skipped);
                    *input = rest;
                    *left -= skipped.len();
                    if *left > 0 {
                        return Ok(0);
                    }
                    self.begin_field();
                }
                State::Name | State::Comment => {
                    let end = input.iter().position(|&byte| byte == 0).map(|nul| nul + 1);
                    let (skipped, rest) = input.split_at(end.unwrap_or(input.len()));
                    self.checksum.update(skipped);
                    *input = rest;
                    if end.is_none() {
                        return Ok(0);
                    }
                    self.begin_field();
                }
                State::HeaderChecksum(field) => {
                    let Some(bytes) = field.fill(input) else { return Ok(0) };
                    if u32::from(u16::from_le_bytes(bytes)) != self.checksum.sum() & 0xffff {
                        return Err(GzipFault::HeaderChecksum);
                    }
                    self.begin_field();
                }
                State::Body => {
                    let filled = self.inflate(input, output)?;
                    if filled > 0 || matches!(self.state, State::Body) {
                        return Ok(filled);
                    }
                }
                State::Trailer(field) => {
                    let Some(bytes) = field.fill(input) else { return Ok(0) };
                    self.end_member(bytes)?;
                }
                State::Between => match input.first() {
                    None => return Ok(0),
                    Some(0) => self.state = State::Padding,
                    Some(&first) if first == MAGIC[0] => self.state = State::Fixed(Field::new()),
                    Some(_) => return Err(GzipFault::TrailingBytes),
                },
                State::Padding => {
                    if input.iter().any(|&byte| byte != 0) {
                        return Err(GzipFault::TrailingBytes);
                    }
                    *input = &[];
                    return Ok(0);
                }
            }
        }
    }

    fn begin_member(&mut self, header: [u8; 10]) -> Result<(), GzipFault> {
        let [first, second, method, flags, ..] = header;
        if [first, second] != MAGIC {
            return Err(GzipFault::TrailingBytes);
        }
        if method != DEFLATE {
            return Err(GzipFault::Method { method });
        }
        if flags & RESERVED_FLAGS != 0 {
            return Err(GzipFault::ReservedFlags);
        }
        self.flags = flags;
        self.checksum.reset();
        self.checksum.update(&header);
        self.begin_field();
        Ok(())
    }

    /// Goes to the next optional field that the flags announce, or to the body.
    fn begin_field(&mut self) {
        let announced = [FLAG_EXTRA, FLAG_NAME, FLAG_COMMENT, FLAG_HEADER_CHECKSUM]
            .into_iter()
            .find(|flag| self.flags & flag != 0)
            .unwrap_or(0);
        self.flags &= !announced;
        self.state = match announced {
            FLAG_EXTRA => State::ExtraLength(Field::new()),
            FLAG_NAME => State::Name,
            FLAG_COMMENT => State::Comment,
            FLAG_HEADER_CHECKSUM => State::HeaderChecksum(Field::new()),
            _ => {
                self.checksum.reset();
                self.inflater.reset(RAW);
                State::Body
            }
        };
    }

    /// Fills `output` as far as `input` goes. The backends may hold back what did not fit, so a
    /// full output is followed by a call even if no input is left.
    fn inflate(&mut self, input: &mut &[u8], output: &mut [u8]) -> Result<usize, GzipFault> {
        let mut filled = 0;
        while filled < output.len() {
            let (total_in, total_out) = (self.inflater.total_in(), self.inflater.total_out());
            let status = self
                .inflater
                .decompress(input, &mut output[filled..], FlushDecompress::None)
                .map_err(|error| GzipFault::Deflate(error.into()))?;
            let consumed = (self.inflater.total_in() - total_in) as usize;
            let written = (self.inflater.total_out() - total_out) as usize;
            self.checksum.update(&output[filled..][..written]);
            *input = &input[consumed..];
            filled += written;
            match status {
                Status::StreamEnd => {
                    self.state = State::Trailer(Field::new());
                    break;
                }
                Status::Ok | Status::BufError if input.is_empty() => break,
                Status::Ok | Status::BufError if consumed == 0 && written == 0 => {
                    return Err(GzipFault::Deflate("no progress".into()));
                }
                Status::Ok | Status::BufError => {}
            }
        }
        Ok(filled)
    }

    fn end_member(&mut self, trailer: [u8; 8]) -> Result<(), GzipFault> {
        let [c0, c1, c2, c3, l0, l1, l2, l3] = trailer;
        if u32::from_le_bytes([c0, c1, c2, c3]) != self.checksum.sum() {
            return Err(GzipFault::Checksum);
        }
        if u32::from_le_bytes([l0, l1, l2, l3]) != self.checksum.amount() {
            return Err(GzipFault::Length);
        }
        self.state = State::Between;
        Ok(())
    }

    pub(super) fn may_end(&self) -> bool {
        matches!(self.state, State::Between | State::Padding)
    }
}

/// No zlib header around the deflate data.
const RAW: bool = false;
const MAGIC: [u8; 2] = [0x1f, 0x8b];
const DEFLATE: u8 = 8;
const FLAG_HEADER_CHECKSUM: u8 = 1 << 1;
const FLAG_EXTRA: u8 = 1 << 2;
const FLAG_NAME: u8 = 1 << 3;
const FLAG_COMMENT: u8 = 1 << 4;
const RESERVED_FLAGS: u8 = 0b1110_0000;

/// A field of `N` bytes that may come in pieces.
struct Field<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Field<N> {
    fn new() -> Self {
        Self { bytes: [0; N], len: 0 }
    }

    fn fill(&mut self, input: &mut &[u8]) -> Option<[u8; N]> {
        let (taken, rest) = input.split_at(input.len().min(N - self.len));
        self.bytes[self.len..][..taken.len()].copy_from_slice(taken);
        self.len += taken.len();
        *input = rest;
        (self.len == N).then_some(self.bytes)
    }
}

/// What is wrong with gzip data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GzipFault {
    /// The compression method is not deflate.
    #[error("the compression method is {method}, not 8 (deflate)")]
    Method {
        /// The header's CM field.
        method: u8,
    },
    /// The header has flags that no specification defines.
    #[error("the header has reserved flags")]
    ReservedFlags,
    /// The header does not match its CRC-16.
    #[error("the header does not match its checksum")]
    HeaderChecksum,
    /// The deflate data is malformed.
    #[error("the deflate data is malformed")]
    Deflate(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The content does not match its CRC-32.
    #[error("the content does not match its checksum")]
    Checksum,
    /// The content does not match its length.
    #[error("the content does not match its length")]
    Length,
    /// Something that is neither a member nor zero bytes follows the last member.
    #[error("what follows the last member is neither a member nor zero bytes")]
    TrailingBytes,
}
