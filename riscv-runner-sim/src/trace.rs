//! The trace: one line for everything that happens in a world, its hash, and the newest lines.
//!
//! The same seed writes the same trace, byte for byte.

use std::{collections::VecDeque, fmt, fmt::Write as _};

use crate::{
    chance::{fnv1a, fnv1a_from},
    clock::SimClock,
};

/// How many lines are kept: enough for the hours before a broken law of a small world.
const KEPT: usize = 4000;

/// What happened, in order.
#[derive(Debug)]
pub struct Trace {
    clock: SimClock,
    hash: u64,
    count: u64,
    buffer: String,
    lines: VecDeque<String>,
    kept: usize,
}

impl Trace {
    /// An empty trace that dates its lines by `clock`.
    #[must_use]
    pub fn new(clock: SimClock) -> Self {
        Self { clock, hash: fnv1a(b""), count: 0, buffer: String::new(), lines: VecDeque::new(), kept: KEPT }
    }

    /// Keeps the hash alone, for speed.
    pub fn keep_no_lines(&mut self) {
        self.kept = 0;
    }

    /// Adds a line.
    pub fn line(&mut self, what: fmt::Arguments<'_>) {
        self.buffer.clear();
        let at = self.clock.elapsed();
        // Writing to a string cannot fail.
        let _ = write!(self.buffer, "{:>6}.{:03} {what}", at.as_secs(), at.subsec_millis());
        self.hash = fnv1a_from(fnv1a_from(self.hash, self.buffer.as_bytes()), b"\n");
        self.count += 1;
        if self.kept > 0 {
            if self.lines.len() >= self.kept {
                self.lines.pop_front();
            }
            self.lines.push_back(self.buffer.clone());
        }
    }

    /// The hash of all lines.
    #[must_use]
    pub const fn hash(&self) -> u64 {
        self.hash
    }

    /// How many lines there were.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.count
    }

    /// Whether nothing happened.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The newest `n` lines, oldest first.
    #[must_use]
    pub fn newest(&self, n: usize) -> Vec<String> {
        self.lines.iter().skip(self.lines.len().saturating_sub(n)).cloned().collect()
    }
}
