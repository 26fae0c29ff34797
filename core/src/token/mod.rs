//! From a refused request to a token.
