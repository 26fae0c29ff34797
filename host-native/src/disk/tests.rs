//! The disk as it ends up, as root and as nobody.

pub(crate) mod children;
pub(crate) mod image;
mod metadata;
mod races;
mod removal;
mod speed;
