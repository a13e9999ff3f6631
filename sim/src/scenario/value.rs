//! The small values of scenarios: durations, ranges of them, numbers, probabilities.

use std::fmt;

use seedlog::time::{Duration, nanos};

use crate::world::Draw;

/// The longest duration that a scenario may name: ten years. Sums of some stay far from overflow.
const LONGEST: u64 = 10 * 365 * 24 * 3_600 * 1_000_000_000;

/// Reads `"10s"`, `"1500ms"`, `"2m"`, `"1h"`, `"30us"`, `"5ns"` or `"0"`.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at(split);
    let nanos: u64 = match unit.trim() {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" | "min" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    let nanos = digits.parse::<u64>().ok()?.checked_mul(nanos)?;
    (nanos <= LONGEST).then(|| Duration::from_nanos(nanos))
}

/// A duration as scenarios write it: the largest unit that divides it.
#[must_use]
pub fn print_duration(duration: Duration) -> String {
    let nanos = nanos(duration);
    let units = [(60_000_000_000, "m"), (1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us")];
    match units.iter().find(|(unit, _)| nanos.is_multiple_of(*unit) && nanos > 0) {
        Some((unit, name)) => format!("{}{name}", nanos / unit),
        None if nanos == 0 => "0s".into(),
        None => format!("{nanos}ns"),
    }
}

/// Durations from `low` to `high`, one of which a seed draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub low: Duration,
    pub high: Duration,
}

impl Span {
    #[must_use]
    pub const fn new(low: Duration, high: Duration) -> Self {
        Span { low, high }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Span> {
        let (low, high) = match text.split_once("..") {
            Some((low, high)) => (parse_duration(low)?, parse_duration(high)?),
            None => (parse_duration(text)?, parse_duration(text)?),
        };
        (low <= high).then_some(Span { low, high })
    }

    /// Draws one; a range of one value draws nothing.
    pub fn draw(&self, rng: &mut impl Draw) -> Duration {
        if self.low == self.high {
            return self.low;
        }
        let (low, high) = (nanos(self.low), nanos(self.high));
        Duration::from_nanos(low + rng.under((high - low).saturating_add(1)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", print_duration(self.low), print_duration(self.high))
    }
}

/// Numbers from `low` to `high`, one of which a seed draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub low: u64,
    pub high: u64,
}

impl Range {
    #[must_use]
    pub const fn new(low: u64, high: u64) -> Self {
        Range { low, high }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Range> {
        let number = |text: &str| text.trim().parse::<u64>().ok();
        let (low, high) = match text.split_once("..") {
            Some((low, high)) => (number(low)?, number(high)?),
            None => (number(text)?, number(text)?),
        };
        (low <= high).then_some(Range { low, high })
    }

    /// Draws one; a range of one value draws nothing.
    pub fn draw(&self, rng: &mut impl Draw) -> u64 {
        if self.low == self.high {
            return self.low;
        }
        self.low + rng.under((self.high - self.low).saturating_add(1))
    }
}

/// A probability as a ratio of whole numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    pub numerator: u64,
    pub denominator: u64,
}

impl Ratio {
    pub const NEVER: Ratio = Ratio { numerator: 0, denominator: 1 };

    #[must_use]
    pub const fn new(numerator: u64, denominator: u64) -> Self {
        Ratio { numerator, denominator }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Ratio> {
        let (numerator, denominator) = text.split_once('/')?;
        let numerator = numerator.trim().parse::<u64>().ok()?;
        let denominator = denominator.trim().parse::<u64>().ok()?;
        let fits = numerator <= denominator && denominator <= u64::from(u32::MAX);
        (denominator > 0 && fits).then_some(Ratio { numerator, denominator })
    }

    #[must_use]
    pub fn is_never(self) -> bool {
        self.numerator == 0
    }

    /// Draws; a ratio of 0 or 1 draws nothing.
    pub fn draw(self, rng: &mut impl Draw) -> bool {
        match self.numerator {
            0 => false,
            all if all == self.denominator => true,
            _ => rng.chance(self.numerator, self.denominator),
        }
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.numerator, self.denominator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_in_every_unit_and_print_in_the_largest() {
        let table: [(&str, Option<u64>, &str); 10] = [
            ("10s", Some(10_000_000_000), "10s"),
            ("1500ms", Some(1_500_000_000), "1500ms"),
            ("120s", Some(120_000_000_000), "2m"),
            ("0", Some(0), "0s"),
            ("7us", Some(7_000), "7us"),
            ("10", None, ""),
            ("s", None, ""),
            ("1.5s", None, ""),
            ("99999999999999999h", None, ""),
            ("87601h", None, ""),
        ];
        for (text, expected, printed) in table {
            let parsed = parse_duration(text);
            assert_eq!(parsed, expected.map(Duration::from_nanos), "{text}");
            if let Some(parsed) = parsed {
                assert_eq!(print_duration(parsed), printed);
            }
        }
    }

    #[test]
    fn ranges_and_ratios_refuse_what_makes_no_sense() {
        assert_eq!(Span::parse("5ms..1ms"), None);
        assert_eq!(Range::parse("1..5"), Some(Range::new(1, 5)));
        assert_eq!(Range::parse("5..1"), None);
        assert_eq!(Ratio::parse("3/2"), None);
        assert_eq!(Ratio::parse("0/0"), None);
        assert_eq!(Ratio::parse("1/4294967296"), None);
        assert_eq!(Ratio::parse("2/1000"), Some(Ratio::new(2, 1000)));
    }
}
