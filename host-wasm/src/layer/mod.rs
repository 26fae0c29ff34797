//! One layer: from its blob to a pack of contents and an index of entries.

mod decoder;
pub(crate) mod index;

pub use decoder::LayerDecoder;
