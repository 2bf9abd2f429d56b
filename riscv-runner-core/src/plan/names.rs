//! Names of workers: the prefix and nine characters of chance, so that nobody else's pod collides.

use crate::{
    ids::WorkerName,
    policy::{NAME_SUFFIX_CHARS, NamePrefix},
};

const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// A stream of chance that is a function of its seed (SplitMix64, Steele et al. 2014).
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// The stream of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

/// The next name of the stream.
#[must_use]
pub fn worker_name(prefix: &NamePrefix, chance: &mut Chance) -> Option<WorkerName> {
    let mut name = String::with_capacity(prefix.as_str().len() + NAME_SUFFIX_CHARS);
    name.push_str(prefix.as_str());
    for _ in 0..NAME_SUFFIX_CHARS {
        let index = usize::try_from(chance.next() % 36).unwrap_or(0);
        name.push(char::from(ALPHABET[index]));
    }
    // A `NamePrefix` admits every suffix of this alphabet, so this is always a name.
    WorkerName::new(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_a_function_of_the_seed() {
        let prefix = NamePrefix::new("rise-riscv-runner-").unwrap();
        let name = |seed| worker_name(&prefix, &mut Chance::new(seed)).unwrap();
        assert_eq!(name(1), name(1));
        assert_ne!(name(1), name(2));
        assert_eq!(name(1).as_str().len(), prefix.as_str().len() + 9);
    }
}
