//! Chance: seeded streams of numbers, one for each concern, so that one more draw here does not
//! reshuffle everything there. Never asks the operating system.

use std::time::Duration;

/// A stream of numbers (SplitMix64).
///
/// The generator is written out because recorded seeds are regressions: they must keep their meaning
/// for ever, which the generators of a library do not promise across its versions.
#[derive(Debug, Clone)]
pub struct Stream(u64);

impl Stream {
    /// The stream of `concern` in the world of `seed`.
    #[must_use]
    pub fn new(seed: u64, concern: &str) -> Self {
        let mut stream = Self(seed ^ fnv1a(concern.as_bytes()));
        stream.number();
        stream
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..n`; 0 when `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        let n = n as u64;
        if n == 0 { 0 } else { usize::try_from(self.number() % n).unwrap_or(0) }
    }

    /// A number in `0.0..1.0`.
    pub fn unit(&mut self) -> f64 {
        // 53 bits are what an f64 holds exactly.
        let bits = u32::try_from(self.number() >> 32).unwrap_or(0);
        f64::from(bits) / (f64::from(u32::MAX) + 1.0)
    }

    /// Whether something of this probability happens.
    pub fn happens(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A duration between the two, in whole microseconds.
    pub fn between(&mut self, from: Duration, to: Duration) -> Duration {
        from + whole_micros(to.saturating_sub(from).mul_f64(self.unit()))
    }

    /// One of the items; `None` when there are none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len()))
    }

    /// The waiting time until the next of events that are `mean` apart on average.
    pub fn exponential(&mut self, mean: Duration) -> Duration {
        whole_micros(mean.mul_f64(-(1.0 - self.unit()).ln()))
    }
}

/// The clock's resolution is a microsecond: a finer time could never be reached.
fn whole_micros(span: Duration) -> Duration {
    Duration::from_micros(u64::try_from(span.as_micros()).unwrap_or(u64::MAX))
}

/// FNV-1a, 64 bits: small, and the same everywhere for ever.
#[must_use]
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    fnv1a_from(0xcbf2_9ce4_8422_2325, bytes)
}

/// FNV-1a continued from an earlier result.
#[must_use]
pub(crate) fn fnv1a_from(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_keep_their_meaning() {
        let mut stream = Stream::new(7, "faults");
        let numbers: Vec<_> = (0..3).map(|_| stream.number()).collect();
        let mut again = Stream::new(7, "faults");
        assert_eq!(numbers, (0..3).map(|_| again.number()).collect::<Vec<_>>());
        // SplitMix64's published first output for seed 0.
        assert_eq!(Stream(0).number(), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn concerns_do_not_share_a_stream() {
        assert_ne!(Stream::new(7, "a").number(), Stream::new(7, "b").number());
    }

    #[test]
    fn draws_stay_in_their_range() {
        let mut stream = Stream::new(1, "range");
        for _ in 0..1000 {
            assert!(stream.below(3) < 3);
            assert!((0.0..1.0).contains(&stream.unit()));
            let span = stream.between(Duration::from_secs(1), Duration::from_secs(2));
            assert!(span >= Duration::from_secs(1) && span <= Duration::from_secs(2));
        }
        assert_eq!(stream.below(0), 0);
        assert!(stream.pick::<u8>(&[]).is_none());
    }
}
