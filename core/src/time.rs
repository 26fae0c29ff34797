//! Moments, as the host counts them.

/// A moment in milliseconds of a clock that never goes back, with an origin of the host's choice.
///
/// The core has no clock: every moment is handed in. Only differences mean anything, so that a wall
/// clock that is a day off changes nothing.
///
/// ```
/// use oci_fetcher_core::time::Time;
///
/// let received = Time(1_500);
/// assert_eq!(received.after_seconds(60), Time(61_500));
/// assert_eq!(Time(1_700).milliseconds_since(received), 200);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// Returns the moment `milliseconds` later; the end of time, where it would lie beyond.
    #[must_use]
    pub const fn after(self, milliseconds: u64) -> Self {
        Self(self.0.saturating_add(milliseconds))
    }

    /// Returns the moment `seconds` later; the end of time, where it would lie beyond.
    #[must_use]
    pub const fn after_seconds(self, seconds: u64) -> Self {
        self.after(seconds.saturating_mul(1_000))
    }

    /// Returns the milliseconds from `earlier` until this moment, 0 where `earlier` is later.
    #[must_use]
    pub const fn milliseconds_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}
