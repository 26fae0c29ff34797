//! unpack.
