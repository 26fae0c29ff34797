//! The disk as it ends up, as root and as nobody.

pub(crate) mod children;
mod image;
mod metadata;
mod races;
mod removal;
mod speed;
