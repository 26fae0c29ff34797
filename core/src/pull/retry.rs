//! When to try again, and after how long.

use crate::time::Time;

/// How often a request is tried, and how long the machine waits between.
///
/// A connection that broke, a deadline, and the statuses 408, 425, 429 and 5xx are tried again;
/// everything else is final. Only attempts without progress count: a stream that brought at least
/// [`PROGRESS_BYTES`] since the last failure starts counting anew. A request is given up when its
/// attempts or its time are used up, whichever comes first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts at one request, the first included.
    pub attempts: u32,
    /// The pause before the second attempt, in milliseconds; it doubles each time.
    pub first_pause: u64,
    /// The longest pause of our own choice, in milliseconds.
    pub longest_pause: u64,
    /// The longest pause that a registry may ask for with `Retry-After`, in milliseconds.
    pub longest_retry_after: u64,
    /// How long one request may go on failing without progress, pauses included, in milliseconds.
    pub patience: u64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        // Pauses of about fifteen seconds in all: longer than a restart of a load balancer, shorter than
        // a person's patience. Ten minutes leave room for six deadlines of a minute, or for five pauses
        // as long as a registry may ask for.
        let (longest_retry_after, patience) = (120_000, 600_000);
        Self { attempts: 6, first_pause: 500, longest_pause: 8_000, longest_retry_after, patience }
    }
}

/// Bytes that count as progress of a stream.
pub const PROGRESS_BYTES: u64 = 1 << 20;

impl RetryPolicy {
    /// Returns the pause after the last of these failures, in milliseconds; `None` where no attempt is
    /// left, or none that the pause leaves time for.
    pub(super) fn pause(&self, streak: Streak, retry_after: Option<u64>, random: &mut Random) -> Option<u64> {
        let Streak { failures, lasting } = streak;
        if failures >= self.attempts {
            return None;
        }
        let doubled = self.first_pause.saturating_mul(1 << failures.saturating_sub(1).min(20));
        let own = doubled.min(self.longest_pause);
        // Full jitter over the upper half keeps clients apart without ever retrying at once.
        let jittered = own / 2 + random.below(own / 2 + 1);
        let pause = match retry_after {
            Some(seconds) => seconds.saturating_mul(1_000).min(self.longest_retry_after).max(jittered),
            None => jittered,
        };
        (lasting.saturating_add(pause) <= self.patience).then_some(pause)
    }
}

/// Failures of one request in a row, without progress between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Streak {
    /// How many, the present one included.
    pub(super) failures: u32,
    /// Milliseconds since the attempt began that failed first.
    pub(super) lasting: u64,
}

/// A small generator (splitmix64) for jitter; the seed comes from the host.
#[derive(Clone, Debug)]
pub(super) struct Random(pub(super) u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound.max(1)
    }
}

/// Returns the time `pause` milliseconds after `now`.
pub(super) fn after(now: Time, pause: u64) -> Time {
    Time(now.0.saturating_add(pause))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_once(failures: u32) -> Streak {
        Streak { failures, lasting: 0 }
    }

    #[test]
    fn pauses_grow_within_bounds_and_end() {
        let policy = RetryPolicy::default();
        let mut random = Random(7);
        for failures in 1..policy.attempts {
            let pause = policy.pause(at_once(failures), None, &mut random).expect("an attempt is left");
            let own = (policy.first_pause << (failures - 1)).min(policy.longest_pause);
            assert!((own / 2..=own).contains(&pause), "{failures}: {pause}");
        }
        assert_eq!(policy.pause(at_once(policy.attempts), None, &mut random), None);
    }

    #[test]
    fn a_registry_may_ask_for_more_up_to_the_cap() {
        let policy = RetryPolicy::default();
        let mut random = Random(7);
        assert_eq!(policy.pause(at_once(1), Some(30), &mut random), Some(30_000));
        assert_eq!(policy.pause(at_once(1), Some(u64::MAX), &mut random), Some(policy.longest_retry_after));
        assert!(policy.pause(at_once(1), Some(0), &mut random) >= Some(policy.first_pause / 2));
    }

    #[test]
    fn a_pause_that_leaves_no_time_is_not_begun() {
        let policy = RetryPolicy { patience: 60_000, ..RetryPolicy::default() };
        let mut random = Random(7);
        for (lasting, retry_after, tried_again) in [
            (0, 60, true),
            (1, 60, false),
            (30_000, 30, true),
            (30_001, 30, false),
            (59_000, 0, true),
            (60_000, 0, false),
        ] {
            let pause = policy.pause(Streak { failures: 1, lasting }, Some(retry_after), &mut random);
            assert_eq!(pause.is_some(), tried_again, "{lasting} {retry_after}");
        }
    }
}
