//! What the tests and the quick start share.
