//! A rate limit: a burst, then one at a time.

use std::time::Duration;

use jiff::Timestamp;

use crate::backoff;

/// Keeps a single time: when everything taken so far will have been earned again.
#[derive(Debug, Clone)]
pub struct Allowance {
    burst: u32,
    one_per: Duration,
    earned_at: Timestamp,
}

impl Allowance {
    /// Allows `burst` at once, and one more each time this long has passed.
    #[must_use]
    pub const fn new(burst: u32, one_per: Duration) -> Self {
        Self { burst, one_per, earned_at: Timestamp::UNIX_EPOCH }
    }

    /// Takes one.
    ///
    /// # Errors
    /// When the next one may be taken, if that is not now; asking in vain costs nothing.
    pub fn take(&mut self, now: Timestamp) -> Result<(), Timestamp> {
        let earned_at = backoff::add(self.earned_at.max(now), self.one_per);
        let owed = backoff::age(earned_at, now);
        let most = self.one_per * self.burst;
        if owed > most {
            return Err(backoff::add(now, owed - most));
        }
        self.earned_at = earned_at;
        Ok(())
    }

    /// Whether everything is earned again: it is as good as new.
    #[must_use]
    pub fn is_whole(&self, now: Timestamp) -> bool {
        self.earned_at <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_one_at_a_time() {
        let mut allowance = Allowance::new(3, Duration::from_secs(6));
        let at = |second: i64| Timestamp::from_second(1_000 + second).unwrap();
        assert!(allowance.is_whole(at(0)));
        for _ in 0..3 {
            assert_eq!(allowance.take(at(0)), Ok(()));
        }
        assert_eq!(allowance.take(at(0)), Err(at(6)));
        assert_eq!(allowance.take(at(5)), Err(at(6)), "asking in vain costs nothing");
        assert_eq!(allowance.take(at(6)), Ok(()));
        assert_eq!(allowance.take(at(6)), Err(at(12)));
        assert!(!allowance.is_whole(at(23)) && allowance.is_whole(at(24)));
        for _ in 0..3 {
            assert_eq!(allowance.take(at(100)), Ok(()));
        }
        assert_eq!(allowance.take(at(100)), Err(at(106)), "a long rest earns no more than the burst");
    }
}
