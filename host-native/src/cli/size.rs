//! Sizes as people write and read them: `64MiB`, `4GB`, plain bytes.

use std::fmt;
use std::str::FromStr;

/// A number of bytes that fits into an `N`.
///
/// Read are a number and a unit in any case: `KiB`, `MiB`, `GiB`, `TiB` and the bare letters are
/// powers of 1,024, `KB`, `MB`, `GB`, `TB` powers of 1,000, as in GNU's tools. What it displays,
/// it also reads, exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size<N = u64>(pub(crate) N);

impl<N: TryFrom<u64>> FromStr for Size<N> {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let bytes = parse(text)?;
        N::try_from(bytes).map(Self).map_err(|_| SizeError::TooLarge)
    }
}

fn parse(text: &str) -> Result<u64, SizeError> {
    let text = text.trim();
    let end = text.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = factor(unit.trim_start()).ok_or(SizeError::Unit)?;
    let (whole, fraction) = match number.split_once('.') {
        // There is no part of a byte.
        Some((whole, fraction)) if unit > 1 && !fraction.is_empty() => (whole, fraction),
        Some(_) => return Err(SizeError::Number),
        None => (number, ""),
    };
    if fraction.len() > MAX_FRACTION_DIGITS {
        return Err(SizeError::Number);
    }
    let digits = |text: &str| match text.parse::<u64>() {
        Ok(number) => Ok(u128::from(number)),
        Err(error) if *error.kind() == std::num::IntErrorKind::PosOverflow => Err(SizeError::TooLarge),
        Err(_) => Err(SizeError::Number),
    };
    let mut bytes = digits(whole)? * u128::from(unit);
    if !fraction.is_empty() {
        bytes += digits(fraction)? * u128::from(unit) / 10_u128.pow(u32::try_from(fraction.len()).unwrap_or(0));
    }
    u64::try_from(bytes).map_err(|_| SizeError::TooLarge)
}

/// More say nothing, even of terabytes.
const MAX_FRACTION_DIGITS: usize = 12;

fn factor(unit: &str) -> Option<u64> {
    Some(match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return None,
    })
}

/// Text that is no size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SizeError {
    #[error("not a number of bytes, such as 64MiB, 4GB or 65536")]
    Number,
    #[error("unknown unit; known are KiB, MiB, GiB, TiB and KB, MB, GB, TB")]
    Unit,
    #[error("too large")]
    TooLarge,
}

impl<N: Copy + Into<u64>> fmt::Display for Size<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: u64 = self.0.into();
        let unit = UNITS.iter().rev().find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor));
        match unit {
            Some((name, factor)) => write!(f, "{}{name}", bytes / factor),
            None => write!(f, "{bytes}"),
        }
    }
}

const UNITS: [(&str, u64); 4] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

/// Returns a number of bytes to read, about three digits of it: `999 B`, `1.7 GiB`.
pub(crate) fn rounded(bytes: u64) -> String {
    let Some((name, factor)) = UNITS.iter().rev().find(|(_, factor)| bytes >= *factor) else {
        return format!("{bytes} B");
    };
    // Whole tenths, without the errors of floating point.
    let tenths = (u128::from(bytes) * 10 + u128::from(*factor) / 2) / u128::from(*factor);
    match tenths {
        ..1_000 => format!("{}.{} {name}", tenths / 10, tenths % 10),
        _ => format!("{} {name}", (tenths + 5) / 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, bytes) in [
            ("0", Ok(0)),
            ("65536", Ok(65_536)),
            ("65536B", Ok(65_536)),
            ("64MiB", Ok(64 << 20)),
            ("64mib", Ok(64 << 20)),
            ("64M", Ok(64 << 20)),
            (" 64 MiB ", Ok(64 << 20)),
            ("4GB", Ok(4_000_000_000)),
            ("4kB", Ok(4_000)),
            ("1.5GiB", Ok(3 << 29)),
            ("0.0001K", Ok(0)),
            ("16777215TiB", Ok(16_777_215 << 40)),
            ("16777216TiB", Err(SizeError::TooLarge)),
            ("18446744073709551615", Ok(u64::MAX)),
            ("18446744073709551616", Err(SizeError::TooLarge)),
            ("", Err(SizeError::Number)),
            ("MiB", Err(SizeError::Number)),
            ("1.5", Err(SizeError::Number)),
            ("1.G", Err(SizeError::Number)),
            (".5G", Err(SizeError::Number)),
            ("1.2.3G", Err(SizeError::Number)),
            ("1.0000000000001T", Err(SizeError::Number)),
            ("-1", Err(SizeError::Unit)),
            ("+1", Err(SizeError::Unit)),
            ("1e3", Err(SizeError::Unit)),
            ("4Gb/s", Err(SizeError::Unit)),
            ("٤", Err(SizeError::Unit)),
        ] {
            assert_eq!(text.parse::<Size>().map(|size| size.0), bytes, "{text:?}");
        }
        assert_eq!("4GiB".parse::<Size<u32>>(), Err(SizeError::TooLarge));
        assert_eq!("4095MiB".parse::<Size<u32>>(), Ok(Size(4_095 << 20)));
    }

    #[test]
    fn reads_back_exactly_what_it_displays() {
        for (bytes, text) in [
            (0, "0"),
            (1_023, "1023"),
            (1 << 10, "1KiB"),
            (1_025, "1025"),
            (4 << 20, "4MiB"),
            (256 << 30, "256GiB"),
            (1 << 40, "1TiB"),
            (u64::MAX, "18446744073709551615"),
        ] {
            assert_eq!(Size(bytes).to_string(), text);
            assert_eq!(text.parse(), Ok(Size(bytes)));
        }
    }

    #[test]
    fn rounds_for_reading() {
        for (bytes, text) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_024, "1.0 KiB"),
            (759_000_000, "724 MiB"),
            (1_782_000_000, "1.7 GiB"),
            (104_857_599, "100 MiB"),
            (u64::MAX, "16777216 TiB"),
        ] {
            assert_eq!(rounded(bytes), text);
        }
    }
}
