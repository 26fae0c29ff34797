//! Dates of HTTP (RFC 9110 section 5.6.7): the preferred form and the two obsolete ones.

/// Returns the seconds from 1970-01-01T00:00:00Z to the date that `text` states.
///
/// The name of the weekday is not compared with the date. A year of two digits lies between 1970 and
/// 2069, for want of a clock to measure RFC 9110's fifty years from.
pub(super) fn parse_date(text: &str) -> Option<i64> {
    let parts: Vec<&str> = text.split([' ', ',', '-']).filter(|part| !part.is_empty()).take(MAX_PARTS).collect();
    let (day, month, year, time) = match *parts.as_slice() {
        [_, day, month, year, time, "GMT"] => (day, month, year, time),
        [_, month, day, time, year] => (day, month, year, time),
        _ => return None,
    };
    let year = match (year.len(), number(year)?) {
        (2, short @ 70..) => 1900 + short,
        (2, short) => 2000 + short,
        (4, year) => year,
        _ => return None,
    };
    let month = MONTHS.iter().zip(1..).find(|(name, _)| **name == month).map(|(_, month)| month)?;
    let day = number(day).filter(|day| (1..=days_in(month, year)).contains(day))?;
    let mut clock = time.split(':').map(number);
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    // 60 is a leap second.
    if clock.next().is_some() || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some(((days_since_epoch(year, month, day) * 24 + hour) * 60 + minute) * 60 + second)
}

/// The longest form has six parts.
const MAX_PARTS: usize = 7;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

fn number(digits: &str) -> Option<i64> {
    let valid = (1..=4).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    valid.then(|| digits.parse().ok())?
}

fn days_in(month: i64, year: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Counts days in the proleptic Gregorian calendar, in years that begin in March so that the leap day
/// comes last.
const fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let months_since_march = (month + 9) % 12;
    let day_of_year = (153 * months_since_march + 2) / 5 + day - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + day_of_year - DAYS_TO_EPOCH
}

/// Days from March 1st of the year 0 to January 1st, 1970.
const DAYS_TO_EPOCH: i64 = 719_468;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_all_three_forms() {
        for (text, seconds) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777)),
            ("Sun Nov  6 08:49:37 1994", Some(784_111_777)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Wed, 31 Dec 1969 23:59:59 GMT", Some(-1)),
            ("Thu, 29 Feb 2024 12:00:00 GMT", Some(1_709_208_000)),
            ("Fri, 01 Mar 2024 00:00:00 GMT", Some(1_709_251_200)),
            ("Tue, 29 Feb 2000 00:00:00 GMT", Some(951_782_400)),
            ("Fri, 31 Dec 9999 23:59:60 GMT", Some(253_402_300_800)),
            ("Tuesday, 01-Jan-69 00:00:00 GMT", Some(3_124_224_000)),
            ("Thu, 29 Feb 2023 12:00:00 GMT", None),
            ("Thu, 00 Mar 2024 12:00:00 GMT", None),
            ("Thu, 01 Mar 2024 24:00:00 GMT", None),
            ("Thu, 01 Mar 2024 00:00:00 CET", None),
            ("Thu, 01 Mar 2024 00:00 GMT", None),
            ("Thu, 01 Mar 2024 00:00:00:00 GMT", None),
            ("Thu, 01 March 2024 00:00:00 GMT", None),
            ("Thu, 01 Mar 99999 00:00:00 GMT", None),
            ("Thu, +1 Mar 2024 00:00:00 GMT", None),
            ("2024-03-01T00:00:00Z", None),
            ("", None),
        ] {
            assert_eq!(parse_date(text), seconds, "{text:?}");
        }
    }
}
