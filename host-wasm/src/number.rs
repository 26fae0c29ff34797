//! Sizes and offsets as JavaScript's numbers, which are exact below 2^53.

use crate::error::Failure;

/// Returns a size as JavaScript has it.
pub(crate) fn number(value: u64) -> Result<f64, Failure> {
    if value > MOST { Err(Failure::size_too_large()) } else { Ok(value as f64) }
}

/// Returns a size that JavaScript gave; it has no fraction and is not negative.
pub(crate) fn size(value: f64) -> Result<u64, Failure> {
    if value.fract() != 0.0 || !(0.0..=MOST as f64).contains(&value) {
        return Err(Failure::size_too_large());
    }
    // Whole and within 53 bits.
    Ok(value as u64)
}

/// `Number.MAX_SAFE_INTEGER`.
const MOST: u64 = (1 << 53) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_exact_is_refused() {
        for value in [0, 1, MOST] {
            assert_eq!(size(number(value).expect("exact")).expect("exact"), value);
        }
        assert!(number(MOST + 1).is_err());
        for value in [-1.0, 0.5, 9_007_199_254_740_992.0, f64::NAN, f64::INFINITY] {
            assert!(size(value).is_err(), "{value}");
        }
    }
}
