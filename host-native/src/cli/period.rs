//! Periods of time as people write them: `15`, `1.5s`, `500ms`, `2m`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A period that is longer than nothing and at most a year; a bare number is in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Period(pub(crate) Duration);

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let text = text.trim();
        let end = text.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let unit = match unit.trim_start() {
            "" | "s" => 1.0,
            "ms" => 0.001,
            "m" | "min" => 60.0,
            "h" => 3_600.0,
            _ => return Err(PeriodError),
        };
        let seconds: f64 = number.parse::<f64>().map_err(|_| PeriodError)? * unit;
        let period = Duration::try_from_secs_f64(seconds).map_err(|_| PeriodError)?;
        if period.is_zero() || period > YEAR { Err(PeriodError) } else { Ok(Self(period)) }
    }
}

const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.0.as_secs_f64())
    }
}

/// Text that is no period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a period of time, such as 15, 1.5s, 500ms, 2m or 1h")]
pub(crate) struct PeriodError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_periods() {
        for (text, milliseconds) in [
            ("15", Some(15_000)),
            ("15s", Some(15_000)),
            ("1.5", Some(1_500)),
            ("500ms", Some(500)),
            ("2m", Some(120_000)),
            ("2 min", Some(120_000)),
            ("1h", Some(3_600_000)),
            ("0", None),
            ("-1", None),
            ("", None),
            ("s", None),
            ("nan", None),
            ("inf", None),
            ("1e9", None),
            ("9999999999999h", None),
            ("1.2.3", None),
            ("1d", None),
        ] {
            let period = text.parse::<Period>().ok().map(|Period(period)| period.as_millis());
            assert_eq!(period, milliseconds, "{text:?}");
        }
        assert_eq!(Period(Duration::from_millis(1_500)).to_string(), "1.5s");
    }
}
