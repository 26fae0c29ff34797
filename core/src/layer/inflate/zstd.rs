//! zstd frames (RFC 8878), pushed in.
//!
//! Frame headers, block headers and checksums are delimited here, and the decoder gets one whole
//! block at a time: it has no push mode that reports what it used, and reads one frame only.
//! Deviations: frames that need a dictionary are not supported (3.1.1.1.3), and a window may not
//! exceed the configured limit, which 3.1.1.1.2 leaves to the decoder.

use std::borrow::Cow;
use std::io::Read;

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use crate::error::{Class, Explain};

/// Decompresses a series of frames.
///
/// ```text
///   +-> Magic -> SkipLength -> Skip -+
///   |     |                          |
///   |     v                          v
///   |  Descriptor -> Header -> BlockHeader -> Block -> Drain -+-> Magic
///   |                              ^                    |
///   +------------------------------+--------------------+
/// ```
pub(super) struct Zstd {
    state: State,
    /// The bytes of the present part of a frame, as far as they came: at most a block with its
    /// header and checksum.
    held: Vec<u8>,
    frame: Frame,
    window_limit: u64,
}

#[derive(Clone, Copy)]
enum State {
    Magic,
    SkipLength,
    Skip { left: u32 },
    Descriptor,
    Header { len: usize },
    BlockHeader,
    Block { len: usize, position: Position },
    Drain { position: Position },
}

/// Where a block stands in its frame.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    Inner,
    Last,
}

struct Frame {
    window: u64,
    content_size: Option<u64>,
    has_checksum: bool,
    produced: u64,
    decoder: FrameDecoder,
}

impl Zstd {
    /// Starts a series of which `held`, part of the magic bytes, has already come.
    pub(super) fn new(held: &[u8], window_limit: u64) -> Self {
        let frame =
            Frame { window: 0, content_size: None, has_checksum: false, produced: 0, decoder: FrameDecoder::new() };
        Self { state: State::Magic, held: held.to_vec(), frame, window_limit }
    }

    /// Consumes from `input` and returns how many bytes of `output` were filled; none if all input
    /// was used and nothing is held back.
    pub(super) fn step(&mut self, input: &mut &[u8], output: &mut [u8]) -> Result<usize, ZstdFault> {
        loop {
            self.state = match self.state {
                State::Magic => match self.hold(input, 4) {
                    Some(FRAME_MAGIC) => State::Descriptor,
                    Some([0x50..=0x5f, 0x2a, 0x4d, 0x18]) => State::SkipLength,
                    Some(_) => return Err(ZstdFault::TrailingBytes),
                    None => return Ok(0),
                },
                State::SkipLength => {
                    let Some(&[_, _, _, _, l0, l1, l2, l3]) = self.hold(input, 8) else { return Ok(0) };
                    State::Skip { left: u32::from_le_bytes([l0, l1, l2, l3]) }
                }
                State::Skip { left } => {
                    let skipped = input.len().min(left as usize);
                    *input = &input[skipped..];
                    let left = left - skipped as u32;
                    if left > 0 {
                        self.state = State::Skip { left };
                        return Ok(0);
                    }
                    self.held.clear();
                    State::Magic
                }
                State::Descriptor => {
                    let Some(&[.., descriptor]) = self.hold(input, 5) else { return Ok(0) };
                    State::Header { len: header_len(descriptor)? }
                }
                State::Header { len } => {
                    if self.hold(input, len).is_none() {
                        return Ok(0);
                    }
                    self.begin_frame()?;
                    State::BlockHeader
                }
                State::BlockHeader => {
                    let Some(&[b0, b1, b2]) = self.hold(input, 3) else { return Ok(0) };
                    self.begin_block(u32::from_le_bytes([b0, b1, b2, 0]))?
                }
                State::Block { len, position } => {
                    if self.hold(input, len).is_none() {
                        return Ok(0);
                    }
                    self.decode_block(position)?;
                    State::Drain { position }
                }
                State::Drain { position } => match self.drain(output)? {
                    0 if position == Position::Inner => State::BlockHeader,
                    0 => {
                        self.end_frame()?;
                        State::Magic
                    }
                    len => return Ok(len),
                },
            };
        }
    }

    /// Collects the first `len` bytes of a part; `None` if they have not all come.
    fn hold(&mut self, input: &mut &[u8], len: usize) -> Option<&[u8]> {
        let (taken, rest) = input.split_at(input.len().min(len - self.held.len()));
        self.held.extend_from_slice(taken);
        *input = rest;
        (self.held.len() == len).then_some(&self.held)
    }

    /// Reads the whole header (3.1.1.1), and refuses before anything is allocated for it.
    fn begin_frame(&mut self) -> Result<(), ZstdFault> {
        let Header { window, content_size, has_checksum, dictionary } = Header::parse(&self.held);
        if dictionary != 0 {
            return Err(ZstdFault::Dictionary { dictionary });
        }
        if window > self.window_limit {
            return Err(ZstdFault::Window { window, limit: self.window_limit });
        }
        // Before the next window is taken, the last one goes.
        self.frame = Frame { window, content_size, has_checksum, produced: 0, decoder: FrameDecoder::new() };
        let decoder = &mut self.frame.decoder;
        decoder.set_max_window_size(self.window_limit);
        decoder.init(self.held.as_slice()).map_err(|_| ZstdFault::Block)?;
        // A decoder's buffer grows with the content, at times to three halves of the window. Started
        // again it allocates the window at once, which a claim may make it do only up to here.
        if window <= RESERVED_WINDOW && content_size.is_none_or(|size| size >= window) {
            decoder.init(self.held.as_slice()).map_err(|_| ZstdFault::Block)?;
        }
        self.held.clear();
        Ok(())
    }

    /// Reads a block header (3.1.1.2) and returns what the block needs.
    fn begin_block(&mut self, header: u32) -> Result<State, ZstdFault> {
        let (kind, size) = (header >> 1 & 3, header >> 3);
        if u64::from(size) > self.frame.max_block_len() {
            return Err(ZstdFault::BlockSize);
        }
        let content = match kind {
            RAW_BLOCK | COMPRESSED_BLOCK => size as usize,
            RUN_LENGTH_BLOCK => 1,
            _ => return Err(ZstdFault::ReservedBlock),
        };
        let position = if header & 1 == 1 { Position::Last } else { Position::Inner };
        let checksum = if position == Position::Last && self.frame.has_checksum { CHECKSUM_LEN } else { 0 };
        Ok(State::Block { len: BLOCK_HEADER_LEN + content + checksum, position })
    }

    fn decode_block(&mut self, position: Position) -> Result<(), ZstdFault> {
        let frame = &mut self.frame;
        frame
            .decoder
            .decode_blocks(self.held.as_slice(), BlockDecodingStrategy::UptoBlocks(1))
            .map_err(|_| ZstdFault::Block)?;
        self.held.clear();
        // The decoder lets a block's literals exceed the limit, which would make its buffer grow.
        let retained = if position == Position::Last { frame.window } else { 0 };
        if frame.decoder.can_collect() as u64 > retained + frame.max_block_len() {
            return Err(ZstdFault::BlockSize);
        }
        Ok(())
    }

    fn drain(&mut self, output: &mut [u8]) -> Result<usize, ZstdFault> {
        let frame = &mut self.frame;
        let len = frame.decoder.read(output).map_err(|_| ZstdFault::Block)?;
        frame.produced += len as u64;
        if frame.content_size.is_some_and(|size| frame.produced > size) {
            return Err(ZstdFault::ContentSize);
        }
        Ok(len)
    }

    fn end_frame(&mut self) -> Result<(), ZstdFault> {
        let frame = &mut self.frame;
        if frame.content_size.is_some_and(|size| frame.produced != size) {
            return Err(ZstdFault::ContentSize);
        }
        if frame.has_checksum && frame.decoder.get_checksum_from_data() != frame.decoder.get_calculated_checksum() {
            return Err(ZstdFault::Checksum);
        }
        Ok(())
    }

    pub(super) fn may_end(&self) -> bool {
        matches!(self.state, State::Magic) && self.held.is_empty()
    }
}

impl Frame {
    fn max_block_len(&self) -> u64 {
        self.window.min(MAX_BLOCK_LEN)
    }
}

struct Header {
    window: u64,
    content_size: Option<u64>,
    has_checksum: bool,
    /// Zero is the same as none (3.1.1.1.3).
    dictionary: u32,
}

impl Header {
    /// Reads a header of the length that its descriptor asks for, magic number included.
    fn parse(bytes: &[u8]) -> Self {
        let descriptor = bytes[DESCRIPTOR_AT];
        let mut rest = &bytes[DESCRIPTOR_AT + 1..];
        let window_descriptor = little_endian(&mut rest, window_descriptor_len(descriptor));
        let dictionary = little_endian(&mut rest, dictionary_len(descriptor)) as u32;
        let content_size = match content_size_len(descriptor) {
            0 => None,
            2 => Some(little_endian(&mut rest, 2) + 256),
            len => Some(little_endian(&mut rest, len)),
        };
        let window = match content_size {
            Some(size) if descriptor & SINGLE_SEGMENT != 0 => size,
            Some(_) | None => {
                let base = 1_u64 << (10 + (window_descriptor >> 3));
                base + base / 8 * (window_descriptor & 7)
            }
        };
        Self { window, content_size, has_checksum: descriptor & CONTENT_CHECKSUM != 0, dictionary }
    }
}

fn header_len(descriptor: u8) -> Result<usize, ZstdFault> {
    if descriptor & RESERVED_BIT != 0 {
        return Err(ZstdFault::ReservedBit);
    }
    let fields = window_descriptor_len(descriptor) + dictionary_len(descriptor) + content_size_len(descriptor);
    Ok(DESCRIPTOR_AT + 1 + fields)
}

fn window_descriptor_len(descriptor: u8) -> usize {
    usize::from(descriptor & SINGLE_SEGMENT == 0)
}

fn dictionary_len(descriptor: u8) -> usize {
    [0, 1, 2, 4][usize::from(descriptor & 3)]
}

fn content_size_len(descriptor: u8) -> usize {
    match descriptor >> 6 {
        0 => usize::from(descriptor & SINGLE_SEGMENT != 0),
        flag => 1 << flag,
    }
}

fn little_endian(rest: &mut &[u8], len: usize) -> u64 {
    let (bytes, after) = rest.split_at(len);
    *rest = after;
    bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

const FRAME_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const DESCRIPTOR_AT: usize = FRAME_MAGIC.len();
const SINGLE_SEGMENT: u8 = 1 << 5;
const RESERVED_BIT: u8 = 1 << 3;
const CONTENT_CHECKSUM: u8 = 1 << 2;
const BLOCK_HEADER_LEN: usize = 3;
const CHECKSUM_LEN: usize = 4;
const RAW_BLOCK: u32 = 0;
const RUN_LENGTH_BLOCK: u32 = 1;
const COMPRESSED_BLOCK: u32 = 2;
/// Block_Maximum_Size (3.1.1.2.4), where the window is not smaller.
const MAX_BLOCK_LEN: u64 = 128 << 10;

/// The largest window that is allocated before its content comes: what every decoder should support
/// (3.1.1.1.2), and most that layers have. Measured: 9.3 instead of 12.9 MiB at the most for 8 MiB.
const RESERVED_WINDOW: u64 = 8 << 20;

/// What is wrong with zstd data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ZstdFault {
    /// Something that is no frame stands where one should begin.
    #[error("what follows the last frame is not a frame")]
    TrailingBytes,
    /// The frame header has the reserved bit.
    #[error("the frame header has the reserved bit")]
    ReservedBit,
    /// The frame needs a larger window than [`Limits::zstd_window`](crate::limits::Limits::zstd_window).
    #[error("the frame needs a window of {window} bytes, the limit is {limit} (--max-zstd-window)")]
    Window {
        /// The frame's window in bytes.
        window: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The frame needs a dictionary, which layers have no way to bring.
    #[error("the frame needs the dictionary {dictionary}")]
    Dictionary {
        /// The dictionary's number.
        dictionary: u32,
    },
    /// The block has the reserved type.
    #[error("the block has the reserved type")]
    ReservedBlock,
    /// The block is larger than its frame allows.
    #[error("the block is larger than its frame allows")]
    BlockSize,
    /// The block's content is malformed. In which of many ways nobody can act on, and the decoder's
    /// words for it would be a tenth of a web page's module.
    #[error("the block is malformed")]
    Block,
    /// The content does not match its checksum.
    #[error("the content does not match its checksum")]
    Checksum,
    /// The content does not have the size that the frame header claims.
    #[error("the content does not have the size that its frame claims")]
    ContentSize,
}

impl Explain for ZstdFault {
    fn class(&self) -> Class {
        match self {
            Self::Window { .. } => Class::Refused,
            Self::Dictionary { .. } => Class::Unsupported,
            Self::TrailingBytes
            | Self::ReservedBit
            | Self::ReservedBlock
            | Self::BlockSize
            | Self::Block
            | Self::Checksum
            | Self::ContentSize => Class::Integrity,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Window { .. } => "zstd-window-limit",
            Self::Dictionary { .. } => "zstd-dictionary",
            Self::TrailingBytes
            | Self::ReservedBit
            | Self::ReservedBlock
            | Self::BlockSize
            | Self::Block
            | Self::Checksum
            | Self::ContentSize => "malformed-zstd",
        }
    }

    fn advice(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Window { .. } => {
                Some("if the image is trusted, raise --max-zstd-window (Limits::zstd_window)".into())
            }
            Self::Dictionary { .. }
            | Self::TrailingBytes
            | Self::ReservedBit
            | Self::ReservedBlock
            | Self::BlockSize
            | Self::Block
            | Self::Checksum
            | Self::ContentSize => None,
        }
    }
}
